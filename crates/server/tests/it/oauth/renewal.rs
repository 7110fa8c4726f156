//! Tokens stay good: renewed ahead of their end and after a refusal, once however many ask, and never lost.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    Browser, Mood, Provider, TestNode, does_not_apply,
    mcp::{call as action, tool},
    provider::{call, connected},
    until,
};

/// Brings the moment of renewal about. A new start, because a node keeps for a while what it has read.
async fn make_due(node: &mut TestNode) {
    node.sql("update credentials set refresh_at = 1, updated_at = 1").await;
    node.restart().await;
}

/// Its token is over.
async fn expire(node: &mut TestNode) {
    node.sql("update credentials set refresh_at = 1, expires_at = 1, updated_at = 1").await;
    node.restart().await;
}

async fn board() -> (TestNode, Provider) {
    // Each call shall reach the platform.
    let node = TestNode::with(|config| config.read_cache = Duration::ZERO).await;
    let provider = Provider::start().await;
    let revoke = json!({ "revoke_url": format!("{}/revoke", provider.url()), "refresh": "rotated" });
    provider.import_with(&node, "board", revoke).await;
    (node, provider)
}

/// A caller that goes away as soon as the platform is asked for new tokens.
async fn call_and_leave(node: &TestNode, provider: &Provider) {
    let asked = until("the refresh", async || (provider.held() == 1).then_some(()));
    tokio::select! {
        answer = call(node, "board", "ann") => panic!("nothing was granted yet: {}", answer.text),
        () = asked => {}
    }
}

async fn state(node: &TestNode, user: &str) -> Value {
    let listed = node.ask("GET", "/connectors/board/credentials").user(user).send().await.expect(200);
    listed.body["credentials"][0]["state"].clone()
}

#[tokio::test]
async fn a_thousand_calls_at_the_moment_of_expiry_renew_once() {
    let (mut node, provider) = board().await;
    connected(&node, "board", "ann").await;
    node.sql("update credentials set refresh_at = 1, expires_at = 1, updated_at = 1").await;
    provider.end_access();
    connected(&node, "board", "bob").await;
    node.restart().await;
    let gate = provider.hold();
    let calls = (0..1_000).map(|_| call(&node, "board", "ann"));
    let opened = async {
        until("the first refresh", async || (provider.held() > 0).then_some(())).await;
        // All others find it under way: what comes after them, for another user, is answered.
        for _ in 0..20 {
            call(&node, "board", "bob").await.expect(200);
        }
        gate.notify_waiters();
        gate.notify_one();
    };
    let (answers, ()) = tokio::join!(join_all(calls), opened);
    for answer in answers {
        assert_eq!(answer.expect(200).body["responseData"]["who"], "ann");
    }
    assert_eq!(provider.granted("refresh_token"), 1);
    assert_eq!(state(&node, "ann").await, "active");
}

/// Ahead of the end a failure is not noticed; after it, the call says so and the credential stays.
#[tokio::test]
async fn a_failure_that_passes_loses_nothing() {
    let (mut node, provider) = board().await;
    connected(&node, "board", "ann").await;
    for mood in [Mood::Down, Mood::Html, Mood::Refuses("temporarily_unavailable"), Mood::Refuses("invalid_client")] {
        provider.be(mood);
        make_due(&mut node).await;
        call(&node, "board", "ann").await.expect(200);
        assert_eq!(state(&node, "ann").await, "active", "{mood:?}");
        expire(&mut node).await;
        let refused = call(&node, "board", "ann").await;
        refused.refuses(502, "could not be renewed, and is kept");
        assert!(!refused.header("retry-after").is_empty());
        assert!(!refused.text.contains("of-the-board") && !refused.text.contains("client-secret"), "{}", refused.text);
        assert_eq!(state(&node, "ann").await, "active", "{mood:?}");
        provider.be(Mood::Well);
        until("the call works again", async || (call(&node, "board", "ann").await.status == 200).then_some(())).await;
    }
}

/// Every "no" of the platform leads back to a working connection, whatever it calls it; the credential keeps its id.
#[tokio::test]
async fn a_refused_renewal_leads_to_a_new_consent() {
    let (mut node, provider) = board().await;
    let server = node.server(json!({ "name": "S" })).await;
    let id = connected(&node, "board", "ann").await;
    for mood in [Mood::Refuses("invalid_grant"), Mood::Refuses("invalid_request"), Mood::Refuses("bad_refresh_token"), Mood::Echoes] {
        provider.be(mood);
        expire(&mut node).await;
        let refused = tool(server.ask().user("ann"), "execute_action_alloy", action("board", "whoAmI", json!({}))).await;
        refused.refuses("must connect again");
        assert_eq!(state(&node, "ann").await, "reconnect_required");
        let asked = provider.granted("refresh_token");
        let twin = call(&node, "board", "ann").await;
        twin.refuses(400, "must connect again");
        assert_eq!(provider.granted("refresh_token"), asked, "it is not asked again and again");
        provider.be(Mood::Well);
        let link = twin.body["error"]["details"]["connectUrl"].as_str().unwrap();
        assert!(refused.text.contains("/connect/"));
        Browser::default().connect(link, "ann").await.expect(200);
        assert_eq!(call(&node, "board", "ann").await.expect(200).body["responseData"]["who"], "ann");
        let listed = node.ask("GET", "/connectors/board/credentials").user("ann").send().await.expect(200);
        let all = listed.body["credentials"].as_array().unwrap();
        assert!(all.len() == 1 && all[0]["credentialId"] == json!(id) && all[0]["state"] == "active", "{}", listed.text);
    }
}

/// The platform may end a token before its time.
#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_call_repeated() {
    let (mut node, provider) = board().await;
    connected(&node, "board", "ann").await;
    node.sql("update credentials set updated_at = 1").await;
    node.restart().await;
    provider.end_access();
    assert_eq!(call(&node, "board", "ann").await.expect(200).body["responseData"]["who"], "ann");
    assert_eq!(provider.granted("refresh_token"), 1);
    // A platform that refuses every token is not asked for a new one each time.
    provider.end_access();
    for _ in 0..3 {
        call(&node, "board", "ann").await.refuses(400, "401");
    }
    assert_eq!(provider.granted("refresh_token"), 1);
}

#[tokio::test]
async fn a_token_without_renewal_ends_with_a_link() {
    let (mut node, provider) = board().await;
    provider.manner(|manner| manner.refreshes = false);
    connected(&node, "board", "ann").await;
    call(&node, "board", "ann").await.expect(200);
    expire(&mut node).await;
    call(&node, "board", "ann").await.refuses(400, "must connect again");
    assert_eq!((state(&node, "ann").await, provider.granted("refresh_token")), (json!("reconnect_required"), 0));
}

/// Whoever asked may go away: what was granted is written down all the same, because a rotated token exists once.
#[tokio::test]
async fn a_caller_who_goes_away_loses_no_token() {
    let (mut node, provider) = board().await;
    connected(&node, "board", "ann").await;
    expire(&mut node).await;
    let gate = provider.hold();
    call_and_leave(&node, &provider).await;
    gate.notify_one();
    call(&node, "board", "ann").await.expect(200);
    assert_eq!(provider.granted("refresh_token"), 1);
}

/// The database does not answer between the refresh and the write: the new tokens wait for it.
#[tokio::test]
async fn tokens_wait_for_a_database_that_does_not_answer() {
    let (mut node, provider) = board().await;
    connected(&node, "board", "ann").await;
    expire(&mut node).await;
    let gate = provider.hold();
    let calling = call(&node, "board", "ann");
    let trouble = async {
        until("the refresh", async || (provider.granted("refresh_token") > 0).then_some(())).await;
        node.sql("alter table credentials rename to credentials_away").await;
        gate.notify_one();
        until("tokens were granted", async || (provider.held() == 0).then_some(())).await;
        // Somebody else's call finds that the database does not answer, after those tokens came.
        call(&node, "board", "bob").await.expect(500);
        node.sql("alter table credentials_away rename to credentials").await;
    };
    let (answer, ()) = tokio::join!(calling, trouble);
    assert_eq!(answer.expect(200).body["responseData"]["who"], "ann");
    assert_eq!((provider.granted("refresh_token"), state(&node, "ann").await), (1, json!("active")));
}

/// The lease runs out while the database does not answer, and somebody else takes it: the new tokens are written all the same, because
/// nobody can have newer ones.
#[tokio::test]
async fn a_lease_that_ran_out_loses_no_token() {
    let (mut node, provider) = board().await;
    connected(&node, "board", "ann").await;
    expire(&mut node).await;
    let gate = provider.hold();
    let calling = call(&node, "board", "ann");
    let trouble = async {
        until("the refresh", async || (provider.held() == 1).then_some(())).await;
        node.sql("update credentials set lease = 'another', lease_until = 1, state = 'reconnect_required'").await;
        gate.notify_one();
    };
    let (answer, ()) = tokio::join!(calling, trouble);
    assert_eq!(answer.expect(200).body["responseData"]["who"], "ann");
    assert_eq!((provider.granted("refresh_token"), state(&node, "ann").await), (1, json!("active")));
    // Whoever finds a lease that nobody has ended gives its holder a moment, and then renews.
    node.sql("update credentials set lease = 'another', lease_until = 1").await;
    expire(&mut node).await;
    let asked = async {
        until("the refresh", async || (provider.held() == 1).then_some(())).await;
        gate.notify_one();
    };
    let started = std::time::Instant::now();
    let (answer, ()) = tokio::join!(call(&node, "board", "ann"), asked);
    answer.expect(200);
    assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
}

/// Stopping waits for what is being renewed.
#[tokio::test]
async fn a_stop_loses_no_token() {
    let (mut node, provider) = board().await;
    connected(&node, "board", "ann").await;
    expire(&mut node).await;
    let gate = provider.hold();
    call_and_leave(&node, &provider).await;
    let address = node.url.trim_start_matches("http://").to_owned();
    let opened = async {
        until("nobody is let in", async || tokio::net::TcpStream::connect(&address).await.err()).await;
        gate.notify_one();
    };
    tokio::join!(node.restart(), opened);
    call(&node, "board", "ann").await.expect(200);
    assert_eq!(provider.granted("refresh_token"), 1);
}

/// A platform that is down is left alone, and says so at once, however many users it has.
#[tokio::test]
async fn a_failing_token_endpoint_is_left_alone() {
    let (mut node, provider) = board().await;
    let users: Vec<String> = (0..30).map(|n| format!("user-{n}")).collect();
    for user in &users {
        connected(&node, "board", user).await;
    }
    provider.be(Mood::Down);
    expire(&mut node).await;
    let answers = join_all(users.iter().map(|user| call(&node, "board", user))).await;
    for answer in answers {
        answer.refuses(502, "could not be renewed, and is kept");
    }
    let asked = provider.granted("refresh_token");
    assert!((5..=20).contains(&asked), "{asked}");
    // A token that still works is used meanwhile.
    node.sql("update credentials set expires_at = 4000000000000 where user_id = 'user-0'").await;
    node.restart().await;
    provider.be(Mood::Hangs);
    let started = std::time::Instant::now();
    call(&node, "board", "user-0").await.expect(200);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// Two nodes, one credential: one of them renews it, the other takes what came of it.
#[tokio::test]
async fn two_nodes_renew_once() {
    let (mut node, provider) = board().await;
    let Some(mut second) = node.second().await else {
        return does_not_apply("two_nodes_renew_once", "only PostgreSQL is shared by nodes");
    };
    connected(&node, "board", "ann").await;
    for round in 1..=5 {
        expire(&mut node).await;
        second.restart().await;
        provider.end_access();
        let calls = (0..100).map(|n| call(if n % 2 == 0 { &node } else { &second }, "board", "ann"));
        for answer in join_all(calls).await {
            answer.expect(200);
        }
        assert_eq!(provider.granted("refresh_token"), round);
    }
}

/// A definition that is changed to another token endpoint does not get the refresh token.
#[tokio::test]
async fn a_refresh_token_goes_only_where_it_was_granted() {
    let (mut node, provider) = board().await;
    let thief = Provider::start().await;
    connected(&node, "board", "ann").await;
    let changed = provider.document(json!({ "token_url": format!("{}/token", thief.url()) }));
    node.put("/api/connectors/board", json!({ "baseUrl": format!("{}/api", provider.url()), "spec": changed })).await.expect(200);
    expire(&mut node).await;
    call(&node, "board", "ann").await.refuses(400, "must connect again");
    assert_eq!((thief.granted("refresh_token"), provider.granted("refresh_token")), (0, 0));
}
