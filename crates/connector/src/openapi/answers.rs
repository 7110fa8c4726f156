//! What comes back: the schema of a small answer, and how further pages are asked for.

use indexmap::IndexMap;
use serde_json::Value;

use super::arguments::TOTAL_WORK;
use super::document::Document;
use super::expand::{Direction, Expander};
use crate::definition::{Method, Pagination, Paging, Parameter, Place, Response};

/// The largest response schema that is kept, in bytes of JSON.
const MAX_SCHEMA: usize = 4096;
/// Arguments that take a cursor, best first.
const CURSORS: [&str; 11] = [
    "cursor",
    "page_token",
    "pageToken",
    "next_page_token",
    "nextPageToken",
    "start_cursor",
    "next_cursor",
    "starting_after",
    "after",
    "page_cursor",
    "page[cursor]",
];
/// Arguments that take the number of a page.
const PAGES: [&str; 4] = ["page", "page_number", "pageNumber", "page[number]"];
/// Arguments that take the number of items before a page.
const OFFSETS: [&str; 4] = ["offset", "skip", "startAt", "start"];
/// Arguments that take a page size.
const LIMITS: [&str; 13] = [
    "limit",
    "per_page",
    "perPage",
    "page_size",
    "pageSize",
    "maxResults",
    "max_results",
    "count",
    "top",
    "page[size]",
    "page_limit",
    "PageSize",
    "size",
];
/// Where answers put the next cursor: objects, then names in them.
const HOLDERS: [&str; 9] =
    ["", "response_metadata", "meta", "metadata", "pagination", "paging", "paging/next", "paging/cursors", "meta/pagination"];
const NEXT: [&str; 9] =
    ["next_cursor", "nextCursor", "next_page_token", "nextPageToken", "next_page_cursor", "end_cursor", "next_token", "cursor", "after"];

/// The schema of the first successful JSON answer, when it is small.
pub(super) fn response(expander: &mut Expander<'_>, operation: &Value) -> Option<Response> {
    let schema = schema(expander.document, operation).filter(|_| expander.work < TOTAL_WORK)?;
    "answer".clone_into(&mut expander.part);
    let closed = expander.close(schema, 8, MAX_SCHEMA, Direction::Response);
    let size = serde_json::to_string(&closed.schema).map_or(usize::MAX, |json| json.len());
    let says = closed.schema.as_object().is_some_and(|schema| schema.keys().any(|key| key != "type" && key != "description"));
    (closed.complete && says && size <= MAX_SCHEMA).then(|| Response { schema: Some(closed.schema), ..Response::default() })
}

fn schema<'d>(document: &'d Document, operation: &'d Value) -> Option<&'d Value> {
    let responses = operation.get("responses")?.as_object()?;
    let (_, raw) = responses.iter().take(100).filter(|(status, _)| status.starts_with('2')).min_by_key(|(status, _)| status.as_str())?;
    let answer = document.follow(raw).ok()?;
    // Swagger 2 has the schema without content types around it.
    let json = |media: &str| media.starts_with("application/json") || media.contains("+json") || media == "*/*";
    let content = answer.get("content").and_then(Value::as_object);
    content.map_or_else(|| answer.get("schema"), |content| content.iter().take(20).find(|(media, _)| json(media))?.1.get("schema"))
}

/// The usual pairs, where both the arguments and the answer agree; nothing where it would be a guess.
pub(super) fn pagination(
    document: &Document,
    operation: &Value,
    method: Method,
    params: &IndexMap<String, Parameter>,
) -> Option<Pagination> {
    let named = |wanted: &[&str]| {
        wanted.iter().find_map(|wanted| {
            let fits = |parameter: &Parameter, name: &str| match parameter.place {
                Place::Query => parameter.wire.as_deref().unwrap_or(name) == *wanted,
                Place::Body => method == Method::Post && !parameter.whole && name == *wanted,
                _ => false,
            };
            params.iter().find(|(name, parameter)| fits(parameter, name)).map(|(name, _)| name.clone())
        })
    };
    let limit = named(&LIMITS);
    if let Some(cursor) = named(&CURSORS)
        && let Some(next) = next(document, operation)
    {
        return Some(Pagination { cursor: Some(cursor), next: Some(next), limit, ..Pagination::default() });
    }
    // A `page` or an `offset` in a body that writes is data.
    if method != Method::Get {
        return None;
    }
    if links(document, operation)
        && let Some(cursor) = named(&CURSORS).or_else(|| named(&PAGES))
    {
        return Some(Pagination { kind: Paging::Link, cursor: Some(cursor), limit, ..Pagination::default() });
    }
    let counted = |names: &[&str]| named(names).filter(|name| params.get(name).is_some_and(counts));
    let (kind, cursor) = match counted(&PAGES) {
        Some(page) => (Paging::Page, Some(page)),
        None => counted(&OFFSETS).map_or((Paging::Cursor, None), |offset| (Paging::Offset, Some(offset))),
    };
    (cursor.is_some() || limit.as_ref().and_then(|name| params.get(name)).is_some_and(counts)).then_some(Pagination {
        kind,
        cursor,
        limit,
        ..Pagination::default()
    })
}

/// Whether the answer has the header `Link` (RFC 8288), which names the next page.
fn links(document: &Document, operation: &Value) -> bool {
    let headers = |raw: &Value| document.follow(raw).ok()?.get("headers")?.as_object().map(|headers| headers.contains_key("Link"));
    let answer = operation.get("responses").and_then(|responses| responses.get("200"));
    answer.and_then(headers).unwrap_or(false)
}

fn counts(parameter: &Parameter) -> bool {
    let kind = parameter.kind.as_deref().or_else(|| parameter.schema.as_ref()?.get("type")?.as_str());
    matches!(kind, Some("integer" | "number"))
}

/// JSON pointer of the next cursor in the answer.
fn next(document: &Document, operation: &Value) -> Option<String> {
    let schema = schema(document, operation)?;
    HOLDERS.iter().find_map(|holder| {
        let mut at = Some(schema);
        for step in holder.split('/').filter(|step| !step.is_empty()) {
            at = at.and_then(|schema| property(document, schema, step, 0));
        }
        let at = at?;
        let name =
            NEXT.iter().filter(|name| !holder.is_empty() || **name != "after").find(|name| property(document, at, name, 0).is_some())?;
        Some(if holder.is_empty() { format!("/{name}") } else { format!("/{holder}/{name}") })
    })
}

/// A property of an object schema, through references and `allOf`.
fn property<'d>(document: &'d Document, schema: &'d Value, name: &str, depth: usize) -> Option<&'d Value> {
    let schema = document.follow(schema).ok()?;
    if let Some(found) = schema.get("properties").and_then(|properties| properties.get(name)) {
        return document.follow(found).ok();
    }
    let parts = schema.get("allOf").and_then(Value::as_array).filter(|_| depth < 4)?;
    parts.iter().take(10).find_map(|part| property(document, part, name, depth + 1))
}
