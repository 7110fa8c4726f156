//! The master key: where it comes from, its change while a node runs, and what a wrong one says.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Process,
    process::{run, said},
};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const NEXT: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn rotate(data: &Path, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amalgam"));
    command.args(["keys", "rotate-master", "--data-dir"]).arg(data).env_clear().envs(env.iter().copied());
    command.current_dir(data.parent().unwrap()).output().unwrap()
}

/// A node with a credential; returns the process.
async fn with_credential(data: &Path, env: &[(&str, &str)]) -> Process {
    let process = Process::start(data, env).await;
    let body = json!({ "authenticationType": "bearer", "data": { "token": "xoxb-12345678" } });
    process.ask("POST", "/connectors/slack/credentials").json(&body).send().await.expect(200);
    process
}

/// Opens what is sealed: a server's token is shown again.
async fn opens(process: &Process) {
    let listed = process.ask("GET", "/connectors/slack/credentials").send().await.expect(200);
    assert_eq!(listed.body["credentials"].as_array().unwrap().len(), 1);
    let name = format!("S{}", listed.header("x-request-id"));
    process.ask("POST", "/api/servers").json(&json!({ "name": name })).send().await.expect(201);
    let servers = process.ask("GET", "/api/servers").send().await.expect(200);
    assert!(servers.body["servers"].as_array().unwrap().iter().all(|server| server["accessUrl"].is_string()), "{}", servers.text);
}

#[tokio::test]
async fn the_key_is_changed_while_a_node_runs() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let process = with_credential(&data, &[]).await;
    let (file, old, new) = (data.join("master.key"), data.join("master.key.old"), data.join("master.key.new"));
    let before = fs::read_to_string(&file).unwrap();
    let done = rotate(&data, &[]);
    assert!(done.status.success(), "{}", said(&done));
    assert!(!said(&done).contains(before.trim()));
    opens(&process).await;
    let after = fs::read_to_string(&file).unwrap();
    assert!(after != before && fs::read_to_string(&old).unwrap() == before && !new.exists());
    process.kill();
    opens(&Process::start(&data, &[]).await).await;
    // The old one opens nothing any more.
    fs::write(&file, &before).unwrap();
    let refused = run(&data, &[]);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("does not open this database"), "{}", said(&refused));
    fs::write(&file, &after).unwrap();

    // Interrupted before the database was changed: the new key waits in its file, and the next attempt takes it.
    fs::write(&new, NEXT).unwrap();
    let process = Process::start(&data, &[]).await;
    opens(&process).await;
    assert!(rotate(&data, &[]).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), NEXT);
    process.kill();

    // Interrupted after that, before the file was: the next start finishes it.
    fs::rename(&file, &new).unwrap();
    fs::write(&file, &after).unwrap();
    let process = Process::start(&data, &[]).await;
    opens(&process).await;
    assert!(fs::read_to_string(&file).unwrap().trim() == NEXT && !new.exists());
    process.kill();
}

#[tokio::test]
async fn keys_come_from_the_environment_or_a_command() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let print = format!("printf %s {KEY}");
    let by_command = [("AMALGAM_MASTER_KEY_COMMAND", print.as_str())];
    with_credential(&data, &by_command).await.kill();
    assert!(!data.join("master.key").exists());
    let by_env = [("AMALGAM_MASTER_KEY", KEY)];
    let process = Process::start(&data, &by_env).await;
    opens(&process).await;
    let refused = rotate(&data, &by_env);
    assert!(refused.status.code() == Some(1) && said(&refused).contains("--new-master-key-file"), "{}", said(&refused));
    let done = rotate(&data, &[("AMALGAM_MASTER_KEY", KEY), ("AMALGAM_NEW_MASTER_KEY", NEXT)]);
    assert!(done.status.success() && !said(&done).contains(NEXT), "{}", said(&done));
    // Again is no harm.
    assert!(rotate(&data, &[("AMALGAM_MASTER_KEY", KEY), ("AMALGAM_NEW_MASTER_KEY", NEXT)]).status.success());
    opens(&process).await;
    process.kill();
    let wrong = run(&data, &by_env);
    assert!(wrong.status.code() == Some(1) && said(&wrong).contains("does not open this database"), "{}", said(&wrong));
    opens(&Process::start(&data, &[("AMALGAM_MASTER_KEY", NEXT)]).await).await;
    for (command, words) in [("exit 3", "--master-key-command failed"), ("echo hello", "--master-key-command: The master key must be")] {
        let refused = run(&data, &[("AMALGAM_MASTER_KEY_COMMAND", command)]);
        assert!(refused.status.code() == Some(1) && said(&refused).contains(words), "{}", said(&refused));
    }
    // Neither key opens it: nothing is changed.
    let neither = rotate(&data, &[("AMALGAM_MASTER_KEY", KEY), ("AMALGAM_NEW_MASTER_KEY", &"12".repeat(32))]);
    assert!(neither.status.code() == Some(1) && said(&neither).contains("nothing was changed"), "{}", said(&neither));
}
