//! Answers that several nouns have: what was made, and what is left of what was removed.

use axum::{
    Extension, Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;

use crate::request::Target;

/// 201 with what was made. Its id stands in front, for the audit trail.
pub struct Created<T>(pub String, pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let Self(id, view) = self;
        (StatusCode::CREATED, Extension(Target(id)), Json(view)).into_response()
    }
}

/// What is left of something.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Removed {
    message: &'static str,
    id: String,
}

impl Removed {
    /// With a sentence, and the id that it had.
    pub fn answer(message: &'static str, id: String) -> Json<Self> {
        Json(Self { message, id })
    }
}
