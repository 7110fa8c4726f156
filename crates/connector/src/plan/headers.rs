//! The headers of a request, in order of authority: the credential, the connector's fixed ones, the arguments, the caller's own.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::arguments::ArgumentError;
use crate::connector::CompiledAction;
use crate::definition::{Definition, Place};
use crate::plan::query::flat;
use crate::plan::{Account, given};
use crate::text::{is_header_value, is_private_header, is_token, name, scalar};
use crate::variables;

/// Builds all headers; `secrets` are those of the credential. Each name stands once, whatever its case.
///
/// # Errors
/// A value with a line break or other character that cannot be sent, or a header of the caller that is not the caller's to set.
pub(super) fn build(
    definition: &Definition,
    action: &CompiledAction,
    args: &Map<String, Value>,
    account: &Account<'_>,
    secrets: Vec<(&str, String)>,
) -> Result<Vec<(String, String)>, ArgumentError> {
    let mut headers: Vec<(String, String)> = secrets.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    for (key, template) in &definition.headers {
        if !key.eq_ignore_ascii_case("content-type") && !has(&headers, key) {
            // A header around an optional variable that is not given is left out.
            if let Some(value) = variables::header(template, definition, account.variables)? {
                headers.push((key.clone(), value.into_owned()));
            }
        }
    }
    for (key, param) in action.action.params_in(Place::Header) {
        let wire = param.wire_name(key);
        if let Some(value) = given(args, key, param)
            && !has(&headers, wire)
        {
            let text = text_of(value);
            if !is_header_value(&text) {
                return Err(ArgumentError::field(
                    key,
                    format!(
                        "`{}` is sent as a header: it must be visible ASCII on one line, without line breaks or control characters.",
                        name(key)
                    ),
                ));
            }
            headers.push((wire.to_owned(), text.into_owned()));
        }
    }
    for (key, value) in account.extra_headers {
        let refused = if !is_token(key) {
            Some("is not the name of a header")
        } else if is_private_header(key) {
            Some("is set by the engine or the credential and cannot be added; leave it out")
        } else if has(&headers, key) {
            Some("is set by the connector, the credential or an argument already; leave it out")
        } else if !is_header_value(value) {
            Some("must be visible ASCII on one line, without line breaks or control characters")
        } else {
            None
        };
        if let Some(why) = refused {
            return Err(ArgumentError::field(key, format!("The additional header `{}` {why}.", name(key))));
        }
        headers.push(((*key).to_owned(), (*value).to_owned()));
    }
    // Last, so that whoever repeats a call by themselves can give their own key.
    if let Some(key) = action.action.idempotency_header(definition).filter(|key| !has(&headers, key)) {
        headers.push((key.to_owned(), account.nonce.to_owned()));
    }
    Ok(headers)
}

fn has(headers: &[(String, String)], wanted: &str) -> bool {
    headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(wanted))
}

/// Scalars as they are, lists joined by commas, objects as JSON.
fn text_of(value: &Value) -> Cow<'_, str> {
    if let Value::Array(items) = value {
        return Cow::Owned(items.iter().map(flat).collect::<Vec<_>>().join(","));
    }
    scalar(value).unwrap_or_else(|| flat(value))
}
