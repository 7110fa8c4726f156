//! `/api/connectors`: connectors that the account makes for itself from OpenAPI documents.

use std::time::Duration;

use amalgam_connector::{
    definition::Definition,
    diff::{Change as Difference, diff},
    openapi::{Import, ImportOptions, Source, import, import_source, read_source},
};
use axum::{body::Body, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::{Created, Removed};
use crate::{
    app::App,
    auth::Caller,
    catalogue::{is_common, is_reserved},
    clock::rfc3339,
    error::{Error, Kind, Result},
    request::{Management, Path, Query, read_body},
    store::{
        Change, Store,
        connectors::{Stored, taken},
    },
};

/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 64 * 1024 * 1024;
/// An import waits this long for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, delete)).routes(routes!(compare))
}

/// What an imported connector became.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedView {
    id: String,
    name: String,
    base_url: String,
    /// How many actions it has.
    actions: usize,
    /// Operations that did not become actions: `[{operation, reason}]`.
    #[schema(value_type = Vec<Object>)]
    omitted: Value,
    /// What the importer had to guess or leave out.
    #[schema(value_type = Vec<String>)]
    warnings: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

impl ImportedView {
    fn new(definition: &Definition, actions: usize, omitted: Value, warnings: Value) -> Self {
        Self {
            id: definition.id.clone(),
            name: definition.name.clone(),
            base_url: definition.base_url.clone(),
            actions,
            omitted,
            warnings,
            created_at: None,
            updated_at: None,
        }
    }

    fn of(stored: &Stored) -> Self {
        let connector = &stored.loaded.connector;
        Self {
            created_at: Some(rfc3339(stored.created_at)),
            updated_at: Some(rfc3339(stored.updated_at)),
            ..Self::new(connector.definition(), connector.count(), stored.omitted.clone(), stored.warnings.clone())
        }
    }
}

/// The account's connectors.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ImportedList {
    connectors: Vec<ImportedView>,
    count: usize,
}

/// A document with what to call it; or send the document itself as the body, with these in the query.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the shape that `understand` takes apart by hand")]
pub struct ImportBody {
    /// 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`; absent = made from the title.
    id: Option<String>,
    /// Absent = the title.
    name: Option<String>,
    /// Where the API is; absent = the document's first server.
    base_url: Option<String>,
    /// An OpenAPI 3.0 or 3.1 or Swagger 2.0 document, as an object or as JSON or YAML text.
    #[schema(value_type = Option<Object>)]
    spec: Option<Value>,
}

/// What to call a document that is the body itself.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    id: Option<String>,
    name: Option<String>,
    base_url: Option<String>,
}

/// Something that came in a body: a document, or settings alone.
enum Sent {
    Document(Box<Import>),
    Settings { name: Option<String>, base_url: Option<String> },
}

/// Make a connector of an OpenAPI document. Every operation becomes an action or is listed in `omitted` with the reason.
#[utoipa::path(post, path = "/api/connectors", tag = "Administration", operation_id = "create-connector", params(ImportQuery), request_body = ImportBody,
    responses((status = 201, description = "Created", body = ImportedView), (status = 400, description = "The document or a field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"), (status = 409, description = "The id is taken, or the account has as many connectors as it may have"),
        (status = 413, description = "Larger than 64 MB")))]
async fn create(
    State(app): State<App>,
    Management(caller): Management,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<Created<ImportedView>> {
    caller.require_admin()?;
    let own = app.store.connectors(&caller.scope.account).await?;
    // An MCP server of a user is a connector too, and keeps its id.
    let upstreams = app.store.upstreams(&caller.scope.account).await?;
    let store = app.store.clone();
    let free = move |id: &str| if own.contains_key(id) || upstreams.contains_key(id) { Err(taken(id)) } else { not_reserved(&store, id) };
    query.id.as_deref().map(&free).transpose()?;
    let Sent::Document(import) = receive(&app, &caller, body, query, free).await? else {
        return Err(Error::invalid("spec", "`spec` is missing: send the OpenAPI document as an object or as text, or as the body itself."));
    };
    keep(&app, &caller, *import, false).await.map(|view| Created(view.id.clone(), view))
}

/// List the account's own connectors.
#[utoipa::path(get, path = "/api/connectors", tag = "Administration", operation_id = "list-own-connectors",
    responses((status = 200, description = "Connectors", body = ImportedList), (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<ImportedList>> {
    let own = app.store.connectors(&caller.scope.account).await?;
    let connectors: Vec<ImportedView> = own.values().map(|stored| ImportedView::of(stored)).collect();
    Ok(axum::Json(ImportedList { count: connectors.len(), connectors }))
}

/// Show one of the account's own connectors.
#[utoipa::path(get, path = "/api/connectors/{connectorId}", tag = "Administration", operation_id = "get-own-connector",
    params(("connectorId" = String, Path, description = "Connector ID")),
    responses((status = 200, description = "The connector", body = ImportedView), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such connector")))]
async fn get(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<ImportedView>> {
    let own = app.store.connectors(&caller.scope.account).await?;
    own.get(&id).map(|stored| axum::Json(ImportedView::of(stored))).ok_or_else(|| Error::not_found("connector"))
}

/// Replace the document of a connector, or change its `name` or `baseUrl`.
#[utoipa::path(put, path = "/api/connectors/{connectorId}", tag = "Administration", operation_id = "update-connector",
    params(("connectorId" = String, Path, description = "Connector ID"), ImportQuery), request_body = ImportBody,
    responses((status = 200, description = "Changed", body = ImportedView), (status = 400, description = "The document or a field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"), (status = 404, description = "No such connector"),
        (status = 413, description = "Larger than 64 MB")))]
async fn update(
    State(app): State<App>,
    Management(caller): Management,
    Path(id): Path<String>,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<axum::Json<ImportedView>> {
    caller.require_admin()?;
    let own = app.store.connectors(&caller.scope.account).await?;
    let stored = own.get(&id).ok_or_else(|| Error::not_found("connector"))?;
    let known = stored.loaded.connector.definition();
    let query = ImportQuery { id: Some(id), ..query };
    let import = match receive(&app, &caller, body, query, |_| Ok(())).await? {
        Sent::Document(mut import) => {
            import.definition.id.clone_from(&known.id);
            *import
        }
        Sent::Settings { name: None, base_url: None } => {
            return Err(Error::invalid("spec", "Nothing to change: send a new document, `name` or `baseUrl`."));
        }
        Sent::Settings { name, base_url } => {
            let mut definition = stored.loaded.connector.to_definition();
            definition.name = name.unwrap_or(definition.name);
            definition.base_url = base_url.map_or(definition.base_url, |url| url.trim_end_matches('/').to_owned());
            let unused: Vec<String> = definition.variables.keys().filter(|name| !definition.uses(name)).cloned().collect();
            definition.variables.retain(|name, _| !unused.contains(name));
            let definition = in_turn(&app, move || check(&definition).map(|()| definition)).await?;
            let changed = Import { definition, omitted: Vec::new(), warnings: Vec::new() };
            let view = keep_with(&app, &caller, changed, stored.omitted.clone(), stored.warnings.clone(), true).await?;
            return Ok(axum::Json(view));
        }
    };
    keep(&app, &caller, import, true).await.map(axum::Json)
}

/// What an update would change.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DiffView {
    /// `[{action?, change: "added" | "removed" | "changed", breaking, what}]`.
    #[schema(value_type = Vec<Object>)]
    changes: Vec<Difference>,
    count: usize,
    /// How many of them may end what works.
    breaking: usize,
}

/// Show what a new document would change in a connector, without changing it.
#[utoipa::path(post, path = "/api/connectors/{connectorId}/diff", tag = "Administration", operation_id = "diff-connector",
    params(("connectorId" = String, Path, description = "Connector ID"), ImportQuery), request_body = ImportBody,
    responses((status = 200, description = "The differences", body = DiffView), (status = 400, description = "The document or a field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"), (status = 404, description = "No such connector"),
        (status = 413, description = "Larger than 64 MB")))]
async fn compare(
    State(app): State<App>,
    Management(caller): Management,
    Path(id): Path<String>,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<axum::Json<DiffView>> {
    caller.require_admin()?;
    let own = app.store.connectors(&caller.scope.account).await?;
    let stored = own.get(&id).ok_or_else(|| Error::not_found("connector"))?.clone();
    let Sent::Document(import) = receive(&app, &caller, body, ImportQuery { id: Some(id), ..query }, |_| Ok(())).await? else {
        return Err(Error::invalid("spec", "`spec` is missing: send the OpenAPI document to compare with."));
    };
    let changes = in_turn(&app, move || Ok(diff(&stored.loaded.connector.to_definition(), &import.definition))).await?;
    let breaking = changes.iter().filter(|change| change.breaking).count();
    Ok(axum::Json(DiffView { count: changes.len(), breaking, changes }))
}

/// Delete one of the account's own connectors, with its users' credentials for it.
#[utoipa::path(delete, path = "/api/connectors/{connectorId}", tag = "Administration", operation_id = "delete-connector",
    params(("connectorId" = String, Path, description = "Connector ID")),
    responses((status = 200, description = "Deleted", body = Removed), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role"), (status = 404, description = "No such connector")))]
async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Removed>> {
    caller.require_admin()?;
    if !app.store.delete_connector(&caller.scope.account, &id).await? {
        return Err(Error::not_found("connector"));
    }
    app.announce(Change::Connectors(caller.scope.account.clone()));
    Ok(Removed::answer("Connector deleted", id))
}

/// Reads a body: JSON or YAML, a document or `{spec, …}`. `judge` sees the id that was given before the work begins.
async fn receive(
    app: &App,
    caller: &Caller,
    body: Body,
    query: ImportQuery,
    judge: impl Fn(&str) -> Result<()> + Send + 'static,
) -> Result<Sent> {
    let bytes = read_body(app, &caller.holder(), body, MAX_DOCUMENT).await?;
    if bytes.is_empty() {
        return Err(Error::new(Kind::InvalidRequest, "The body is empty: send an OpenAPI document, or `{\"spec\": …}`."));
    }
    in_turn(app, move || understand(&bytes, query, judge)).await
}

/// Does heavy work on a thread of its own, one at a time. The turn lasts as long as the work, which goes on when the client goes away.
async fn in_turn<T: Send + 'static>(app: &App, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let turn = tokio::time::timeout(TURN_TIMEOUT, app.imports.clone().acquire_owned())
        .await
        .map_err(|_| Error::new(Kind::Unavailable, "Other documents are being imported; try again shortly."))?
        .map_err(Error::internal)?;
    let work = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn understand(bytes: &[u8], query: ImportQuery, judge: impl Fn(&str) -> Result<()>) -> Result<Sent> {
    // Nothing here goes through a derived reader: those are not bounded, and some names mean something to them.
    let Source { value, mut repeated } = read_source(bytes).map_err(bad_document)?;
    let mut options = ImportOptions { id: query.id, name: query.name, base_url: query.base_url };
    let document = |source: Source, options: &ImportOptions| import_source(source, options).map_err(bad_document).and_then(usable);
    let Value::Object(mut members) = value else {
        return Err(Error::new(Kind::InvalidRequest, "The body must be an OpenAPI document, or `{\"spec\": …}`."));
    };
    if ["openapi", "swagger", "discoveryVersion"].iter().any(|key| members.contains_key(*key)) {
        return document(Source { value: Value::Object(members), repeated }, &options);
    }
    if let Some(name) = repeated.iter().find_map(|way| way.first().filter(|_| way.len() == 1)) {
        let name: String = name.chars().take(80).collect();
        return Err(Error::invalid(&name, format!("`{name}` stands twice in the body; send it once.")));
    }
    for (name, place) in [("id", &mut options.id), ("name", &mut options.name), ("baseUrl", &mut options.base_url)] {
        match members.shift_remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                if place.as_ref().is_some_and(|given| *given != text) {
                    return Err(Error::invalid(name, format!("`{name}` in the body is not the one in the address; send it once.")));
                }
                *place = Some(text);
            }
            Some(_) => return Err(Error::invalid(name, format!("`{name}` must be a string."))),
        }
    }
    options.id.as_deref().map(judge).transpose()?;
    let spec = members.shift_remove("spec");
    if let Some(unknown) = members.keys().next() {
        let name: String = unknown.chars().take(80).collect();
        let sentence = format!(
            "`{name}` is not known here: send `id`, `name`, `baseUrl` and `spec`, or a document itself, which has `openapi`, `swagger` or \
             `discoveryVersion`."
        );
        return Err(Error::invalid(&name, sentence));
    }
    match spec {
        None | Some(Value::Null) => Ok(Sent::Settings { name: options.name, base_url: options.base_url }),
        Some(Value::String(text)) => import(text.as_bytes(), &options).map_err(bad_document).and_then(usable),
        Some(value) => {
            // From here the document is the top.
            repeated.iter_mut().for_each(|way| drop(way.remove(0)));
            document(Source { value, repeated }, &options)
        }
    }
}

/// What an import made, if the engine takes it.
fn usable(import: Import) -> Result<Sent> {
    check(&import.definition)?;
    Ok(Sent::Document(Box::new(import)))
}

fn check(definition: &Definition) -> Result<()> {
    amalgam_connector::check(definition).into_iter().next().map_or(Ok(()), |problem| {
        Err(match problem.place.as_str() {
            "base_url" => Error::invalid("baseUrl", format!("`baseUrl` cannot be used: {}", problem.message)),
            "" => Error::invalid("spec", problem.message),
            place => Error::invalid(place, problem.to_string()),
        })
    })
}

fn not_reserved(store: &Store, id: &str) -> Result<()> {
    if !is_reserved(store, id) {
        return Ok(());
    }
    let taken = if is_common(store, id) {
        "is the id of a connector that all accounts have"
    } else {
        "is a fixed word in addresses under `/connectors`"
    };
    let sentence = format!("\"{id}\" {taken}; choose another `id`.");
    Err(Error::new(Kind::Conflict, sentence).with_details(json!({ "field": "id" })))
}

fn bad_document(error: amalgam_connector::openapi::ImportError) -> Error {
    Error::invalid(error.field, error.message)
}

async fn keep(app: &App, caller: &Caller, import: Import, replace: bool) -> Result<ImportedView> {
    let omitted: Vec<Value> =
        import.omitted.iter().map(|omission| json!({ "operation": omission.operation, "reason": omission.reason })).collect();
    let warnings = import.warnings.clone().into();
    keep_with(app, caller, import, omitted.into(), warnings, replace).await
}

async fn keep_with(app: &App, caller: &Caller, import: Import, omitted: Value, warnings: Value, replace: bool) -> Result<ImportedView> {
    let definition = import.definition;
    not_reserved(&app.store, &definition.id)?;
    let view = ImportedView::new(&definition, definition.actions.len(), omitted.clone(), warnings.clone());
    app.store.put_connector(&caller.scope.account, definition, &omitted, &warnings, replace).await?;
    app.announce(Change::Connectors(caller.scope.account.clone()));
    Ok(view)
}
