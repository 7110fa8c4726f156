//! OAuth grants of users at platforms: a code becomes tokens, tokens are renewed in time, by one call at a time, and revoked in the end.

mod destination;
mod endpoint;
mod exchange;
mod revocation;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use moka::sync::Cache;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use self::endpoint::Endpoint;
pub use self::{
    destination::{destination, places},
    exchange::{Code, Granted, scheme},
};
use crate::{
    clock::{now_ms, random_slug},
    connectors::Loaded,
    egress::Egress,
    error::{Error, Kind, Result},
    oauth::Failure,
    store::{
        Scope, Store,
        credentials::{Credential, State},
    },
};

/// A renewal is over within this time, or another node may try, in milliseconds.
const LEASE_MS: i64 = 60_000;
/// A lease that has run out but was not ended is left alone for this long once it is seen: its holder may have new tokens, and write them
/// down as soon as the database answers it again.
const ABANDONED: Duration = Duration::from_secs(3);
/// A call waits this long for a renewal.
const PATIENCE: Duration = Duration::from_secs(25);
/// A call whose token still works waits no longer than this.
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
/// No new attempt is begun after this time.
const ATTEMPTS_FOR: Duration = Duration::from_secs(8);
/// How long a failure stands for those that come after it, so that they do not all ask again.
const FAILED_FOR: Duration = Duration::from_secs(3);
/// New tokens that cannot be written down are kept in memory and tried again for this long.
const WRITING_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// What is known of a token endpoint is forgotten after this time.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);
/// A token that was granted less than this ago and is refused all the same is not renewed again, in milliseconds.
const JUST_GRANTED_MS: i64 = 30_000;

/// What came of a renewal.
#[derive(Clone)]
enum Outcome {
    /// The credential has a token that works.
    Fresh(Box<Credential>),
    /// The user must connect again.
    Reconnect,
    /// Not now; why, in a sentence.
    Later(Arc<str>),
    /// It has been deleted.
    Gone,
}

type Flights = Arc<Mutex<HashMap<String, watch::Receiver<Option<Outcome>>>>>;

/// The grants of this node. Cheap to clone.
#[derive(Clone)]
pub struct Grants {
    store: Arc<Store>,
    egress: Egress,
    /// Renewals under way, by credential.
    flights: Flights,
    failed: Cache<String, Arc<str>>,
    /// By account and auth config.
    endpoints: Cache<(Arc<str>, Option<String>), Arc<Endpoint>>,
}

/// Takes a flight out when it is over, however it ended.
struct Landing(Flights, String);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Grants {
    /// Over what is kept and the way out.
    pub fn new(store: Arc<Store>, egress: Egress) -> Self {
        let failed = Cache::builder().max_capacity(10_000).time_to_live(FAILED_FOR).build();
        let endpoints = Cache::builder().max_capacity(10_000).time_to_idle(FORGOTTEN_AFTER).build();
        Self { store, egress, flights: Flights::default(), failed, endpoints }
    }

    /// Waits until what is under way is over, and new tokens are written down.
    pub async fn settle(&self, limit: Duration) {
        let flights: Vec<_> = self.flights.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let over = join_all(flights.into_iter().map(|mut flight| async move { flight.wait_for(Option::is_some).await.is_ok() }));
        if timeout(limit, over).await.is_err() {
            tracing::error!("renewals were still under way; their tokens may be lost");
        }
    }

    /// The credential with a token that works now; renewed first where it is due. Renewing is done ahead of the end, so that a platform
    /// that is down for a minute is not noticed.
    ///
    /// # Errors
    /// The user must connect again, or the platform does not renew it at the moment.
    pub async fn fresh(&self, scope: &Scope, loaded: &Arc<Loaded>, credential: Credential) -> Result<Credential> {
        if credential.state == State::ReconnectRequired {
            return Err(reconnect(loaded, &credential));
        }
        let lives = || credential.expires_at.is_some_and(|at| at > now_ms());
        let patience = if lives() { SHORT_PATIENCE } else { PATIENCE };
        match self.renew(scope, loaded, &credential, patience).await {
            Outcome::Fresh(credential) => Ok(*credential),
            Outcome::Later(_) if lives() => Ok(credential),
            outcome => Err(refused(outcome, loaded, &credential)),
        }
    }

    /// After the platform has refused its token (401): the credential with another one, or nothing where there is none to be had.
    ///
    /// # Errors
    /// As `fresh`.
    pub async fn after_refusal(&self, scope: &Scope, loaded: &Arc<Loaded>, credential: &Credential) -> Result<Option<Credential>> {
        if credential.auth_config.is_none() || credential.updated_at + JUST_GRANTED_MS > now_ms() {
            return Ok(None);
        }
        match self.renew(scope, loaded, credential, PATIENCE).await {
            Outcome::Fresh(fresh) => Ok(Some(*fresh).filter(|fresh| !fresh.is_same_secret(credential))),
            outcome => Err(refused(outcome, loaded, credential)),
        }
    }

    /// Renews, or waits for the renewal that is under way.
    async fn renew(&self, scope: &Scope, loaded: &Arc<Loaded>, credential: &Credential, patience: Duration) -> Outcome {
        let mut flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(&credential.id) {
                Some(flight) => flight.clone(),
                None => {
                    if let Some(why) = self.failed.get(&credential.id) {
                        return Outcome::Later(why);
                    }
                    let (sender, flight) = watch::channel(None);
                    flights.insert(credential.id.clone(), flight.clone());
                    let landing = Landing(self.flights.clone(), credential.id.clone());
                    let (this, scope, loaded, credential) = (self.clone(), scope.clone(), loaded.clone(), credential.clone());
                    // In a task of its own: new tokens are written down even where the caller goes away.
                    tokio::spawn(async move {
                        let outcome = this.run(&scope, &loaded, &credential).await;
                        if let Outcome::Later(why) = &outcome {
                            this.failed.insert(credential.id, why.clone());
                        }
                        drop(landing);
                        sender.send_replace(Some(outcome));
                    });
                    flight
                }
            }
        };
        let waited = timeout(patience, flight.wait_for(Option::is_some)).await;
        let outcome = waited.ok().and_then(Result::ok).and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Outcome::Later("It has not answered yet.".into()))
    }

    async fn run(&self, scope: &Scope, loaded: &Arc<Loaded>, seen: &Credential) -> Outcome {
        self.with_lease(scope, loaded, seen).await.unwrap_or_else(|error| {
            tracing::warn!(credential = seen.id, cause = error.cause.as_ref().map(tracing::field::display), "a renewal failed: {error}");
            Outcome::Later(error.message.into())
        })
    }

    /// Takes the lease, unless somebody else has renewed the credential already, or is about to.
    async fn with_lease(&self, scope: &Scope, loaded: &Arc<Loaded>, seen: &Credential) -> Result<Outcome> {
        let started = Instant::now();
        let holder = random_slug(16);
        let mut abandoned: Option<Instant> = None;
        loop {
            let Some(now) = self.store.credential_now(scope, &seen.connector, &seen.id).await? else { return Ok(Outcome::Gone) };
            if now.state == State::ReconnectRequired {
                return Ok(Outcome::Reconnect);
            }
            if !now.is_same_secret(seen) {
                self.store.forget_credentials(scope, &seen.connector);
                return Ok(Outcome::Fresh(Box::new(now)));
            }
            if self.store.lease_end(scope, &seen.id).await?.is_some_and(|until| until <= now_ms())
                && abandoned.get_or_insert_with(Instant::now).elapsed() < ABANDONED
            {
                sleep(Duration::from_millis(50)).await;
                continue;
            }
            if self.store.lease_credential(scope, &now, &holder, now_ms() + LEASE_MS).await? {
                return self.ask(scope, loaded, &now, &holder).await;
            }
            while self.store.lease_end(scope, &seen.id).await?.is_some_and(|until| until > now_ms()) {
                if started.elapsed() > PATIENCE {
                    return Ok(Outcome::Later("Another node is renewing it.".into()));
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Asks the platform for new tokens and writes them down before anybody uses them.
    async fn ask(&self, scope: &Scope, loaded: &Arc<Loaded>, credential: &Credential, holder: &str) -> Result<Outcome> {
        let endpoint = (scope.account.clone(), credential.auth_config.clone());
        let endpoint = self.endpoints.get_with(endpoint, || Arc::new(Endpoint::new()));
        let Some(_place) = endpoint.enter().await else {
            self.store.end_lease(scope, &credential.id, holder).await?;
            return Ok(Outcome::Later("Its token endpoint does not answer at the moment, and is left alone for some seconds.".into()));
        };
        let started = Instant::now();
        let mut pause = Duration::from_millis(200);
        let granted = loop {
            let answer = self.refresh(scope, loaded, credential).await;
            match &answer {
                Err(Failure::Transient(_)) => endpoint.failed(),
                _ => endpoint.answered(),
            }
            match answer {
                Ok(Some(granted)) => break granted,
                // Nothing to renew it with: it is good until it ends.
                Ok(None) if credential.expires_at.is_some_and(|at| at > now_ms()) => {
                    self.store.end_lease(scope, &credential.id, holder).await?;
                    return Ok(Outcome::Fresh(Box::new(credential.clone())));
                }
                Ok(None) | Err(Failure::Refused { .. }) => {
                    self.store.require_reconnect(scope, credential).await?;
                    return Ok(Outcome::Reconnect);
                }
                Err(Failure::Transient(_)) if started.elapsed() + pause < ATTEMPTS_FOR && !endpoint.is_closed() => {
                    sleep(pause).await;
                    pause *= 3;
                }
                Err(failure) => {
                    self.store.end_lease(scope, &credential.id, holder).await?;
                    return Ok(Outcome::Later(later(&failure).into()));
                }
            }
        };
        self.write(scope, credential, &granted).await
    }

    /// Rotated tokens exist nowhere else, so that a database that does not answer is asked again.
    async fn write(&self, scope: &Scope, credential: &Credential, granted: &Granted) -> Result<Outcome> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        let written = loop {
            match self.store.replace_credential(scope, credential, &granted.opened, &granted.grant(), true).await {
                Ok(written) => break written,
                Err(error) if started.elapsed() < WRITING_FOR => {
                    tracing::error!(
                        cause = error.cause.as_ref().map(tracing::field::display),
                        "new tokens cannot be written down; trying again"
                    );
                    sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                Err(error) => return Err(error),
            }
        };
        if let Some(written) = written {
            return Ok(Outcome::Fresh(Box::new(written)));
        }
        match self.store.credential_now(scope, &credential.connector, &credential.id).await? {
            Some(now) => Ok(Outcome::Fresh(Box::new(now))),
            None => {
                // Deleted meanwhile: nobody will ever use these.
                self.revoke(scope, &credential.connector, granted).await;
                Ok(Outcome::Gone)
            }
        }
    }
}

fn later(failure: &Failure) -> String {
    match failure {
        Failure::Client { .. } => {
            format!(
                "It does not accept the OAuth client of the auth config ({failure}): an admin corrects it with `PUT /api/auth-configs/{{id}}`."
            )
        }
        _ => format!("Its token endpoint does not work at the moment: {failure}."),
    }
}

/// The user must connect again. Whoever shows this adds the link.
pub fn reconnect(loaded: &Loaded, credential: &Credential) -> Error {
    let name = &loaded.connector.definition().name;
    let sentence = format!("Credential expired: {name} no longer accepts it, and the user must connect again.");
    let details = serde_json::json!({ "connectorId": loaded.id(), "credentialId": credential.id, "state": "reconnect_required" });
    Error::new(Kind::CredentialNotFound, sentence).with_details(details)
}

fn refused(outcome: Outcome, loaded: &Loaded, credential: &Credential) -> Error {
    let name = &loaded.connector.definition().name;
    match outcome {
        Outcome::Gone => {
            Error::new(Kind::CredentialNotFound, format!("Credential not found: the credential for {name} has just been deleted."))
                .with_details(serde_json::json!({ "connectorId": loaded.id() }))
        }
        Outcome::Later(why) => {
            let sentence = format!("The credential for {name} could not be renewed, and is kept. {why} Try again shortly.");
            let mut error = Error::new(Kind::PlatformFailed, sentence);
            error.headers.push(("retry-after", 5));
            error
        }
        Outcome::Fresh(_) | Outcome::Reconnect => reconnect(loaded, credential),
    }
}
