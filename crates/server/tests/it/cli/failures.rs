//! Exit codes, sentences, help.

use std::net::TcpListener;

use serde_json::Value;

use super::support::{KEY, Node, run};

#[test]
fn no_node_is_3_and_says_how_to_start_one() {
    // A port that was free a moment ago, and that nobody listens on.
    let url = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let failed = run(&[("AMALGAM_URL", &url), ("AMALGAM_KEY", KEY)], &["servers", "list"], "").failed(3);
    assert!(failed.contains("amalgam serve") && failed.contains(&url), "{failed}");
    // Proxies of the environment are not for loopback.
    let node = Node::start();
    run(&[("AMALGAM_URL", &node.url), ("http_proxy", &url), ("HTTP_PROXY", &url)], &["health"], "").ok();
}

#[test]
fn a_refusal_is_1_with_its_request_id_and_the_next_step() {
    let node = Node::start();
    let nobody = node.run_as("", &["servers", "list"], "").failed(1);
    assert!(nobody.contains("AMALGAM_KEY") && nobody.contains("request id: "), "{nobody}");
    let wrong = node.run_as("amk_not-a-key-of-this-node", &["servers", "list"], "").failed(1);
    assert!(wrong.contains("check the key") && !wrong.contains("amk_not"), "{wrong}");

    // The node's JSON stays on standard output, for programs.
    let ran = node.run(&["connectors", "get", "no-such-connector", "--json"]);
    let body: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(body["error"]["code"], "CONNECTOR_NOT_FOUND");
    assert_eq!(ran.code, 1);
    let field = node.run(&["servers", "create", "bad/name"]).failed(1);
    assert!(field.contains("`name`"), "{field}");
}

#[test]
fn wrong_usage_is_2_before_anything_is_sent() {
    for args in [
        &["servers", "frobnicate"][..],
        &["servers", "get", ".."],
        &["servers", "get", ""],
        &["servers", "list", "--url", "ftp://127.0.0.1"],
        &["servers", "list", "--url", "http://user:pass-word@127.0.0.1"],
        &["servers", "list", "--user", "a\nb"],
        &["servers", "create", "x", "--expires-in-days", "soon"],
        &["servers", "create", "x", "--restrictions", "{oops"],
        &["servers", "list", "--key-file", "/no/such/file"],
        &["call", "slack", "post", "--params", "[1]"],
    ] {
        let err = run(&[("AMALGAM_URL", "http://127.0.0.1:1")], args, "").failed(2);
        assert!(err.contains("error: ") && !err.contains("pass-word"), "{args:?}: {err}");
    }
}

#[test]
fn an_address_that_is_no_node_is_said_to_be_none() {
    let platform = super::support::Platform::start();
    let url = format!("{}/refuse", platform.url);
    let failed = run(&[("AMALGAM_URL", &url)], &["servers", "list"], "").failed(1);
    assert!(failed.contains("--url"), "{failed}");
    // A path before the node's own paths is kept.
    assert_eq!(platform.heard()[0]["path"], "/refuse/api/servers");
}

#[test]
fn every_command_has_help_with_an_example() {
    let mut waiting = vec![Vec::<String>::new()];
    let mut leaves = 0;
    while let Some(path) = waiting.pop() {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&[("AMALGAM_KEY", KEY)], &args, "").ok();
        assert!(!help.contains(KEY), "{help}");
        let Some((_, commands)) = help.split_once("\nCommands:\n") else {
            assert!(help.contains("\nExample"), "{path:?} has no example:\n{help}");
            leaves += 1;
            continue;
        };
        let names = commands.lines().take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("   "));
        for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
            waiting.push(path.iter().cloned().chain([name.to_owned()]).collect());
        }
    }
    assert!(leaves > 35, "only {leaves} commands were found");
}
