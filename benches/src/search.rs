//! How long a search over many actions takes, and what it costs in memory: the built-in connectors, then imported ones beside them.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    job::Job,
    process::Process,
    scenarios::{Bench, megabytes},
    world::{Installation, KEY},
};

/// Imported documents, and the operations of each: 50,000 actions beside the built-in ones.
const DOCUMENTS: usize = 5;
const VERBS: [&str; 5] = ["create", "list", "get", "update", "delete"];
const NOUNS: [&str; 40] = [
    "account",
    "address",
    "agent",
    "alert",
    "article",
    "asset",
    "booking",
    "branch",
    "budget",
    "campaign",
    "card",
    "case",
    "channel",
    "comment",
    "contract",
    "customer",
    "deal",
    "document",
    "event",
    "expense",
    "field",
    "folder",
    "goal",
    "group",
    "invoice",
    "issue",
    "label",
    "lead",
    "meeting",
    "message",
    "note",
    "order",
    "payment",
    "project",
    "quote",
    "report",
    "subscription",
    "task",
    "ticket",
    "user",
];
const KINDS: [&str; 50] = [
    "active",
    "annual",
    "approved",
    "archived",
    "assigned",
    "backup",
    "billing",
    "blocked",
    "bulk",
    "business",
    "central",
    "closed",
    "common",
    "custom",
    "daily",
    "default",
    "deleted",
    "domestic",
    "draft",
    "external",
    "failed",
    "final",
    "foreign",
    "general",
    "global",
    "hidden",
    "inbound",
    "internal",
    "invited",
    "linked",
    "local",
    "manual",
    "merged",
    "mobile",
    "monthly",
    "nested",
    "online",
    "outbound",
    "overdue",
    "partner",
    "pending",
    "personal",
    "primary",
    "private",
    "public",
    "recurring",
    "regional",
    "shared",
    "temporary",
    "weekly",
];
/// Goals as people and models write them; never those that the ranking is judged by.
const GOALS: &str = include_str!("../../crates/server/tests/goals/more.toml");

impl Bench {
    /// Searches over the built-in connectors, and over 50,000 actions more.
    pub fn search(&mut self) -> Result<(), String> {
        let installation = Installation::new(&self.programs, self.platform.address, 1)?;
        let node = installation.start(&self.programs)?;
        sleep(Duration::from_secs(2));
        let idle = node.process.memory()?.resident;
        let goals = goals();
        self.searches("built-in", node.address, &goals)?;
        let built_in = self.grown(&node.process, idle)?;
        self.note("RSS, searches over the built-in connectors", "more than before the first one", vec![built_in], "MB", Some(10.0));
        let before = node.process.memory()?.resident;
        for n in 0..DOCUMENTS {
            node.call("/api/connectors", &json!({ "id": format!("large{n}"), "spec": document(n) }))?;
        }
        let imported = self.grown(&node.process, before)?;
        self.note("RSS, 50,000 actions imported", "more than before, nothing searched", vec![imported], "MB", None);
        let first = self.generator.run(&job(node.address, &goals).sized(1, 1))?;
        self.note("search, the first after an import", "indexes of 50,000 actions are built", vec![first.p99_us / 1000.0], "ms", None);
        let before = node.process.memory()?.resident;
        self.searches("50,000 actions more", node.address, &goals)?;
        let searched = self.grown(&node.process, before)?;
        self.note("RSS, searches over 50,000 actions", "more than after the first one", vec![searched], "MB", None);
        Ok(())
    }

    fn searches(&mut self, name: &str, address: SocketAddr, goals: &[String]) -> Result<(), String> {
        let job = job(address, goals);
        self.generator.run(&job.sized(1, goals.len()))?;
        let (mut middle, mut slow) = (Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            let timing = self.generator.run(&job.sized(1, self.requests / 5))?;
            middle.push(timing.p50_us / 1000.0);
            slow.push(timing.p99_us / 1000.0);
        }
        let measured = format!("{} goals in turn, GET /connectors/search, one connection", goals.len());
        self.note(&format!("search, {name}: p50"), &measured, middle, "ms", None);
        self.note(&format!("search, {name}: p99"), &measured, slow, "ms", Some(5.0));
        Ok(())
    }

    fn grown(&self, process: &Process, before: u64) -> Result<f64, String> {
        sleep(Duration::from_secs(1));
        Ok(megabytes(process.memory()?.resident) - megabytes(before))
    }
}

fn job(address: SocketAddr, goals: &[String]) -> Job {
    Job {
        address,
        connections: 1,
        requests: 1,
        paths: goals.iter().map(|goal| format!("/connectors/search?goal={goal}")).collect(),
        headers: vec![("authorization".to_owned(), format!("Bearer {KEY}"))],
        each: None,
        body: String::new(),
        expect: "\"actions\"".to_owned(),
    }
}

/// As they stand in a query.
fn goals() -> Vec<String> {
    let texts = GOALS.lines().filter_map(|line| line.strip_prefix("text = \"")?.strip_suffix('"'));
    texts.map(|text| text.bytes().map(escape).collect()).collect()
}

fn escape(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// A document of 10,000 operations: every verb with every kind of every noun.
fn document(nth: usize) -> Value {
    let mut paths = Map::new();
    for noun in NOUNS {
        for kind in KINDS {
            let members = VERBS.map(|verb| (method(verb).to_owned(), operation(verb, kind, noun)));
            let all = members.iter().filter(|(_, operation)| is_for_all(operation));
            let one = members.iter().filter(|(_, operation)| !is_for_all(operation));
            paths.insert(format!("/v{nth}/{kind}/{noun}s"), Value::Object(all.cloned().collect()));
            paths.insert(format!("/v{nth}/{kind}/{noun}s/{{{noun}_id}}"), Value::Object(one.cloned().collect()));
        }
    }
    json!({
        "openapi": "3.0.3", "info": { "title": format!("Large {nth}"), "version": "1" },
        "servers": [{ "url": "https://large.invalid" }], "paths": paths,
    })
}

fn is_for_all(operation: &Value) -> bool {
    operation["operationId"].as_str().is_some_and(|id| id.starts_with("create") || id.starts_with("list"))
}

fn method(verb: &str) -> &'static str {
    match verb {
        "create" => "post",
        "update" => "patch",
        "delete" => "delete",
        _ => "get",
    }
}

fn operation(verb: &str, kind: &str, noun: &str) -> Value {
    let is_one = !["create", "list"].contains(&verb);
    let id = json!({ "name": format!("{noun}_id"), "in": "path", "required": true, "description": format!("Which {noun} is meant."), "schema": { "type": "string" } });
    let query = |name: &str, text: &str| json!({ "name": name, "in": "query", "description": text, "schema": { "type": "string" } });
    let mut parameters = vec![
        query("fields", &format!("Members of the {noun} that the answer has, separated by commas.")),
        query("locale", "The language of names and messages in the answer."),
        query(&format!("{kind}_since"), &format!("Only where the {noun} has been {kind} since this time.")),
    ];
    if is_one {
        parameters.push(id);
    }
    json!({
        "operationId": format!("{verb}_{kind}_{noun}"),
        "summary": format!("{verb} {kind} {noun}{}", if verb == "list" { "s" } else { "" }),
        "description": format!("Use this to {verb} what is {kind} among the {noun}s of your organization. The caller needs access to the {noun}, and \
            every change is written to the history of the workspace, where administrators can read who has made it."),
        "tags": [noun],
        "parameters": parameters,
        "responses": { "200": { "description": "The answer." } },
    })
}
