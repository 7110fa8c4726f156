//! Documents of other programs become registrations, and what cannot says why.

use serde_json::{Value, json};

use crate::support::{
    Answer, TestNode,
    upstream::{Eras, Upstream},
};

const PATH: &str = "/api/v1/user-mcp-servers/import";

/// Of the first entry that was left out.
fn reason(answer: &Answer) -> &str {
    answer.body["omitted"][0]["reason"].as_str().unwrap_or_else(|| panic!("{}", answer.text))
}

#[tokio::test]
async fn desktop_clients_write_it_in_many_ways() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Dual).await;
    let url = upstream.url();
    let headers = json!({ "X-Key": "k" });
    for (n, (document, transport, has_headers)) in [
        (json!({ "mcpServers": { "a0": { "type": "http", "url": url, "headers": headers } } }), "streamable_http", true),
        (json!({ "servers": { "a1": { "type": "http", "url": url } }, "inputs": [] }), "streamable_http", false),
        (json!({ "mcp": { "servers": { "a2": { "type": "sse", "url": url } } } }), "sse", false),
        (json!({ "mcpServers": { "a3": { "serverUrl": url } } }), "streamable_http", false),
        (json!({ "mcpServers": { "a4": { "httpUrl": url, "headers": headers } } }), "streamable_http", true),
        (json!({ "context_servers": { "a5": { "url": url, "headers": headers } } }), "streamable_http", true),
        (json!({ "mcpServers": { "a6": { "type": "streamableHttp", "url": url } } }), "streamable_http", false),
        (
            json!({ "mcpServers": { "a7": { "command": "npx", "args": ["-y", "mcp-remote@latest", url, "--header", "X-Key: k"] } } }),
            "streamable_http",
            true,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let made = node.post(PATH, document.clone()).await.expect(201);
        let server = &made.body["servers"][0];
        assert_eq!((&server["name"], &server["transport_type"]), (&json!(format!("a{n}")), &json!(transport)), "{}", made.text);
        assert_eq!(server["has_credential"], has_headers, "{}", made.text);
        let again = node.post(PATH, document).await.expect(201);
        assert!(reason(&again).contains("already"), "{}", again.text);
    }
}

#[tokio::test]
async fn what_cannot_be_registered_says_why() {
    let node = TestNode::start().await;
    let url = "https://mcp.example.com/mcp";
    for (entry, words) in [
        (json!({ "command": "npx", "args": ["-y", "some-server"] }), "[stdio.NAME]"),
        (json!({ "type": "stdio", "command": "sh" }), "process"),
        (
            json!({ "url": url, "headers": { "Authorization": "Bearer ${input:token}" } }),
            "header `Authorization` refers to `${input:token}`",
        ),
        (json!({ "url": "https://${HOST}/mcp" }), "`url` refers to `${HOST}`"),
        (json!({ "url": url, "headers": { "X": 1 } }), "`X` is not a string"),
        (json!({ "url": url, "type": "websocket" }), "websocket"),
        (json!({ "url": url, "disabled": true }), "switched off"),
        (json!({ "type": "http" }), "no `url`"),
        (json!({ "url": "ftp://x" }), "`url` must begin"),
        (json!({ "url": url, "headers": { "Host": "x" } }), "host"),
        (json!(7), "no `url`"),
    ] {
        let answer = node.post(PATH, json!({ "mcpServers": { "x": entry } })).await.expect(201);
        assert!(reason(&answer).contains(words), "{words:?} is not in {}", answer.text);
        assert_eq!(answer.body["servers"], json!([]));
    }
    node.post(PATH, json!({ "other": {} })).await.refuses(400, "mcpServers");
    assert_eq!(node.get("/api/v1/user-mcp-servers").await.expect(200).body["total"], 0);
}

#[tokio::test]
async fn documents_of_the_registry() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    let url = upstream.url();
    let (base, port) = url.trim_end_matches("/mcp").rsplit_once(':').unwrap();
    let document = |remotes: Value| json!({ "name": "io.example/thing", "title": "Thing", "version": "1.0.0", "description": "A thing", "remotes": remotes });
    let filled = document(json!([
        { "type": "sse", "url": "https://{region}.example.com/sse", "variables": { "region": { "isRequired": true } } },
        { "type": "streamable-http", "url": format!("{base}:{{port}}/mcp"), "variables": { "port": { "default": port } },
          "headers": [{ "name": "X-Key", "value": "k-{who}", "variables": { "who": { "value": "me" } } }, { "name": "X-Other" }] }
    ]));
    // As the registry itself answers.
    let made = node.post(PATH, json!({ "server": filled, "_meta": {} })).await.expect(201);
    let server = &made.body["servers"][0];
    assert_eq!(
        (&server["name"], &server["url"], &server["description"]),
        (&json!("Thing"), &json!(url), &json!("A thing")),
        "{}",
        made.text
    );
    assert_eq!(upstream.got().last().unwrap().header("x-key"), "k-me");
    for (remotes, words) in [
        (json!([{ "type": "streamable-http", "url": "https://{region}.example.com/mcp" }]), "`{region}` in its `url`"),
        (
            json!([{ "type": "streamable-http", "url": url, "headers": [{ "name": "Authorization", "isRequired": true, "isSecret": true }] }]),
            "header `Authorization`",
        ),
        (json!([{ "type": "websocket", "url": url }]), "websocket"),
        (json!([]), "[stdio.NAME]"),
    ] {
        let answer = node.post(PATH, document(remotes)).await.expect(201);
        assert!(reason(&answer).contains(words), "{words:?} is not in {}", answer.text);
    }
    let packages = json!({ "name": "io.example/thing", "packages": [{ "registryType": "npm", "identifier": "thing", "transport": { "type": "stdio" } }] });
    assert!(reason(&node.post(PATH, packages).await.expect(201)).contains("process"));
}
