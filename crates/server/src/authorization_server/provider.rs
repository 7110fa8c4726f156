//! Signing in through the operator's OpenID Connect provider: we are its client, and it says who the user is.
//!
//! The id token comes straight from its token endpoint, so that the connection vouches for it (OpenID Connect Core 3.1.3.7, item 6).

use std::{sync::Arc, time::Duration};

use amalgam_protocol::Pieces;
use amalgam_vault::url_safe;
use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::LOCATION};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{
    Shared,
    authorize::Asked,
    consent,
    fields::Fields,
    session::{Session, SignedIn},
    sign_in,
};
use crate::{
    app::App,
    auth::resource::address,
    clock::{now_ms, random},
    config::Oidc,
    egress::OutgoingRequest,
    error::{Error, Kind, Result},
    oauth::{Authentication, Client, Consent, Pkce, Pointers, TokenRequest, request},
    page,
    request::RequestId,
    store::accounts::DEFAULT_ACCOUNT,
};

/// Metadata is read again after this time.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Largest metadata, in bytes.
const MAX_METADATA: usize = 64 * 1024;
/// Clocks may differ by this much, in seconds.
const SKEW: i64 = 60;
/// Longest user id that a provider may name, in bytes: it stands in a cookie.
const MAX_USER: usize = 255;

/// What the provider says of itself.
#[derive(Deserialize)]
pub struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// The provider's metadata, and when it was read.
pub type Kept = Option<(Instant, Arc<Metadata>)>;

/// What comes back with the browser: sealed.
#[derive(Serialize, Deserialize)]
struct Way {
    request: String,
    verifier: String,
    nonce: String,
}

/// The provider's host, for the page.
pub fn host(app: &App) -> Option<String> {
    Url::parse(&app.config.oidc.as_ref()?.issuer).ok()?.host_str().map(str::to_owned)
}

fn configured(app: &App) -> Result<&Oidc> {
    app.config.oidc.as_ref().ok_or_else(|| Error::not_found("path"))
}

fn failed(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::PlatformFailed, format!("The sign-in provider {what}. Try again, or tell whoever runs this server."))
}

/// Send the browser to the provider.
pub async fn leave(State(shared): State<Shared>, id: RequestId, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    left(&shared, &headers, query.as_deref().unwrap_or_default()).await.unwrap_or_else(|error| page::error(&error, &id))
}

async fn left(shared: &Shared, headers: &HeaderMap, query: &str) -> Result<Response> {
    let app = &shared.app;
    let oidc = configured(app)?;
    let fields = Fields::parse(query.as_bytes())?;
    let issuer = address(app, headers);
    Asked::open(app, &fields, Session::read(app, &issuer, headers).as_ref())?;
    let metadata = metadata(shared, oidc).await?;
    let (pkce, nonce) = (Pkce::new(), url_safe(&random::<16>()));
    let way = Way { request: fields.need("request")?.to_owned(), verifier: pkce.verifier.expose().to_owned(), nonce: nonce.clone() };
    let state = app.store.sealer().seal(&["provider"], &serde_json::to_string(&way).map_err(Error::internal)?)?;
    let consent = Consent {
        endpoint: &metadata.authorization_endpoint,
        client_id: &oidc.client_id,
        redirect_uri: &format!("{issuer}/oauth/signed-in"),
        state: &state,
        challenge: &pkce.challenge,
        scope: if oidc.user_claim == "sub" { "openid" } else { "openid email profile" },
        scope_parameter: "scope",
        further: &[("nonce", &nonce)],
    };
    let to = consent.url(&app.config.egress_allow).map_err(|_| failed("names an address that no browser is sent to"))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(to.as_str()).map_err(Error::internal)?);
    Ok(response)
}

/// Take the browser back; the next page asks for consent.
pub async fn back(State(shared): State<Shared>, id: RequestId, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    came_back(&shared, &headers, query.as_deref().unwrap_or_default(), &id).await.unwrap_or_else(|error| page::error(&error, &id))
}

async fn came_back(shared: &Shared, headers: &HeaderMap, query: &str, request_id: &str) -> Result<Response> {
    let app = &shared.app;
    let oidc = configured(app)?;
    let answer = Fields::parse(query.as_bytes())?;
    let issuer = address(app, headers);
    let over = || Error::new(Kind::InvalidRequest, "This sign-in is over. Start again in your MCP client.");
    let text = app.store.sealer().unseal(&["provider"], answer.need("state")?).map_err(|_| over())?;
    let way: Way = serde_json::from_str(text.expose()).map_err(|_| over())?;
    // Opens only in the browser that has left from here, in time.
    let fields = Fields::one("request", way.request);
    let asked = Asked::open(app, &fields, Session::read(app, &issuer, headers).as_ref())?;
    if answer.get("iss").is_some_and(|named| named != oidc.issuer) {
        return Err(failed("answered in another's name"));
    }
    if let Some(error) = answer.get("error") {
        let said: String = error.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
        return Err(failed(format_args!("did not sign you in ({said})")));
    }
    let claims = exchanged(shared, oidc, &issuer, answer.need("code")?, &way.verifier).await?;
    let user = named(oidc, &claims, &way.nonce)?;
    // The operator's users are those of the operator's account; what another account has is not there for them.
    if asked.account(app).await?.as_deref() != Some(DEFAULT_ACCOUNT) {
        return Err(Error::not_found("server"));
    }
    let name = claims["email"].as_str().or_else(|| claims["name"].as_str()).unwrap_or(&user).chars().take(100).collect();
    sign_in::record(app, DEFAULT_ACCOUNT, &user, "user.sign-in", asked.server_id.as_deref(), None, StatusCode::OK, request_id).await;
    let user = SignedIn { account: DEFAULT_ACCOUNT.to_owned(), user, name, at: now_ms(), password_at: None };
    let session = Session::new(Some(user.clone()));
    let asked = Asked { nonce: session.nonce.clone(), ..asked };
    consent::show(app, &asked, &session, &user).await
}

/// The claims of the id token that the code is exchanged for.
async fn exchanged(shared: &Shared, oidc: &Oidc, issuer: &str, code: &str, verifier: &str) -> Result<Value> {
    let app = &shared.app;
    let metadata = metadata(shared, oidc).await?;
    let secret = app.oidc_secret.as_ref().map(|secret| amalgam_vault::Secret::new(secret.expose().to_owned()));
    let by_post = metadata.token_endpoint_auth_methods_supported.iter().any(|method| method == "client_secret_post");
    let by_basic = metadata.token_endpoint_auth_methods_supported.iter().any(|method| method == "client_secret_basic");
    let authentication = match secret {
        None => Authentication::None,
        Some(secret) if by_post && !by_basic => Authentication::Post(secret),
        Some(secret) => Authentication::Basic(secret),
    };
    let client = Client { id: oidc.client_id.clone(), authentication };
    let redirect_uri = format!("{issuer}/oauth/signed-in");
    let params =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri.as_str()), ("code_verifier", verifier)];
    let ask = TokenRequest { url: &metadata.token_endpoint, client: &client, params: &params, json: false, audience: &oidc.issuer };
    let tokens = request(&app.egress, &ask, &Pointers::default()).await.map_err(|failure| failed(format_args!("refused ({failure})")))?;
    let token = tokens.id_token.ok_or_else(|| failed("answered without an id token"))?;
    let payload = token.expose().split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    payload.and_then(|payload| serde_json::from_slice(&payload).ok()).ok_or_else(|| failed("answered with an id token that is none"))
}

/// The user, when the token is for us, of this provider, of now, and of this sign-in. Source: OpenID Connect Core, section 3.1.3.7.
fn named(oidc: &Oidc, claims: &Value, nonce: &str) -> Result<String> {
    let id = oidc.client_id.as_str();
    let is_ours = match &claims["aud"] {
        Value::String(one) => one == id,
        Value::Array(all) => all.iter().any(|one| one == id) && (all.len() == 1 || claims["azp"] == id),
        _ => false,
    };
    let in_time = claims["exp"].as_i64().is_some_and(|at| at.saturating_add(SKEW) > now_ms() / 1_000);
    if claims["iss"] != oidc.issuer.as_str() || !is_ours || !in_time || claims["nonce"] != nonce {
        return Err(failed("answered with an id token that is not for this sign-in"));
    }
    if oidc.user_claim == "email" && claims["email_verified"] != true {
        return Err(Error::new(Kind::Forbidden, "Your address is not verified at the sign-in provider."));
    }
    let user = claims[&oidc.user_claim].as_str().filter(|user| !user.trim().is_empty() && user.len() <= MAX_USER && !user.contains('\0'));
    user.map(str::to_owned).ok_or_else(|| failed(format_args!("did not say who you are: the claim `{}` is missing", oidc.user_claim)))
}

/// The provider's metadata, kept for a while. Several at once ask once.
async fn metadata(shared: &Shared, oidc: &Oidc) -> Result<Arc<Metadata>> {
    let mut kept = shared.provider.lock().await;
    if let Some((at, metadata)) = &*kept
        && at.elapsed() < LIFE
    {
        return Ok(metadata.clone());
    }
    let request = OutgoingRequest {
        method: Method::GET,
        url: &format!("{}/.well-known/openid-configuration", oidc.issuer.trim_end_matches('/')),
        headers: HeaderMap::new(),
        body: Pieces::default(),
        timeout: Duration::from_secs(5),
        max_response_bytes: MAX_METADATA,
        follow_redirects: false,
        credential_bound: false,
    };
    let unusable = |cause: String| Error { cause: Some(cause.into()), ..failed("cannot be used: its metadata cannot be read") };
    let answer = shared.app.egress.send(request).await.map_err(|error| unusable(format!("{error} {}", error.cause())))?;
    if !answer.status.is_success() || !answer.is_json() {
        return Err(unusable(format!("{} without JSON", answer.status)));
    }
    let found: Metadata = serde_json::from_slice(&answer.body).map_err(|error| unusable(format!("{}: {error}", answer.status)))?;
    // Otherwise whoever answers here could speak for another (OpenID Connect Discovery, section 4.3).
    if found.issuer != oidc.issuer {
        return Err(unusable(format!("it names the issuer {:?}", found.issuer)));
    }
    let found = Arc::new(found);
    *kept = Some((Instant::now(), found.clone()));
    Ok(found)
}
