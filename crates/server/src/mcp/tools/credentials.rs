//! `create_credential_alloy`, `get_credentials_alloy`, `get_credential_metadata_alloy`.

use serde_json::{Map, Value, json};

use super::{Outcome, optional, required};
use crate::{
    call::Door,
    catalogue,
    clock::rfc3339,
    connect::{self, ConsentWish, Made, NewCredential},
    error::{Error, Result},
    mcp::Context,
    store::credentials::Credential,
};

const CONNECTOR: &str = "the id of a connector, as list_connectors_alloy shows it";

/// Keeps a credential of the effective user.
pub async fn create(context: &Context<'_>, mut arguments: Map<String, Value>) -> Result<Outcome> {
    let values = match arguments.shift_remove("fields") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(values)) => values,
        Some(_) => return Err(Error::invalid("fields", "The argument `fields` must be an object: {\"token\": \"…\"}.")),
    };
    let connector_id = required(&arguments, "connectorId", CONNECTOR)?;
    let kind = required(&arguments, "authenticationType", "one of the types that get_credential_metadata_alloy shows for this connector")?;
    let new = NewCredential {
        connector_id,
        user: None,
        kind,
        values,
        name: optional(&arguments, "name")?,
        consent: consent(context, &arguments)?,
        door: Door::Mcp,
        request_id: context.request_id,
    };
    match connect::create(context.app, context.caller, new).await? {
        Made::Credential(credential) => {
            let mut view = view(&credential);
            view["message"] = "Credential stored. Actions of this connector can be called now.".into();
            Ok(view.into())
        }
        Made::Link(link) => Ok(json!({
            "oauthUrl": link.url,
            "expiresAt": rfc3339(link.expires_at),
            "message": "Show `oauthUrl` to the user, who opens it in a browser and consents there; it is good for 10 minutes. Afterwards \
                        get_credentials_alloy shows the credential, and actions of this connector can be called.",
        })
        .into()),
    }
}

/// How the user is asked for consent; the header `x-redirect-uri` stands in for the argument.
fn consent(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<ConsentWish> {
    let is_oauth = arguments.get("authenticationType").is_some_and(|kind| kind == "oauth2");
    let from_header = context.redirect_uri.filter(|_| is_oauth);
    let scopes = match arguments.get("scopes") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(scopes)) if scopes.iter().all(Value::is_string) => {
            scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => return Err(Error::invalid("scopes", "The argument `scopes` must be a list of strings.")),
    };
    Ok(ConsentWish {
        redirect_uri: optional(arguments, "redirectUri")?.or(from_header).map(str::to_owned),
        auth_config: optional(arguments, "authConfigId")?.map(str::to_owned),
        scopes,
    })
}

/// The effective user's credentials for a connector.
pub async fn list(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Outcome> {
    let id = required(arguments, "connectorId", CONNECTOR)?;
    let loaded = catalogue::resolve(&context.app.store, &context.caller.scope, Some(context.server), id).await?;
    let credentials = context.app.store.credentials(&context.caller.scope, loaded.id()).await?;
    let message = match credentials.len() {
        0 if loaded.connector.definition().auth.is_empty() => "This connector needs no credential.",
        0 => "No credential yet. get_credential_metadata_alloy says what is needed, create_credential_alloy stores it.",
        _ => "Newest first. Without `credentialId` the newest is used.",
    };
    let views: Vec<Value> = credentials.iter().map(view).collect();
    Ok(json!({ "credentials": views, "count": views.len(), "message": message }).into())
}

/// How to authenticate with a connector.
pub async fn metadata(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Outcome> {
    let id = required(arguments, "connectorId", CONNECTOR)?;
    let loaded = catalogue::resolve(&context.app.store, &context.caller.scope, Some(context.server), id).await?;
    let mut described = connect::metadata(context.app, &context.caller.scope, &loaded.connector).await?;
    for way in described["metadata"].as_array_mut().into_iter().flatten() {
        in_words_of_the_tool(way);
    }
    Ok(described.into())
}

/// What REST calls `data` is the argument `fields` here.
fn in_words_of_the_tool(way: &mut Value) {
    for place in ["/inputSchema/properties", "/sampleInput"] {
        if let Some(members) = way.pointer_mut(place).and_then(Value::as_object_mut)
            && let Some(data) = members.shift_remove("data")
        {
            members.insert("fields".to_owned(), data);
        }
    }
    for name in way.pointer_mut("/inputSchema/required").and_then(Value::as_array_mut).into_iter().flatten() {
        if name == "data" {
            *name = "fields".into();
        }
    }
}

fn view(credential: &Credential) -> Value {
    json!({
        "credentialId": credential.id,
        "name": credential.name,
        "type": format!("{}-{}", credential.connector, credential.kind.as_str()),
        "createdAt": rfc3339(credential.created_at),
        "updatedAt": rfc3339(credential.updated_at),
        "state": credential.state,
        "expiresAt": credential.expires_at.map(rfc3339),
    })
}
