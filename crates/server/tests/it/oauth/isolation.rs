//! Random sequences of connecting, calling, renewing and disconnecting by several users of several accounts, held against a model of whose
//! account at the platform each of them must reach.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};

use crate::support::{Browser, Provider, TestNode, node::ADMIN_KEY};

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[tokio::test]
async fn each_user_reaches_their_own_account_whatever_happens() {
    for seed in [1, 2, 3] {
        let node = TestNode::with(|config| config.read_cache = Duration::ZERO).await;
        let provider = Provider::start().await;
        // So short that tokens end all the time.
        provider.manner(|manner| manner.expires_in = Some(json!(1)));
        let keys = [ADMIN_KEY.to_owned(), node.account("other").await];
        for key in &keys {
            provider
                .import_as(&node, key, "board", json!({ "revoke_url": format!("{}/revoke", provider.url()), "refresh": "rotated" }))
                .await;
        }
        let mut dice = Dice(seed);
        let mut model: HashMap<(usize, &str), Vec<String>> = HashMap::new();
        let (mut calls, mut connects) = (0, 0);
        for step in 0..150 {
            let account = usize::try_from(dice.below(2)).unwrap();
            let user = ["ann", "bob", "eve"][usize::try_from(dice.below(3)).unwrap()];
            let ask = |method: &str, path: &str| node.ask(method, path).key(&keys[account]).user(user);
            let own = model.entry((account, user)).or_default();
            match dice.below(10) {
                0 | 1 => {
                    let who = format!("person-{step}");
                    let wish = json!({ "authenticationType": "oauth2" });
                    let made = ask("POST", "/connectors/board/credentials").json(&wish).send().await.expect(200);
                    Browser::default().connect(made.body["oauthUrl"].as_str().unwrap(), &who).await.expect(200);
                    own.push(who);
                    connects += 1;
                }
                2 => {
                    let listed = ask("GET", "/connectors/board/credentials").send().await.expect(200);
                    let listed = listed.body["credentials"].as_array().unwrap().clone();
                    assert_eq!(listed.len(), own.len(), "seed {seed}, step {step}");
                    if let Some(newest) = listed.first() {
                        let path = format!("/connectors/board/credentials/{}", newest["credentialId"].as_str().unwrap());
                        // Another user, and another account, have no such credential.
                        let other = node.ask("DELETE", &path).key(&keys[1 - account]).user(user).send().await;
                        assert_eq!(other.status, 404);
                        assert_eq!(node.ask("DELETE", &path).key(&keys[account]).user("mallory").send().await.status, 404);
                        assert_eq!(ask("DELETE", &path).send().await.expect(200).body["revoked"], true);
                        own.pop();
                    }
                }
                _ => {
                    let told = ask("POST", "/connectors/board/actions/whoAmI/execute").json(&json!({})).send().await;
                    let who = own.last().map_or(Value::Null, |who| json!(who));
                    assert_eq!(told.body["responseData"]["who"], who, "seed {seed}, step {step}: {}", told.text);
                    assert_eq!(told.status, if who.is_null() { 400 } else { 200 }, "seed {seed}, step {step}: {}", told.text);
                    calls += 1;
                }
            }
        }
        assert!(calls > 50 && connects > 10, "{calls} {connects}");
    }
}
