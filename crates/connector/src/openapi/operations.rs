//! Operations become actions; what cannot is listed with its reason.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::document::Document;
use super::expand::Expander;
use super::security::{self, Secrets};
use super::servers::{self, Server};
use super::template::Template;
use super::{Omission, answers, arguments, body, names, parameters, text};
use crate::definition::{Action, AuthScheme, Method, Parameter, Place};

/// The most actions of one connector.
const MAX_ACTIONS: usize = 20_000;
/// The most bytes of JSON of one connector: a small document can refer to one large schema very often.
const MAX_SIZE: usize = 48 * 1024 * 1024;
/// Members of a path item that are methods, those that cannot be actions included.
pub(super) const METHODS: [&str; 10] = ["get", "head", "post", "put", "patch", "delete", "options", "trace", "connect", "query"];

/// All actions of a document, in its order, and what was left out.
pub(super) struct Operations {
    pub actions: IndexMap<String, Action>,
    pub omitted: Vec<Omission>,
}

/// One operation, before it has an id.
struct Draft {
    own_id: String,
    origin: String,
    action: Action,
}

/// Whether `security: []` can be believed. Some generators write it on nearly every operation of a document that asks for a
/// credential at its top (Notion's); sending one to a public operation does no harm, sending none to the others fails.
fn believes_public(document: &Document) -> bool {
    let asked = document.root.get("security").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let items = document.root.get("paths").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let operations = items.filter_map(Value::as_object).flatten().filter(|(key, _)| METHODS.contains(&key.as_str()));
    let (all, public) = operations
        .fold((0_usize, 0_usize), |(all, public), (_, operation)| (all + 1, public + usize::from(security::is_public(operation))));
    !asked || all < 5 || public * 5 < all * 4
}

/// Reads every operation of `paths`; webhooks and callbacks are listed as omitted.
pub(super) fn read(expander: &mut Expander<'_>, secrets: &Secrets, server: &Server, auth: &[AuthScheme]) -> Operations {
    let document = expander.document;
    let mut has_public = !auth.is_empty();
    if has_public && !believes_public(document) {
        expander
            .notes
            .warn("Nearly all operations say `security: []` although the document asks for a credential; it is sent to all of them.");
        has_public = false;
    }
    let mut omitted = Vec::new();
    let mut drafts = Vec::new();
    let mut size = 0;
    for (path, raw) in document.root.get("paths").and_then(Value::as_object).into_iter().flatten() {
        if path.starts_with("x-") {
            continue;
        }
        let item = match document.follow(raw) {
            Ok(item) if item.is_object() => item,
            Ok(_) => {
                omitted.push(omission(path, "its path item is not an object"));
                continue;
            }
            Err(problem) => {
                omitted.push(omission(path, &problem.sentence()));
                continue;
            }
        };
        for (key, operation) in item.as_object().into_iter().flatten() {
            let method = key.to_ascii_lowercase();
            if !METHODS.contains(&method.as_str()) {
                continue;
            }
            let label = operation
                .get("operationId")
                .and_then(Value::as_str)
                .filter(|id| !id.is_empty())
                .map_or_else(|| format!("{} {path}", method.to_uppercase()), str::to_owned);
            let made = if drafts.len() >= MAX_ACTIONS || size >= MAX_SIZE {
                Err(format!("a connector has at most {MAX_ACTIONS} actions and 48 MB; import a part of the document"))
            } else {
                one(expander, secrets, server, &Source { path, raw, item, method: &method, operation }, has_public, auth)
            };
            match made {
                Ok(draft) => {
                    size += serde_json::to_string(&draft.action).map_or(0, |json| json.len());
                    drafts.push(draft);
                }
                Err(reason) => omitted.push(omission(&label, &reason)),
            }
            callbacks(&label, operation, &mut omitted);
        }
    }
    webhooks(document, &mut omitted);
    Operations { actions: identify(drafts), omitted }
}

struct Source<'d> {
    path: &'d str,
    raw: &'d Value,
    item: &'d Value,
    method: &'d str,
    operation: &'d Value,
}

fn one(
    expander: &mut Expander<'_>,
    secrets: &Secrets,
    server: &Server,
    source: &Source<'_>,
    has_public: bool,
    auth: &[AuthScheme],
) -> Result<Draft, String> {
    let document = expander.document;
    let Some(operation) = source.operation.as_object() else {
        return Err("it is not an object".into());
    };
    let method = match source.method {
        "get" => Method::Get,
        "head" => Method::Head,
        "post" => Method::Post,
        "put" => Method::Put,
        "patch" => Method::Patch,
        "delete" => Method::Delete,
        "options" => Method::Options,
        other => {
            return Err(format!("the method {} is not supported", other.to_uppercase()));
        }
    };
    let place = format!("{} {}", method.as_str(), source.path);
    let prefix = servers::prefix(server, [source.operation, source.item], &place, &mut expander.notes)?;
    let template = Template::read(source.path, &place, &mut expander.notes)?;
    // A referenced path item may have parameters beside the reference.
    let item = if source.item.get("parameters").is_some() { source.item } else { source.raw };
    let mut given = parameters::collect(document, &mut expander.notes, secrets, &place, [source.operation, item], &template)?;
    let (kind, fields) = body::read(document, &mut expander.notes, secrets, (method, source.operation), &given, &place)?;
    given.arguments.extend(fields);
    expander.operation.clone_from(&place);
    let mut params = arguments::finish(expander, given.arguments)?;
    let idempotency_header = idempotency_header(method, &mut params);
    let response = answers::response(expander, source.operation);
    let pagination = answers::pagination(document, source.operation, method, &params);
    let text = |key: &str| operation.get(key).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let own_id = text("operationId").to_owned();
    let own_id = if own_id.is_empty() { names::from_path(source.method, source.path) } else { own_id };
    let summary = text::describe(text("summary"), 120);
    let described = [text("description"), text("summary")].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let action = Action {
        name: if summary.is_empty() { text::cut(&text::words(&own_id), 120) } else { summary.trim_end_matches('.').to_owned() },
        description: text::describe(described, text::ACTION),
        resource: resource(operation, &template.path),
        keywords: String::new(),
        method,
        path: format!("{prefix}{}{}", server.secret_path, template.path),
        effect: None,
        graphql: None,
        body: kind,
        auth: !(has_public && security::is_public(source.operation)),
        scopes: security::scopes(document, source.operation, auth),
        deprecated: operation.get("deprecated") == Some(&Value::Bool(true)),
        cache: true,
        params,
        failure: None,
        idempotency_header,
        rate_limit: None,
        response,
        pagination,
        sample: None,
        differs: Vec::new(),
    };
    Ok(Draft { own_id, origin: place, action })
}

/// The header that takes a key of each call, by its usual names. Whoever calls may give one; else it is made.
fn idempotency_header(method: Method, params: &mut IndexMap<String, Parameter>) -> Option<String> {
    if !matches!(method, Method::Post | Method::Put | Method::Patch | Method::Delete) {
        return None;
    }
    let is_key = |wire: &str| ["idempotency-key", "x-idempotency-key"].iter().any(|usual| wire.eq_ignore_ascii_case(usual));
    let (name, param) = params.iter_mut().find(|(name, param)| param.place == Place::Header && is_key(param.wire_name(name)))?;
    param.required = false;
    Some(param.wire_name(name).to_owned())
}

/// The first tag, else the first fixed segment of the path.
fn resource(operation: &Map<String, Value>, path: &str) -> String {
    let tag = operation.get("tags").and_then(Value::as_array).and_then(|tags| tags.iter().find_map(Value::as_str)).map(str::trim);
    if let Some(tag) = tag.filter(|tag| !tag.is_empty()) {
        return text::cut(tag, 64);
    }
    let version = |segment: &str| {
        segment.len() < 4 && segment.starts_with('v') && segment.get(1..).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let fixed = path.split(['/', '?']).filter(|segment| !segment.is_empty() && !segment.contains(['{', '=']));
    fixed.filter(|segment| *segment != "api" && !version(segment)).map(|segment| text::cut(segment, 64)).next().unwrap_or_default()
}

/// Gives every draft its id. A provider's own id that fits stays byte for byte, so those choose first.
fn identify(drafts: Vec<Draft>) -> IndexMap<String, Action> {
    let mut taken = HashSet::new();
    let mut ids: Vec<Option<String>> =
        drafts.iter().map(|draft| Some(draft.own_id.clone()).filter(|id| names::fits(id) && taken.insert(id.clone()))).collect();
    for (id, draft) in ids.iter_mut().zip(&drafts) {
        if id.is_none() {
            let unique = names::unique(names::fit(&draft.own_id), &draft.origin, &taken);
            taken.insert(unique.clone());
            *id = Some(unique);
        }
    }
    ids.into_iter().flatten().zip(drafts.into_iter().map(|draft| draft.action)).collect()
}

fn omission(operation: &str, reason: &str) -> Omission {
    let mut reason = reason.to_owned();
    if let Some(first) = reason.get(..1) {
        reason = format!("{}{}.", first.to_uppercase(), reason.get(1..).unwrap_or_default());
    }
    Omission { operation: operation.chars().take(200).collect(), reason }
}

fn callbacks(label: &str, operation: &Value, omitted: &mut Vec<Omission>) {
    for name in operation.get("callbacks").and_then(Value::as_object).into_iter().flat_map(Map::keys).take(100) {
        omitted.push(omission(&format!("{label} callback {name}"), "the platform calls it; a connector only calls the platform"));
    }
}

fn webhooks(document: &Document, omitted: &mut Vec<Omission>) {
    for name in ["webhooks", "x-webhooks"].iter().filter_map(|key| document.root.get(*key)?.as_object()).flat_map(Map::keys).take(1000) {
        omitted.push(omission(&format!("webhook {name}"), "the platform calls it; a connector only calls the platform"));
    }
}
