//! Who calls, and for whom. Every door asks here; the rules are in docs/credentials-and-identity.md.

mod identity;
pub mod resource;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, LazyLock},
};

use amalgam_policy::Decision;
use http::{HeaderMap, StatusCode};

pub use self::identity::{Identity, check_user_id};
pub use crate::jwt::looks_like as is_user_token;
use crate::{
    app::App,
    clock::now_ms,
    error::{Error, Kind, Result},
    limits::bodies::Holder,
    store::{
        Scope,
        accounts::DEFAULT_ACCOUNT,
        api_keys::Role,
        audit::Entry,
        servers::{Server, UserOverride},
    },
};

/// What every token of a server starts with.
pub const TOKEN_PREFIX: &str = "mcp_token_";
/// What every access token starts with that came of a sign-in.
pub const ACCESS_PREFIX: &str = "mcp_access_";

/// An authenticated caller and the user it acts for.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account, and the effective user.
    pub scope: Scope,
    /// What the caller proved to be.
    pub principal: Principal,
    /// What it may do.
    pub role: Role,
    /// The server whose restrictions hold, when the call comes through one.
    pub server: Option<Arc<Server>>,
    /// The effective user is the principal's own, not one that a header or a user token chose.
    pub is_own_user: bool,
    /// What its calls to MCP servers carry, because the operator lets it through.
    pub forwarded: HeaderMap,
}

/// What a caller proved to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// The holder of this API key.
    Key(String),
    /// The holder of this server's token.
    Token(String),
    /// A user whose token this issuer signed.
    Jwt(String),
    /// An MCP client that a signed-in user has allowed, by the id of that grant.
    Grant(String),
}

impl Principal {
    /// As in the audit trail.
    pub fn label(&self) -> String {
        let (kind, id) = match self {
            Self::Key(id) => ("key:", id),
            Self::Token(id) => ("token:", id),
            Self::Jwt(id) => ("jwt:", id),
            Self::Grant(id) => ("grant:", id),
        };
        [kind, id].concat()
    }
}

impl Caller {
    /// The key of the caller's rate window: principal and effective user.
    pub fn rate_key(&self) -> u64 {
        // Random for each process, so that nobody can choose ids that collide with another's window.
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        HASHER.hash_one((&self.principal, &self.scope))
    }

    /// The beginning of an entry in the audit trail: who, for whom, through which server.
    pub fn entry(&self, door: &'static str, operation: &'static str, request_id: &str) -> Entry {
        Entry {
            caller: self.principal.label(),
            server_id: self.server.as_ref().map(|server| server.id.clone()),
            ..Entry::new(&self.scope, door, operation, request_id)
        }
    }

    /// The scope of the user that a path or body names: any user of the account for an admin, else only the caller's own.
    pub fn scope_of(&self, user: &str) -> Result<Scope> {
        check_user_id("userId", user)?;
        if *self.scope.user == *user {
            return Ok(self.scope.clone());
        }
        if self.role != Role::Admin {
            let sentence = "No such user for you: with this key you act for yourself alone, and only an admin key acts for others.";
            return Err(Error::new(Kind::NotFound, sentence).with_details(serde_json::json!({ "field": "userId" })));
        }
        if let Some(server) = &self.server
            && let Decision::Deny(denial) = server.restrictions.user(user)
        {
            return Err(Error::denied(denial));
        }
        Ok(Scope { account: self.scope.account.clone(), user: user.into() })
    }

    /// The key of a window of its own for what this names, by effective user alone.
    pub fn window(&self, name: &str) -> u64 {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        HASHER.hash_one((name, &self.scope))
    }

    /// Whose large bodies are counted together: those of a key, of a server's token, of a user who shows a user token.
    pub fn holder(&self) -> Holder {
        let caller = match self.principal {
            Principal::Key(_) | Principal::Token(_) | Principal::Grant(_) => self.principal.label(),
            // One issuer signs for many, who choose nothing about it.
            Principal::Jwt(_) => format!("{}:{}", self.principal.label(), self.scope.user),
        };
        Holder { account: self.scope.account.clone(), caller }
    }

    /// Refuses callers who show a user token alone: what they make must not outlive it.
    pub fn require_key(&self) -> Result<()> {
        match self.principal {
            Principal::Key(_) if self.role == Role::Admin || self.is_own_user => Ok(()),
            Principal::Key(_) | Principal::Token(_) | Principal::Jwt(_) | Principal::Grant(_) => {
                Err(Error::new(Kind::Forbidden, "This needs an API key; a user token is not enough."))
            }
        }
    }

    /// Refuses everybody but admins of the account.
    pub fn require_admin(&self) -> Result<()> {
        if self.role == Role::Admin { Ok(()) } else { Err(Error::new(Kind::Forbidden, "This needs an API key with the role `admin`.")) }
    }

    /// Refuses everybody but the operator: an admin of the account `default`.
    pub fn require_operator(&self) -> Result<()> {
        if self.role == Role::Admin && &*self.scope.account == DEFAULT_ACCOUNT {
            Ok(())
        } else {
            Err(Error::new(Kind::Forbidden, "Accounts are managed by the operator: this needs an admin key of the account `default`."))
        }
    }
}

/// A caller before it is decided for whom it acts.
struct Proof {
    account: Arc<str>,
    user: Arc<str>,
    principal: Principal,
    role: Role,
    server: Option<Arc<Server>>,
}

/// Authenticates a management call (`/api`): an API key or a user token. Server tokens do not open it.
pub async fn management(app: &App, identity: &Identity<'_>) -> Result<Caller> {
    let proof = match identity.bearer {
        Some(token) if token.starts_with(TOKEN_PREFIX) => {
            let sentence = "A server's token does not open the management API. Send `Authorization: Bearer <API key>`; keys are made with `POST /api/keys`.";
            return Err(Error::new(Kind::Unauthorized, sentence));
        }
        Some(token) => by_bearer(app, token, None, None).await?,
        None => by_user_token(app, identity, None).await?,
    };
    for_whom(app, proof, identity, "rest").await
}

/// Authenticates a call of the REST twin: as for management, and a server's token works too. `x-mcp-server-id` names the server
/// whose restrictions hold.
pub async fn twin(app: &App, identity: &Identity<'_>) -> Result<Caller> {
    let proof = match identity.bearer {
        Some(token) => by_bearer(app, token, None, identity.server_id).await?,
        None => by_user_token(app, identity, identity.server_id).await?,
    };
    let caller = for_whom(app, proof, identity, "rest").await?;
    match identity.server_id {
        Some(id) => through_server(app, caller, identity, id, "rest").await,
        None => Ok(caller),
    }
}

/// Authenticates an MCP request. The token in the path alone decides on a token URL; `Authorization` is not looked at there.
pub async fn mcp(app: &App, identity: &Identity<'_>, server_id: Option<&str>, token: Option<&str>) -> Result<Caller> {
    if let Some(token) = token {
        let proof = by_token(app, token).await?;
        if proof.server.as_ref().is_none_or(|server| Some(server.id.as_str()) != server_id) {
            return Err(invalid_token());
        }
        return for_whom(app, proof, identity, "mcp").await;
    }
    let proof = match identity.bearer {
        Some(token) if token.starts_with(ACCESS_PREFIX) => {
            let proof = Box::pin(by_access(app, token, server_id.or(identity.server_id))).await?;
            return for_whom(app, proof, identity, "mcp").await;
        }
        Some(token) => Box::pin(by_bearer(app, token, server_id.or(identity.server_id), server_id.or(identity.server_id))).await?,
        None => Box::pin(by_user_token(app, identity, server_id.or(identity.server_id))).await?,
    };
    let caller = Box::pin(for_whom(app, proof, identity, "mcp")).await?;
    match (server_id.or(identity.server_id), &caller.server) {
        (Some(id), _) => Box::pin(through_server(app, caller, identity, id, "mcp")).await,
        (None, Some(_)) => Ok(caller),
        (None, None) => Err(Error::invalid(
            "x-mcp-server-id",
            "Name the server: POST to /mcp/{serverId}, or send its id in the header `x-mcp-server-id`.",
        )),
    }
}

/// Applies a server to a caller who reaches it by its id: ownership first, then the `users` restriction.
async fn through_server(app: &App, mut caller: Caller, identity: &Identity<'_>, id: &str, door: &'static str) -> Result<Caller> {
    let server = app.store.server_in_account(&caller.scope.account, id).await?.ok_or_else(|| Error::not_found("server"))?;
    let may = match &caller.principal {
        // An admin key acts for any user of its account, which is what "x-alloy-userid on /mcp/{serverId}" is for.
        Principal::Key(_) if caller.role == Role::Admin => true,
        Principal::Token(own) => *own == server.id,
        Principal::Key(_) | Principal::Jwt(_) | Principal::Grant(_) => server.is_for(&caller.scope.user),
    };
    if !may {
        return Err(Error::not_found("server"));
    }
    caller.server = Some(server);
    judged(app, caller, identity, door).await
}

/// The `users` restriction judges the effective user, at every door.
async fn judged(app: &App, caller: Caller, identity: &Identity<'_>, door: &'static str) -> Result<Caller> {
    if let Some(server) = &caller.server
        && let Decision::Deny(denial) = server.restrictions.user(&caller.scope.user)
    {
        // As often as the caller may call, so that refusals do not fill the trail.
        let limit = server.settings.rate_limit_per_minute.unwrap_or(app.config.rate_limit_per_minute);
        if app.limits.check(caller.rate_key(), limit).outcome.allowed {
            let mut entry = caller.entry(door, "server.use", identity.request_id);
            entry.end(StatusCode::FORBIDDEN);
            Box::pin(app.audit.record(&entry)).await;
        }
        return Err(Error::denied(denial));
    }
    Ok(caller)
}

fn invalid_token() -> Error {
    Error::new(Kind::Unauthorized, "Invalid or expired token. Ask the server's owner for its current token URL.")
}

async fn by_token(app: &App, token: &str) -> Result<Proof> {
    let server = app.store.server_of_token(amalgam_vault::hash_token(token)).await?.ok_or_else(invalid_token)?;
    Ok(Proof {
        account: server.owner.account.clone(),
        user: server.owner.user.clone(),
        principal: Principal::Token(server.id.clone()),
        role: Role::Member,
        server: Some(server),
    })
}

/// An access token opens the one server that its user allowed, while that user may use it.
async fn by_access(app: &App, token: &str, server_id: Option<&str>) -> Result<Proof> {
    let invalid = || Error::new(Kind::Unauthorized, "Invalid or expired access token, or one for another server. Sign in again.");
    let access = app.store.access(amalgam_vault::hash_token(token)).await?.ok_or_else(invalid)?;
    if server_id.is_some_and(|id| id != access.server_id) {
        return Err(invalid());
    }
    let server = app.store.server_in_account(&access.scope.account, &access.server_id).await?;
    let server = server.filter(|server| server.is_for(&access.scope.user)).ok_or_else(invalid)?;
    Ok(Proof {
        account: access.scope.account.clone(),
        user: access.scope.user.clone(),
        principal: Principal::Grant(access.grant_id.clone()),
        role: Role::Member,
        server: Some(server),
    })
}

/// `endpoint` is the server whose endpoint was called; `named` the one that the request names in whichever way.
async fn by_bearer(app: &App, token: &str, endpoint: Option<&str>, named: Option<&str>) -> Result<Proof> {
    if token.starts_with(TOKEN_PREFIX) {
        return by_token(app, token).await;
    }
    if is_user_token(token) {
        return if resource::is_for(app, token, endpoint) { by_jwt(app, token, named).await } else { Err(Error::unauthorized()) };
    }
    let key = app.store.api_key(amalgam_vault::hash_token(token)).await?;
    let key = key.filter(|key| key.expires_at.is_none_or(|at| at > now_ms())).ok_or_else(Error::unauthorized)?;
    Ok(Proof {
        account: key.account.clone(),
        user: key.user.clone(),
        principal: Principal::Key(key.id.clone()),
        role: key.role,
        server: None,
    })
}

async fn by_user_token(app: &App, identity: &Identity<'_>, server_id: Option<&str>) -> Result<Proof> {
    match identity.user_token {
        Some(token) if resource::is_for(app, token, None) => by_jwt(app, token, server_id).await,
        _ => Err(Error::unauthorized()),
    }
}

/// A server that is named says whose issuers count: two accounts may believe the same one.
async fn by_jwt(app: &App, token: &str, server_id: Option<&str>) -> Result<Proof> {
    let server = match server_id {
        Some(id) => app.store.server_to_sign_in(id).await?,
        None => None,
    };
    let named = match &server {
        Some(server) => app.user_tokens.verify(&server.owner.account, token).await.ok(),
        None => None,
    };
    let verified = match named {
        Some(verified) => verified,
        // Of another account it finds no such server.
        None => app.user_tokens.verify_for_any(token).await?,
    };
    Ok(Proof {
        account: verified.account,
        user: verified.user,
        principal: Principal::Jwt(verified.issuer.to_string()),
        role: Role::Member,
        server: None,
    })
}

/// Decides the effective user: verified user token, then `x-alloy-userid`, then the key's or server's own.
async fn for_whom(app: &App, proof: Proof, identity: &Identity<'_>, door: &'static str) -> Result<Caller> {
    let override_rule = match (&proof.principal, &proof.server) {
        (Principal::Token(_), Some(server)) => Some(server.settings.user_override),
        // Who has signed in is who it is.
        (Principal::Grant(_), _) => Some(UserOverride::None),
        _ => None,
    };
    let mut user = proof.user.clone();
    // A caller who shows a user token alone has been verified by it already.
    let by_itself = identity.bearer.is_none() && matches!(proof.principal, Principal::Jwt(_));
    if let Some(token) = identity.user_token.filter(|_| !by_itself) {
        if !resource::is_for(app, token, None) {
            return Err(Error::unauthorized());
        }
        // Verified even where it is not listened to: a token that is wrong is an error, never ignored.
        let named = app.user_tokens.verify(&proof.account, token).await?.user;
        if override_rule != Some(UserOverride::None) {
            user = named;
        }
    } else if let Some(wanted) = identity.user_id {
        let allowed = match (&proof.principal, override_rule) {
            // A server's setting decides whether its token URL listens to the header; where it does not, the header is no error.
            (_, Some(rule)) => rule == UserOverride::Header,
            (Principal::Jwt(_) | Principal::Grant(_), None) => false,
            (Principal::Key(_) | Principal::Token(_), None) if proof.role == Role::Admin || *wanted == *user => true,
            (Principal::Key(_) | Principal::Token(_), None) => {
                return Err(Error::new(
                    Kind::Forbidden,
                    "This API key has the role `member` and acts only for its own user; `x-alloy-userid` names another. Use an admin key.",
                ));
            }
        };
        if allowed {
            user = wanted.into();
        }
    }
    let is_own_user = user == proof.user;
    let caller = Caller {
        scope: Scope { account: proof.account, user },
        principal: proof.principal,
        role: proof.role,
        server: proof.server,
        is_own_user,
        forwarded: identity.forwarded(&app.config.upstream_headers),
    };
    judged(app, caller, identity, door).await
}
