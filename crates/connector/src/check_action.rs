//! What one action of a definition must hold.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use crate::check::{Problems, check_differences, check_failure, check_header_name, check_pointer, check_rate_limit, check_schema};
use crate::definition::{Action, AuthScheme, BodyKind, Definition, Effect, Method, Paging, Parameter, Place, Placement, SecretPlace};
use crate::template::{Piece, pieces};
use crate::text::{closest, name, show};

/// Checks one action; `definition` is what it belongs to.
pub(crate) fn check_action(problems: &mut Problems, id: &str, action: &Action, definition: &Definition) {
    let place = format!("actions.{}", name(id));
    if id.is_empty() || id.chars().count() > 200 || id.chars().any(char::is_control) {
        problems.add(&place, "The id of an action is 1 to 200 characters without control characters.");
    }
    check_path(problems, &place, action, definition);
    let mut wires = HashSet::new();
    for (key, param) in &action.params {
        check_param(problems, &format!("{place}.params.{}", name(key)), key, param, definition);
        let wire = param.wire_name(key);
        let folded = if param.place == Place::Header { wire.to_ascii_lowercase() } else { wire.to_owned() };
        if !param.whole && !wires.insert((param.place, folded)) {
            problems.add(
                format!("{place}.params.{}", name(key)),
                format!("Two parameters are sent as `{}` in the same place; keep one.", name(wire)),
            );
        }
    }
    check_body(problems, &place, action, definition);
    check_graphql(problems, &place, action);
    check_scopes(problems, &place, action, definition);
    check_failure(problems, &format!("{place}.failure"), action.failure.as_ref());
    check_rate_limit(problems, &format!("{place}.rate_limit"), action.rate_limit.as_ref());
    check_differences(problems, &place, &action.differs);
    if let Some(response) = &action.response {
        for (key, pointer) in [("select", &response.select), ("items", &response.items)] {
            if let Some(pointer) = pointer {
                check_pointer(problems, &format!("{place}.response.{key}"), pointer);
            }
        }
        if let Some(schema) = &response.schema {
            check_schema(problems, &format!("{place}.response.schema"), schema);
        }
        if response.fields.iter().any(|field| field.split('.').any(str::is_empty)) {
            problems.add(format!("{place}.response.fields"), "A field is the name of a member, or names joined by dots: `owner.login`.");
        }
    }
    check_pagination(problems, &format!("{place}.pagination"), action);
    if let Some(header) = &action.idempotency_header {
        let place = format!("{place}.idempotency_header");
        check_header_name(problems, &place, header);
        if definition.headers.keys().any(|key| key.eq_ignore_ascii_case(header)) {
            problems.add(&place, "This header is fixed in `headers`; leave one of them out.");
        }
        if action.effect() == Effect::Read {
            problems.add(&place, "This action reads, and a read needs no key to be repeated; leave it out.");
        }
    }
    if action.sample.as_ref().is_some_and(|sample| !sample.is_object()) {
        problems.add(format!("{place}.sample"), "A sample is an object of arguments.");
    }
}

fn check_pagination(problems: &mut Problems, place: &str, action: &Action) {
    let Some(pagination) = &action.pagination else { return };
    for (key, param) in [("cursor", &pagination.cursor), ("limit", &pagination.limit)] {
        if let Some(param) = param
            && !action.params.contains_key(param)
        {
            problems.add(format!("{place}.{key}"), unknown_param(param, action));
        }
    }
    if pagination.more.is_some() && pagination.last.is_some() {
        problems.add(format!("{place}.last"), "`more` says the same the other way round; keep one of them.");
    }
    for (key, pointer) in [("next", &pagination.next), ("more", &pagination.more), ("last", &pagination.last)] {
        if let Some(pointer) = pointer {
            check_pointer(problems, &format!("{place}.{key}"), pointer);
        }
    }
    let (needs, takes_next) = match pagination.kind {
        Paging::Cursor => (pagination.cursor.is_some() && pagination.next.is_none(), true),
        Paging::Url | Paging::Last => (pagination.cursor.is_none() || pagination.next.is_none(), true),
        Paging::Link | Paging::Page | Paging::Offset => (pagination.cursor.is_none(), false),
    };
    if needs {
        let names = if takes_next { "`cursor`, the argument, and `next`, where the answer has it" } else { "`cursor`, the argument" };
        problems.add(place, format!("Paging of this kind has {names}. The kinds are cursor, url, link, last, page and offset."));
    }
    if !takes_next && pagination.next.is_some() {
        problems.add(format!("{place}.next"), "Paging of this kind does not read `next`; leave it out, or write another `kind`.");
    }
    if pagination.first.is_some() && pagination.kind != Paging::Page {
        problems.add(format!("{place}.first"), "Only pages have a first number; leave it out, or write `kind = \"page\"`.");
    }
}

/// GraphQL (graphql.org/learn/serving-over-http): one POST of `query` and `variables`.
fn check_graphql(problems: &mut Problems, place: &str, action: &Action) {
    let Some(document) = &action.graphql else { return };
    let place = format!("{place}.graphql");
    if document.trim().is_empty() {
        problems.add(&place, "Write the document, such as `query Issues($first: Int) { … }`.");
    }
    if action.method != Method::Post || action.body.is_some() {
        problems.add(&place, "A GraphQL document is sent by POST and as JSON; write `method = \"POST\"` and no `body`.");
    }
    for (key, param) in action.params.iter().filter(|(_, param)| param.place == Place::Body) {
        let path = action.body_path(key, param);
        let wire = path.first().map_or("", |first| first.as_ref());
        if param.whole || !document.contains(&format!("${wire}")) {
            problems.add(&place, format!("The document has no variable `${}`; body parameters are its variables.", name(wire)));
        }
    }
}

fn check_scopes(problems: &mut Problems, place: &str, action: &Action, definition: &Definition) {
    let declared = definition.auth.iter().find_map(|scheme| scheme.oauth2.as_ref()).map(|oauth2| &oauth2.scopes);
    for scope in action.scopes.iter().flat_map(|entry| entry.split(' ')) {
        if scope.is_empty() {
            problems.add(format!("{place}.scopes"), "A scope is one word; scopes that are needed together have one space between.");
        } else if declared.is_some_and(|declared| !declared.contains_key(scope)) {
            problems
                .add(format!("{place}.scopes"), format!("The scope `{}` is not described in `oauth2.scopes`; add it there.", name(scope)));
        }
    }
}

fn unknown_param(wanted: &str, action: &Action) -> String {
    let hint = closest(wanted, action.params.keys().map(String::as_str));
    let hint = hint.map_or(String::new(), |other| format!(" Did you mean `{other}`?"));
    format!("The action has no parameter `{}`.{hint}", name(wanted))
}

fn check_path(problems: &mut Problems, place: &str, action: &Action, definition: &Definition) {
    let place = format!("{place}.path");
    let (path, query) = split_query(&action.path);
    if !path.starts_with('/') {
        problems.add(&place, "A path begins with `/`.");
    }
    let parts = match pieces(path) {
        Ok(parts) => parts,
        Err(message) => return problems.add(&place, message),
    };
    let mut used = HashSet::new();
    for part in parts {
        match part {
            Piece::Text(text) => check_fixed(problems, &place, text, "/:@!$&'()*+,;=-._~[]|"),
            Piece::Name(key) => match action.path_param(key) {
                Some((index, _, _)) => {
                    used.insert(index);
                }
                None if is_secret(action, definition, key) => {}
                None => problems.add(&place, format!("`{{{}}}` has no parameter with `in = \"path\"`; add one of that name.", name(key))),
            },
        }
    }
    // Only whole fixed segments can be dot segments: an argument is never empty and never made of dots.
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let lower = path.to_ascii_lowercase();
    if path.split('/').any(dots) || lower.contains("%2f") || lower.contains("%5c") {
        problems.add(&place, "A path holds no `.` or `..` segments and no encoded slashes; write it out.");
    }
    if path.starts_with("//") {
        problems.add(&place, "A path begins with one `/`.");
    }
    for (index, (key, param)) in action.params.iter().enumerate() {
        if param.place == Place::Path && !used.contains(&index) {
            problems.add(
                &place,
                format!("The path parameter `{}` does not stand in the path as `{{{}}}`.", name(key), name(param.wire_name(key))),
            );
        }
    }
    if let Some(query) = query {
        check_fixed(problems, &place, query, "/?:@!$&'()*+,;=-._~[]|");
    }
}

/// Whether every way to authenticate places a secret under this name in the path, and the action authenticates.
fn is_secret(action: &Action, definition: &Definition, key: &str) -> bool {
    let places = |scheme: &AuthScheme| scheme.placements().iter().any(|sent| sent.place == SecretPlace::Path && sent.name == key);
    action.auth && !definition.auth.is_empty() && definition.auth.iter().all(places)
}

/// The path and the fixed query of a path template.
pub(crate) fn split_query(path: &str) -> (&str, Option<&str>) {
    path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)))
}

/// Fixed text of a URL stands as it is, so it must already be percent-encoded.
fn check_fixed(problems: &mut Problems, place: &str, text: &str, marks: &str) {
    let odd = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '%' && !marks.contains(*c));
    if let Some(odd) = odd {
        problems.add(place, format!("{odd:?} cannot stand in a path or query as it is; percent-encode it, or make it a parameter."));
    }
    for rest in text.split('%').skip(1) {
        if !rest.get(..2).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            problems.add(place, "A `%` is followed by two hexadecimal digits.");
        }
    }
}

fn check_param(problems: &mut Problems, place: &str, key: &str, param: &Parameter, definition: &Definition) {
    if key.is_empty() || key.chars().count() > 200 || key.chars().any(char::is_control) {
        problems.add(place, "The name of a parameter is 1 to 200 characters without control characters.");
    }
    let wire = param.wire_name(key);
    if wire.is_empty() || wire.chars().any(char::is_control) {
        problems.add(place, "The wire name of a parameter is not empty and holds no control characters.");
    }
    if param.place == Place::Path && !param.required {
        problems.add(place, "A path parameter is always required; write `required = true`.");
    }
    if param.place == Place::Header {
        check_header_name(problems, place, wire);
        if wire.eq_ignore_ascii_case("content-type") {
            problems.add(place, "`Content-Type` follows from the body; leave it out.");
        }
        if definition.headers.keys().any(|fixed| fixed.eq_ignore_ascii_case(wire)) {
            problems.add(place, format!("`{}` is a fixed header of the connector already; leave one of them out.", name(wire)));
        }
    }
    let is_secret = |sent: &Placement| sent.place == SecretPlace::Path && sent.name == wire;
    if param.place == Place::Path && definition.auth.iter().any(|scheme| scheme.placements().iter().any(is_secret)) {
        problems.add(place, format!("`{}` is a secret's place in the path; give the parameter another name.", name(wire)));
    }
    if param.whole && param.place != Place::Body {
        problems.add(place, "`whole` is for parameters with `in = \"body\"`.");
    }
    if let Some(kind) = &param.kind
        && !matches!(kind.as_str(), "string" | "integer" | "number" | "boolean" | "object" | "array")
    {
        problems.add(place, format!("`{}` is not a type; use string, integer, number, boolean, object or array.", name(kind)));
    }
    if let Some(schema) = &param.schema {
        check_schema(problems, place, schema);
        if param.kind.is_some() {
            problems.add(place, "`type` is the short form of `schema`; keep one of them.");
        }
    }
    if let Some(default) = &param.default
        && let Some(message) = misfit(param, default)
    {
        problems.add(place, message);
    }
}

/// Why a default does not fit its parameter: type and choices only, which is what goes wrong in practice.
fn misfit(param: &Parameter, default: &Value) -> Option<String> {
    let schema = param.json_schema();
    let fits = |kind: &Value| match kind.as_str() {
        Some("string") => default.is_string(),
        Some("integer") => default.is_i64() || default.is_u64() || default.as_f64().is_some_and(|float| float.fract() == 0.0),
        Some("number") => default.is_number(),
        Some("boolean") => default.is_boolean(),
        Some("object") => default.is_object(),
        Some("array") => default.is_array(),
        Some("null") => default.is_null(),
        _ => true,
    };
    let typed = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(fits),
        Some(kind) => fits(kind),
        None => true,
    };
    if !typed {
        return Some(format!("The default, {}, is not of the parameter's type.", show(default)));
    }
    let chosen = schema.get("enum").and_then(Value::as_array).is_none_or(|choices| choices.contains(default));
    (!chosen).then(|| format!("The default, {}, is not one of the parameter's choices.", show(default)))
}

/// Where in a JSON body each parameter goes: no two in one place, none inside another.
fn check_places(problems: &mut Problems, place: &str, action: &Action, secrets: &[&str]) {
    let mut taken: Vec<Vec<Cow<'_, str>>> = secrets.iter().map(|secret| vec![Cow::Borrowed(*secret)]).collect();
    for (key, param) in action.params_in(Place::Body).filter(|(_, param)| !param.whole) {
        let wire = param.wire_name(key);
        let path = action.body_path(key, param);
        if action.is_json() && wire.starts_with('/') {
            check_pointer(problems, place, wire);
            let plain = path.first().filter(|first| path.len() == 1 && !first.starts_with('/'));
            if let Some(plain) = plain {
                problems.add(
                    place,
                    format!("`{}` is a member of the body itself; write `wire = \"{}\"`, or leave `wire` out.", name(wire), name(plain)),
                );
            }
            if path.len() > 16 || path.iter().any(|segment| segment.is_empty()) {
                problems.add(place, format!("`{}` has an empty name in it, or more than 16.", name(wire)));
            }
        }
        let inside = |other: &Vec<Cow<'_, str>>| other.len() != path.len() && other.iter().zip(&path).all(|(one, other)| one == other);
        if taken.iter().any(inside) {
            problems.add(place, format!("`{}` lies inside another parameter of the body, or holds one; keep one of them.", name(wire)));
        }
        taken.push(path);
    }
}

fn check_body(problems: &mut Problems, place: &str, action: &Action, definition: &Definition) {
    let body: Vec<_> = action.params.iter().filter(|(_, param)| param.place == Place::Body).collect();
    let place = format!("{place}.body");
    let placements = definition.auth.iter().filter(|_| action.auth).flat_map(|scheme| scheme.placements());
    let secrets: Vec<&str> = placements.filter(|sent| sent.place == SecretPlace::Body).map(|sent| sent.name.as_str()).collect();
    if body.is_empty() && secrets.is_empty() && action.graphql.is_none() {
        match action.body {
            None => {}
            Some(BodyKind::Json) if !matches!(action.method, Method::Get | Method::Head) => {}
            Some(_) => {
                problems.add(&place, "A body without parameters is `json`, which sends `{}`, and not with GET or HEAD; leave `body` out.")
            }
        }
        return;
    }
    check_places(problems, &place, action, &secrets);
    if matches!(action.method, Method::Get | Method::Head) {
        problems.add(&place, "GET and HEAD have no body; move what is sent in it to the query, or change the method.");
    }
    let whole = body.iter().filter(|(_, param)| param.whole).count();
    if whole > 1 || (whole == 1 && body.len() > 1) {
        problems.add(&place, "A parameter with `whole = true` is the whole body; no other body parameter stands beside it.");
    }
    let is_single = matches!(action.body, Some(BodyKind::Text | BodyKind::Binary));
    if is_single && body.len() > 1 {
        problems.add(&place, "A text or binary body is one parameter.");
    }
    if !secrets.is_empty() && (is_single || whole > 0 || action.graphql.is_some()) {
        problems.add(&place, "The credential is a member of the body, and this body has no members of its own; send it in another place.");
    }
    if let Some((key, _)) = body.iter().find(|(key, param)| secrets.contains(&param.wire_name(key))) {
        problems.add(&place, format!("`{}` is sent by the credential already; leave the parameter out.", name(key)));
    }
}
