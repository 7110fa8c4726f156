//! Enterprise-managed authorization (SEP-990): the user's identity provider exchanges an identity token for a grant (ID-JAG) that the
//! upstream's authorization server takes in the place of a user who consents.
//! Sources: draft-ietf-oauth-identity-assertion-authz-grant, RFC 8693 (token exchange), RFC 7523 (JWT bearer grants).

use std::sync::Arc;

use amalgam_vault::Secret;

use super::{
    Kept, Registration,
    discover::{Look, Server, server},
    refused, wrong,
};
use crate::{
    egress::Egress,
    error::{Error, Result},
    oauth::{Failure, Pointers, TokenRequest, Tokens, request},
    store::upstreams::Upstream,
    upstream::Upstreams,
};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

impl Upstreams {
    /// Whether users sign in by a browser; otherwise no user is asked, or the identity provider answers.
    pub fn takes_browsers(&self, upstream: &Upstream) -> Result<bool> {
        let entered = self.0.entered(upstream)?;
        Ok(!entered.is_machine() && !entered.is_enterprise())
    }

    /// Signs the upstream's user in with an identity token of the identity provider.
    ///
    /// # Errors
    /// Nobody is signed in so, or one of the two servers refuses.
    pub async fn sign_in_by_identity(&self, upstream: &Arc<Upstream>, identity: &Secret) -> Result<()> {
        let this = &self.0;
        let entered = this.entered(upstream)?;
        if !entered.is_enterprise() {
            return Err(Error::invalid(
                "idToken",
                "`idToken` is for MCP servers whose `auth_config.grant_type` is `id_jag`; leave it out to get a link.",
            ));
        }
        let found = this.found(upstream, None, &mut Look::new(&this.egress)).await?;
        let registration = entered.at(&found.server).map_err(|what| wrong(upstream, what))?;
        let mut kept = Kept::new(registration, &found.server, found.resource, &found.scope);
        let tokens = ask(&this.egress, &entered, &kept, &found.server, identity.expose()).await;
        kept.identity = Some(identity.expose().to_owned());
        this.signed_in(upstream, kept, tokens.map_err(|failure| refused(upstream, &failure))?, None).await
    }
}

/// From the identity to tokens of the upstream's authorization server.
pub(super) async fn ask(egress: &Egress, entered: &Registration, kept: &Kept, at: &Server, identity: &str) -> Result<Tokens, Failure> {
    let grant = exchange(egress, entered, kept, identity).await?;
    super::ask(egress, kept, at, &[("grant_type", JWT_BEARER), ("assertion", grant.expose())]).await
}

/// The identity provider's grant for this user at this authorization server.
async fn exchange(egress: &Egress, entered: &Registration, kept: &Kept, identity: &str) -> Result<Secret, Failure> {
    let broken = |description: &str| Failure::Client { code: "invalid_client".to_owned(), description: description.to_owned() };
    let provider = entered.identity_provider.as_deref().ok_or_else(|| broken("there is no identity provider"))?;
    let issuer = provider.issuer.as_deref().unwrap_or_default();
    let found = server(&mut Look::new(egress), issuer).await.map_err(|what| Failure::Transient(format!("the identity provider {what}")))?;
    let found = found.ok_or_else(|| Failure::Transient("the identity provider has no metadata that can be read".to_owned()))?;
    let client = provider.client(&found).map_err(|what| broken(&what))?;
    let mut params = vec![
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("audience", kept.issuer.as_str()),
        ("subject_token", identity),
        ("subject_token_type", ID_TOKEN),
    ];
    params.extend(kept.resource.as_deref().map(|resource| ("resource", resource)));
    if !kept.asked.is_empty() {
        params.push(("scope", &kept.asked));
    }
    // An ID-JAG is no access token, and its type says so.
    let pointers = Pointers { types: &["N_A".to_owned()], ..Pointers::default() };
    let ask = TokenRequest { url: &found.token_endpoint, client: &client, params: &params, json: false, audience: &found.issuer };
    let issued = request(egress, &ask, &pointers).await?;
    match issued.issued_type.as_deref() {
        Some(ID_JAG) => Ok(issued.access),
        _ => Err(Failure::Transient("the identity provider issued something else than an ID-JAG".to_owned())),
    }
}
