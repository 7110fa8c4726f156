//! `initialize` and `server/discover`.

use amalgam_protocol::Revision;
use amalgam_protocol::present::{Identity, Offer, discover, initialize};
use amalgam_protocol::respond::CacheScope;
use serde_json::{Map, json};

use crate::{json as parsed, raw};

const IDENTITY: Identity<'_> =
    Identity { name: "Sales", title: Some("Sales tools"), version: "0.1.0", instructions: Some("Be \"brief\".") };

fn offer() -> Offer {
    let extensions = Map::from_iter([("io.modelcontextprotocol/ui".to_owned(), json!({}))]);
    Offer { tools: true, resources: true, prompts: true, list_changed: true, subscribe: true, extensions, ..Offer::default() }
}

#[test]
fn initialize_is_legacy_in_shape() {
    let (revision, bytes) = initialize(&raw("0"), Some("2025-03-26"), &IDENTITY, &offer());
    assert_eq!(revision, Revision::V2025_03_26);
    assert_eq!(
        parsed(&bytes)["result"],
        json!({
            "protocolVersion": "2025-03-26",
            "capabilities": {
                "tools": { "listChanged": true },
                "resources": { "subscribe": true, "listChanged": true },
                "prompts": { "listChanged": true },
            },
            "serverInfo": { "name": "Sales", "title": "Sales tools", "version": "0.1.0" },
            "instructions": "Be \"brief\".",
        })
    );
    let (revision, _) = initialize(&raw("0"), None, &IDENTITY, &offer());
    assert_eq!(revision, Revision::V2025_11_25);
}

#[test]
fn discover_is_modern_in_shape() {
    let bare = Identity { title: None, instructions: None, ..IDENTITY };
    let bytes = discover(&raw("\"d\""), &bare, &offer(), 60_000, CacheScope::Public);
    assert_eq!(
        parsed(&bytes)["result"],
        json!({
            "resultType": "complete",
            "supportedVersions": ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"],
            "capabilities": {
                "tools": { "listChanged": true },
                "resources": { "subscribe": true, "listChanged": true },
                "prompts": { "listChanged": true },
                "extensions": { "io.modelcontextprotocol/ui": {} },
            },
            "ttlMs": 60_000,
            "cacheScope": "public",
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "Sales", "version": "0.1.0" } },
        })
    );
}
