//! Where the secret of an OAuth client goes: decided when it is entered, so that who may change a connector does not get it sent elsewhere.

use amalgam_connector::definition::{Definition, OAuth2, Variable, VariableKind};
use serde_json::{Map, Value};

use super::scheme;
use crate::connectors::Loaded;

/// The variables that say to which host the secret of an OAuth client goes. Whoever could choose them could have the secret.
pub fn places<'a>(definition: &'a Definition, oauth2: &OAuth2) -> Vec<&'a str> {
    let addresses = [Some(&oauth2.authorize_url), Some(&oauth2.token_url), oauth2.revoke_url.as_ref()];
    let stands = |name: &str| addresses.into_iter().flatten().any(|address| address.contains(&format!("{{{name}}}")));
    let is_open = |variable: &Variable| matches!(variable.kind, VariableKind::Host | VariableKind::Url) && variable.choices.is_empty();
    definition.variables.iter().filter(|(name, variable)| is_open(variable) && stands(name)).map(|(name, _)| name.as_str()).collect()
}

/// All that decides where a client's secret goes, as one text: two that are equal lead to the same hosts. Of a built-in connector it is
/// only what the account has said, because the rest is the program's.
pub fn destination(loaded: &Loaded, said: &Map<String, Value>) -> String {
    let definition = loaded.connector.definition();
    let Some((_, oauth2)) = scheme(loaded) else { return String::new() };
    let mut text = String::new();
    for name in places(definition, oauth2) {
        let default = || definition.variables.get(name).and_then(|variable| variable.default.clone());
        let value = said.get(name).and_then(Value::as_str).map(str::to_owned).or_else(default).unwrap_or_default();
        text.push_str(&format!("{name}={value}\n"));
    }
    if loaded.is_builtin() {
        return text;
    }
    let addresses = [Some(&oauth2.token_url), oauth2.revoke_url.as_ref()];
    for address in addresses.into_iter().flatten() {
        text.push_str(&format!("{address}\n"));
        for (name, variable) in definition.variables.iter().filter(|(name, _)| address.contains(&format!("{{{name}}}"))) {
            text.push_str(&format!("{name}: {:?} {:?}\n", variable.kind, variable.choices));
        }
    }
    text
}
