//! Introspection (RFC 7662), for admins of the account whose token it is.

use amalgam_vault::hash_token;
use axum::{
    Json,
    extract::{FromRequestParts as _, Request, State},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{Shared, fields::Fields};
use crate::{error::Result, request::Management, store::grants::TokenKind};

/// Say what a token is good for.
pub async fn introspect(State(shared): State<Shared>, request: Request) -> Response {
    match introspected(&shared, request).await {
        Ok(body) => Json(body).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn introspected(Shared { app, .. }: &Shared, request: Request) -> Result<Value> {
    let (mut parts, body) = request.into_parts();
    let Management(caller) = Management::from_request_parts(&mut parts, app).await?;
    caller.require_admin()?;
    let fields = Fields::posted(app, Request::from_parts(parts, body)).await?;
    let found = app.store.grant_of(&hash_token(fields.need("token")?)).await?;
    let Some((grant, kind, expires_at)) = found.filter(|(grant, ..)| *grant.account_id == *caller.scope.account) else {
        return Ok(json!({ "active": false }));
    };
    let mut answer = json!({
        "active": true,
        "sub": grant.user_id,
        "aud": grant.resource,
        "scope": grant.scope,
        "client_name": grant.client_name,
        "exp": expires_at / 1000,
        "iat": grant.created_at / 1000,
        "server_id": grant.server_id,
        "grant_id": grant.id,
    });
    if kind == TokenKind::Access {
        answer["token_type"] = "Bearer".into();
    }
    Ok(answer)
}
