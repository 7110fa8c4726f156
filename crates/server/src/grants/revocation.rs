//! Revoking at platforms what users have granted, once its rows are gone here.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::{Grants, exchange::Granted};
use crate::{
    error::Result,
    oauth::{self, TokenRequest},
    store::{
        Scope,
        auth_configs::AuthConfig,
        credentials::{Credential, SealedRenewal},
    },
};

/// Grants that are revoked with an account; what is beyond ends by itself.
const MAX_LEAVING: i64 = 10_000;
/// Revocations at once.
const AT_ONCE: usize = 8;

/// A grant whose row is about to go: still sealed.
pub struct Leaving {
    scope: Scope,
    credential: Credential,
    renewal: SealedRenewal,
    config: Arc<AuthConfig>,
}

impl Grants {
    /// Revokes tokens at their platform, the refresh token first. Tells whether the platform has confirmed it; `None` where it has no
    /// address for that.
    pub async fn revoke(&self, scope: &Scope, connector: &str, granted: &Granted) -> Option<bool> {
        granted.renewal.revoke_url.as_deref()?;
        match self.store.auth_config(&scope.account, &granted.auth_config).await {
            Ok(Some(config)) => self.revoke_with(scope, connector, granted, &config).await,
            _ => Some(false),
        }
    }

    async fn revoke_with(&self, scope: &Scope, connector: &str, granted: &Granted, config: &AuthConfig) -> Option<bool> {
        let url = granted.renewal.revoke_url.as_deref()?;
        let access = granted.opened.fields.get("token").and_then(Value::as_str);
        let tokens = [("refresh_token", granted.renewal.refresh_token.as_deref()), ("access_token", access)];
        let Ok(client) = self.client(scope, config) else { return Some(false) };
        let mut done = true;
        for (hint, token) in tokens {
            let Some(token) = token else { continue };
            let params = [("token", token), ("token_type_hint", hint)];
            let request = TokenRequest { url, client: &client, params: &params, json: false, audience: &granted.renewal.token_url };
            if let Err(failure) = oauth::revoke(&self.egress, &request).await {
                tracing::info!(connector, "a token could not be revoked: {failure}");
                done = false;
            }
        }
        Some(done)
    }

    /// What revoking a credential needs, read before it is deleted; nothing for one that is not of OAuth.
    pub async fn of(&self, scope: &Scope, credential: &Credential) -> Result<Option<Granted>> {
        let Some(auth_config) = credential.auth_config.clone() else { return Ok(None) };
        let Some(renewal) = self.store.renewal(scope, &credential.connector, &credential.id).await? else { return Ok(None) };
        let opened = self.store.open_credential(scope, credential)?;
        Ok(Some(Granted { opened, auth_config, refresh_at: None, expires_at: None, renewal }))
    }

    /// All that one user of an account was granted, or all of its users: read before they are deleted.
    pub async fn leaving(&self, account: &str, user: Option<&str>) -> Result<Vec<Leaving>> {
        let configs = self.store.auth_configs(account, None).await?;
        let configs: HashMap<String, Arc<AuthConfig>> = configs.into_iter().map(|config| (config.id.clone(), Arc::new(config))).collect();
        let all = self.store.granted(account, user, MAX_LEAVING).await?;
        if all.len() >= usize::try_from(MAX_LEAVING).unwrap_or(usize::MAX) {
            tracing::warn!(account, "more than {MAX_LEAVING} grants: the others end by themselves at their platforms");
        }
        let config = |credential: &Credential| configs.get(credential.auth_config.as_deref()?).cloned();
        let leaving = |(scope, credential, renewal)| config(&credential).map(|config| Leaving { scope, credential, renewal, config });
        Ok(all.into_iter().filter_map(leaving).collect())
    }

    /// Revokes all of these, without anybody who waits for it.
    pub fn revoke_later(&self, all: Vec<Leaving>) {
        let this = self.clone();
        tokio::spawn(async move { stream::iter(all).for_each_concurrent(AT_ONCE, |leaving| this.revoke_leaving(leaving)).await });
    }

    async fn revoke_leaving(&self, Leaving { scope, credential, renewal, config }: Leaving) {
        let opened = self.store.open_credential(&scope, &credential);
        let (Ok(opened), Ok(renewal)) = (opened, self.store.open_renewal(&scope, &credential, &renewal)) else { return };
        let granted = Granted { opened, auth_config: config.id.clone(), refresh_at: None, expires_at: None, renewal };
        self.revoke_with(&scope, &credential.connector, &granted, &config).await;
    }
}
