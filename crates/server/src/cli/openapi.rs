//! `amalgam openapi`: the document that describes the REST API.

use super::{
    failure::{Failure, Result},
    screen::Screen,
};
use crate::http;

/// Prints the document of this binary; no node is asked.
pub fn run() -> Result {
    let (_, document) = http::routes().split_for_parts();
    let text = document.to_pretty_json().map_err(|e| Failure::refused(format!("cannot write the document: {e}")))?;
    Screen::new(true).line(&text)
}
