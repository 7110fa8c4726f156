//! Every operation of the document, tried by those who may not, and with what it cannot take.

use serde_json::{Value, json};

use crate::support::{
    Ask, TestNode, shop,
    sign_in::{Client, PASSWORD},
};

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];
/// Who anybody may ask.
const PUBLIC: [&str; 2] = ["/health", "/ready"];

/// One operation of the document.
struct Operation {
    method: String,
    path: String,
    takes_json: bool,
}

impl Operation {
    /// The members that an answer with this status has according to the document.
    fn promised(&self, document: &Value, status: u16) -> Vec<String> {
        let response = &document["paths"][&self.path][self.method.to_lowercase()]["responses"][status.to_string()];
        let schema = &response["content"]["application/json"]["schema"];
        let schema = schema["$ref"].as_str().map_or(schema, |place| document.pointer(place.trim_start_matches('#')).unwrap());
        schema["required"].as_array().into_iter().flatten().map(|member| member.as_str().unwrap().to_owned()).collect()
    }
}

async fn operations(node: &TestNode) -> Vec<Operation> {
    let document = Ask::new("GET", format!("{}/openapi.json", node.url)).send().await.expect(200);
    let mut all = Vec::new();
    for (path, item) in document.body["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| METHODS.contains(&method.as_str())) {
            let takes_json = operation["requestBody"]["content"].get("application/json").is_some();
            all.push(Operation { method: method.to_uppercase(), path: path.clone(), takes_json });
        }
    }
    assert!(all.len() > 40, "the document describes the product: {}", all.len());
    all
}

/// The path with every parameter replaced.
fn fill(path: &str, value: &dyn Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap();
        out.push_str(before);
        out.push_str(&value(name));
        rest = after;
    }
    out + rest
}

fn ask(node: &TestNode, operation: &Operation, path: &str) -> Ask {
    let ask = Ask::new(&operation.method, format!("{}{path}", node.url)).header("accept", "application/json, text/event-stream");
    if operation.takes_json { ask.json(&json!({})) } else { ask }
}

#[tokio::test]
async fn nothing_answers_without_authentication() {
    let node = TestNode::start().await;
    for operation in operations(&node).await {
        let path = fill(&operation.path, &|_| "some-thing-aaaaaaaa".to_owned());
        for key in [None, Some(""), Some("nonsense"), Some("amk_nonsense"), Some("mcp_token_nonsense"), Some("a.b.c")] {
            let ask = ask(&node, &operation, &path);
            let ask = if let Some(key) = key { ask.key(key) } else { ask };
            let answer = ask.send().await;
            let expected = if PUBLIC.contains(&operation.path.as_str()) { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{} {path} with {key:?}: {}", operation.method, answer.text);
            if expected == 401 {
                assert!(
                    !answer.sentence().is_empty() && answer.header("www-authenticate").starts_with("Bearer"),
                    "{path}: {}",
                    answer.text
                );
                assert!(!answer.header("x-request-id").is_empty());
            }
        }
    }
    for path in ["/", "/nothing", "/api", "/console", "/metrics", "/debug", "/mcp/a/b/c", "/.env"] {
        let answer = Ask::new("GET", format!("{}{path}", node.url)).send().await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
}

/// The first account's objects by the names of path parameters.
async fn objects(node: &TestNode) -> impl Fn(&str) -> String {
    let server = node.server(json!({ "name": "Marker Ours", "description": "marker-of-ours" })).await;
    let workflow = json!({ "description": "marker-of-ours", "steps": [{ "connectorId": "open", "actionId": "listItems" }] });
    node.put(&format!("/api/servers/{}/workflows/look", server.id), workflow).await.expect(201);
    let credential = shop::credential(node, "admin", "apiKey", json!({ "apiKey": "12345678" })).await;
    let user = node.post("/users", json!({ "username": "marker-of-ours" })).await.expect(201).body["userId"].as_str().unwrap().to_owned();
    let key = node.post("/api/keys", json!({ "name": "marker-of-ours" })).await.expect(201).body["id"].as_str().unwrap().to_owned();
    let issuer = json!({ "issuer": "marker-of-ours", "secret": "0123456789-0123456789-0123456789-ok" });
    let issuer = node.post("/api/jwt-issuers", issuer).await.expect(201).body["id"].as_str().unwrap().to_owned();
    let config = json!({ "connectorId": "slack", "clientId": "marker-of-ours", "clientSecret": "12345678" });
    let config = node.post("/api/auth-configs", config).await.expect(201).body["id"].as_str().unwrap().to_owned();
    node.put("/api/redirect-uris", json!({ "redirectUris": ["https://app.example/marker-of-ours"] })).await.expect(200);
    let upstream = json!({ "name": "marker-of-ours", "url": "http://127.0.0.1:9/mcp", "in_catalog": true });
    let upstream = node.post("/api/v1/user-mcp-servers", upstream).await.expect(201).body["id"].as_str().unwrap().to_owned();
    node.post("/users", json!({ "username": "boss", "userId": "admin", "password": PASSWORD })).await.expect(201);
    Client::register(node, &server.url).await.tokens("boss").await;
    let grant = node.get("/api/grants").await.expect(200).body["grants"][0]["id"].as_str().unwrap().to_owned();
    move |name| match name {
        "serverId" => server.id.clone(),
        "accessToken" => "mcp_token_guessed".to_owned(),
        "connectorId" => "shop".to_owned(),
        "actionId" => "listItems".to_owned(),
        "credentialId" => credential.clone(),
        "userId" => user.clone(),
        "mcpServerId" | "connectionId" | "catalogId" => upstream.clone(),
        "keyId" => key.clone(),
        "issuerId" | "id" => issuer.clone(),
        "authConfigId" => config.clone(),
        "grantId" => grant.clone(),
        "accountId" => "default".to_owned(),
        "name" => "look".to_owned(),
        "s3Key" => "file_of_nobody".to_owned(),
        other => panic!("the sweep does not know the path parameter {other}"),
    }
}

#[tokio::test]
async fn another_account_gets_nothing_of_ours() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let objects = objects(&node).await;
    let other = node.account("other").await;
    let member = node.ask("POST", "/api/keys").key(&other).json(&json!({ "userId": "admin" })).send().await.expect(201);
    let member = member.body["key"].as_str().unwrap().to_owned();
    for operation in operations(&node).await {
        let path = fill(&operation.path, &objects);
        let has_id = path != operation.path;
        for key in [&other, &member] {
            let answer = ask(&node, &operation, &path).key(key).header("x-mcp-server-id", objects("serverId")).send().await;
            let twin = path.starts_with("/connectors") || path.starts_with("/users") || path.starts_with("/mcp");
            assert!(!answer.text.contains("marker-of-ours"), "{} {path}: {}", operation.method, answer.text);
            assert!(!(twin && answer.status < 300), "{} {path} under a foreign server: {}", operation.method, answer.text);
            let answer = ask(&node, &operation, &path).key(key).send().await;
            assert!(!answer.text.contains("marker-of-ours"), "{} {path}: {}", operation.method, answer.text);
            assert!(answer.status < 500, "{} {path}: {}", operation.method, answer.text);
            // A user id is any string, so asking for a stranger's credentials finds none.
            let finds_nothing = answer.body == json!({ "data": [] });
            if has_id && !finds_nothing {
                assert!((400..500).contains(&answer.status), "{} {path}: {} {}", operation.method, answer.status, answer.text);
            }
        }
    }
    assert_eq!(platform.count(), 0);
}

#[tokio::test]
async fn malformed_bodies_are_refused_with_a_sentence() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let objects = objects(&node).await;
    for operation in operations(&node).await.iter().filter(|operation| operation.takes_json) {
        // A token URL needs a good token to get as far as the body.
        if operation.path.contains("{accessToken}") {
            continue;
        }
        let path = fill(&operation.path, &objects);
        let ask = || node.ask(&operation.method, &path).header("accept", "*/*").header("x-mcp-server-id", objects("serverId"));
        let deep = "[".repeat(100_000);
        for body in ["{", "nonsense", "\"text\"", "[1]", "{\"a\":1,\"a\":2}", deep.as_str(), "\u{feff}{}", "{\"name\":\"\\ud800\"}"] {
            // Documents in the wild have members twice and begin with a byte order mark; the importer takes them.
            let tolerated = body.starts_with('\u{feff}') || body.contains("\"a\":1");
            if path.starts_with("/api/connectors") && tolerated {
                continue;
            }
            let answer = ask().body("application/json", body).send().await;
            assert_eq!(answer.status, 400, "{} {path} with {:.20}: {}", operation.method, body, answer.text);
            assert!(answer.sentence().len() > 10, "{} {path}: {}", operation.method, answer.text);
            assert!(!answer.text.contains(".rs:") && !answer.text.to_lowercase().contains("panic"), "{}", answer.text);
        }
        // The importer takes YAML; everything else is JSON.
        if !path.starts_with("/api/connectors") {
            for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
                let answer = ask().body(kind, "{}").send().await;
                assert_eq!(answer.status, 415, "{} {path} as {kind:?}: {}", operation.method, answer.text);
            }
        }
    }
}

#[tokio::test]
async fn absurd_ids_are_never_our_failure() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let long = "x".repeat(10_000);
    let absurd = ["%00", "..", "%2e%2e%2f", "%F0%9F%92%A5", "%ff%fe", "%0d%0aX-Evil:1", "'%20or%201=1--", "*", "null", "-1", long.as_str()];
    for operation in operations(&node).await {
        if !operation.path.contains('{') {
            continue;
        }
        for id in absurd {
            let path = fill(&operation.path, &|_| id.to_owned());
            let (status, text) = raw(&node, &operation.method, &path, operation.takes_json).await;
            let finds_nothing = status == 200 && text.ends_with(r#"{"data":[]}"#);
            assert!((400..500).contains(&status) || finds_nothing, "{} {path:.80}: {status} {text:.300}", operation.method);
        }
    }
    node.get("/health").await.expect(200);
}

/// Nothing is changed without a trace, and answers are as the document describes them.
#[tokio::test]
async fn every_write_leaves_an_entry() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let objects = objects(&node).await;
    let document = Ask::new("GET", format!("{}/openapi.json", node.url)).send().await.expect(200).body;
    let (mut writes, mut promised) = (0, 0);
    // Calls of tools leave entries once they name a tool; these name none.
    let is_write = |operation: &&Operation| {
        operation.method != "GET" && !operation.path.starts_with("/mcp") && !operation.path.contains("/mcp-tools/")
    };
    for operation in operations(&node).await.iter().filter(is_write) {
        writes += 1;
        let path = fill(&operation.path, &objects);
        let id = format!("write-{writes}");
        let ask = node.ask(&operation.method, &path).header("x-request-id", &id);
        let answer = if operation.takes_json { ask.json(&json!({})) } else { ask }.send().await;
        let seen = node.get(&format!("/api/audit?requestId={id}")).await.expect(200);
        assert_eq!(seen.body["total"], 1, "{} {path}: {}", operation.method, seen.text);
        assert_eq!(seen.body["entries"][0]["status"], answer.status, "{} {path}: {} {}", operation.method, answer.text, seen.text);
        for member in operation.promised(&document, answer.status) {
            assert!(answer.body.get(&member).is_some(), "{} {path} answers without {member}: {}", operation.method, answer.text);
            promised += 1;
        }
    }
    assert!(writes >= 21 && promised >= 18, "{writes} {promised}");
}

/// One request whose path no client library has tidied up.
async fn raw(node: &TestNode, method: &str, path: &str, json: bool) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = node.url.strip_prefix("http://").unwrap();
    let body = if json { "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}" } else { "\r\n" };
    let key = crate::support::node::ADMIN_KEY;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\naccept: text/event-stream\r\nconnection: close\r\n{body}"
    );
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

/// What the document says of itself holds: every operation names who may call it.
#[tokio::test]
async fn the_document_is_complete() {
    let node = TestNode::start().await;
    let document = Ask::new("GET", format!("{}/openapi.json", node.url)).send().await.expect(200).body;
    let mut names = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| METHODS.contains(&method.as_str())) {
            let open = operation["security"] == json!([{}]) || operation["security"] == json!([]);
            let may_be_open = PUBLIC.contains(&path.as_str()) || path.contains("{accessToken}");
            assert_eq!(open, may_be_open, "{method} {path} says who may call it");
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{method} {path}");
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()), "{method} {path}");
            names.push(operation["operationId"].clone());
        }
    }
    let count = names.len();
    names.sort_by_key(Value::to_string);
    names.dedup();
    assert_eq!(names.len(), count, "operation ids are unique");
}
