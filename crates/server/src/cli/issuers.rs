//! `amalgam issuers`: whose signatures on user tokens the account believes.

use clap::Subcommand;
use serde_json::{Map, Value};

use super::{client::Session, failure::Result, input::secret, screen::Column};

const LIST: &[Column] =
    &[("ISSUER ID", "id"), ("ISSUER", "issuer"), ("AUDIENCE", "audience"), ("USER CLAIM", "userClaim"), ("CREATED", "createdAt")];

/// What to do with issuers.
#[derive(Subcommand)]
pub enum Issuers {
    /// List the issuers
    #[command(after_help = "Example:\n  amalgam issuers list")]
    List,
    /// Believe an issuer's user tokens (x-alloy-user-token)
    #[command(
        after_help = "Examples:\n  amalgam issuers create --issuer https://app.example.com --secret @secret.txt --audience mcp\n  amalgam issuers create --issuer https://id.example.com --jwks-url https://id.example.com/keys"
    )]
    Create {
        /// Must equal the token's `iss`; without it only tokens that have none are meant
        #[arg(long)]
        issuer: Option<String>,
        /// The HS256 secret, 32 bytes or more: itself, `@FILE`, or `-` to be asked for it
        #[arg(long, required_unless_present = "jwks_url", conflicts_with = "jwks_url")]
        secret: Option<String>,
        /// Instead: where its public keys are
        #[arg(long, value_name = "URL")]
        jwks_url: Option<String>,
        /// Must be in the token's `aud`
        #[arg(long)]
        audience: Option<String>,
        /// The claim that names the user [default: userId, else sub]
        #[arg(long, value_name = "NAME")]
        user_claim: Option<String>,
    },
    /// Stop believing an issuer: its tokens stop working at once
    #[command(after_help = "Example:\n  amalgam issuers delete iss_a1b2c3d4e5f6")]
    Delete {
        /// Its id
        issuer_id: String,
    },
}

impl Issuers {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            Self::List => screen.list(&client.get(&["api", "jwt-issuers"], &[]).await?, "issuers", LIST),
            Self::Create { issuer, secret: given, jwks_url, audience, user_claim } => {
                let secret = match given {
                    Some(given) => Some(secret("secret", &given).await?),
                    None => None,
                };
                let fields =
                    [("issuer", issuer), ("secret", secret), ("jwksUrl", jwks_url), ("audience", audience), ("userClaim", user_claim)];
                let body: Map<String, Value> =
                    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
                screen.details(&client.post(&["api", "jwt-issuers"], &body.into()).await?, LIST)
            }
            Self::Delete { issuer_id } => {
                let answer = client.delete(&["api", "jwt-issuers", &issuer_id]).await?;
                screen.said(&answer, &format!("Deleted the issuer {issuer_id}."))
            }
        }
    }
}
