//! Path templates, repaired: a leading slash, `${id}` and `{+id}` as `{id}`, no fragment, variables of the query as parameters.

use super::document::Notes;

/// A path template under the base URL.
pub(super) struct Template {
    /// With a leading slash, and with the fixed part of its query string.
    pub path: String,
    /// Names between braces in the path.
    pub names: Vec<String>,
    /// `key={name}` pairs that stood in the query string: (key, name).
    pub query: Vec<(String, String)>,
}

impl Template {
    /// Reads a key of `paths`; `at` is what warnings call it. An error is the reason why the operation cannot be an action.
    pub(super) fn read(raw: &str, at: &str, notes: &mut Notes) -> Result<Self, String> {
        if raw.len() > 2000 || raw.chars().any(|character| character.is_control() || character == '\\') {
            return Err("its path is too long or has characters that a path cannot have".into());
        }
        let fixed = raw.replace("${", "{").replace("{+", "{");
        if fixed != raw {
            notes.warn(format!("{at}: the path was read as {fixed}."));
        }
        let (fixed, fragment) = fixed.split_once('#').map_or((fixed.as_str(), false), |(path, _)| (path, true));
        if fragment {
            notes.warn(format!("{at}: the part of the path after # is never sent and was left out."));
        }
        balanced(fixed)?;
        let (path, query) = fixed.split_once('?').map_or((fixed, ""), |(path, query)| (path, query));
        let mut names: Vec<String> = Vec::new();
        for name in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let mut moved = Vec::new();
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((key, value)) if !key.contains('{') && value.starts_with('{') && value.ends_with('}') => {
                    moved.push((key.to_owned(), value.trim_matches(['{', '}']).to_owned()));
                }
                _ if pair.contains('{') => {
                    return Err("its path has a variable inside the query string".into());
                }
                _ => kept.push(pair),
            }
        }
        if path.starts_with("//") {
            return Err("its path begins with `//`, which would name another host".into());
        }
        if !path.starts_with('/') {
            notes.warn(format!("{at}: the path does not begin with `/`; it was read as /{path}."));
        }
        let mut path = escape(&format!("/{}", path.trim_start_matches('/')));
        if !kept.is_empty() {
            path = format!("{path}?{}", escape(&kept.join("&")));
        }
        Ok(Self { path, names, query: moved })
    }
}

/// Every `{` has its `}`, none is inside another, none is empty.
fn balanced(path: &str) -> Result<(), String> {
    let mut open = false;
    for character in path.chars() {
        match character {
            '{' | '}' if open == (character == '{') => {
                return Err("its path has a brace without its partner".into());
            }
            '{' => open = true,
            '}' => open = false,
            _ => {}
        }
    }
    if open || path.contains("{}") {
        return Err("its path has a brace without its partner or without a name".into());
    }
    Ok(())
}

/// Percent-encodes what cannot stand in a URL as it is; names between braces stay.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        match character {
            '{' => inside = true,
            '}' => inside = false,
            _ => {}
        }
        if inside || (character.is_ascii() && !" \"<>^`".contains(character)) {
            out.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}
