//! Starting the binary: what it makes, and what it refuses with a sentence and exit code 1.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Process,
    node::ADMIN_KEY,
    process::{command, run, said},
};

/// A directory whose `data` is not there yet.
fn home() -> (TempDir, PathBuf) {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    (home, data)
}

#[track_caller]
fn refused(output: &std::process::Output, words: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: ") && said.contains(words), "{words:?} is not in {said:?}");
}

#[tokio::test]
async fn the_directory_is_private_and_used_by_one() {
    let (_home, data) = home();
    let process = Process::start(&data, &[]).await;
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data.clone()), 0o700);
    assert_eq!(mode(data.join("master.key")), 0o600);
    refused(&run(&data, &[]), "another amalgam process is using the data directory");
    process.ask("GET", "/ready").anonymous().send().await.expect(200);
    process.kill();
    // What has been opened to others in the meantime is closed again.
    fs::set_permissions(data.join("master.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let _process = Process::start(&data, &[]).await;
    assert_eq!(mode(data.join("master.key")), 0o600);
}

/// Secrets and users' names come from nobody on the way, and from nobody's own words.
#[tokio::test]
async fn providers_are_reached_by_https_and_name_users_by_what_they_vouch_for() {
    let (_home, data) = home();
    for (name, value) in [("AMALGAM_OIDC_ISSUER", "http://id.example"), ("AMALGAM_AUTHORIZATION_SERVER", "http://id.example")] {
        refused(&run(&data, &[(name, value), ("AMALGAM_OIDC_CLIENT_ID", "us")]), "must be an https address");
    }
    let oidc = [("AMALGAM_OIDC_ISSUER", "https://id.example"), ("AMALGAM_OIDC_CLIENT_ID", "us")];
    let claim = [oidc[0], oidc[1], ("AMALGAM_OIDC_USER_CLAIM", "preferred_username")];
    refused(&run(&data, &claim), "users may edit it");
    refused(&run(&data, &[("AMALGAM_GRANT_DAYS", "0")]), "grant-days must be between 1 and 3650");
}

/// There is no default secret. The first key is random, shown once, and works.
#[tokio::test]
async fn the_first_key_is_made_and_shown_once() {
    let (home, data) = home();
    let none = [("AMALGAM_ADMIN_KEY", "")];
    let process = Process::start(&data, &none).await;
    let out = || fs::read_to_string(home.path().join("out.txt")).unwrap();
    let key = crate::support::until("the key is printed", || {
        std::future::ready(out().lines().map(str::trim).find(|line| line.starts_with("amk_")).map(str::to_owned))
    })
    .await;
    assert!(key.len() > 30);
    process.ask("GET", "/api/keys").key(&key).send().await.expect(200);
    process.ask("GET", "/api/keys").key(ADMIN_KEY).send().await.expect(401);
    process.kill();
    let process = Process::start(&data, &none).await;
    process.ask("GET", "/api/keys").key(&key).send().await.expect(200);
    assert!(!out().contains("amk_"), "shown at the first start only: {}", out());
}

#[tokio::test]
async fn bad_admin_keys_are_refused() {
    for (key, words) in [
        ("short", "16 characters"),
        ("has spaces in it, long", "visible ASCII"),
        ("mcp_token_0123456789", "mcp_token_"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "user token"),
    ] {
        let (_home, data) = home();
        refused(&run(&data, &[("AMALGAM_ADMIN_KEY", key)]), words);
        // The refusal leaves nothing behind that a second try would stumble over.
        Process::start(&data, &[]).await.ask("GET", "/api/keys").send().await.expect(200);
    }
}

/// A wrong master key stops the start instead of failing at the first credential.
#[tokio::test]
async fn a_wrong_or_missing_master_key_stops_the_start() {
    let (_home, data) = home();
    let process = Process::start(&data, &[]).await;
    let made = process.ask("POST", "/api/servers").json(&json!({ "name": "Kept" })).send().await.expect(201);
    process.kill();
    let wrong = "ab".repeat(32);
    refused(&run(&data, &[("AMALGAM_MASTER_KEY", &wrong)]), "master key");
    refused(&run(&data, &[("AMALGAM_MASTER_KEY", "not hex")]), "AMALGAM_MASTER_KEY");
    let key = fs::read_to_string(data.join("master.key")).unwrap();
    fs::write(data.join("master.key"), format!("{wrong}\n")).unwrap();
    refused(&run(&data, &[]), "master key");
    fs::remove_file(data.join("master.key")).unwrap();
    refused(&run(&data, &[]), "is missing");
    assert!(!data.join("master.key").exists(), "no new key is made over an old database");
    let elsewhere = data.with_file_name("elsewhere.key");
    fs::write(&elsewhere, &key).unwrap();
    let process = Process::start(&data, &[("AMALGAM_MASTER_KEY_FILE", elsewhere.to_str().unwrap())]).await;
    let shown = process.ask("GET", "/api/servers").send().await.expect(200);
    assert_eq!(shown.body["servers"][0]["accessUrl"].as_str().unwrap().rsplit('/').next(), made.body["accessToken"].as_str());
    process.kill();
    Process::start(&data, &[("AMALGAM_MASTER_KEY", key.trim())]).await;
}

#[tokio::test]
async fn mistakes_in_settings_are_named() {
    let (home, data) = home();
    let file = home.path().join("amalgam.toml");
    for (text, words) in [
        ("listen = 7", "must be an address and a port"),
        ("lisen = \"127.0.0.1:0\"", "did you mean `listen`?"),
        ("egress-allow = 7", "`egress-allow` must be an array of ranges"),
        ("egress-allow = \"10.0.0.0/8, elsewhere\"", "`egress-allow` must be an array of ranges"),
        ("rate-limit-per-minute = \"7\"", "`rate-limit-per-minute` must be a whole number"),
        ("garbage", "amalgam.toml"),
        ("rate-limit-per-minute = 0", "rate-limit-per-minute"),
        ("database-url = \"mysql://x\"", "database-url"),
        ("public-url = \"ftp://x\"", "public-url"),
        ("action-timeout-seconds = 301", "action-timeout-seconds"),
        ("shape-items = 0", "shape-items"),
        ("shape-refine-over = 24", "shape-refine-over"),
        ("max-credentials-per-user = 1001", "max-credentials-per-user"),
        ("log = \"a=b=c\"", "log"),
    ] {
        fs::write(&file, text).unwrap();
        refused(&run(&data, &[]), words);
        assert!(!data.join("amalgam.db").exists(), "{text}: nothing was made");
    }
    fs::remove_file(&file).unwrap();
    refused(&run(&data, &[("AMALGAM_CONFIG", "/nowhere/amalgam.toml")]), "cannot read the configuration");
    // A flag or variable that does not parse is a mistake in usage.
    assert_eq!(run(&data, &[("AMALGAM_MAX_BODY_BYTES", "many")]).status.code(), Some(2));
    assert_eq!(command(&data, &[]).arg("--no-such-flag").output().unwrap().status.code(), Some(2));
    fs::write(&file, "rate-limit-per-minute = 7\negress-allow = \"10.0.0.0/8, 127.0.0.1\"\n").unwrap();
    let process = Process::start(&data, &[]).await;
    let made = process.ask("POST", "/api/servers").json(&json!({ "name": "S" })).send().await.expect(201);
    let server = crate::support::Server::of(&made);
    assert_eq!(server.rpc("ping", json!({})).await.header("ratelimit-limit"), "7");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_home, data) = home();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_amalgam"))
        .args(["serve", "--listen", &address, "--data-dir"])
        .arg(&data)
        .env_clear()
        .output()
        .unwrap();
    refused(&output, &format!("cannot listen on {address}"));
}
