//! Security schemes become ways to authenticate.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::document::{Document, Notes};
use super::operations::METHODS;
use super::servers::Server;
use super::{body, names, text};
use crate::check_auth::OWN;
use crate::definition::{AuthKind, AuthScheme, Field, OAuth2, Placement, SecretPlace};
use crate::text::{is_owned_header, is_token};

/// More alternatives than this are not looked at.
const MAX_ALTERNATIVES: usize = 20;
/// Names, in lower case, of a member of a body that is a credential.
const KEYS: [&str; 6] = ["key", "apikey", "api_key", "api_token", "access_token", "token"];
/// More scopes than this are not kept.
const MAX_SCOPES: usize = 200;

/// Where the declared schemes put secrets, so that parameters which repeat them can be left out.
#[derive(Default)]
pub(super) struct Secrets {
    keys: Vec<(String, String)>,
    token: bool,
}

impl Secrets {
    /// Whether a parameter is the credential itself: an `apiKey` of the same name and place, or a token parameter beside a token scheme (Slack).
    pub(super) fn carries(&self, name: &str, place: &str, description: &str) -> bool {
        let key = self.keys.iter().any(|(key, at)| key.eq_ignore_ascii_case(name) && at == place);
        let token = self.token
            && matches!(name.to_ascii_lowercase().as_str(), "token" | "access_token" | "oauth_token")
            && description.get(..200.min(description.len())).unwrap_or(description).to_ascii_lowercase().contains("auth");
        key || token
    }

    /// Whether a member of a body is the credential itself.
    pub(super) fn carries_in_body(&self, name: &str) -> bool {
        self.keys.iter().any(|(key, at)| key == name && at == "body")
    }
}

/// The ways to authenticate of the whole document, in its order of preference.
pub(super) fn read(document: &Document, notes: &mut Notes, base_url: &str) -> (Vec<AuthScheme>, Secrets) {
    let declared = ["/components/securitySchemes", "/securityDefinitions"].iter().find_map(|at| document.root.pointer(at)?.as_object());
    let Some(declared) = declared else {
        return (Vec::new(), Secrets::default());
    };
    let mut reader = Reader { notes, base_url, out: Vec::new() };
    let mut secrets = Secrets::default();
    let schemes: IndexMap<&str, &Map<String, Value>> =
        declared.iter().take(50).filter_map(|(name, raw)| Some((name.as_str(), document.follow(raw).ok()?.as_object()?))).collect();
    for scheme in schemes.values() {
        let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "apiKey" => secrets.keys.push((text("name").to_owned(), text("in").to_owned())),
            "oauth2" | "openIdConnect" => secrets.token = true,
            "http" if text("scheme").eq_ignore_ascii_case("bearer") => secrets.token = true,
            _ => {}
        }
    }
    for names in alternatives(document, &schemes) {
        let set: Vec<(&str, &Map<String, Value>)> =
            names.iter().filter_map(|name| schemes.get_key_value(name.as_str()).map(|(name, scheme)| (*name, *scheme))).collect();
        reader.alternative(&set);
    }
    // A token that the user already has works wherever OAuth does.
    let has = |reader: &Reader<'_>, kind| reader.out.iter().any(|scheme| scheme.kind == kind);
    if has(&reader, AuthKind::OAuth2) && !has(&reader, AuthKind::Bearer) {
        reader.out.push(bearer("An OAuth access token that you already have."));
    }
    let auth = reader.out;
    (auth, secrets)
}

/// What a document without security schemes shows to be a credential: a secret in the path of its server (Telegram), or one member that
/// every body must have (Mailchimp Transactional). Models must not be asked for it with every call.
pub(super) fn undeclared(document: &Document, notes: &mut Notes, server: &mut Server, secrets: &mut Secrets) -> Option<AuthScheme> {
    let mut auth = plain(AuthKind::ApiKey, "");
    let (place, name) = match server.take_secret() {
        Some(name) => (SecretPlace::Path, name),
        None => (SecretPlace::Body, body_key(document)?),
    };
    if place == SecretPlace::Body {
        secrets.keys.push((name.clone(), "body".to_owned()));
    }
    let part = if place == SecretPlace::Path { "path" } else { "body" };
    notes.warn(format!("The document declares no security scheme; `{name}` in the {part} of every request became the credential."));
    auth.send.push(Placement { place, name, value: "{apiKey}".into() });
    Some(auth)
}

/// The member, named like a key, that the body of every operation must have.
fn body_key(document: &Document) -> Option<String> {
    let items = document.root.get("paths").and_then(Value::as_object)?.values();
    let mut operations = items.filter_map(Value::as_object).flatten().filter(|(key, _)| METHODS.contains(&key.as_str())).peekable();
    operations.peek()?;
    let mut common: Option<String> = None;
    for (_, operation) in operations {
        let body = document.follow(operation.get("requestBody")?).ok()?;
        let required = body::required_members(document, body.pointer("/content/application~1json/schema")?)?;
        let key = required.into_iter().find(|name| KEYS.contains(&name.to_ascii_lowercase().as_str()))?;
        if common.as_ref().is_some_and(|common| *common != key) {
            return None;
        }
        common = Some(key);
    }
    common
}

/// Sets of scheme names: those the document asks for, those its operations ask for, then the declared ones that nobody asks for.
fn alternatives(document: &Document, schemes: &IndexMap<&str, &Map<String, Value>>) -> Vec<Vec<String>> {
    let mut sets: Vec<Vec<String>> = Vec::new();
    let mut add = |requirements: Option<&Value>| {
        for requirement in requirements.and_then(Value::as_array).into_iter().flatten().take(MAX_ALTERNATIVES).filter_map(Value::as_object)
        {
            let mut set: Vec<String> = requirement.keys().filter(|name| schemes.contains_key(name.as_str())).cloned().collect();
            set.sort();
            if !set.is_empty() && sets.len() < MAX_ALTERNATIVES && !sets.contains(&set) {
                sets.push(set);
            }
        }
    };
    add(document.root.get("security"));
    for item in document.root.get("paths").and_then(Value::as_object).into_iter().flat_map(Map::values) {
        for operation in item.as_object().into_iter().flat_map(Map::values) {
            add(operation.get("security"));
        }
    }
    if sets.is_empty() {
        sets.extend(schemes.keys().take(MAX_ALTERNATIVES).map(|name| vec![(*name).to_owned()]));
    }
    sets
}

struct Reader<'r> {
    notes: &'r mut Notes,
    base_url: &'r str,
    out: Vec<AuthScheme>,
}

impl Reader<'_> {
    fn alternative(&mut self, set: &[(&str, &Map<String, Value>)]) {
        match set {
            [] => {}
            [(name, scheme)] => self.single(name, scheme),
            several => self.together(several),
        }
    }

    /// Keeps one scheme per kind: the API names a scheme by its kind.
    fn push(&mut self, name: &str, scheme: AuthScheme) {
        match self.out.iter().find(|known| known.kind == scheme.kind) {
            None => self.out.push(scheme),
            Some(known) if known.send == scheme.send => {}
            Some(_) => self.notes.warn(format!(
                "The security scheme \"{name}\" was left out: the connector already has one of the type {}.",
                scheme.kind.as_str()
            )),
        }
    }

    fn single(&mut self, name: &str, scheme: &Map<String, Value>) {
        let description = describe(scheme);
        match Kind::of(name, scheme) {
            Kind::Bearer => self.push(name, bearer(&description)),
            Kind::Basic => self.push(name, plain(AuthKind::Basic, &description)),
            Kind::Key(place, key) => {
                let mut auth = plain(AuthKind::ApiKey, &description);
                let whole = key.eq_ignore_ascii_case("authorization");
                let prefix = if whole { prefix(&description) } else { String::new() };
                if whole && prefix.is_empty() {
                    auth.description =
                        format!("{description} Enter the whole value of the header `Authorization`, its prefix (such as `Bot `) included.")
                            .trim_start()
                            .to_owned();
                }
                auth.send.push(Placement { place, name: key.into(), value: format!("{prefix}{{apiKey}}") });
                self.push(name, auth);
            }
            Kind::OAuth => self.oauth(name, scheme, &description),
            Kind::Other(reason) => {
                self.notes.warn(format!("The security scheme \"{name}\" was left out: {reason}."));
            }
        }
    }

    fn oauth(&mut self, name: &str, scheme: &Map<String, Value>, description: &str) {
        let flows = scheme.get("flows");
        let old = scheme.get("flow").and_then(Value::as_str).is_some_and(|flow| flow == "accessCode").then_some(scheme);
        let flow = flows.and_then(|flows| flows.get("authorizationCode")?.as_object()).or(old);
        let url = |key: &str| self.url(flow?.get(key)?.as_str()?);
        let (Some((authorize_url, authorize_params)), Some((token_url, _))) = (url("authorizationUrl"), url("tokenUrl")) else {
            self.notes.warn(format!(
                "The security scheme \"{name}\" has no authorization code flow with two URLs; give an access token instead."
            ));
            return self.push(name, bearer(description));
        };
        let scopes = flow.and_then(|flow| flow.get("scopes")?.as_object()).into_iter().flatten();
        let scopes = scopes.filter(|(scope, _)| is_scope(scope)).take(MAX_SCOPES);
        let scopes = scopes.map(|(scope, about)| (scope.clone(), text::describe(about.as_str().unwrap_or_default(), 200))).collect();
        let mut auth = plain(AuthKind::OAuth2, description);
        let oauth2 = OAuth2 { authorize_url, token_url, scopes, authorize_params, ..OAuth2::default() };
        auth.oauth2 = Some(match scheme.get("x-amalgam-oauth2") {
            Some(own) => extended(&oauth2, own).unwrap_or_else(|why| {
                self.notes.warn(format!("The `x-amalgam-oauth2` of the security scheme \"{name}\" was left out: {why}."));
                oauth2
            }),
            None => oauth2,
        });
        self.push(name, auth);
    }

    /// An absolute URL, or one relative to the server, and the parameters in its query that are not the flow's own.
    fn url(&self, text: &str) -> Option<(String, IndexMap<String, String>)> {
        let mut url = url::Url::parse(text).or_else(|_| url::Url::parse(self.base_url).and_then(|base| base.join(text))).ok()?;
        let query = url.query_pairs().into_owned().filter(|(key, _)| !key.is_empty() && !OWN.contains(&key.as_str())).collect();
        url.set_query(None);
        url.set_fragment(None);
        let fits = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && !url.as_str().contains('{');
        fits.then(|| (url.to_string(), query))
    }

    /// Several schemes that are needed at once: keys each in its own field, a token beside them.
    fn together(&mut self, set: &[(&str, &Map<String, Value>)]) {
        let mut auth = plain(AuthKind::ApiKey, "");
        let mut label = Vec::new();
        for (name, scheme) in set {
            let field = match Kind::of(name, scheme) {
                Kind::Key(place, key) => {
                    let field = names::fit(name);
                    auth.send.push(Placement { place, name: key.into(), value: format!("{{{field}}}") });
                    field
                }
                Kind::Bearer | Kind::OAuth => {
                    auth.kind = AuthKind::Bearer;
                    auth.send.push(Placement { place: SecretPlace::Header, name: "Authorization".into(), value: "Bearer {token}".into() });
                    "token".into()
                }
                Kind::Basic => {
                    self.notes.warn(format!("The security scheme \"{name}\" cannot be combined with others; it is offered alone."));
                    return self.single(name, scheme);
                }
                Kind::Other(reason) => {
                    self.notes.warn(format!("The security scheme \"{name}\" was left out: {reason}."));
                    continue;
                }
            };
            auth.fields.insert(field, Field { description: describe(scheme), ..Field::default() });
            label.push(*name);
        }
        if !auth.send.is_empty() {
            self.push(&label.join(" + "), auth);
        }
    }
}

enum Kind<'s> {
    Bearer,
    Basic,
    Key(SecretPlace, &'s str),
    OAuth,
    Other(&'static str),
}

impl<'s> Kind<'s> {
    fn of(name: &str, scheme: &'s Map<String, Value>) -> Self {
        let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
        let key = text("name");
        match (text("type"), text("scheme").to_ascii_lowercase().as_str()) {
            ("http", "bearer") => Self::Bearer,
            ("http", "basic") | ("basic", _) => Self::Basic,
            ("http", _) => Self::Other("only the HTTP schemes bearer and basic are supported"),
            ("apiKey", _) if key.is_empty() || key.len() > 200 || key.chars().any(|c| c.is_control() || c.is_whitespace()) => {
                Self::Other("it names no header or query parameter")
            }
            ("apiKey", _) => match text("in") {
                "header"
                    if key.eq_ignore_ascii_case("authorization")
                        && [name, text("description")].iter().any(|text| text.to_ascii_lowercase().contains("bearer")) =>
                {
                    Self::Bearer
                }
                "header" if is_token(key) && !is_owned_header(key) => Self::Key(SecretPlace::Header, key),
                "query" => Self::Key(SecretPlace::Query, key),
                "header" => Self::Other("its header cannot be set"),
                _ => Self::Other("keys in cookies are not supported"),
            },
            ("oauth2", _) => Self::OAuth,
            ("openIdConnect", _) => Self::Bearer,
            _ => Self::Other("its type is not supported"),
        }
    }
}

fn describe(scheme: &Map<String, Value>) -> String {
    scheme.get("description").and_then(Value::as_str).map_or_else(String::new, |text| text::describe(text, 300))
}

fn plain(kind: AuthKind, description: &str) -> AuthScheme {
    AuthScheme { kind, description: description.to_owned(), base_url: None, fields: IndexMap::new(), send: Vec::new(), oauth2: None }
}

fn bearer(description: &str) -> AuthScheme {
    plain(AuthKind::Bearer, description)
}

/// The prefix that a description shows in code marks: "`Klaviyo-API-Key your-private-api-key`".
fn prefix(description: &str) -> String {
    let shown =
        description.split('`').skip(1).step_by(2).filter_map(|code| code.trim_start_matches("Authorization:").trim().split_once(' '));
    let mut fitting = shown.filter(|(prefix, rest)| {
        let rest = rest.to_ascii_lowercase();
        let names_key = ["key", "token", "secret"].iter().any(|word| rest.contains(word));
        names_key && !rest.contains(' ') && prefix.len() <= 40 && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    fitting.next().map_or_else(String::new, |(prefix, _)| format!("{prefix} "))
}

fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.len() < 200 && !text.contains(char::is_whitespace)
}

/// The scopes that an operation asks for, each alternative as one entry; those of the document where it says nothing.
pub(super) fn scopes(document: &Document, operation: &Value, auth: &[AuthScheme]) -> Vec<String> {
    let Some(known) = auth.iter().find_map(|scheme| scheme.oauth2.as_ref()).map(|oauth2| &oauth2.scopes) else {
        return Vec::new();
    };
    let asked = operation.get("security").or_else(|| document.root.get("security")).and_then(Value::as_array);
    let mut entries: Vec<String> = Vec::new();
    for scopes in asked.into_iter().flatten().take(MAX_ALTERNATIVES).filter_map(Value::as_object).flat_map(Map::values) {
        let scopes: Vec<&str> = scopes.as_array().into_iter().flatten().take(MAX_ALTERNATIVES).filter_map(Value::as_str).collect();
        let entry = scopes.join(" ");
        if !scopes.is_empty() && scopes.iter().all(|scope| known.contains_key(*scope)) && !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries
}

/// Whether an operation says that it needs no credential: `security: []`, or nothing but an empty requirement.
pub(super) fn is_public(operation: &Value) -> bool {
    operation
        .get("security")
        .and_then(Value::as_array)
        .is_some_and(|list| list.iter().all(|requirement| requirement.as_object().is_some_and(Map::is_empty)))
}

/// What a platform does otherwise than RFC 6749 says has no place in OpenAPI: members of `auth.oauth2` of a `connector.toml`.
fn extended(oauth2: &OAuth2, own: &Value) -> Result<OAuth2, String> {
    let own = own.as_object().ok_or("it is not an object")?;
    let mut all = serde_json::to_value(oauth2).map_err(|error| error.to_string())?;
    if let Some(members) = all.as_object_mut() {
        members.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    serde_json::from_value(all).map_err(|error| error.to_string())
}
