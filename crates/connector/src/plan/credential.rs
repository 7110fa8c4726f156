//! Where the fields of a credential go.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::arguments::ArgumentError;
use crate::connector::CompiledAction;
use crate::definition::{AuthKind, AuthScheme, SecretPlace};
use crate::plan::Account;
use crate::text::is_header_value;

/// The secrets of a request, placed.
#[derive(Default)]
pub(super) struct Placed<'a> {
    pub(super) headers: Vec<(&'a str, String)>,
    pub(super) query: Vec<(&'a str, String)>,
}

/// Places the fields of the account's credential, if the action sends one.
///
/// # Errors
/// A field that is missing or cannot stand in a header; the value is never shown.
pub(super) fn place<'a>(action: &CompiledAction, account: &Account<'a>) -> Result<Placed<'a>, ArgumentError> {
    let mut placed = Placed::default();
    let Some((scheme, fields)) = account.auth.filter(|_| action.action.auth) else {
        return Ok(placed);
    };
    let field = |name: &str| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    if scheme.send.is_empty() {
        let value = match scheme.kind {
            AuthKind::OAuth2 | AuthKind::Bearer => {
                format!("Bearer {}", field("token").filter(|token| !token.is_empty()).ok_or_else(|| missing("token"))?)
            }
            AuthKind::Basic => {
                // RFC 7617 section 2: the first colon ends the user name.
                let user = field("username").filter(|user| !user.contains(':')).ok_or_else(|| missing("username"))?;
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", field("password").unwrap_or_default())))
            }
            AuthKind::ApiKey => return Err(missing("apiKey")),
        };
        placed.headers.push(("Authorization", checked("credential", value)?));
        return Ok(placed);
    }
    for sent in &scheme.send {
        let Some(value) = field(&sent.field).filter(|value| !value.is_empty()) else {
            if is_optional(scheme, &sent.field) {
                continue;
            }
            return Err(missing(&sent.field));
        };
        let value = checked(&sent.field, format!("{}{value}", sent.prefix))?;
        match sent.place {
            SecretPlace::Header => placed.headers.push((&sent.name, value)),
            SecretPlace::Query => placed.query.push((&sent.name, value)),
        }
    }
    Ok(placed)
}

fn is_optional(scheme: &AuthScheme, field: &str) -> bool {
    scheme.fields.get(field).is_some_and(|declared| declared.optional)
}

fn missing(field: &str) -> ArgumentError {
    ArgumentError::field(field, format!("The stored credential has no usable `{field}`; create the credential again."))
}

/// One rule for header and query, so that a field moves between them without surprise.
fn checked(field: &str, value: String) -> Result<String, ArgumentError> {
    if is_header_value(&value) {
        return Ok(value);
    }
    Err(ArgumentError::field(
        field,
        format!("The stored `{field}` holds a line break or another character that cannot be sent; create the credential again."),
    ))
}
