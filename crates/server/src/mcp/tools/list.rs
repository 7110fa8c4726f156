//! What models are told about the eight tools: enough to act without a manual.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::connectors::search::LONGEST_GOAL;

static TOOLS: LazyLock<Vec<Value>> = LazyLock::new(|| about_actions().into_iter().chain(about_credentials()).collect());

/// The `tools` array of `tools/list`, as JSON text.
pub static LIST: LazyLock<String> = LazyLock::new(|| Value::Array(TOOLS.clone()).to_string());

/// The arguments of a tool by name, as its schema has them; `None` when there is no such tool.
pub fn arguments(tool: &str) -> Option<&'static Map<String, Value>> {
    TOOLS.iter().find(|known| known["name"] == tool).and_then(|known| known["inputSchema"]["properties"].as_object())
}

fn connector() -> Value {
    json!({ "type": "string", "description": "Connector id, as list_connectors_alloy shows it, for example \"slack\"." })
}

fn about_actions() -> Vec<Value> {
    let connector = connector();
    let action = json!({ "type": "string", "description": "Action id, as get_connector_resources_alloy or discover_action_path_alloy shows it, for example \"chat_postMessage\"." });
    vec![
        tool(
            "list_connectors_alloy",
            "List available platform connectors",
            "List available platform connectors with their ids, names and categories. Start here when you do not know which platforms can be \
             reached; if you already know what should be done, discover_action_path_alloy is quicker.",
            json!({ "category": { "type": "string", "description": "Filter by category, for example communication, crm, productivity, marketing, storage, content-management." } }),
            &[],
            "read",
        ),
        tool(
            "discover_action_path_alloy",
            "Find actions for a goal",
            "Say in plain words what should be done, and get the actions that fit best, ranked, over all platforms: their ids, what they need, and \
             whether the user has a credential for them. Name the platform in the goal if you know it. Next step: get_action_details_alloy.",
            json!({
                "goal": { "type": "string", "maxLength": LONGEST_GOAL, "description": "What should be done, in plain words, for example \"send a message to a Slack channel\"." },
                "connectorId": { "type": "string", "description": "Optional: only actions of this connector." },
                "category": { "type": "string", "description": "Optional: only actions of connectors of this category, for example crm." },
            }),
            &["goal"],
            "read",
        ),
        tool(
            "get_connector_resources_alloy",
            "List a connector's actions",
            "List the resources of a connector (channels, messages, contacts, …) with the actions that each one has.",
            json!({ "connectorId": connector }),
            &["connectorId"],
            "read",
        ),
        tool(
            "get_action_details_alloy",
            "Show what an action needs",
            "Show everything that is needed to call an action: its required and optional parameters with types and descriptions, the schema that \
             `parameters` of execute_action_alloy must satisfy, and a sample. Call it before the first use of an action.",
            json!({ "connectorId": connector, "actionId": action }),
            &["connectorId", "actionId"],
            "read",
        ),
        tool(
            "execute_action_alloy",
            "Run an action",
            "Run an action on a platform as the current user, with the user's own credential, and get the platform's answer as JSON. Long lists are cut: \
             the answer then has `metadata` or `needsRefinement`, and `nextCursor` leads to the rest. If the user has no credential yet, \
             the error says how to create one.",
            json!({
                "connectorId": connector,
                "actionId": action,
                "parameters": { "type": "object", "description": "The action's parameters by name, all in one flat object, as get_action_details_alloy describes them.", "additionalProperties": true },
                "credentialId": { "type": "string", "description": "Optional: which of several credentials to use (get_credentials_alloy lists them). Without it the newest is used." },
                "fields": { "type": "array", "items": { "type": "string" }, "description": "Optional: the members of the answer (of each item of a list) that you need, dotted for inner ones, for example [\"id\", \"owner.name\"]. Without it you get those that matter most." },
                "raw": { "type": "boolean", "description": "Optional: true for the whole answer of the platform." },
                "limit": { "type": "integer", "minimum": 1, "maximum": 1000, "description": "Optional: at most so many items of the answer's list." },
                "cursor": { "type": "string", "description": "Optional: `nextCursor` of an answer, to go on there. Repeat the call as it was and add it." },
                "part": { "type": "string", "description": "Optional: a JSON pointer, such as a `path` that an answer lists as cut, to read that part alone. Repeat the call as it was and add it." },
                "maxTokens": { "type": "integer", "minimum": 500, "maximum": 1_000_000, "description": "Optional: the answer has at most about so many tokens (3 bytes of JSON each); what does not fit is cut, and the answer says how to get it." },
                "timeout": { "type": "integer", "minimum": 1000, "maximum": 300_000, "description": "Optional: milliseconds to wait for the platform. Default 30000." },
            }),
            &["connectorId", "actionId", "parameters"],
            "write",
        ),
    ]
}

fn about_credentials() -> Vec<Value> {
    let connector = connector();
    vec![
        tool(
            "get_credentials_alloy",
            "List the user's credentials",
            "List the current user's credentials for a connector, newest first. Secrets are never shown.",
            json!({ "connectorId": connector }),
            &["connectorId"],
            "read",
        ),
        tool(
            "get_credential_metadata_alloy",
            "Show how to authenticate",
            "Show which ways of authentication a connector accepts and which fields each one needs. Ask the user for the values, then call \
             create_credential_alloy.",
            json!({ "connectorId": connector }),
            &["connectorId"],
            "read",
        ),
        tool(
            "create_credential_alloy",
            "Connect the user to a platform",
            "Store a credential of the current user for a connector. get_credential_metadata_alloy says which `authenticationType` and `fields` it needs. \
             The secret is kept sealed and never shown again; the answer has its `credentialId`. With `oauth2` the answer has `oauthUrl` instead: show it to \
             the user, who consents there in a browser.",
            json!({
                "connectorId": connector,
                "authenticationType": { "type": "string", "enum": ["oauth2", "apiKey", "bearer", "basic"], "description": "One of the types that get_credential_metadata_alloy shows for this connector." },
                "fields": { "type": "object", "additionalProperties": { "type": "string" }, "description": "The values by field name, for example {\"token\": \"…\"}; the connector's own variables (such as a subdomain) go here too." },
                "name": { "type": "string", "description": "Optional: a name to tell several credentials apart." },
                "redirectUri": { "type": "string", "description": "Optional, with oauth2: where the browser goes after consent; an address on the account's list." },
                "authConfigId": { "type": "string", "description": "Optional, with oauth2: which of the account's OAuth clients to use. Without it the newest." },
                "scopes": { "type": "array", "items": { "type": "string" }, "description": "Optional, with oauth2: what to ask consent for. Without it the connector's usual ones." },
            }),
            &["connectorId", "authenticationType"],
            "create",
        ),
    ]
}

fn tool(name: &str, title: &str, description: &str, properties: Value, required: &[&str], effect: &str) -> Value {
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    let annotations = match effect {
        "read" => json!({ "title": title, "readOnlyHint": true, "openWorldHint": false }),
        "create" => {
            json!({ "title": title, "readOnlyHint": false, "destructiveHint": false, "idempotentHint": false, "openWorldHint": false })
        }
        _ => json!({ "title": title, "readOnlyHint": false, "destructiveHint": true, "idempotentHint": false, "openWorldHint": true }),
    };
    json!({ "name": name, "title": title, "description": description, "inputSchema": schema, "annotations": annotations })
}
