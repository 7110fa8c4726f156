//! The cookie by which the browser that began a consent is known when it comes back.

use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::{
    app::App,
    error::{Error, Result},
};

/// Over https it is bound to this host alone.
fn name(app: &App) -> &'static str {
    if app.base_url.starts_with("https:") { "__Host-amalgam-connect" } else { "amalgam-connect" }
}

/// Makes this browser known.
pub fn cookie(app: &App, browser: &str) -> Result<HeaderValue> {
    let secure = if app.base_url.starts_with("https:") { "; Secure" } else { "" };
    // Lax, because the browser comes back from another site; as long as a consent may take, and a little.
    let text = format!("{}={browser}; Path=/; Max-Age=900; HttpOnly; SameSite=Lax{secure}", name(app));
    HeaderValue::try_from(text).map_err(Error::internal)
}

/// Which browser this is.
pub fn known(app: &App, headers: &HeaderMap) -> Option<String> {
    let own = name(app);
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == own)?;
    // Ours has this form; another one is replaced.
    let ours = value.len() == 43 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    ours.then(|| value.to_owned())
}
