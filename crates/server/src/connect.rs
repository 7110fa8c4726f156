//! Connecting a user to a platform: from what a person entered to a sealed credential. MCP and REST both come here.

use amalgam_connector::{
    Connector,
    definition::{AuthKind, AuthScheme, Definition, Variable},
    describe,
    plan::judge_credential,
    variables::judge,
};
use amalgam_policy::Decision;
use amalgam_vault::Secret;
use http::StatusCode;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    auth::Caller,
    call::{Door, Opened},
    catalogue,
    error::{Error, Result},
    store::{
        Scope,
        audit::{Entry, shown},
        credentials::Credential,
    },
};

/// Longest value of a field, in bytes.
const MAX_VALUE: usize = 64 * 1024;

/// A wish for a credential.
pub struct NewCredential<'a> {
    /// For which platform.
    pub connector_id: &'a str,
    /// For which user; absent = the effective one.
    pub user: Option<&'a str>,
    /// `authenticationType` as it came.
    pub kind: &'a str,
    /// `fields` (`data`): the secret's fields and the connector's variables.
    pub values: Map<String, Value>,
    /// Display name; absent = made from the connector's.
    pub name: Option<&'a str>,
    /// Through which door.
    pub door: Door,
    /// As in the answer's `x-request-id`.
    pub request_id: &'a str,
}

/// Checks what a person entered and keeps it sealed. A refusal is audited as well.
///
/// # Errors
/// A sentence that names the field. Never one that repeats a value.
pub async fn create(app: &App, caller: &Caller, new: NewCredential<'_>) -> Result<Credential> {
    let mut entry = caller.entry(new.door.as_str(), "credential.create", new.request_id);
    entry.connector_id = Some(shown(new.connector_id));
    let kept = match new.user.map_or_else(|| Ok(caller.scope.clone()), |user| caller.scope_of(user)) {
        Ok(scope) => {
            entry.user_id = scope.user.to_string();
            keep(app, caller, &scope, new).await
        }
        Err(error) => Err(error),
    };
    entry.target_id = kept.as_ref().ok().map(|credential| credential.id.clone());
    record(app, entry, kept).await
}

async fn keep(app: &App, caller: &Caller, scope: &Scope, new: NewCredential<'_>) -> Result<Credential> {
    let loaded = catalogue::resolve(&app.store, scope, caller.server.as_deref(), new.connector_id).await?;
    let definition = loaded.connector.definition();
    let scheme = scheme(definition, new.kind)?;
    let opened = sort(definition, scheme, new.values)?;
    judge_credential(definition, scheme, &opened.fields(), &opened.variables())
        .map_err(|error| Error::invalid(&format!("fields.{}", error.field.unwrap_or_default()), error.message))?;
    let name = match new.name {
        Some(name) if name.trim().is_empty() || name.chars().count() > 200 => {
            return Err(Error::invalid("name", "`name` must have 1 to 200 characters."));
        }
        Some(name) => name.to_owned(),
        None => format!("{} credential", definition.name),
    };
    let secret = Secret::new(serde_json::to_string(&opened).map_err(Error::internal)?);
    let credential = app.store.create_credential(scope, &definition.id, scheme.kind, &name, &secret).await?;
    // What was read without this credential, or with an older one, is another person's view now.
    app.reads.invalidate(scope, &definition.id);
    Ok(credential)
}

/// How to authenticate with a connector: `{metadata: [{authenticationType, available, inputSchema, …}]}`, what is available first.
pub fn metadata(connector: &Connector) -> Value {
    let mut described = describe::credential_metadata(connector);
    if let Some(ways) = described["metadata"].as_array_mut() {
        for way in ways.iter_mut() {
            let is_available = way["authenticationType"] != "oauth2";
            way["available"] = is_available.into();
            if !is_available {
                way["description"] = "Signing in by OAuth is not available on this server yet; use another way.".into();
            }
        }
        ways.sort_by_key(|way| way["available"] == false);
    }
    described
}

/// Removes a credential. A refusal is audited as well.
pub async fn delete(app: &App, caller: &Caller, connector_id: &str, id: &str, request_id: &str) -> Result<()> {
    let mut entry = caller.entry(Door::Rest.as_str(), "credential.delete", request_id);
    entry.connector_id = Some(shown(connector_id));
    entry.target_id = Some(shown(id));
    record(app, entry, remove(app, caller, connector_id, id).await).await
}

async fn remove(app: &App, caller: &Caller, connector_id: &str, id: &str) -> Result<()> {
    if let Some(server) = &caller.server
        && let Decision::Deny(denial) = server.restrictions.connector(connector_id)
    {
        return Err(Error::denied(denial));
    }
    if !app.store.delete_credential(&caller.scope, connector_id, id).await? {
        return Err(Error::not_found("credential"));
    }
    app.reads.invalidate(&caller.scope, connector_id);
    Ok(())
}

/// Leaves the entry of what was tried, whatever came of it.
async fn record<T>(app: &App, mut entry: Entry, result: Result<T>) -> Result<T> {
    entry.end(result.as_ref().map_or_else(|error| error.kind.status(), |_| StatusCode::OK));
    app.audit.record(entry).await;
    result
}

/// The connector's scheme of this `authenticationType`.
fn scheme<'a>(definition: &'a Definition, kind: &str) -> Result<&'a AuthScheme> {
    if definition.auth.is_empty() {
        let variables: Vec<&str> = definition.variables.keys().map(String::as_str).collect();
        let variables =
            if variables.is_empty() { String::new() } else { format!(", with `{}` among the arguments", variables.join("`, `")) };
        let sentence = format!("{} needs no credential: call its actions without one{variables}.", definition.name);
        return Err(Error::invalid("connectorId", sentence));
    }
    let offered: Vec<&str> = definition.auth.iter().map(|scheme| scheme.kind.as_str()).filter(|kind| *kind != "oauth2").collect();
    let offered = format!("`{}`", offered.join("`, `"));
    match definition.auth.iter().find(|scheme| scheme.kind.as_str() == kind) {
        Some(scheme) if scheme.kind == AuthKind::OAuth2 => Err(Error::invalid(
            "authenticationType",
            format!("Signing in by OAuth is not available on this server yet. {} also accepts {offered}.", definition.name),
        )),
        Some(scheme) => Ok(scheme),
        None => {
            Err(Error::invalid("authenticationType", format!("`authenticationType` must be one of {offered} for {}.", definition.name)))
        }
    }
}

/// Sorts values into the secret's fields and the connector's variables, and checks each.
fn sort(definition: &Definition, scheme: &AuthScheme, values: Map<String, Value>) -> Result<Opened> {
    let fields = scheme.all_fields();
    let variables: IndexMap<&str, &Variable> = definition.variables_of(scheme).collect();
    let known = || {
        let names: Vec<String> =
            fields.iter().map(|(name, _)| *name).chain(variables.keys().copied()).map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let mut opened = Opened { origin: definition.origin(Some(scheme)).to_owned(), ..Opened::default() };
    for (name, value) in values {
        let Value::String(text) = &value else {
            return Err(Error::invalid(&format!("fields.{name}"), format!("`{name}` must be a string.")));
        };
        if text.len() > MAX_VALUE || text.contains(['\r', '\n', '\0']) {
            let sentence = format!("`{name}` must be one line of at most {MAX_VALUE} bytes.");
            return Err(Error::invalid(&format!("fields.{name}"), sentence));
        }
        if let Some((_, field)) = fields.iter().find(|(field, _)| *field == name) {
            if text.is_empty() && !field.optional {
                return Err(Error::invalid(&format!("fields.{name}"), format!("`{name}` must not be empty.")));
            }
            opened.fields.insert(name, value);
        } else if let Some(variable) = variables.get(name.as_str()) {
            judge(&name, variable, text).map_err(|sentence| Error::invalid(&format!("fields.{name}"), sentence))?;
            opened.variables.insert(name, value);
        } else {
            let sentence = format!("`{name}` is not a field of this credential; it has {}.", known());
            return Err(Error::invalid(&format!("fields.{name}"), sentence));
        }
    }
    let missing: Vec<String> = fields
        .iter()
        .filter(|(name, field)| !field.optional && !opened.fields.contains_key(*name))
        .map(|(name, _)| *name)
        .chain(
            variables
                .iter()
                .filter(|(name, variable)| variable.is_required() && !opened.variables.contains_key(**name))
                .map(|(name, _)| *name),
        )
        .map(str::to_owned)
        .collect();
    if missing.is_empty() {
        return Ok(opened);
    }
    let sentence = format!("Missing in `fields`: `{}`. get_credential_metadata_alloy says what each one is.", missing.join("`, `"));
    Err(Error::invalid("fields", sentence).with_details(json!({ "field": "fields", "missing": missing })))
}
