//! The token endpoint, and revocation (RFC 7009).

use std::net::IpAddr;

use amalgam_vault::{hash_token, hex, same, url_safe};
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{ACCESS_MS, REFRESH_MS, Shared, client, fields::Fields, refusal::Refusal, sign_in};
use crate::{
    auth::ACCESS_PREFIX,
    clock::{now_ms, random},
    error::Kind,
    request::{Peer, RequestId, to_the_end},
    store::grants::{Exchange, Grant, NewToken, TokenKind},
};

/// Exchange a code or a refresh token.
pub async fn exchange(State(shared): State<Shared>, id: RequestId, headers: HeaderMap, request: Request) -> Response {
    let work = async move { Ok(exchanged(&shared, &headers, request, &id).await) };
    // Half of it would be a token that is used up and none in its place.
    match to_the_end(work).await.unwrap_or_else(|error| Err(Refusal::from(&error, ""))) {
        Ok(body) => Json(body).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn exchanged(shared: &Shared, headers: &HeaderMap, request: Request, request_id: &str) -> Result<Value, Refusal> {
    let app = &shared.app;
    let ours = |error| Refusal::from(&error, request_id);
    let source = Peer::of(request.extensions()).source(&app.config, headers);
    let fields = Fields::posted(app, request).await.map_err(ours)?;
    let client = authenticated(shared, headers, source, &fields, request_id).await?;
    let need = |name| fields.need(name).map_err(ours);
    let (kind, presented) = match need("grant_type")? {
        "authorization_code" => (TokenKind::Code, need("code")?),
        "refresh_token" => (TokenKind::Refresh, need("refresh_token")?),
        _ => return Err(Refusal::new("unsupported_grant_type", "`grant_type` must be `authorization_code` or `refresh_token`.")),
    };
    let (redirect_uri, challenge) = match kind {
        TokenKind::Code => (Some(need("redirect_uri")?), Some(challenge_of(need("code_verifier")?)?)),
        _ => (None, None),
    };
    let resource = fields.get("resource");
    let accepts = |grant: &Grant| {
        same(grant.client.as_bytes(), client.as_bytes())
            && redirect_uri.is_none_or(|uri| uri == grant.redirect_uri)
            && challenge.as_ref().is_none_or(|challenge| same(challenge.as_bytes(), grant.challenge.as_bytes()))
            // Absent, it is what the user has allowed; another one is never added. Source: RFC 8707, section 2.2.
            && resource.is_none_or(|resource| resource == grant.resource)
    };
    let (access, refresh) = (format!("{ACCESS_PREFIX}{}", url_safe(&random::<32>())), format!("mcp_refresh_{}", url_safe(&random::<32>())));
    let now = now_ms();
    let new = [
        NewToken { kind: TokenKind::Access, hash: &hash_token(&access), expires_at: now + ACCESS_MS },
        NewToken { kind: TokenKind::Refresh, hash: &hash_token(&refresh), expires_at: now + REFRESH_MS },
    ];
    let life = i64::try_from(app.config.grant_life.as_millis()).unwrap_or(i64::MAX);
    match app.store.exchange(kind, &hash_token(presented), accepts, &new, life).await.map_err(ours)? {
        Exchange::Done(grant) => Ok(json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": ACCESS_MS.min(grant.created_at + life - now) / 1000,
            "refresh_token": refresh,
            "scope": grant.scope,
        })),
        Exchange::Replayed(grant) => {
            tracing::warn!(request_id, grant = grant.id, "a code or refresh token was used twice; what came of it has ended");
            let (account, user, server) = (&grant.account_id, &grant.user_id, Some(grant.server_id.as_str()));
            sign_in::record(app, account, user, "grant.replay", server, Some(&grant.id), StatusCode::FORBIDDEN, request_id).await;
            Err(Refusal::grant())
        }
        Exchange::Refused => Err(Refusal::grant()),
    }
}

/// The code challenge of a verifier (S256). Source: RFC 7636, sections 4.1 and 4.6.
fn challenge_of(verifier: &str) -> Result<String, Refusal> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(Refusal::new("invalid_request", "`code_verifier` must have 43 to 128 letters, digits, `-`, `.`, `_` and `~`."));
    }
    Ok(url_safe(digest(&SHA256, verifier.as_bytes()).as_ref()))
}

/// The SHA-256 of the id of the client that asks, in hex. One that has a secret must show it, in one way.
async fn authenticated(shared: &Shared, headers: &HeaderMap, source: IpAddr, fields: &Fields, request_id: &str) -> Result<String, Refusal> {
    let basic = match headers.get(AUTHORIZATION) {
        Some(value) => Some(
            basic(value.as_bytes()).ok_or_else(|| Refusal::client("`Authorization` must be `Basic` with the client's id and secret."))?,
        ),
        None => None,
    };
    if basic.is_some() && fields.get("client_secret").is_some() {
        return Err(Refusal::new("invalid_request", "Send the client's secret in one place alone."));
    }
    let (id, secret) = match &basic {
        Some((id, secret)) => (id.as_str(), Some(secret.as_str()).filter(|secret| !secret.is_empty())),
        None => (fields.need("client_id").map_err(|error| Refusal::from(&error, request_id))?, fields.get("client_secret")),
    };
    if fields.get("client_id").is_some_and(|named| named != id) {
        return Err(Refusal::client("`client_id` and `Authorization` name different clients."));
    }
    let client = client::find(shared, id, source).await.map_err(|error| match error.kind {
        // It may well be what it says it is: the client is to ask again, not to forget what it has.
        Kind::Internal | Kind::Unavailable | Kind::RateLimited => Refusal::from(&error, request_id),
        _ => {
            error.log(request_id);
            Refusal::client(error.message)
        }
    })?;
    let fits = match (&client.secret, secret) {
        (Some(hash), Some(secret)) => same(hash.as_bytes(), hex(&hash_token(secret)).as_bytes()),
        (None, None) => true,
        _ => false,
    };
    if fits { Ok(hex(&hash_token(id))) } else { Err(Refusal::client("The client's secret is wrong, or it must not have one.")) }
}

/// Both parts are escaped as in a form. Source: RFC 6749, section 2.3.1.
fn basic(value: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':').filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let plain = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
    };
    Some((plain(id)?, plain(secret)?))
}

/// End what a user has allowed; of any token of it, known or not.
pub async fn revoke(State(shared): State<Shared>, id: RequestId, headers: HeaderMap, request: Request) -> Response {
    let work = async move { Ok(revoked(&shared, &headers, request, &id).await) };
    match to_the_end(work).await.unwrap_or_else(|error| Err(Refusal::from(&error, ""))) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn revoked(shared: &Shared, headers: &HeaderMap, request: Request, request_id: &str) -> Result<(), Refusal> {
    let app = &shared.app;
    let ours = |error| Refusal::from(&error, request_id);
    let source = Peer::of(request.extensions()).source(&app.config, headers);
    let fields = Fields::posted(app, request).await.map_err(ours)?;
    let client = authenticated(shared, headers, source, &fields, request_id).await?;
    let hash = hash_token(fields.need("token").map_err(ours)?);
    let Some((grant, ..)) = app.store.grant_of(&hash).await.map_err(ours)? else { return Ok(()) };
    // Another client's token is as unknown to this one as one that does not exist.
    if same(grant.client.as_bytes(), client.as_bytes()) {
        app.store.end_grant(&grant.id).await.map_err(ours)?;
        let (account, user, server) = (&grant.account_id, &grant.user_id, Some(grant.server_id.as_str()));
        sign_in::record(app, account, user, "grant.revoke", server, Some(&grant.id), StatusCode::OK, request_id).await;
    }
    Ok(())
}
