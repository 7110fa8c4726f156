//! What of an answer a caller wants, and the cursors that lead to the rest of it.
//!
//! A cursor keeps nothing here: it says where in which page of the platform the rest begins, and following it asks the platform again. It is
//! sealed for one principal and user, and fits the call that it came from alone.

use amalgam_connector::{
    CompiledAction,
    definition::{Effect, Parameter},
    shape::{BYTES_PER_TOKEN, Rest, ShapeLimits, Shaped, Wanted, is_shown_as_is, shape},
};
use amalgam_protocol::strict::parse_answer;
use aws_lc_rs::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Answer, Call, outcome};
use crate::{
    app::App,
    auth::Caller,
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// A cursor can be followed for an hour, in milliseconds.
const LIFETIME_MS: i64 = 60 * 60 * 1000;
/// The longest cursor: a platform's own may have 4 KB.
const MAX_CURSOR: usize = 8 * 1024;
/// What every cursor begins with, so that none is taken for one of a platform.
const PREFIX: &str = "amc_";
/// More members than this are not asked for one by one.
const MAX_FIELDS: usize = 100;
/// The longest JSON pointer, in bytes.
const MAX_PART: usize = 1_000;
/// Items of a list in one answer.
const MAX_LIMIT: u64 = 1_000;
/// A smaller budget would hold little but what is told about the answer.
pub const MIN_TOKENS: u32 = 500;
pub const MAX_TOKENS: u32 = 1_000_000;
/// Asked of a platform that does not say how many it gives at most.
const USUAL_PAGE: u64 = 100;

/// The arguments that say what of an answer is wanted.
pub const NAMES: [&str; 6] = ["fields", "raw", "cursor", "limit", "part", "maxTokens"];

/// What of an answer a caller wants.
#[derive(Debug, Default)]
pub struct View {
    /// Where it begins is in the cursor.
    wanted: Wanted,
    cursor: Option<String>,
}

impl View {
    /// Takes those of the arguments that are named here, and are not the action's own.
    ///
    /// # Errors
    /// A sentence that names the argument.
    pub fn take(arguments: &mut Map<String, Value>, names: &[&str]) -> Result<Self> {
        let mut view = Self::default();
        for name in NAMES.into_iter().filter(|name| names.contains(name)) {
            match arguments.shift_remove(name) {
                None | Some(Value::Null) => {}
                Some(value) => view.set(name, value)?,
            }
        }
        Ok(view)
    }

    /// As programs ask: the platform's answer whole, but for what they ask for.
    ///
    /// # Errors
    /// A sentence that names the member.
    pub fn of_program(cursor: Option<String>, limit: Option<u64>, part: Option<String>, max_tokens: Option<u64>) -> Result<Self> {
        let mut view = Self { wanted: Wanted { raw: true, ..Wanted::default() }, cursor: None };
        let given = [
            ("cursor", cursor.map(Value::from)),
            ("limit", limit.map(Value::from)),
            ("part", part.map(Value::from)),
            ("maxTokens", max_tokens.map(Value::from)),
        ];
        for (name, value) in given {
            value.map_or(Ok(()), |value| view.set(name, value))?;
        }
        Ok(view)
    }

    /// Takes a cursor of ours out of arguments of an action that has an argument `cursor` itself.
    pub fn take_cursor(&mut self, arguments: &mut Map<String, Value>) {
        if let Some(Value::String(cursor)) = arguments.get("cursor").filter(|cursor| cursor.as_str().is_some_and(|c| c.starts_with(PREFIX)))
        {
            self.cursor = Some(cursor.clone());
            arguments.shift_remove("cursor");
        }
    }

    /// Answers have no more tokens than so many, whatever the caller asked for.
    #[must_use]
    pub fn within(mut self, max_tokens: Option<u32>) -> Self {
        if let Some(bytes) = max_tokens.map(bytes) {
            self.wanted.max_bytes = Some(self.wanted.max_bytes.map_or(bytes, |asked| asked.min(bytes)));
        }
        self
    }

    fn set(&mut self, name: &str, value: Value) -> Result<()> {
        let wrong = |must: String| Err(Error::invalid(name, format!("The argument `{name}` must be {must}.")));
        match (name, value) {
            ("fields", Value::Array(names)) if names.len() <= MAX_FIELDS && names.iter().all(Value::is_string) => {
                self.wanted.fields = names.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            }
            ("fields", _) => return wrong(format!("a list of at most {MAX_FIELDS} names of members")),
            ("raw", Value::Bool(raw)) => self.wanted.raw = raw,
            ("raw", _) => return wrong("true or false".to_owned()),
            ("cursor", Value::String(cursor)) if cursor.len() <= MAX_CURSOR => self.cursor = Some(cursor),
            ("cursor", _) => return wrong("`nextCursor` of an answer before".to_owned()),
            ("part", Value::String(part)) if part.len() <= MAX_PART && (part.is_empty() || part.starts_with('/')) => {
                self.wanted.part = Some(part);
            }
            ("part", _) => return wrong("a JSON pointer such as \"/items/0/body\"".to_owned()),
            ("limit", value) => match value.as_u64().filter(|limit| (1..=MAX_LIMIT).contains(limit)) {
                Some(limit) => self.wanted.limit = usize::try_from(limit).ok(),
                None => return wrong(format!("a whole number from 1 to {MAX_LIMIT}")),
            },
            (_, value) => match value.as_u64().and_then(|tokens| u32::try_from(tokens).ok()).filter(|tokens| is_budget(*tokens)) {
                Some(tokens) => self.wanted.max_bytes = Some(bytes(tokens)),
                None => return wrong(format!("a whole number from {MIN_TOKENS} to {MAX_TOKENS}")),
            },
        }
        Ok(())
    }

    /// Puts the page that the cursor leads to, or the size that the limit asks for, into the arguments. Returns where in the answer to begin.
    ///
    /// # Errors
    /// The cursor is not this caller's, has had its time, or comes from another call.
    pub(super) fn enter(&self, app: &App, call: &Call<'_>, action: &CompiledAction, arguments: &mut Map<String, Value>) -> Result<usize> {
        let (page, size) = paging_arguments(action);
        let Some(cursor) = &self.cursor else {
            if let Some((name, limit)) = size.zip(self.wanted.limit)
                && arguments.get(name).is_none_or(Value::is_null)
                && let Some(value) = action.action.params.get(name).and_then(|param| page_size(param, limit))
            {
                arguments.insert(name.to_owned(), value);
            }
            return Ok(0);
        };
        let refuse = |sentence: &'static str| Err(Error::invalid("cursor", sentence));
        let place = cursor.strip_prefix(PREFIX).and_then(|sealed| {
            let caller = call.caller;
            let text = app.store.sealer().unseal(&owner(caller, &caller.principal.label()), sealed).ok()?;
            serde_json::from_str::<Place>(text.expose()).ok()
        });
        let Some(place) = place else {
            return refuse("The `cursor` is none that you got here: give `nextCursor` of an answer, as it was.");
        };
        if place.until < now_ms() {
            return refuse("The `cursor` has had its time of an hour: repeat the call without it.");
        }
        if place.of != self.digest(call.connector_id, action, call.credential_id, arguments) {
            return refuse(
                "The `cursor` comes from another call: repeat that call as it was, with the same action, parameters, `fields`, `raw` and `part`, and add \
                 `cursor`.",
            );
        }
        for (name, value) in [(page, place.page), (size, place.size)] {
            match (name, value) {
                (Some(name), Some(value)) => drop(arguments.insert(name.to_owned(), value)),
                (Some(name), None) => drop(arguments.shift_remove(name)),
                (None, _) => {}
            }
        }
        Ok(place.skip)
    }

    /// Names the call that a cursor belongs to, whichever page of it is asked for.
    fn digest(&self, connector: &str, action: &CompiledAction, credential: Option<&str>, arguments: &Map<String, Value>) -> String {
        let (page, size) = paging_arguments(action);
        let mut digest = Digest::new(&SHA256);
        let Wanted { fields, raw, part, .. } = &self.wanted;
        let view = serde_json::json!([connector, &*action.id, credential, fields, raw, part]).to_string();
        digest.update(view.as_bytes());
        let mut own: Vec<_> =
            arguments.iter().filter(|(name, value)| ![page, size].contains(&Some(name.as_str())) && !value.is_null()).collect();
        own.sort_unstable_by_key(|(name, _)| *name);
        own.iter().for_each(|(name, value)| update(&mut digest, name, value));
        amalgam_vault::hex(digest.finish().as_ref().get(..16).unwrap_or_default())
    }

    /// The cursor that leads to the rest of an answer.
    fn cursor(&self, app: &App, caller: &Caller, call: (&str, Option<&str>), answer: &Answer, rest: Rest) -> Result<Option<String>> {
        let (action_id, credential) = call;
        let Some(action) = answer.connector.connector.action(action_id) else { return Ok(None) };
        let (page, size) = paging_arguments(action);
        let argument = |name: Option<&str>| answer.arguments.get(name?).cloned();
        let (page, skip) = match rest {
            Rest::After(skip) => (argument(page), skip),
            Rest::Page(page) => (Some(page), 0),
        };
        let of = self.digest(answer.connector.id(), action, credential, &answer.arguments);
        let place = Place { until: now_ms() + LIFETIME_MS, of, skip, page, size: argument(size) };
        let text = serde_json::to_string(&place).map_err(Error::internal)?;
        let sealed = app.store.sealer().seal(&owner(caller, &caller.principal.label()), &text)?;
        Ok(Some(format!("{PREFIX}{sealed}")))
    }

    /// Shapes an answer; `None` where it is shown as it came.
    ///
    /// # Errors
    /// It has nothing at the part that was asked for, or cannot be taken apart.
    pub fn shaped(
        &self,
        app: &App,
        call: (&Caller, &str, Option<&str>),
        answer: &Answer,
        limits: &ShapeLimits,
    ) -> Result<Option<(Shaped, Option<String>)>> {
        let (caller, action_id, credential) = call;
        let action = answer.connector.connector.action(action_id).ok_or_else(|| Error::internal("the action of an answer is gone"))?;
        let goes_on = self.cursor.is_some();
        let size = (&answer.extent, answer.body.len());
        if !goes_on && is_shown_as_is(action, size, &self.wanted, answer.next.as_ref(), limits) {
            return Ok(None);
        }
        let value = parse_answer(&answer.body)
            .map_err(|e| Error::new(Kind::PlatformFailed, format!("The platform's answer cannot be shortened: {e}")))?;
        let wanted = Wanted { skip: answer.skip, goes_on, ..self.wanted.clone() };
        let mut shaped = shape(action, value, &wanted, answer.next.clone(), limits).map_err(outcome::bad_argument)?;
        let cursor = match shaped.rest.take() {
            Some(rest) => self.cursor(app, caller, (action_id, credential), answer, rest)?,
            None => None,
        };
        Ok(Some((shaped, cursor)))
    }
}

/// Whether a budget may have so many tokens.
pub fn is_budget(tokens: u32) -> bool {
    (MIN_TOKENS..=MAX_TOKENS).contains(&tokens)
}

fn bytes(tokens: u32) -> usize {
    usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_TOKEN)
}

/// What a cursor holds.
#[derive(Serialize, Deserialize)]
struct Place {
    /// Milliseconds.
    #[serde(rename = "u")]
    until: i64,
    /// The digest of the call.
    #[serde(rename = "c")]
    of: String,
    /// Items, or bytes of a text, before it.
    #[serde(rename = "s")]
    skip: usize,
    /// What the action's paging argument takes.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    page: Option<Value>,
    /// The page's size: another one would move what is skipped.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    size: Option<Value>,
}

fn owner<'a>(caller: &'a Caller, principal: &'a str) -> [&'a str; 4] {
    ["cursor", &caller.scope.account, &caller.scope.user, principal]
}

/// The arguments that take the page and its size.
fn paging_arguments(action: &CompiledAction) -> (Option<&str>, Option<&str>) {
    let pagination = action.action.pagination.as_ref().filter(|_| action.action.effect() == Effect::Read);
    pagination.map_or((None, None), |pagination| (pagination.cursor.as_deref(), pagination.limit.as_deref()))
}

/// The size of a page as the platform takes it: no more than it gives, no less than it must be asked for.
fn page_size(param: &Parameter, limit: usize) -> Option<Value> {
    let schema = param.json_schema();
    let bound = |name: &str, usual: u64| schema.get(name).and_then(Value::as_u64).unwrap_or(usual);
    let size = u64::try_from(limit).ok()?.min(bound("maximum", USUAL_PAGE)).max(bound("minimum", 1));
    match schema.get("type").and_then(Value::as_str) {
        // One of a few sizes is left to the platform.
        _ if schema.get("enum").is_some() => None,
        Some("integer" | "number") => Some(size.into()),
        Some("string") => Some(size.to_string().into()),
        _ => None,
    }
}

/// Adds a value, whatever the order of its members. The parser of arguments has bounded the depth.
fn update(digest: &mut Digest, name: &str, value: &Value) {
    let mut part = |text: &str| {
        digest.update(&text.len().to_be_bytes());
        digest.update(text.as_bytes());
    };
    part(name);
    match value {
        Value::Array(items) => {
            part(&format!("[{}", items.len()));
            items.iter().for_each(|item| update(digest, "", item));
        }
        Value::Object(members) => {
            part(&format!("{{{}", members.len()));
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            members.iter().for_each(|(name, value)| update(digest, name, value));
        }
        scalar => part(&scalar.to_string()),
    }
}
