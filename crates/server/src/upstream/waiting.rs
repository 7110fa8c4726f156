//! What waits for a client, in the memory of this node: calls of legacy upstreams that need an input from a modern client, and
//! questions to legacy clients. Bounded in number and time.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{Recorded, Wanted};
use crate::{
    clock::random_hex24,
    error::{Error, Kind, Result},
};

/// A client has this long to come back with an input.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Calls that wait at once on this node.
const MAX_PARKED: u64 = 10_000;
/// Calls of one principal that wait at once.
const MAX_EACH: usize = 64;
/// Tasks that are remembered of one session.
const MAX_TASKS: usize = 64;
/// Legacy sessions whose wishes are remembered.
const MAX_LANES: u64 = 100_000;

/// A call that waits for its client's next request.
pub struct Parked {
    /// The call.
    pub call: Recorded,
    /// Its questions: the name that the client was told, and the id at the upstream as JSON.
    pub questions: Vec<(String, String)>,
    principal: String,
}

type Slot = Arc<Mutex<Option<Parked>>>;
type Answer = Result<String, String>;

/// Everything that waits.
pub struct Waiting {
    parked: Cache<String, Slot>,
    asked: Mutex<HashMap<String, (String, oneshot::Sender<Answer>)>>,
    lanes: Cache<String, Arc<Lane>>,
    running: Mutex<HashMap<(String, String), CancellationToken>>,
}

/// What a legacy session wishes, beyond its single requests. It may be lost with the node: a client sets it again.
#[derive(Default)]
pub struct Lane {
    log_level: Mutex<Option<String>>,
    wanted: Mutex<HashMap<String, watch::Sender<Wanted>>>,
    tasks: Mutex<VecDeque<String>>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding one of these locks cannot leave it half-written; go on with it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiting {
    /// Nothing waits yet.
    pub fn new() -> Self {
        Self {
            parked: Cache::builder().max_capacity(MAX_PARKED).time_to_live(PATIENCE).build(),
            asked: Mutex::default(),
            lanes: Cache::builder().max_capacity(MAX_LANES).time_to_idle(Duration::from_secs(24 * 60 * 60)).build(),
            running: Mutex::default(),
        }
    }

    /// A request that its client may cancel, until what is returned is dropped. `id` is JSON.
    pub fn run(self: &Arc<Self>, owner: &str, id: &str) -> Cancellable {
        let (key, token) = ((owner.to_owned(), id.to_owned()), CancellationToken::new());
        hold(&self.running).insert(key.clone(), token.clone());
        Cancellable { waiting: self.clone(), key, token }
    }

    /// Cancels a request of this owner, if it runs here.
    pub fn cancel(&self, owner: &str, id: &str) {
        if let Some(token) = hold(&self.running).get(&(owner.to_owned(), id.to_owned())) {
            token.cancel();
        }
    }

    /// Keeps a call until its client comes back; under this name.
    pub fn park(&self, principal: &str, call: Recorded, questions: Vec<(String, String)>) -> Result<String> {
        let of_principal = self.parked.iter().filter(|(_, slot)| hold(slot).as_ref().is_some_and(|parked| parked.principal == principal));
        if of_principal.count() >= MAX_EACH {
            let sentence = format!("Too many calls wait for an answer: {MAX_EACH} at once for one token or key. Answer some, or wait.");
            return Err(Error::new(Kind::RateLimited, sentence));
        }
        let name = random_hex24();
        let parked = Parked { call, questions, principal: principal.to_owned() };
        self.parked.insert(name.clone(), Arc::new(Mutex::new(Some(parked))));
        Ok(name)
    }

    /// The call of this name; once.
    pub fn take(&self, name: &str) -> Option<Parked> {
        let slot = self.parked.remove(name)?;
        hold(&slot).take()
    }

    /// A place for the answer to a question to a legacy client, and the question's id.
    pub fn ask(self: &Arc<Self>, owner: &str) -> Question {
        let id = random_hex24();
        let (sender, answer) = oneshot::channel();
        hold(&self.asked).insert(id.clone(), (owner.to_owned(), sender));
        Question { waiting: self.clone(), id, answer }
    }

    /// An answer has come. False when nobody asked this owner that.
    pub fn answered(&self, owner: &str, id: &str, answer: Answer) -> bool {
        let mut asked = hold(&self.asked);
        if asked.get(id).is_none_or(|(of, _)| of != owner) {
            return false;
        }
        asked.remove(id).is_some_and(|(_, sender)| sender.send(answer).is_ok())
    }

    /// The lowest level of log messages that a legacy session wants. Sessions that wish nothing take no room.
    pub fn log_level(&self, session: &str) -> Option<String> {
        self.lanes.get(session).and_then(|lane| hold(&lane.log_level).clone())
    }

    /// The wishes of a legacy session.
    pub fn lane(&self, session: &str) -> Arc<Lane> {
        self.lanes.get_with_by_ref(session, Arc::default)
    }
}

/// A request that runs.
pub struct Cancellable {
    waiting: Arc<Waiting>,
    key: (String, String),
    token: CancellationToken,
}

impl Cancellable {
    /// What comes of it, unless the client cancels the request first.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            () = self.token.cancelled() => Err(Error::new(Kind::InvalidRequest, "The request was cancelled by its client.")),
        }
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        hold(&self.waiting.running).remove(&self.key);
    }
}

/// A question to a legacy client; forgotten when it is dropped.
pub struct Question {
    waiting: Arc<Waiting>,
    /// The id that the client's answer names.
    pub id: String,
    answer: oneshot::Receiver<Answer>,
}

impl Question {
    /// The answer: the JSON of the result, or of the error. `None` when it does not come in time.
    pub async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        hold(&self.waiting.asked).remove(&self.id);
    }
}

impl Lane {
    /// Remembers it.
    pub fn set_log_level(&self, level: &str) {
        *hold(&self.log_level) = Some(level.to_owned());
    }

    /// Remembers a task that was begun in the session, by the client's id.
    pub fn keep_task(&self, handle: String) {
        let mut tasks = hold(&self.tasks);
        tasks.push_front(handle);
        tasks.truncate(MAX_TASKS);
    }

    /// The tasks that were begun in the session, newest first.
    pub fn tasks(&self) -> Vec<String> {
        hold(&self.tasks).iter().cloned().collect()
    }

    /// What the session wants to hear of an upstream, as it changes.
    pub fn wanted(&self, connector: &str) -> watch::Receiver<Wanted> {
        self.sender(connector).subscribe()
    }

    /// Adds a resource to what it wants to hear of, or takes it away.
    pub fn want(&self, connector: &str, uri: &str, is_wanted: bool) {
        self.sender(connector).send_if_modified(|wanted| {
            let mut resources: HashSet<String> = wanted.resources.drain(..).collect();
            let changed = if is_wanted { resources.insert(uri.to_owned()) } else { resources.remove(uri) };
            wanted.resources = resources.into_iter().collect();
            wanted.resources.sort_unstable();
            changed
        });
    }

    fn sender(&self, connector: &str) -> watch::Sender<Wanted> {
        let all = || watch::Sender::new(Wanted { lists: true, resources: Vec::new() });
        hold(&self.wanted).entry(connector.to_owned()).or_insert_with(all).clone()
    }
}
