//! Dynamic registration (RFC 7591), for clients that know no metadata documents.

use amalgam_vault::{hash_token, hex, url_safe};
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Shared,
    client::{Client, Metadata},
    refusal::Refusal,
    within,
};
use crate::{
    clock::{now_ms, random},
    limits::bodies::Holder,
    request::{RequestId, read_body},
};

/// Registrations in a minute. They keep nothing; this only bounds the work.
const A_MINUTE: u32 = 120;
/// Largest body, in bytes.
const MAX: usize = 16 * 1024;

/// Register a client. Its id is its metadata, sealed.
pub async fn register(State(shared): State<Shared>, id: RequestId, request: Request) -> Response {
    match registered(&shared, request, &id).await {
        Ok(body) => (StatusCode::CREATED, Json(body)).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn registered(Shared { app, .. }: &Shared, request: Request, request_id: &str) -> Result<Value, Refusal> {
    let ours = |error| Refusal::from(&error, request_id);
    within(app, "registrations", A_MINUTE).map_err(ours)?;
    let body = read_body(app, &Holder::anybody(), request.into_body(), MAX).await.map_err(ours)?;
    let wrong = |sentence: &str| Refusal::new("invalid_client_metadata", sentence);
    let metadata: Metadata =
        serde_json::from_slice(&body).map_err(|_| wrong("Send a client's metadata as JSON, as RFC 7591 describes it."))?;
    let method = metadata.token_endpoint_auth_method.clone().unwrap_or_else(|| "client_secret_basic".to_owned());
    let secret = match method.as_str() {
        "none" => None,
        "client_secret_basic" | "client_secret_post" => Some(url_safe(&random::<32>())),
        _ => return Err(wrong("`token_endpoint_auth_method` must be `none`, `client_secret_basic` or `client_secret_post`.")),
    };
    let (name, redirect_uris) = metadata.checked().map_err(|(error, sentence)| Refusal::new(error, sentence))?;
    let hash = secret.as_deref().map(|secret| hex(&hash_token(secret)));
    let client = Client::register(app, name, redirect_uris, hash).map_err(ours)?;
    let mut body = json!({
        "client_id": client.id,
        "client_id_issued_at": now_ms() / 1000,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    });
    if let Some(secret) = secret {
        body["client_secret"] = secret.into();
        // Never expires. Source: RFC 7591, section 3.2.1.
        body["client_secret_expires_at"] = 0.into();
    }
    Ok(body)
}
