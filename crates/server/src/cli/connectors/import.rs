//! Connectors from OpenAPI documents.

use std::path::Path;

use clap::Args;
use http::Method;
use serde_json::{Map, Value};

use crate::cli::{
    client::{Answer, Client},
    failure::{Failure, Result},
    input::read,
    screen::{Screen, cell},
};

/// A new connector.
#[derive(Args)]
pub struct Import {
    /// OpenAPI 3.0 or 3.1, Swagger 2.0 or Google Discovery; JSON or YAML; `-` is standard input
    file: String,
    /// The connector's id [default: made from the title]
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    names: Names,
}

/// A changed connector.
#[derive(Args)]
pub struct Update {
    /// The connector
    connector: String,
    /// A new document; `-` is standard input
    file: Option<String>,
    #[command(flatten)]
    names: Names,
}

/// What a document does not say, or says wrongly.
#[derive(Args)]
struct Names {
    /// Display name [default: the title]
    #[arg(long)]
    name: Option<String>,
    /// Where the API is [default: the document's first server]
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

impl Names {
    fn query(&self) -> [(&'static str, Option<&str>); 2] {
        [("name", self.name.as_deref()), ("baseUrl", self.base_url.as_deref())]
    }
}

impl Import {
    /// Runs the command.
    pub async fn run(self, client: &Client, screen: &Screen) -> Result {
        let [name, base_url] = self.names.query();
        let query = [("id", self.id.as_deref()), name, base_url];
        let answer = client.send(Method::POST, &["api", "connectors"], &query, Some(document(&self.file)?)).await?;
        show(screen, &answer, "Made")
    }
}

impl Update {
    /// Runs the command.
    pub async fn run(self, client: &Client, screen: &Screen) -> Result {
        let path = ["api", "connectors", &self.connector];
        let query = self.names.query();
        let answer = match &self.file {
            Some(file) => client.send(Method::PUT, &path, &query, Some(document(file)?)).await?,
            None => {
                let body: Map<String, Value> =
                    query.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
                if body.is_empty() {
                    return Err(Failure::usage("nothing to change: give a file, --name or --base-url"));
                }
                client.put(&path, &body.into()).await?
            }
        };
        show(screen, &answer, "Changed")
    }
}

/// A document with its content type: by the name of the file, else by how it begins. JSON is YAML too, but quicker to read.
pub fn document(file: &str) -> Result<(&'static str, Vec<u8>)> {
    let bytes = read(file)?;
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    let json = match extension.as_str() {
        "json" => true,
        "yaml" | "yml" => false,
        _ => bytes.trim_ascii_start().starts_with(b"{"),
    };
    Ok((if json { "application/json" } else { "application/yaml" }, bytes))
}

fn show(screen: &Screen, answer: &Answer, verb: &str) -> Result {
    if screen.json {
        return screen.line(answer.text());
    }
    let value = answer.value()?;
    let id = cell(&value, "id");
    let about = format!("{} with {} actions at {}", cell(&value, "name"), cell(&value, "actions"), cell(&value, "baseUrl"));
    screen.line(&format!("{verb} the connector {id}: {about}."))?;
    let list = |member: &str| value.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
    for warning in list("warnings") {
        screen.line(&format!("Warning: {}", super::plain(&warning)))?;
    }
    let omitted = list("omitted");
    if !omitted.is_empty() {
        let operations = if omitted.len() == 1 { "1 operation".to_owned() } else { format!("{} operations", omitted.len()) };
        screen.line(&format!("\nDid not become an action: {operations}\n"))?;
        screen.table(&["OPERATION", "REASON"], omitted.iter().map(|item| vec![cell(item, "operation"), cell(item, "reason")]).collect())?;
    }
    screen.line(&format!("\nNext: amalgam connectors actions {id}"))
}
