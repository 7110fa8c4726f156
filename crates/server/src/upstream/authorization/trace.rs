//! Every step of signing in to an upstream, tried by what really does it, with what each came to.

use std::sync::Arc;

use ipnet::IpNet;
use url::Url;

use super::{
    client::{Registration, document},
    discover::Look,
    registered::NO_CODE,
    user,
};
use crate::{
    error::Result,
    oauth::{Failure, state},
    store::{upstream_grants::UpstreamGrant, upstreams::Upstream},
    upstream::Upstreams,
};

/// Who tokens are asked for, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A user consents in a browser.
    Browser,
    /// Nobody: our client has a token of its own.
    Client,
    /// A user's identity token is exchanged.
    IdentityToken,
}

/// What was tried; what could not be tried after something else had failed is absent.
pub struct Trace {
    /// As it was entered.
    pub way: Way,
    /// Each address on the way to the authorization server, and what it came to.
    pub tried: Vec<String>,
    /// The authorization server, and what it is asked for.
    pub discovery: Result<Found>,
    /// Who we are there.
    pub registration: Option<Result<Known>>,
    /// Where a browser would be sent.
    pub page: Option<Result<Url>>,
    /// What the token endpoint made of a code that nobody has granted; absent where no browser is sent anywhere.
    pub token: Option<Result<(), Failure>>,
}

/// What was found.
pub struct Found {
    /// The authorization server.
    pub issuer: String,
    /// The scopes.
    pub scope: String,
    /// What tokens are asked for; none with upstreams that describe nothing.
    pub resource: Option<String>,
}

/// Who we are at an authorization server.
pub struct Known {
    /// `client_id`.
    pub client_id: String,
    /// Whose doing it is.
    pub origin: Origin,
}

/// How we came to be known at an authorization server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The owner entered it.
    Entered,
    /// It is the address of our metadata.
    Document,
    /// We have registered.
    Registered,
}

impl Upstreams {
    /// Tries each step of signing this upstream's user in, as a link would.
    pub async fn trace(&self, upstream: &Arc<Upstream>, base_url: &str, allowed: &[IpNet]) -> Result<Trace> {
        let this = &self.0;
        let mut look = Look::new(&this.egress);
        let (found, entered) = (this.found(upstream, None, &mut look).await, this.entered(upstream)?);
        let way = match &entered {
            entered if entered.is_machine() => Way::Client,
            entered if entered.is_enterprise() => Way::IdentityToken,
            _ => Way::Browser,
        };
        let found = match found {
            Ok(found) if way == Way::Browser => found.require_pkce().map_err(|what| super::wrong(upstream, what)).map(|()| found),
            found => found,
        };
        let tried = look.tried;
        let found = match found {
            Ok(found) => found,
            Err(error) => return Ok(Trace { way, tried, discovery: Err(error), registration: None, page: None, token: None }),
        };
        let (issuer, scope, resource) = (found.server.issuer.clone(), found.scope.clone(), found.resource.clone());
        let discovery = Ok(Found { issuer, scope, resource });
        let mut trace = Trace { way, tried, discovery, registration: None, page: None, token: None };
        let registration = match this.known(upstream, &entered, &found.server, base_url).await {
            Ok(registration) => registration,
            Err(error) => return Ok(Trace { registration: Some(Err(error)), ..trace }),
        };
        trace.registration = Some(Ok(known(&registration, &entered, base_url)));
        if way != Way::Browser {
            return Ok(trace);
        }
        match this.prepared(upstream, found, registration, &state(), base_url, allowed) {
            Ok((url, attempt)) => {
                trace.page = Some(Ok(url));
                trace.token = Some(this.exchanged(upstream, attempt, NO_CODE, base_url).await?.1.map(drop));
            }
            Err(error) => trace.page = Some(Err(error)),
        }
        Ok(trace)
    }

    /// The present grant of an upstream's user, and whether it can be renewed.
    pub async fn grant(&self, upstream: &Upstream) -> Result<Option<(Arc<UpstreamGrant>, bool)>> {
        let Some(grant) = self.0.store.upstream_grant_now(upstream, user(upstream)).await? else { return Ok(None) };
        let is_renewable = self.0.open(upstream, &grant)?.is_renewable();
        Ok(Some((grant, is_renewable)))
    }

    /// Renews a grant now. False where it is of no more use, and gone.
    pub async fn renew(&self, upstream: &Arc<Upstream>, grant: &UpstreamGrant) -> Result<bool> {
        Ok(self.0.renewed(upstream, grant).await?.is_some())
    }
}

fn known(registration: &Registration, entered: &Registration, base_url: &str) -> Known {
    let client_id = registration.client_id.clone().unwrap_or_default();
    let origin = match entered.client_id {
        Some(_) => Origin::Entered,
        None if client_id == document(base_url) => Origin::Document,
        None => Origin::Registered,
    };
    Known { client_id, origin }
}
