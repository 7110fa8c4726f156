//! Other MCP servers behind ours: registered, called by REST and through servers, in all four pairs of eras.

mod authorization;
mod clients;
mod connections;
mod enterprise;
mod exposure;
mod fairness;
mod hostile;
mod imports;
mod leading;
mod processes;
mod registration;
mod step_up;
mod tasks;

use serde_json::{Value, json};

use crate::support::{
    Server, TestNode,
    upstream::{Eras, Upstream},
};

const ALL: [Eras; 3] = [Eras::Legacy, Eras::Modern, Eras::Dual];

/// Registers an upstream; what the API shows of it.
async fn register(node: &TestNode, name: &str, upstream: &Upstream) -> Value {
    node.post("/api/v1/user-mcp-servers", json!({ "name": name, "url": upstream.url() })).await.expect(201).body
}

/// A server that exposes these connectors directly.
async fn direct(node: &TestNode, connectors: &[&str]) -> Server {
    node.server(json!({ "name": connectors.join(" "), "exposure": "direct", "connectors": connectors, "toolPrefix": "conflict" })).await
}
