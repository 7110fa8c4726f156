//! The authorization endpoint: what a client asks for, judged before anybody is asked to sign in.
//!
//! What is wrong with a request is shown to the person, never sent on: anybody can register a redirect address, and nobody is to be led
//! away by a link to us (RFC 9700 section 4.11.2).

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::{
    Shared,
    client::{self, Client},
    consent,
    fields::Fields,
    redirect,
    session::Session,
    sign_in,
};
use crate::{
    app::App,
    auth::resource::{SCOPE, address},
    clock::now_ms,
    error::{Error, Kind, Result},
    page,
    request::{Peer, RequestId},
    store::accounts::DEFAULT_ACCOUNT,
};

/// A form must be sent within this time, in milliseconds.
const LIFE_MS: i64 = 10 * 60 * 1000;

/// A request that may be granted, as forms carry it: sealed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Asked {
    /// SHA-256 of the client's id, in hex.
    pub client: String,
    /// What the client calls itself.
    pub client_name: String,
    /// The host that vouches for the client.
    pub client_host: Option<String>,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// The code challenge (S256).
    pub challenge: String,
    /// The client's own.
    pub state: Option<String>,
    /// The address that the token is for.
    pub resource: String,
    /// The server at that address; `None` where the user chooses one.
    pub server_id: Option<String>,
    /// Who we were to the client.
    pub issuer: String,
    /// Of the session in which the form was shown.
    pub nonce: String,
    /// Milliseconds.
    pub until: i64,
}

impl Asked {
    /// As a form carries it.
    pub fn seal(&self, app: &App) -> Result<String> {
        app.store.sealer().seal(&["authorization request"], &serde_json::to_string(self).map_err(Error::internal)?)
    }

    /// From a form that was sent in the session in which it was shown, in time.
    pub fn open(app: &App, fields: &Fields, session: Option<&Session>) -> Result<Self> {
        let over = || {
            Error::new(Kind::InvalidRequest, "This page is no longer valid, or cookies are not accepted. Start again in your MCP client.")
        };
        let text = app.store.sealer().unseal(&["authorization request"], fields.need("request")?).map_err(|_| over())?;
        let asked: Self = serde_json::from_str(text.expose()).map_err(|_| over())?;
        let same = session.is_some_and(|session| amalgam_vault::same(session.nonce.as_bytes(), asked.nonce.as_bytes()));
        if same && asked.until > now_ms() { Ok(asked) } else { Err(over()) }
    }

    /// The account whose user is to sign in; `None` where there is no such server, which is not said.
    pub async fn account(&self, app: &App) -> Result<Option<String>> {
        let Some(id) = &self.server_id else { return Ok(Some(DEFAULT_ACCOUNT.to_owned())) };
        Ok(app.store.server_to_sign_in(id).await?.map(|server| server.owner.account.to_string()))
    }

    /// Sends the browser back to the client with these parameters.
    pub fn answer(&self, parameters: &[(&str, Option<&str>)]) -> String {
        let own = [("state", self.state.as_deref()), ("iss", Some(self.issuer.as_str()))];
        redirect::with(&self.redirect_uri, &[parameters, &own].concat())
    }
}

/// Ask a user to let a client use a server.
pub async fn authorize(State(shared): State<Shared>, id: RequestId, peer: Peer, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    asked(&shared, peer, &headers, query.as_deref().unwrap_or_default()).await.unwrap_or_else(|error| page::error(&error, &id))
}

async fn asked(shared: &Shared, peer: Peer, headers: &HeaderMap, query: &str) -> Result<Response> {
    let app = &shared.app;
    let issuer = address(app, headers);
    let session = Session::read(app, &issuer, headers).unwrap_or_else(|| Session::new(None));
    let fields = Fields::parse(query.as_bytes())?;
    let client = client::find(shared, fields.need("client_id")?, peer.source(&app.config, headers)).await?;
    let asked = judge(&client, issuer, &fields, &session)?;
    if let Some(user) = &session.user
        && asked.account(app).await?.is_some_and(|account| account == user.account)
        && user.lives(app).await?
    {
        return consent::show(app, &asked, &session, user).await;
    }
    sign_in::show(app, &asked, &session, None)
}

/// Everything that a request must be.
fn judge(client: &Client, issuer: String, fields: &Fields, session: &Session) -> Result<Asked> {
    let redirect_uri = fields.need("redirect_uri")?;
    if !client.redirects_to(redirect_uri) {
        return Err(Error::invalid("redirect_uri", "`redirect_uri` is not one that this client has registered. Nothing was sent there."));
    }
    let must = |name: &str, value: &str| {
        if fields.get(name) == Some(value) { Ok(()) } else { Err(Error::invalid(name, format!("`{name}` must be `{value}`."))) }
    };
    must("response_type", "code")?;
    must("code_challenge_method", "S256")?;
    if fields.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(Error::invalid("response_mode", "`response_mode` must be `query`, or be left out."));
    }
    if let Some(name) = ["request", "request_uri"].into_iter().find(|name| fields.get(name).is_some()) {
        return Err(Error::invalid(name, format!("`{name}` is not taken: send the parameters themselves.")));
    }
    let challenge = fields.need("code_challenge")?;
    // SHA-256 in base64url. Source: RFC 7636, section 4.2.
    if challenge.len() != 43 || !challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(Error::invalid("code_challenge", "`code_challenge` must be the SHA-256 of the code verifier in base64url."));
    }
    let state = fields.get("state");
    if state.is_some_and(|state| state.len() > 4_000) {
        return Err(Error::invalid("state", "`state` may have at most 4,000 bytes."));
    }
    let resource = fields.get("resource").ok_or_else(|| {
        Error::invalid("resource", "`resource` is missing: the client must name the MCP server that it wants to use (RFC 8707).")
    })?;
    let server_id = match resource.strip_prefix(&format!("{issuer}/mcp")) {
        Some("") => None,
        Some(rest) => Some(rest.strip_prefix('/').filter(|id| (1..=109).contains(&id.len()) && !id.contains(['/', '?', '#']))),
        None => Some(None),
    };
    let server_id = match server_id {
        None => None,
        Some(Some(id)) => Some(id.to_owned()),
        Some(None) => {
            let sentence = format!("`resource` is not the address of an MCP server here: it must be {issuer}/mcp/ and the server's id.");
            return Err(Error::invalid("resource", sentence));
        }
    };
    Ok(Asked {
        client: amalgam_vault::hex(&amalgam_vault::hash_token(&client.id)),
        client_name: client.name.clone(),
        client_host: client.host.clone(),
        redirect_uri: redirect_uri.to_owned(),
        challenge: challenge.to_owned(),
        state: state.map(str::to_owned),
        resource: resource.to_owned(),
        server_id,
        issuer,
        nonce: session.nonce.clone(),
        until: now_ms() + LIFE_MS,
    })
}

/// What a user allows: whatever else a client asks for, there is one scope.
pub const GRANTED: &str = SCOPE;
