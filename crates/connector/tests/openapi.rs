//! What the importer makes of small documents: parameters, bodies, names, security, servers, schemas.
#![expect(clippy::unwrap_used, reason = "a document that is refused ends the test")]

use amalgam_connector::definition::{AuthKind, BodyKind, Paging, Place, SecretPlace, Style, VariableKind};
use amalgam_connector::openapi::{Import, ImportOptions, import, import_value};
use serde_json::{Value, json};

/// An OpenAPI 3.0 document with these paths and components.
fn document(paths: Value, components: Value) -> Value {
    json!({
        "openapi": "3.0.3",
        "info": { "title": "Pet Store", "version": "1" },
        "servers": [{ "url": "https://api.example.org/v1/" }],
        "paths": paths,
        "components": components,
    })
}

fn run(document: Value) -> Import {
    import_value(document, &ImportOptions::default()).unwrap()
}

fn refused(source: &str) -> String {
    import(source.as_bytes(), &ImportOptions::default()).unwrap_err().message
}

#[test]
fn identity_comes_from_the_document_or_the_caller() {
    let source = document(json!({"/pets": {"get": {"operationId": "listPets", "tags": ["pets"]}}}), json!({}));
    let made = run(source.clone()).definition;
    assert_eq!((made.id.as_str(), made.name.as_str(), made.base_url.as_str()), ("pet-store", "Pet Store", "https://api.example.org/v1"));
    let action = &made.actions["listPets"];
    assert_eq!((action.name.as_str(), action.resource.as_str(), action.path.as_str()), ("List pets", "pets", "/pets"));
    let options = ImportOptions { id: Some("mine".into()), name: Some("Mine".into()), base_url: Some("http://localhost:8008/x/".into()) };
    let made = import_value(source, &options).unwrap().definition;
    assert_eq!((made.id.as_str(), made.name.as_str(), made.base_url.as_str()), ("mine", "Mine", "http://localhost:8008/x"));
}

#[test]
fn ids_are_kept_repaired_and_unique() {
    let made = run(document(
        json!({
            "/a": {"get": {"operationId": "repos/create"}, "post": {"operationId": "repos_create"}},
            "/b": {"get": {"operationId": "twice"}, "post": {"operationId": "twice"}},
            "/users/{id}": {"get": {}},
            "/long": {"get": {"operationId": "x".repeat(80)}, "put": {"operationId": "x".repeat(81)}},
            "/t": {"trace": {}},
        }),
        json!({}),
    ));
    let ids: Vec<&str> = made.definition.actions.keys().map(String::as_str).collect();
    assert_eq!(ids.len(), 7);
    assert!(ids.contains(&"repos_create") && ids.contains(&"twice") && ids.contains(&"get_users_by_id"), "{ids:?}");
    assert_eq!(made.definition.actions["repos_create"].method.as_str(), "POST", "an id that fits keeps its name");
    assert!(ids.iter().all(|id| id.len() <= 64));
    assert_eq!(made.omitted.len(), 1);
    assert_eq!(made.omitted[0].reason, "The method TRACE is not supported.");
}

#[test]
fn parameters_merge_by_place_and_name() {
    let made = run(document(
        json!({"/a/{id}/${other}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}, {"name": "q", "in": "query", "schema": {"type": "string"}}],
            "post": {
                "operationId": "op",
                "parameters": [
                    {"name": "q", "in": "query", "description": "the operation's", "schema": {"type": "array", "items": {"type": "string"}}, "explode": false},
                    {"name": "page[size]", "in": "query", "schema": {"type": "integer"}},
                    {"name": "where", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
                    {"name": "deep", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                    {"name": "spread", "in": "query", "schema": {"type": "object", "properties": {"from": {"type": "string"}}}},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                    {"name": "c", "in": "cookie", "schema": {"type": "string"}},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}, "seen": {"type": "string", "readOnly": true}}, "required": ["name", "seen"]}}}},
            },
        }}),
        json!({}),
    ));
    let action = &made.definition.actions["op"];
    assert_eq!(action.path, "/a/{id}/{other}");
    let names: Vec<&str> = action.params.keys().map(String::as_str).collect();
    assert_eq!(names, ["id", "other", "q", "page_size", "where", "deep", "spread", "name", "body_id"]);
    assert_eq!(action.params["q"].style, Some(Style::Comma));
    assert_eq!(action.params["q"].description, "the operation's");
    assert_eq!(action.params["page_size"].wire.as_deref(), Some("page[size]"));
    assert_eq!(action.params["where"].style, Some(Style::Json));
    assert_eq!(action.params["deep"].style, Some(Style::Deep));
    assert_eq!(action.params["spread"].style, Some(Style::Repeat));
    assert_eq!((action.params["body_id"].wire.as_deref(), action.params["body_id"].place), (Some("id"), Place::Body));
    assert!(action.params["name"].required && action.params["other"].required);
    assert_eq!(made.warnings.len(), 3, "{:?}", made.warnings);
}

#[test]
fn bodies_are_flat_or_whole() {
    let body = |media: &str, schema: Value| json!({"requestBody": {"required": true, "content": {media: {"schema": schema}}}});
    let made = run(document(
        json!({
            "/list": {"post": body("application/json", json!({"type": "array", "items": {"type": "string"}}))},
            "/one": {"post": body("application/vnd.api+json", json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}))},
            "/all": {"post": body("application/json", json!({"allOf": [{"$ref": "#/components/schemas/A"}, {"type": "object", "properties": {"b": {"type": "string"}}}]}))},
            "/form": {"post": body("application/x-www-form-urlencoded", json!({"type": "object", "properties": {"o": {"type": "object"}, "l": {"type": "array", "items": {"type": "string"}}}}))},
            "/file": {"post": body("multipart/form-data", json!({"type": "object", "properties": {"f": {"type": "string", "format": "binary"}}}))},
            "/text": {"post": body("text/plain", json!({"type": "string"}))},
            "/bytes": {"post": body("image/png", json!({"type": "string", "format": "binary"}))},
        }),
        json!({"schemas": {"A": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}}}),
    ));
    let kinds: Vec<Option<BodyKind>> = made.definition.actions.values().map(|action| action.body).collect();
    let wanted = [BodyKind::Json, BodyKind::Json, BodyKind::Json, BodyKind::Form, BodyKind::Multipart, BodyKind::Text, BodyKind::Binary];
    assert_eq!(kinds, wanted.map(Some));
    let actions = &made.definition.actions;
    for id in ["post_list", "post_one", "post_text", "post_bytes"] {
        assert!(actions[id].params["body"].whole && actions[id].params["body"].required, "{id}");
    }
    assert!(actions["post_all"].params["a"].required && !actions["post_all"].params["b"].required);
    assert_eq!(actions["post_form"].params["o"].style, Some(Style::Json));
    assert_eq!(actions["post_form"].params["l"].style, None);
    assert_eq!(actions["post_file"].params["f"].json_schema()["properties"]["data"]["contentEncoding"], "base64");
}

#[test]
fn schemas_end_as_json_schema_2020_12() {
    let schema = json!({"type": "object", "properties": {
        "null": {"type": "string", "nullable": true, "enum": ["a"]},
        "limit": {"type": "integer", "minimum": 1, "exclusiveMinimum": true},
        "any": {"type": "any", "description": "<p>Some <b>text</b> &amp; more</p>"},
        "date": {"type": "date", "required": true},
        "pattern": {"type": "string", "pattern": "(["},
        "both": {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object", "properties": {"b": {"type": "string"}}}]},
        "tree": {"$ref": "#/components/schemas/Tree"},
        "foreign": {"$ref": "other.yaml#/X"},
        "reference": {"type": "object", "properties": {"$ref": {"type": "string"}}},
    }});
    let tree = json!({"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Tree"}, "name": {"type": "string", "example": "n", "xml": {}}}});
    let made = run(document(
        json!({"/a": {"post": {"operationId": "op", "requestBody": {"content": {"application/json": {"schema": schema}}}}}}),
        json!({"schemas": {"Tree": tree}}),
    ));
    let params = &made.definition.actions["op"].params;
    let of = |name: &str| params[name].json_schema();
    assert_eq!(of("null"), json!({"type": ["string", "null"], "enum": ["a", null]}));
    assert_eq!(of("limit"), json!({"type": "integer", "exclusiveMinimum": 1}));
    assert_eq!(of("any"), json!({"description": "Some text & more"}));
    assert_eq!(of("date"), json!({"type": "string", "format": "date"}));
    assert!(params["date"].required);
    assert_eq!(of("pattern"), json!({"type": "string"}));
    assert_eq!(of("both"), json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}));
    assert!(of("tree")["properties"]["next"]["description"].as_str().unwrap().contains("recursive"));
    assert_eq!(of("tree")["properties"]["name"], json!({"type": "string", "examples": ["n"]}));
    assert!(of("foreign")["description"].as_str().unwrap().contains("not part of the document"));
    assert_eq!(made.warnings.len(), 2, "{:?}", made.warnings);
    assert_eq!(of("reference")["properties"]["$ref"], json!({"type": "string"}));
}

#[test]
fn schemes_become_ways_to_authenticate() {
    let mut source = document(
        json!({"/a": {"get": {"operationId": "a", "parameters": [{"name": "key", "in": "query", "schema": {"type": "string"}}]}, "post": {"operationId": "b", "security": []}}}),
        json!({"securitySchemes": {
            "Key": {"type": "apiKey", "in": "query", "name": "key"},
            "Token": {"type": "apiKey", "in": "query", "name": "token"},
            "OAuth": {"type": "oauth2", "flows": {"authorizationCode": {"authorizationUrl": "/authorize", "tokenUrl": "https://id.example.org/token", "scopes": {"read": ""}}}},
            "Basic": {"type": "http", "scheme": "Basic"},
        }}),
    );
    source["security"] = json!([{"Key": [], "Token": []}, {"OAuth": ["read"]}, {"Basic": []}]);
    let made = run(source).definition;
    let kinds: Vec<AuthKind> = made.auth.iter().map(|scheme| scheme.kind).collect();
    assert_eq!(kinds, [AuthKind::ApiKey, AuthKind::OAuth2, AuthKind::Basic, AuthKind::Bearer]);
    let sent: Vec<(&str, SecretPlace, &str)> =
        made.auth[0].send.iter().map(|sent| (sent.value.as_str(), sent.place, sent.name.as_str())).collect();
    assert_eq!(sent, [("{Key}", SecretPlace::Query, "key"), ("{Token}", SecretPlace::Query, "token")]);
    assert_eq!(made.auth[1].oauth2.as_ref().unwrap().authorize_url, "https://api.example.org/authorize");
    assert!(made.actions["a"].params.is_empty(), "the key is no argument");
    assert!(made.actions["a"].auth && !made.actions["b"].auth);
}

/// Telegram and Mailchimp Transactional declare no security scheme, but models must not be asked for the key with every call.
#[test]
fn undeclared_credentials_are_found() {
    let mut telegram = document(json!({"/send": {"post": {"operationId": "send"}}}), json!({}));
    telegram["servers"] = json!([{"url": "https://api.example.org/v1/bot{token}", "variables": {"token": {"default": "123:abc"}}}]);
    let made = run(telegram);
    assert_eq!(
        (made.definition.base_url.as_str(), made.definition.actions["send"].path.as_str()),
        ("https://api.example.org/v1", "/bot{token}/send")
    );
    assert_eq!((made.definition.auth[0].kind, made.definition.auth[0].send[0].place), (AuthKind::ApiKey, SecretPlace::Path));
    assert!(made.definition.variables.is_empty() && made.warnings.len() == 1, "{:?}", made.warnings);
    let post = |extra: &str| {
        let schema = json!({"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}, extra: {"type": "string"}}});
        json!({"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}})
    };
    let made = run(document(json!({"/a": post("x"), "/b": post("y")}), json!({})));
    assert_eq!((made.definition.auth[0].send[0].place, made.definition.auth[0].send[0].name.as_str()), (SecretPlace::Body, "key"));
    assert_eq!(made.definition.actions["post_a"].params.keys().collect::<Vec<_>>(), ["x"]);
    let made = run(document(json!({"/a": post("x"), "/b": {"get": {}}}), json!({})));
    assert!(made.definition.auth.is_empty(), "a key of some operations is data");
}

#[test]
fn scopes_and_links_come_along() {
    let answer = json!({"200": {"description": "ok", "headers": {"Link": {"schema": {"type": "string"}}}}});
    let page = json!([{"name": "page", "in": "query", "schema": {"type": "integer"}}]);
    let mut source = document(
        json!({"/a": {"get": {"operationId": "a", "security": [{"O": ["read"]}, {"O": ["all", "read"]}, {"O": ["unknown"]}], "parameters": page, "responses": answer}},
               "/b": {"get": {"operationId": "b", "parameters": page}}}),
        json!({"securitySchemes": {"O": {"type": "oauth2", "flows": {"authorizationCode": {
            "authorizationUrl": "https://id.example.org/authorize?prompt=login&state=x", "tokenUrl": "https://id.example.org/token", "scopes": {"read": "See it", "all": ""}}}}}}),
    );
    source["security"] = json!([{"O": ["all"]}]);
    let made = run(source).definition;
    let oauth2 = made.auth[0].oauth2.as_ref().unwrap();
    assert_eq!(
        (oauth2.authorize_url.as_str(), &oauth2.authorize_params["prompt"]),
        ("https://id.example.org/authorize", &"login".to_owned())
    );
    assert_eq!((oauth2.scopes["read"].as_str(), oauth2.authorize_params.len()), ("See it", 1));
    assert_eq!(made.actions["a"].scopes, ["read", "all read"]);
    assert_eq!(made.actions["b"].scopes, ["all"]);
    let kinds: Vec<Paging> = made.actions.values().map(|action| action.pagination.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [Paging::Link, Paging::Page]);
}

#[test]
fn servers_have_variables_or_are_asked_for() {
    let with = |servers: Value| {
        let mut source = document(json!({"/a": {"get": {}}}), json!({}));
        source["servers"] = servers;
        import_value(source, &ImportOptions::default())
    };
    let made = with(json!([{"url": "{protocol}://{region}.example.org:{port}/{version}/of-{tenant}", "variables": {
        "protocol": {"default": "https", "enum": ["http", "https"]},
        "region": {"default": "eu", "enum": ["eu", "us"]},
        "port": {"default": "443"},
        "version": {"default": "v2"},
        "tenant": {"default": "123:abc"},
    }}]))
    .unwrap()
    .definition;
    assert_eq!(made.base_url, "https://{region}.example.org:443/v2/of-{tenant}");
    assert_eq!(made.variables["region"].choices, ["eu", "us"]);
    assert_eq!((made.variables["tenant"].kind, made.variables["tenant"].default.as_deref()), (VariableKind::Text, None));
    let variables = json!({"host": {"default": "localhost:8008"}, "base": {"default": "/api/v3/"}});
    let made = with(json!([{"url": "https://{host}{base}", "variables": variables}])).unwrap().definition;
    assert_eq!((made.base_url.as_str(), made.variables["host"].kind), ("https://{host}/api/v3", VariableKind::Host));
    assert_eq!((made.variables["host"].default.as_deref(), made.variables["host"].sample.as_deref()), (None, Some("localhost:8008")));
    let kind = |url: &str| with(json!([{"url": url}])).unwrap().definition.variables["x"].kind;
    assert_eq!(kind("{x}"), VariableKind::Url);
    assert_eq!(kind("https://{x}/api"), VariableKind::Host);
    assert_eq!(kind("https://{x}.example.org"), VariableKind::Label);
    for servers in
        [json!([{"url": "/v1"}]), json!([]), json!([{"url": "ftp://example.org"}]), json!([{"url": "https://a:b@example.org"}]), json!("x")]
    {
        assert!(with(servers.clone()).unwrap_err().message.contains("`baseUrl`"), "{servers}");
    }
}

#[test]
fn swagger_2_in_yaml() {
    let source = "
swagger: 2.0
info: {title: Old API}
host: old.example.org
basePath: /api
schemes: [http, https]
consumes: [application/json]
securityDefinitions:
  key: {type: apiKey, in: header, name: X-Key}
paths:
  /things/{id}:
    get:
      operationId: getThing
      parameters:
      - {name: id, in: path, required: true, type: string}
      - {name: ids, in: query, type: array, items: {type: integer}, collectionFormat: pipes}
      - {name: op, in: query, type: string, enum: [=, on, no]}
      responses:
        200: {description: ok, schema: {$ref: '#/definitions/Thing'}}
    post:
      operationId: addThing
      parameters:
      - {name: id, in: path, required: true, type: string}
      - {name: thing, in: body, required: true, schema: {$ref: '#/definitions/Thing'}}
    put:
      operationId: sendThing
      parameters:
      - {name: id, in: path, required: true, type: string}
      - {name: upload, in: formData, type: file, required: true}
definitions:
  Thing: {type: object, properties: {name: {type: string}}, required: [name]}
";
    let made = import(source.as_bytes(), &ImportOptions::default()).unwrap().definition;
    assert_eq!(made.base_url, "https://old.example.org/api");
    assert_eq!(made.auth[0].send[0].name, "X-Key");
    let get = &made.actions["getThing"];
    assert_eq!(get.params["ids"].style, Some(Style::Pipe));
    assert_eq!(get.params["op"].json_schema()["enum"], json!(["=", "on", "no"]));
    assert_eq!(get.response.as_ref().unwrap().schema.as_ref().unwrap()["required"], json!(["name"]));
    assert!(made.actions["addThing"].params["name"].required);
    assert_eq!(made.actions["sendThing"].body, Some(BodyKind::Multipart));
}

#[test]
fn pagination_needs_both_sides() {
    let page = |answer: Value| {
        json!({"get": {
            "parameters": [{"name": "cursor", "in": "query", "schema": {"type": "string"}}, {"name": "limit", "in": "query", "schema": {"type": "integer"}}],
            "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
        }})
    };
    let made = run(document(
        json!({
            "/with": page(json!({"type": "object", "properties": {"meta": {"type": "object", "properties": {"next_cursor": {"type": "string"}}}}})),
            "/without": page(json!({"type": "array", "items": {}})),
        }),
        json!({}),
    ));
    let with = made.definition.actions["get_with"].pagination.as_ref().unwrap();
    assert_eq!(
        (with.cursor.as_deref(), with.next.as_deref(), with.limit.as_deref()),
        (Some("cursor"), Some("/meta/next_cursor"), Some("limit"))
    );
    assert_eq!(made.definition.actions["get_without"].pagination.as_ref().unwrap().cursor, None);
}

#[test]
fn refusals_name_the_place_and_the_way_out() {
    assert!(refused("").contains("empty"));
    assert!(refused("<html>").contains("web page"));
    assert!(refused("{\"openapi\": \"3.0.0\",\n oops}").contains("line 2"));
    assert!(refused("a: [1\nb: }").contains("line"));
    assert!(refused("{\"info\": {}, \"item\": []}").contains("Postman"));
    assert!(refused("{\"openapi\": \"4.0\", \"paths\": {}}").contains("not supported"));
    assert!(refused("[]").contains("not an object"));
    assert!(refused("plain words").contains("not an object"));
}

/// What cannot be sent, or not be judged by, is said: nothing vanishes.
#[test]
fn nothing_vanishes() {
    let header = |name: &str, required: bool| json!({"in": "header", "name": name, "required": required, "schema": {"type": "string"}});
    let owned: Vec<Value> =
        ["Host", "Content-Length", "Connection", "X-Forwarded-For", "Transfer-Encoding"].iter().map(|name| header(name, true)).collect();
    let body = |required: bool| json!({"required": required, "content": {"application/json": {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}});
    let made = run(document(
        json!({
            "/owned": {"get": {"operationId": "owned", "parameters": owned}},
            "/optional": {"get": {"operationId": "optional", "parameters": [header("a b", false), header("Cookie", false)], "requestBody": body(false)}},
            "/space": {"get": {"operationId": "space", "parameters": [header("a b", true)]}},
            "/accent": {"get": {"operationId": "accent", "parameters": [header("é", true)]}},
            "/cookie": {"get": {"operationId": "cookie", "parameters": [header("Cookie", true)]}},
            "/body": {"get": {"operationId": "body", "requestBody": body(true)}},
            "/two": {"get": {"operationId": "two", "parameters": [
                {"in": "query", "name": "x", "schema": {"type": "string"}}, {"in": "query", "name": "x", "schema": {"type": "integer"}}]}},
            "//evil.com/i": {"get": {"operationId": "evil"}},
            "noslash": {"get": {"operationId": "noslash"}},
            "/schema": {"post": {"operationId": "schema", "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {
                "low": {"type": "string", "minLength": -1}, "odd": {"type": "string", "pattern": "((("}, "list": {"type": "object", "properties": []}}}}}}}},
        }),
        json!({}),
    ));
    let omitted = |id: &str| made.omitted.iter().find(|omission| omission.operation == id).map(|omission| omission.reason.as_str());
    assert_eq!(omitted("space"), Some("It requires the header \"a b\", and no header can have that name."));
    assert!(omitted("accent").is_some() && omitted("cookie").is_some_and(|reason| reason.contains("cookies")));
    assert!(
        omitted("body").is_some_and(|reason| reason.contains("GET and HEAD"))
            && omitted("evil").is_some_and(|reason| reason.contains("//"))
    );
    assert_eq!(made.omitted.len(), 5, "{:?}", made.omitted);
    assert!(made.definition.actions["owned"].params.is_empty() && made.definition.actions["optional"].params.is_empty());
    for (operation, part) in [
        ("/owned", "Host"),
        ("/owned", "Content-Length"),
        ("/owned", "Connection"),
        ("/owned", "X-Forwarded-For"),
        ("/owned", "Transfer-Encoding"),
        ("/optional", "a b"),
        ("/optional", "Cookie"),
        ("/optional", "body"),
        ("/two", "\"x\" in \"query\" is declared twice"),
        ("noslash", "/noslash"),
        ("/schema", "`low`: the schema's `minLength`"),
        ("/schema", "`odd`: the schema's `pattern`"),
        ("/schema", "`list`: the schema's `properties`"),
    ] {
        assert!(
            made.warnings.iter().any(|warning| warning.contains(operation) && warning.contains(part)),
            "{operation} {part}: {:?}",
            made.warnings
        );
    }
}

#[test]
fn warnings_end() {
    let properties: serde_json::Map<String, Value> =
        (0..300).map(|n| (format!("p{n}"), json!({"type": "string", "minLength": -1}))).collect();
    let schema = json!({"type": "object", "properties": properties});
    let made = run(document(json!({"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}}), json!({})));
    assert_eq!(made.warnings.len(), 201);
    assert_eq!(made.warnings[200], "And 100 more, which are left out here.");
}

#[test]
fn an_operations_own_server_counts() {
    let operation = |id: &str, url: &str| json!({"get": {"operationId": id, "servers": [{"url": url}]}});
    let paths = json!({
        "/same": operation("same", "https://api.example.org/v1/"),
        "/deeper": operation("deeper", "https://api.example.org/v1/files"),
        "/other": operation("other", "https://files.example.org/v1"),
        "/version": operation("version", "/v2"),
        "/below": operation("below", "/v1/v2"),
        "/beside": operation("beside", "https://api.example.org/v10"),
        "/nonsense": operation("nonsense", "nonsense"),
    });
    let made = run(document(paths.clone(), json!({})));
    let actions: Vec<(&str, &str)> = made.definition.actions.iter().map(|(id, action)| (id.as_str(), action.path.as_str())).collect();
    assert_eq!(actions, [("same", "/same"), ("deeper", "/files/deeper"), ("below", "/v2/below")]);
    let reasons: Vec<&str> = made.omitted.iter().map(|omission| omission.reason.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("https://api.example.org/v2;")) && reasons.len() == 4, "{reasons:?}");
    // The caller's own base URL replaces the document's, and what the document has elsewhere is said.
    let options = ImportOptions { base_url: Some("http://localhost:8008".into()), ..Default::default() };
    let made = import_value(document(paths, json!({})), &options).unwrap();
    let action = |id: &str| made.definition.actions.get(id).map(|action| action.path.as_str());
    assert_eq!((action("version"), action("same"), action("other")), (Some("/v2/version"), Some("/same"), Some("/other")));
    assert!(made.warnings.iter().any(|warning| warning.contains("GET /other") && warning.contains("https://files.example.org/v1")));
}

#[test]
fn a_wrong_base_url_is_refused_for_its_own_reason() {
    for (url, words) in [
        ("http://127.0.0.1:99999", "port that is not a number from 1 to 65535"),
        ("http://127.0.0.1:0", "port 0"),
        ("http://a b", "host name"),
        ("http://[fe80::1%25eth0]", "zone"),
        ("http://a.example/x^y", "'^'"),
        ("a.example", "is not absolute"),
    ] {
        let options = ImportOptions { base_url: Some(url.into()), ..Default::default() };
        let error = import_value(document(json!({"/a": {"get": {}}}), json!({})), &options).unwrap_err();
        assert_eq!(error.field, "baseUrl", "{url}: {error}");
        assert!(error.message.contains(words) && !error.message.contains("base_url"), "{url}: {error}");
    }
}
