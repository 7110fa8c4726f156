-- One text for both databases: bigint for integers and milliseconds, text for ids, JSON and sealed bytes (base64url).

create table accounts (
  id text primary key,
  name text not null,
  created_at bigint not null
);

-- Keys that seal everything else, themselves sealed with the master key.
create table data_keys (
  id text primary key,
  sealed text not null,
  created_at bigint not null
);

create table api_keys (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  user_id text not null,
  name text not null,
  role text not null,
  hash text not null unique,
  hint text not null,
  created_at bigint not null,
  expires_at bigint,
  revoked_at bigint
);
create index api_keys_by_account on api_keys (account_id, created_at);

create table servers (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  user_id text not null,
  name text not null,
  description text not null,
  instructions text not null,
  restrictions text not null,
  settings text not null,
  created_at bigint not null,
  updated_at bigint not null,
  unique (account_id, user_id, name)
);
create index servers_by_owner on servers (account_id, user_id, created_at);

create table tokens (
  hash text primary key,
  server_id text not null references servers (id) on delete cascade,
  sealed text,
  is_current bigint not null,
  created_at bigint not null,
  expires_at bigint
);
create index tokens_by_server on tokens (server_id);

create table connectors (
  account_id text not null references accounts (id) on delete cascade,
  id text not null,
  definition text not null,
  -- What the definition becomes when it is loaded, and by which version of the program; made again from it by another version.
  compiled bytea not null,
  compiled_version bigint not null,
  omitted text not null,
  warnings text not null,
  created_at bigint not null,
  updated_at bigint not null,
  primary key (account_id, id)
);

create table credentials (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  user_id text not null,
  connector_id text not null,
  kind text not null,
  name text not null,
  sealed text not null,
  -- Of OAuth: the client that it was granted to, whether the user must consent again, when to renew, when the token ends, and, sealed,
  -- what it is renewed with. The lease keeps other nodes from renewing at the same time.
  auth_config_id text,
  state text not null,
  refresh_at bigint,
  expires_at bigint,
  renewal text,
  lease text,
  lease_until bigint,
  created_at bigint not null,
  updated_at bigint not null
);
create index credentials_by_owner on credentials (account_id, user_id, connector_id, created_at);

-- An account's own OAuth clients at platforms. Secret or private key sealed.
create table auth_configs (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  connector_id text not null,
  name text not null,
  client_id text not null,
  client_auth text not null,
  key_id text,
  scopes text not null,
  variables text not null,
  -- Where the secret goes that was entered.
  sent_to text not null,
  sealed text,
  created_at bigint not null,
  updated_at bigint not null
);
create index auth_configs_by_account on auth_configs (account_id, connector_id, created_at);

-- Where browsers may be sent after connecting.
create table redirect_uris (
  account_id text not null references accounts (id) on delete cascade,
  uri text not null,
  primary key (account_id, uri)
);

-- Links by which users connect themselves. Once the browser is on its way to the consent page, the state that it carries and the
-- browser itself are known by their hashes.
create table connect_links (
  hash text primary key,
  account_id text not null references accounts (id) on delete cascade,
  user_id text not null,
  connector_id text not null,
  sealed text not null,
  state_hash text unique,
  browser_hash text,
  attempt text,
  expires_at bigint not null
);
create index connect_links_by_end on connect_links (expires_at);
create index connect_links_by_account on connect_links (account_id, expires_at);

create table users (
  account_id text not null references accounts (id) on delete cascade,
  id text not null,
  username text not null,
  full_name text,
  created_at bigint not null,
  -- The hash of a password (Argon2id), sealed; null for users who cannot sign in with one.
  password text,
  password_at bigint,
  primary key (account_id, id),
  unique (account_id, username)
);

create table jwt_issuers (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  issuer text,
  audience text,
  user_claim text,
  -- Either the sealed HS256 secret, or where the public keys are.
  sealed text,
  jwks_url text,
  created_at bigint not null
);
create index jwt_issuers_by_account on jwt_issuers (account_id);
create index jwt_issuers_by_issuer on jwt_issuers (issuer);

create table workflows (
  server_id text not null references servers (id) on delete cascade,
  name text not null,
  description text not null,
  steps text not null,
  created_at bigint not null,
  updated_at bigint not null,
  primary key (server_id, name)
);

-- Legacy MCP sessions that were ended before their time. Open ones are sealed ids and need no row.
create table ended_sessions (
  hash text primary key,
  until_at bigint not null
);

-- A row is a batch: the entries of an account that were written together, a JSON array of objects (store/audit.rs).
create table audit (
  account_id text not null,
  -- Of the first entry. Begins with the time, so that the primary key is the order in which entries are listed.
  id text not null,
  first_at bigint not null,
  last_at bigint not null,
  count bigint not null,
  entries text not null,
  primary key (account_id, id)
);

-- MCP servers that users have registered. Headers with secrets are sealed; `offer` is what the server offered when it was last asked.
create table upstreams (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  user_id text not null,
  slug text not null,
  name text not null,
  url text not null,
  transport text not null,
  auth text not null,
  sealed text,
  settings text not null,
  offer text,
  offered_at bigint,
  created_at bigint not null,
  updated_at bigint not null,
  unique (account_id, slug)
);
create index upstreams_by_owner on upstreams (account_id, user_id, created_at);

-- What a user has allowed an MCP client: to use one server in the user's name. `client` is the SHA-256 of the client's id.
create table grants (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  user_id text not null,
  server_id text not null references servers (id) on delete cascade,
  client text not null,
  client_name text not null,
  redirect_uri text not null,
  challenge text not null,
  resource text not null,
  scope text not null,
  created_at bigint not null,
  expires_at bigint not null
);
create index grants_by_owner on grants (account_id, user_id);
create index grants_by_server on grants (server_id);

-- Authorization codes, access tokens and refresh tokens. What was used once stays, so that its second use is noticed.
create table grant_tokens (
  hash text primary key,
  grant_id text not null references grants (id) on delete cascade,
  kind text not null,
  expires_at bigint not null,
  used_at bigint
);
create index grant_tokens_by_grant on grant_tokens (grant_id);

-- Upstreams as end users reach them, with headers of their own, entered for this address. Sealed.
create table connections (
  id text primary key,
  upstream_id text not null references upstreams (id) on delete cascade,
  user_id text not null,
  url text not null,
  sealed text not null,
  created_at bigint not null,
  updated_at bigint not null,
  unique (upstream_id, user_id)
);

-- What an upstream's authorization server has granted one user, with the client that it was granted to. Sealed, for this address.
create table upstream_grants (
  id text primary key,
  upstream_id text not null references upstreams (id) on delete cascade,
  user_id text not null,
  url text not null,
  sealed text not null,
  expires_at bigint,
  lease_until bigint,
  created_at bigint not null,
  updated_at bigint not null,
  unique (upstream_id, user_id)
);

-- What we are at the authorization server of an upstream, where we have registered: one client for all its users, sealed for that server.
create table upstream_clients (
  upstream_id text primary key references upstreams (id) on delete cascade,
  issuer text not null,
  redirect_uri text not null,
  sealed text not null,
  -- When its secret ends, and when the authorization server was last found to know it.
  expires_at bigint,
  known_at bigint not null
);

-- Files that users have uploaded or platforms have answered with; `is_complete` is 2 while one arrives, `size` is then the room that it may take.
-- `connector_id` and `action_id` are those of the answer. What is in them is in pieces, sealed.
create table files (
  id text primary key,
  account_id text not null references accounts (id) on delete cascade,
  user_id text not null,
  connector_id text,
  action_id text,
  name text not null,
  media_type text not null,
  md5 text,
  size bigint not null,
  is_complete bigint not null,
  created_at bigint not null,
  expires_at bigint not null
);
create index files_by_owner on files (account_id, user_id, created_at);
create index files_by_end on files (expires_at);
create table file_pieces (
  file_id text not null references files (id) on delete cascade,
  place bigint not null,
  sealed bytea not null,
  primary key (file_id, place)
);
