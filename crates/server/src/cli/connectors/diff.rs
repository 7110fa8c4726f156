//! `amalgam connectors diff`: what changes from one definition or OpenAPI document to another.

use std::path::Path;

use amalgam_connector::{
    definition::Definition,
    diff::diff,
    openapi::{ImportOptions, import},
};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::{import::document, test::counted};
use crate::{
    cli::{
        client::Client,
        failure::{Failure, Result},
        input::read,
        screen::{Screen, cell},
    },
    connectors::folder,
};

/// Two definitions.
#[derive(Args)]
pub struct Diff {
    /// A connector's folder, a connector.toml or an OpenAPI document; else a connector of the account on the node
    old: String,
    /// A connector's folder, a connector.toml or an OpenAPI document
    new: String,
}

impl Diff {
    /// Runs the command.
    pub async fn run(self, client: &Client, screen: &Screen) -> Result {
        let changes = if Path::new(&self.old).exists() {
            let (old, new) = (definition(&self.old)?, definition(&self.new)?);
            let changes = diff(&old, &new);
            let breaking = changes.iter().filter(|change| change.breaking).count();
            let count = changes.len();
            json!({ "changes": changes, "count": count, "breaking": breaking })
        } else if !self.old.is_empty() && !self.old.contains(['/', '.', '\\']) {
            let path = ["api", "connectors", &self.old, "diff"];
            client.send(Method::POST, &path, &[], Some(document(&self.new)?)).await?.value()?
        } else {
            return Err(Failure::usage(format!("there is no file {:?}", self.old)));
        };
        show(screen, &changes)
    }
}

/// A definition, whatever it is written as.
fn definition(path: &str) -> Result<Definition> {
    let at = Path::new(path);
    let is_own = at.is_dir() || at.extension().is_some_and(|extension| extension == "toml");
    if is_own {
        let file = super::case::definition(at);
        return match folder::read(&file) {
            Ok((_, connector)) => Ok(connector.to_definition()),
            Err(problems) => {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                Err(Failure::refused(format!("{}: {first}", file.display())).with_next(format!("amalgam connectors lint {path}")))
            }
        };
    }
    let bytes = read(path)?;
    // Where neither document says where its API is, they do not differ in that.
    let options = ImportOptions { id: Some("x".to_owned()), ..ImportOptions::default() };
    let read = import(&bytes, &options).or_else(|error| match error.field {
        "baseUrl" => import(&bytes, &ImportOptions { base_url: Some("https://api.example.com".to_owned()), ..options.clone() }),
        _ => Err(error),
    });
    read.map(|import| import.definition).map_err(|error| Failure::refused(format!("{path}: {error}")))
}

fn show(screen: &Screen, found: &Value) -> Result {
    let changes = found.get("changes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let breaking = found.get("breaking").and_then(Value::as_u64).unwrap_or_default();
    if screen.json {
        screen.line(&found.to_string())?;
    } else {
        let mut heading = String::new();
        for change in changes {
            let action = if change.get("action").is_some() { cell(change, "action") } else { "(the connector)".to_owned() };
            if action != heading {
                screen.line(&format!("\n{action}"))?;
                heading = action;
            }
            let mark = match change.get("change").and_then(Value::as_str) {
                Some("added") => "+",
                Some("removed") => "-",
                _ => "~",
            };
            let breaks = change.get("breaking") == Some(&Value::Bool(true));
            let word = if breaks { screen.red("BREAKS  ") } else { "        ".to_owned() };
            screen.line(&format!("  {word}{mark} {}", cell(change, "what")))?;
        }
        let total = counted(changes.len(), "change");
        screen.note(&if changes.is_empty() {
            "No difference.".to_owned()
        } else {
            format!("\n{total}, {breaking} of them may break what works")
        });
    }
    if breaking > 0 { Err(Failure::silent()) } else { Ok(()) }
}
