//! A node inside the test's process, on a port and a directory of its own.

use std::path::Path;

use amalgam::{
    config::{Config, SecretSettings, Settings},
    node::Node,
};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{Answer, Ask, Server, database::TestDatabase};

/// The first admin key of every test node.
pub const ADMIN_KEY: &str = "test-admin-key-0123456789";

/// A running node with its directory and, where the environment asks for it, its database.
pub struct TestNode {
    /// Where it listens.
    pub url: String,
    node: Option<Node>,
    config: Config,
    directory: TempDir,
    _database: Option<TestDatabase>,
}

/// Settings of a test node: loopback platforms allowed, no rate limit in the way.
fn settings(directory: &Path, database: Option<String>) -> Settings {
    Settings {
        listen: Some(([127, 0, 0, 1], 0).into()),
        data_dir: Some(directory.to_owned()),
        database_url: database,
        egress_allow: Some(vec!["127.0.0.0/8".parse().unwrap()]),
        rate_limit_per_minute: Some(1_000_000),
        ..Settings::default()
    }
}

fn secrets() -> SecretSettings {
    SecretSettings { admin_key: Some(ADMIN_KEY.to_owned()), ..SecretSettings::default() }
}

impl TestNode {
    /// A node with the settings that most tests want.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A node with other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = TempDir::new().unwrap();
        let database = TestDatabase::make().await;
        let mut config = settings(directory.path(), database.as_ref().map(|database| database.url.clone())).build().unwrap();
        change(&mut config);
        let node = Node::start(config.clone(), secrets()).await.unwrap();
        Self { url: node.base_url().to_owned(), node: Some(node), config, directory, _database: database }
    }

    /// Another node on the same database with the same master key; only where the database is PostgreSQL.
    pub async fn second(&self) -> Option<Self> {
        self.config.database_url.as_ref()?;
        let directory = TempDir::new().unwrap();
        let mut config = self.config.clone();
        config.data_dir = directory.path().to_owned();
        config.master_key_file = Some(self.directory.path().join("master.key"));
        let node = Node::start(config.clone(), SecretSettings::default()).await.unwrap();
        Some(Self { url: node.base_url().to_owned(), node: Some(node), config, directory, _database: None })
    }

    /// Stops the node and starts it again on the same directory and address.
    pub async fn restart(&mut self) {
        let node = self.node.take().unwrap();
        self.config.listen = node.address;
        node.stop().await;
        self.node = Some(Node::start(self.config.clone(), SecretSettings::default()).await.unwrap());
    }

    /// Stops the node; its directory stays.
    pub async fn stop(&mut self) {
        self.node.take().unwrap().stop().await;
    }

    /// Where it listens, whatever its public address.
    pub fn listening(&self) -> String {
        format!("http://{}", self.node.as_ref().unwrap().address)
    }

    /// Its data directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a statement in its database, for what only time or a failure would bring about; the number of rows it changed.
    pub async fn sql(&self, statement: &'static str) -> u64 {
        match &self.config.database_url {
            None => self.sqlite().await.execute(statement).await.unwrap().rows_affected(),
            Some(url) => PgConnection::connect(url).await.unwrap().execute(statement).await.unwrap().rows_affected(),
        }
    }

    /// The one number that a query of its database gives.
    pub async fn number(&self, query: &'static str) -> i64 {
        match &self.config.database_url {
            None => sqlx::query_scalar(query).fetch_one(&mut self.sqlite().await).await.unwrap(),
            Some(url) => sqlx::query_scalar(query).fetch_one(&mut PgConnection::connect(url).await.unwrap()).await.unwrap(),
        }
    }

    /// Keeps everybody else from writing while what it returns lives; only where the database is SQLite.
    pub async fn hold_writer(&self) -> SqliteConnection {
        let mut connection = self.sqlite().await;
        connection.execute("begin immediate").await.unwrap();
        connection
    }

    async fn sqlite(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.directory().join("amalgam.db")).busy_timeout(super::DEADLINE);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// True when it keeps its data in SQLite, in its directory.
    pub fn is_sqlite(&self) -> bool {
        self.config.database_url.is_none()
    }

    /// A request with the admin key.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, format!("{}{path}", self.url)).key(ADMIN_KEY)
    }

    /// GET with the admin key.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    /// POST with the admin key.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path).json(&body).send().await
    }

    /// PUT with the admin key.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask("PUT", path).json(&body).send().await
    }

    /// DELETE with the admin key.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path).send().await
    }

    /// A new server with this body, which has its name.
    pub async fn server(&self, body: Value) -> Server {
        Server::of(&self.post("/api/servers", body).await.expect(201))
    }

    /// A new key of this user with this role; returns its text.
    pub async fn key(&self, user: &str, role: &str) -> String {
        let made = self.post("/api/keys", json!({ "userId": user, "role": role, "name": user })).await.expect(201);
        made.body["key"].as_str().unwrap().to_owned()
    }

    /// A new account; returns its admin key.
    pub async fn account(&self, id: &str) -> String {
        let made = self.post("/api/accounts", json!({ "id": id })).await.expect(201);
        made.body["adminKey"].as_str().unwrap().to_owned()
    }
}
