//! Room for large bodies: together they take no more memory than this, one account half of it, one caller a quarter.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// A body of at most this many bytes is not counted, and others are counted in steps of as many.
pub const STEP: usize = 64 * 1024;
/// Large bodies of all requests together: 256 MB.
const ALL_STEPS: usize = 256 * 1024 * 1024 / STEP;
/// Large bodies of one account together.
const ACCOUNT_STEPS: usize = ALL_STEPS / 2;
/// Large bodies of one caller together: as much as the largest document.
const CALLER_STEPS: usize = ALL_STEPS / 4;
/// A body waits this long for room.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whose a body is.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The tenant.
    pub account: Arc<str>,
    /// The key, the token, or the user who shows a user token.
    pub caller: String,
}

impl Holder {
    /// Anybody at all, who is not known yet.
    pub fn anybody() -> Self {
        Self { account: "".into(), caller: "anybody".to_owned() }
    }

    /// Whoever fills in a page that was opened for this user.
    pub fn at_page(account: &Arc<str>, user: &str) -> Self {
        Self { account: account.clone(), caller: format!("web:{user}") }
    }
}

/// The room of a node.
pub struct Bodies {
    all: Arc<Semaphore>,
    /// The share of each account and caller who holds or wants some.
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Bodies {
    /// All of it is free.
    pub fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL_STEPS)), shares: Mutex::default() }
    }

    fn share(&self, whose: String, steps: usize) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = shares.get(&whose).and_then(Weak::upgrade) {
            return room;
        }
        shares.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(steps));
        shares.insert(whose, Arc::downgrade(&room));
        room
    }

    /// Room for the whole of a body at once, in the order of asking: bodies that each held a part of what they need would wait for one
    /// another. The narrowest share first: who waits for that holds up nobody else.
    async fn take(&self, holder: &Holder, bytes: usize) -> Result<Vec<OwnedSemaphorePermit>> {
        let steps = u32::try_from(bytes.div_ceil(STEP).min(CALLER_STEPS)).unwrap_or(u32::MAX);
        let shares = [
            // The account as well: a user of one has the name of another's.
            self.share(format!("caller {} {}", holder.account, holder.caller), CALLER_STEPS),
            self.share(format!("account {}", holder.account), ACCOUNT_STEPS),
            self.all.clone(),
        ];
        let room = async {
            let mut room = Vec::with_capacity(shares.len());
            for share in shares {
                room.push(share.acquire_many_owned(steps).await.map_err(Error::internal)?);
            }
            Ok(room)
        };
        let busy = || Error::new(Kind::Unavailable, "Too many large requests at once; try again shortly.");
        tokio::time::timeout(TIMEOUT, room).await.map_err(|_| busy())?
    }
}

/// A body that arrives, and the room that it takes.
pub struct Arriving {
    /// How long it will be at most.
    most: usize,
    bytes: Vec<u8>,
    room: Vec<OwnedSemaphorePermit>,
}

impl Arriving {
    /// Nothing has arrived yet of this many bytes at most.
    pub fn new(most: usize) -> Self {
        Self { most, bytes: Vec::new(), room: Vec::new() }
    }

    /// How much has arrived, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes in what has arrived, as soon as there is room for the whole.
    pub async fn push(&mut self, bodies: &Bodies, holder: &Holder, bytes: &[u8]) -> Result<()> {
        if self.room.is_empty() && self.bytes.len() + bytes.len() > STEP {
            self.room = Box::pin(bodies.take(holder, self.most)).await?;
            // Now that there is room for it; up to a size that is not worth a copy.
            self.bytes.reserve_exact(self.most.min(16 * STEP).saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The whole body; its room is free again when the last of it is dropped.
    pub fn whole(self) -> Bytes {
        if self.room.is_empty() { self.bytes.into() } else { Bytes::from_owner(self) }
    }
}

impl AsRef<[u8]> for Arriving {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn users_of_one_name_in_two_accounts_share_no_room() {
        let bodies = Bodies::new();
        let at = |account: &str| Holder::at_page(&account.into(), "ann");
        let all = bodies.take(&at("one"), CALLER_STEPS * STEP).await.unwrap();
        assert!(bodies.take(&at("two"), STEP).await.is_ok());
        drop(all);
    }
}
