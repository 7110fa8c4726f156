//! How an upstream is doing: a circuit that opens after repeated failures, and a bound on calls at once with a short queue.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// Failures in a row that open the circuit.
const FAILURES: u32 = 5;
/// How long the circuit stays open at first; doubled while probes fail.
const PAUSE: Duration = Duration::from_secs(5);
/// How long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Calls that may wait for a place.
const QUEUE: usize = 1_024;
/// How long a call waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of one upstream on this node.
pub struct Health {
    circuit: Mutex<Circuit>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Circuit {
    failures: u32,
    open_until: Option<Instant>,
    pause: Duration,
    probing: bool,
    problem: Option<(i64, String)>,
    answered_at: Option<i64>,
}

/// What there is to say about an upstream.
pub struct Report {
    /// `ok`, `failing` (the last call failed), `paused` (no calls are sent), `unknown`.
    pub state: &'static str,
    /// What went wrong last, and when in milliseconds; gone with the next success.
    pub problem: Option<(i64, String)>,
    /// When it last answered, in milliseconds.
    pub answered_at: Option<i64>,
}

/// The place of one call. What became of the call is told to it; a call that was given up says nothing of the upstream.
pub struct Place {
    health: Arc<Health>,
    is_probe: bool,
    told: bool,
    _permit: OwnedSemaphorePermit,
}

impl Health {
    /// For so many calls at once.
    pub fn new(places: usize) -> Self {
        Self { circuit: Mutex::default(), places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // A panic while holding this lock cannot leave it half-written; go on with it.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known.
    pub fn report(&self) -> Report {
        let circuit = self.circuit();
        let state = match (circuit.open_until, &circuit.problem, circuit.answered_at) {
            (Some(_), ..) => "paused",
            (None, Some(_), _) => "failing",
            (None, None, Some(_)) => "ok",
            (None, None, None) => "unknown",
        };
        Report { state, problem: circuit.problem.clone(), answered_at: circuit.answered_at }
    }

    /// A place for one call.
    ///
    /// # Errors
    /// While the circuit is open, and when too many calls wait already.
    pub async fn enter(self: &Arc<Self>, name: &str) -> Result<Place> {
        let is_probe = self.admit(name)?;
        let guard = Probe { health: self, armed: is_probe };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE + self.places.available_permits() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(busy(name));
        }
        let waiting = Waiting(&self.waiting);
        let permit = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned()).await;
        drop(waiting);
        let permit = permit.map_err(|_| busy(name))?.map_err(Error::internal)?;
        guard.disarm();
        Ok(Place { health: self.clone(), is_probe, told: false, _permit: permit })
    }

    /// The upstream failed outside of any call.
    pub fn failed(&self, problem: &str) {
        self.note(problem, false);
    }

    /// Something stands in the way that is no failure of the upstream, such as nobody having signed in to it.
    pub fn hindered(&self, problem: &str) {
        self.circuit().problem = Some((now_ms(), problem.to_owned()));
    }

    fn note(&self, problem: &str, is_probe: bool) {
        let mut circuit = self.circuit();
        circuit.failures += 1;
        circuit.problem = Some((now_ms(), problem.to_owned()));
        if is_probe || circuit.failures >= FAILURES {
            circuit.pause = if circuit.pause.is_zero() { PAUSE } else { (circuit.pause * 2).min(LONGEST_PAUSE) };
            circuit.open_until = Some(Instant::now() + circuit.pause);
        }
        if is_probe {
            circuit.probing = false;
        }
    }

    fn admit(&self, name: &str) -> Result<bool> {
        let mut circuit = self.circuit();
        let Some(until) = circuit.open_until else { return Ok(false) };
        let now = Instant::now();
        if now < until || circuit.probing {
            let seconds = until.saturating_duration_since(now).as_secs() + 1;
            let problem = circuit.problem.as_ref().map(|(_, text)| format!(" The last one: {text}")).unwrap_or_default();
            let sentence = format!("{name} has failed {FAILURES} times in a row and is not called for {seconds} more seconds.{problem}");
            return Err(Error::new(Kind::PlatformFailed, sentence));
        }
        circuit.probing = true;
        Ok(true)
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets the next call probe when this one never began.
struct Probe<'a> {
    health: &'a Health,
    armed: bool,
}

impl Probe<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.health.circuit().probing = false;
        }
    }
}

fn busy(name: &str) -> Error {
    Error::new(Kind::PlatformFailed, format!("Too many calls to {name} at once; try again shortly."))
}

impl Place {
    /// The upstream answered, whatever it said.
    pub fn answered(&mut self) {
        self.told = true;
        let mut circuit = self.health.circuit();
        *circuit = Circuit { answered_at: Some(now_ms()), ..Circuit::default() };
    }

    /// The upstream failed.
    pub fn failed(&mut self, problem: &str) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        self.health.note(problem, self.is_probe);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_probe && !self.told {
            self.health.circuit().probing = false;
        }
    }
}
