//! Settings of a node: a flag, an `AMALGAM_*` variable and a key of `amalgam.toml` are one field here; the flag wins, then the variable.

mod parse;
mod process;
mod upstream_headers;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use amalgam_connector::shape::ShapeLimits;
use clap::Args;
use http::HeaderName;
use ipnet::IpNet;
pub use parse::{EDITABLE, is_unread};
use parse::{address, local, mistake, range, ranges, within};
pub use process::Process;
use serde::Deserialize;
use url::Url;

/// No connector may be called so: `/connectors/search` is the search, and `/connectors/files/…` are files.
pub const FIXED_WORDS: [&str; 2] = ["search", "files"];

/// What an operator may set. Every field is optional; `Config` has the defaults.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Address to listen on [default: 127.0.0.1:3000]
    #[arg(long, env = "AMALGAM_LISTEN", value_name = "ADDRESS", value_parser = address)]
    pub listen: Option<SocketAddr>,

    /// Where the database, the master key and the lock live [default: ./amalgam-data]
    #[arg(long, env = "AMALGAM_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The address that clients see, when it differs from --listen: `https://mcp.example.com`
    #[arg(long, env = "AMALGAM_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,

    /// `postgres://…` (15 or later) instead of the embedded SQLite
    #[arg(long, env = "AMALGAM_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// Folder with connectors of your own, one folder in it for each; what changes there is used at once [default: none]
    #[arg(long, env = "AMALGAM_CONNECTORS_DIR", value_name = "DIR")]
    pub connectors_dir: Option<PathBuf>,

    /// Private or loopback ranges that connectors may reach: `10.0.0.0/8,127.0.0.1/32` [default: none]
    #[arg(long, env = "AMALGAM_EGRESS_ALLOW", value_name = "CIDR", value_delimiter = ',', value_parser = range)]
    #[serde(default, deserialize_with = "ranges")]
    pub egress_allow: Option<Vec<IpNet>>,

    /// Private or loopback ranges where MCP clients' metadata documents may be, which anybody can make us fetch [default: none]
    #[arg(long, env = "AMALGAM_CLIENT_METADATA_ALLOW", value_name = "CIDR", value_delimiter = ',', value_parser = range)]
    #[serde(default, deserialize_with = "ranges")]
    pub client_metadata_allow: Option<Vec<IpNet>>,

    /// Proxies in front of us, whose `X-Forwarded-For` says who asks [default: 127.0.0.0/8,::1/128]
    #[arg(long, env = "AMALGAM_TRUSTED_PROXIES", value_name = "CIDR", value_delimiter = ',', value_parser = range)]
    #[serde(default, deserialize_with = "ranges")]
    pub trusted_proxies: Option<Vec<IpNet>>,

    /// Further host names that requests may be addressed to, beside --public-url's, localhost and IP addresses
    #[arg(long, env = "AMALGAM_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    pub allowed_hosts: Option<Vec<String>>,

    /// Web origins whose pages may call: `https://app.example.com` [default: only our own]
    #[arg(long, env = "AMALGAM_ALLOWED_ORIGINS", value_name = "ORIGIN", value_delimiter = ',')]
    pub allowed_origins: Option<Vec<String>>,

    /// Headers of a client that its calls to MCP servers carry: `x-tenant,traceparent` [default: none]
    #[arg(long, env = "AMALGAM_UPSTREAM_HEADERS", value_name = "NAME", value_delimiter = ',', value_parser = upstream_headers::name)]
    pub upstream_headers: Option<Vec<String>>,

    /// File with the master key (64 hex characters) [default: `master.key` in the data directory, made at the first start]
    #[arg(long, env = "AMALGAM_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,

    /// OpenID Connect provider that signs users of MCP clients in, beside passwords: its issuer, as its metadata says it
    #[arg(long, env = "AMALGAM_OIDC_ISSUER", value_name = "URL")]
    pub oidc_issuer: Option<String>,

    /// Our client id at --oidc-issuer; the secret, if there is one, comes by AMALGAM_OIDC_CLIENT_SECRET
    #[arg(long, env = "AMALGAM_OIDC_CLIENT_ID", value_name = "ID")]
    pub oidc_client_id: Option<String>,

    /// Claim of --oidc-issuer that is the user's id here; never one that users edit; `email` counts only where it is verified [default: sub]
    #[arg(long, env = "AMALGAM_OIDC_USER_CLAIM", value_name = "CLAIM")]
    pub oidc_user_claim: Option<String>,

    /// Authorization server that MCP clients are sent to instead of our own: its issuer, which accounts also name as a JWT issuer
    #[arg(long, env = "AMALGAM_AUTHORIZATION_SERVER", value_name = "URL")]
    pub authorization_server: Option<String>,

    /// Days that an MCP client stays allowed before it must ask its user again, however often it refreshes (1-3,650) [default: 90]
    #[arg(long, env = "AMALGAM_GRANT_DAYS", value_name = "DAYS")]
    pub grant_days: Option<u32>,

    /// Shell command that prints the master key, in the place of a file: `vault kv get -field=key secret/amalgam`
    #[arg(long, env = "AMALGAM_MASTER_KEY_COMMAND", value_name = "COMMAND")]
    pub master_key_command: Option<String>,

    /// MCP requests and REST executions a minute for each token or key and user [default: 100]
    #[arg(long, env = "AMALGAM_RATE_LIMIT_PER_MINUTE", value_name = "N")]
    pub rate_limit_per_minute: Option<u32>,

    /// Largest request body in bytes [default: 10485760]
    #[arg(long, env = "AMALGAM_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<usize>,

    /// Largest answer of a platform in bytes [default: 10485760]
    #[arg(long, env = "AMALGAM_MAX_RESPONSE_BYTES", value_name = "BYTES")]
    pub max_response_bytes: Option<usize>,

    /// How long an action may take, in seconds, unless the call says otherwise (1-300) [default: 30]
    #[arg(long, env = "AMALGAM_ACTION_TIMEOUT_SECONDS", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=300))]
    pub action_timeout_seconds: Option<u64>,

    /// How long answers of read actions may be kept, in seconds; 0 turns the read cache off [default: 30]
    #[arg(long, env = "AMALGAM_READ_CACHE_SECONDS", value_name = "SECONDS")]
    pub read_cache_seconds: Option<u64>,

    /// Keep tokens sealed so that `accessUrl` can be shown again; with `false` it appears only once [default: true]
    #[arg(long, env = "AMALGAM_TOKENS_REVEAL", value_name = "BOOL")]
    pub tokens_reveal: Option<bool>,

    /// Shaping of answers for models: lists of fewer items are whole; of longer ones this many are shown (1-1,000) [default: 25]
    #[arg(long, env = "AMALGAM_SHAPE_ITEMS", value_name = "N")]
    pub shape_items: Option<usize>,

    /// Shaping: of lists of more items only two samples and advice are shown; not less than --shape-items [default: 50]
    #[arg(long, env = "AMALGAM_SHAPE_REFINE_OVER", value_name = "N")]
    pub shape_refine_over: Option<usize>,

    /// Shaping: longer strings are cut, in bytes [default: 5120]
    #[arg(long, env = "AMALGAM_SHAPE_STRING_BYTES", value_name = "N")]
    pub shape_string_bytes: Option<usize>,

    /// Shaping: deeper nesting is left out, in levels (1-64) [default: 10]
    #[arg(long, env = "AMALGAM_SHAPE_DEPTH", value_name = "N")]
    pub shape_depth: Option<usize>,

    /// Servers that an account may have [default: 100,000]
    #[arg(long, env = "AMALGAM_MAX_SERVERS_PER_ACCOUNT", value_name = "N")]
    pub max_servers_per_account: Option<u32>,

    /// Servers that a user may have [default: 1,000]
    #[arg(long, env = "AMALGAM_MAX_SERVERS_PER_USER", value_name = "N")]
    pub max_servers_per_user: Option<u32>,

    /// API keys that an account may have, at most 10,000 [default: 10,000]
    #[arg(long, env = "AMALGAM_MAX_KEYS_PER_ACCOUNT", value_name = "N")]
    pub max_keys_per_account: Option<u32>,

    /// API keys that a user may have [default: 100]
    #[arg(long, env = "AMALGAM_MAX_KEYS_PER_USER", value_name = "N")]
    pub max_keys_per_user: Option<u32>,

    /// Connectors that an account may make, at most 1,000 [default: 1,000]
    #[arg(long, env = "AMALGAM_MAX_CONNECTORS_PER_ACCOUNT", value_name = "N")]
    pub max_connectors_per_account: Option<u32>,

    /// Credentials that an account may have [default: 1,000,000]
    #[arg(long, env = "AMALGAM_MAX_CREDENTIALS_PER_ACCOUNT", value_name = "N")]
    pub max_credentials_per_account: Option<u32>,

    /// Credentials that a user may have, at most 1,000 [default: 1,000]
    #[arg(long, env = "AMALGAM_MAX_CREDENTIALS_PER_USER", value_name = "N")]
    pub max_credentials_per_user: Option<u32>,

    /// Workflows that a server may have, at most 1,000 [default: 200]
    #[arg(long, env = "AMALGAM_MAX_WORKFLOWS_PER_SERVER", value_name = "N")]
    pub max_workflows_per_server: Option<u32>,

    /// Users that an account may register [default: 1,000,000]
    #[arg(long, env = "AMALGAM_MAX_USERS_PER_ACCOUNT", value_name = "N")]
    pub max_users_per_account: Option<u32>,

    /// Days that audit entries are kept [default: 90]
    #[arg(long, env = "AMALGAM_AUDIT_DAYS", value_name = "DAYS")]
    pub audit_days: Option<u32>,

    /// `text` for people, `json` for machines [default: text]
    #[arg(long, env = "AMALGAM_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// What is logged, as `tracing` filters: `info`, `amalgam=debug` [default: info]
    #[arg(long, env = "AMALGAM_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// MCP servers that are processes, by name; only in the file, as `[stdio.NAME]` with `command`, `args`, …
    #[arg(skip)]
    pub stdio: Option<BTreeMap<String, Process>>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Secrets that come by the environment alone, never by a flag that other processes could see.
#[derive(Default)]
pub struct SecretSettings {
    /// `AMALGAM_ADMIN_KEY`: the first admin key of an empty database.
    pub admin_key: Option<String>,
    /// `AMALGAM_MASTER_KEY`: instead of a file.
    pub master_key: Option<String>,
    /// `AMALGAM_OIDC_CLIENT_SECRET`: with `oidc-client-id`.
    pub oidc_client_secret: Option<String>,
    /// `AMALGAM_NEW_MASTER_KEY`: what `amalgam keys rotate-master` changes it to.
    pub new_master_key: Option<String>,
}

/// How many of a thing there may be; one more is refused. Changes count from the next one on.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as in `Settings`")]
pub struct Maximums {
    pub servers_per_account: u32,
    pub servers_per_user: u32,
    pub keys_per_account: u32,
    pub keys_per_user: u32,
    pub connectors_per_account: u32,
    pub credentials_per_account: u32,
    pub credentials_per_user: u32,
    pub workflows_per_server: u32,
    pub users_per_account: u32,
}

/// The OpenID Connect provider that signs users in.
#[derive(Debug, Clone)]
pub struct Oidc {
    /// Exactly as its metadata and its tokens say it.
    pub issuer: String,
    /// Ours there.
    pub client_id: String,
    /// What names the user.
    pub user_claim: String,
}

/// Settings with their defaults, checked.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "as in `Settings`")]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub public_url: Option<Url>,
    pub database_url: Option<String>,
    pub connectors_dir: Option<PathBuf>,
    pub egress_allow: Vec<IpNet>,
    pub client_metadata_allow: Vec<IpNet>,
    pub trusted_proxies: Vec<IpNet>,
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub upstream_headers: Vec<HeaderName>,
    pub master_key_file: Option<PathBuf>,
    pub oidc: Option<Oidc>,
    pub authorization_server: Option<String>,
    pub grant_life: Duration,
    pub master_key_command: Option<String>,
    pub rate_limit_per_minute: u32,
    pub max_body_bytes: usize,
    pub max_response_bytes: usize,
    pub action_timeout: Duration,
    pub read_cache: Duration,
    pub tokens_reveal: bool,
    pub shape: ShapeLimits,
    pub maximums: Maximums,
    pub audit_days: u32,
    pub log_format: LogFormat,
    pub log: String,
    pub stdio: BTreeMap<String, Process>,
}

impl SecretSettings {
    /// From the environment. Empty values count as absent.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the environment is read in `config` only")]
    pub fn from_env() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            admin_key: read("AMALGAM_ADMIN_KEY"),
            master_key: read("AMALGAM_MASTER_KEY"),
            oidc_client_secret: read("AMALGAM_OIDC_CLIENT_SECRET"),
            new_master_key: read("AMALGAM_NEW_MASTER_KEY"),
        }
    }
}

impl Settings {
    /// Fills what flags and variables left open from a TOML file: the named one, else `amalgam.toml` where it exists.
    ///
    /// # Errors
    /// A sentence that names the file and the mistake.
    pub fn with_file(self, file: Option<&Path>) -> Result<Self, String> {
        let path = file.unwrap_or(Path::new("amalgam.toml"));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && file.is_none() => return Ok(self),
            Err(e) => return Err(format!("cannot read the configuration {}: {e}", path.display())),
        };
        let from_file: Self = toml::from_str(&text).map_err(|e| mistake(path, &text, &e))?;
        Ok(self.or(from_file))
    }

    fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            data_dir: self.data_dir.or(other.data_dir),
            public_url: self.public_url.or(other.public_url),
            database_url: self.database_url.or(other.database_url),
            connectors_dir: self.connectors_dir.or(other.connectors_dir),
            egress_allow: self.egress_allow.or(other.egress_allow),
            client_metadata_allow: self.client_metadata_allow.or(other.client_metadata_allow),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            allowed_hosts: self.allowed_hosts.or(other.allowed_hosts),
            allowed_origins: self.allowed_origins.or(other.allowed_origins),
            upstream_headers: self.upstream_headers.or(other.upstream_headers),
            master_key_file: self.master_key_file.or(other.master_key_file),
            oidc_issuer: self.oidc_issuer.or(other.oidc_issuer),
            oidc_client_id: self.oidc_client_id.or(other.oidc_client_id),
            oidc_user_claim: self.oidc_user_claim.or(other.oidc_user_claim),
            authorization_server: self.authorization_server.or(other.authorization_server),
            grant_days: self.grant_days.or(other.grant_days),
            master_key_command: self.master_key_command.or(other.master_key_command),
            rate_limit_per_minute: self.rate_limit_per_minute.or(other.rate_limit_per_minute),
            max_body_bytes: self.max_body_bytes.or(other.max_body_bytes),
            max_response_bytes: self.max_response_bytes.or(other.max_response_bytes),
            action_timeout_seconds: self.action_timeout_seconds.or(other.action_timeout_seconds),
            read_cache_seconds: self.read_cache_seconds.or(other.read_cache_seconds),
            tokens_reveal: self.tokens_reveal.or(other.tokens_reveal),
            shape_items: self.shape_items.or(other.shape_items),
            shape_refine_over: self.shape_refine_over.or(other.shape_refine_over),
            shape_string_bytes: self.shape_string_bytes.or(other.shape_string_bytes),
            shape_depth: self.shape_depth.or(other.shape_depth),
            max_servers_per_account: self.max_servers_per_account.or(other.max_servers_per_account),
            max_servers_per_user: self.max_servers_per_user.or(other.max_servers_per_user),
            max_keys_per_account: self.max_keys_per_account.or(other.max_keys_per_account),
            max_keys_per_user: self.max_keys_per_user.or(other.max_keys_per_user),
            max_connectors_per_account: self.max_connectors_per_account.or(other.max_connectors_per_account),
            max_credentials_per_account: self.max_credentials_per_account.or(other.max_credentials_per_account),
            max_credentials_per_user: self.max_credentials_per_user.or(other.max_credentials_per_user),
            max_workflows_per_server: self.max_workflows_per_server.or(other.max_workflows_per_server),
            max_users_per_account: self.max_users_per_account.or(other.max_users_per_account),
            audit_days: self.audit_days.or(other.audit_days),
            log_format: self.log_format.or(other.log_format),
            log: self.log.or(other.log),
            stdio: self.stdio.or(other.stdio),
        }
    }

    /// Applies the defaults and checks what can be checked without touching anything.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn build(self) -> Result<Config, String> {
        self.check()?;
        let (shape, maximums, oidc) = (self.shape()?, self.maximums()?, self.oidc()?);
        Ok(Config {
            listen: self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3000))),
            data_dir: self.data_dir.unwrap_or_else(|| PathBuf::from("amalgam-data")),
            public_url: self.public_url,
            database_url: self.database_url,
            connectors_dir: self.connectors_dir,
            egress_allow: self.egress_allow.unwrap_or_default(),
            client_metadata_allow: self.client_metadata_allow.unwrap_or_default(),
            trusted_proxies: self.trusted_proxies.unwrap_or_else(|| vec![local(Ipv4Addr::LOCALHOST, 8), local(Ipv6Addr::LOCALHOST, 128)]),
            allowed_hosts: self.allowed_hosts.unwrap_or_default(),
            allowed_origins: self.allowed_origins.unwrap_or_default(),
            upstream_headers: upstream_headers::checked(&self.upstream_headers.unwrap_or_default())?,
            master_key_file: self.master_key_file,
            oidc,
            authorization_server: self.authorization_server,
            grant_life: Duration::from_secs(u64::from(self.grant_days.unwrap_or(90)) * 24 * 60 * 60),
            master_key_command: self.master_key_command,
            rate_limit_per_minute: self.rate_limit_per_minute.unwrap_or(100),
            max_body_bytes: self.max_body_bytes.unwrap_or(10 * 1024 * 1024),
            max_response_bytes: self.max_response_bytes.unwrap_or(10 * 1024 * 1024),
            action_timeout: Duration::from_secs(self.action_timeout_seconds.unwrap_or(30)),
            read_cache: Duration::from_secs(self.read_cache_seconds.unwrap_or(30)),
            tokens_reveal: self.tokens_reveal.unwrap_or(true),
            shape,
            maximums,
            audit_days: self.audit_days.unwrap_or(90),
            log_format: self.log_format.unwrap_or_default(),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            stdio: process::checked(self.stdio.unwrap_or_default())?,
        })
    }

    fn check(&self) -> Result<(), String> {
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some() || url.fragment().is_some())
        {
            return Err(format!("--public-url must be an http or https address without query and fragment, not {url}"));
        }
        if let Some(url) = &self.database_url
            && !(url.starts_with("postgres://") || url.starts_with("postgresql://"))
        {
            return Err("--database-url must start with postgres://; without it the embedded SQLite is used".to_owned());
        }
        for (setting, issuer) in [("oidc-issuer", &self.oidc_issuer), ("authorization-server", &self.authorization_server)] {
            if issuer
                .as_ref()
                .is_some_and(|text| !Url::parse(text).is_ok_and(|url| is_unread(&url, self.egress_allow.as_deref().unwrap_or_default())))
            {
                return Err(format!(
                    "--{setting} must be an https address, exactly as the server's metadata says its `issuer`; http is for loopback addresses that --egress-allow names"
                ));
            }
        }
        if self.master_key_file.is_some() && self.master_key_command.is_some() {
            return Err("give --master-key-file or --master-key-command, not both".to_owned());
        }
        if let Some(seconds) = self.action_timeout_seconds {
            within("action-timeout-seconds", seconds, 1..=300)?;
        }
        if let Some(limit) = self.rate_limit_per_minute {
            within("rate-limit-per-minute", limit, 1..=u32::MAX)?;
        }
        if let Some(days) = self.grant_days {
            within("grant-days", days, 1..=3_650)?;
        }
        Ok(())
    }

    fn oidc(&self) -> Result<Option<Oidc>, String> {
        let user_claim = self.oidc_user_claim.clone().unwrap_or_else(|| "sub".to_owned());
        if EDITABLE.contains(&user_claim.as_str()) {
            return Err(format!(
                "--oidc-user-claim cannot be {user_claim}: users may edit it at their provider, and would choose who they are here. Use sub, or a claim that the provider alone sets"
            ));
        }
        match (self.oidc_issuer.clone(), self.oidc_client_id.clone()) {
            (Some(issuer), Some(client_id)) => Ok(Some(Oidc { issuer, client_id, user_claim })),
            (None, None) => Ok(None),
            _ => Err("--oidc-issuer and --oidc-client-id belong together: give both".to_owned()),
        }
    }

    fn shape(&self) -> Result<ShapeLimits, String> {
        let default = ShapeLimits::default();
        let shape = ShapeLimits {
            items: within("shape-items", self.shape_items.unwrap_or(default.items), 1..=1_000)?,
            refine_over: self.shape_refine_over.unwrap_or(default.refine_over),
            string_bytes: within("shape-string-bytes", self.shape_string_bytes.unwrap_or(default.string_bytes), 1..=usize::MAX)?,
            depth: within("shape-depth", self.shape_depth.unwrap_or(default.depth), 1..=64)?,
        };
        within("shape-refine-over", shape.refine_over, shape.items..=usize::MAX)?;
        Ok(shape)
    }

    /// Lists that are answered whole bound some of them.
    fn maximums(&self) -> Result<Maximums, String> {
        Ok(Maximums {
            servers_per_account: self.max_servers_per_account.unwrap_or(100_000),
            servers_per_user: self.max_servers_per_user.unwrap_or(1_000),
            keys_per_account: within("max-keys-per-account", self.max_keys_per_account.unwrap_or(10_000), 0..=10_000)?,
            keys_per_user: self.max_keys_per_user.unwrap_or(100),
            connectors_per_account: within("max-connectors-per-account", self.max_connectors_per_account.unwrap_or(1_000), 0..=1_000)?,
            credentials_per_account: self.max_credentials_per_account.unwrap_or(1_000_000),
            credentials_per_user: within("max-credentials-per-user", self.max_credentials_per_user.unwrap_or(1_000), 0..=1_000)?,
            workflows_per_server: within("max-workflows-per-server", self.max_workflows_per_server.unwrap_or(200), 0..=1_000)?,
            users_per_account: self.max_users_per_account.unwrap_or(1_000_000),
        })
    }
}

impl Config {
    /// Where clients reach us, without a trailing slash.
    #[must_use]
    pub fn base_url(&self, bound: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None if bound.ip().is_unspecified() => format!("http://localhost:{}", bound.port()),
            None => format!("http://{bound}"),
        }
    }
}
