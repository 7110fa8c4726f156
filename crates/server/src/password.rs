//! Passwords of users who sign in: Argon2id. Few at a time, because each takes 19 MiB while it is computed.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use crate::{
    clock::random,
    error::{Error, Kind, Result},
};

/// Fewer are guessed too easily (NIST SP 800-63B-4 asks for 15 where nothing else is asked, and allows 8), in characters.
const MIN: usize = 12;
/// In bytes; more only costs time.
const MAX: usize = 1_000;
/// What an unknown user is checked against, so that it takes as long as a known one. It fits no password that may be set.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Computed at once; further ones wait.
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// The PHC string of a password that a user is to have.
pub async fn hash(field: &str, password: String) -> Result<String> {
    if password.chars().count() < MIN || password.len() > MAX {
        return Err(Error::invalid(field, format!("`{field}` must have {MIN} characters or more, and at most {MAX} bytes.")));
    }
    compute(move || {
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &random::<16>());
        hash.map(|hash| hash.to_string()).map_err(|e| Error::internal(e.to_string()))
    })
    .await?
}

/// Whether this is the password; `None` stands for a user whom there is not, and takes as long.
pub async fn fits(password: String, hash: Option<String>) -> Result<bool> {
    if password.len() > MAX {
        return Ok(false);
    }
    compute(move || {
        let fits = Argon2::default().verify_password(password.as_bytes(), hash.as_deref().unwrap_or(NOBODY)).is_ok();
        fits && hash.is_some()
    })
    .await
}

async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let busy = |_| Error::new(Kind::Unavailable, "Too many people are signing in at the moment. Try again shortly.");
    let place =
        tokio::time::timeout(Duration::from_secs(10), ROOM.clone().acquire_owned()).await.map_err(busy)?.map_err(Error::internal)?;
    // The place is taken for as long as the work lasts, which goes on when the client goes away.
    let work = move || {
        let _place = place;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
