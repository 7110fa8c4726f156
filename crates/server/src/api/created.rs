//! The answer to a request that made something.

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
