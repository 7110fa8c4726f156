//! From an action and its arguments to the one HTTP request that carries it out.
//!
//! Whatever the arguments and variables hold, the URL stays under the scheme, host, port and fixed path of the template, and no header
//! holds a line break.

mod body;
mod credential;
mod headers;
pub(crate) mod path;
mod query;

pub use credential::judge as judge_credential;
use serde_json::{Map, Value};

use crate::arguments::ArgumentError;
use crate::connector::{CompiledAction, Connector};
use crate::definition::{AuthScheme, Method, Parameter};
use crate::variables;

/// What a user's account on the platform adds to a call.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    /// Values of the connector's variables, by name.
    pub variables: &'a [(&'a str, &'a str)],
    /// The scheme of the credential and its secret fields, by name. `oauth2` and `bearer` have `token`.
    pub auth: Option<(&'a AuthScheme, &'a [(&'a str, &'a str)])>,
    /// Headers that the caller adds; judged here.
    pub extra_headers: &'a [(&'a str, &'a str)],
    /// 1 to 70 letters, digits, `-` and `_`, random for each call: the boundary of a multipart body, the key of an idempotent write.
    /// Read only where `CompiledAction::needs_nonce`.
    pub nonce: &'a str,
}

/// One HTTP request. It holds secrets, so it is neither `Debug` nor `Serialize`.
pub struct Plan {
    /// The method.
    pub method: Method,
    /// The whole URL, percent-encoded. A credential may stand in its query.
    pub url: String,
    /// Name and value of every header except the body's content type and those of the connection.
    pub headers: Vec<(String, String)>,
    /// The body, if one is sent.
    pub body: Option<Body>,
    /// Every form in which a secret of the credential stands in the request, so that it can be taken out of an answer that repeats it.
    pub secrets: Vec<String>,
}

/// The body of a request.
pub struct Body {
    /// The `Content-Type`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Plans one call. The arguments should have passed `CompiledAction::validate`; that the request is safe does not depend on it.
///
/// # Errors
/// An argument, variable or credential that cannot be sent, named in a sentence without any secret.
pub fn plan(
    connector: &Connector,
    action: &CompiledAction,
    args: &Map<String, Value>,
    account: &Account<'_>,
) -> Result<Plan, ArgumentError> {
    let definition = connector.definition();
    let scheme = account.auth.filter(|_| action.action.auth).map(|(scheme, _)| scheme);
    let mut url = variables::base_url(definition, definition.base_url_for(scheme), account.variables)?;
    let credential = credential::place(definition, action, account)?;
    path::write(&mut url, action, args, &credential.path)?;
    query::write(&mut url, action, args, &credential.query)?;
    let body = body::build(definition, action, args, account.nonce, &credential.body)?;
    let headers = headers::build(definition, action, args, account, credential.headers)?;
    Ok(Plan { method: action.action.method, url, headers, body, secrets: credential.secrets })
}

/// What is sent for a parameter outside a JSON body: the argument, else the default. Null counts as not given.
fn given<'a>(args: &'a Map<String, Value>, key: &str, param: &'a Parameter) -> Option<&'a Value> {
    args.get(key).filter(|value| !value.is_null()).or(param.default.as_ref()).filter(|value| !value.is_null())
}
