//! `amalgam connectors record`: a real call becomes a case. The request in it is planned anew with stand-ins for the secrets, so that the real
//! ones never were in it; the answer is searched for them.

use std::{collections::BTreeMap, path::PathBuf};

use amalgam_connector::definition::{AuthScheme, Definition};
use clap::Args;
use http::header::CONTENT_TYPE;
use ipnet::IpNet;
use serde_json::{Map, Value};

use super::{
    case::{self, Answer, Case, FOLDER},
    replay::{self, bounds, pairs, planned, replay},
    test::{came_out, write},
};
use crate::{
    call::exchange::exchange,
    cli::{
        failure::{Failure, Result},
        input::{arguments, object, pair, secret, typed},
        screen::{Screen, shell_word},
    },
    connectors::folder,
    egress::{Egress, EgressConfig, Incoming},
    scrub,
};

/// What stands in the place of what is cut out.
const REMOVED: &str = "[removed]";
/// Shorter secrets cannot be told from other text in an answer.
const SHORTEST: usize = 8;
/// Headers of an answer that mean something to the engine, beside those that the connector names.
const HEADERS: [&str; 4] = ["content-type", "link", "retry-after", "cache-control"];

/// The call.
#[derive(Args)]
pub struct Record {
    /// The connector's folder, or its connector.toml
    path: PathBuf,
    /// The action to call
    action: String,
    /// An argument: text where the action takes text (quotes of a JSON string go), else JSON
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// All arguments: a JSON object, a file with one, or `-`
    #[arg(long, value_name = "JSON", conflicts_with = "param")]
    params: Option<String>,
    /// The way to authenticate [default: the connector's first one]
    #[arg(long, value_name = "TYPE")]
    auth: Option<String>,
    /// A field of the credential: name=@FILE, or name=- to be asked for it
    #[arg(long, value_name = "NAME=VALUE")]
    field: Vec<String>,
    /// A variable of the connector: name=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    variable: Vec<String>,
    /// A further text to cut out of the answer, or @FILE with it; such as a customer's name
    #[arg(long, value_name = "TEXT")]
    hide: Vec<String>,
    /// Name of the case [default: the action's id]
    #[arg(long)]
    name: Option<String>,
    /// Replace a case of that name
    #[arg(long)]
    force: bool,
    /// Private or loopback ranges that may be called: `127.0.0.1/32` for a server on this machine
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    egress_allow: Vec<IpNet>,
}

impl Record {
    /// Runs the command.
    pub async fn run(self, screen: &Screen) -> Result {
        let file = case::definition(&self.path);
        let (_, connector) = folder::read(&file).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            Failure::refused(format!("{} cannot be used: {first}", file.display()))
                .with_next(format!("amalgam connectors lint {}", shell_word(&self.path.display().to_string())))
        })?;
        let target = self.target(&file)?;
        let action = replay::action(&connector, &self.action)?;
        let scheme = replay::scheme(connector.definition(), action, self.auth.as_deref())?;
        let secrets = self.secrets(scheme).await?;
        let variables = self.variables(connector.definition())?;
        let mut case = Case {
            action: self.action.clone(),
            authentication_type: scheme.filter(|_| self.auth.is_some()).map(|scheme| scheme.kind.as_str().to_owned()),
            variables: variables.iter().cloned().collect(),
            arguments: self.arguments(&connector.input_schema(action))?,
            request: None,
            answer: None,
            result: None,
            error: None,
        };
        let sent = planned(&connector, action, &case, scheme, (&pairs(&secrets), &pairs(&variables))).map_err(Failure::refused)?;
        let mut hidden = self.hidden()?;
        hidden.extend(sent.secrets.iter().cloned());
        // What an argument says that is a secret by its name is cut out before anything is written down.
        for (name, value) in &mut case.arguments {
            clean(name, value, &mut hidden);
        }
        let config = EgressConfig { allow: self.egress_allow.clone(), ..EgressConfig::default() };
        let egress = Egress::new(config).map_err(|e| Failure::refused(format!("cannot set up TLS: {e}")))?;
        let incoming = exchange(&egress, sent, scheme.is_some(), bounds()).await.map_err(|error| {
            Failure::refused(error.message.into_owned()).with_next("--egress-allow 127.0.0.1/32 lets it call a server on this machine")
        })?;
        let status = incoming.status;
        case.answer = Some(answer(connector.definition(), incoming, &mut hidden)?);
        let outcome = replay(&connector, &case).await?;
        let case = came_out(&case, outcome);
        let text = case.text();
        if let Some(left) = hidden.iter().find(|hidden| hidden.len() >= SHORTEST && text.contains(hidden.as_str())) {
            let shown: String = left.chars().take(2).collect();
            return Err(Failure::refused(format!("a secret that begins with {shown:?} would stand in the case; nothing was written")));
        }
        std::fs::create_dir_all(target.parent().unwrap_or(&target))
            .map_err(|e| Failure::refused(format!("cannot make the folder of {}: {e}", target.display())))?;
        write(&target, &case)?;
        if screen.json {
            return screen.line(&text);
        }
        screen.line(&format!("{} answered {status}; recorded in {}", connector.definition().name, target.display()))?;
        if let Some(error) = &case.error {
            screen.note(&format!("A model reads: {error}"));
        }
        screen.note("Look it over before you share it: what is private in the answer only you can tell.");
        screen.line(&format!("\nNext: amalgam connectors test {}", shell_word(&self.path.display().to_string())))
    }

    /// The fields of the credential, each judged: none that is missing, unknown, or too short to be found again.
    async fn secrets(&self, scheme: Option<&AuthScheme>) -> Result<Vec<(String, String)>> {
        let mut secrets = Vec::new();
        for text in &self.field {
            let (name, value) = pair("--field", text)?;
            secrets.push((name.to_owned(), secret(name, value).await?));
        }
        if let Some(scheme) = scheme {
            let fields = scheme.all_fields();
            for (name, field) in &fields {
                let given = secrets.iter().find(|(given, _)| given == name);
                if given.is_none() && !field.optional {
                    return Err(
                        Failure::usage(format!("`{name}` is missing: {}", field.description)).with_next(format!("add --field {name}=-"))
                    );
                }
                // What is public is no secret; what is too short cannot be searched for.
                if !field.public && given.is_some_and(|(_, value)| value.len() < SHORTEST) {
                    let sentence =
                        format!("`{name}` is shorter than {SHORTEST} characters: it could not be told from other text in the answer");
                    return Err(Failure::refused(sentence).with_next("record with another secret"));
                }
            }
            if let Some((name, _)) = secrets.iter().find(|(name, _)| !fields.iter().any(|(known, _)| known == name)) {
                return Err(Failure::usage(format!("a credential of this kind has no field `{name}`")));
            }
        } else if let Some((name, _)) = secrets.first() {
            return Err(Failure::usage(format!("the action sends no credential; leave --field {name} out")));
        }
        Ok(secrets)
    }

    /// Where the case goes.
    fn target(&self, definition: &std::path::Path) -> Result<PathBuf> {
        let name = self.name.as_deref().unwrap_or(&self.action);
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name: String = name.chars().map(|c| if fits(c) { c } else { '-' }).take(100).collect();
        let path = definition.with_file_name(FOLDER).join(format!("{}.json", name.trim_start_matches('.')));
        if path.exists() && !self.force {
            return Err(Failure::refused(format!("there is a case {} already", path.display()))
                .with_next("add --name NAME, or --force to replace it"));
        }
        Ok(path)
    }

    fn arguments(&self, schema: &Value) -> Result<Map<String, Value>> {
        if let Some(params) = &self.params {
            return object("--params", params);
        }
        typed(arguments(&self.param)?, &self.param, schema)
    }

    /// Given ones, and defaults.
    fn variables(&self, definition: &Definition) -> Result<Vec<(String, String)>> {
        let mut given = BTreeMap::new();
        for text in &self.variable {
            let (name, value) = pair("--variable", text)?;
            if !definition.variables.contains_key(name) {
                return Err(Failure::usage(format!("the connector has no variable `{name}`")));
            }
            given.insert(name.to_owned(), value.to_owned());
        }
        for (name, variable) in &definition.variables {
            if !given.contains_key(name) && variable.is_required() {
                return Err(Failure::usage(format!("the variable `{name}` is missing: {}", variable.description))
                    .with_next(format!("add --variable {name}=VALUE")));
            }
        }
        Ok(given.into_iter().collect())
    }

    fn hidden(&self) -> Result<Vec<String>> {
        let mut hidden = Vec::new();
        for text in &self.hide {
            let text = match text.strip_prefix('@') {
                Some(file) => String::from_utf8_lossy(&crate::cli::input::read(file)?).trim().to_owned(),
                None => text.clone(),
            };
            if text.len() < SHORTEST {
                return Err(Failure::usage(format!("--hide takes texts of {SHORTEST} characters or more: shorter ones stand everywhere")));
            }
            hidden.push(text);
        }
        Ok(hidden)
    }
}

/// The answer without what nobody else should read.
fn answer(definition: &Definition, mut incoming: Incoming, hidden: &mut Vec<String>) -> Result<Answer> {
    let kind = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if let Some(mut value) = case::body(&incoming.body, &kind).filter(|value| value.is_object() || value.is_array()) {
        // What the platform itself calls a secret: new tokens, keys, sessions.
        clean("", &mut value, hidden);
    }
    scrub::scrub(&mut incoming.body, hidden);
    let mut body = case::body(&incoming.body, &kind);
    if let Some(value) = &mut body {
        clean("", value, &mut Vec::new());
    }
    let limit = definition.rate_limit.as_ref();
    let named =
        limit.iter().flat_map(|limit| [&limit.reset_header, &limit.remaining_header]).flatten().map(|name| name.to_ascii_lowercase());
    let wanted: Vec<String> = HEADERS.iter().map(|name| (*name).to_owned()).chain(named).collect();
    let mut headers = BTreeMap::new();
    for (name, value) in incoming.headers.iter().filter(|(name, _)| wanted.iter().any(|wanted| name.as_str() == wanted)) {
        let text = scrub::scrub_text(value.as_bytes(), hidden);
        headers.insert(name.as_str().to_owned(), String::from_utf8_lossy(&text).into_owned());
    }
    Ok(Answer { status: incoming.status.as_u16(), headers, body })
}

/// Cuts out what a member's name calls a secret, and remembers it, so that it is found elsewhere too.
fn clean(name: &str, value: &mut Value, hidden: &mut Vec<String>) {
    match value {
        Value::String(text) if is_secret(name) && !text.is_empty() => {
            if text.len() >= SHORTEST && text != REMOVED {
                hidden.push(text.clone());
            }
            *text = REMOVED.to_owned();
        }
        Value::Number(_) if is_secret(name) => *value = REMOVED.into(),
        Value::Array(items) => items.iter_mut().for_each(|item| clean(name, item, hidden)),
        Value::Object(members) => members.iter_mut().for_each(|(name, member)| clean(name, member, hidden)),
        _ => {}
    }
}

/// Names under which platforms give secrets away, in any spelling. `next_page_token` is none.
fn is_secret(name: &str) -> bool {
    const WHOLE: [&str; 9] = ["token", "secret", "authorization", "cookie", "setcookie", "session", "sessionid", "pin", "passcode"];
    const END: [&str; 10] =
        ["password", "passwd", "clientsecret", "apikey", "apitoken", "accesstoken", "refreshtoken", "idtoken", "privatekey", "secretkey"];
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    WHOLE.contains(&plain.as_str()) || END.iter().any(|end| plain.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["access_token", "refreshToken", "Set-Cookie", "X-Api-Key", "client_secret", "new_password", "token"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["next_page_token", "nextPageToken", "key", "id", "secretary", "tokens_used", ""] {
            assert!(!is_secret(name), "{name}");
        }
        let (mut value, mut hidden) = (json!({ "a": [{ "password": "hunter-22" }], "pin": 1234, "name": "x" }), Vec::new());
        clean("", &mut value, &mut hidden);
        assert_eq!(value, json!({ "a": [{ "password": "[removed]" }], "pin": "[removed]", "name": "x" }));
        assert_eq!(hidden, ["hunter-22"]);
    }
}
