//! Upstreams: MCP servers that users have registered, and what each offered when it was last asked.

use std::{collections::BTreeMap, sync::Arc};

use amalgam_vault::Secret;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    Scope, Store,
    db::{execute, execute_in, fetch_all, is_duplicate},
};
use crate::{
    clock::now_ms,
    config::Process,
    connectors::{
        Loaded,
        offering::{About, Lists, Offering},
    },
    error::{Error, Kind, Result},
};

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// One address for everything (2025-03-26 and later).
    StreamableHttp,
    /// A stream for answers, an address for requests (2024-11-05).
    Sse,
    /// A process of ours; only the operator's configuration makes such upstreams.
    Stdio,
}

impl Transport {
    /// As in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StreamableHttp => "streamable_http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        }
    }
}

/// How an upstream knows its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Not at all.
    None,
    /// By headers that the owner entered.
    Manual,
    /// By OAuth.
    Oauth,
}

impl Auth {
    /// As in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Manual => "manual",
            Self::Oauth => "oauth",
        }
    }
}

/// What may be set for one upstream beside its address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A picture's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// How long one call may take, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How many calls may run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<usize>,
    /// Other users of the account find it in the catalogue.
    pub in_catalog: bool,
    /// The catalogue shows it first.
    pub is_featured: bool,
    /// For the catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// A registered upstream.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// A UUID.
    pub id: String,
    /// Its tenant and owner.
    pub owner: Scope,
    /// The id of the connector that it is.
    pub slug: String,
    /// For people.
    pub name: String,
    /// Where it is. For a process: `stdio:` and its name in the configuration.
    pub url: String,
    /// How it is spoken to.
    pub transport: Transport,
    /// How it knows its caller.
    pub auth: Auth,
    /// Headers, sealed.
    pub sealed: Option<String>,
    /// The end user who has entered these headers; absent = its owner.
    pub end_user: Option<Arc<str>>,
    /// The rest.
    pub settings: Settings,
    /// When its lists were last read, in milliseconds.
    pub offered_at: Option<i64>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; another value means another configuration.
    pub updated_at: i64,
}

/// An upstream with the connector that it is.
pub struct Registered {
    /// The registration.
    pub upstream: Arc<Upstream>,
    /// Its tools as actions.
    pub loaded: Arc<Loaded>,
    /// The newest era that it was found to speak; empty before it was asked.
    pub era: String,
}

/// The upstreams of one account by slug, in the order in which they were registered.
pub type AccountUpstreams = IndexMap<String, Arc<Registered>, RandomState>;

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    user_id: String,
    slug: String,
    name: String,
    url: String,
    transport: String,
    auth: String,
    sealed: Option<String>,
    settings: String,
    offer: Option<String>,
    offered_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn read(self) -> Result<Registered> {
        let name = |text: String| serde_json::Value::from(text);
        let upstream = Upstream {
            owner: Scope { account: self.account_id.into(), user: self.user_id.into() },
            transport: serde_json::from_value(name(self.transport)).map_err(Error::internal)?,
            auth: serde_json::from_value(name(self.auth)).map_err(Error::internal)?,
            settings: serde_json::from_str(&self.settings).map_err(Error::internal)?,
            id: self.id,
            slug: self.slug,
            name: self.name,
            url: self.url,
            sealed: self.sealed,
            end_user: None,
            offered_at: self.offered_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        let lists: Lists = self.offer.map(|offer| serde_json::from_str(&offer)).transpose().map_err(Error::internal)?.unwrap_or_default();
        let about = About { slug: &upstream.slug, name: &upstream.name, url: &upstream.url };
        let (connector, offering) = Offering::compile(&about, &lists);
        let loaded = Arc::new(Loaded::of_upstream(connector, Arc::new(offering)));
        Ok(Registered { upstream: Arc::new(upstream), loaded, era: lists.era })
    }
}

fn sealed_for<'a>(owner: &'a Scope, id: &'a str) -> [&'a str; 4] {
    ["upstream", &owner.account, &owner.user, id]
}

impl Store {
    /// All upstreams of an account. They belong to users: whoever shows or calls one judges `owner`.
    pub async fn upstreams(&self, account: &Arc<str>) -> Result<Arc<AccountUpstreams>> {
        let load = async {
            let rows = fetch_all!(
                &self.db,
                Row,
                "select id, account_id, user_id, slug, name, url, transport, auth, sealed, settings, offer, offered_at, created_at, updated_at
                 from upstreams where account_id = $1 order by created_at, id limit 10000",
                &**account
            )?;
            // Lists can be large; compiling them must not hold up other requests.
            tokio::task::spawn_blocking(move || compile(rows)).await.map_err(Error::internal)
        };
        self.upstreams.get_or_load(account.clone(), load).await
    }

    /// The scope's upstream with this id.
    pub async fn upstream(&self, scope: &Scope, id: &str) -> Result<Arc<Registered>> {
        let all = self.upstreams(&scope.account).await?;
        let found = all.values().find(|registered| registered.upstream.id == id && registered.upstream.owner == *scope);
        found.cloned().ok_or_else(|| Error::new(Kind::NotFound, "MCP server not found"))
    }

    /// The same by its id, or by that of the connector that it is.
    pub async fn upstream_named(&self, scope: &Scope, name: &str) -> Result<Arc<Registered>> {
        let all = self.upstreams(&scope.account).await?;
        match all.get(name).filter(|registered| registered.upstream.owner == *scope) {
            Some(registered) => Ok(registered.clone()),
            None => self.upstream(scope, name).await,
        }
    }

    /// Registers an upstream, with its headers in the clear, which are sealed here.
    pub async fn create_upstream(&self, upstream: &mut Upstream, headers: Option<&Secret>) -> Result<()> {
        upstream.sealed = headers.map(|headers| self.seal_headers(&upstream.owner, &upstream.id, headers)).transpose()?;
        execute!(
            &self.db,
            "insert into upstreams (id, account_id, user_id, slug, name, url, transport, auth, sealed, settings, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            &upstream.id,
            &*upstream.owner.account,
            &*upstream.owner.user,
            &upstream.slug,
            &upstream.name,
            &upstream.url,
            upstream.transport.as_str(),
            upstream.auth.as_str(),
            upstream.sealed.as_deref(),
            serde_json::to_string(&upstream.settings).map_err(Error::internal)?,
            upstream.created_at,
            upstream.updated_at
        )
        .map_err(|e| if is_duplicate(&e) { Error::new(Kind::Conflict, "The connector id is taken; try again.") } else { e.into() })?;
        self.upstreams.forget(&upstream.owner.account);
        Ok(())
    }

    /// Writes an upstream that was changed since `known`, its time of change then. With another address its lists go. False when somebody
    /// else has changed it meanwhile.
    pub async fn update_upstream(&self, upstream: &Upstream, forget_offer: bool, known: i64) -> Result<bool> {
        let done = execute!(
            &self.db,
            "update upstreams set name = $1, url = $2, transport = $3, auth = $4, sealed = $5, settings = $6, updated_at = $7,
                    offer = case when $8 = 1 then null else offer end, offered_at = case when $8 = 1 then null else offered_at end
             where id = $9 and account_id = $10 and user_id = $11 and updated_at = $12",
            &upstream.name,
            &upstream.url,
            upstream.transport.as_str(),
            upstream.auth.as_str(),
            upstream.sealed.as_deref(),
            serde_json::to_string(&upstream.settings).map_err(Error::internal)?,
            upstream.updated_at,
            i64::from(forget_offer),
            &upstream.id,
            &*upstream.owner.account,
            &*upstream.owner.user,
            known
        )?;
        self.upstreams.forget(&upstream.owner.account);
        Ok(done > 0)
    }

    /// Keeps what an upstream offers, unless its configuration has changed since it was asked.
    pub async fn put_offer(&self, upstream: &Upstream, lists: &Lists) -> Result<()> {
        execute!(
            &self.db,
            "update upstreams set offer = $1, offered_at = $2 where id = $3 and updated_at = $4",
            serde_json::to_string(lists).map_err(Error::internal)?,
            now_ms(),
            &upstream.id,
            upstream.updated_at
        )?;
        self.upstreams.forget(&upstream.owner.account);
        Ok(())
    }

    /// Removes the scope's upstream. False when there is none with this id.
    pub async fn delete_upstream(&self, scope: &Scope, id: &str) -> Result<bool> {
        let done = execute!(
            &self.db,
            "delete from upstreams where id = $1 and account_id = $2 and user_id = $3",
            id,
            &*scope.account,
            &*scope.user
        )?;
        self.upstreams.forget(&scope.account);
        Ok(done > 0)
    }

    /// Makes the upstreams that are processes those of the operator's configuration: of the accounts that there are. No scope: the
    /// configuration names the owners.
    pub async fn sync_processes(&self, processes: &BTreeMap<String, Process>) -> Result<()> {
        let now = now_ms();
        let known = fetch_all!(&self.db, (String, String), "select id, url from upstreams where transport = 'stdio'")?;
        let mut tx = self.db.begin().await?;
        for (id, url) in &known {
            if !url.strip_prefix("stdio:").is_some_and(|name| processes.contains_key(name)) {
                execute_in!(&mut tx, "delete from upstreams where id = $1", id)?;
            }
        }
        for (name, process) in processes {
            let url = format!("stdio:{name}");
            // What was offered may have changed with the configuration; it is asked again.
            execute_in!(
                &mut tx,
                "update upstreams set account_id = $1, user_id = $2, updated_at = $3, offered_at = null where url = $4 and transport = 'stdio'",
                &process.account,
                &process.user,
                now,
                &url
            )?;
            execute_in!(
                &mut tx,
                "insert into upstreams (id, account_id, user_id, slug, name, url, transport, auth, settings, created_at, updated_at)
                 select $1, $2, $3, $4, $4, $5, 'stdio', 'none', '{}', $6, $6
                 where exists (select 1 from accounts where id = $2)
                   and not exists (select 1 from upstreams where account_id = $2 and slug = $4)
                   and not exists (select 1 from connectors where account_id = $2 and id = $4)",
                crate::clock::uuid7(),
                &process.account,
                &process.user,
                name,
                &url,
                now
            )?;
        }
        tx.commit().await?;
        self.upstreams.forget_all();
        Ok(())
    }

    /// Seals headers for an upstream.
    pub fn seal_headers(&self, owner: &Scope, id: &str, headers: &Secret) -> Result<String> {
        self.sealer.seal(&sealed_for(owner, id), headers.expose())
    }

    /// What the owner has entered for OAuth, a JSON object: call it only where a request is about to be sent.
    pub fn open_registration(&self, upstream: &Upstream) -> Result<Option<Secret>> {
        let open = |sealed: &String| self.sealer.unseal(&sealed_for(&upstream.owner, &upstream.id), sealed);
        upstream.sealed.as_ref().map(open).transpose()
    }

    /// The headers in the clear, a JSON object: call it only where a request is about to be sent.
    pub fn open_headers(&self, upstream: &Upstream) -> Result<Option<Secret>> {
        let open = |sealed: &String| match &upstream.end_user {
            Some(user) => self.open_connection(upstream, user, sealed),
            None => self.sealer.unseal(&sealed_for(&upstream.owner, &upstream.id), sealed),
        };
        upstream.sealed.as_ref().map(open).transpose()
    }
}

fn compile(rows: Vec<Row>) -> Arc<AccountUpstreams> {
    let mut all = AccountUpstreams::with_capacity_and_hasher(rows.len(), RandomState::default());
    for row in rows {
        let id = row.id.clone();
        match row.read() {
            Ok(registered) => drop(all.insert(registered.upstream.slug.clone(), Arc::new(registered))),
            // One that cannot be read must not hide the others.
            Err(error) => {
                tracing::error!(upstream = id, cause = error.cause.as_ref().map(tracing::field::display), "an upstream cannot be read");
            }
        }
    }
    Arc::new(all)
}
