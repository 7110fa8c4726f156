//! Which credential a call uses, and the moment in which it is in the clear.

use std::sync::Arc;

use amalgam_connector::{
    CompiledAction, Connector,
    definition::{AuthKind, AuthScheme, Definition},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    error::{Error, Kind, Result},
    store::{Scope, credentials::Credential},
};

/// What a call authenticates with, its secret still sealed.
pub struct Chosen {
    /// The account's variables come from here; its secret is sent only when the action authenticates.
    credential: Option<Credential>,
    authenticates: bool,
    picked: bool,
    arguments: Map<String, Value>,
    given: Map<String, Value>,
}

/// What is sealed in a credential.
#[derive(Default, Deserialize, serde::Serialize)]
pub struct Opened {
    /// What a person entered: `{token}`, `{apiKey}`, `{username, password}`.
    pub fields: Map<String, Value>,
    /// Where the platform is for this person.
    pub variables: Map<String, Value>,
    /// The origin of the connector when the secret was entered; it is sent nowhere else.
    pub origin: String,
}

/// Chooses: the named credential, else the user's only one, else the newest.
pub async fn choose(
    app: &App,
    scope: &Scope,
    connector: &Connector,
    action: &CompiledAction,
    credential_id: Option<&str>,
    arguments: Map<String, Value>,
) -> Result<Chosen> {
    let definition = connector.definition();
    let authenticates = action.action.auth && !definition.auth.is_empty();
    let mut chosen = Chosen { credential: None, authenticates, picked: false, arguments, given: Map::new() };
    if !authenticates && definition.variables.is_empty() {
        return Ok(chosen);
    }
    let credentials = app.store.credentials(scope, &definition.id).await?;
    chosen.credential = match credential_id {
        Some(id) => Some(named(&credentials, id, definition)?),
        None => credentials.iter().find(|credential| !authenticates || fits(definition, credential)).cloned(),
    };
    chosen.picked = credential_id.is_none() && credentials.len() > 1;
    if authenticates {
        // A credential of a kind that the connector no longer knows could not be sent, and the call must not go out without.
        return if chosen.scheme(connector).is_some() { Ok(chosen) } else { Err(missing(definition)) };
    }
    // Nothing secret is sent here.
    // So the caller may say where the platform is. Then the stored credential stays closed: its variables would follow.
    for (name, _) in definition.variables_as_arguments(&action.action) {
        match chosen.arguments.shift_remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) => drop(chosen.given.insert(name.to_owned(), value.into())),
            Some(_) => return Err(Error::invalid(name, format!("`{name}` must be a string."))),
        }
    }
    if !chosen.given.is_empty() {
        chosen.credential = None;
    }
    Ok(chosen)
}

fn fits(definition: &Definition, credential: &Credential) -> bool {
    definition.auth.iter().any(|scheme| scheme.kind == credential.kind)
}

fn named(credentials: &Arc<[Credential]>, id: &str, definition: &Definition) -> Result<Credential> {
    credentials.iter().find(|credential| credential.id == id).cloned().ok_or_else(|| {
        let sentence = format!(
            "Credential not found: you have no credential with this id for \"{}\". List yours with get_credentials_alloy, or leave \
             `credentialId` out to use your newest one.",
            definition.id
        );
        Error::new(Kind::CredentialNotFound, sentence).with_details(json!({ "field": "credentialId" }))
    })
}

fn missing(definition: &Definition) -> Error {
    let ways: Vec<String> =
        definition.auth.iter().filter(|scheme| scheme.kind != AuthKind::OAuth2).map(|scheme| way(definition, scheme)).collect();
    let how = if ways.is_empty() { "see get_credential_metadata_alloy".to_owned() } else { ways.join(" or ") };
    Error::new(
        Kind::CredentialNotFound,
        format!(
            "Credential not found: you have no credential for {}. Create one with create_credential_alloy (connectorId \"{}\", {how}), then call \
             this action again. get_credential_metadata_alloy says what each field is.",
            definition.name, definition.id
        ),
    )
    .with_details(json!({ "connectorId": definition.id }))
}

fn way(definition: &Definition, scheme: &AuthScheme) -> String {
    let fields: Vec<String> = scheme
        .field_names()
        .map(str::to_owned)
        .chain(definition.variables_of(scheme).filter(|(_, variable)| variable.is_required()).map(|(name, _)| name.to_owned()))
        .collect();
    format!("authenticationType \"{}\" with fields {{{}}}", scheme.kind.as_str(), fields.join(", "))
}

impl Chosen {
    /// The arguments of the action itself.
    pub fn arguments(&self) -> &Map<String, Value> {
        &self.arguments
    }

    /// Variables that came with the arguments.
    pub fn given(&self) -> &Map<String, Value> {
        &self.given
    }

    /// The credential that is sent, if one is.
    pub fn id(&self) -> Option<&str> {
        self.credential.as_ref().map(|credential| credential.id.as_str())
    }

    /// The credential that was picked although the user has several and named none.
    pub fn picked(&self) -> Option<String> {
        self.id().filter(|_| self.picked && self.authenticates).map(str::to_owned)
    }

    /// How the credential is sent; `None` when none is.
    pub fn scheme<'c>(&self, connector: &'c Connector) -> Option<&'c AuthScheme> {
        let kind = self.credential.as_ref().filter(|_| self.authenticates)?.kind;
        connector.definition().auth.iter().find(|scheme| scheme.kind == kind)
    }

    /// Opens the secret. Only where the request is about to be sent.
    pub fn open(&self, app: &App, scope: &Scope, definition: &Definition) -> Result<Opened> {
        let Some(credential) = &self.credential else {
            return Ok(Opened { variables: self.given.clone(), ..Opened::default() });
        };
        let secret = app.store.open_credential(scope, credential)?;
        let opened: Opened =
            serde_json::from_str(secret.expose()).map_err(|_| Error::internal("a credential holds something else than JSON"))?;
        let scheme = definition.auth.iter().find(|scheme| scheme.kind == credential.kind);
        if opened.origin != definition.origin(scheme) {
            let sentence = format!(
                "Credential not found: the address of {} has changed since this credential was entered, so it is not sent there. Create a new \
                 one with create_credential_alloy.",
                definition.name
            );
            return Err(Error::new(Kind::CredentialNotFound, sentence).with_details(json!({ "connectorId": definition.id })));
        }
        Ok(opened)
    }
}

impl Opened {
    /// Fields and variables as text.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        pairs(&self.fields)
    }

    /// Fields and variables as text.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        pairs(&self.variables)
    }
}

fn pairs(map: &Map<String, Value>) -> Vec<(&str, &str)> {
    map.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}
