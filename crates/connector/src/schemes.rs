//! Questions about ways to authenticate: their fields, where those go, which variables a call with them needs.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::definition::{Action, AuthKind, AuthScheme, Definition, Field, Placement, SecretPlace, Variable};

static BEARER: LazyLock<[Placement; 1]> =
    LazyLock::new(|| [Placement { place: SecretPlace::Header, name: "Authorization".into(), value: "Bearer {token}".into() }]);
static BASIC: LazyLock<[Placement; 1]> =
    LazyLock::new(|| [Placement { place: SecretPlace::Basic, name: String::new(), value: "{username}:{password}".into() }]);

impl AuthScheme {
    /// Where the fields go: as declared, else by kind.
    #[must_use]
    pub fn placements(&self) -> &[Placement] {
        match self.kind {
            _ if !self.send.is_empty() => &self.send,
            AuthKind::OAuth2 | AuthKind::Bearer => &*BEARER,
            AuthKind::Basic => &*BASIC,
            AuthKind::ApiKey => &[],
        }
    }

    /// The fields that make up a credential of this scheme: the declared ones, then those of its kind.
    #[must_use]
    pub fn all_fields(&self) -> Vec<(&str, Field)> {
        self.field_names().map(|name| (name, self.fields.get(name).cloned().unwrap_or_else(|| standard_field(name)))).collect()
    }

    /// Names of the fields: the declared ones, then those of its kind that are sent without being declared.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        let standard: &[&str] = match self.kind {
            AuthKind::OAuth2 | AuthKind::Bearer => &["token"],
            AuthKind::ApiKey => &["apiKey"],
            AuthKind::Basic => &["username", "password"],
        };
        let sent = |name: &str| self.placements().iter().any(|placement| mentions(&placement.value, name));
        let added = standard.iter().copied().filter(move |name| !self.fields.contains_key(*name) && sent(name));
        self.fields.keys().map(String::as_str).chain(added)
    }

    /// Whether a field need not be given.
    pub(crate) fn is_optional(&self, field: &str) -> bool {
        self.fields.get(field).map_or(field == "password", |declared| declared.optional)
    }

    /// Whether a field is no secret where another one stands beside it.
    pub(crate) fn is_public(&self, field: &str) -> bool {
        self.fields.get(field).map_or(field == "username", |declared| declared.public)
    }
}

fn standard_field(name: &str) -> Field {
    let description = match name {
        "apiKey" => "The API key of the platform.",
        "token" => "The access token of the platform.",
        "username" => "The user name on the platform.",
        _ => "The password or secret that goes with the user name.",
    };
    // A password may be empty: platforms that take a key as the user name want it so.
    Field { description: description.to_owned(), optional: name == "password", public: name == "username", sample: None }
}

impl Definition {
    /// The base URL of calls with this scheme, or without any; variables unfilled.
    #[must_use]
    pub fn base_url_for<'a>(&'a self, scheme: Option<&'a AuthScheme>) -> &'a str {
        scheme.and_then(|scheme| scheme.base_url.as_deref()).unwrap_or(&self.base_url)
    }

    /// Where calls with this scheme go, variables unfilled: scheme, host and port of the base URL, such as `https://{subdomain}.example.com`.
    ///
    /// A secret that was entered for one origin must not follow a definition that is changed to another.
    #[must_use]
    pub fn origin<'a>(&'a self, scheme: Option<&'a AuthScheme>) -> &'a str {
        let base_url = self.base_url_for(scheme);
        let from = base_url.find("://").map_or(0, |at| at + 3);
        let length = base_url.get(from..).and_then(|rest| rest.find('/')).map_or(base_url.len(), |at| from + at);
        base_url.get(..length).unwrap_or(base_url)
    }

    /// The variables that a credential of this scheme is entered with: those that its calls, or its way to a token, hold.
    pub fn variables_of<'a>(&'a self, scheme: &'a AuthScheme) -> impl Iterator<Item = (&'a str, &'a Variable)> {
        let oauth2 = scheme.oauth2.iter();
        let urls = oauth2.flat_map(|oauth2| [Some(&oauth2.authorize_url), Some(&oauth2.token_url), oauth2.revoke_url.as_ref()]).flatten();
        let texts = self.headers.values().chain(scheme.placements().iter().map(|placement| &placement.value)).chain(urls);
        let texts: Vec<&str> = texts.map(String::as_str).chain([self.base_url_for(Some(scheme))]).collect();
        let used = move |name: &str| texts.iter().any(|text| mentions(text, name));
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable)).filter(move |(name, _)| used(name))
    }

    /// The variables that stand in a call of this action and are arguments of it, because no credential is sent that brings them along.
    pub fn variables_as_arguments<'a>(&'a self, action: &'a Action) -> impl Iterator<Item = (&'a str, &'a Variable)> {
        let open = !action.auth || self.auth.is_empty();
        let used = |name: &str| mentions(&self.base_url, name) || self.headers.values().any(|value| mentions(value, name));
        let variables = self.variables.iter().map(|(name, variable)| (name.as_str(), variable));
        variables.filter(move |(name, _)| open && !action.params.contains_key(*name) && used(name))
    }

    /// Whether such an argument must be given: a connector with credentials may have the variable with one of them.
    pub(crate) fn must_be_given(&self, variable: &Variable) -> bool {
        variable.is_required() && self.auth.is_empty()
    }

    /// Whether `{name}` of `variables` stands anywhere.
    #[must_use]
    pub fn uses(&self, variable: &str) -> bool {
        let in_a_scheme = |scheme| self.variables_of(scheme).any(|(name, _)| name == variable);
        mentions(&self.base_url, variable)
            || self.headers.values().any(|value| mentions(value, variable))
            || self.auth.iter().any(in_a_scheme)
    }
}

impl Variable {
    /// Whether it must be given with a credential.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.optional
    }

    /// The schema of its value.
    pub(crate) fn json_schema(&self) -> Value {
        let mut schema = json!({"type": "string", "description": self.description});
        if let Value::Object(members) = &mut schema {
            if !self.choices.is_empty() {
                members.insert("enum".into(), json!(self.choices));
            }
            if let Some(default) = &self.default {
                members.insert("default".into(), default.as_str().into());
            }
        }
        schema
    }

    /// A value that shows what is meant.
    pub(crate) fn example(&self, name: &str) -> Value {
        let shown = self.sample.clone().or_else(|| self.choices.first().cloned());
        shown.unwrap_or_else(|| format!("YOUR_{}", name.to_ascii_uppercase())).into()
    }
}

/// Whether a template holds `{name}`.
pub(crate) fn mentions(template: &str, name: &str) -> bool {
    template.split('{').skip(1).any(|rest| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('}')))
}
