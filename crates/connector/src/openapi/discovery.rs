//! Google discovery documents, rewritten as OpenAPI 3. Source: Google API Discovery Service, `RestDescription`.

use serde_json::{Map, Value, json};

/// Deeper resources than this do not exist.
const MAX_DEPTH: usize = 20;
/// Parameters of Google's front end that no model needs.
const NOISE: [&str; 12] = [
    "access_token",
    "alt",
    "callback",
    "fields",
    "key",
    "oauth_token",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "upload_protocol",
    "userIp",
    "$.xgafv",
];

/// Whether a document is one of Google's.
pub(super) fn recognizes(root: &Value) -> bool {
    root.get("discoveryVersion").is_some() && root.get("resources").or_else(|| root.get("methods")).is_some()
}

/// The same API as OpenAPI 3.0.
pub(super) fn convert(root: &Value) -> Value {
    let text = |key: &str| root.get(key).and_then(Value::as_str).unwrap_or_default();
    let base = match (text("rootUrl"), text("servicePath")) {
        ("", _) => text("baseUrl").to_owned(),
        (root, service) => format!("{root}{service}"),
    };
    let mut paths = Map::new();
    resource(root, "", &mut paths, 0);
    let mut schemas = Map::new();
    for (name, schema) in root.get("schemas").and_then(Value::as_object).into_iter().flatten() {
        schemas.insert(name.clone(), references(schema, 0));
    }
    let scopes: Map<String, Value> = root
        .pointer("/auth/oauth2/scopes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(scope, about)| (scope.clone(), about.get("description").cloned().unwrap_or_default()))
        .collect();
    let mut document = json!({
        "openapi": "3.0.3",
        "info": { "title": text("title"), "description": text("description"), "version": text("version") },
        "externalDocs": { "url": text("documentationLink") },
        "servers": [{ "url": base }],
        "paths": paths,
        "components": { "schemas": schemas },
    });
    if !scopes.is_empty()
        && let Some(components) = document.get_mut("components").and_then(Value::as_object_mut)
    {
        // The same two endpoints for all of Google's APIs: developers.google.com/identity/protocols/oauth2/web-server.
        let flow = json!({
            "authorizationUrl": "https://accounts.google.com/o/oauth2/v2/auth",
            "tokenUrl": "https://oauth2.googleapis.com/token",
            "scopes": scopes,
        });
        components.insert("securitySchemes".into(), json!({ "oauth2": { "type": "oauth2", "flows": { "authorizationCode": flow } } }));
    }
    document
}

fn resource(holder: &Value, tag: &str, paths: &mut Map<String, Value>, depth: usize) {
    for (name, raw) in holder.get("methods").and_then(Value::as_object).into_iter().flatten() {
        let path = raw.get("flatPath").or_else(|| raw.get("path")).and_then(Value::as_str).unwrap_or_default();
        let verb = raw.get("httpMethod").and_then(Value::as_str).unwrap_or("GET").to_ascii_lowercase();
        let operation = method(name, raw, tag);
        let mut key = format!("/{}", path.trim_start_matches('/'));
        // Two methods with one path and verb stay separate; what follows # is never sent.
        while paths.get(&key).is_some_and(|item| item.get(&verb).is_some()) {
            key.push('#');
        }
        if let Some(item) = paths.entry(key).or_insert_with(|| json!({})).as_object_mut() {
            item.insert(verb, operation);
        }
    }
    if depth >= MAX_DEPTH {
        return;
    }
    for (name, inner) in holder.get("resources").and_then(Value::as_object).into_iter().flatten() {
        resource(inner, name, paths, depth + 1);
    }
}

fn method(name: &str, raw: &Value, tag: &str) -> Value {
    let mut parameters = Vec::new();
    let path = raw.get("flatPath").or_else(|| raw.get("path")).and_then(Value::as_str).unwrap_or_default();
    for (name, parameter) in raw.get("parameters").and_then(Value::as_object).into_iter().flatten() {
        // `{+name}` in `path` is spelled out in `flatPath` under other names.
        let place = parameter.get("location").and_then(Value::as_str).unwrap_or("query");
        if NOISE.contains(&name.as_str()) || (place == "path" && !path.contains(name.as_str())) {
            continue;
        }
        let mut schema = references(parameter, 0);
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("description");
        }
        let repeated = parameter.get("repeated") == Some(&Value::Bool(true));
        parameters.push(json!({
            "name": name,
            "in": place,
            "required": parameter.get("required").cloned().unwrap_or(Value::Bool(false)),
            "description": parameter.get("description").cloned().unwrap_or(Value::Null),
            "schema": if repeated { json!({ "type": "array", "items": schema }) } else { schema },
        }));
    }
    let description = raw.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut operation = json!({
        "operationId": raw.get("id").and_then(Value::as_str).unwrap_or(name),
        "description": description,
        "parameters": parameters,
        "tags": if tag.is_empty() { json!([]) } else { json!([tag]) },
        "deprecated": raw.get("deprecated").cloned().unwrap_or(Value::Bool(false)),
    });
    if let Some(operation) = operation.as_object_mut() {
        let schema = |key: &str| raw.get(key).map(|schema| references(schema, 0));
        // Any one of them is enough.
        if let Some(scopes) = raw.get("scopes").and_then(Value::as_array) {
            let alternatives = scopes.iter().map(|scope| json!({ "oauth2": [scope] }));
            operation.insert("security".into(), alternatives.collect());
        }
        if let Some(schema) = schema("request") {
            operation.insert("requestBody".into(), json!({ "content": { "application/json": { "schema": schema } } }));
        }
        if let Some(schema) = schema("response") {
            operation.insert("responses".into(), json!({ "200": { "content": { "application/json": { "schema": schema } } } }));
        }
    }
    operation
}

/// Bare schema names become pointers; Google's `repeated` and `required` of parameters go where OpenAPI has them.
fn references(value: &Value, depth: usize) -> Value {
    if depth > 100 {
        return json!({});
    }
    match value {
        Value::Object(map) => {
            let kept = map
                .iter()
                .filter(|(key, value)| !(depth == 0 && matches!(key.as_str(), "location" | "repeated" | "id") && !value.is_object()));
            kept.map(|(key, value)| match value {
                Value::String(name) if key == "$ref" => (key.clone(), format!("#/components/schemas/{name}").into()),
                Value::Bool(_) if depth == 0 && key == "required" => (key.clone(), Value::Null),
                value => (key.clone(), references(value, depth + 1)),
            })
            .collect()
        }
        Value::Array(items) => items.iter().map(|item| references(item, depth + 1)).collect(),
        other => other.clone(),
    }
}
