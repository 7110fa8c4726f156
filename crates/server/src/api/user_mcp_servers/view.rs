//! How an upstream looks from outside.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    clock::rfc3339,
    error::Result,
    store::{
        connections::Connection,
        upstreams::{Auth, Registered, Transport},
    },
    upstream::authorization::{HIDDEN, Registration},
};

/// An MCP server, as answers show it: the vendor's MCPConnection, and what we add.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UserMcpServer)]
pub struct UpstreamView {
    id: String,
    user_id: String,
    name: String,
    url: String,
    transport_type: Transport,
    auth_type: Auth,
    /// The names of the headers that are sent, or the client of OAuth; secrets are never shown.
    #[schema(value_type = Option<Object>)]
    auth_config: Option<Value>,
    image_url: Option<String>,
    description: Option<String>,
    end_user_id: Option<String>,
    /// Headers were entered, or its owner has signed in.
    has_credential: bool,
    created_at: String,
    updated_at: String,
    /// The id under which it is a connector.
    #[serde(rename = "connectorId")]
    connector_id: String,
    /// `ok`, `failing` (the last call failed), `paused` (no calls are sent for a while), or `unknown`: the node that answers has not asked it yet.
    status: &'static str,
    /// What went wrong last, and when.
    #[schema(value_type = Option<Object>)]
    problem: Option<Value>,
    /// When it last answered.
    answered_at: Option<String>,
    /// The newest era that it speaks: `modern` or `legacy`; null before it was asked.
    era: Option<String>,
    /// How many tools, resources, templates and prompts it offers.
    #[schema(value_type = Object)]
    offers: Value,
    /// When it last said what it offers.
    offered_at: Option<String>,
    /// The last words of its process, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    timeout_seconds: Option<u64>,
    max_concurrency: Option<usize>,
    in_catalog: bool,
}

impl UpstreamView {
    /// Of several.
    pub async fn all(app: &App, all: &[Arc<Registered>]) -> Result<Vec<Self>> {
        let mut views = Vec::with_capacity(all.len());
        for registered in all {
            views.push(Self::of(app, registered).await?);
        }
        Ok(views)
    }

    /// Of a registered upstream.
    pub async fn of(app: &App, registered: &Registered) -> Result<Self> {
        let upstream = &registered.upstream;
        let has_credential = match upstream.auth {
            Auth::Oauth => app.store.upstream_grant(upstream, &upstream.owner.user).await?.is_some(),
            Auth::Manual | Auth::None => upstream.sealed.is_some(),
        };
        let report = app.upstreams.report(upstream);
        let entered = app.store.open_headers(upstream).ok().flatten();
        let auth_config = entered.and_then(|entered| match upstream.auth {
            Auth::Oauth => serde_json::to_value(serde_json::from_str::<Registration>(entered.expose()).ok()?.shown()).ok(),
            Auth::Manual | Auth::None => {
                let headers: Map<String, Value> = serde_json::from_str(entered.expose()).ok()?;
                let hidden: Map<String, Value> = headers.into_iter().map(|(name, _)| (name, HIDDEN.into())).collect();
                Some(json!({ "headers": hidden }))
            }
        });
        let offering = registered.loaded.upstream.as_deref();
        let count = |of: fn(&crate::connectors::offering::Offering) -> usize| offering.map_or(0, of);
        Ok(Self {
            id: upstream.id.clone(),
            user_id: upstream.owner.user.to_string(),
            name: upstream.name.clone(),
            url: upstream.url.clone(),
            transport_type: upstream.transport,
            auth_type: upstream.auth,
            auth_config,
            image_url: upstream.settings.image_url.clone(),
            description: upstream.settings.description.clone(),
            end_user_id: None,
            has_credential,
            created_at: rfc3339(upstream.created_at),
            updated_at: rfc3339(upstream.updated_at),
            connector_id: upstream.slug.clone(),
            status: report.state,
            problem: report.problem.map(|(at, message)| json!({ "at": rfc3339(at), "message": message })),
            answered_at: report.answered_at.map(rfc3339),
            era: Some(registered.era.clone()).filter(|era| !era.is_empty()),
            offers: json!({
                "tools": count(|offering| offering.tools.len()),
                "resources": count(|offering| offering.resources.len()),
                "resourceTemplates": count(|offering| offering.templates.len()),
                "prompts": count(|offering| offering.prompts.len()),
            }),
            offered_at: upstream.offered_at.map(rfc3339),
            stderr: app.upstreams.stderr(upstream),
            timeout_seconds: upstream.settings.timeout_seconds,
            max_concurrency: upstream.settings.max_concurrency,
            in_catalog: upstream.settings.in_catalog,
        })
    }

    /// The same as an end user reaches it, with headers of their own, or signed in.
    pub fn of_end_user(self, connection: &Connection) -> Self {
        Self {
            id: connection.id.clone(),
            auth_type: if self.auth_type == Auth::Oauth { Auth::Oauth } else { Auth::Manual },
            end_user_id: Some(connection.user_id.clone()),
            has_credential: true,
            created_at: rfc3339(connection.created_at),
            updated_at: rfc3339(connection.updated_at),
            ..self
        }
    }
}
