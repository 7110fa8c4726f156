//! Servers: virtual MCP servers and what they may reach.

use std::sync::Arc;

use amalgam_policy::Restrictions;
use serde::{Deserialize, Serialize};

use super::{
    Page, Scope, Store,
    db::{execute, execute_in, fetch_all, fetch_optional, is_duplicate},
    room,
    tokens::{self, NewToken, Revealed},
};
use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// Longest id: the slug of a name of 100 characters, `-`, 8 characters; in bytes.
const MAX_ID: usize = 109;
/// A page has no more servers than have this much text together, in bytes.
const MAX_PAGE: i64 = 8 * 1024 * 1024;

/// A virtual MCP server, compiled for use.
#[derive(Debug, Clone)]
pub struct Server {
    /// Slug of the name, `-`, 8 characters.
    pub id: String,
    /// Its tenant and owner.
    pub owner: Scope,
    /// Unique per owner.
    pub name: String,
    /// For people.
    pub description: String,
    /// `customInstructions`: what assistants are told.
    pub instructions: String,
    /// What it may reach.
    pub restrictions: Restrictions,
    /// The optional settings.
    pub settings: Settings,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

/// The optional settings of a server, with the defaults of docs/rest.md, section "Servers".
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// What clients see as tools.
    pub exposure: Exposure,
    /// With `direct`: the connectors whose actions are tools.
    pub connectors: Vec<String>,
    /// With `direct`: when a tool's name starts with its connector's id.
    pub tool_prefix: ToolPrefix,
    /// Who may choose the user on the token URL.
    pub user_override: UserOverride,
    /// Instead of the default of 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_minute: Option<u32>,
    /// Answers that a model reads have no more tokens than so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Members of the account other than the owner may use it.
    pub is_public: bool,
}

/// What clients see as tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// The eight tools.
    #[default]
    Dynamic,
    /// Every permitted action of the named connectors is a tool of its own.
    Direct,
}

/// When a direct tool's name starts with its connector's id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolPrefix {
    /// Never; of two with the same name the later one is left out of the list and named in the log.
    Never,
    /// Only where two names would be the same.
    #[default]
    Conflict,
    /// Always.
    Always,
}

/// Who may choose the effective user on a token URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserOverride {
    /// The `x-alloy-userid` header or a verified JWT.
    #[default]
    Header,
    /// A verified JWT only.
    Jwt,
    /// Nobody: always the owner.
    None,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    user_id: String,
    name: String,
    description: String,
    instructions: String,
    restrictions: String,
    settings: String,
    created_at: i64,
    updated_at: i64,
}

#[derive(sqlx::FromRow)]
struct RowWithToken {
    #[sqlx(flatten)]
    server: Row,
    token: Option<String>,
    token_expires_at: Option<i64>,
}

impl TryFrom<Row> for Server {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let wire = serde_json::from_str(&row.restrictions).map_err(Error::internal)?;
        Ok(Self {
            id: row.id,
            owner: Scope { account: row.account_id.into(), user: row.user_id.into() },
            name: row.name,
            description: row.description,
            instructions: row.instructions,
            restrictions: Restrictions::parse(&wire).map_err(|e| Error::internal(e.message))?,
            settings: serde_json::from_str(&row.settings).map_err(Error::internal)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn duplicate_name(error: sqlx::Error, name: &str) -> Error {
    if is_duplicate(&error) {
        Error::new(Kind::Conflict, format!("Server name already exists: you have a server called \"{name}\". Choose another `name`."))
            .with_details(serde_json::json!({ "field": "name" }))
    } else {
        error.into()
    }
}

impl Store {
    /// Makes a server with its first token.
    pub async fn create_server(&self, server: &Server, token: &NewToken<'_>) -> Result<()> {
        let owner = &server.owner;
        let own = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from servers where account_id = $1 and user_id = $2",
            &*owner.account,
            &*owner.user
        )?;
        room(own, self.maximums.servers_per_user, "max-servers-per-user")?;
        let all = fetch_optional!(&self.db, (i64,), "select count(*) from servers where account_id = $1", &*owner.account)?;
        room(all, self.maximums.servers_per_account, "max-servers-per-account")?;
        let mut tx = self.db.begin().await?;
        execute_in!(
            &mut tx,
            "insert into servers (id, account_id, user_id, name, description, instructions, restrictions, settings, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &server.id,
            &*server.owner.account,
            &*server.owner.user,
            &server.name,
            &server.description,
            &server.instructions,
            server.restrictions.to_wire().to_string(),
            settings_json(&server.settings)?,
            server.created_at,
            server.updated_at
        )
        .map_err(|e| duplicate_name(e, &server.name))?;
        tokens::insert(&mut tx, &server.id, token).await?;
        tx.commit().await?;
        self.servers.forget(&server.id);
        Ok(())
    }

    /// The server with this id in this account, whoever owns it. Callers judge ownership where it matters.
    pub async fn server_in_account(&self, account: &str, id: &str) -> Result<Option<Arc<Server>>> {
        Ok(self.server_by_id(id).await?.filter(|server| &*server.owner.account == account))
    }

    /// The server that the scope's user owns.
    pub async fn server(&self, scope: &Scope, id: &str) -> Result<Arc<Server>> {
        self.server_by_id(id).await?.filter(|server| server.owner == *scope).ok_or_else(|| Error::not_found("server"))
    }

    /// The server that somebody wants to sign in to. No scope: signing in is what gives one, and until then nothing of it is shown.
    pub async fn server_to_sign_in(&self, id: &str) -> Result<Option<Arc<Server>>> {
        self.server_by_id(id).await
    }

    /// The server with this id. No scope: a valid token, which is where the scope comes from, has named it.
    pub(super) async fn server_by_id(&self, id: &str) -> Result<Option<Arc<Server>>> {
        // A longer one cannot exist, and must not take room in the cache.
        if id.len() > MAX_ID {
            return Ok(None);
        }
        let load = async {
            let row = fetch_optional!(
                &self.db,
                Row,
                "select id, account_id, user_id, name, description, instructions, restrictions, settings, created_at, updated_at
                 from servers where id = $1",
                id
            )?;
            row.map(|row| Server::try_from(row).map(Arc::new)).transpose()
        };
        self.servers.get_or_load(id.to_owned(), load).await
    }

    /// The scope's servers with their tokens, oldest first, and how many there are in all. Fewer than the page asks for when they are
    /// large.
    pub async fn list_servers(&self, scope: &Scope, page: Page) -> Result<(Vec<(Server, Option<Revealed>)>, i64)> {
        let sizes = fetch_all!(
            &self.db,
            (i64,),
            "select cast(octet_length(description) + octet_length(instructions) + octet_length(restrictions) + octet_length(settings) as bigint)
             from servers where account_id = $1 and user_id = $2 order by created_at, id limit $3 offset $4",
            &*scope.account,
            &*scope.user,
            page.limit,
            page.offset
        )?;
        let mut room = MAX_PAGE;
        let fitting = sizes.iter().take_while(|(size,)| {
            room -= size;
            room >= 0
        });
        let fitting = i64::try_from(fitting.count()).unwrap_or(0);
        let rows = fetch_all!(
            &self.db,
            RowWithToken,
            "select s.id, s.account_id, s.user_id, s.name, s.description, s.instructions, s.restrictions, s.settings, s.created_at,
                    s.updated_at, t.sealed as token, t.expires_at as token_expires_at
             from servers s left join tokens t on t.server_id = s.id and t.is_current = 1
             where s.account_id = $1 and s.user_id = $2 order by s.created_at, s.id limit $3 offset $4",
            &*scope.account,
            &*scope.user,
            fitting,
            page.offset
        )?;
        let total = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from servers where account_id = $1 and user_id = $2",
            &*scope.account,
            &*scope.user
        )?;
        let servers = rows.into_iter().map(|row| {
            let token = self.reveal(&row.server.id, row.token, row.token_expires_at)?;
            Ok((Server::try_from(row.server)?, token))
        });
        Ok((servers.collect::<Result<_>>()?, total.map_or(0, |(n,)| n)))
    }

    /// Writes the changed fields of a server that the scope's user owns, if it is still the one that was read.
    pub async fn update_server(&self, scope: &Scope, server: &Server, read_at: i64) -> Result<bool> {
        let done = execute!(
            &self.db,
            "update servers set name = $1, description = $2, instructions = $3, restrictions = $4, settings = $5, updated_at = $6
             where id = $7 and account_id = $8 and user_id = $9 and updated_at = $10",
            &server.name,
            &server.description,
            &server.instructions,
            server.restrictions.to_wire().to_string(),
            settings_json(&server.settings)?,
            server.updated_at,
            &server.id,
            &*scope.account,
            &*scope.user,
            read_at
        )
        .map_err(|e| duplicate_name(e, &server.name))?;
        self.servers.forget(&server.id);
        Ok(done > 0)
    }

    /// Removes a server with its tokens and workflows. False when the scope's user has none with this id.
    pub async fn delete_server(&self, scope: &Scope, id: &str) -> Result<bool> {
        let done = execute!(
            &self.db,
            "delete from servers where id = $1 and account_id = $2 and user_id = $3",
            id,
            &*scope.account,
            &*scope.user
        )?;
        // Its tokens may stay in their cache: what they name is gone.
        self.servers.forget(&id.to_owned());
        Ok(done > 0)
    }
}

fn settings_json(settings: &Settings) -> Result<String> {
    serde_json::to_string(settings).map_err(Error::internal)
}

impl Server {
    /// Whether this user of its account may use it without a token of its own.
    pub fn is_for(&self, user: &str) -> bool {
        *self.owner.user == *user || self.settings.is_public
    }

    /// What it takes in memory, about, in bytes.
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.id, &self.name, &self.description, &self.instructions];
        let texts = texts.into_iter().chain(&self.settings.connectors).map(|text| 24 + text.len()).sum::<usize>();
        512 + self.owner.user.len() + texts + self.restrictions.weight()
    }

    /// A new `updated_at` that differs from the old one even within the same millisecond.
    pub fn touch(&mut self) {
        self.updated_at = now_ms().max(self.updated_at + 1);
    }
}
