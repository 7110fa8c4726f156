//! Every write of the management leaves an entry in the audit trail, whatever came of it. A layer around the routes sees to it, so that no
//! handler can forget.

use std::sync::{Arc, OnceLock};

use axum::{
    extract::{MatchedPath, RawPathParams, Request, rejection::RawPathParamsRejection},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{Method, request::Parts};
use tokio::time::Instant;

use super::RequestId;
use crate::{
    app::App,
    auth::Caller,
    clock::now_ms,
    error::Error,
    store::audit::{Entry, shown},
};

/// Where the extractor that finds the caller puts it for the layer.
#[derive(Clone, Default)]
struct Writer(Arc<OnceLock<(App, Caller)>>);

/// The id of what a handler has made, beside its answer. What was there before is named by the path.
#[derive(Clone)]
pub struct Target(pub String);

/// What a write is called in the audit trail.
fn operation(method: &Method, path: &str) -> Option<&'static str> {
    Some(match (method.as_str(), path) {
        ("POST", "/api/servers") => "server.create",
        ("PUT", "/api/servers/{serverId}") => "server.update",
        ("DELETE", "/api/servers/{serverId}") => "server.delete",
        ("POST", "/api/servers/{serverId}/token") => "token.rotate",
        ("DELETE", "/api/servers/{serverId}/token") => "token.revoke",
        ("PUT", "/api/servers/{serverId}/workflows/{name}") => "workflow.put",
        ("DELETE", "/api/servers/{serverId}/workflows/{name}") => "workflow.delete",
        ("POST", "/api/keys") => "key.create",
        ("DELETE", "/api/keys/{keyId}") => "key.revoke",
        ("POST", "/api/connectors") => "connector.create",
        ("PUT", "/api/connectors/{connectorId}") => "connector.update",
        ("DELETE", "/api/connectors/{connectorId}") => "connector.delete",
        ("POST", "/api/connectors/{connectorId}/diff") => "connector.diff",
        ("POST", "/api/jwt-issuers") => "issuer.create",
        ("DELETE", "/api/jwt-issuers/{issuerId}") => "issuer.delete",
        ("POST", "/api/auth-configs") => "auth_config.create",
        ("PUT", "/api/auth-configs/{authConfigId}") => "auth_config.update",
        ("DELETE", "/api/auth-configs/{authConfigId}") => "auth_config.delete",
        ("POST", "/api/doctor/connect") => "doctor.connect",
        ("POST", "/api/connect-links") => "connection.link",
        ("PUT", "/api/redirect-uris") => "redirect_uris.put",
        ("POST", "/api/accounts") => "account.create",
        ("DELETE", "/api/accounts/{accountId}") => "account.delete",
        ("POST", "/api/v1/user-mcp-servers") => "upstream.create",
        ("POST", "/api/v1/user-mcp-servers/import") => "upstream.import",
        ("PATCH", "/api/v1/user-mcp-servers/{mcpServerId}") => "upstream.update",
        ("POST", "/api/v1/user-mcp-servers/{mcpServerId}/sign-in") => "upstream.sign-in-link",
        ("DELETE", "/api/v1/user-mcp-servers/{mcpServerId}" | "/api/v1/mcp-connections/{connectionId}") => "upstream.delete",
        ("DELETE", "/api/grants/{grantId}") => "grant.revoke",
        ("POST", "/connectors/files/upload/request") => "file.create",
        ("DELETE", "/connectors/files/{s3Key}") => "file.delete",
        ("POST", "/users") => "user.create",
        ("DELETE", "/users/{userId}") => "user.delete",
        ("PUT", "/users/{userId}/password") => "password.set",
        ("DELETE", "/users/{userId}/password") => "password.delete",
        _ => return None,
    })
}

/// Notes who writes, where the layer asks for it.
pub(super) fn note(parts: &Parts, app: &App, caller: &Caller) {
    if let Some(Writer(writer)) = parts.extensions.get() {
        // One request has one caller, so a second one says the same.
        let _ = writer.set((app.clone(), caller.clone()));
    }
}

/// The layer: leaves the entry of every write whose caller is known.
pub async fn audited(
    path: MatchedPath,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(operation) = operation(request.method(), path.as_str()) else { return next.run(request).await };
    let (at, started, request_id) = (now_ms(), Instant::now(), RequestId::of(request.extensions()));
    let writer = Writer::default();
    request.extensions_mut().insert(writer.clone());
    // In a task of its own, a write that has begun comes to its end, and to its entry, even where the caller goes away.
    let write = tokio::spawn(async move {
        let response = next.run(request).await;
        if let Some((app, caller)) = writer.0.get() {
            let mut entry = Entry { at, ..caller.entry("rest", operation, &request_id) };
            // A path that cannot be decoded names nothing, and the handler has refused it.
            locate(&mut entry, params.iter().flatten(), response.extensions().get());
            entry.duration_us = i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX);
            entry.end(response.status());
            app.audit.record(&entry).await;
        }
        response
    });
    write.await.unwrap_or_else(|panic| Error::internal(panic).into_response())
}

/// Says what was written to: what the path names last, or what was made.
fn locate<'a>(entry: &mut Entry, params: impl Iterator<Item = (&'a str, &'a str)>, made: Option<&Target>) {
    for (param, value) in params {
        match param {
            "serverId" => entry.server_id = Some(shown(value)),
            "connectorId" => entry.connector_id = Some(shown(value)),
            _ => {}
        }
        entry.target_id = Some(shown(value));
    }
    if let Some(Target(id)) = made {
        match &*entry.operation {
            "server.create" => entry.server_id = Some(id.clone()),
            "connector.create" => entry.connector_id = Some(id.clone()),
            _ => {}
        }
        entry.target_id = Some(id.clone());
    }
}
