//! The same for another MCP server: the steps of `connect` are tried by what signs users in and calls for them.

use std::sync::Arc;

use super::{Look, Step, TIMEOUT, page};
use crate::{
    app::App,
    clock::{now_ms, rfc3339},
    error::{Error, Kind, Result},
    oauth::Failure,
    store::upstreams::{Auth, Registered, Upstream},
    upstream::{
        Client, Demand,
        authorization::{Origin, Trace, Way, redirect_uri},
    },
};

/// Tries each step for one user.
pub(super) async fn connect(app: &App, look: &Look<'_>, registered: &Registered) -> Result<Vec<Step>> {
    let upstream = app.store.upstream_for(&registered.upstream, &look.scope.user).await?;
    let how = match upstream.auth {
        Auth::None => "without any sign-in",
        Auth::Manual => "with headers that were entered",
        Auth::Oauth => "with a token of its authorization server",
    };
    let place = upstream.url.split('?').next().unwrap_or_default();
    let mut steps = vec![Step::good("MCP server", format!("{} at {place} is called {how}.", upstream.name))];
    if upstream.auth == Auth::Oauth {
        let trace = app.upstreams.trace(&upstream, &app.base_url, &app.config.egress_allow).await?;
        let way = trace.way;
        of_trace(app, trace, &upstream, &mut steps).await;
        grant(app, look, &upstream, way, &mut steps).await?;
    }
    steps.push(first_call(app, look, &upstream).await);
    Ok(steps)
}

/// What the error says is public, and no secret is in it.
fn bad(step: &'static str, error: Error, advice: &str) -> Step {
    Step::bad(step, error.message.into_owned(), advice)
}

async fn of_trace(app: &App, trace: Trace, upstream: &Upstream, steps: &mut Vec<Step>) {
    let discovery = match trace.discovery {
        Ok(found) => {
            let scope = if found.scope.is_empty() { "no scope".to_owned() } else { format!("the scopes `{}`", found.scope) };
            let resource = found.resource.map_or_else(|| "no resource".to_owned(), |resource| format!("the resource {resource}"));
            Step::good("discovery", format!("Tokens come from {}, which is asked for {resource} and {scope}.", found.issuer))
        }
        Err(error) => bad(
            "discovery",
            error,
            "The MCP server must describe itself as RFC 9728 says, and its authorization server as RFC 8414 says; their addresses are those above. \
             Where they are inside addresses, the operator allows them with `--egress-allow`.",
        ),
    };
    steps.push(Step { tried: trace.tried, ..discovery });
    let origin = trace.registration.as_ref().and_then(|registration| registration.as_ref().ok()).map(|known| known.origin);
    steps.extend(trace.registration.map(|registration| match registration {
        Ok(known) => {
            let how = if known.origin == Origin::Entered { "as `auth_config` says" } else { "without anybody having entered it" };
            Step::good("registration", format!("We are known there as {}, {how}.", known.client_id))
        }
        Err(error) => bad(
            "registration",
            error,
            &format!(
                "Register a client at the authorization server, and enter it: `PATCH /api/v1/user-mcp-servers/{}` with `auth_config`.",
                upstream.id
            ),
        ),
    }));
    match trace.page {
        Some(Ok(url)) => steps.push(page(app, &url, &redirect_uri(&app.base_url)).await),
        Some(Err(error)) => steps.push(bad("consent page", error, "The authorization server has to be corrected by whoever runs it.")),
        None => {}
    }
    steps.extend(trace.token.map(|token| of_token(token, origin)));
}

fn of_token(token: Result<(), Failure>, origin: Option<Origin>) -> Step {
    const STEP: &str = "token endpoint";
    match token {
        Err(Failure::Refused { code, .. }) => {
            Step::good(STEP, format!("It accepts the client, and refuses a code that nobody granted ({code})."))
        }
        Err(failure @ Failure::Client { .. }) => Step::bad(
            STEP,
            format!("It does not accept the client ({failure})."),
            match origin {
                Some(Origin::Registered) => "The next sign-in registers again.",
                Some(Origin::Document) => {
                    "The authorization server says that it reads the metadata of clients at their address: it must reach ours, or a client that \
                     is registered there has to be entered as `client_id` of `auth_config`."
                }
                _ => "Correct `client_id`, `client_secret` and `token_endpoint_auth_method` of `auth_config`.",
            },
        ),
        Err(failure) => Step::bad(STEP, failure.to_string(), "Whoever runs the authorization server can say why; try again later."),
        Ok(()) => Step::bad(STEP, "It granted tokens for a code that nobody granted.", "Do not use this server before that is understood."),
    }
}

/// What the user has, and whether it can be renewed.
async fn grant(app: &App, look: &Look<'_>, upstream: &Arc<Upstream>, way: Way, steps: &mut Vec<Step>) -> Result<()> {
    const STEP: &str = "sign-in";
    const RENEWAL: &str = "renewal";
    let Some((grant, is_renewable)) = app.upstreams.grant(upstream).await? else {
        let sign_in = format!("`POST /api/v1/user-mcp-servers/{}/sign-in`", upstream.id);
        steps.push(match way {
            Way::Client => Step::nothing(STEP, "Nobody signs in: our client gets a token of its own for the first call."),
            Way::IdentityToken => Step::bad(STEP, "The user's identity token is not known.", format!("{sign_in} with it as `idToken`.")),
            Way::Browser => Step::bad(STEP, "The user has not signed in.", format!("{sign_in}, or call a tool: the answer has a link.")),
        });
        return Ok(());
    };
    let end = grant.expires_at.map_or_else(|| "does not end".to_owned(), |at| format!("ends {}", rfc3339(at)));
    steps.push(Step::good(STEP, format!("The user has signed in; the token {end}.")));
    let is_due = grant.expires_at.is_some_and(|at| at <= now_ms());
    steps.push(match is_renewable {
        false => Step::nothing(RENEWAL, "There is no refresh token: when the token ends, the user signs in again."),
        true if !(look.renew || is_due) => Step::nothing(RENEWAL, "Not due. With `renew` it is tried now."),
        true => match app.upstreams.renew(upstream, &grant).await {
            Ok(true) => Step::good(RENEWAL, "The authorization server gave new tokens, which are kept."),
            Ok(false) => Step::bad(
                RENEWAL,
                "The authorization server no longer renews the token.",
                "The user signs in again: the next call has a link.",
            ),
            Err(error) => bad(RENEWAL, error, "See the token endpoint above, and try again."),
        },
    });
    Ok(())
}

/// Asks for the tools, as the user.
async fn first_call(app: &App, look: &Look<'_>, upstream: &Arc<Upstream>) -> Step {
    const STEP: &str = "first call";
    let client = Client::plain(look.scope);
    let demand = Demand::ours(upstream, &client, "tools/list", "{}", TIMEOUT);
    let answer = async { app.upstreams.begin(&demand).await?.done().await };
    match answer.await {
        Ok(Ok(_)) => Step::good(STEP, "`tools/list` was answered."),
        Ok(Err(error)) => {
            bad(STEP, crate::call::upstream::refused(&upstream.name, &error), "The MCP server itself refuses; its words are above.")
        }
        // That nobody has signed in is said above.
        Err(error) if error.kind == Kind::CredentialNotFound => Step::nothing(STEP, error.message),
        Err(error) => bad(STEP, error, "What is wrong is above, or in what the MCP server says here."),
    }
}
