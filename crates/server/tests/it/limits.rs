//! Rate limits: a hundred a minute for each token or key and effective user.

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
