//! The audit trail: every call with its decision, filters, pages, and no arguments.

use serde_json::{Value, json};

use crate::support::{TestNode, mcp::call, mcp::tool, shop};

#[tokio::test]
async fn calls_leave_entries_with_their_decision() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let restrictions = json!({ "actions": { "mode": "blocklist", "blockedActions": ["deleteItem"] } });
    let server = node.server(json!({ "name": "S", "restrictions": restrictions })).await;
    let secret = "an-argument-that-stays-private";
    let execute = async |user: &str, action: &str, parameters: Value| {
        tool(server.ask().user(user), "execute_action_alloy", call("open", action, parameters)).await
    };
    execute("ann", "getItem", json!({ "id": secret })).await.ok();
    execute("ann", "deleteItem", json!({ "id": secret })).await.refuses("restrictions.actions");
    execute("bob", "misbehave", json!({ "id": "503" })).await.refuses("503");
    execute("bob", "createItem", json!({ "nothing": secret })).await.refuses("name");
    node.post("/connectors/open/actions/listItems/execute", json!({ "parameters": { "filter": secret } })).await.expect(200);
    shop::credential(&node, "ann", "apiKey", json!({ "apiKey": "12345678" })).await;
    let all = node.get("/api/audit").await.expect(200);
    assert_eq!(all.body["total"], 9, "{}", all.text);
    assert!(!all.text.contains(secret) && !all.text.contains(&server.token), "{}", all.text);
    let entries = all.body["entries"].as_array().unwrap();
    let times: Vec<&str> = entries.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
    let one = |member: &str, value: &str| entries.iter().find(|entry| entry[member] == value).unwrap();
    let allowed = one("actionId", "getItem");
    let expected = json!({ "caller": format!("token:{}", server.id), "userId": "ann", "door": "mcp", "serverId": server.id, "connectorId": "open",
        "operation": "execute", "decision": "allowed", "status": 200 });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(allowed[member], *value, "{member}");
    }
    assert_eq!(allowed["argumentsDigest"].as_str().unwrap().len(), 32);
    let denied = one("actionId", "deleteItem");
    assert_eq!((&denied["decision"], &denied["status"]), (&json!("denied"), &json!(403)));
    assert_eq!(one("actionId", "misbehave")["status"], 503, "the platform's own status");
    assert_eq!(one("actionId", "createItem")["status"], 400);
    let rest = one("actionId", "listItems");
    assert_eq!((&rest["door"], &rest["serverId"]), (&json!("rest"), &Value::Null));
    assert!(rest["caller"].as_str().unwrap().starts_with("key:"));
    assert_eq!(one("operation", "credential.create")["userId"], "ann");
    for (filter, total) in [
        ("userId=ann", 3),
        ("userId=bob", 2),
        ("decision=denied", 1),
        ("decision=allowed", 8),
        ("operation=execute", 5),
        ("connectorId=shop", 2),
        ("actionId=getItem", 1),
        ("userId=ann&decision=denied", 1),
        ("userId=nobody", 0),
        ("since=2100-01-01T00:00:00Z", 0),
        ("until=2100-01-01T00:00:00Z", 9),
        ("until=2001-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(node.get(&format!("/api/audit?{filter}")).await.expect(200).body["total"], total, "{filter}");
    }
    let by_server = node.get(&format!("/api/audit?serverId={}", server.id)).await;
    assert_eq!(by_server.body["total"], 5);
    let by_request = node.get(&format!("/api/audit?requestId={}", allowed["requestId"].as_str().unwrap())).await;
    assert_eq!(by_request.body["total"], 1, "the request id leads from an answer to its entry");
    for wrong in ["since=yesterday", "until=x", "limit=0"] {
        assert_eq!(node.get(&format!("/api/audit?{wrong}")).await.status, 400, "{wrong}");
    }
    let mut seen = Vec::new();
    for offset in [0, 3, 6] {
        let page = node.get(&format!("/api/audit?limit=3&offset={offset}")).await.expect(200);
        assert_eq!(page.body["hasMore"], offset != 6);
        seen.extend(page.body["entries"].as_array().unwrap().iter().map(|entry| entry["id"].to_string()));
    }
    seen.dedup();
    assert_eq!(seen.len(), 9);
}

/// Arguments by their places are put together only after the call was judged, so that what is refused before leaves its entry too.
#[tokio::test]
async fn executions_by_place_leave_entries_whatever_comes_of_them() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let restrictions = json!({ "actions": { "mode": "blocklist", "blockedActions": ["deleteItem"] } });
    let server = node.server(json!({ "name": "S", "restrictions": restrictions })).await;
    let execute = async |action: &str, body: Value| {
        let ask = node.ask("POST", &format!("/connectors/open/actions/{action}/execute"));
        ask.header("x-mcp-server-id", &server.id).json(&body).send().await.status
    };
    let by_place = json!({ "pathParams": { "id": "1" } });
    assert_eq!(execute("getItem", by_place.clone()).await, 200);
    assert_eq!(execute("deleteItem", by_place.clone()).await, 403);
    assert_eq!(execute("noSuchAction", by_place).await, 404);
    assert_eq!(execute("getItem", json!({ "pathParams": { "id": "1" }, "parameters": { "id": "2" } })).await, 400);
    assert_eq!(execute("createItem", json!({ "requestBody": 7 })).await, 400);
    let all = node.get("/api/audit?operation=execute").await.expect(200);
    let mut seen: Vec<_> = all.body["entries"].as_array().unwrap().iter().map(|entry| entry["status"].as_i64().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, [200, 400, 400, 403, 404], "{}", all.text);
}

/// Who is shut out of a server leaves a trace at each door.
#[tokio::test]
async fn refused_users_leave_entries() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S", "restrictions": { "users": { "mode": "blocklist", "blockedIds": ["eve"] } } })).await;
    let refused = server.ask().user("eve").json(&crate::support::mcp::request("tools/list", json!({}))).send().await.expect(403);
    let twin = node.ask("GET", "/connectors").user("eve").header("x-mcp-server-id", &server.id).send().await.expect(403);
    for (answer, door) in [(refused, "mcp"), (twin, "rest")] {
        let id = answer.header("x-request-id");
        let seen = node.get(&format!("/api/audit?userId=eve&decision=denied&requestId={id}")).await.expect(200);
        let entry = &seen.body["entries"][0];
        assert_eq!(
            (&seen.body["total"], &entry["door"], &entry["serverId"]),
            (&json!(1), &json!(door), &json!(server.id)),
            "{}",
            seen.text
        );
    }
}

#[tokio::test]
async fn members_see_their_own_entries() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let mia = node.key("mia", "member").await;
    node.ask("POST", "/connectors/open/actions/listItems/execute").key(&mia).json(&json!({})).send().await.expect(200);
    node.ask("POST", "/connectors/open/actions/listItems/execute").user("ann").json(&json!({})).send().await.expect(200);
    let own = |query: &str| node.ask("GET", &format!("/api/audit{query}")).key(&mia);
    let seen = own("").send().await.expect(200);
    assert_eq!((&seen.body["total"], &seen.body["entries"][0]["userId"]), (&json!(1), &json!("mia")));
    assert_eq!(own("?userId=ann").send().await.expect(200).body["total"], 0);
    assert_eq!(node.get("/api/audit?operation=execute").await.body["total"], 2);
}

/// Who, for whom, what, and what came of it: for every write, made or refused.
#[tokio::test]
async fn writes_leave_entries_with_their_target() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let mia = node.key("mia", "member").await;
    let made = node.ask("POST", "/api/servers").user("ann").json(&json!({ "name": "S" })).send().await.expect(201);
    let (server, token) = (made.body["serverId"].as_str().unwrap(), made.body["accessToken"].as_str().unwrap());
    let path = format!("/api/servers/{server}");
    let anns = |method: &str, path: &str| node.ask(method, path).user("ann");
    anns("PUT", &path).json(&json!({ "description": "d" })).send().await.expect(200);
    anns("PUT", &path).json(&json!({ "name": "" })).send().await.expect(400);
    anns("PUT", &path).body("application/json", "{").send().await.expect(400);
    node.ask("DELETE", &path).key(&mia).send().await.expect(404);
    let steps = json!({ "steps": [{ "connectorId": "open", "actionId": "listItems" }] });
    anns("PUT", &format!("{path}/workflows/look")).json(&steps).send().await.expect(201);
    anns("DELETE", &format!("{path}/workflows/look")).send().await.expect(200);
    anns("POST", &format!("{path}/token")).send().await.expect(200);
    anns("DELETE", &format!("{path}/token")).send().await.expect(200);
    anns("DELETE", &path).send().await.expect(200);
    node.ask("POST", "/api/jwt-issuers").key(&mia).json(&json!({})).send().await.expect(403);
    let secret = "0123456789-0123456789-0123456789-ok";
    let issuer = node.post("/api/jwt-issuers", json!({ "secret": secret })).await.expect(201).body["id"].clone();
    node.account("acme").await;
    node.delete("/api/accounts/acme").await.expect(200);
    node.ask("POST", "/api/servers").anonymous().json(&json!({ "name": "S" })).send().await.expect(401);

    let all = node.get("/api/audit?limit=1000").await.expect(200);
    for secret in [token, secret, &mia] {
        assert!(!all.text.contains(secret), "{}", all.text);
    }
    let entries = all.body["entries"].as_array().unwrap();
    let admin = entries.iter().find(|entry| entry["operation"] == "account.create").unwrap()["caller"].clone();
    let mia = entries.iter().find(|entry| entry["userId"] == "mia").unwrap()["caller"].clone();
    assert!(mia != admin && mia.as_str().unwrap().starts_with("key:key_"), "{mia}");
    let seen: Vec<Value> = entries
        .iter()
        .rev()
        .map(|entry| {
            json!([
                entry["operation"],
                entry["caller"],
                entry["userId"],
                entry["decision"],
                entry["status"],
                entry["targetId"],
                entry["serverId"]
            ])
        })
        .collect();
    let key = seen[2][5].clone();
    assert!(key.as_str().unwrap().starts_with("key_"), "{key}");
    let none = Value::Null;
    let expected = json!([
        ["connector.create", admin, "admin", "allowed", 201, "shop", none],
        ["connector.create", admin, "admin", "allowed", 201, "open", none],
        ["key.create", admin, "admin", "allowed", 201, key, none],
        ["server.create", admin, "ann", "allowed", 201, server, server],
        ["server.update", admin, "ann", "allowed", 200, server, server],
        ["server.update", admin, "ann", "allowed", 400, server, server],
        ["server.update", admin, "ann", "allowed", 400, server, server],
        ["server.delete", mia, "mia", "allowed", 404, server, server],
        ["workflow.put", admin, "ann", "allowed", 201, "look", server],
        ["workflow.delete", admin, "ann", "allowed", 200, "look", server],
        ["token.rotate", admin, "ann", "allowed", 200, server, server],
        ["token.revoke", admin, "ann", "allowed", 200, server, server],
        ["server.delete", admin, "ann", "allowed", 200, server, server],
        ["issuer.create", mia, "mia", "denied", 403, none, none],
        ["issuer.create", admin, "admin", "allowed", 201, issuer, none],
        ["account.create", admin, "admin", "allowed", 201, "acme", none],
        ["account.delete", admin, "admin", "allowed", 200, "acme", none],
    ]);
    assert_eq!(Value::from(seen), expected);
    assert_eq!(node.get(&format!("/api/audit?targetId={server}")).await.body["total"], 8);
    assert_eq!(node.get("/api/audit?operation=server.update").await.body["total"], 3);
    assert!(entries.iter().all(|entry| entry["door"] == "rest" && entry["durationMs"].as_f64().unwrap() > 0.0), "{}", all.text);
}

/// A credential that was refused says as much as one that was made, at both doors; its secret stays out.
#[tokio::test]
async fn refused_credentials_leave_entries() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let lists = json!({ "connectors": { "mode": "allowlist", "allowedIds": ["shop", "nowhere"] }, "users": { "mode": "blocklist", "blockedIds": ["eve"] } });
    let server = node.server(json!({ "name": "S", "restrictions": lists })).await;
    let secret = json!({ "apiKey": "hush-hush-12345678" });
    for (connector, kind, fields, status) in [
        ("open", "apiKey", &secret, 403),
        ("nowhere", "apiKey", &secret, 404),
        ("shop", "oauth1", &secret, 400),
        ("shop", "apiKey", &json!({ "token": "hush-hush-12345678" }), 400),
        ("shop", "apiKey", &secret, 200),
    ] {
        let arguments = json!({ "connectorId": connector, "authenticationType": kind, "fields": fields });
        let made = tool(server.ask().user("ann").header("x-request-id", "by-mcp"), "create_credential_alloy", arguments).await;
        let body = json!({ "authenticationType": kind, "data": fields, "userId": "ann" });
        let twin = node.ask("POST", &format!("/connectors/{connector}/credentials")).header("x-mcp-server-id", &server.id);
        let twin = twin.header("x-request-id", "by-rest").json(&body).send().await.expect(status);
        for (door, id) in [("mcp", &made.json["credentialId"]), ("rest", &twin.body["credentialId"])] {
            let seen = node.get(&format!("/api/audit?requestId=by-{door}&limit=1")).await.expect(200);
            let expected = json!({ "operation": "credential.create", "door": door, "userId": "ann", "serverId": server.id, "connectorId": connector,
                "decision": if status == 403 { "denied" } else { "allowed" }, "status": status, "targetId": id });
            for (member, value) in expected.as_object().unwrap() {
                assert_eq!(seen.body["entries"][0][member], *value, "{connector} {member} by {door}: {}", seen.text);
            }
            assert!(!seen.text.contains("hush"), "{}", seen.text);
        }
    }
    let eves = json!({ "authenticationType": "apiKey", "data": secret, "userId": "eve" });
    node.ask("POST", "/connectors/shop/credentials").header("x-mcp-server-id", &server.id).json(&eves).send().await.expect(403);
    assert_eq!(node.get("/api/audit?operation=credential.create&decision=denied").await.body["total"], 3);
    node.delete("/connectors/shop/credentials/0123456789abcdef01234567").await.expect(404);
    let seen = node.get("/api/audit?operation=credential.delete").await.expect(200);
    assert_eq!(
        (&seen.body["entries"][0]["status"], &seen.body["entries"][0]["targetId"]),
        (&json!(404), &json!("0123456789abcdef01234567"))
    );
}

/// What a caller names goes into the trail, so no name may break it: one entry that a database refuses would hold up all others.
#[tokio::test]
async fn no_name_breaks_the_trail() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let long = "x".repeat(100_000);
    let names = ["a\u{0}b", "\u{0}", "💥", "' or 1=1 --", "\u{7f}\n", long.as_str()];
    for name in names {
        assert!(server.execute(name, name, json!({})).await.is_error);
    }
    let seen = node.get("/api/audit?operation=execute").await.expect(200);
    assert_eq!(seen.body["total"], names.len(), "{}", seen.text);
    // Of what is long, entries hold the beginning; it is found by the whole.
    let long = "y".repeat(1_000);
    assert!(server.execute(&long, &long, json!({})).await.is_error);
    for name in ["connectorId", "actionId"] {
        let found = node.get(&format!("/api/audit?{name}={long}")).await.expect(200);
        assert_eq!(found.body["total"], 1, "{}", found.text);
    }
}

/// One entry that the database refuses costs itself alone, and holds nobody up.
#[tokio::test]
async fn a_bad_entry_costs_only_itself() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    node.sql(if node.is_sqlite() {
        r#"create trigger bad before insert on audit when new.entries like '%"bad"%' begin select raise(abort, 'no'); end"#
    } else {
        r#"alter table audit add constraint bad check (entries not like '%"bad"%')"#
    })
    .await;
    let calls = ["ann", "bad", "bob"]
        .into_iter()
        .cycle()
        .take(30)
        .map(|user| node.ask("POST", "/connectors/open/actions/listItems/execute").user(user).json(&json!({})).send());
    for answer in futures_util::future::join_all(calls).await {
        answer.expect(200);
    }
    let started = std::time::Instant::now();
    assert_eq!(node.get("/api/audit?operation=execute").await.expect(200).body["total"], 20);
    assert!(started.elapsed().as_secs() < 5, "the trail goes on at once");
}

/// The request id of an answer is the one of its entry, and a client may choose it.
#[tokio::test]
async fn request_ids_are_passed_on() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let ask = || node.ask("POST", "/connectors/open/actions/listItems/execute").json(&json!({}));
    let answer = ask().header("x-request-id", "my-own-id-1").send().await.expect(200);
    let id = answer.header("x-request-id");
    assert!(!id.is_empty());
    assert_eq!(node.get(&format!("/api/audit?requestId={id}")).await.body["total"], 1);
    for absurd in ["x".repeat(10_000), "a b<script>".to_owned()] {
        let answer = ask().header("x-request-id", &absurd).send().await.expect(200);
        assert_ne!(answer.header("x-request-id"), absurd);
    }
}

/// Entries written at once share rows only up to a size, and all of them are found again, each once.
#[tokio::test]
async fn rows_of_the_trail_stay_small() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let users: Vec<String> = (10..70).map(|number| format!("{number}{}", "x".repeat(8_000))).collect();
    let calls = users.iter().map(|user| node.ask("POST", "/connectors/open/actions/listItems/execute").user(user).json(&json!({})).send());
    for answer in futures_util::future::join_all(calls).await {
        answer.expect(200);
    }
    let mut seen = Vec::new();
    for offset in [0, 25, 50] {
        let page = node.get(&format!("/api/audit?operation=execute&limit=25&offset={offset}")).await.expect(200);
        assert_eq!(page.body["total"], users.len());
        seen.extend(page.body["entries"].as_array().unwrap().iter().map(|entry| entry["userId"].as_str().unwrap().to_owned()));
    }
    seen.sort_unstable();
    assert_eq!(seen, users);
    assert!(node.number("select cast(max(length(entries)) as bigint) from audit").await < 100_000);
}

/// Whoever reads the trail finds its ids in order, however many calls ended at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_trail_is_in_one_order() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let calls = (0..400).map(|_| {
        let ask = node.ask("POST", "/connectors/open/actions/listItems/execute").json(&json!({}));
        tokio::spawn(async move { ask.send().await.expect(200) })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        call.await.unwrap();
    }
    let page = node.get("/api/audit?operation=execute&limit=1000").await.expect(200);
    let ids: Vec<&str> = page.body["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 400);
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
}
