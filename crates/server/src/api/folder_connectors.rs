//! `/api/folder-connectors`: what is in the operator's folder of connectors, and what is wrong with it. Only the operator gets in.

use axum::extract::State;
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, clock::rfc3339, connectors::folder::Entry, error::Result, request::Management};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A definition of the folder.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FolderConnectorView {
    /// Absent where no version of it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Inside the folder.
    file: String,
    /// `current`; `outdated`: the last good one is used; `broken`: there is none.
    #[schema(value_type = String)]
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<usize>,
    /// When the version in use was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded_at: Option<String>,
    problems: Vec<ProblemView>,
}

/// Something that is wrong with a definition.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ProblemView {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// Dotted: `actions.list.params.limit`.
    place: String,
    message: String,
}

impl FolderConnectorView {
    fn of(entry: &Entry, in_use: bool) -> Self {
        let problems = entry.problems().map(|problem| ProblemView {
            line: problem.line,
            place: problem.place.clone(),
            message: problem.message.clone(),
        });
        let loaded = entry.loaded.as_ref().filter(|_| in_use);
        Self {
            id: loaded.map(|loaded| loaded.id().to_owned()),
            file: entry.file.clone(),
            state: match (entry.problems().next().is_none(), in_use) {
                (true, true) => "current",
                (false, true) => "outdated",
                (_, false) => "broken",
            },
            actions: loaded.map(|loaded| loaded.connector.count()),
            loaded_at: entry.loaded_at.filter(|_| in_use).map(rfc3339),
            problems: problems.collect(),
        }
    }
}

/// The definitions of the folder.
#[derive(Serialize, utoipa::ToSchema)]
pub struct FolderConnectorList {
    connectors: Vec<FolderConnectorView>,
    count: usize,
    /// Why the folder itself cannot be read: what was loaded before is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

/// List the connectors in the folder that the operator has given to this node with `--connectors-dir`.
#[utoipa::path(get, path = "/api/folder-connectors", tag = "Administration", operation_id = "list-folder-connectors",
    responses((status = 200, description = "Definitions with their problems", body = FolderConnectorList),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not the operator")))]
async fn list(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<FolderConnectorList>> {
    caller.require_operator()?;
    let state = app.store.folder().state();
    let in_use = |entry: &Entry| {
        let used = entry.loaded.as_ref().and_then(|loaded| state.connectors.get(loaded.id()).map(|used| used.version == loaded.version));
        used.unwrap_or(false)
    };
    let connectors: Vec<_> = state.entries.iter().map(|entry| FolderConnectorView::of(entry, in_use(entry))).collect();
    Ok(axum::Json(FolderConnectorList { count: connectors.len(), connectors, unreadable: state.unreadable.clone() }))
}
