//! What the meta-tools and their REST twins show of a connector.

mod sample;

use serde_json::{Map, Value, json};

use crate::connector::{CompiledAction, Connector, object_schema};
use crate::definition::{Action, AuthKind, AuthScheme, Place};
use crate::text::first_sentence;

/// Everything a model needs to call an action. `inputSchema` is what `parameters` of `execute_action_alloy` must satisfy.
#[must_use]
pub fn action_details(connector: &Connector, action: &CompiledAction) -> Value {
    let about = &action.action;
    let mut shown = Map::new();
    shown.insert("id".into(), action.id.as_ref().into());
    shown.insert("displayName".into(), display_name(&action.id, about).into());
    shown.insert("description".into(), about.description.as_str().into());
    shown.insert("httpMethod".into(), about.method.as_str().to_ascii_lowercase().into());
    shown.insert("path".into(), about.path.as_str().into());
    shown.insert("resource".into(), resource(about).into());
    shown.insert("effect".into(), json!(about.effect()));
    if about.deprecated {
        shown.insert("deprecated".into(), true.into());
    }
    if !about.scopes.is_empty() {
        shown.insert("scopes".into(), json!(about.scopes));
    }
    if let Some(limit) = about.rate_limit.as_ref().or(connector.definition().rate_limit.as_ref()) {
        let note = if limit.note.is_empty() { String::new() } else { format!(" ({})", limit.note) };
        shown.insert("rateLimit".into(), format!("{} requests in {} seconds{note}", limit.requests, limit.seconds).into());
    }
    if let Some(response) = about.response.as_ref().filter(|response| !response.fields.is_empty()) {
        shown.insert("fields".into(), json!(response.fields));
    }
    if let Some(pagination) = &about.pagination {
        shown.insert("pagination".into(), json!({"kind": pagination.kind, "cursor": pagination.cursor, "limit": pagination.limit}));
    }
    let beside = about.params.iter().filter(|(_, param)| param.place != Place::Body);
    let parameters: Vec<Value> = beside
        .map(|(name, param)| {
            let mut schema = param.json_schema();
            if let Value::Object(members) = &mut schema {
                members.shift_remove("description");
            }
            json!({"name": name, "in": param.place, "description": param.description, "required": param.required, "schema": schema})
        })
        .collect();
    shown.insert("parameters".into(), parameters.into());
    let mut body = about.params_in(Place::Body).peekable();
    match body.peek().copied() {
        Some((_, param)) if param.whole => drop(shown.insert("requestBody".into(), param.json_schema())),
        Some(_) => drop(shown.insert("requestBody".into(), object_schema(body))),
        None => {}
    }
    shown.insert("inputSchema".into(), connector.input_schema(action));
    let variables = connector.definition().variables_as_arguments(about);
    let variables: Vec<_> = variables.map(|(name, variable)| (name, variable, connector.definition().must_be_given(variable))).collect();
    let params = about.params.iter().map(|(name, param)| (name.as_str(), param.must_be_given()));
    let all = params.chain(variables.iter().map(|(name, _, needed)| (*name, *needed)));
    let (required, optional): (Vec<_>, Vec<_>) = all.partition(|(_, needed)| *needed);
    shown.insert("required".into(), required.into_iter().map(|(name, _)| name).collect());
    shown.insert("optional".into(), optional.into_iter().map(|(name, _)| name).collect());
    let mut sample = about.sample.clone().unwrap_or_else(|| sample::arguments(about));
    if let Value::Object(sample) = &mut sample {
        for (name, variable, _) in variables.iter().filter(|(_, _, needed)| *needed) {
            sample.insert((*name).to_owned(), variable.example(name));
        }
    }
    shown.insert("sample".into(), sample);
    json!({"connectorId": connector.definition().id, "action": shown})
}

/// The groups of actions, in the author's order; only those for which `allowed` says yes.
#[must_use]
pub fn resources(connector: &Connector, allowed: &dyn Fn(&str) -> bool) -> Value {
    let mut groups: indexmap::IndexMap<&str, Vec<Value>> = indexmap::IndexMap::new();
    for (id, action) in connector.summaries().filter(|(id, _)| allowed(id)) {
        groups.entry(resource(action)).or_default().push(json!({
            "id": id,
            "name": id,
            "displayName": display_name(id, action),
            "description": first_sentence(&action.description, 160),
            "httpMethod": action.method.as_str().to_ascii_lowercase(),
            "effect": action.effect(),
        }));
    }
    let groups: Vec<Value> =
        groups.into_iter().map(|(name, actions)| json!({"name": name, "displayName": words(name), "actions": actions})).collect();
    json!({"connectorId": connector.definition().id, "resources": groups})
}

/// How to make a credential: one entry for each way to authenticate.
#[must_use]
pub fn credential_metadata(connector: &Connector) -> Value {
    let metadata: Vec<Value> = connector.definition().auth.iter().map(|scheme| credential_entry(connector, scheme)).collect();
    json!({"metadata": metadata})
}

fn credential_entry(connector: &Connector, scheme: &AuthScheme) -> Value {
    let kind = scheme.kind.as_str();
    let mut fields = Map::new();
    let mut required = Vec::new();
    let mut sample = Map::new();
    if scheme.kind != AuthKind::OAuth2 {
        for (name, field) in scheme.all_fields() {
            fields.insert(name.to_owned(), json!({"type": "string", "description": field.description}));
            if !field.optional {
                required.push(name.to_owned());
            }
            sample.insert(name.to_owned(), field.sample.unwrap_or_else(|| format!("YOUR_{}", name.to_ascii_uppercase())).into());
        }
    }
    for (name, variable) in connector.definition().variables_of(scheme) {
        fields.insert(name.to_owned(), variable.json_schema());
        if variable.is_required() {
            required.push(name.to_owned());
            sample.insert(name.to_owned(), variable.example(name));
        }
    }
    let mut data = json!({"type": "object", "properties": fields, "additionalProperties": false});
    let mut needed = vec!["authenticationType"];
    if let (Value::Object(members), false) = (&mut data, required.is_empty()) {
        members.insert("required".into(), required.into());
        needed.push("data");
    }
    let mut properties = json!({"authenticationType": {"type": "string", "const": kind}});
    let mut input = json!({"authenticationType": kind});
    if let (Value::Object(properties), Value::Object(input)) = (&mut properties, &mut input) {
        if scheme.kind == AuthKind::OAuth2 {
            let about = "Where the browser goes after consent: an address on the account's list. Absent: a page of this server.";
            properties.insert("redirectUri".into(), json!({"type": "string", "format": "uri", "description": about}));
            let about = "What to ask consent for. Absent: what the auth config or the connector says.";
            properties.insert("scopes".into(), json!({"type": "array", "items": {"type": "string"}, "description": about}));
            let about = "Which of the account's OAuth clients to use. Absent: the newest.";
            properties.insert("authConfigId".into(), json!({"type": "string", "description": about}));
        }
        properties.insert("data".into(), data);
        if !sample.is_empty() {
            input.insert("data".into(), sample.into());
        }
    }
    let mut entry = json!({
        "authenticationType": kind,
        "authConfigRequired": scheme.kind == AuthKind::OAuth2,
        "description": scheme.description,
        "inputSchema": {"type": "object", "properties": properties, "required": needed},
        "sampleInput": input,
    });
    if let (Value::Object(entry), Some(oauth2)) = (&mut entry, &scheme.oauth2) {
        entry.insert("scopes".into(), json!(oauth2.scopes));
    }
    entry
}

fn display_name(id: &str, action: &Action) -> String {
    if action.name.is_empty() { words(id) } else { action.name.clone() }
}

fn resource(action: &Action) -> &str {
    if action.resource.is_empty() { "general" } else { &action.resource }
}

/// `chat_postMessage` as `Chat post message`.
fn words(id: &str) -> String {
    let mut text = String::with_capacity(id.len() + 4);
    let mut lower = false;
    for c in id.chars() {
        let separator = !c.is_alphanumeric();
        if (separator || (lower && c.is_uppercase())) && !text.is_empty() && !text.ends_with(' ') {
            text.push(' ');
        }
        lower = c.is_lowercase();
        if separator {
            continue;
        }
        if text.is_empty() { text.extend(c.to_uppercase()) } else { text.extend(c.to_lowercase()) }
    }
    text.trim_end().to_owned()
}
