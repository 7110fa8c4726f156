//! The fields of a form or a query. None may come twice (RFC 6749 section 3.1).

use axum::extract::Request;
use http::header::CONTENT_TYPE;
use url::form_urlencoded;

use crate::{
    app::App,
    error::{Error, Kind, Result},
    limits::bodies::Holder,
    request::read_body,
};

/// Longest form, in bytes.
const MAX: usize = 64 * 1024;

/// Fields by their names.
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Of a query or a form's body.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(Error::invalid(&name, format!("`{name}` is there more than once; send it once.")));
            }
            if fields.len() == 100 {
                return Err(Error::new(Kind::InvalidRequest, "A form may have at most 100 fields."));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// One that we know already.
    pub fn one(name: &str, value: String) -> Self {
        Self(vec![(name.to_owned(), value)])
    }

    /// Of a form that was posted.
    pub async fn posted(app: &App, request: Request) -> Result<Self> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Error::new(Kind::UnsupportedMedia, "Send a form: `Content-Type: application/x-www-form-urlencoded`."));
        }
        Self::parse(&read_body(app, &Holder::anybody(), request.into_body(), MAX).await?)
    }

    /// A field's value. One that is empty counts as absent (RFC 6749 section 3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A field's value, or a sentence that names what is missing.
    pub fn need(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::invalid(name, format!("`{name}` is missing.")))
    }
}
