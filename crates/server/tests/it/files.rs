//! Files: uploaded for actions, answered by platforms; whose they are, and what becomes of them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    Answer, Ask, TestNode,
    mcp::{MODERN, call},
    shop,
};

/// Asks for an upload link and uploads; returns the file's key.
async fn upload(node: &TestNode, user: &str, name: &str, content: &[u8]) -> String {
    let ask = node.ask("POST", "/connectors/files/upload/request").user(user);
    let asked = ask.json(&json!({ "filename": name, "mimeType": "text/csv" })).send().await.expect(200);
    let link = asked.body["presignedUrl"]["presignedUrl"].as_str().unwrap();
    Ask::new("PUT", link).body("text/csv", content).send().await.expect(200);
    asked.body["presignedUrl"]["s3Key"].as_str().unwrap().to_owned()
}

async fn get(node: &TestNode, user: &str, key: &str) -> Answer {
    node.ask("GET", &format!("/connectors/files/{key}")).user(user).send().await
}

#[tokio::test]
async fn what_a_platform_answers_with_is_kept_as_a_file() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let told = server.execute("open", "misbehave", json!({ "id": "image" })).await.ok();
    assert_eq!((&told["contentType"], &told["size"], &told["filename"]), (&json!("image/png"), &json!(300_000), &json!("cat_.png")));
    let key = told["s3Key"].as_str().unwrap();
    // By its address with the right identity, and as a resource.
    let got = Ask::new("GET", told["url"].as_str().unwrap()).key(crate::support::node::ADMIN_KEY).send().await.expect(200);
    assert_eq!((got.header("content-length"), got.header("content-type")), ("300000", "image/png"));
    assert!(got.header("content-disposition").starts_with("attachment; filename=\"cat_.png\""), "{:?}", got.headers);
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    let read = server.rpc("resources/read", json!({ "uri": told["uri"] })).await.expect(200);
    let blob = read.body["result"]["contents"][0]["blob"].as_str().unwrap();
    assert_eq!(STANDARD.decode(blob).unwrap(), vec![0x89; 300_000]);
    // Nobody else's.
    Ask::new("GET", told["url"].as_str().unwrap()).send().await.expect(401);
    get(&node, "eve", key).await.expect(404);
    let theirs = server.ask().user("eve").json(&crate::support::mcp::request("resources/read", json!({ "uri": told["uri"] }))).send().await;
    assert!(theirs.text.contains("error") && !theirs.text.contains("blob"), "{}", theirs.text);
    node.ask("DELETE", &format!("/connectors/files/{key}")).user("eve").send().await.expect(404);
    // A server that denies the connector denies what it has answered with; what was uploaded is the user's own.
    let other =
        node.server(json!({ "name": "O", "restrictions": { "connectors": { "mode": "blocklist", "blockedIds": ["open"] } } })).await;
    let own = upload(&node, "admin", "own.csv", b"a").await;
    let token = other.token.clone();
    let through =
        async |method: &str, path: &str| Ask::new(method, format!("{}/connectors/files/{path}", node.url)).key(&token).send().await;
    let listed = through("GET", "list").await.expect(200);
    assert_eq!((listed.body["files"].as_array().unwrap().len(), &listed.body["files"][0]["s3Key"]), (1, &json!(own)));
    through("GET", key).await.expect(404);
    through("DELETE", key).await.expect(404);
    let read = other.rpc("resources/read", json!({ "uri": told["uri"] })).await;
    assert!(!read.text.contains("blob"), "{}", read.text);
    through("DELETE", &own).await.expect(200);
    // Clients that know links get one.
    let arguments = call("open", "misbehave", json!({ "id": "image" }));
    let modern = server.modern("tools/call", json!({ "name": "execute_action_alloy", "arguments": arguments.clone() }));
    let content = modern.send().await.expect(200).body["result"]["content"].clone();
    assert_eq!(
        (&content[1]["type"], &content[1]["mimeType"], &content[1]["size"]),
        (&json!("resource_link"), &json!("image/png"), &json!(300_000))
    );
    assert!(MODERN > "2025-06-18");
    // The REST twin, and the list.
    let twin = node.post("/connectors/open/actions/misbehave/execute", json!({ "parameters": { "id": "image" } })).await.expect(200);
    assert!(twin.body["responseData"]["s3Key"].is_string(), "{}", twin.text);
    let listed = node.get("/connectors/files/list").await.expect(200);
    assert_eq!(listed.body["files"].as_array().unwrap().len(), 3);
    node.delete(&format!("/connectors/files/{key}")).await.expect(200);
    get(&node, "admin", key).await.expect(404);
    assert_eq!(node.number("select count(*) from file_pieces where file_id not in (select id from files)").await, 0);
    // Larger than what is read at once, and a file that repeats the credential.
    let large = server.execute("open", "misbehave", json!({ "id": "large" })).await.ok();
    assert_eq!(large["size"], 24 * 1024 * 1024);
    let much = server.rpc("resources/read", json!({ "uri": large["uri"] })).await;
    assert!(much.text.contains("not read at once"), "{}", much.text);
    shop::credential(&node, "admin", "bearer", json!({ "token": "token-that-is-secret" })).await;
    for leak in ["leak", "leak-escaped"] {
        let told = server.execute("shop", "misbehave", json!({ "id": leak })).await;
        told.refuses("repeats the credential");
    }
    assert_eq!(node.get("/connectors/files/list").await.expect(200).body["files"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_file_is_uploaded_and_sent_by_actions() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let mut document = shop::open_document();
    let file = json!({ "type": "object", "required": ["file"], "properties": { "file": { "type": "string", "format": "binary" }, "title": { "type": "string" } } });
    document["paths"]["/items"]["post"]["requestBody"]["content"] = json!({ "multipart/form-data": { "schema": file } });
    let binary = json!({ "operationId": "put", "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
        "requestBody": { "required": true, "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } } },
        "responses": { "200": { "description": "ok" } } });
    document["paths"]["/items/{id}"]["put"] = binary;
    shop::import(&node, "drive", &platform, document).await;
    let server = node.server(json!({ "name": "S" })).await;
    let content = "a,b\n".repeat(200_000);
    let key = upload(&node, "admin", "../../etc/re\"port.csv", content.as_bytes()).await;
    let listed = node.get("/connectors/files/list").await.expect(200);
    let entry = &listed.body["files"][0];
    assert_eq!((&entry["s3Key"], &entry["filename"], &entry["size"]), (&json!(key), &json!("re_port.csv"), &json!(content.len())));
    assert_eq!(get(&node, "admin", &key).await.expect(200).text, content);
    server.execute("drive", "createItem", json!({ "title": "T", "file": { "s3Key": key } })).await.ok();
    let seen = platform.last();
    assert!(seen.body.contains("filename=\"re_port.csv\"\r\nContent-Type: text/csv\r\n\r\na,b\n"), "{}", &seen.body[..300]);
    assert!(seen.body.contains(&content) && seen.body.contains("name=\"title\"\r\n\r\nT"), "the file whole, and the rest around it");
    assert_eq!(seen.header("content-length"), seen.body.len().to_string());
    let whole = server.tool("get_action_details_alloy", json!({ "connectorId": "drive", "actionId": "put" })).await.ok();
    let name = whole["action"]["inputSchema"]["required"]
        .as_array()
        .unwrap()
        .iter()
        .find(|name| *name != "id")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    server.execute("drive", "put", json!({ "id": "7", name.clone(): { "s3Key": key } })).await.ok();
    assert_eq!((platform.last().body, platform.last().header("content-type")), (content.clone(), "text/csv"));
    // Another's file is none; a file where no file is taken is an argument like others.
    let before = platform.count();
    let theirs = upload(&node, "eve", "x.csv", b"1").await;
    server.execute("drive", "createItem", json!({ "file": { "s3Key": theirs } })).await.refuses("names no file of yours");
    server.execute("open", "createItem", json!({ "name": { "s3Key": key } })).await.refuses("name");
    assert_eq!(platform.count(), before);
}

/// Why a file was refused is said also where the database does not remove it.
#[tokio::test]
async fn a_refused_file_that_cannot_be_removed_is_refused_for_its_own_reason() {
    let node = TestNode::start().await;
    let body = json!({ "filename": "b.txt", "md5": "5d41402abc4b2a76b9719d911017c592" });
    let asked = node.post("/connectors/files/upload/request", body).await.expect(200);
    node.sql("create table holds (id text references files (id))").await;
    node.sql("insert into holds select id from files").await;
    let link = asked.body["presignedUrl"]["presignedUrl"].as_str().unwrap();
    Ask::new("PUT", link).body("", "other").send().await.refuses(400, "not what was announced");
    assert_eq!(node.number("select count(*) from files").await, 1);
}

#[tokio::test]
async fn upload_links_are_good_once_and_for_what_was_announced() {
    let node = TestNode::start().await;
    let request = async |body: Value| node.post("/connectors/files/upload/request", body).await;
    request(json!({ "filename": "" })).await.refuses(400, "filename");
    request(json!({ "filename": "a", "md5": "x" })).await.refuses(400, "md5");
    request(json!({ "filename": "a", "mime": "x" })).await.refuses(400, "mimeType");
    // MD5 of "hello" in both forms.
    let (hex, base64) = ("5d41402abc4b2a76b9719d911017c592", "XUFAKrxLKna5cZ2REBfFkg==");
    let asked = request(json!({ "filename": "a.txt", "mimeType": "text/plain", "md5": hex })).await.expect(200);
    assert_eq!(asked.body["presignedUrl"]["type"], "new");
    let link = asked.body["presignedUrl"]["presignedUrl"].as_str().unwrap();
    let put = async |link: &str, md5: &str, content: &str| Ask::new("PUT", link).header("content-md5", md5).body("", content).send().await;
    put(link, "AAAAAAAAAAAAAAAAAAAAAA==", "hello").await.refuses(400, "Content-MD5");
    put(&format!("{link}x"), base64, "hello").await.expect(404);
    get(&node, "admin", asked.body["presignedUrl"]["s3Key"].as_str().unwrap()).await.expect(404);
    put(link, base64, "hello").await.expect(200);
    put(link, base64, "hello").await.refuses(409, "has been used");
    let again = request(json!({ "filename": "a.txt", "mimeType": "text/plain", "md5": base64 })).await.expect(200);
    assert_eq!(
        (&again.body["presignedUrl"]["type"], &again.body["presignedUrl"]["s3Key"]),
        (&json!("existing"), &asked.body["presignedUrl"]["s3Key"])
    );
    // What is not what was announced is not kept.
    let asked = request(json!({ "filename": "b.txt", "md5": hex })).await.expect(200);
    let link = asked.body["presignedUrl"]["presignedUrl"].as_str().unwrap();
    put(link, base64, "other").await.refuses(400, "not what was announced");
    put(link, base64, "hello").await.expect(404);
    // It goes with its user, and when its time is over.
    upload(&node, "gone", "c.csv", b"1").await;
    node.post("/users", json!({ "username": "gone", "userId": "gone" })).await;
    node.delete("/users/gone").await.expect(200);
    assert_eq!(node.number("select count(*) from files where user_id = 'gone'").await, 0);
    node.sql("update files set expires_at = 1").await;
    get(&node, "admin", again.body["presignedUrl"]["s3Key"].as_str().unwrap()).await.expect(404);
    assert!(node.get("/connectors/files/list").await.expect(200).body["files"].as_array().unwrap().is_empty());
}
