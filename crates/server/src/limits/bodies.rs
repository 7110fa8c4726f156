//! Room for large bodies: together they take no more memory than this, and one caller no more than a quarter of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// The first bytes of a body are not counted, and the others are counted in steps of as many.
const STEP: usize = 64 * 1024;
/// Large bodies of all requests together: 256 MB.
const ALL_STEPS: usize = 256 * 1024 * 1024 / STEP;
/// Large bodies of one caller together: as much as the largest document.
const OWN_STEPS: usize = ALL_STEPS / 4;
/// A body waits this long for room.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The room of a node.
pub struct Bodies {
    all: Arc<Semaphore>,
    /// The quarter of each caller who holds or wants some.
    own: Mutex<HashMap<String, Weak<Semaphore>>>,
}

impl Bodies {
    /// All of it is free.
    pub fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL_STEPS)), own: Mutex::default() }
    }

    fn own(&self, caller: &str) -> Arc<Semaphore> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = own.get(caller).and_then(Weak::upgrade) {
            return room;
        }
        own.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(OWN_STEPS));
        own.insert(caller.to_owned(), Arc::downgrade(&room));
        room
    }
}

/// A body that arrives, and the room that it takes.
#[derive(Default)]
pub struct Arriving {
    bytes: Vec<u8>,
    room: Vec<OwnedSemaphorePermit>,
}

impl Arriving {
    /// How much has arrived, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes in what has arrived, as soon as there is room for it.
    pub async fn push(&mut self, bodies: &Bodies, caller: &str, bytes: &[u8]) -> Result<()> {
        // Two permits, the caller's and the node's, are one step.
        let steps = (self.bytes.len() + bytes.len()).saturating_sub(1) / STEP;
        let more = u32::try_from(steps.saturating_sub(self.steps())).unwrap_or(u32::MAX);
        if more > 0 {
            // The own one first: who waits for that holds up nobody else.
            let room = async {
                let own = bodies.own(caller).acquire_many_owned(more).await.map_err(Error::internal)?;
                Ok::<_, Error>((own, bodies.all.clone().acquire_many_owned(more).await.map_err(Error::internal)?))
            };
            let busy = || Error::new(Kind::Unavailable, "Too many large requests at once; try again shortly.");
            let (own, all) = tokio::time::timeout(TIMEOUT, room).await.map_err(|_| busy())??;
            self.room.extend([own, all]);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn steps(&self) -> usize {
        self.room.iter().map(OwnedSemaphorePermit::num_permits).sum::<usize>() / 2
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
