//! Where the fields of a credential go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::arguments::ArgumentError;
use crate::connector::CompiledAction;
use crate::definition::{AuthScheme, Definition, Placement, SecretPlace};
use crate::plan::{Account, path, query};
use crate::template::{Piece, pieces};
use crate::text::is_header_value;
use crate::variables;

/// The secrets of a request, placed.
#[derive(Default)]
pub(super) struct Placed<'a> {
    pub(super) headers: Vec<(&'a str, String)>,
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) path: Vec<(&'a str, String)>,
    pub(super) body: Vec<(&'a str, String)>,
    /// Every form in which a secret stands in the request.
    pub(super) secrets: Vec<String>,
}

/// Places the fields of the account's credential, if the action sends one.
///
/// # Errors
/// A field that is missing or cannot be sent; the value is never shown.
pub(super) fn place<'a>(definition: &'a Definition, action: &CompiledAction, account: &Account<'a>) -> Result<Placed<'a>, ArgumentError> {
    match account.auth.filter(|_| action.action.auth) {
        Some((scheme, fields)) => Source::new(definition, scheme, fields, account.variables).place(),
        None => Ok(Placed::default()),
    }
}

/// Whether a credential with these fields and variables can be sent where the scheme places it; judged when it is entered.
///
/// # Errors
/// As `plan`.
pub fn judge(
    definition: &Definition,
    scheme: &AuthScheme,
    fields: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Result<(), ArgumentError> {
    let placed = Source::new(definition, scheme, fields, variables).place()?;
    placed.path.iter().try_for_each(|(name, secret)| path::write_secret(&mut String::new(), name, Some(secret)))
}

/// What templates of placements are filled from.
struct Source<'a> {
    definition: &'a Definition,
    scheme: &'a AuthScheme,
    /// Of the scheme's fields.
    names: Vec<&'a str>,
    fields: &'a [(&'a str, &'a str)],
    variables: &'a [(&'a str, &'a str)],
}

impl<'a> Source<'a> {
    fn new(
        definition: &'a Definition,
        scheme: &'a AuthScheme,
        fields: &'a [(&'a str, &'a str)],
        variables: &'a [(&'a str, &'a str)],
    ) -> Self {
        Self { definition, scheme, names: scheme.field_names().collect(), fields, variables }
    }

    fn place(&self) -> Result<Placed<'a>, ArgumentError> {
        let mut placed = Placed { secrets: self.secrets(), ..Placed::default() };
        for sent in self.scheme.placements() {
            let list = match sent.place {
                SecretPlace::Header => &mut placed.headers,
                SecretPlace::Query => &mut placed.query,
                SecretPlace::Path => &mut placed.path,
                SecretPlace::Body => &mut placed.body,
                SecretPlace::Basic => {
                    let encoded = self.basic(sent)?;
                    placed.headers.push(("Authorization", format!("Basic {encoded}")));
                    placed.secrets.push(encoded);
                    continue;
                }
            };
            let Some(value) = self.text(&sent.value)? else { continue };
            if !is_header_value(&value) {
                // One rule for all places, so that a field moves between them without surprise.
                return Err(unusable(&self.names(&sent.value), "holds a line break or another character that cannot be sent"));
            }
            list.push((sent.name.as_str(), value));
        }
        Ok(placed)
    }

    fn is_field(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| *value)
    }

    /// The template, filled; nothing when an optional field or variable of it is not given.
    fn text(&self, template: &str) -> Result<Option<String>, ArgumentError> {
        let mut text = String::with_capacity(template.len() + 64);
        for piece in pieces(template).map_err(ArgumentError::new)? {
            let value = match piece {
                Piece::Text(fixed) => Some(fixed),
                Piece::Name(name) if !self.is_field(name) => variables::value(name, self.definition, self.variables)?,
                Piece::Name(name) => match self.field(name) {
                    None if !self.scheme.is_optional(name) => return Err(unusable(name, "is missing")),
                    value => value,
                },
            };
            let Some(value) = value else { return Ok(None) };
            text.push_str(value);
        }
        Ok(Some(text))
    }

    /// RFC 7617 section 2: the first colon ends the user name, so that it holds none itself. A password may be empty.
    fn basic(&self, sent: &Placement) -> Result<String, ArgumentError> {
        let (user, password) = sent.value.split_once(':').unwrap_or((&sent.value, ""));
        let (name, password) = (self.text(user)?.unwrap_or_default(), self.text(password)?.unwrap_or_default());
        if name.contains(':') {
            return Err(unusable(&self.names(user), "holds a colon, which no user name may"));
        }
        Ok(STANDARD.encode(format!("{name}:{password}")))
    }

    /// What a template is made of, for sentences.
    fn names(&self, template: &str) -> String {
        let names = pieces(template).unwrap_or_default();
        let names = names.into_iter().filter_map(|piece| if let Piece::Name(name) = piece { Some(name) } else { None });
        names.collect::<Vec<_>>().join("`, `")
    }

    /// The secret fields as they are, and as a path and a query have them. What is public is a secret where it stands alone: a key in
    /// the place of a user name.
    fn secrets(&self) -> Vec<String> {
        let given = || self.fields.iter().filter(|(name, value)| !value.is_empty() && self.is_field(name));
        let alone = given().all(|(name, _)| self.scheme.is_public(name));
        let mut secrets = Vec::new();
        for (_, value) in given().filter(|(name, _)| alone || !self.scheme.is_public(name)) {
            secrets.push((*value).to_owned());
            // Most secrets are letters and digits, which look alike everywhere.
            let forms = (!value.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')))
                .then(|| [path::encoded(value), query::encoded(value)]);
            for form in forms.into_iter().flatten() {
                if !secrets.contains(&form) {
                    secrets.push(form);
                }
            }
        }
        secrets
    }
}

fn unusable(fields: &str, why: &str) -> ArgumentError {
    ArgumentError::field(fields, format!("In the credential, `{fields}` {why}; create the credential with another value."))
}
