//! The operations of a vendor's document, the same for OpenAPI 2 and 3 and for Google's discovery documents.

use std::collections::BTreeMap;

use serde_json::Value;

use super::documents::{Documents, Place};

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];
/// How deep Google's resources nest at most.
const DEPTH: usize = 20;

/// One operation.
pub struct Operation<'d> {
    /// In upper case.
    pub method: String,
    /// Its path alone, `{}` for each variable.
    pub path: String,
    /// The same under each of its servers.
    pub full: Vec<String>,
    /// Names of the variables of the path, in order.
    pub variables: Vec<String>,
    /// Parameters outside the body.
    pub parameters: Vec<Parameter<'d>>,
    /// How a body may be sent, and of what.
    pub bodies: Vec<Body<'d>>,
}

/// A parameter outside the body, or a field of a form of Swagger 2.
#[derive(Clone, Copy)]
pub struct Parameter<'d> {
    /// On the wire.
    pub name: &'d str,
    /// `path`, `query`, `header`.
    pub place: &'d str,
    /// Whether it must be sent.
    pub required: bool,
    /// What it holds.
    pub schema: Place<'d>,
    /// A list of `schema`, in Google's documents.
    pub repeated: bool,
}

/// One way to send a body.
pub struct Body<'d> {
    /// The media type, in lower case.
    pub media: String,
    /// Whether a body must be sent.
    pub required: bool,
    /// A schema, or the fields of a form of Swagger 2.
    pub content: Content<'d>,
}

/// What a body is made of.
pub enum Content<'d> {
    /// A schema.
    Schema(Place<'d>),
    /// Fields, each with its own.
    Fields(BTreeMap<&'d str, Parameter<'d>>),
}

/// All operations of all texts.
pub fn read(documents: &Documents) -> Vec<Operation<'_>> {
    let mut found = Vec::new();
    for root in documents.roots() {
        if root.get("discoveryVersion").is_some() {
            discovery(root, root, &mut found, 0);
            continue;
        }
        for (path, item) in root.get("paths").into_iter().flat_map(Place::members) {
            let Some(item) = documents.follow(item) else { continue };
            for (method, operation) in item.members().filter(|(method, _)| METHODS.contains(method)) {
                found.push(openapi(documents, root, path, item, method, operation));
            }
        }
    }
    found
}

fn openapi<'d>(
    documents: &'d Documents,
    root: Place<'d>,
    path: &str,
    item: Place<'d>,
    method: &str,
    operation: Place<'d>,
) -> Operation<'d> {
    let path = path.split('?').next().unwrap_or_default().replace("${", "{");
    let mut parameters: Vec<Parameter<'d>> = Vec::new();
    let mut fields = BTreeMap::new();
    let mut old_body = None;
    for raw in [operation, item].into_iter().filter_map(|holder| holder.get("parameters")).flat_map(Place::items) {
        let Some(raw) = documents.follow(raw) else { continue };
        // The fields of a form and a body stand among the parameters of Swagger 2.
        let name = raw.text("name");
        let content = || raw.get("content")?.members().next()?.1.get("schema");
        let schema = raw.get("schema").or_else(content).unwrap_or(raw);
        let parameter = Parameter { name, place: raw.text("in"), required: is_true(raw, "required"), schema, repeated: false };
        match parameter.place {
            "formData" => drop(fields.entry(name).or_insert(parameter)),
            "body" => old_body = Some(parameter),
            place if parameters.iter().any(|known| known.name == name && known.place == place) => {}
            _ => parameters.push(parameter),
        }
    }
    let mut bodies = new_bodies(documents, operation);
    let consumes: Vec<String> = [operation, root]
        .iter()
        .find_map(|holder| holder.get("consumes"))
        .map_or_else(Vec::new, |list| list.items().filter_map(|media| media.value.as_str().map(str::to_ascii_lowercase)).collect());
    if let Some(body) = old_body {
        let usual = || vec!["application/json".to_owned()];
        for media in if consumes.is_empty() { usual() } else { consumes } {
            bodies.push(Body { media, required: body.required, content: Content::Schema(body.schema) });
        }
    } else if !fields.is_empty() {
        let usual = || vec!["application/x-www-form-urlencoded".to_owned()];
        let required = fields.values().any(|field| field.required);
        for media in if consumes.is_empty() { usual() } else { consumes } {
            bodies.push(Body { media, required, content: Content::Fields(fields.clone()) });
        }
    }
    let full = servers(root, item, operation).iter().map(|server| plain(&format!("{server}{path}"))).collect();
    Operation { method: method.to_ascii_uppercase(), full, variables: variables(&path), path: plain(&path), parameters, bodies }
}

fn new_bodies<'d>(documents: &'d Documents, operation: Place<'d>) -> Vec<Body<'d>> {
    let Some(body) = operation.get("requestBody").and_then(|body| documents.follow(body)) else { return Vec::new() };
    let content = body.get("content").into_iter().flat_map(Place::members);
    content
        .map(|(media, described)| Body {
            media: media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(),
            required: is_true(body, "required"),
            content: Content::Schema(described.get("schema").unwrap_or(Place { value: &Value::Null, ..described })),
        })
        .collect()
}

fn is_true(place: Place<'_>, key: &str) -> bool {
    place.value.get(key) == Some(&Value::Bool(true))
}

/// The paths of the servers that an operation may be sent to: its own, those of its path, those of the document.
fn servers(root: Place<'_>, item: Place<'_>, operation: Place<'_>) -> Vec<String> {
    if root.get("swagger").is_some() {
        return vec![root.text("basePath").trim_end_matches('/').to_owned()];
    }
    let holders = [operation, item, root];
    let servers = holders.iter().find_map(|holder| holder.get("servers"));
    let mut paths: Vec<String> = servers.into_iter().flat_map(Place::items).map(server_path).collect();
    if paths.is_empty() {
        paths.push(String::new());
    }
    paths
}

fn server_path(server: Place<'_>) -> String {
    let mut url = server.text("url").to_owned();
    for (name, variable) in server.get("variables").into_iter().flat_map(Place::members) {
        let default = variable.text("default");
        // A variable that is a path by its default is part of the path; others are an account's own.
        if default.contains('/') {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default().trim_end_matches('/').to_owned()
}

/// Google's documents: resources hold methods and further resources.
fn discovery<'d>(root: Place<'d>, holder: Place<'d>, found: &mut Vec<Operation<'d>>, depth: usize) {
    for (_, method) in holder.get("methods").into_iter().flat_map(Place::members) {
        let parameters: Vec<Parameter<'d>> = [method, root]
            .into_iter()
            .filter_map(|holder| holder.get("parameters"))
            .flat_map(Place::members)
            .map(|(name, raw)| Parameter {
                name,
                place: raw.text("location"),
                required: is_true(raw, "required"),
                schema: raw,
                repeated: is_true(raw, "repeated"),
            })
            .collect();
        let body = |schema| Body { media: "application/json".to_owned(), required: false, content: Content::Schema(schema) };
        let bodies: Vec<Body<'d>> = method.get("request").map(body).into_iter().collect();
        let service = format!("/{}", root.text("servicePath"));
        let uploads = method.get("mediaUpload").and_then(|upload| upload.get("protocols")).into_iter().flat_map(Place::members);
        let mut full: Vec<String> = uploads.map(|(_, protocol)| plain(protocol.text("path"))).collect();
        let path = method.text("path");
        for path in [path, method.text("flatPath")].into_iter().filter(|path| !path.is_empty()) {
            full.push(plain(&format!("{}/{}", service.trim_end_matches('/'), path.replace("{+", "{").trim_start_matches('/'))));
        }
        let path = format!("/{}", path.replace("{+", "{"));
        let operation = Operation {
            method: method.text("httpMethod").to_owned(),
            full,
            variables: variables(&path),
            path: plain(&path),
            parameters,
            bodies,
        };
        found.push(operation);
    }
    for (_, inner) in holder.get("resources").into_iter().flat_map(Place::members).filter(|_| depth < DEPTH) {
        discovery(root, inner, found, depth + 1);
    }
}

/// A path with `{}` for each variable, without a slash at its end.
pub fn plain(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (index, part) in path.split('{').enumerate() {
        let after = if index == 0 { part } else { part.split_once('}').map_or("", |(_, after)| after) };
        if index > 0 {
            out.push_str("{}");
        }
        out.push_str(after);
    }
    // Documents tell two descriptions of one path apart by a space at its end (Matrix).
    out.trim_end().trim_end_matches('/').to_owned()
}

/// The names between braces.
pub fn variables(path: &str) -> Vec<String> {
    path.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name.to_owned())).collect()
}
