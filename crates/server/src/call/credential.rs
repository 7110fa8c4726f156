//! Which credential a call uses, and the moment in which it is in the clear.

use std::sync::Arc;

use amalgam_connector::{
    CompiledAction, Connector,
    definition::{AuthKind, AuthScheme, Definition},
};
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    clock::now_ms,
    connectors::Loaded,
    error::{Error, Kind, Result},
    store::{
        Scope,
        credentials::{Credential, Opened, State},
    },
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
    let ways: Vec<String> = definition.auth.iter().map(|scheme| way(definition, scheme)).collect();
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
    // The token of OAuth comes from the platform; the user consents in a browser.
    let entered = scheme.field_names().filter(|_| scheme.kind != AuthKind::OAuth2);
    let fields: Vec<String> = entered
        .map(str::to_owned)
        .chain(definition.variables_of(scheme).filter(|(_, variable)| variable.is_required()).map(|(name, _)| name.to_owned()))
        .collect();
    let fields = if fields.is_empty() { String::new() } else { format!(" with fields {{{}}}", fields.join(", ")) };
    format!("authenticationType \"{}\"{fields}", scheme.kind.as_str())
}

impl Chosen {
    /// Has the credential renewed where it is due. What does not end, or not soon, costs one comparison.
    pub async fn renewed(&mut self, app: &App, scope: &Scope, loaded: &Arc<Loaded>) -> Result<()> {
        let due = |credential: &Credential| {
            credential.state == State::ReconnectRequired || credential.refresh_at.is_some_and(|at| at <= now_ms())
        };
        if self.authenticates
            && self.credential.as_ref().is_some_and(due)
            && let Some(credential) = self.credential.take()
        {
            self.credential = Some(Box::pin(app.grants.fresh(scope, loaded, credential)).await?);
        }
        Ok(())
    }

    /// Has the credential renewed after the platform refused it; false where there is no other token to try.
    pub async fn renewed_after_refusal(&mut self, app: &App, scope: &Scope, loaded: &Arc<Loaded>) -> Result<bool> {
        let Some(credential) = self.credential.as_ref().filter(|credential| self.authenticates && credential.auth_config.is_some()) else {
            return Ok(false);
        };
        let Some(fresh) = Box::pin(app.grants.after_refusal(scope, loaded, credential)).await? else { return Ok(false) };
        self.credential = Some(fresh);
        Ok(true)
    }

    /// The arguments of the action itself.
    pub fn arguments(&self) -> &Map<String, Value> {
        &self.arguments
    }

    /// All arguments as they came, variables included.
    pub fn into_arguments(self) -> Map<String, Value> {
        let mut arguments = self.arguments;
        arguments.extend(self.given);
        arguments
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
        let opened = app.store.open_credential(scope, credential)?;
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
