//! `amalgam auth-configs`: the account's own OAuth clients at platforms, and where browsers may go after connecting.

use clap::{Subcommand, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};

use super::{client::Session, failure::Result, input::secret, screen::Column};

const LIST: &[Column] = &[
    ("AUTH CONFIG", "id"),
    ("CONNECTOR", "connectorId"),
    ("NAME", "name"),
    ("CLIENT ID", "clientId"),
    ("CLIENT AUTH", "clientAuth"),
    ("REDIRECT ADDRESS", "redirectUri"),
];

/// What to do with auth configs.
#[derive(Subcommand)]
pub enum AuthConfigs {
    /// List the OAuth clients
    #[command(after_help = "Example:\n  amalgam auth-configs list")]
    List,
    /// Enter an OAuth client, made at the platform
    #[command(after_help = "\
Examples:
  amalgam auth-configs create slack --client-id 123.456 --client-secret -
  amalgam auth-configs create board --client-id amalgam --private-key @key.pem --key-id k1")]
    Create {
        /// The connector
        connector_id: String,
        /// The client's id at the platform
        #[arg(long)]
        client_id: String,
        /// Its secret: itself, `@FILE`, or `-` to be asked for it
        #[arg(long, conflicts_with = "private_key")]
        client_secret: Option<String>,
        /// Instead: its private key in PEM, `@FILE`
        #[arg(long)]
        private_key: Option<String>,
        /// The `kid` under which the platform knows the key
        #[arg(long)]
        key_id: Option<String>,
        /// How the client proves itself [default: as the connector says]
        #[arg(long, value_parser = PossibleValuesParser::new(["post", "basic", "none", "private_key_jwt"]))]
        client_auth: Option<String>,
        /// Asked for instead of the connector's own
        #[arg(long, value_delimiter = ',')]
        scopes: Option<Vec<String>>,
        /// For people
        #[arg(long)]
        name: Option<String>,
    },
    /// Change the secret of an OAuth client
    #[command(after_help = "Example:\n  amalgam auth-configs set-secret ac_a1b2c3d4e5f6g7h8 --client-secret -")]
    SetSecret {
        /// Its id
        auth_config_id: String,
        /// The new secret: itself, `@FILE`, or `-` to be asked for it
        #[arg(long)]
        client_secret: String,
    },
    /// Delete an OAuth client; its users connect again when their tokens end
    #[command(after_help = "Example:\n  amalgam auth-configs delete ac_a1b2c3d4e5f6g7h8")]
    Delete {
        /// Its id
        auth_config_id: String,
    },
    /// Show or replace the addresses that browsers may be sent to after connecting
    #[command(after_help = "Example:\n  amalgam auth-configs redirect-uris https://app.example.com/connected")]
    RedirectUris {
        /// The whole list; without it, it is shown
        uris: Option<Vec<String>>,
    },
}

impl AuthConfigs {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            Self::List => screen.list(&client.get(&["api", "auth-configs"], &[]).await?, "authConfigs", LIST),
            Self::Create { connector_id, client_id, client_secret, private_key, key_id, client_auth, scopes, name } => {
                let mut body = Map::new();
                let texts = [
                    ("connectorId", Some(connector_id)),
                    ("clientId", Some(client_id)),
                    ("clientSecret", given("clientSecret", client_secret).await?),
                    ("privateKey", given("privateKey", private_key).await?),
                    ("keyId", key_id),
                    ("clientAuth", client_auth),
                    ("name", name),
                ];
                body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?)))));
                if let Some(scopes) = scopes {
                    body.insert("scopes".to_owned(), scopes.into());
                }
                screen.details(&client.post(&["api", "auth-configs"], &body.into()).await?, LIST)
            }
            Self::SetSecret { auth_config_id, client_secret } => {
                let body = json!({ "clientSecret": secret("clientSecret", &client_secret).await? });
                screen.details(&client.put(&["api", "auth-configs", &auth_config_id], &body).await?, LIST)
            }
            Self::Delete { auth_config_id } => {
                let answer = client.delete(&["api", "auth-configs", &auth_config_id]).await?;
                screen.said(&answer, &format!("Deleted the auth config {auth_config_id}."))
            }
            Self::RedirectUris { uris } => {
                let path = ["api", "redirect-uris"];
                let answer = match uris {
                    Some(uris) => client.put(&path, &json!({ "redirectUris": uris })).await?,
                    None => client.get(&path, &[]).await?,
                };
                screen.line(answer.text())
            }
        }
    }
}

/// A secret that may be absent.
async fn given(name: &str, text: Option<String>) -> Result<Option<String>> {
    match text {
        Some(text) => secret(name, &text).await.map(Some),
        None => Ok(None),
    }
}
