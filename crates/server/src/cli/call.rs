//! `amalgam call`: run an action.

use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    client::{Client, Connection, Session},
    failure::{Failure, Result},
    input::{arguments, object, typed},
    screen::pretty,
};

/// Run an action, and print what the platform answered.
#[derive(Args)]
#[command(after_help = "\
Examples:
  amalgam call slack conversations_list
  amalgam call slack chat_postMessage --param channel=C0123 --param text=\"Hello there\"
  amalgam call slack chat_postMessage --params '{\"channel\": \"C0123\", \"text\": \"Hello\"}'
  amalgam call slack users_list --limit 20
  amalgam call notion post-database-query --params - --user ann < query.json

A --param is text where the action takes text (quotes of a JSON string go), else JSON: numbers, true, false, '[1, 2]', '{\"a\": 1}'.
`amalgam connectors action CONNECTOR ACTION` shows what an action takes.")]
pub struct Call {
    /// The connector
    connector: String,
    /// Its action
    action: String,
    /// One argument
    #[arg(long = "param", value_name = "NAME=VALUE", conflicts_with = "params")]
    param: Vec<String>,
    /// All arguments: a JSON object, a file with one, or `-`
    #[arg(long, value_name = "JSON|FILE")]
    params: Option<String>,
    /// Which of the user's credentials [default: the only one, else the newest]
    #[arg(long, value_name = "ID")]
    credential: Option<String>,
    /// At most so many items of the answer's list: 1 to 1,000
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Go on where the answer before ended: its `nextCursor`
    #[arg(long, value_name = "TEXT")]
    cursor: Option<String>,
    /// A part of the answer alone: a JSON pointer
    #[arg(long, value_name = "POINTER")]
    part: Option<String>,
    /// Cut the answer to about so many tokens: 500 to 1,000,000
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
    /// Seconds that the platform has: 1 to 300
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=300))]
    timeout: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

/// The part of the answer that people ask for. Raw: it is printed as the platform wrote it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Executed<'a> {
    #[serde(borrow)]
    response_data: &'a RawValue,
    next_cursor: Option<&'a str>,
}

impl Call {
    /// Runs the command.
    pub fn run(self) -> Result {
        let arguments = match &self.params {
            Some(source) => object("--params", source)?,
            None => arguments(&self.param)?,
        };
        let mut body = json!({});
        if let Value::Object(members) = &mut body {
            members.extend(self.credential.map(|id| ("credentialId".to_owned(), id.into())));
            members.extend(self.limit.map(|limit| ("limit".to_owned(), limit.into())));
            members.extend(self.cursor.map(|cursor| ("cursor".to_owned(), cursor.into())));
            members.extend(self.part.map(|part| ("part".to_owned(), part.into())));
            members.extend(self.max_tokens.map(|tokens| ("maxTokens".to_owned(), tokens.into())));
            members.extend(self.timeout.map(|seconds| ("timeout".to_owned(), (u64::from(seconds) * 1000).into())));
        }
        let (connector, action, texts) = (self.connector, self.action, self.param);
        self.connection.run(|Session { client, screen }| async move {
            body["parameters"] = read_as_taken(&client, &connector, &action, arguments, &texts).await?.into();
            let answer = client.post(&["connectors", &connector, "actions", &action, "execute"], &body).await?;
            if screen.json {
                return screen.line(answer.text());
            }
            let executed: Executed<'_> = serde_json::from_str(answer.text())
                .map_err(|_| Failure::refused("the answer has no responseData").with_next("check --url"))?;
            let data = executed.response_data.get();
            // Pipes get the platform's own bytes.
            if screen.is_terminal() {
                screen.line(&pretty(data))?
            } else {
                screen.line(data)?
            };
            if let Some(cursor) = executed.next_cursor {
                screen.note(&format!("there is more: --cursor {cursor}"));
            }
            Ok(())
        })
    }
}

/// Reads the arguments that were given as text as the action's schema says. It is asked for only where a text could be something else.
async fn read_as_taken(
    client: &Client,
    connector: &str,
    action: &str,
    arguments: Map<String, Value>,
    texts: &[String],
) -> Result<Map<String, Value>> {
    if texts.is_empty() || arguments.values().all(Value::is_string) {
        return Ok(arguments);
    }
    let shown = client.get(&["connectors", connector, "actions", action], &[]).await?.value()?;
    typed(arguments, texts, &shown["action"]["inputSchema"])
}
