//! `WWW-Authenticate`: what a 401 or 403 asks for (RFC 9110, section 11.6.1).

/// Longer values are not read, in bytes.
const MAX_VALUE: usize = 8_192;
const BLANK: [char; 2] = [' ', '\t'];
/// What may stand between two parameters or challenges.
const BETWEEN: [char; 3] = [' ', '\t', ','];

/// One challenge of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// As it was sent; schemes are compared without regard to case.
    pub scheme: String,
    /// Names in lower case, values without their quotes. A `token68` in their place is left out.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Whether it is of this scheme.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter, whose name is in lower case. It may be there once only; of several, the first counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The challenges of one value of the header, in order. White space is taken for the comma between parameters, which servers forget.
/// What comes after a fault is not read, because quotes may open and close anywhere there.
#[must_use]
pub fn challenges(value: &str) -> Vec<Challenge> {
    let mut all: Vec<Challenge> = Vec::new();
    if value.len() > MAX_VALUE {
        return all;
    }
    let mut rest = value.trim_start_matches(BETWEEN);
    while let Some((name, after)) = token(rest) {
        rest = match (after.trim_start_matches(BLANK).strip_prefix('='), all.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, after)) = quoted_or_token(value.trim_start_matches(BLANK)) else { break };
                if !after.is_empty() && !after.starts_with(BETWEEN) {
                    break;
                }
                challenge.parameters.push((name.to_ascii_lowercase(), value));
                after
            }
            // A parameter without a scheme.
            (Some(_), None) => break,
            (None, _) => {
                all.push(Challenge { scheme: name.to_owned(), parameters: Vec::new() });
                without_token68(after)
            }
        }
        .trim_start_matches(BETWEEN);
    }
    all
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(c)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(token, _)| !token.is_empty())
}

fn quoted_or_token(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else { return token(text).map(|(token, rest)| (token.to_owned(), rest)) };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

/// What follows a scheme, without the one value that some schemes have in the place of parameters (`Negotiate YII=`).
fn without_token68(text: &str) -> &str {
    let value = text.trim_start_matches(' ');
    let rest = value.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c)).trim_start_matches('=');
    let next = rest.trim_start_matches(BLANK);
    if next.is_empty() || next.starts_with(',') { rest } else { text }
}
