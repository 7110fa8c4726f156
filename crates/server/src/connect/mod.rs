//! Connecting a user to a platform: from what a person entered, or consented to, to a sealed credential. MCP, REST and the pages for
//! browsers all come here.

pub mod browser;
mod consent;
mod lead;
mod link;
mod upstream;

use amalgam_connector::{
    Connector,
    definition::{AuthKind, AuthScheme, Definition, Field, Variable},
    describe,
    plan::judge_credential,
    variables::judge,
};
use amalgam_policy::Decision;
use http::StatusCode;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

pub use self::{
    consent::{Sent, begin, callback, consent_url, finish, next},
    lead::{LEAD, lead, lead_user},
    link::{Asked, Input, Link, Opening, check_place, enter, open, redirect_uri},
    upstream::{SignIn, begin_sign_in, check_sign_in, finish_sign_in, open_sign_in, sign_in_link, signed_in},
};
use crate::{
    app::App,
    auth::Caller,
    call::Door,
    catalogue,
    error::{Error, Result},
    store::{
        Scope,
        audit::{Entry, shown},
        connect_links::ConnectLink,
        credentials::{Credential, New, Opened},
    },
};

/// Forms that the pages for one user take in a minute.
const FORMS_A_MINUTE: u32 = 30;
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
    /// What only signing in by OAuth takes.
    pub consent: ConsentWish,
    /// Through which door.
    pub door: Door,
    /// As in the answer's `x-request-id`.
    pub request_id: &'a str,
}

/// How a user is asked for consent; the other ways to authenticate do not look at it.
#[derive(Default)]
pub struct ConsentWish {
    /// Where the browser goes afterwards: an address on the account's list.
    pub redirect_uri: Option<String>,
    /// Which of the account's OAuth clients; absent = the newest.
    pub auth_config: Option<String>,
    /// What consent is asked for; absent = what the auth config or the connector says.
    pub scopes: Vec<String>,
}

/// What a wish for a credential leads to.
pub enum Made {
    /// It is there.
    Credential(Box<Credential>),
    /// The user must consent first.
    Link(Link),
}

/// Checks what a person entered and keeps it sealed, or makes the link to the consent page. A refusal is audited as well.
///
/// # Errors
/// A sentence that names the field. Never one that repeats a value.
pub async fn create(app: &App, caller: &Caller, new: NewCredential<'_>) -> Result<Made> {
    let mut entry = caller.entry(new.door.as_str(), "credential.create", new.request_id);
    entry.connector_id = Some(shown(new.connector_id));
    let kept = match new.user.map_or_else(|| Ok(caller.scope.clone()), |user| caller.scope_of(user)) {
        Ok(scope) => {
            entry.user_id = scope.user.clone();
            keep(app, caller, &scope, new).await
        }
        Err(error) => Err(error),
    };
    match &kept {
        Ok(Made::Credential(credential)) => entry.target_id = Some(credential.id.clone()),
        // What comes of it is an entry of its own.
        Ok(Made::Link(_)) => entry.operation = "credential.link".into(),
        Err(_) => {}
    }
    record(app, entry, kept).await
}

async fn keep(app: &App, caller: &Caller, scope: &Scope, new: NewCredential<'_>) -> Result<Made> {
    let loaded = catalogue::resolve(&app.store, scope, caller.server.as_deref(), new.connector_id).await?;
    let definition = loaded.connector.definition();
    let scheme = scheme(definition, new.kind)?;
    let name = name(definition, new.name)?;
    if scheme.kind == AuthKind::OAuth2 {
        return link::of_oauth(app, caller, scope, &loaded, scheme, name, new).await.map(Made::Link);
    }
    let opened = complete(definition, scheme, new.values)?;
    let new = New { connector: loaded.id(), kind: scheme.kind, name: &name, opened: &opened, grant: None };
    let credential = store(app, scope, &new, None).await?;
    Ok(Made::Credential(Box::new(credential)))
}

/// The credential's name: as wished, else the connector's.
fn name(definition: &Definition, wished: Option<&str>) -> Result<String> {
    match wished {
        Some(name) if name.trim().is_empty() || name.chars().count() > 200 => {
            Err(Error::invalid("name", "`name` must have 1 to 200 characters."))
        }
        Some(name) => Ok(name.to_owned()),
        None => Ok(format!("{} credential", definition.name)),
    }
}

/// What a person entered, if nothing is missing and all of it can be sent.
fn complete(definition: &Definition, scheme: &AuthScheme, values: Map<String, Value>) -> Result<Opened> {
    let opened = sort(definition, scheme, values)?;
    require_all(definition, scheme, &opened)?;
    judge_credential(definition, scheme, &opened.fields(), &opened.variables())
        .map_err(|error| Error::invalid(&format!("fields.{}", error.field.unwrap_or_default()), error.message))?;
    Ok(opened)
}

/// Keeps a credential sealed; where it came by a link, only while that is there, and the link is used up by it.
async fn store(app: &App, scope: &Scope, new: &New<'_>, link: Option<&ConnectLink>) -> Result<Credential> {
    let credential = app.store.create_credential(scope, new, link).await?.ok_or_else(link::no_link)?;
    // What was read without this credential, or with an older one, is another person's view now.
    app.reads.invalidate(scope, new.connector);
    Ok(credential)
}

/// How to authenticate with a connector: `{metadata: [{authenticationType, available, inputSchema, …}]}`, what is available first.
pub async fn metadata(app: &App, scope: &Scope, connector: &Connector) -> Result<Value> {
    let mut described = describe::credential_metadata(connector);
    let has_client = !app.store.auth_configs(&scope.account, Some(&connector.definition().id)).await?.is_empty();
    if let Some(ways) = described["metadata"].as_array_mut() {
        for way in ways.iter_mut() {
            let is_available = has_client || way["authenticationType"] != "oauth2";
            way["available"] = is_available.into();
            if !is_available {
                way["description"] = format!(
                    "Signing in by OAuth needs a client of the account at {}, which an admin enters with `POST /api/auth-configs`; until \
                     then use another way.",
                    connector.definition().name
                )
                .into();
            }
        }
        ways.sort_by_key(|way| way["available"] == false);
    }
    Ok(described)
}

/// Removes a credential, and revokes what its platform granted; tells whether the platform has confirmed that, where it can. A refusal is
/// audited as well.
pub async fn delete(app: &App, caller: &Caller, connector_id: &str, id: &str, request_id: &str) -> Result<Option<bool>> {
    let mut entry = caller.entry(Door::Rest.as_str(), "credential.delete", request_id);
    entry.connector_id = Some(shown(connector_id));
    entry.target_id = Some(shown(id));
    record(app, entry, remove(app, caller, connector_id, id).await).await
}

async fn remove(app: &App, caller: &Caller, connector_id: &str, id: &str) -> Result<Option<bool>> {
    if let Some(server) = &caller.server
        && let Decision::Deny(denial) = server.restrictions.connector(connector_id)
    {
        return Err(Error::denied(denial));
    }
    let scope = &caller.scope;
    let credential = app.store.credential_now(scope, connector_id, id).await?.ok_or_else(|| Error::not_found("credential"))?;
    let granted = app.grants.of(scope, &credential).await?;
    // Here it ends in any case; a platform that does not answer must not keep it alive.
    if !app.store.delete_credential(scope, connector_id, id).await? {
        return Err(Error::not_found("credential"));
    }
    app.reads.invalidate(scope, connector_id);
    match granted {
        Some(granted) => Ok(app.grants.revoke(scope, connector_id, &granted).await),
        None => Ok(None),
    }
}

/// Counts a form of a page for this user. What is sent may make requests to others, and whoever has the link may send it.
///
/// # Errors
/// There were too many within this minute.
pub fn count_form(app: &App, user: &Scope) -> Result<()> {
    app.limits.within(("forms", user), FORMS_A_MINUTE)
}

/// Leaves the entry of what was tried, whatever came of it.
async fn record<T>(app: &App, mut entry: Entry, result: Result<T>) -> Result<T> {
    entry.end(result.as_ref().map_or_else(|error| error.kind.status(), |_| StatusCode::OK));
    app.audit.record(&entry).await;
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
    definition.auth.iter().find(|scheme| scheme.kind.as_str() == kind).ok_or_else(|| {
        let offered: Vec<&str> = definition.auth.iter().map(|scheme| scheme.kind.as_str()).collect();
        let sentence = format!("`authenticationType` must be one of `{}` for {}.", offered.join("`, `"), definition.name);
        Error::invalid("authenticationType", sentence)
    })
}

/// What a person enters for this way: its fields, none of them for OAuth, whose token comes from the platform.
fn fields_of(scheme: &AuthScheme) -> Vec<(&str, Field)> {
    if scheme.kind == AuthKind::OAuth2 { Vec::new() } else { scheme.all_fields() }
}

/// Sorts values into the secret's fields and the connector's variables, and checks each.
fn sort(definition: &Definition, scheme: &AuthScheme, values: Map<String, Value>) -> Result<Opened> {
    let fields = fields_of(scheme);
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
    Ok(opened)
}

/// The required fields and variables that were not given.
fn missing(definition: &Definition, scheme: &AuthScheme, opened: &Opened) -> Vec<String> {
    let fields = fields_of(scheme).into_iter().filter(|(name, field)| !field.optional && !opened.fields.contains_key(*name));
    let variables =
        definition.variables_of(scheme).filter(|(name, variable)| variable.is_required() && !opened.variables.contains_key(*name));
    fields.map(|(name, _)| name.to_owned()).chain(variables.map(|(name, _)| name.to_owned())).collect()
}

fn require_all(definition: &Definition, scheme: &AuthScheme, opened: &Opened) -> Result<()> {
    let missing = missing(definition, scheme, opened);
    if missing.is_empty() {
        return Ok(());
    }
    let sentence = format!("Missing in `fields`: `{}`. get_credential_metadata_alloy says what each one is.", missing.join("`, `"));
    Err(Error::invalid("fields", sentence).with_details(json!({ "field": "fields", "missing": missing })))
}
