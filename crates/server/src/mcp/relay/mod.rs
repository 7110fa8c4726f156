//! A request that an upstream answers: what it says meanwhile, what it asks the client, and its end, in the words of the client's era.

mod park;
mod respond;
mod state;
pub mod task;

use std::{borrow::Cow, collections::VecDeque, mem, sync::Arc, time::Duration};

use amalgam_protocol::{
    Era, Fault, Pieces,
    bridge::{self, Towards},
    params::LOG_LEVELS,
    respond as write,
    splice::{Object, quoted},
};
use bytes::Bytes;
use serde_json::value::RawValue;

pub use self::respond::{failure, respond};
use self::state::{Binding, State};
use super::{Context, identity};
use crate::{
    app::App,
    auth::Caller,
    call::{
        Door,
        upstream::{Forward, forward},
    },
    error::{Error, Kind, Result},
    store::{Change, upstreams::Upstream},
    upstream::{Answered, Cancellable, Client, Heard, News, Question, Recorded, news},
};

/// How often an upstream may ask for further inputs within one request of a legacy client.
const MAX_ROUNDS: usize = 10;

/// Where a request goes.
#[derive(Clone)]
pub struct Route {
    /// The upstream, by its slug.
    pub connector_id: String,
    /// What restrictions judge.
    pub action_id: String,
    /// The upstream's own name for what is asked, where ours differs.
    pub renamed: Option<(&'static str, String)>,
}

/// What the client is told next.
pub enum Said {
    /// A message before the end.
    Message(Vec<u8>),
    /// The response, with the HTTP status that goes with it.
    Last(u16, Pieces),
}

/// What is waited for before the upstream is heard again.
enum Pending {
    Nothing,
    /// The client's answer to a question of a legacy upstream, whose id this is.
    Question(String, Question),
    /// The client's answers to what a modern upstream asked for.
    Inputs(Vec<(String, Question)>, Option<String>),
}

/// One request on its way.
pub struct Relay {
    app: App,
    caller: Caller,
    era: Era,
    id: Box<RawValue>,
    request_id: String,
    method: String,
    /// A part of the request's body: JSON.
    params: Bytes,
    route: Route,
    client: Client,
    log_level: Option<String>,
    token: Option<String>,
    timeout: Duration,
    call: Option<Recorded>,
    out: VecDeque<Vec<u8>>,
    /// The response, while messages before it are still to be said.
    last: Option<Said>,
    pending: Pending,
    rounds: usize,
    running: Option<Cancellable>,
    /// Shared with those who ask for lists again because of this call.
    changing: Arc<()>,
}

/// A request as the relay needs it.
pub struct Asked<'a> {
    /// Its id.
    pub id: &'a RawValue,
    /// Its method.
    pub method: &'a str,
    /// Its parameters: JSON.
    pub params: &'a str,
    /// The same, taken apart.
    pub members: &'a Object<'a>,
    /// What they are a part of, where it is the request of the client.
    pub body: Option<&'a Bytes>,
    /// The client that it comes from.
    pub client: Client,
    /// The lowest level of log messages that the client wants.
    pub log_level: Option<String>,
    /// The client's progress token: JSON.
    pub token: Option<String>,
}

impl Relay {
    /// Begins a request, or goes on with one that waited for its client.
    ///
    /// # Errors
    /// What the client is told instead.
    pub async fn begin(context: &Context<'_>, asked: Asked<'_>, route: Route) -> Result<Box<Self>, Error> {
        // Ids of requests are told apart by their sessions; without one, a cancellation could be of anybody who uses the same token.
        if context.session.is_none() {
            return Self::start(context, asked, route).await;
        }
        let running = context.app.upstreams.waiting().run(&owner(context.caller, &asked.client.lane), asked.id.get());
        let mut this = running.unless_cancelled(Box::pin(Self::start(context, asked, route))).await?;
        this.running = Some(running);
        Ok(this)
    }

    async fn start(context: &Context<'_>, asked: Asked<'_>, route: Route) -> Result<Box<Self>> {
        let state = if context.era.is_modern() { state::of(context, &route.connector_id, &asked)? } else { None };
        let state = match state {
            Some(State::Parked { name }) => {
                let Some(parked) = context.app.upstreams.waiting().take(&name) else {
                    let sentence = "The call that this `requestState` belongs to waits no longer; send the request again without it.";
                    return Err(Error::invalid("requestState", sentence));
                };
                let mut this = Self::of(context, asked, route, parked.call);
                Box::pin(this.take_up(&parked.questions)).await?;
                return Ok(this);
            }
            Some(State::Upstream { state }) => Some(state),
            None => None,
        };
        let call = Self::send(context.app, context.caller, context.request_id, &asked, &route, state.as_deref()).await?;
        Ok(Self::of(context, asked, route, call))
    }

    async fn send(app: &App, caller: &Caller, request_id: &str, asked: &Asked<'_>, route: &Route, state: Option<&str>) -> Result<Recorded> {
        let request = Forward {
            caller,
            door: Door::Mcp,
            connector_id: &route.connector_id,
            action_id: &route.action_id,
            method: asked.method,
            params: asked.params,
            members: Some(asked.members),
            body: asked.body,
            renamed: route.renamed.as_ref().map(|(member, name)| (*member, name.as_str())),
            request_state: state,
            log_level: asked.log_level.as_deref(),
            client: &asked.client,
            timeout: None,
            request_id,
        };
        forward(app, &request).await
    }

    fn of(context: &Context<'_>, asked: Asked<'_>, route: Route, call: Recorded) -> Box<Self> {
        Box::new(Self {
            app: context.app.clone(),
            caller: context.caller.clone(),
            era: context.era,
            id: asked.id.to_owned(),
            request_id: context.request_id.to_owned(),
            method: asked.method.to_owned(),
            params: context.part(asked.params),
            route,
            client: asked.client,
            log_level: asked.log_level,
            token: asked.token,
            timeout: context.app.upstreams.timeout(call.exchange.upstream()),
            call: Some(call),
            out: VecDeque::new(),
            last: None,
            pending: Pending::Nothing,
            rounds: 0,
            running: None,
            changing: Arc::default(),
        })
    }

    /// The parameters as the client sent them.
    fn params(&self) -> &str {
        std::str::from_utf8(&self.params).unwrap_or_default()
    }

    /// As [`Context::server_info`].
    fn server_info(&self) -> String {
        let server = self.caller.server.as_ref().filter(|_| self.era.is_modern());
        server.map(|server| identity(server).info()).unwrap_or_default()
    }

    /// The call, while there is one: not after it was parked.
    fn call(&mut self) -> Result<&mut Recorded> {
        self.call.as_mut().ok_or_else(over)
    }

    /// What the client is told next; after [`Said::Last`] there is nothing more.
    pub async fn step(&mut self) -> Said {
        loop {
            if let Some(message) = self.out.pop_front() {
                return Said::Message(message);
            }
            if let Some(last) = self.last.take() {
                return last;
            }
            let advanced = match self.running.take() {
                None => self.advance().await,
                Some(running) => {
                    let advanced = running.unless_cancelled(Box::pin(self.advance())).await;
                    self.running = Some(running);
                    advanced
                }
            };
            match advanced {
                Ok(last) => self.last = last,
                Err(error) => self.last = Some(self.failed(&error)),
            }
        }
    }

    /// The response alone, for who hears nothing before it.
    pub async fn last(&mut self) -> Bytes {
        loop {
            if let Said::Last(_, response) = self.step().await {
                return response.join();
            }
        }
    }

    async fn advance(&mut self) -> Result<Option<Said>> {
        match mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => {}
            waiting => return Box::pin(self.go_on(waiting)).await,
        }
        match self.call()?.next().await? {
            Heard::Notification { method, params } => {
                self.notified(&method, params);
                Ok(None)
            }
            Heard::Request { id, method, params } => Box::pin(self.questioned(id, &method, &params)).await,
            Heard::Done(Ok(result)) => self.finished(result),
            Heard::Done(Err(error)) => {
                let (http, error) = bridge::error(&self.method, &error, self.towards()).map_err(Error::internal)?;
                Ok(Some(Said::Last(http, write::failure(&self.id, &error).into())))
            }
        }
    }

    /// Waits for the client, and tells the upstream.
    async fn go_on(&mut self, pending: Pending) -> Result<Option<Said>> {
        match pending {
            Pending::Nothing => Ok(None),
            Pending::Question(id, mut question) => {
                let answer = question.answer().await.unwrap_or_else(|| Err(no_answer()));
                let timeout = self.timeout;
                self.call()?.exchange.extend(timeout);
                self.call()?.exchange.answer(&id, answer.as_deref().map_err(String::as_str)).await?;
                Ok(None)
            }
            Pending::Inputs(questions, state) => self.repeat(questions, state).await,
        }
    }

    fn towards(&self) -> Towards {
        if self.era.is_modern() { Towards::Modern } else { Towards::Legacy }
    }

    /// Something that the upstream tells during the call.
    fn notified(&mut self, method: &str, params: String) {
        let params = match method {
            "notifications/progress" => {
                let Some(token) = &self.token else { return };
                let Ok(mut object) = Object::parse(&params) else { return };
                object.set("progressToken", token.as_str());
                object.to_string()
            }
            "notifications/message" if !self.wants_log(&params) => return,
            "notifications/cancelled" => return,
            "notifications/tasks/status" => params,
            _ => match news(method, String::new()) {
                // Changes belong on the stream of those who listen. Everybody's list is asked for again.
                Some(News::Tools | News::Prompts | News::Resources) => {
                    let Some(call) = &self.call else { return };
                    let (app, upstream, changing) = (self.app.clone(), call.exchange.upstream().clone(), self.changing.clone());
                    // Of two that ask one has not begun, and will see this change too.
                    if Arc::strong_count(&changing) <= 3 {
                        tokio::spawn(async move {
                            changed(&app, &upstream).await;
                            drop(changing);
                        });
                    }
                    return;
                }
                _ => params,
            },
        };
        let params = match self.known_task(&params) {
            Some(known) => known,
            // A task of 2025-11-25 that this client does not know is nobody's business here.
            None if method == "notifications/tasks/status" => return,
            None => params,
        };
        self.out.push_back(write::notification(method, params.as_bytes()));
    }

    fn wants_log(&self, params: &str) -> bool {
        let Ok(object) = Object::parse(params) else { return false };
        let rank = |level: &str| LOG_LEVELS.iter().position(|known| *known == level);
        let level = object.text("level").and_then(|level| rank(&level));
        match (&self.log_level, self.era.is_modern()) {
            // A modern client opts in; a legacy one that set no level gets what the upstream chooses to send.
            (None, is_modern) => !is_modern,
            (Some(lowest), _) => level >= rank(lowest),
        }
    }

    /// Something that a legacy upstream asks its client.
    async fn questioned(&mut self, id: String, method: &str, params: &str) -> Result<Option<Said>> {
        if !bridge::can(&self.client.capabilities, method, params) {
            return match bridge::capability(method).filter(|_| self.era.is_modern()) {
                // The modern era has an error for this, and the call cannot go on.
                Some(required) => {
                    let fault = Fault::missing_capability(required);
                    Ok(Some(Said::Last(fault.http, write::error(Some(&self.id), &fault).into())))
                }
                None => self.call()?.exchange.refuse(&id, method).await.map(|()| None),
            };
        }
        if self.era.is_modern() {
            return self.gather(id, method, params).await.map(Some);
        }
        let question = self.ask(method, params);
        self.pending = Pending::Question(id, question);
        Ok(None)
    }

    /// Sends a question to a legacy client, on the stream of its own request.
    fn ask(&mut self, method: &str, params: &str) -> Question {
        let question = self.app.upstreams.waiting().ask(&owner(&self.caller, &self.client.lane));
        // Clients' own tasks are not for upstreams, which were not told of them; and a task is named as the client knows it.
        let known = self.known_task(params);
        let params = bridge::without("task", known.as_deref().unwrap_or(params));
        self.out.push_back(bridge::request(&quoted(&question.id), method, &params));
        question
    }

    /// Sends the request of a legacy client again, with the inputs that a modern upstream asked for.
    async fn repeat(&mut self, questions: Vec<(String, Question)>, state: Option<String>) -> Result<Option<Said>> {
        let mut answers = Vec::with_capacity(questions.len());
        for (key, mut question) in questions {
            match question.answer().await.unwrap_or_else(|| Err(no_answer())) {
                Ok(answer) => answers.push((key, answer)),
                // The modern era has no word for a client that fails to answer: the call ends with the client's own error.
                Err(error) => return Ok(Some(Said::Last(200, write::failure(&self.id, &error).into()))),
            }
        }
        let params = bridge::with_inputs(self.params(), &answers, state.as_deref()).map_err(Error::internal)?;
        let members = Object::parse(&params).map_err(Error::internal)?;
        let asked = Asked {
            id: &self.id.clone(),
            method: &self.method.clone(),
            params: &params,
            members: &members,
            body: None,
            client: self.client.clone(),
            log_level: self.log_level.clone(),
            token: None,
        };
        let call = Self::send(&self.app, &self.caller, &self.request_id, &asked, &self.route, state.as_deref()).await?;
        self.call = Some(call);
        Ok(None)
    }

    /// The upstream's result, in the words of the client's era.
    fn finished(&mut self, result: Answered) -> Result<Option<Said>> {
        let exchange = &self.call()?.exchange;
        let (is_modern, name) = (exchange.is_modern, exchange.upstream().name.clone());
        let wrong = |what: String| Error::new(Kind::PlatformFailed, format!("{name} answered in a way that cannot be read: {what}."));
        let unreadable = |error: amalgam_protocol::strict::StrictError| wrong(error.to_string());
        let (object, source) = (result.object().map_err(unreadable)?, result.source());
        let asked = if is_modern { bridge::input_required(&object).map_err(wrong)? } else { None };
        let rewritten = |text: String| Pieces::from(write::result(&self.id, text.as_bytes()));
        // What has to change is written anew; anything else is passed on as it came.
        let changed: Option<Pieces> = match (self.era.is_modern(), asked) {
            (true, None) if is_modern => {
                let of_task = self.method.starts_with("tasks/").then(|| Object::parse(self.params()).ok()).flatten();
                let known = of_task.and_then(|params| params.text("taskId").map(Cow::into_owned));
                task::renamed(&self.app, &self.caller, &self.route.connector_id, known.as_deref(), object)?.map(rewritten)
            }
            (true, None) => {
                let result = bridge::modern_result(&self.method, object, &self.server_info()).map_err(unreadable)?;
                Some(write::result_of(&self.id, &result, source))
            }
            (true, Some(asked)) => match asked.state {
                Some(state) => {
                    let binding = Binding::new(&self.caller, &self.route.connector_id, &self.method, self.params())?;
                    let sealed = binding.seal(&self.app, &State::Upstream { state })?;
                    let mut object = object;
                    object.set_text("requestState", &sealed);
                    Some(write::result_of(&self.id, &object, source))
                }
                None => None,
            },
            (false, None) if is_modern => {
                let result = bridge::legacy_result(object).map_err(unreadable)?;
                result.map(|result| write::result_of(&self.id, &result, source))
            }
            (false, None) => self.of_task(&result)?.map(rewritten),
            (false, Some(asked)) => {
                self.rounds += 1;
                if self.rounds > MAX_ROUNDS {
                    return Err(wrong(format!("it asked for inputs {MAX_ROUNDS} times in a row")));
                }
                if let Some(request) =
                    asked.requests.iter().find(|request| !bridge::can(&self.client.capabilities, &request.method, &request.params))
                {
                    return Err(wrong(format!("it asks for {}, which the client does not offer", request.method)));
                }
                let questions =
                    asked.requests.into_iter().map(|request| (request.key, self.ask(&request.method, &request.params))).collect();
                self.pending = Pending::Inputs(questions, asked.state);
                return Ok(None);
            }
        };
        let response = changed.unwrap_or_else(|| result.answering(self.id.get()));
        Ok(Some(Said::Last(200, response)))
    }

    /// What the client is told of a failure of ours or the upstream's.
    fn failed(&self, error: &Error) -> Said {
        error.log(&self.request_id);
        let (http, bytes) = failure(self.era, &self.id, &self.method, &self.server_info(), error);
        Said::Last(http, bytes.into())
    }
}

/// Asks an upstream again what it offers, and tells those who listen.
async fn changed(app: &App, upstream: &Arc<Upstream>) {
    refreshed(app, upstream).await;
    app.announce(Change::Connectors(upstream.owner.account.clone()));
}

/// Asks an upstream again what it offers. What it offered last stays where it cannot be asked.
pub async fn refreshed(app: &App, upstream: &Arc<Upstream>) {
    if let Err(error) = app.upstreams.refresh(upstream).await {
        tracing::warn!(upstream = upstream.id, error = %error, "an upstream does not say what it offers now");
    }
}

/// Who may answer a question: the same caller in the same session.
pub fn owner(caller: &Caller, lane: &str) -> String {
    format!("{}\n{}\n{}\n{lane}", caller.scope.account, caller.principal.label(), caller.scope.user)
}

/// Nobody asks a call that was parked or has ended.
fn over() -> Error {
    Error::internal("a call was used after its end")
}

fn no_answer() -> String {
    "{\"code\":-32000,\"message\":\"The client did not answer in time.\"}".to_owned()
}
