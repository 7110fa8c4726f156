//! `requestState` as a client gets it: sealed, and good only for the same caller, the same request, and a limited time.

use amalgam_protocol::{
    bridge::{self, InputRequest},
    splice::Object,
    strict,
};
use amalgam_vault::hex;
use aws_lc_rs::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Asked;
use crate::{
    app::App,
    auth::Caller,
    clock::now_ms,
    error::{Error, Result},
    mcp::Context,
};

/// The name under which a legacy upstream's question stands: the one that it gave, else a number among those that are asked together.
pub fn input(params: &str, asked: &[InputRequest]) -> String {
    let is_free = |name: &String| asked.iter().all(|request| request.key != *name);
    let numbered = || if asked.is_empty() { "input".to_owned() } else { format!("input-{}", asked.len() + 1) };
    let mut name = bridge::input_name(params).filter(is_free).unwrap_or_else(numbered);
    while !is_free(&name) {
        name.push('-');
    }
    name
}

/// A state is good for this long, in milliseconds.
const LIFETIME_MS: i64 = 60 * 60 * 1000;

/// What a state stands for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// A call that waits in the memory of this node.
    Parked { name: String },
    /// What the upstream itself wants back.
    Upstream { state: String },
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    at: i64,
    state: State,
}

/// What a state is bound to: caller, upstream, method, and what is asked.
pub struct Binding(Vec<String>);

/// What the state stands for that a modern request brings back, if it brings one.
pub fn of(context: &Context<'_>, connector: &str, asked: &Asked<'_>) -> Result<Option<State>> {
    let Some(sealed) = asked.members.text("requestState") else { return Ok(None) };
    Binding::new(context.caller, connector, asked.method, asked.params)?.open(context.app, &sealed).map(Some)
}

impl Binding {
    /// Of a caller's request.
    pub fn new(caller: &Caller, connector: &str, method: &str, params: &str) -> Result<Self> {
        let object = Object::parse(params).map_err(|error| Error::invalid("params", error.to_string()))?;
        let mut digest = Digest::new(&SHA256);
        for member in ["name", "uri", "arguments"] {
            let value = object.get(member).map(|json| strict::parse(json, strict::MAX_DEPTH)).transpose();
            let value = value.map_err(|error| Error::invalid(member, error.to_string()))?.unwrap_or(Value::Null);
            // Clients may write the same arguments in another order the second time.
            digest.update(canonical(value).to_string().as_bytes());
            digest.update(b"\n");
        }
        let server = caller.server.as_ref().map_or("", |server| &server.id);
        let asked = hex(digest.finish().as_ref());
        let parts: [&str; 8] =
            ["request-state", &caller.scope.account, &caller.scope.user, &caller.principal.label(), server, connector, method, &asked];
        Ok(Self(parts.map(str::to_owned).to_vec()))
    }

    fn owner(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// The state as the client gets it.
    pub fn seal(&self, app: &App, state: &State) -> Result<String> {
        #[derive(Serialize)]
        struct Open<'a> {
            at: i64,
            state: &'a State,
        }
        let text = serde_json::to_string(&Open { at: now_ms(), state }).map_err(Error::internal)?;
        app.store.sealer().seal(&self.owner(), &text)
    }

    /// What a state that a client sent stands for.
    ///
    /// # Errors
    /// One that we did not make, or not for this request, or too long ago.
    pub fn open(&self, app: &App, sealed: &str) -> Result<State> {
        let refused = || {
            Error::invalid(
                "requestState",
                "`requestState` does not belong to this request, or is too old; send the request again without it.",
            )
        };
        let text = app.store.sealer().unseal(&self.owner(), sealed).map_err(|_| refused())?;
        let opened: Sealed = serde_json::from_str(text.expose()).map_err(|_| refused())?;
        if opened.at.saturating_add(LIFETIME_MS) < now_ms() {
            return Err(refused());
        }
        Ok(opened.state)
    }
}

/// The same value with the members of its objects in order. The parser has bounded the depth.
fn canonical(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name, canonical(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect())
        }
        other => other,
    }
}
