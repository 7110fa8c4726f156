//! Pages for people: one layout, rendered here, without a script. Templates are in `templates/` and extend `layout.html`.

use askama::Template;
use axum::{
    Router,
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS},
};

use icu_properties::{
    CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint},
};

use crate::error::{Error, Kind};

const STYLE: &str = include_str!("../../templates/page.css");

/// The style sheet of all pages.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")];
    Router::new().route("/page.css", get(move || std::future::ready((headers, STYLE))))
}

/// A page. Browsers follow a form of it, and where its answer redirects to, only to us and to `leads_to`: an origin or a scheme, as
/// Content Security Policy writes them (`https://app.example.com`, `cursor:`).
pub fn show(status: StatusCode, template: &impl Template, leads_to: Option<&str>) -> Response {
    let Ok(text) = template.render() else { return Error::internal("a page could not be rendered").into_response() };
    let policy = format!(
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' {}",
        leads_to.unwrap_or_default()
    );
    let Ok(policy) = HeaderValue::try_from(policy.trim_end()) else {
        return Error::internal("a page's policy is no header").into_response();
    };
    let mut response = (status, Html(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: with it, browsers send our own forms with `Origin: null`, which is refused.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    response
}

/// Whether a character of a name is there to be read. One that is not, or that turns the direction of reading, makes a name look like another.
/// Source: Unicode's properties `Default_Ignorable_Code_Point` and `Bidi_Control`.
pub fn is_visible_char(c: char) -> bool {
    let unseen = c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<BidiControl>().contains(c);
    !unseen
}

/// A page that says one thing.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    sentence: &'a str,
}

/// A page that says that something is done.
pub fn message(title: &str, sentence: &str) -> Response {
    show(StatusCode::OK, &Message { title, sentence }, None)
}

/// An error as a page, logged.
pub fn error(error: &Error, request_id: &str) -> Response {
    error.log(request_id);
    let title = match error.kind {
        Kind::Internal | Kind::Unavailable => "Something went wrong",
        Kind::RateLimited => "Please wait a moment",
        _ => "This does not work",
    };
    let mut response = show(error.kind.status(), &Message { title, sentence: &error.message }, None);
    response.headers_mut().extend(error.headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(*value))));
    response
}
