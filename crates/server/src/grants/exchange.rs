//! The requests to a platform's token endpoint: a code, a refresh token, a revocation.

use amalgam_connector::{
    definition::{AuthKind, AuthScheme, OAuth2, Refresh, TokenBody},
    variables::address,
};
use amalgam_vault::Secret;
use serde_json::{Map, Value};

use super::{Grants, destination};
use crate::{
    clock::now_ms,
    connectors::Loaded,
    error::{Error, Result},
    oauth::{self, Authentication, Client, Failure, Pointers, PrivateKey, TokenRequest, Tokens},
    store::{
        Scope,
        auth_configs::{AuthConfig, ClientAuth},
        credentials::{Credential, Grant, Opened, Renewal},
    },
};

/// A token is renewed this long before it ends, or a fifth of its life, whichever is shorter, in milliseconds.
const AHEAD_MS: i64 = 5 * 60 * 1000;
/// Nothing is believed to live longer, in seconds: ten years.
const MAX_LIFE: u64 = 10 * 365 * 24 * 60 * 60;

/// A code that came back with the browser.
pub struct Code<'a> {
    /// The code itself.
    pub code: &'a str,
    /// The proof key's other half.
    pub verifier: &'a str,
    /// Where it came back to.
    pub redirect_uri: &'a str,
    /// The connector's variables for this user.
    pub variables: Map<String, Value>,
}

/// Tokens as they are kept.
pub struct Granted {
    /// What calls need.
    pub opened: Opened,
    pub(super) auth_config: String,
    pub(super) refresh_at: Option<i64>,
    pub(super) expires_at: Option<i64>,
    pub(super) renewal: Renewal,
}

impl Granted {
    /// Whether there is something to renew it with.
    pub fn is_renewable(&self) -> bool {
        self.renewal.refresh_token.is_some()
    }

    /// For the store.
    pub fn grant(&self) -> Grant<'_> {
        Grant { auth_config: &self.auth_config, refresh_at: self.refresh_at, expires_at: self.expires_at, renewal: &self.renewal }
    }
}

/// The connector's way of signing in by OAuth.
pub fn scheme(loaded: &Loaded) -> Option<(&AuthScheme, &OAuth2)> {
    let scheme = loaded.connector.definition().auth.iter().find(|scheme| scheme.kind == AuthKind::OAuth2)?;
    Some((scheme, scheme.oauth2.as_ref()?))
}

impl Grants {
    /// Exchanges a code for tokens.
    ///
    /// # Errors
    /// What the platform said, or why it was not asked.
    pub async fn exchange(&self, scope: &Scope, loaded: &Loaded, config: &AuthConfig, code: Code<'_>) -> Result<Granted, Failure> {
        let Some((scheme, oauth2)) = scheme(loaded) else { return Err(Failure::Transient("the connector no longer has OAuth".to_owned())) };
        let opened = Opened {
            origin: loaded.connector.definition().origin(Some(scheme)).to_owned(),
            variables: code.variables,
            ..Opened::default()
        };
        let token_url = fill(loaded, &oauth2.token_url, &opened)?;
        goes_where_it_was_entered_for(loaded, config)?;
        let params = [
            ("grant_type", "authorization_code"),
            ("code", code.code),
            ("redirect_uri", code.redirect_uri),
            ("code_verifier", code.verifier),
        ];
        let tokens = self.token(scope, oauth2, config, &token_url, &params).await?;
        let revoke_url = oauth2.revoke_url.as_ref().map(|url| fill(loaded, url, &opened)).transpose()?;
        Ok(granted(oauth2, &config.id, opened, Renewal { refresh_token: None, token_url, revoke_url }, tokens))
    }

    /// Asks for new tokens; nothing where there is nothing to ask with, or nobody who may be asked.
    pub(super) async fn refresh(&self, scope: &Scope, loaded: &Loaded, credential: &Credential) -> Result<Option<Granted>, Failure> {
        let Some((_, oauth2)) = scheme(loaded) else { return Ok(None) };
        let kept = |error: Error| Failure::Transient(error.to_string());
        let renewal = self.store.renewal(scope, &credential.connector, &credential.id).await.map_err(kept)?;
        let config = match &credential.auth_config {
            Some(id) => self.store.auth_config(&scope.account, id).await.map_err(kept)?,
            None => None,
        };
        let (Some(renewal), Some(config)) = (renewal, config) else { return Ok(None) };
        let Some(refresh_token) = &renewal.refresh_token else { return Ok(None) };
        let opened = self.store.open_credential(scope, credential).map_err(kept)?;
        // Granted elsewhere: a definition that was changed does not lead a refresh token to another address.
        if fill(loaded, &oauth2.token_url, &opened)? != renewal.token_url {
            return Ok(None);
        }
        goes_where_it_was_entered_for(loaded, &config)?;
        let params = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        let tokens = self.token(scope, oauth2, &config, &renewal.token_url, &params).await?;
        Ok(Some(granted(oauth2, &config.id, opened, renewal, tokens)))
    }

    async fn token(
        &self,
        scope: &Scope,
        oauth2: &OAuth2,
        config: &AuthConfig,
        url: &str,
        params: &[(&str, &str)],
    ) -> Result<Tokens, Failure> {
        let client = self.client(scope, config)?;
        let audience = oauth2.issuer.as_deref().unwrap_or(url);
        let request = TokenRequest { url, client: &client, params, json: oauth2.token_body == TokenBody::Json, audience };
        let answer = oauth2.token_answer.as_ref();
        let pointers = Pointers {
            token: answer.and_then(|answer| answer.token.as_deref()),
            refresh_token: answer.and_then(|answer| answer.refresh_token.as_deref()),
            expires_in: answer.and_then(|answer| answer.expires_in.as_deref()),
            scope: answer.and_then(|answer| answer.scope.as_deref()),
            types: answer.map_or(&[], |answer| answer.types.as_slice()),
        };
        oauth::request(&self.egress, &request, &pointers).await
    }

    /// The client of an auth config, its secret in the clear.
    pub(super) fn client(&self, scope: &Scope, config: &AuthConfig) -> Result<Client, Failure> {
        let broken = |description: &str| Failure::Client { code: "invalid_client".to_owned(), description: description.to_owned() };
        let secret = self.store.open_auth_config(scope, config).map_err(|_| broken("its secret does not open"))?;
        let authentication = match (config.client_auth, secret) {
            (ClientAuth::None, _) => Authentication::None,
            (ClientAuth::Post, Some(secret)) => Authentication::Post(secret),
            (ClientAuth::Basic, Some(secret)) => Authentication::Basic(secret),
            (ClientAuth::PrivateKeyJwt, Some(key)) => private_key(&key, config.key_id.clone()).map_err(broken)?,
            (_, None) => return Err(broken("it has no secret")),
        };
        Ok(Client { id: config.client_id.clone(), authentication })
    }
}

/// Whoever changes a connector does not get the secret of its client sent elsewhere.
fn goes_where_it_was_entered_for(loaded: &Loaded, config: &AuthConfig) -> Result<(), Failure> {
    if config.client_auth == ClientAuth::None || destination(loaded, &config.variables) == config.sent_to {
        return Ok(());
    }
    let description = "the connector's token endpoint was changed since the secret was entered; enter the secret again".to_owned();
    Err(Failure::Client { code: "secret_not_sent".to_owned(), description })
}

fn private_key(pem: &Secret, id: Option<String>) -> Result<Authentication, &'static str> {
    PrivateKey::parse(pem.expose(), id).map(|key| Authentication::PrivateKey(Box::new(key)))
}

fn fill(loaded: &Loaded, template: &str, opened: &Opened) -> Result<String, Failure> {
    address(loaded.connector.definition(), template, &opened.variables()).map_err(|error| Failure::Transient(error.message.to_string()))
}

fn granted(oauth2: &OAuth2, auth_config: &str, mut opened: Opened, mut renewal: Renewal, tokens: Tokens) -> Granted {
    opened.fields.insert("token".to_owned(), tokens.access.expose().into());
    match tokens.refresh {
        _ if oauth2.refresh == Refresh::None => renewal.refresh_token = None,
        // A server that answers without a new one leaves the old one good (RFC 6749 section 6).
        Some(token) => renewal.refresh_token = Some(token.expose().to_owned()),
        None => {}
    }
    let life = tokens.expires_in.or(oauth2.lifetime).filter(|life| *life > 0);
    let life = life.and_then(|life| i64::try_from(life.min(MAX_LIFE) * 1_000).ok());
    let expires_at = life.map(|life| now_ms() + life);
    let refresh_at = match (expires_at, life) {
        (Some(at), Some(life)) if renewal.refresh_token.is_some() => Some(at - AHEAD_MS.min(life / 5)),
        _ => expires_at,
    };
    Granted { opened, auth_config: auth_config.to_owned(), refresh_at, expires_at, renewal }
}
