//! Who we are to an authorization server: known there before, by the address of our metadata, or registered now. In this order.

use std::time::Duration;

use amalgam_vault::Secret;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::discover::Server;
use crate::{
    clock::now_ms,
    config::is_unread,
    egress::{Egress, OutgoingRequest},
    oauth::{Authentication, Client, PrivateKey},
};

/// What people are shown in the place of a secret.
pub const HIDDEN: &str = "(hidden)";
/// Of a secret that is sent as it was shown: the end of a sentence.
pub const STILL_HIDDEN: &str =
    "holds `(hidden)` in the place of a secret: send the secret itself, or leave `auth_config` out to keep what there is";

/// What the owner has entered for an upstream (`auth_config`), and what we are at one issuer. It is never used at another one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// At the authorization server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// A private key in PEM (PKCS #8), for `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// The `kid` of the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<String>,
    /// `authorization_code` (the default), `client_credentials`: no user is asked, or `id_jag`: the identity provider answers for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<String>,
    /// Instead of what the upstream asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Where this client is known; it is used at no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// With `id_jag`: our client at the identity provider, which is the `issuer` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<Box<Self>>,
}

impl Registration {
    /// For people: secrets are named only.
    pub fn shown(&self) -> Self {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| HIDDEN.to_owned());
        Self {
            client_secret: hidden(&self.client_secret),
            private_key: hidden(&self.private_key),
            identity_provider: self.identity_provider.as_ref().map(|provider| Box::new(provider.shown())),
            ..self.clone()
        }
    }

    /// What is wrong with it, as it was entered.
    ///
    /// # Errors
    /// The end of a sentence about it.
    pub fn check(&self) -> Result<(), String> {
        self.check_grant()?;
        for client in [Some(self), self.identity_provider.as_deref()].into_iter().flatten() {
            if client.client_secret.is_some() && client.private_key.is_some() {
                return Err("has a `client_secret` and a `private_key`; a client proves itself by one of them".to_owned());
            }
            if client.client_id.is_none() && (client.client_secret.is_some() || client.private_key.is_some()) {
                return Err("has a secret or key without the `client_id` that it belongs to".to_owned());
            }
            if [&client.client_secret, &client.private_key].into_iter().flatten().any(|secret| secret == HIDDEN) {
                return Err(STILL_HIDDEN.to_owned());
            }
            client.client(&Server::of("", "")).map_err(|why| format!("holds a client that cannot prove itself: {why}"))?;
        }
        Ok(())
    }

    fn check_grant(&self) -> Result<(), &'static str> {
        if !matches!(self.grant_type.as_deref(), None | Some("authorization_code" | "client_credentials" | "id_jag")) {
            return Err("has a `grant_type` that is none of `authorization_code`, `client_credentials` and `id_jag`");
        }
        if self.client_id.is_none() && (self.is_machine() || self.is_enterprise()) {
            return Err("needs a `client_id` with this `grant_type`");
        }
        match &self.identity_provider {
            None if self.is_enterprise() => Err("needs `identity_provider` with `id_jag`: {\"issuer\", \"client_id\", \"client_secret\"}"),
            Some(_) if !self.is_enterprise() => Err("holds `identity_provider`, which belongs to the `grant_type` `id_jag` alone"),
            Some(provider) if provider.issuer.is_none() || provider.client_id.is_none() => {
                Err("needs `issuer` and `client_id` in `identity_provider`")
            }
            Some(provider) if provider.grant_type.is_some() || provider.identity_provider.is_some() => {
                Err("may not have `grant_type` or `identity_provider` in `identity_provider`")
            }
            _ => Ok(()),
        }
    }

    /// True where the identity provider answers for the user (SEP-990, enterprise-managed authorization).
    pub fn is_enterprise(&self) -> bool {
        self.grant_type.as_deref() == Some("id_jag")
    }

    /// True where both are the same client of the same server; its secret may be another.
    pub fn is_same_client(&self, other: &Self) -> bool {
        (&self.client_id, &self.issuer, &self.grant_type) == (&other.client_id, &other.issuer, &other.grant_type)
    }

    /// True where no user is asked.
    pub fn is_machine(&self) -> bool {
        self.grant_type.as_deref() == Some("client_credentials")
    }

    /// This client, whose secret may have been replaced since it was `before`, which knew how it proves itself at the server.
    pub fn renewed(&self, before: &Self) -> Self {
        let known = before.token_endpoint_auth_method.clone().filter(|_| self.private_key.is_some() == before.private_key.is_some());
        Self { token_endpoint_auth_method: self.token_endpoint_auth_method.clone().or(known), ..self.clone() }
    }

    /// The client that was entered, at this server.
    ///
    /// # Errors
    /// What is wrong, without its subject.
    pub fn at(&self, server: &Server) -> Result<Self, String> {
        // A secret that was entered for one server is never shown to another.
        if self.issuer.as_deref() != Some(server.issuer.as_str()) {
            return Err("has another authorization server than the one that its client is registered at; register one there, and send `auth_config` \
                        with its `issuer` again"
                .to_owned());
        }
        // The server's metadata is not there when tokens are renewed.
        Ok(Self { token_endpoint_auth_method: Some(self.method(server)), ..self.clone() })
    }

    /// How it proves itself at this server.
    fn method(&self, server: &Server) -> String {
        let supported = |method: &str| server.token_endpoint_auth_methods_supported.iter().any(|known| known == method);
        self.token_endpoint_auth_method.clone().unwrap_or_else(|| {
            let fitting = match (&self.private_key, &self.client_secret) {
                (Some(_), _) => "private_key_jwt",
                (None, None) => "none",
                (None, Some(_)) if !supported("client_secret_basic") && supported("client_secret_post") => "client_secret_post",
                (None, Some(_)) => "client_secret_basic",
            };
            fitting.to_owned()
        })
    }

    /// Fit to prove itself.
    pub fn client(&self, server: &Server) -> Result<Client, String> {
        let secret = || self.client_secret.clone().map(Secret::new).ok_or("there is no client secret");
        let method = self.method(server);
        let authentication = match method.as_str() {
            "none" => Authentication::None,
            "client_secret_basic" => Authentication::Basic(secret()?),
            "client_secret_post" => Authentication::Post(secret()?),
            "private_key_jwt" => {
                let key = PrivateKey::parse(self.private_key.as_deref().unwrap_or_default(), self.key_id.clone())?;
                Authentication::PrivateKey(Box::new(key))
            }
            _ => return Err(format!("`token_endpoint_auth_method` {method} is not supported")),
        };
        Ok(Client { id: self.client_id.clone().unwrap_or_default(), authentication })
    }
}

/// The document at this address describes us to servers that take addresses as client ids.
pub fn metadata(base_url: &str) -> serde_json::Value {
    json!({
        "client_id": document(base_url),
        "client_name": "Amalgam",
        "client_uri": base_url,
        "redirect_uris": [redirect_uri(base_url)],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "web",
    })
}

pub(super) fn document(base_url: &str) -> String {
    format!("{base_url}/client-metadata.json")
}

/// Where browsers come back to.
pub fn redirect_uri(base_url: &str) -> String {
    format!("{base_url}/oauth/callback")
}

/// Our client there where it needs no registration: the server reads our metadata.
pub fn by_document(entered: &Registration, server: &Server, base_url: &str) -> Option<Registration> {
    let reads = server.client_id_metadata_document_supported && base_url.starts_with("https://");
    reads.then(|| Registration { client_id: Some(document(base_url)), issuer: Some(server.issuer.clone()), ..entered.clone() })
}

/// What a registration answers.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    /// Seconds since 1970; 0 = never.
    #[serde(default)]
    client_secret_expires_at: i64,
    token_endpoint_auth_method: Option<String>,
}

/// Registers us at this server: our client there, and when its secret ends, in milliseconds.
///
/// # Errors
/// What is wrong, without its subject.
pub async fn register(egress: &Egress, server: &Server, base_url: &str) -> Result<(Registration, Option<i64>), String> {
    let Some(endpoint) = &server.registration_endpoint else {
        return Err(
            "has an authorization server that lets no client register itself; register one there, and enter it as `auth_config.client_id`"
                .to_owned(),
        );
    };
    if !Url::parse(endpoint).is_ok_and(|url| is_unread(&url, egress.allowed())) {
        return Err("has an authorization server that registers clients in the clear: its registration endpoint must be https".to_owned());
    }
    let supported = &server.token_endpoint_auth_methods_supported;
    let wanted = ["client_secret_basic", "client_secret_post", "none"];
    let method = wanted.into_iter().find(|method| supported.iter().any(|known| known == method)).unwrap_or("client_secret_basic");
    let mut body = metadata(base_url);
    body["token_endpoint_auth_method"] = method.into();
    if let Some(body) = body.as_object_mut() {
        body.remove("client_id");
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let request = OutgoingRequest {
        method: Method::POST,
        url: endpoint,
        headers,
        body: body.to_string().into(),
        timeout: Duration::from_secs(15),
        max_response_bytes: 64 * 1024,
        follow_redirects: false,
        credential_bound: true,
    };
    let answer = egress.send(request).await.map_err(|error| format!("has an authorization server that cannot be reached: {error}"))?;
    let refused = || format!("has an authorization server that refused to register us (HTTP {})", answer.status);
    let registered: Registered =
        if answer.status.is_success() { serde_json::from_slice(&answer.body).map_err(|_| refused())? } else { return Err(refused()) };
    let method = match (&registered.client_secret, registered.token_endpoint_auth_method) {
        (None, _) => "none".to_owned(),
        (Some(_), said) => said.unwrap_or_else(|| method.to_owned()),
    };
    let registration = Registration {
        client_id: Some(registered.client_id),
        token_endpoint_auth_method: Some(method),
        client_secret: registered.client_secret,
        issuer: Some(server.issuer.clone()),
        ..Registration::default()
    };
    // What is kept is used for everybody: a client that cannot prove itself would keep all of them out.
    let unusable = |why: &str| format!("has an authorization server that registered us as a client that cannot be used: {why}");
    if registration.client_id.as_deref().is_none_or(|id| id.trim().is_empty()) {
        return Err(unusable("it has no `client_id`"));
    }
    registration.client(server).map_err(|why| unusable(&why))?;
    let ends = registration.client_secret.as_ref().map(|_| registered.client_secret_expires_at.saturating_mul(1_000));
    // 0 is never, and a time that is over is none: each sign-in would register once more, until no further one is allowed.
    Ok((registration, ends.filter(|ends| *ends > now_ms())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server's metadata, which says how a client proves itself, is not read again for a renewal.
    #[test]
    fn a_renewal_proves_the_client_as_the_first_time() {
        let entered = |secret: &str| Registration {
            client_id: Some("known".to_owned()),
            client_secret: Some(secret.to_owned()),
            ..Registration::default()
        };
        let chosen = Registration { token_endpoint_auth_method: Some("client_secret_post".to_owned()), ..entered("old") };
        let renewed = entered("new").renewed(&chosen);
        assert_eq!(renewed.client_secret.as_deref(), Some("new"));
        assert_eq!(renewed.token_endpoint_auth_method.as_deref(), Some("client_secret_post"));
        // A key in the place of the secret proves itself as keys do.
        let keyed = Registration { client_secret: None, private_key: Some("pem".to_owned()), ..entered("") };
        assert_eq!(keyed.renewed(&chosen).token_endpoint_auth_method, None);
    }
}
