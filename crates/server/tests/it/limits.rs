//! Limits: a hundred calls a minute for each token or key and effective user, and how many of everything there may be.

use serde_json::json;

use crate::support::{Answer, Ask, TestNode, mcp::request, shop};

async fn ping(ask: Ask) -> Answer {
    ask.json(&request("ping", json!({}))).send().await
}

#[tokio::test]
async fn the_hundred_and_first_request_is_one_too_many() {
    let node = TestNode::with(|config| config.rate_limit_per_minute = 100).await;
    let server = node.server(json!({ "name": "S" })).await;
    for n in 1..=100 {
        let answer = ping(server.ask()).await.expect(200);
        assert_eq!(answer.header("ratelimit-limit"), "100");
        assert_eq!(answer.header("ratelimit-remaining"), (100 - n).to_string());
    }
    let refused = ping(server.ask()).await.expect(429);
    assert_eq!((&refused.body["id"], &refused.body["error"]["code"]), (&json!(null), &json!(-32000)));
    let seconds: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), ("100", "0"));
    assert!(refused.header("ratelimit-reset").parse::<u32>().is_ok());
    assert!(refused.sentence().contains(&format!("{seconds} seconds")), "{}", refused.text);
    // Others are not held up: another user, another server, a key.
    ping(server.ask().user("ann")).await.expect(200);
    ping(server.ask_as(crate::support::node::ADMIN_KEY)).await.expect(200);
    ping(node.server(json!({ "name": "Other" })).await.ask()).await.expect(200);
    // A wrong token is 401, not 429: nobody can use up another's requests.
    Ask::new("POST", format!("{}/mcp_token_x", server.url))
        .header("accept", "*/*")
        .json(&request("ping", json!({})))
        .send()
        .await
        .expect(401);
}

#[tokio::test]
async fn a_server_may_have_its_own_limit() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S", "rateLimitPerMinute": 2 })).await;
    ping(server.ask()).await.expect(200);
    // Malformed requests count as well.
    server.ask().body("application/json", "{").send().await.expect(400);
    ping(server.ask()).await.expect(429);
    ping(server.ask().user("ann")).await.expect(200);
    let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }, { "jsonrpc": "2.0", "id": 2, "method": "ping" }]);
    let batched = server.ask().user("ann").json(&batch).send().await.expect(200);
    assert_eq!(batched.body[0]["result"], json!({}));
    assert_eq!(batched.body[1]["error"]["code"], -32000, "each message of a batch counts: {}", batched.text);
    for wrong in [json!(0), json!(-1), json!("x"), json!(1.5)] {
        node.put(&format!("/api/servers/{}", server.id), json!({ "rateLimitPerMinute": wrong })).await.refuses(400, "rateLimitPerMinute");
    }
    let default = node.put(&format!("/api/servers/{}", server.id), json!({ "rateLimitPerMinute": null })).await.expect(200);
    assert!(default.body.get("rateLimitPerMinute").is_none());
    ping(server.ask()).await.expect(200);
}

#[tokio::test]
async fn executions_by_rest_are_limited_too() {
    let node = TestNode::with(|config| config.rate_limit_per_minute = 3).await;
    let platform = shop::shop(&node).await;
    let execute = |user: &str| {
        node.ask("POST", "/connectors/open/actions/createItem/execute").user(user).json(&json!({ "parameters": { "name": "x" } }))
    };
    for n in (0..3).rev() {
        assert_eq!(execute("ann").send().await.expect(200).header("ratelimit-remaining"), n.to_string());
    }
    let refused = execute("ann").send().await;
    refused.refuses(429, "Rate limit exceeded");
    assert_eq!(refused.body["error"]["code"], "RATE_LIMITED");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    execute("bob").send().await.expect(200);
    assert_eq!(platform.count(), 4);
    // What cannot be read counts as well: guessing has to cost.
    let broken = || node.ask("POST", "/connectors/open/actions/createItem/execute").user("eve").json(&json!({ "parameters": 7 }));
    for _ in 0..3 {
        broken().send().await.refuses(400, "parameters");
    }
    broken().send().await.refuses(429, "Rate limit exceeded");
}

/// Nothing grows without bound: one more than the setting allows is refused with its name, and a place that was given up is free again.
#[tokio::test]
async fn there_may_be_only_so_many() {
    let node = TestNode::with(|config| {
        let most = &mut config.maximums;
        (most.servers_per_user, most.servers_per_account) = (2, 3);
        (most.keys_per_user, most.keys_per_account) = (2, 4);
        (most.credentials_per_user, most.credentials_per_account) = (2, 3);
        (most.connectors_per_account, most.workflows_per_server, most.users_per_account) = (2, 2, 2);
    })
    .await;
    // The third of a user and the fourth of an account.
    for (path, body, first_key) in [
        ("/api/servers", json!({ "name": "S" }), 0),
        ("/api/keys", json!({ "name": "K" }), 1),
        ("/connectors/slack/credentials", json!({ "authenticationType": "bearer", "data": { "token": "xoxb-12345678" } }), 0),
    ] {
        let what = path.rsplit('/').next().unwrap();
        let make = async |user: &str, n: usize| {
            let mut body = body.clone();
            match what {
                "keys" => body["userId"] = json!(user),
                _ => body["name"] = json!(format!("N{n}")),
            }
            node.ask("POST", path).user(user).json(&body).send().await
        };
        for (n, user) in ["ann", "ann", "bob"].into_iter().enumerate() {
            assert!(make(user, n).await.status < 300, "{path} {n}");
        }
        let refused = make("ann", 3).await;
        refused.refuses(409, &format!("The limit is 2 {what} per user; delete one first"));
        assert!(refused.sentence().contains(&format!("`max-{what}-per-user`")), "{}", refused.text);
        let refused = make("eve", 4).await;
        refused.refuses(409, &format!("The limit is {} {what} per account", 3 + first_key));
    }
    let servers = node.ask("GET", "/api/servers").user("ann").send().await.expect(200);
    let server = format!("/api/servers/{}", servers.body["servers"][0]["serverId"].as_str().unwrap());
    let steps = json!({ "steps": [{ "connectorId": "slack", "actionId": "auth_test" }] });
    let workflow = |method: &str, name: &str| node.ask(method, &format!("{server}/workflows/{name}")).user("ann");
    for (name, status) in [("a", 201), ("b", 201), ("c", 409), ("b", 200)] {
        workflow("PUT", name).json(&steps).send().await.expect(status);
    }
    workflow("DELETE", "a").send().await.expect(200);
    workflow("PUT", "c").json(&steps).send().await.expect(201);
    let _platform = shop::shop(&node).await;
    let third = json!({ "id": "third", "baseUrl": "https://shop.invalid", "spec": shop::open_document() });
    node.post("/api/connectors", third).await.refuses(409, "max-connectors-per-account");
    node.put("/api/connectors/open", json!({ "name": "Renamed" })).await.expect(200);
    for (n, status) in [201, 201, 409].into_iter().enumerate() {
        node.post("/users", json!({ "username": format!("user-{n}") })).await.expect(status);
    }
    node.ask("DELETE", &server).user("ann").send().await.expect(200);
    node.ask("POST", "/api/servers").user("eve").json(&json!({ "name": "S" })).send().await.expect(201);
}

#[tokio::test]
async fn the_shape_of_answers_can_be_set() {
    let node = TestNode::with(|config| {
        let shape = &mut config.shape;
        (shape.items, shape.refine_over, shape.string_bytes, shape.depth) = (3, 100, 20, 2);
    })
    .await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let list = server.execute("open", "misbehave", json!({ "id": "list" })).await.ok();
    assert_eq!((&list["metadata"]["displayedCount"], &list["metadata"]["originalCount"]), (&json!(3), &json!(60)), "{list}");
    let echo = server.execute("open", "misbehave", json!({ "id": "echo", "to": "a-target-that-is-much-longer" })).await.ok();
    assert!(echo["data"]["target"].as_str().unwrap().contains("left out"), "{echo}");
    assert!(echo["data"]["heard"][0].as_str().unwrap().contains("deeper than 2 levels"), "{echo}");
}
