//! Create a server. Source: Alloy's API (`POST /api/servers`).

use axum::extract::State;

use super::view::{ServerBody, ServerView, judge_connectors, judge_prefixes};
use crate::{
    api::{answers::Created, token},
    app::App,
    clock::{now_ms, random_slug},
    error::{Error, Result},
    request::{Json, Management},
    store::servers::{Server, Settings},
};

/// Create an MCP server.
///
/// The answer's `accessUrl` is the whole set-up of an MCP client; `accessToken` is shown this once.
#[utoipa::path(post, path = "/api/servers", tag = "Server Management", operation_id = "create-server",
    params(("x-alloy-userid" = Option<String>, Header, description = "Owner, where an admin key creates for somebody else")),
    request_body = ServerBody,
    responses((status = 201, description = "Created", body = ServerView), (status = 400, description = "A field is wrong; `details.field` names it"),
        (status = 401, description = "Not authenticated"), (status = 409, description = "Server name already exists, or the user or the account has as many servers as it may have")))]
pub async fn create(
    State(app): State<App>,
    Management(caller): Management,
    Json(body, ..): Json<ServerBody>,
) -> Result<Created<ServerView>> {
    let Some(name) = &body.name else {
        return Err(Error::invalid("name", "`name` is missing: give the server a name of 1 to 100 characters."));
    };
    let now = now_ms();
    let expires_at = token::expiry(body.token_expires_in_days, now)?;
    let mut server = Server {
        id: format!("{}-{}", slug(name), random_slug(8)),
        owner: caller.scope.clone(),
        name: String::new(),
        description: String::new(),
        instructions: String::new(),
        restrictions: amalgam_policy::Restrictions::default(),
        settings: Settings::default(),
        created_at: now,
        updated_at: now,
    };
    body.apply(&mut server)?;
    judge_connectors(&app, &caller.scope, &[], &server).await?;
    judge_prefixes(&app, &caller.scope, &server).await?;
    let token = token::Made::new(&app, &server.id)?;
    app.store.create_server(&server, &token.as_new(expires_at)).await?;
    let view = ServerView::with_new_token(&app, &server, token.text(), expires_at);
    Ok(Created(server.id, view))
}

/// Lower-case ASCII letters and digits, everything else one `-`: `Production Server` becomes `production-server`.
fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "server".to_owned() } else { slug.to_owned() }
}
