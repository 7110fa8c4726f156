//! What the URLs of a definition must hold: a host that no value can change.

use url::Url;

use crate::check::{Problems, declared};
use crate::definition::{Definition, Variable, VariableKind};
use crate::template::{Piece, pieces};

/// A URL template is judged with a harmless value in the place of every variable.
pub(crate) fn check_url(problems: &mut Problems, place: &str, template: &str, definition: &Definition) {
    let parts = match pieces(template) {
        Ok(parts) => parts,
        Err(message) => return problems.add(place, message),
    };
    let mut sample = String::new();
    for (index, part) in parts.iter().enumerate() {
        let key = match part {
            Piece::Text(text) => {
                sample.push_str(text);
                continue;
            }
            Piece::Name(key) => *key,
        };
        let Some(variable) = declared(problems, place, key, definition) else {
            return;
        };
        let rest = parts.get(index + 1);
        if let Some(message) = misplaced(variable, &sample, rest, key) {
            return problems.add(place, message);
        }
        sample.push_str(match variable.kind {
            VariableKind::Url => "https://example.org",
            VariableKind::Host => "example.org",
            VariableKind::Label | VariableKind::Text => "a1",
        });
    }
    check_sample(problems, place, &sample);
}

/// Why a variable may not stand where it does, given the sample URL before it and the piece after it.
fn misplaced(variable: &Variable, before: &str, after: Option<&Piece<'_>>, key: &str) -> Option<String> {
    let in_path = before.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let ends = match after {
        None => true,
        Some(Piece::Text(text)) => text.starts_with('/'),
        Some(Piece::Name(_)) => false,
    };
    match variable.kind {
        _ if variable.optional => Some(format!("`{{{key}}}` is optional, and a URL cannot be without it; give it a default instead.")),
        VariableKind::Url if !before.is_empty() || !ends => {
            Some(format!("`{{{key}}}` is of kind `url`: it is the whole start of the URL, and only a `/` may follow."))
        }
        VariableKind::Host if !before.ends_with("://") || !ends => {
            Some(format!("`{{{key}}}` is of kind `host`: it stands right after `https://`, and only a `/` may follow."))
        }
        VariableKind::Text if !in_path => Some(format!(
            "`{{{key}}}` is of kind `text`: it may stand in the path of the base URL, in `headers` and in `send`, not in the host."
        )),
        VariableKind::Label if !before.contains("://") => {
            Some("The URL begins with `https://`, `http://` or a variable of kind `url`.".to_owned())
        }
        _ => None,
    }
}

fn check_sample(problems: &mut Problems, place: &str, sample: &str) {
    if !(sample.starts_with("https://") || sample.starts_with("http://")) {
        return problems.add(place, "The URL begins with `https://`, `http://` or a variable of kind `url`.");
    }
    if let Some(odd) = sample.chars().find(|c| !c.is_ascii_graphic() || "\\?#\"<>^`{|}".contains(*c)) {
        return problems.add(place, format!("The URL holds {odd:?}; it is scheme, host, port and path only, percent-encoded."));
    }
    match Url::parse(sample) {
        Err(error) => problems.add(place, format!("The URL is not a URL: {error}.")),
        Ok(url) if !url.username().is_empty() || url.password().is_some() || sample.contains("@") && !url.path().contains('@') => {
            problems.add(place, "The URL holds user information; credentials belong in `auth`.");
        }
        Ok(url) if url.port() == Some(0) => problems.add(place, "The URL has the port 0, at which nothing can be reached."),
        Ok(url) => {
            let written = sample.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..))).unwrap_or("/");
            if url.path() != written || written.contains("//") {
                problems.add(place, "The path of the URL holds `.`, `..` or an empty segment; write it out.");
            }
        }
    }
}
