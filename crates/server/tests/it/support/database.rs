//! PostgreSQL for tests that ask for it by `AMALGAM_TEST_DATABASE_URL`: each node gets a schema of its own in that database, which
//! nobody drops: that takes seconds each, and the database is there for tests alone.

use sqlx::{Connection as _, Executor as _, PgConnection};

/// An empty schema.
pub struct TestDatabase {
    /// Where it is, with the schema as search path.
    pub url: String,
}

/// The server that the environment names, if it names one.
#[expect(clippy::disallowed_methods, reason = "the tests' own switch, not a setting of the product")]
pub fn server_url() -> Option<String> {
    std::env::var("AMALGAM_TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

impl TestDatabase {
    /// Makes one, where the environment names a server.
    pub async fn make() -> Option<Self> {
        let admin_url = server_url()?;
        let name = format!("amalgam_it_{:016x}", rand());
        let mut connection = PgConnection::connect(&admin_url).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("create schema {name}"))).await.unwrap();
        let mut url = url::Url::parse(&admin_url).unwrap();
        url.query_pairs_mut().append_pair("options[search_path]", &name);
        Some(Self { url: url.into() })
    }
}

fn rand() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}
