//! Links by which users connect themselves in a browser: made here, opened here.

use std::sync::Arc;

use amalgam_connector::{
    definition::{AuthKind, AuthScheme, Definition, OAuth2},
    variables::{address, judge},
};
use amalgam_vault::url_safe;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::{ConsentWish, NewCredential, complete, fields_of, missing, name, scheme, sort, store};
use crate::{
    app::App,
    auth::Caller,
    catalogue,
    clock::random,
    connectors::Loaded,
    error::{Error, Kind, Result, unknown_among},
    grants::places,
    limits::bodies::Holder,
    oauth::for_browser,
    store::{
        Scope,
        audit::Entry,
        auth_configs::AuthConfig,
        connect_links::ConnectLink,
        credentials::{Credential, New, Opened},
        servers::Server,
    },
};

/// Scopes of one consent.
const MAX_SCOPES: usize = 200;

/// A link as it is given out.
pub struct Link {
    /// Its address; whoever has it connects the user it was made for.
    pub url: String,
    /// Milliseconds.
    pub expires_at: i64,
}

/// What a link was made for.
#[derive(Default, Serialize, Deserialize)]
pub struct Asked {
    /// Who asked, as in the audit trail.
    pub caller: String,
    /// Through which server, whose restrictions hold to the end.
    pub server: Option<String>,
    /// One way to authenticate; absent = all that the connector has.
    pub kind: Option<AuthKind>,
    /// Display name of the credential.
    pub name: Option<String>,
    /// Where the browser goes afterwards.
    pub redirect_uri: Option<String>,
    /// Which of the account's OAuth clients.
    pub auth_config: Option<String>,
    /// What consent is asked for.
    pub scopes: Vec<String>,
    /// Variables that are known already.
    pub variables: Map<String, Value>,
    /// The credential that gets the new tokens.
    pub replaces: Option<String>,
}

/// The link to the consent page of a platform, asked for by somebody who knows what for.
pub(super) async fn of_oauth(
    app: &App,
    caller: &Caller,
    scope: &Scope,
    loaded: &Loaded,
    scheme: &AuthScheme,
    name: String,
    new: NewCredential<'_>,
) -> Result<Link> {
    let ConsentWish { redirect_uri: redirect, auth_config, scopes } = new.consent;
    let config = client_for(app, scope, loaded, auth_config.as_deref()).await?;
    let mut values = new.values;
    place(loaded.connector.definition(), scheme, &config, &mut values)?;
    let opened = sort(loaded.connector.definition(), scheme, values)?;
    if scopes.len() > MAX_SCOPES || !scopes.iter().all(|scope| is_scope(scope)) {
        let sentence = format!("`scopes` must be at most {MAX_SCOPES} words of visible ASCII characters, without quotes and backslashes.");
        return Err(Error::invalid("scopes", sentence));
    }
    if let Some(uri) = &redirect {
        redirect_uri(app, scope, uri).await?;
    }
    let asked = Asked {
        kind: Some(AuthKind::OAuth2),
        name: Some(name),
        redirect_uri: redirect,
        auth_config: Some(config.id),
        scopes,
        variables: opened.variables,
        ..Asked::of(caller)
    };
    make(app, scope, loaded.id(), &asked).await
}

impl Asked {
    /// By this caller, for whatever way.
    pub fn of(caller: &Caller) -> Self {
        Self { caller: caller.principal.label(), server: caller.server.as_ref().map(|server| server.id.clone()), ..Self::default() }
    }

    /// Who asked, in words, for the person who opens the link.
    pub async fn asker(&self, app: &App, account: &str) -> Result<String> {
        let (kind, id) = self.caller.split_once(':').unwrap_or_default();
        let named = |name: Option<String>| name.map_or_else(String::new, |name| format!(" “{name}”"));
        Ok(match kind {
            "key" => format!("the holder of the API key{}", named(app.store.api_key_name(account, id).await?)),
            "token" => "somebody with the server's token URL".to_owned(),
            "grant" => format!("the MCP client{} that the user has allowed", named(app.store.grant_client(account, id).await?)),
            "link" => "the owner of the MCP server, with a connect link".to_owned(),
            _ => "the user, with a user token".to_owned(),
        })
    }

    /// The beginning of the audit entry of what comes of it.
    pub(super) fn entry(&self, link: &ConnectLink, request_id: &str) -> Entry {
        Entry {
            caller: self.caller.clone(),
            server_id: self.server.clone(),
            connector_id: Some(link.connector.clone()),
            ..Entry::new(&link.scope, "web", "credential.create", request_id)
        }
    }
}

/// The text of a new link: 256 random bits.
pub(super) fn new_text() -> String {
    url_safe(&random::<32>())
}

/// Makes a link.
pub(super) async fn make(app: &App, scope: &Scope, connector: &str, asked: &Asked) -> Result<Link> {
    let text = new_text();
    let asked = serde_json::to_string(asked).map_err(Error::internal)?;
    let expires_at = app.store.create_connect_link(scope, connector, &text, &asked).await?;
    Ok(Link { url: format!("{}/connect/{text}", app.base_url), expires_at })
}

/// RFC 6749 section 3.3.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.len() <= 500 && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// The account's OAuth client for a connector: the named one, else the newest.
pub(super) async fn client_for(app: &App, scope: &Scope, loaded: &Loaded, id: Option<&str>) -> Result<AuthConfig> {
    let configs = app.store.auth_configs(&scope.account, Some(loaded.id())).await?;
    match id {
        Some(id) => configs.into_iter().find(|config| config.id == id).ok_or_else(|| {
            let sentence = "Your account has no auth config with this id for this connector; `GET /api/auth-configs` lists them.";
            Error::invalid("authConfigId", sentence)
        }),
        None => configs.into_iter().next().ok_or_else(|| {
            let definition = loaded.connector.definition();
            let others: Vec<&str> =
                definition.auth.iter().map(|scheme| scheme.kind.as_str()).filter(|kind| *kind != AuthKind::OAuth2.as_str()).collect();
            let others = if others.is_empty() { String::new() } else { format!(" Or use `{}`.", others.join("`, `")) };
            let sentence = format!(
                "Your account has no OAuth client at {} yet: an admin enters its client id and secret with `POST /api/auth-configs` \
                 (connectorId \"{}\").{others}",
                definition.name, definition.id
            );
            Error::invalid("authenticationType", sentence)
        }),
    }
}

/// Judges where a browser shall go: exactly one of the addresses that an admin of the account has listed.
pub async fn redirect_uri(app: &App, scope: &Scope, uri: &str) -> Result<()> {
    let listed = app.store.redirect_uris(&scope.account).await?.iter().any(|listed| listed == uri);
    if listed && for_browser(uri, &app.config.egress_allow).is_ok() {
        return Ok(());
    }
    let sentence =
        "`redirectUri` is not on your account's list of addresses; an admin adds it with `PUT /api/redirect-uris`, exactly as it is sent.";
    Err(Error::invalid("redirectUri", sentence))
}

/// A link that somebody has opened.
pub struct Opening {
    pub(super) link: ConnectLink,
    /// What it was made for.
    pub asked: Asked,
    /// Its connector.
    pub loaded: Arc<Loaded>,
    pub(super) server: Option<Arc<Server>>,
}

/// One way to connect that a page offers.
pub struct Way<'a> {
    /// The scheme.
    pub scheme: &'a AuthScheme,
    /// What is to be entered: name, description, whether it must be, whether it is no secret, a sample.
    pub inputs: Vec<Input<'a>>,
    /// What consent is asked for, and what each permits.
    pub scopes: Vec<(String, String)>,
    /// The host that the key goes to, or the token that consent leads to.
    pub host: String,
    /// The host of the consent page.
    pub consent_host: Option<String>,
}

/// One thing to be entered.
pub struct Input<'a> {
    /// As it is sent.
    pub name: &'a str,
    /// For people.
    pub description: String,
    /// Must be given.
    pub is_required: bool,
    /// Is shown while it is typed.
    pub is_public: bool,
    /// The shape of a real value.
    pub sample: String,
    /// The only values.
    pub choices: &'a [String],
}

pub(super) fn no_link() -> Error {
    Error::new(
        Kind::NotFound,
        "This link has been used, or is more than ten minutes old, or is not complete. Go back to where you came from and ask for a new one.",
    )
}

/// Opens a link: what it was made for is judged again, because much may have changed since.
pub async fn open(app: &App, text: &str) -> Result<Opening> {
    let link = app.store.connect_link(text).await?.ok_or_else(no_link)?;
    opening(app, link).await
}

pub(super) async fn opening(app: &App, link: ConnectLink) -> Result<Opening> {
    let asked: Asked = serde_json::from_str(app.store.open_connect_link(&link)?.expose()).map_err(Error::internal)?;
    let server = match &asked.server {
        Some(id) => Some(app.store.server_in_account(&link.scope.account, id).await?.ok_or_else(no_link)?),
        None => None,
    };
    let loaded = catalogue::resolve(&app.store, &link.scope, server.as_deref(), &link.connector).await?;
    Ok(Opening { link, asked, loaded, server })
}

impl Opening {
    /// Whose account at the platform will be connected to whom.
    pub fn user(&self) -> &str {
        &self.link.scope.user
    }

    /// The same, with the account.
    pub fn scope(&self) -> &Scope {
        &self.link.scope
    }

    /// Whose body its form is.
    pub fn holder(&self) -> Holder {
        Holder::at_page(&self.link.scope.account, &self.link.scope.user)
    }

    /// Who asked for it, for the person who opens it.
    pub async fn asker(&self, app: &App) -> Result<String> {
        self.asked.asker(app, &self.link.scope.account).await
    }

    /// The server that it goes through.
    pub fn server_name(&self) -> Option<&str> {
        self.server.as_ref().map(|server| server.name.as_str())
    }

    /// The ways that the page offers.
    ///
    /// # Errors
    /// There is none.
    pub async fn ways(&self, app: &App) -> Result<Vec<Way<'_>>> {
        let definition = self.loaded.connector.definition();
        let mut ways = Vec::new();
        for scheme in &definition.auth {
            if self.asked.kind.is_some_and(|kind| kind != scheme.kind) {
                continue;
            }
            let (mut scopes, mut known, mut consent_host) = (Vec::new(), self.asked.variables.clone(), None);
            let inputs = self.inputs(definition, scheme);
            if let Some(oauth2) = &scheme.oauth2 {
                match client_for(app, &self.link.scope, &self.loaded, self.asked.auth_config.as_deref()).await {
                    Ok(config) => {
                        scopes = described(oauth2, &scopes_of(oauth2, &config, &self.asked.scopes));
                        known.extend(config.variables.clone());
                        consent_host = Some(host(definition, &oauth2.authorize_url, &known, &inputs));
                    }
                    Err(_) if self.asked.kind.is_none() => continue,
                    Err(error) => return Err(error),
                }
            }
            let host = host(definition, definition.origin(Some(scheme)), &known, &inputs);
            ways.push(Way { scheme, inputs, scopes, host, consent_host });
        }
        if ways.is_empty() {
            return Err(Error::new(Kind::Conflict, format!("There is no way to connect {} at the moment.", definition.name)));
        }
        Ok(ways)
    }

    fn inputs<'a>(&self, definition: &'a Definition, scheme: &'a AuthScheme) -> Vec<Input<'a>> {
        let only = fields_of(scheme).len() == 1;
        let fields = fields_of(scheme).into_iter().map(|(name, field)| Input {
            name,
            description: field.description,
            is_required: !field.optional,
            // A user name alone is a key in the place of one.
            is_public: field.public && !only,
            sample: field.sample.unwrap_or_default(),
            choices: &[],
        });
        let places: Vec<&str> = scheme.oauth2.as_ref().map(|oauth2| places(definition, oauth2)).unwrap_or_default();
        let variables =
            definition.variables_of(scheme).filter(|(name, _)| !self.asked.variables.contains_key(*name) && !places.contains(name));
        let variables = variables.map(|(name, variable)| Input {
            name,
            description: variable.description.clone(),
            is_required: variable.is_required(),
            is_public: true,
            sample: variable.sample.clone().or_else(|| variable.default.clone()).unwrap_or_default(),
            choices: &variable.choices,
        });
        fields.chain(variables).collect()
    }

    /// The scheme that was chosen on the page, and what was entered for it, completed by what was known before.
    /// With OAuth, the client says where.
    pub(super) fn entered(&self, kind: &str, values: Map<String, Value>, client: Option<&AuthConfig>) -> Result<(&AuthScheme, Opened)> {
        let definition = self.loaded.connector.definition();
        let scheme = scheme(definition, kind)?;
        if self.asked.kind.is_some_and(|kind| kind != scheme.kind) {
            return Err(Error::invalid("authenticationType", "This link was made for another way to connect."));
        }
        let mut all = self.asked.variables.clone();
        // What is left empty was not given.
        all.extend(values.into_iter().filter(|(_, value)| value.as_str().is_none_or(|text| !text.is_empty())));
        let opened = if scheme.kind == AuthKind::OAuth2 {
            let client = client.ok_or_else(|| Error::internal("a consent without a client"))?;
            place(definition, scheme, client, &mut all)?;
            let opened = sort(definition, scheme, all)?;
            let missing = missing(definition, scheme, &opened);
            if !missing.is_empty() {
                return Err(Error::invalid("fields", format!("Please fill in `{}`.", missing.join("`, `"))));
            }
            opened
        } else {
            complete(definition, scheme, all)?
        };
        Ok((scheme, opened))
    }

    pub(super) fn credential_name(&self) -> Result<String> {
        name(self.loaded.connector.definition(), self.asked.name.as_deref())
    }
}

/// The host of an address of the connector, for people: as far as it is known before they have entered what it holds.
fn host(definition: &Definition, template: &str, known: &Map<String, Value>, inputs: &[Input<'_>]) -> String {
    let open = inputs.iter().find(|input| template.contains(&format!("{{{}}}", input.name)));
    let known: Vec<(&str, &str)> = known.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let filled = address(definition, template, &known).ok().and_then(|url| Some(Url::parse(&url).ok()?.host_str()?.to_owned()));
    match (filled, open) {
        (Some(host), None) => host,
        (Some(host), Some(input)) => format!("{host}, or where your `{}` says", input.name),
        (None, _) => template.split("://").last().and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned(),
    }
}

/// Judges what an admin says of where the platform is that knows an OAuth client.
///
/// # Errors
/// A variable that is no such one, or that is not of its kind.
pub fn check_place(definition: &Definition, oauth2: &OAuth2, variables: &Map<String, Value>) -> Result<()> {
    let known = places(definition, oauth2);
    for (name, value) in variables {
        let field = format!("variables.{name}");
        let (Some(variable), Some(text)) = (definition.variables.get(name).filter(|_| known.contains(&name.as_str())), value.as_str())
        else {
            return Err(Error::invalid(&field, format!("`{field}` {}.", unknown_among(name, &known))));
        };
        judge(name, variable, text).map_err(|sentence| Error::invalid(&field, sentence))?;
    }
    Ok(())
}

/// Puts in where the platform is that knows the client.
///
/// # Errors
/// Another place was given, or nobody has said one.
fn place(definition: &Definition, scheme: &AuthScheme, client: &AuthConfig, values: &mut Map<String, Value>) -> Result<()> {
    let Some(oauth2) = &scheme.oauth2 else { return Ok(()) };
    for name in places(definition, oauth2) {
        let default = || definition.variables.get(name).and_then(|variable| variable.default.clone()).map(Value::from);
        let Some(own) = client.variables.get(name).cloned().or_else(default) else {
            let sentence = format!(
                "Nobody has said yet where the OAuth client of {} is: an admin enters `{name}` with `PUT /api/auth-configs/{}` \
                 {{\"variables\": {{\"{name}\": …}}, \"clientSecret\": …}}.",
                definition.name, client.id
            );
            return Err(Error::new(Kind::Conflict, sentence));
        };
        if values.get(name).is_some_and(|given| *given != own) {
            let sentence = format!("`{name}` is not yours to choose: it says where the account's OAuth client is known. Leave it out.");
            return Err(Error::invalid(&format!("fields.{name}"), sentence));
        }
        values.insert(name.to_owned(), own);
    }
    Ok(())
}

/// The scopes that consent is asked for: those of this wish, else the auth config's, else the connector's.
pub(super) fn scopes_of(oauth2: &OAuth2, config: &AuthConfig, wished: &[String]) -> Vec<String> {
    if !wished.is_empty() {
        return wished.to_vec();
    }
    if !config.scopes.is_empty() {
        return config.scopes.clone();
    }
    if oauth2.default_scopes.is_empty() { oauth2.scopes.keys().cloned().collect() } else { oauth2.default_scopes.clone() }
}

fn described(oauth2: &OAuth2, scopes: &[String]) -> Vec<(String, String)> {
    scopes.iter().map(|scope| (scope.clone(), oauth2.scopes.get(scope).cloned().unwrap_or_default())).collect()
}

/// Keeps what a person entered on the page; the link is used up by this.
///
/// # Errors
/// A sentence that names the field; the link stays good then.
pub async fn enter(app: &App, opening: &Opening, kind: &str, values: Map<String, Value>, request_id: &str) -> Result<Credential> {
    let mut entry = opening.asked.entry(&opening.link, request_id);
    let kept = async {
        let (scheme, opened) = opening.entered(kind, values, None)?;
        let name = opening.credential_name()?;
        let new = New { connector: opening.loaded.id(), kind: scheme.kind, name: &name, opened: &opened, grant: None };
        store(app, &opening.link.scope, &new, Some(&opening.link)).await
    }
    .await;
    entry.target_id = kept.as_ref().ok().map(|credential| credential.id.clone());
    super::record(app, entry, kept).await
}
