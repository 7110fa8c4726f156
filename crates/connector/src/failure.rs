//! What a failed answer says: whether it failed at all, the platform's own words, what its code means and what to do.

use serde_json::Value;

use crate::connector::{CompiledAction, Connector};
use crate::definition::{Failure, RateLimit};
use crate::text::{cut, scalar};

/// Where platforms usually put their own words.
const USUAL: [&str; 9] = [
    "/error/message",
    "/message",
    "/error_description",
    "/error",
    "/detail",
    "/errors/0/message",
    "/errors/0/detail",
    "/errors/0",
    "/title",
];

/// Whether an answer with a success status can mean failure at all: else its value need not be looked at.
#[must_use]
pub fn may_succeed_in_name(connector: &Connector, action: &CompiledAction) -> bool {
    action.action.failure.is_some() || connector.definition().failure.is_some() || action.action.graphql.is_some()
}

/// The platform's reason, when an answer with a success status means failure: by the rule of the action, by that of the connector, or
/// by the `errors` of GraphQL.
#[must_use]
pub fn in_success(connector: &Connector, action: &CompiledAction, body: &Value) -> Option<String> {
    let rules = [action.action.failure.as_ref(), connector.definition().failure.as_ref()];
    let broken = rules.into_iter().flatten().find(|rule| means_failure(rule, body));
    let pointer = match broken {
        Some(rule) => rule.message.as_deref(),
        None if action.action.graphql.is_some() && body.get("errors").is_some_and(says_yes) => Some("/errors/0/message"),
        None => return None,
    };
    let words = match pointer {
        Some(pointer) => body.pointer(pointer).and_then(words),
        None => reason(connector, body),
    };
    Some(words.unwrap_or_else(|| format!("{} reported a failure without a reason.", connector.definition().name)))
}

fn means_failure(rule: &Failure, body: &Value) -> bool {
    let found = body.pointer(&rule.pointer);
    match &rule.equals {
        Some(wanted) => found == Some(wanted),
        None => found.is_some_and(says_yes),
    }
}

/// Whether a value is there in more than name: not null, false, zero or empty.
pub(crate) fn says_yes(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// The platform's own words in a failed answer, from where the connector says or where platforms usually put them.
#[must_use]
pub fn reason(connector: &Connector, body: &Value) -> Option<String> {
    let declared = connector.definition().errors.as_ref().and_then(|errors| errors.message.as_deref());
    let found = declared.and_then(|pointer| body.pointer(pointer)).and_then(words);
    found.or_else(|| USUAL.iter().find_map(|pointer| body.pointer(pointer)?.as_str()).map(str::to_owned))
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(cut(text, 500).into_owned()),
        value => Some(cut(&value.to_string(), 500).into_owned()),
    }
}

/// What a failed answer means and what to do: the connector's sentences for the platform's code, else for the status, else `usual`; then
/// the scopes that the action needs, where one may be missing.
#[must_use]
pub fn advice(connector: &Connector, action: &CompiledAction, status: u16, body: Option<&Value>, usual: &str) -> String {
    let errors = connector.definition().errors.as_ref();
    let pointers = errors.map_or(&[][..], |errors| errors.code.as_slice());
    let codes: Vec<_> = pointers.iter().filter_map(|pointer| scalar(body?.pointer(pointer)?)).collect();
    let known = |code: &str| errors.and_then(|errors| errors.meanings.get(code)).map(String::as_str);
    let meaning = codes.iter().find_map(|code| known(code)).or_else(|| known(&status.to_string())).unwrap_or(usual);
    let about_scopes = status == 403 || codes.iter().any(|code| code.to_ascii_lowercase().contains("scope"));
    let scopes = match action.action.scopes.as_slice() {
        [only] if about_scopes => format!("This action needs the scope `{only}`."),
        [_, ..] if about_scopes => format!("This action needs one of the scopes `{}`.", action.action.scopes.join("`, `")),
        _ => String::new(),
    };
    [meaning, scopes.as_str()].into_iter().filter(|sentence| !sentence.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The seconds to wait, from where the platform says it when it has no `Retry-After`; `now` is Unix time in seconds.
#[must_use]
pub fn wait(limit: &RateLimit, body: Option<&Value>, header: impl Fn(&str) -> Option<u64>, now: u64) -> Option<u64> {
    let told = limit.wait.as_deref().and_then(|pointer| body?.pointer(pointer)?.as_f64());
    let told = told.filter(|seconds| (0.0..=86_400.0).contains(seconds)).map(|seconds| Value::from(seconds.ceil()));
    let seconds = told.and_then(|seconds| scalar(&seconds)?.parse().ok());
    // No platform means a second of the year 5138.
    let unix = |time: u64| if time < 100_000_000_000 { time } else { time.div_ceil(1_000) };
    seconds.or_else(|| unix(header(limit.reset_header.as_deref()?)?).checked_sub(now).filter(|seconds| *seconds <= 86_400))
}

/// Whether a failed answer says that a rate limit is reached.
#[must_use]
pub fn is_limit(limit: Option<&RateLimit>, status: u16, header: impl Fn(&str) -> Option<u64>) -> bool {
    let is_declared = |limit: &RateLimit| {
        limit.status == Some(status) && (header("retry-after").is_some() || limit.remaining_header.as_deref().and_then(&header) == Some(0))
    };
    status == 429 || limit.is_some_and(is_declared)
}
