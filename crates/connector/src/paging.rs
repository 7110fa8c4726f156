//! How the next page of an answer is asked for, the same for every way in which platforms page.

use serde_json::{Map, Value, json};

use crate::definition::{Action, Pagination, Paging};
use crate::failure::says_yes;
use crate::shape::list_pointer;

/// A longer cursor is none.
const LONGEST: usize = 4096;

/// What the paging argument takes to ask for the next page, when there is one. `link` is the answer's header `Link`.
#[must_use]
pub fn next(action: &Action, args: &Map<String, Value>, link: Option<&str>, body: &Value) -> Option<Value> {
    // Where no argument takes it, nothing can be asked for.
    let pagination = action.pagination.as_ref().filter(|pagination| pagination.cursor.is_some())?;
    if pagination.more.as_deref().is_some_and(|pointer| !body.pointer(pointer).is_some_and(says_yes)) {
        return None;
    }
    if pagination.last.as_deref().is_some_and(|pointer| body.pointer(pointer).is_some_and(says_yes)) {
        return None;
    }
    let pointer = pagination.next.as_deref();
    Some(match pagination.kind {
        Paging::Cursor => usable(body.pointer(pointer?)?)?.clone(),
        Paging::Url => of_url(action, pagination, body.pointer(pointer?)?.as_str()?)?,
        Paging::Link => of_url(action, pagination, next_link(link?)?)?,
        Paging::Last => usable(items(action, body)?.last()?.pointer(pointer?)?)?.clone(),
        Paging::Page if goes_on(action, pagination, args, body)? => json!(counted(pagination, args).checked_add(1)?),
        Paging::Offset if goes_on(action, pagination, args, body)? => {
            json!(counted(pagination, args).checked_add(u64::try_from(items(action, body)?.len()).ok()?)?)
        }
        Paging::Page | Paging::Offset => return None,
    })
}

fn usable(value: &Value) -> Option<&Value> {
    let fits = match value {
        Value::String(text) => !text.is_empty() && text.len() <= LONGEST,
        Value::Number(_) => true,
        _ => false,
    };
    fits.then_some(value)
}

/// The cursor's query parameter in the URL of the next page, as a number where the argument is one.
fn of_url(action: &Action, pagination: &Pagination, url: &str) -> Option<Value> {
    let name = pagination.cursor.as_deref()?;
    let param = action.params.get(name)?;
    let query = url.split_once('?')?.1.split('#').next()?;
    let (_, text) = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == param.wire_name(name))?;
    let number = matches!(param.json_schema().get("type").and_then(Value::as_str), Some("integer" | "number"));
    let value = text.parse::<u64>().ok().filter(|_| number).map_or_else(|| Value::from(text.as_ref()), Value::from);
    usable(&value).cloned()
}

/// The target of the link with the relation `next` (RFC 8288 section 3).
fn next_link(header: &str) -> Option<&str> {
    header.split('<').skip(1).find_map(|part| {
        let (url, parameters) = part.split_once('>')?;
        let mut is_next = false;
        for parameter in parameters.split([';', ',']) {
            let (name, value) = parameter.trim().split_once('=').unwrap_or_default();
            let value = value.trim_matches('"');
            is_next |= name.eq_ignore_ascii_case("rel") && value.split(' ').any(|relation| relation.eq_ignore_ascii_case("next"));
            // Sentry names a next page that it knows to be empty.
            if name == "results" && value == "false" {
                return None;
            }
        }
        is_next.then_some(url)
    })
}

/// The list of the whole answer.
fn items<'b>(action: &Action, body: &'b Value) -> Option<&'b Vec<Value>> {
    let response = action.response.as_ref();
    let part = response.and_then(|response| body.pointer(response.select.as_deref()?)).unwrap_or(body);
    part.pointer(&list_pointer(response.and_then(|response| response.items.as_deref()), part)?)?.as_array()
}

/// The page or offset that was asked for.
fn counted(pagination: &Pagination, args: &Map<String, Value>) -> u64 {
    let given = pagination.cursor.as_deref().and_then(|name| args.get(name));
    let given = given.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    given.unwrap_or(if pagination.kind == Paging::Page { pagination.first.unwrap_or(1) } else { 0 })
}

/// Whether there may be a further page where the answer does not say: this one is as long as was asked for, or not empty where the platform
/// may have given less than that.
fn goes_on(action: &Action, pagination: &Pagination, args: &Map<String, Value>, body: &Value) -> Option<bool> {
    let count = u64::try_from(items(action, body)?.len()).ok()?;
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let parameter = pagination.limit.as_deref().and_then(|name| action.params.get(name));
    let usual = parameter.and_then(|parameter| parameter.default.as_ref()).and_then(number);
    let most = parameter.and_then(|parameter| parameter.json_schema().get("maximum").and_then(number)).or(usual);
    let asked = pagination.limit.as_deref().and_then(|name| args.get(name)).and_then(number);
    // Nobody knows how many the platform gives at most; one more call settles it.
    let is_sure = asked.is_none_or(|asked| most.is_some_and(|most| asked <= most));
    let full = asked.or(usual).filter(|_| is_sure).unwrap_or(1);
    Some(count > 0 && (pagination.more.is_some() || pagination.last.is_some() || count >= full))
}
