//! Questions of a legacy upstream to a modern client: the call waits here until the client comes back with the answers.

use std::time::Duration;

use amalgam_protocol::{
    bridge::{self, InputRequired},
    respond as write,
    splice::Object,
};

use super::{
    Relay, Said, over,
    state::{self, Binding, State},
};
use crate::{
    call::upstream::refused,
    error::{Error, Result},
    upstream::Heard,
};

/// Questions of a legacy upstream that come within this time are asked together.
const AT_ONCE: Duration = Duration::from_millis(30);

impl Relay {
    /// Gives a legacy upstream the input that it waited for.
    pub(super) async fn take_up(&mut self, questions: &[(String, String)]) -> Result<()> {
        let timeout = self.timeout;
        self.call()?.exchange.extend(timeout);
        let params = self.params().to_owned();
        let params = Object::parse(&params).map_err(|error| Error::invalid("params", error.to_string()))?;
        let answers = params.get("inputResponses").unwrap_or("{}");
        let answers = Object::parse(answers).map_err(|error| Error::invalid("inputResponses", error.to_string()))?;
        let given = questions.iter().map(|(key, question)| {
            let missing = || Error::invalid("inputResponses", format!("`inputResponses` must hold an answer under the name `{key}`."));
            Ok((question, answers.get(key).ok_or_else(missing)?))
        });
        for (question, answer) in given.collect::<Result<Vec<_>>>()? {
            self.call()?.exchange.answer(question, Ok(answer)).await?;
        }
        Ok(())
    }

    /// Takes together what a legacy upstream asks at once, so that the modern client is asked once.
    pub(super) async fn gather(&mut self, id: String, method: &str, params: &str) -> Result<Said> {
        let request = |asked: &[bridge::InputRequest], method: &str, params: &str| bridge::InputRequest {
            key: state::input(params, asked),
            method: method.to_owned(),
            params: params.to_owned(),
        };
        let (mut ids, mut requests) = (vec![id], vec![request(&[], method, params)]);
        while requests.len() < bridge::MAX_INPUTS {
            let Ok(heard) = tokio::time::timeout(AT_ONCE, self.call()?.next()).await else { break };
            match heard? {
                Heard::Request { id, method, params } if bridge::can(&self.client.capabilities, &method, &params) => {
                    requests.push(request(&requests, &method, &params));
                    ids.push(id);
                }
                Heard::Request { id, method, .. } => self.call()?.exchange.refuse(&id, &method).await?,
                Heard::Notification { method, params } => self.notified(&method, params),
                // It did not wait for the answers.
                Heard::Done(outcome) => {
                    let outcome = outcome.map_err(|error| refused(&self.route.connector_id, &error))?;
                    return self.finished(outcome)?.ok_or_else(over);
                }
            }
        }
        self.park(ids, requests)
    }

    /// Keeps the call of a legacy upstream, and asks the modern client to come back with the inputs.
    fn park(&mut self, ids: Vec<String>, requests: Vec<bridge::InputRequest>) -> Result<Said> {
        let binding = Binding::new(&self.caller, &self.route.connector_id, &self.method, self.params())?;
        let Some(call) = self.call.take() else { return Err(over()) };
        let questions = requests.iter().map(|request| request.key.clone()).zip(ids).collect();
        let name = self.app.upstreams.waiting().park(&self.caller.principal.label(), call, questions)?;
        let state = Some(binding.seal(&self.app, &State::Parked { name })?);
        let result = bridge::ask_for_inputs(&InputRequired { requests, state }, &self.server_info());
        Ok(Said::Last(200, write::result(&self.id, result.as_bytes()).into()))
    }
}
