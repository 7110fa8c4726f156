//! REST: one file or folder per noun. Handlers parse, make one call, and show what came of it.

mod accounts;
mod answers;
mod audit;
mod auth_configs;
mod connect;
mod connect_links;
mod connectors;
mod credentials;
mod custom_connectors;
mod doctor;
mod execute;
mod files;
mod folder_connectors;
mod grants;
mod health;
mod jwt_issuers;
mod keys;
mod mcp_catalog;
mod mcp_connections;
mod mcp_tools;
pub mod servers;
pub mod token;
mod user_mcp_servers;
mod users;
mod workflows;

use axum::middleware::from_fn;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{app::App, request::audited};

#[derive(OpenApi)]
#[openapi(
    info(title = "Amalgam", description = "An MCP server platform: virtual MCP servers, connectors, credentials, and the REST twin of their tools.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")),
    modifiers(&Security),
    security(("bearerAuth" = []), ("userToken" = [])),
    tags(
        (name = "Server Management", description = "Create and manage MCP servers"),
        (name = "MCP Protocol", description = "The MCP endpoint"),
        (name = "Connectors", description = "What platforms offer, and running their actions"),
        (name = "Credentials", description = "Users' own secrets for platforms"),
        (name = "MCP Servers", description = "Other MCP servers: registering them and calling their tools"),
        (name = "Users", description = "End users of the account"),
        (name = "Administration", description = "Keys, connectors, issuers, audit, accounts"),
        (name = "Health", description = "Is it alive")
    )
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT or API Key").build();
        let user_token = ApiKeyValue::with_description("x-alloy-user-token", "A JWT signed by an issuer of the account");
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("bearerAuth", SecurityScheme::Http(bearer));
        components.add_security_scheme("userToken", SecurityScheme::ApiKey(ApiKey::Header(user_token)));
    }
}

/// All REST routes with their documentation.
pub fn routes() -> OpenApiRouter<App> {
    let management = servers::routes()
        .merge(workflows::routes())
        .merge(keys::routes())
        .merge(custom_connectors::routes())
        .merge(folder_connectors::routes())
        .merge(jwt_issuers::routes())
        .merge(accounts::routes())
        .merge(auth_configs::routes())
        .merge(connect_links::routes())
        .merge(doctor::routes())
        .merge(users::routes())
        .merge(grants::routes())
        .merge(user_mcp_servers::routes())
        .merge(mcp_connections::routes())
        .merge(files::routes())
        .route_layer(from_fn(audited));
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(management)
        .merge(files::by_link())
        .merge(audit::routes())
        .merge(connectors::routes())
        .merge(execute::routes())
        .merge(credentials::routes())
        .merge(connect::routes())
        .merge(connect_links::pages())
        .merge(mcp_tools::routes())
        .merge(mcp_catalog::routes())
        .merge(health::routes())
}
