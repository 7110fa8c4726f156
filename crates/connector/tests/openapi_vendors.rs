//! Every vendor document at hand becomes a connector: nothing lost, everything closed, small and valid.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a broken fixture ends the suite; the table is its point")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use amalgam_connector::definition::Definition;
use amalgam_connector::openapi::{Import, ImportOptions, import};
use serde_json::{Map, Value, json};

/// The promised size of one action's input schema.
const MAX_SCHEMA: usize = 16 * 1024;
const METHODS: [&str; 8] = ["get", "head", "post", "put", "patch", "delete", "options", "trace"];

#[test]
fn vendors() {
    let given = std::env::var_os("AMALGAM_SPECS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs"));
    let files = documents(&folder);
    if files.is_empty() {
        println!("NOTHING READ: the folder of vendor documents is absent, so this suite has checked nothing.");
        return;
    }
    println!("{:<32} {:>5} {:>7} {:>7} {:>7} {:>8} {:>6}", "document", "ops", "actions", "omitted", "warned", "largest", "ms");
    let mut failures = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let source = unpack(&file);
        // Some vendors' documents name no usable server; the importer then asks for one.
        let started = Instant::now();
        let result = import(&source, &ImportOptions::default()).or_else(|error| {
            assert!(error.message.contains("baseUrl"), "{name}: {error}");
            import(&source, &ImportOptions { base_url: Some("https://api.example.com".into()), ..Default::default() })
        });
        let taken = started.elapsed().as_millis();
        match result {
            Ok(import) => {
                let operations = operations(&source);
                let largest = check(&name, &import, operations, &mut failures);
                println!(
                    "{name:<32} {operations:>5} {:>7} {:>7} {:>7} {largest:>8} {taken:>6}",
                    import.definition.actions.len(),
                    import.omitted.len(),
                    import.warnings.len()
                );
                if std::env::args().any(|argument| argument == "--show-output") {
                    explain(&import);
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What a person should read when working on the importer.
fn explain(import: &Import) {
    let definition = &import.definition;
    let auth: Vec<&str> = definition.auth.iter().map(|scheme| scheme.kind.as_str()).collect();
    println!("    {} | {} | {} | {}", definition.id, definition.base_url, auth.join(","), definition.name);
    for omission in import.omitted.iter().take(4) {
        println!("    - {}: {}", omission.operation, omission.reason);
    }
    for warning in import.warnings.iter().take(6) {
        println!("    ! {warning}");
    }
}

fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect()).unwrap_or_default();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "gz"));
    files.retain(|file| !file.to_string_lossy().ends_with("matrix.tar.gz"));
    files.sort();
    files
}

/// The document's bytes; Mattermost's is made of fragments, as its README says.
fn unpack(file: &Path) -> Vec<u8> {
    if !file.to_string_lossy().ends_with(".tar.gz") {
        return Command::new("gzip").arg("-dc").arg(file).output().unwrap().stdout;
    }
    let listed = Command::new("tar").arg("-tzf").arg(file).output().unwrap().stdout;
    let mut names: Vec<String> =
        String::from_utf8(listed).unwrap().lines().filter(|name| name.ends_with(".yaml")).map(str::to_owned).collect();
    let rank = |name: &String| {
        if name.ends_with("/introduction.yaml") {
            0
        } else if name.ends_with("/definitions.yaml") {
            2
        } else {
            1
        }
    };
    names.sort_by_key(|name| (rank(name), name.clone()));
    let mut out = Vec::new();
    for name in names {
        out.extend(Command::new("tar").arg("-xzOf").arg(file).arg(&name).output().unwrap().stdout);
        out.push(b'\n');
    }
    out
}

/// Counts operations without the importer.
fn operations(source: &[u8]) -> usize {
    let text = std::str::from_utf8(source).unwrap();
    let root: Value = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(_) => {
            let options = serde_saphyr::options! {
                budget: serde_saphyr::budget! { max_nodes: 10_000_000, max_events: 20_000_000 },
                duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
            };
            serde_saphyr::from_str_with_options(text, options).unwrap()
        }
    };
    if root.get("discoveryVersion").is_some() {
        return discovered(&root);
    }
    let items = root["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with('/'));
    items.flat_map(|(_, item)| item.as_object().unwrap().keys()).filter(|key| METHODS.contains(&key.as_str())).count()
}

fn discovered(holder: &Value) -> usize {
    let own = holder.get("methods").and_then(Value::as_object).map_or(0, Map::len);
    own + holder.get("resources").and_then(Value::as_object).map_or(0, |inner| inner.values().map(discovered).sum())
}

fn check(name: &str, import: &Import, operations: usize, failures: &mut Vec<String>) -> usize {
    let called = |omission: &&amalgam_connector::openapi::Omission| {
        omission.operation.contains("callback ") || omission.operation.starts_with("webhook ")
    };
    let omitted = import.omitted.len() - import.omitted.iter().filter(called).count();
    let actions = import.definition.actions.len();
    if operations != actions + omitted {
        failures.push(format!("{name}: {operations} operations, but {actions} actions and {omitted} omitted"));
    }
    let json = serde_json::to_value(&import.definition).unwrap();
    let back: Definition = serde_json::from_value(json).unwrap();
    assert_eq!(back, import.definition, "{name}: survives storage");
    let mut largest = 0;
    for (id, action) in &import.definition.actions {
        if id.is_empty() || id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
            failures.push(format!("{name}: {id} is no id"));
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (param, parameter) in &action.params {
            properties.insert(param.clone(), parameter.json_schema());
            if parameter.required {
                required.push(param.clone());
            }
        }
        let schema = json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
        let size = schema.to_string().len();
        largest = largest.max(size);
        if size > MAX_SCHEMA {
            failures.push(format!("{name}: {id} has a schema of {size} bytes"));
        }
        for schema in [Some(&schema), action.response.as_ref().and_then(|response| response.schema.as_ref())].into_iter().flatten() {
            if let Some(reference) = reference(schema) {
                failures.push(format!("{name}: {id} still refers to {reference}"));
            }
            if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
                failures.push(format!("{name}: {id}: {error} at {}", error.instance_path()));
            } else if let Err(error) = jsonschema::validator_for(schema) {
                failures.push(format!("{name}: {id}: {error}"));
            }
        }
    }
    largest
}

/// A `$ref` that is a keyword; one that is the name of a property has a schema and not a text.
fn reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(map) => map.get("$ref").and_then(Value::as_str).or_else(|| map.values().find_map(reference)),
        Value::Array(items) => items.iter().find_map(reference),
        _ => None,
    }
}
