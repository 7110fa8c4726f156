//! `/api/servers`: virtual MCP servers. Source: Alloy's API.

mod create;
mod delete;
mod get;
mod list;
mod token;
mod update;
pub mod view;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create, list::list))
        .routes(routes!(get::get, update::update, delete::delete))
        .routes(routes!(token::rotate, token::revoke))
}
