//! `amalgam connectors new`: a folder with a connector that works, to be changed into another one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use amalgam_connector::{
    openapi::{Import, ImportOptions, import},
    parse::parse_toml,
};
use clap::Args;
use serde_json::{Value, json};

use super::{
    case::{Answer, Case, FOLDER},
    replay::replay,
    test::{came_out, counted, write},
};
use crate::{
    cli::{
        failure::{Failure, Result},
        input::read,
        screen::{Screen, shell_word},
    },
    config::FIXED_WORDS,
    connectors::folder,
};

/// The schema of definitions, for editors.
pub const SCHEMA: &str = include_str!("../../../../../docs/connector.schema.json");
/// What the schema is called beside the folders of connectors.
const SCHEMA_FILE: &str = "connector.schema.json";
const TEMPLATE: &str = include_str!("template.toml");

/// A new connector.
#[derive(Args)]
pub struct New {
    /// Its id, and the name of its folder: letters, digits, `_` and `-`
    id: String,
    /// The folder that its folder is made in
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Display name [default: made from the id]
    #[arg(long)]
    name: Option<String>,
    /// Where the API is
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Begin with all operations of an OpenAPI document; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from_openapi: Option<String>,
}

impl New {
    /// Runs the command.
    pub async fn run(self, screen: &Screen) -> Result {
        let target = self.dir.join(&self.id);
        if FIXED_WORDS.contains(&self.id.as_str()) {
            return Err(Failure::usage(format!("\"{}\" is a fixed word in addresses; choose another id", self.id)));
        }
        if target.exists() {
            return Err(Failure::refused(format!("{} is there already", target.display())).with_next("choose another id, or another --dir"));
        }
        let (text, omitted) = match &self.from_openapi {
            None => (self.template(), Vec::new()),
            Some(file) => self.imported(&read(file)?)?,
        };
        let definition = parse_toml(&text).map_err(|problems| {
            let first = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
            Failure::usage(first)
        })?;
        let cannot = |e: std::io::Error| Failure::refused(format!("cannot write {}: {e}", target.display()));
        fs::create_dir_all(target.join(FOLDER)).map_err(cannot)?;
        let file = target.join(folder::DEFINITION);
        fs::write(&file, &text).map_err(cannot)?;
        let schema = self.dir.join(SCHEMA_FILE);
        if !schema.exists() {
            fs::write(&schema, SCHEMA).map_err(cannot)?;
        }
        if self.from_openapi.is_none() {
            cases(&file).await?;
        }
        let shown = shell_word(&target.display().to_string());
        if screen.json {
            return screen.line(
                &json!({ "id": self.id, "folder": target.display().to_string(), "actions": definition.actions.len(), "omitted": omitted })
                    .to_string(),
            );
        }
        screen.line(&format!("Made {} with {}.", file.display(), counted(definition.actions.len(), "action")))?;
        for text in &omitted {
            screen.line(&format!("Left out: {text}"))?;
        }
        let test = if self.from_openapi.is_none() { format!("\n      amalgam connectors test {shown}") } else { String::new() };
        screen.line(&format!(
            "\nNext: amalgam connectors lint {shown}{test}\n      amalgam serve --connectors-dir {}",
            shell_word(&self.dir.display().to_string())
        ))
    }

    fn template(&self) -> String {
        let name = self.name.clone().unwrap_or_else(|| title(&self.id));
        let base_url = self.base_url.as_deref().unwrap_or("https://api.example.com/v1");
        let text = |value: &str| Value::from(value).to_string();
        TEMPLATE
            .replace("\"{{id}}\"", &text(&self.id))
            .replace("\"{{name}}\"", &text(&name))
            .replace("\"{{base_url}}\"", &text(base_url.trim_end_matches('/')))
            .replace("\"{{description}}\"", &text(&format!("{name}: find, read and add items.")))
    }

    /// The text of a definition with all operations of a document, and what did not become an action.
    fn imported(&self, bytes: &[u8]) -> Result<(String, Vec<String>)> {
        let options = ImportOptions { id: Some(self.id.clone()), name: self.name.clone(), base_url: self.base_url.clone() };
        let Import { definition, omitted, warnings } = import(bytes, &options).map_err(|error| {
            let next = if error.field == "baseUrl" { "say where the API is with --base-url" } else { "send an OpenAPI document" };
            Failure::refused(error.message.replace("`baseUrl`", "--base-url")).with_next(next)
        })?;
        let mut value = serde_json::to_value(&definition).map_err(|e| Failure::refused(e.to_string()))?;
        without_null(&mut value);
        let table = toml::Value::try_from(&value).map_err(|e| Failure::refused(format!("the document cannot be written as TOML: {e}")))?;
        let text = toml::to_string_pretty(&table).map_err(|e| Failure::refused(format!("the document cannot be written as TOML: {e}")))?;
        let head = format!(
            "#:schema ../{SCHEMA_FILE}\n# Made from an OpenAPI document. Delete the actions that nobody needs: models choose better among fewer.\n\
             # `amalgam connectors lint` says what could be better; docs/writing-connectors.md what every field means.\n\n"
        );
        let left = omitted.into_iter().map(|omission| format!("{}: {}", omission.operation, omission.reason)).chain(warnings);
        Ok((head + &text, left.collect()))
    }
}

/// `my-notes` as `My notes`.
fn title(id: &str) -> String {
    let words = id.replace(['-', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// TOML has no null. Where a schema allows null it is said with `type`, elsewhere nothing says the same.
fn without_null(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(without_null);
        }
        Value::Object(members) => {
            let allows_null = members.get("enum").and_then(Value::as_array).is_some_and(|choices| choices.contains(&Value::Null));
            if allows_null && !members.contains_key("anyOf") {
                let mut choices = members.shift_remove("enum").unwrap_or_default();
                without_null(&mut choices);
                members.insert("anyOf".to_owned(), json!([{ "enum": choices }, { "type": "null" }]));
            }
            if members.get("const").is_some_and(Value::is_null) {
                members.shift_remove("const");
                members.insert("type".to_owned(), "null".into());
            }
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_null);
        }
        // TOML's whole numbers end where i64 does.
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            if let Some(float) = number.as_f64() {
                *value = float.into();
            }
        }
        _ => {}
    }
}

/// The cases of the template, so that there is something to look at and to test.
async fn cases(file: &Path) -> Result {
    let (_, connector) = folder::read(file).map_err(|_| Failure::refused("the template cannot be used"))?;
    let json = || [("content-type".to_owned(), "application/json".to_owned())].into();
    let note = |id: u32, title: &str| json!({ "id": id, "title": title, "done": false, "created": "2026-01-05T09:00:00Z" });
    let listed = Answer {
        status: 200,
        headers: json(),
        body: Some(json!({ "items": [note(1, "Water the plants"), note(2, "Call the bank")], "next": "2" })),
    };
    let made = Answer { status: 201, headers: json(), body: Some(note(3, "Buy bread")) };
    let refused =
        Answer { status: 404, headers: json(), body: Some(json!({ "error": { "code": "item_not_found", "message": "No item 99" } })) };
    for (name, action, arguments, answer) in [
        ("list_items", "list_items", json!({ "search": "plants", "limit": 2 }), listed),
        ("create_item", "create_item", json!({ "title": "Buy bread" }), made),
        ("get_item-not-found", "get_item", json!({ "item_id": "99" }), refused),
    ] {
        let case = Case {
            action: action.to_owned(),
            authentication_type: None,
            variables: Default::default(),
            arguments: arguments.as_object().cloned().unwrap_or_default(),
            request: None,
            answer: Some(answer),
            result: None,
            error: None,
        };
        let outcome = replay(&connector, &case).await?;
        write(&file.with_file_name(FOLDER).join(format!("{name}.json")), &came_out(&case, outcome))?;
    }
    Ok(())
}
