//! Any bytes as an API description: importing them ends in a connector that the engine loads, or in a sentence.
#![no_main]

use amalgam_connector::Connector;
use amalgam_connector::describe::action_details;
use amalgam_connector::openapi::{ImportOptions, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &[u8]| {
    // With an id and a base URL, so that a document is not refused for lacking what the caller may give.
    let options = ImportOptions { id: Some("fuzzed".into()), name: None, base_url: Some("https://api.example.com/v1".into()) };
    drop(import(source, &ImportOptions::default()));
    let imported = match import(source, &options) {
        Ok(imported) => imported,
        Err(error) => return assert!(!error.message.is_empty()),
    };
    let connector = Connector::new(imported.definition).expect("what the import made passes the engine's own check");
    for action in connector.actions() {
        let arguments = serde_json::Map::new();
        drop(action.validate(&arguments));
        action_details(&connector, &action);
    }
});
