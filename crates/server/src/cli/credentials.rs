//! `amalgam credentials`: users' own secrets for platforms. They go in and never come out.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    client::{Client, Session},
    failure::{Failure, Result},
    input::{pair, secret},
    screen::{Column, Screen, cell, plain, pretty},
};

/// Of lists of credentials.
pub const LIST: &[Column] =
    &[("CREDENTIAL", "credentialId"), ("NAME", "name"), ("TYPE", "type"), ("CREATED", "createdAt"), ("UPDATED", "updatedAt")];

/// What to do with credentials. They are the key's own user's, or --user's.
#[derive(Subcommand)]
pub enum Credentials {
    /// List credentials for a connector, newest first; never their secrets
    #[command(after_help = "Example:\n  amalgam credentials list slack --user ann")]
    List {
        /// The connector
        connector: String,
    },
    /// Say what a connector wants: types and fields
    #[command(after_help = "Example:\n  amalgam credentials metadata slack")]
    Metadata {
        /// The connector
        connector: String,
    },
    /// Keep a credential
    #[command(after_help = "\
Examples:
  amalgam credentials create slack --type bearer --field token=-        (asks, or reads a line of standard input)
  amalgam credentials create jira --type basic --field username=ann --field password=@password.txt --field site=example
  amalgam credentials create github --type bearer --field token=- --user ann
  amalgam credentials create slack --type oauth2 --user ann             (shows the address at which Ann consents)

A secret on a command line can be seen by other processes; `-` and `@FILE` keep it from them.
`amalgam credentials metadata CONNECTOR` lists types and fields.")]
    Create(Create),
    /// Delete a credential
    #[command(after_help = "Example:\n  amalgam credentials delete slack 6565a1b2c3d4e5f6a7b8c9d0")]
    Delete {
        /// The connector
        connector: String,
        /// Its id
        credential_id: String,
    },
}

/// A new credential.
#[derive(Args)]
pub struct Create {
    /// The connector
    connector: String,
    /// `oauth2`, `apiKey`, `bearer` or `basic`
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// A field: the value itself, `@FILE`, or `-` to be asked for it
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// To tell it from others
    #[arg(long)]
    name: Option<String>,
}

impl Credentials {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            Self::List { connector } => {
                screen.list(&client.get(&["connectors", &connector, "credentials"], &[]).await?, "credentials", LIST)
            }
            Self::Metadata { connector } => metadata(&client, &screen, &connector).await,
            Self::Create(create) => create.run(&client, &screen).await,
            Self::Delete { connector, credential_id } => {
                let answer = client.delete(&["connectors", &connector, "credentials", &credential_id]).await?;
                screen.said(&answer, &format!("Deleted the credential {credential_id}."))
            }
        }
    }
}

impl Create {
    async fn run(self, client: &Client, screen: &Screen) -> Result {
        let mut data = Map::new();
        for field in &self.fields {
            let (name, value) = pair("--field", field)?;
            if data.insert(name.to_owned(), secret(name, value).await?.into()).is_some() {
                return Err(Failure::usage(format!("the field `{name}` is given twice")));
            }
        }
        let mut body = json!({ "authenticationType": self.kind, "data": data });
        if let (Some(name), Value::Object(members)) = (self.name, &mut body) {
            members.insert("name".to_owned(), name.into());
        }
        let answer = client.post(&["connectors", &self.connector, "credentials"], &body).await?;
        match answer.value()?.get("oauthUrl").and_then(Value::as_str).filter(|_| !screen.json) {
            Some(url) => screen.line(&format!("Open this in the user's browser within ten minutes:\n\n  {url}")),
            None => screen.details(&answer, LIST),
        }
    }
}

async fn metadata(client: &Client, screen: &Screen, connector: &str) -> Result {
    let answer = client.get(&["connectors", connector, "credentials", "metadata"], &[]).await?;
    if screen.json {
        return screen.line(answer.text());
    }
    let value = answer.value()?;
    let kinds = value.get("metadata").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if kinds.is_empty() {
        return screen.line("This connector needs no credential.");
    }
    let mut rows = Vec::new();
    for kind in kinds {
        let data = kind.pointer("/inputSchema/properties/data").unwrap_or(&Value::Null);
        let required = data.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let name = cell(kind, "authenticationType");
        let fields = data.get("properties").and_then(Value::as_object).filter(|fields| !fields.is_empty());
        if fields.is_none() {
            rows.push(vec![name.clone(), "-".to_owned(), "-".to_owned(), cell(kind, "description")]);
        }
        for (field, schema) in fields.into_iter().flatten() {
            let needed = required.iter().any(|required| required.as_str() == Some(field));
            rows.push(vec![
                name.clone(),
                plain(&field.as_str().into()),
                (if needed { "yes" } else { "no" }).to_owned(),
                cell(schema, "description"),
            ]);
        }
    }
    screen.table(&["TYPE", "FIELD", "REQUIRED", "DESCRIPTION"], rows)?;
    for kind in kinds {
        let sample = kind.get("sampleInput").map(Value::to_string).unwrap_or_default();
        screen.line(&format!("\nSample for {}:\n{}", cell(kind, "authenticationType"), pretty(&sample)))?;
    }
    Ok(())
}
