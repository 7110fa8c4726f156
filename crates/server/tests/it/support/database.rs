//! PostgreSQL for tests that ask for it by `AMALGAM_TEST_DATABASE_URL`: each node gets a database of its own, dropped afterwards.

use sqlx::{Connection as _, Executor as _, PgConnection};

/// A database that lives as long as this value.
pub struct TestDatabase {
    /// Where it is.
    pub url: String,
    admin_url: String,
    name: String,
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
        connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        let mut url = url::Url::parse(&admin_url).unwrap();
        url.set_path(&name);
        Some(Self { url: url.into(), admin_url, name })
    }
}

fn rand() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (url, name) = (self.admin_url.clone(), self.name.clone());
        // A thread of its own, because a test that fails drops this inside its runtime.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let mut connection = PgConnection::connect(&url).await.unwrap();
                connection.execute(sqlx::AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await.unwrap();
            });
        });
        let _ = dropped.join();
    }
}
