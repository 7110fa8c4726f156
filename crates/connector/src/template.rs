//! Texts with `{name}` in them: paths, base URLs, header values.

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text that stands as it is.
    Text(&'a str),
    /// The name between braces.
    Name(&'a str),
}

/// Splits a template into its pieces.
///
/// # Errors
/// A sentence when braces do not match, nest, or hold nothing.
pub(crate) fn pieces(template: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let Some((text, after)) = rest.split_once('{') else {
            if rest.contains('}') {
                return Err("A `}` stands without its `{`.".to_owned());
            }
            found.push(Piece::Text(rest));
            break;
        };
        if text.contains('}') {
            return Err("A `}` stands without its `{`.".to_owned());
        }
        if !text.is_empty() {
            found.push(Piece::Text(text));
        }
        let Some((name, after)) = after.split_once('}') else {
            return Err("A `{` is not closed by `}`.".to_owned());
        };
        if name.is_empty() || name.contains('{') {
            return Err("Braces hold one name: `{name}`.".to_owned());
        }
        found.push(Piece::Name(name));
        rest = after;
    }
    Ok(found)
}
