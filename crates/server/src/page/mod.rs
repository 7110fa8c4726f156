//! Server-rendered pages: one layout, strict headers, no script.
//!
//! A page is an askama template that extends `layout.html` and takes a [`Frame`]. Everything shown is escaped by the template engine.

use std::sync::LazyLock;

use askama::Template;
use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS},
};
use url::Url;

use crate::error::{Error, over_rest};

/// The style of all pages; it stands in each, so that none needs a second request.
const STYLE: &str = include_str!("../../templates/page.css");

/// What the layout needs of a page.
pub struct Frame {
    /// The title of window and page.
    pub title: String,
    /// The style sheet.
    pub style: &'static str,
}

impl Frame {
    /// A page with this title.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), style: STYLE }
    }
}

/// Where the forms of a page may lead, redirects of the answer included.
pub enum Forms<'a> {
    /// There are none.
    None,
    /// Back to us, and from there to this address if there is one.
    Ours(Option<&'a Url>),
    /// Back to us, and from there through consent pages whose addresses nobody can know before. For forms without secrets.
    Anywhere,
}

/// A page's answer, with the headers that keep it out of frames, caches and the reach of scripts.
pub fn respond(status: StatusCode, page: &impl Template, forms: &Forms<'_>) -> Response {
    static HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(amalgam_vault::hash_token(STYLE)));
    let html = match page.render() {
        Ok(html) => html,
        Err(cause) => return Error::internal(cause).into_response(),
    };
    let forms = match forms {
        Forms::None => "form-action 'none'; ".to_owned(),
        Forms::Ours(None) => "form-action 'self'; ".to_owned(),
        Forms::Ours(Some(then)) => format!("form-action 'self' {}; ", then.origin().ascii_serialization()),
        Forms::Anywhere => String::new(),
    };
    let policy =
        format!("default-src 'none'; style-src 'sha256-{}'; img-src 'self'; {forms}base-uri 'none'; frame-ancestors 'none'", *HASH);
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    response
}

/// A page that says one thing: what went wrong, or that all is done.
#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    sentences: Vec<String>,
    /// Where to go on, when there is somewhere.
    next: Option<(String, String)>,
}

/// A page that says one thing. `next` is an address and what it is called.
pub fn message(status: StatusCode, title: &str, sentences: Vec<String>, next: Option<(String, String)>) -> Response {
    respond(status, &Message { frame: Frame::new(title), sentences, next }, &Forms::None)
}

/// An error for a person in a browser; logged here.
pub fn error(error: &Error, request_id: &str) -> Response {
    error.log(request_id);
    let sentences = vec![over_rest(&error.message).into_owned()];
    let mut response = message(error.kind.status(), "This did not work", sentences, None);
    for (name, value) in &error.headers {
        response.headers_mut().insert(*name, HeaderValue::from(*value));
    }
    response
}
