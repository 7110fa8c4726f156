//! Clients: whoever names itself by the address of its metadata document, or has registered. None of them is kept.

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Shared, redirect, within};
use crate::{
    app::App,
    egress::OutgoingRequest,
    error::{Error, Kind, Result},
    page,
};

/// What the id of a registered client starts with; its metadata follows, sealed.
const PREFIX: &str = "client_";
/// Longest id, in bytes.
const MAX_ID: usize = 8_000;
/// Largest metadata document, in bytes. The draft recommends 5 KB at least.
const MAX_DOCUMENT: usize = 16 * 1024;
/// Most redirect addresses of one client.
const MAX_REDIRECTS: usize = 20;
/// Documents that one address may make us fetch in a minute: whoever asks us must not make us ask others without bound.
const FETCHES_FOR_ONE: u32 = 20;
/// Documents of one host that are fetched in a minute, whoever asks.
const FETCHES_FROM_ONE: u32 = 60;

/// A client.
#[derive(Debug)]
pub struct Client {
    /// As it names itself.
    pub id: String,
    /// For people: what it calls itself.
    pub name: String,
    /// Where its users may be sent.
    pub redirect_uris: Vec<String>,
    /// SHA-256 of its secret, in hex, where it has one.
    pub secret: Option<String>,
    /// The host that vouches for it: that of its metadata document.
    pub host: Option<String>,
}

/// What a registered client's id holds.
#[derive(Serialize, Deserialize)]
struct Registered {
    name: String,
    redirect_uris: Vec<String>,
    secret: Option<String>,
}

/// A metadata document, or what is sent to register (RFC 7591 section 2).
#[derive(Deserialize)]
pub struct Metadata {
    client_id: Option<String>,
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    /// How it proves who it is.
    pub token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    grant_types: Vec<String>,
    #[serde(default)]
    response_types: Vec<String>,
}

/// What is wrong with metadata, as RFC 7591 section 3.2.2 calls it, and a sentence.
pub type Wrong = (&'static str, String);

impl Metadata {
    /// The name and the redirect addresses.
    pub fn checked(self) -> Result<(String, Vec<String>), Wrong> {
        let wrong = |sentence: String| ("invalid_client_metadata", sentence);
        if self.redirect_uris.is_empty() || self.redirect_uris.len() > MAX_REDIRECTS {
            return Err(("invalid_redirect_uri", format!("`redirect_uris` must have 1 to {MAX_REDIRECTS} entries.")));
        }
        for uri in &self.redirect_uris {
            redirect::checked(uri).map_err(|why| ("invalid_redirect_uri", format!("A redirect URI is not accepted: {why}.")))?;
        }
        if !self.grant_types.is_empty() && !self.grant_types.iter().any(|kind| kind == "authorization_code") {
            return Err(wrong("`grant_types` must include `authorization_code`.".to_owned()));
        }
        if !self.response_types.is_empty() && !self.response_types.iter().any(|kind| kind == "code") {
            return Err(wrong("`response_types` must include `code`.".to_owned()));
        }
        let name = self.client_name.unwrap_or_default();
        let name: String = name.chars().filter(|c| page::is_visible_char(*c)).take(100).collect();
        let name = name.trim();
        Ok((if name.is_empty() { "A client without a name".to_owned() } else { name.to_owned() }, self.redirect_uris))
    }
}

impl Client {
    /// A client that registers: its id holds what it said, so that any node knows it and nothing is kept.
    pub fn register(app: &App, name: String, redirect_uris: Vec<String>, secret: Option<String>) -> Result<Self> {
        let registered = Registered { name, redirect_uris, secret };
        let id =
            format!("{PREFIX}{}", app.store.sealer().seal(&["client"], &serde_json::to_string(&registered).map_err(Error::internal)?)?);
        if id.len() > MAX_ID {
            return Err(Error::new(Kind::InvalidRequest, "The client's metadata is too long."));
        }
        Ok(Self::of(id, registered))
    }

    fn of(id: String, Registered { name, redirect_uris, secret }: Registered) -> Self {
        Self { id, name, redirect_uris, secret, host: None }
    }

    /// Whether its users may be sent here.
    pub fn redirects_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| redirect::matches(registered, uri))
    }
}

/// The client with this id, for who asks from this address.
///
/// # Errors
/// A sentence for a person, who can only tell it to whoever makes the client; of the kinds `Unavailable` and `RateLimited` where it helps
/// to ask again.
pub async fn find(shared: &Shared, id: &str, source: IpAddr) -> Result<Arc<Client>> {
    let unknown = || {
        Error::new(
            Kind::InvalidRequest,
            "This client is not known here: its `client_id` is neither one that we gave out nor the https address of its metadata.",
        )
    };
    if id.len() > MAX_ID {
        return Err(unknown());
    }
    if let Some(sealed) = id.strip_prefix(PREFIX) {
        let text = shared.app.store.sealer().unseal(&["client"], sealed).map_err(|_| unknown())?;
        let registered = serde_json::from_str(text.expose()).map_err(|_| unknown())?;
        return Ok(Arc::new(Client::of(id.to_owned(), registered)));
    }
    let host = document_host(id).ok_or_else(unknown)?;
    if let Some(client) = shared.documents.get(id) {
        return Ok(client);
    }
    let client = Arc::new(fetch(&shared.app, id, host, source).await?);
    shared.documents.insert(id.to_owned(), client.clone());
    Ok(client)
}

/// The host of an address that can be a client's id: https with a path, and nothing that makes two texts of one address. Source: OAuth
/// Client ID Metadata Document, section 3. On our own machine http works, where the operator lets requests go there at all.
fn document_host(id: &str) -> Option<String> {
    let url = Url::parse(id).ok()?;
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && redirect::is_loopback(&url));
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none() && url.query().is_none();
    let exact = url.as_str() == id && url.path() != "/";
    url.host_str().filter(|_| scheme && plain && exact && id.len() <= 1_000).map(str::to_owned)
}

async fn fetch(app: &App, id: &str, host: String, source: IpAddr) -> Result<Client> {
    within(app, ("documents for", source), FETCHES_FOR_ONE)?;
    within(app, ("documents from", &host), FETCHES_FROM_ONE)?;
    let wrong = |what: String| Error::new(Kind::InvalidRequest, format!("The client's metadata at {host} cannot be used: {what}."));
    let request = OutgoingRequest::document(id, Duration::from_secs(5), MAX_DOCUMENT);
    // One sentence whatever has failed: anybody may name an address, and must not learn from us what is there.
    let unread = |cause: String| {
        let sentence = format!("The client's metadata at {host} cannot be read at the moment. Try again shortly.");
        let mut error = Error::new(Kind::Unavailable, sentence);
        error.headers.push(("retry-after", 10));
        Error { cause: Some(cause.into()), ..error }
    };
    let answer = app.documents.send(request).await.map_err(|error| unread(format!("{error} {}", error.cause())))?;
    if answer.status != http::StatusCode::OK {
        return Err(unread(format!("the answer is {}", answer.status)));
    }
    if !answer.is_json() {
        return Err(wrong("its `Content-Type` is not `application/json`".to_owned()));
    }
    let metadata: Metadata =
        serde_json::from_slice(&answer.body).map_err(|_| wrong("it is not the JSON of a client's metadata".to_owned()))?;
    if metadata.client_id.as_deref() != Some(id) {
        return Err(wrong("its `client_id` is not its own address".to_owned()));
    }
    if metadata.token_endpoint_auth_method.as_deref().is_some_and(|method| method != "none") {
        return Err(wrong("its `token_endpoint_auth_method` must be `none`".to_owned()));
    }
    let (name, redirect_uris) = metadata.checked().map_err(|(_, sentence)| wrong(sentence.trim_end_matches('.').to_owned()))?;
    Ok(Client { id: id.to_owned(), name, redirect_uris, secret: None, host: Some(host) })
}
