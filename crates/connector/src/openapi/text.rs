//! Text for people and models: without markup, cut at the end of a sentence; slugs and words of names.

/// The longest description of an argument, in characters.
pub(super) const PARAMETER: usize = 400;
/// The longest description of an action, in characters.
pub(super) const ACTION: usize = 1000;

/// Cleans and cuts a description. Text far longer than the limit is not even looked at.
pub(super) fn describe(text: &str, limit: usize) -> String {
    let head: String = text.chars().take(limit.saturating_mul(8)).collect();
    cut(&plain(&head), limit)
}

/// Removes HTML tags and the usual entities, and folds white space. Line breaks stay: they carry lists.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let tag = tail.get(1..).and_then(|tail| tail.chars().next()).is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '!');
        match tail.find('>').filter(|end| tag && *end < 500) {
            Some(end) => {
                out.push(' ');
                rest = tail.get(end + 1..).unwrap_or_default();
            }
            None => {
                out.push('<');
                rest = tail.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    for (entity, character) in [("&nbsp;", " "), ("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")] {
        if out.contains(entity) {
            out = out.replace(entity, character);
        }
    }
    fold(&out)
}

fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = None;
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            gap = if character == '\n' || gap == Some('\n') { Some('\n') } else { Some(' ') };
        } else {
            if let Some(gap) = gap.take().filter(|_| !out.is_empty()) {
                out.push(gap);
            }
            out.push(character);
        }
    }
    out
}

/// Cuts at the end of a sentence, else at a word, so that at most `limit` characters stay.
pub(super) fn cut(text: &str, limit: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(limit) else {
        return text.to_owned();
    };
    let head = text.get(..end).unwrap_or_default();
    let sentence = [". ", ".\n", "! ", "? ", "\n"].iter().filter_map(|stop| head.rfind(stop)).max().filter(|at| *at > end / 3);
    if let Some(at) = sentence {
        return head.get(..=at).unwrap_or_default().trim_end().to_owned();
    }
    let last = head.char_indices().next_back().map_or(0, |(at, _)| at);
    let room = head.get(..last).unwrap_or_default();
    let word = room.rfind(' ').filter(|at| *at > end / 3).and_then(|at| room.get(..at)).unwrap_or(room);
    format!("{}…", word.trim_end())
}

/// `listUserRepos` and `list_user-repos` become `List user repos`.
pub(super) fn words(id: &str) -> String {
    let mut out = String::with_capacity(id.len() + 8);
    let mut lower_before = false;
    for character in id.chars() {
        if character.is_alphanumeric() {
            if character.is_uppercase() && lower_before {
                out.push(' ');
            }
            lower_before = character.is_lowercase() || character.is_numeric();
            if out.is_empty() { out.extend(character.to_uppercase()) } else { out.extend(character.to_lowercase()) }
        } else {
            if !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
            lower_before = false;
        }
    }
    out.trim_end().to_owned()
}

/// A lower-case slug of `[a-z0-9]` joined by `separator`.
pub(super) fn slug(text: &str, separator: char, limit: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if out.len() > limit {
            // A word that does not fit is left out, unless it is the only one.
            let whole = out.rfind(separator).filter(|at| *at > limit / 2).unwrap_or(limit);
            out.truncate(whole);
            break;
        }
        if character.is_ascii_alphanumeric() {
            out.push(character.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with(separator) {
            out.push(separator);
        }
    }
    out.trim_end_matches(separator).to_owned()
}
