//! The end of grants: what is open with them is closed, and their tokens are revoked where the authorization server offers that (RFC 7009).

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::{Kept, Server, Shared};
use crate::{
    egress::Egress,
    oauth::{self, TokenRequest},
    store::upstream_grants::Held,
    upstream::Upstreams,
};

/// Grants that are revoked at once.
const AT_ONCE: usize = 8;

impl Upstreams {
    /// Ends what these grants, which are kept no longer, have opened: sessions at once, tokens without anybody who waits for it.
    pub fn end_grants(&self, all: Vec<Held>) {
        let this = self.0.clone();
        for held in &all {
            this.close(&held.upstream_id, &held.user_id);
        }
        self.sweep();
        if !all.is_empty() {
            tokio::spawn(async move { stream::iter(all).for_each_concurrent(AT_ONCE, |held| give_back(&this, held)).await });
        }
    }
}

impl Shared {
    /// Ends what is open to an upstream for one user.
    pub(super) fn close(&self, upstream: &str, user: &str) {
        let sessions: Vec<_> =
            self.sessions.iter().filter(|(key, _)| key.upstream == upstream && *key.client.scope.user == *user).collect();
        for (key, _) in sessions {
            self.sessions.invalidate(&*key);
        }
        let pipes: Vec<_> = self.pipes.iter().filter(|(key, _)| key.upstream == upstream && *key.client.scope.user == *user).collect();
        for (key, _) in pipes {
            self.pipes.invalidate(&*key);
        }
        self.wanted.invalidate(&(upstream.to_owned(), user.into()));
    }
}

async fn give_back(this: &Arc<Shared>, held: Held) {
    match this.store.open_held(&held).map(|text| serde_json::from_str::<Kept>(text.expose())) {
        Ok(Ok(kept)) => revoke(&this.egress, &kept).await,
        _ => tracing::error!(upstream = held.upstream_id, "a grant could not be opened to be revoked"),
    }
}

/// The refresh token first: some servers end the access token with it.
pub(super) async fn revoke(egress: &Egress, kept: &Kept) {
    let Some(url) = &kept.revocation_endpoint else { return };
    let Ok(client) = kept.registration.client(&Server::of(&kept.issuer, &kept.token_endpoint)) else { return };
    for (hint, token) in [("refresh_token", kept.refresh.as_deref()), ("access_token", Some(kept.access.as_str()))] {
        let Some(token) = token else { continue };
        let params = [("token", token), ("token_type_hint", hint)];
        let request = TokenRequest { url, client: &client, params: &params, json: false, audience: &kept.issuer };
        if let Err(failure) = oauth::revoke(egress, &request).await {
            tracing::info!(issuer = kept.issuer, "a token could not be revoked: {failure}");
        }
    }
}
