//! Small documents and actions that differ from them in one thing each.

use amalgam_connector::definition::Definition;
use serde_json::{Value, json};

use super::action::check;
use super::documents::Documents;
use super::operations;

/// What differs between the action `a`, written as TOML, and a document with these paths, each as its name.
fn differs(document: Value, action: &str) -> Vec<String> {
    let head = "id = \"x\"\nname = \"X\"\nbase_url = \"https://e.com/v1\"\nheaders = { Version = \"1\" }\n[[auth]]\ntype = \"bearer\"\n[actions.a]\n";
    let definition: Definition = toml::from_str(&format!("{head}{action}")).expect("the definition is TOML");
    let documents = Documents::of(document);
    let operations: Vec<_> = operations::read(&documents).into_iter().map(|operation| (&documents, operation)).collect();
    let report = check(&operations, &definition, &definition.actions["a"]);
    let (lines, _) = report.lines(&[], &[], &mut std::collections::BTreeSet::new());
    lines.into_iter().map(|line| line.split(" (").next().unwrap_or_default().to_owned()).collect()
}

/// OpenAPI 3 with one GET of these parameters.
fn get(parameters: Value) -> Value {
    json!({"openapi": "3.0.0", "servers": [{"url": "https://e.com/v1"}], "paths": {"/things/{id}": {"get": {"parameters": parameters}}}})
}

/// OpenAPI 3 with one POST of this body.
fn post(schema: Value) -> Value {
    let content = json!({"application/json": {"schema": schema}});
    json!({"openapi": "3.0.0", "servers": [{"url": "https://e.com/v1"}], "paths": {"/things": {"post": {"requestBody": {"content": content}}}}})
}

const GET: &str = "method = \"GET\"\npath = \"/things/{thing}\"\nparams.thing = { in = \"path\", required = true }\n";
const POST: &str = "method = \"POST\"\npath = \"/things\"\n";

#[test]
fn methods_and_paths_must_exist() {
    let document = get(json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]));
    assert_eq!(differs(document.clone(), GET), [""; 0]);
    assert_eq!(differs(document.clone(), "method = \"DELETE\"\npath = \"/things/7\""), ["operation: unknown"]);
    assert_eq!(differs(document.clone(), "method = \"GET\"\npath = \"/thing/7\""), ["operation: unknown"]);
    assert_eq!(differs(document, "method = \"GET\"\npath = \"/things/7\""), [""; 0], "a fixed segment may stand for a variable");
}

#[test]
fn parameters_have_their_name_place_type_and_need() {
    let document = get(json!([
        {"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}},
        {"name": "limit", "in": "query", "schema": {"type": "integer"}},
        {"name": "sort", "in": "query", "required": true, "schema": {"type": "string", "enum": ["up", "down"]}},
        {"name": "ids[]", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
        {"name": "page", "in": "query", "style": "deepObject", "schema": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        {"name": "trace", "in": "header", "schema": {"type": "string"}},
        {"name": "Version", "in": "header", "required": true, "schema": {"type": "string"}},
        {"name": "Authorization", "in": "header", "required": true, "schema": {"type": "string"}},
    ]));
    let with = |params: &str| differs(document.clone(), &format!("{GET}{params}"));
    let sort = "params.sort = { in = \"query\", required = true }\n";
    assert_eq!(with(""), ["path thing: type", "query sort: missing"]);
    let integer = GET.replace("required = true", "required = true, type = \"integer\"");
    let fine = "params.limit = { in = \"query\", type = \"integer\" }\nparams.ids = { in = \"query\", type = \"array\", style = \"brackets\" }\n\
                params.size = { in = \"query\", wire = \"page[size]\", type = \"integer\" }\nparams.Trace = { in = \"header\" }\n";
    assert_eq!(differs(document.clone(), &format!("{integer}{sort}{fine}")), [""; 0]);
    let odd = |params: &str| differs(document.clone(), &format!("{integer}{sort}{params}"));
    assert_eq!(odd("params.limt = { in = \"query\" }"), ["query limt: unknown"]);
    assert_eq!(odd("params.limit = { in = \"query\" }"), ["query limit: type"]);
    assert_eq!(odd("params.limit = { in = \"query\", type = \"integer\", required = true }"), ["query limit: strict"]);
    assert_eq!(odd("params.trace = { in = \"query\" }"), ["query trace: place"]);
    let chosen = |values: &str| differs(document.clone(), &format!("{integer}params.sort = {{ in = \"query\", enum = {values} }}\n"));
    assert_eq!(chosen("[\"up\"], default = \"up\""), [""; 0]);
    assert_eq!(chosen("[\"up\", \"left\"]"), ["query sort: required", "query sort: choices"]);
}

#[test]
fn bodies_have_their_members() {
    let document = post(json!({"allOf": [
        {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "seen": {"type": "string", "readOnly": true}}},
        {"type": "object", "required": ["seen"], "properties": {"owner": {"oneOf": [{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}]}, "tags": {"type": "array", "items": {"type": "string"}}}},
    ]}));
    let with = |params: &str| differs(document.clone(), &format!("{POST}{params}"));
    let name = "params.name = { in = \"body\", required = true }\n";
    assert_eq!(with(name), [""; 0]);
    assert_eq!(with("params.tags = { in = \"body\", type = \"array\" }"), ["body name: missing"]);
    let odd = |params: &str| with(&format!("{name}{params}"));
    assert_eq!(odd("params.nam = { in = \"body\" }"), ["body nam: unknown"]);
    assert_eq!(
        odd("params.tags = { in = \"body\", schema = { type = \"array\", items = { type = \"integer\" } } }"),
        ["body tags[]: type"]
    );
    let owner = |members: &str| odd(&format!("params.owner = {{ in = \"body\", schema = {{ type = \"object\", {members} }} }}"));
    assert_eq!(owner("required = [\"id\"], properties = { id = { type = \"string\" } }"), [""; 0]);
    assert_eq!(
        owner("properties = { id = { type = \"string\" }, nick = { type = \"string\" } }"),
        ["body owner.nick: unknown", "body owner.id: required"]
    );
    assert_eq!(differs(document, &format!("{POST}body = \"form\"\n{name}")), ["body: kind"]);
}

#[test]
fn forms_of_swagger_2_and_googles_documents() {
    let swagger = json!({"swagger": "2.0", "basePath": "/v1", "consumes": ["application/json", "application/x-www-form-urlencoded"], "paths": {"/things": {"post": {"parameters": [
        {"name": "token", "in": "header", "required": true, "type": "string"},
        {"name": "name", "in": "formData", "required": true, "type": "string"},
        {"name": "blocks", "in": "formData", "type": "string"},
    ]}}}});
    let blocks = "params.name = { in = \"body\", required = true }\nparams.blocks = { in = \"body\", type = \"array\" }\n";
    assert_eq!(differs(swagger.clone(), &format!("{POST}{blocks}")), [""; 0]);
    assert_eq!(differs(swagger, POST), ["body name: missing"]);
    let google = json!({"discoveryVersion": "v1", "servicePath": "v1/", "schemas": {"Thing": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "parameters": {"fields": {"type": "string", "location": "query"}},
        "resources": {"things": {"methods": {"insert": {"httpMethod": "POST", "path": "things", "request": {"$ref": "Thing"},
            "parameters": {"labels": {"type": "string", "repeated": true, "location": "query"}}}}}}});
    let fine =
        "params.name = { in = \"body\" }\nparams.labels = { in = \"query\", type = \"array\" }\nparams.fields = { in = \"query\" }\n";
    assert_eq!(differs(google.clone(), &format!("{POST}{fine}")), [""; 0]);
    assert_eq!(differs(google, &format!("{POST}params.nam = {{ in = \"body\" }}")), ["body nam: unknown"]);
}
