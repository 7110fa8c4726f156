//! A token endpoint as renewals see it: how many may ask it at once, and when it is not asked at all.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// Renewals that ask at once for one client.
const PLACES: usize = 16;
/// Another one waits so long for a place.
const WAIT: Duration = Duration::from_secs(2);
/// After so many failures in a row nobody asks for a while.
const FAILURES: u32 = 5;
/// That while.
const PAUSE: Duration = Duration::from_secs(10);

/// The endpoint of one OAuth client.
pub struct Endpoint {
    places: Arc<Semaphore>,
    trouble: Mutex<(u32, Option<Instant>)>,
}

impl Endpoint {
    /// Nothing is known of it.
    pub fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)), trouble: Mutex::default() }
    }

    /// A place to ask from; none where it has just failed again and again, or where as many as may ask do so and get no answer.
    pub async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if self.is_closed() {
            return None;
        }
        let place = timeout(WAIT, self.places.clone().acquire_owned()).await.ok()?.ok()?;
        // Those before may have found out meanwhile.
        (!self.is_closed()).then_some(place)
    }

    /// Whether it is left alone.
    pub fn is_closed(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).1.is_some_and(|until| until > Instant::now())
    }

    /// It has answered, whatever that was.
    pub fn answered(&self) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = (0, None);
    }

    /// It has not.
    pub fn failed(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.0 = trouble.0.saturating_add(1);
        if trouble.0 >= FAILURES {
            trouble.1 = Some(Instant::now() + PAUSE);
        }
    }
}
