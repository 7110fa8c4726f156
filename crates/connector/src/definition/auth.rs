//! Ways to authenticate, as data.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::is_false;

/// One way to authenticate. `fields` are what a person enters; `send` is where they go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuthScheme {
    /// The `authenticationType` of the API.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// What kind of secret it is and where a person gets it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The base URL of calls with this scheme, where it is another one: Jira's, with OAuth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Descriptions of the fields, by name. Absent ones are added by kind: `apiKey`, `token`, `username` and `password`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub fields: IndexMap<String, Field>,
    /// Where the fields go, in one place or several. Empty: by kind (`bearer` and `oauth2`: `Authorization: Bearer {token}`;
    /// `basic`: `{username}:{password}`; `apiKey`: required).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub send: Vec<Placement>,
    /// Only for `oauth2`, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
}

/// The `authenticationType` literals of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AuthKind {
    /// OAuth 2.0 authorization code.
    #[serde(rename = "oauth2")]
    OAuth2,
    /// A key, or several, anywhere in the request.
    #[serde(rename = "apiKey")]
    ApiKey,
    /// `Authorization: Bearer`.
    #[serde(rename = "bearer")]
    Bearer,
    /// `Authorization: Basic`.
    #[serde(rename = "basic")]
    Basic,
}

/// One field that a person enters for a credential.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What it is and where a person finds it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Not required when true; what holds it is left out when it is not given.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// No secret, such as an e-mail address: it may stand in answers. Without a secret beside it, it counts as one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public: bool,
    /// The shape of a real value, never a real one: `xoxb-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
}

/// One place in a request that fields of a credential go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Which part of the request.
    #[serde(rename = "in")]
    pub place: SecretPlace,
    /// Name of the header, the query parameter, the member of the body, or the `{name}` in the paths of actions. None for `basic`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What is sent: text in which `{field}` and `{variable}` are replaced, such as `Bot {token}`.
    pub value: String,
}

/// Where a secret may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SecretPlace {
    /// A request header.
    Header,
    /// The header of basic authentication (RFC 7617); `value` is user name, colon, password: `{email}/token:{apiKey}`.
    Basic,
    /// A query parameter.
    Query,
    /// A segment, or a part of one, in the path of an action: `/bot{token}/sendMessage` (Telegram).
    Path,
    /// A member of a JSON, form or multipart body (Mailchimp Transactional's `key`).
    Body,
}

/// What the authorization code flow needs to know of a platform. URLs may hold variables: `https://{subdomain}.zendesk.com/…`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Where the user consents.
    pub authorize_url: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: String,
    /// Where a token is revoked (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_url: Option<String>,
    /// Who the platform says it is with the code, in `iss` (RFC 9207). When this is set, an answer that names another issuer or none is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The scopes that the actions need, with what each permits.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub scopes: IndexMap<String, String>,
    /// Those asked for when nobody names others. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
    /// What stands between scopes. Absent: a space (RFC 6749 section 3.3); Slack and Linear have a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_separator: Option<String>,
    /// The parameter that carries the scopes. Absent: `scope`; Slack's for user tokens is `user_scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_parameter: Option<String>,
    /// Further parameters of `authorize_url`: Google's `access_type = "offline"`, Atlassian's `audience`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub authorize_params: IndexMap<String, String>,
    /// How the client authenticates at `token_url`.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// How requests to `token_url` are written.
    #[serde(default)]
    pub token_body: TokenBody,
    /// Where the parts of the answer of `token_url` are, if not where RFC 6749 puts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_answer: Option<TokenAnswer>,
    /// What becomes of refresh tokens.
    #[serde(default)]
    pub refresh: Refresh,
    /// Seconds that a token lives, where the answer does not say (Salesforce).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u64>,
}

/// How the client authenticates at the token URL (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Body,
    /// In the header of basic authentication (Notion, Airtable, Xero).
    Basic,
}

/// How requests to the token URL are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TokenBody {
    /// As a form, which RFC 6749 prescribes.
    #[default]
    Form,
    /// As JSON (Notion).
    Json,
}

/// JSON pointers into the answer of the token URL. Absent ones are where RFC 6749 section 5.1 puts them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenAnswer {
    /// The access token: Slack's `/authed_user/access_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Seconds until the token expires, a number or its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// The scopes that were granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Values of `token_type` beside `Bearer` that mean the same: Slack's `bot` and `user`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
}

/// What becomes of a refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Refresh {
    /// It stays good; a new one replaces it when the answer has one.
    #[default]
    Kept,
    /// Each use gives a new one and ends the old one, so two refreshes must not run at once (Jira, Xero, Airtable).
    Rotated,
    /// There is none; when the token ends, the user consents again (ClickUp, Mailchimp: it never ends).
    None,
}

impl AuthKind {
    /// The literal of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::ApiKey => "apiKey",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }
}
