//! How an upstream is doing: circuits that open after repeated failures, and places for calls at once, with a short queue.
//!
//! Users notice nothing of each other. A failure that depends on who calls, such as a call that takes too long or a credential that is
//! refused, opens the circuit of that user alone; and a user never takes all places.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::HashMap;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// Failures in a row that open a circuit.
const FAILURES: u32 = 5;
/// How long a circuit stays open at first; doubled while probes fail.
const PAUSE: Duration = Duration::from_secs(5);
/// How long at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Calls that may wait for a place.
const QUEUE: usize = 1_024;
/// How long a call waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);
/// Users whose failures are remembered; beyond that they are forgotten together.
const MAX_USERS: usize = 10_000;

/// What is known of one upstream on this node.
pub struct Health {
    places: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of failures that are the same for everybody.
    circuit: Circuit,
    /// Of failures that depend on the user.
    failing: HashMap<Arc<str>, Circuit>,
    /// Users who have a place or wait for one.
    present: HashMap<Arc<str>, Present>,
    taken: usize,
    queue: VecDeque<Waiter>,
    next: u64,
    problem: Option<(i64, String)>,
    answered_at: Option<i64>,
}

#[derive(Default)]
struct Present {
    taken: usize,
    waiting: usize,
}

#[derive(Default)]
struct Circuit {
    failures: u32,
    open_until: Option<Instant>,
    pause: Duration,
    probing: bool,
    problem: String,
}

struct Waiter {
    id: u64,
    user: Arc<str>,
    turn: oneshot::Sender<()>,
}

/// What there is to say about an upstream.
pub struct Report {
    /// `ok`, `failing` (the last call failed), `paused` (no calls are sent), `unknown` (this node has not asked it yet).
    pub state: &'static str,
    /// What went wrong last, and when in milliseconds; gone with the next success.
    pub problem: Option<(i64, String)>,
    /// When it last answered, in milliseconds.
    pub answered_at: Option<i64>,
}

/// The place of one call. What became of the call is told to it; a call that was given up says nothing of the upstream.
pub struct Place {
    health: Arc<Health>,
    user: Arc<str>,
    probes: Probes,
    told: bool,
    stand: Stand,
}

/// Which circuits a call tries out.
#[derive(Clone, Copy)]
struct Probes {
    everybody: bool,
    user: bool,
}

/// How far a call has come.
enum Stand {
    Waits(u64),
    Inside,
}

impl Circuit {
    /// Whether a call would be the one that tries it out; the seconds to wait where none is sent.
    fn admit(&self, now: Instant) -> Result<bool, u64> {
        match self.open_until {
            None => Ok(false),
            Some(until) if now < until || self.probing => Err(until.saturating_duration_since(now).as_secs() + 1),
            Some(_) => Ok(true),
        }
    }

    fn failed(&mut self, problem: &str) {
        self.failures += 1;
        problem.clone_into(&mut self.problem);
        // Calls that were on their way when it opened say nothing new.
        if self.failures >= FAILURES && self.open_until.is_none_or(|until| Instant::now() >= until) {
            self.pause = if self.pause.is_zero() { PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
            self.open_until = Some(Instant::now() + self.pause);
        }
    }
}

/// What one of so many users may have of so many places: as much as leaves the same for one more user.
fn share(places: usize, users: usize) -> usize {
    (places / (users + 1)).max(1)
}

impl State {
    fn admit(&self, user: &Arc<str>, name: &str) -> Result<Probes> {
        let now = Instant::now();
        let refused = |seconds: u64, circuit: &Circuit, whose: &str| {
            let problem = &circuit.problem;
            let sentence = format!(
                "{name} has failed {FAILURES} times in a row{whose} and is not called for {seconds} more seconds. The last one: {problem}"
            );
            Error::new(Kind::PlatformFailed, sentence)
        };
        let everybody = self.circuit.admit(now).map_err(|seconds| refused(seconds, &self.circuit, ""))?;
        let user = match self.failing.get(user) {
            Some(circuit) => circuit.admit(now).map_err(|seconds| refused(seconds, circuit, " for you"))?,
            None => false,
        };
        Ok(Probes { everybody, user })
    }

    /// Sets which circuits are tried out by a call, or no longer are.
    fn probing(&mut self, user: &Arc<str>, probes: Probes, is_probing: bool) {
        if probes.everybody {
            self.circuit.probing = is_probing;
        }
        if let Some(circuit) = self.failing.get_mut(user).filter(|_| probes.user) {
            circuit.probing = is_probing;
        }
    }

    fn can_take(&self, user: &Arc<str>, places: usize) -> bool {
        self.taken < places && self.present.get(user).is_some_and(|user| user.taken < share(places, self.present.len()))
    }

    /// Gives free places to those who wait: the first whose user may have one more.
    fn serve(&mut self, places: usize) {
        while let Some(at) = self.queue.iter().position(|waiter| self.can_take(&waiter.user, places)) {
            let Some(Waiter { user, turn, .. }) = self.queue.remove(at) else { return };
            self.taken += 1;
            if let Some(user) = self.present.get_mut(&user) {
                user.taken += 1;
                user.waiting = user.waiting.saturating_sub(1);
            }
            // Whoever has just gone away gives the place back when it is dropped.
            let _ = turn.send(());
        }
    }

    /// A call is over, or waits no longer.
    fn leave(&mut self, user: &Arc<str>, stand: &Stand) {
        let waits = match stand {
            Stand::Waits(id) => self.queue.iter().position(|waiter| waiter.id == *id),
            Stand::Inside => None,
        };
        let Some(present) = self.present.get_mut(user) else { return };
        match waits {
            Some(at) => {
                self.queue.remove(at);
                present.waiting = present.waiting.saturating_sub(1);
            }
            // Also one whose turn came while it went away.
            None => {
                self.taken = self.taken.saturating_sub(1);
                present.taken = present.taken.saturating_sub(1);
            }
        }
        if present.taken == 0 && present.waiting == 0 {
            self.present.remove(user);
        }
    }
}

impl Health {
    /// For so many calls at once.
    pub fn new(places: usize) -> Self {
        Self { places, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding this lock cannot leave it half-written; go on with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, for this user.
    pub fn report(&self, user: &str) -> Report {
        let state = self.state();
        let is_open = |circuit: &Circuit| circuit.open_until.is_some();
        let is_paused = is_open(&state.circuit) || state.failing.get(user).is_some_and(is_open);
        let name = match (is_paused, &state.problem, state.answered_at) {
            (true, ..) => "paused",
            (false, Some(_), _) => "failing",
            (false, None, Some(_)) => "ok",
            (false, None, None) => "unknown",
        };
        Report { state: name, problem: state.problem.clone(), answered_at: state.answered_at }
    }

    /// Whether something became of a call within this time.
    pub fn is_recent(&self, within: Duration) -> bool {
        let state = self.state();
        let last = state.answered_at.max(state.problem.as_ref().map(|(at, _)| *at));
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        last.is_some_and(|last| now_ms() - last < within)
    }

    /// A place for one call of this user.
    ///
    /// # Errors
    /// While a circuit is open, and when too many calls wait already.
    pub async fn enter(self: &Arc<Self>, user: &Arc<str>, name: &str) -> Result<Place> {
        let (mut place, turn) = self.ask_for_place(user, name)?;
        if let Some(turn) = turn {
            // The sender is dropped with the queue only.
            tokio::time::timeout(PATIENCE, turn).await.map_err(|_| busy(name))?.map_err(Error::internal)?;
            place.stand = Stand::Inside;
        }
        Ok(place)
    }

    fn ask_for_place(self: &Arc<Self>, user: &Arc<str>, name: &str) -> Result<(Place, Option<oneshot::Receiver<()>>)> {
        let mut state = self.state();
        let probes = state.admit(user, name)?;
        let known = state.present.get(user);
        let users = state.present.len() + usize::from(known.is_none());
        let (taken, waiting) = known.map_or((0, 0), |known| (known.taken, known.waiting));
        let is_free = state.taken < self.places && taken < share(self.places, users);
        if !is_free && (state.queue.len() >= QUEUE || waiting >= share(QUEUE, users)) {
            return Err(busy(name));
        }
        state.probing(user, probes, true);
        let mut place = Place { health: self.clone(), user: user.clone(), probes, told: false, stand: Stand::Inside };
        if is_free {
            state.taken += 1;
            state.present.entry(user.clone()).or_default().taken += 1;
            return Ok((place, None));
        }
        let id = state.next;
        state.next += 1;
        state.present.entry(user.clone()).or_default().waiting += 1;
        let (turn, receiver) = oneshot::channel();
        state.queue.push_back(Waiter { id, user: user.clone(), turn });
        place.stand = Stand::Waits(id);
        Ok((place, Some(receiver)))
    }
}

fn busy(name: &str) -> Error {
    Error::new(Kind::PlatformFailed, format!("Too many calls to {name} at once; try again shortly."))
}

impl Place {
    /// The upstream answered, whatever it said.
    pub fn answered(&mut self) {
        self.told = true;
        let mut state = self.health.state();
        state.circuit = Circuit::default();
        state.failing.remove(&self.user);
        state.problem = None;
        state.answered_at = Some(now_ms());
    }

    /// The call did not begin: the upstream failed, or we had a reason to send nothing.
    pub fn failed_to_begin(&mut self, error: &Error) {
        match error.kind {
            Kind::PlatformFailed | Kind::PlatformUnreachable | Kind::PlatformTimeout => self.failed(error),
            // It is at an address that is not called, for one.
            Kind::PlatformRefused => self.hindered(error),
            _ => {}
        }
    }

    /// Something stands in the way that is no failure of the upstream, such as nobody having signed in to it.
    pub fn hindered(&self, error: &Error) {
        self.health.state().problem = Some((now_ms(), error.message.to_string()));
    }

    /// The upstream failed.
    pub fn failed(&mut self, error: &Error) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let mut state = self.health.state();
        state.problem = Some((now_ms(), error.message.to_string()));
        state.probing(&self.user, self.probes, false);
        if error.kind == Kind::PlatformUnreachable {
            state.circuit.failed(&error.message);
            return;
        }
        if state.failing.len() >= MAX_USERS {
            state.failing.clear();
        }
        state.failing.entry(self.user.clone()).or_default().failed(&error.message);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.health.state();
        if !self.told {
            state.probing(&self.user, self.probes, false);
        }
        state.leave(&self.user, &self.stand);
        state.serve(self.health.places);
    }
}
