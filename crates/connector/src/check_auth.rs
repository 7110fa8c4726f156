//! What the ways to authenticate of a definition must hold.

use std::collections::HashSet;

use crate::check::{Problems, check_header_name, check_pointer};
use crate::check_url::check_url;
use crate::definition::{AuthKind, AuthScheme, Definition, OAuth2, Placement, SecretPlace};
use crate::schemes::mentions;
use crate::template::{Piece, pieces};
use crate::text::{closest, is_header_value, name};

/// Parameters of the consent page that belong to the flow itself (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
pub(crate) const OWN: [&str; 7] =
    ["response_type", "client_id", "client_secret", "redirect_uri", "state", "code_challenge", "code_challenge_method"];

/// Checks every scheme; the API names a scheme by its type, so there is one of each.
pub(crate) fn check_auth(problems: &mut Problems, definition: &Definition) {
    let mut kinds = HashSet::new();
    for scheme in &definition.auth {
        let place = format!("auth.{}", scheme.kind.as_str());
        if !kinds.insert(scheme.kind) {
            problems.add(&place, "There are two schemes of this type; keep one, or give one of them another type.");
        }
        check_scheme(problems, &place, scheme, definition);
    }
}

fn check_scheme(problems: &mut Problems, place: &str, scheme: &AuthScheme, definition: &Definition) {
    if let Some(base_url) = &scheme.base_url {
        check_url(problems, &format!("{place}.base_url"), base_url, definition);
    }
    if scheme.placements().is_empty() {
        problems.add(
            place,
            "An `apiKey` scheme says in `send` where the key goes: `{ in = \"header\", name = \"X-Api-Key\", value = \"{apiKey}\" }`.",
        );
    }
    let mut seen = HashSet::new();
    for sent in &scheme.send {
        let sent_place = format!("{place}.send.{}", name(&sent.name));
        check_placement(problems, &sent_place, sent, scheme, definition);
        let spelled = match sent.place {
            SecretPlace::Basic => (SecretPlace::Header, "authorization".to_owned()),
            SecretPlace::Header => (SecretPlace::Header, sent.name.to_ascii_lowercase()),
            other => (other, sent.name.clone()),
        };
        if !seen.insert(spelled) {
            problems.add(&sent_place, "Two parts of the credential go to the same place; keep one, or put both into one `value`.");
        }
    }
    for field in scheme.fields.keys() {
        if !scheme.placements().iter().any(|sent| mentions(&sent.value, field)) {
            problems.add(
                format!("{place}.fields.{}", name(field)),
                format!("This field is sent nowhere; put `{{{}}}` into a `value` of `send`, or leave it out.", name(field)),
            );
        }
    }
    match (&scheme.oauth2, scheme.kind) {
        (Some(oauth2), AuthKind::OAuth2) => check_oauth2(problems, &format!("{place}.oauth2"), oauth2, definition),
        (Some(_), _) => problems.add(place, "`oauth2` belongs to a scheme of type `oauth2` only."),
        (None, AuthKind::OAuth2) => {
            problems.add(place, "A scheme of type `oauth2` says in `oauth2` where to consent and where tokens are.")
        }
        (None, _) => {}
    }
}

fn check_placement(problems: &mut Problems, place: &str, sent: &Placement, scheme: &AuthScheme, definition: &Definition) {
    let parts = match pieces(&sent.value) {
        Ok(parts) => parts,
        Err(message) => return problems.add(place, message),
    };
    let mut fields = 0_usize;
    for part in parts {
        match part {
            Piece::Text(text) if !is_header_value(text) => problems.add(place, "The fixed part of a value is visible ASCII on one line."),
            Piece::Text(_) => {}
            Piece::Name(key) if scheme.field_names().any(|field| field == key) => {
                fields += 1;
                if sent.place == SecretPlace::Path && scheme.is_optional(key) {
                    problems.add(place, "A path cannot be without a part of it; make the field required.");
                }
            }
            Piece::Name(key) if definition.variables.contains_key(key) => {}
            Piece::Name(key) => {
                let known = scheme.field_names().collect::<Vec<_>>().join("`, `");
                let hint = closest(key, scheme.field_names()).map_or(String::new(), |meant| format!(" Did you mean `{meant}`?"));
                problems
                    .add(place, format!("`{{{}}}` is neither a field of this scheme (it has `{known}`) nor a variable.{hint}", name(key)));
            }
        }
    }
    if fields == 0 {
        problems.add(place, "A value holds a field in braces, such as `{token}`; what is fixed belongs in `headers`.");
    }
    match sent.place {
        SecretPlace::Header => check_header_name(problems, place, &sent.name),
        SecretPlace::Basic if !sent.name.is_empty() => problems.add(place, "Basic authentication has its own header; leave `name` out."),
        SecretPlace::Basic if !sent.value.contains(':') => {
            problems.add(place, "For basic authentication `value` is user name, colon, password: `{username}:{password}` or `{apiKey}:`.");
        }
        SecretPlace::Path if sent.name.contains(['{', '}']) => problems.add(place, "Name it without braces; the path has them."),
        SecretPlace::Query | SecretPlace::Body | SecretPlace::Path if sent.name.is_empty() => {
            problems.add(place, "Give it the `name` under which it is sent.");
        }
        _ => {}
    }
}

fn check_oauth2(problems: &mut Problems, place: &str, oauth2: &OAuth2, definition: &Definition) {
    let urls = [
        ("authorize_url", Some(&oauth2.authorize_url)),
        ("token_url", Some(&oauth2.token_url)),
        ("revoke_url", oauth2.revoke_url.as_ref()),
    ];
    for (key, template) in urls {
        if let Some(template) = template {
            check_url(problems, &format!("{place}.{key}"), template, definition);
        }
    }
    for scope in oauth2.default_scopes.iter().filter(|scope| !oauth2.scopes.contains_key(*scope)) {
        problems.add(format!("{place}.default_scopes"), format!("The scope `{}` is not among `scopes`; describe it there.", name(scope)));
    }
    if oauth2.scopes.keys().any(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
        problems.add(format!("{place}.scopes"), "A scope is one word.");
    }
    for (key, text) in [("scope_separator", &oauth2.scope_separator), ("scope_parameter", &oauth2.scope_parameter)] {
        if text.as_ref().is_some_and(String::is_empty) {
            problems.add(format!("{place}.{key}"), "It is not empty; leave it out for what is usual.");
        }
    }
    for key in oauth2.authorize_params.keys().filter(|key| key.is_empty() || OWN.contains(&key.as_str())) {
        problems.add(format!("{place}.authorize_params"), format!("`{}` is set by the flow itself; leave it out.", name(key)));
    }
    if let Some(answer) = &oauth2.token_answer {
        for pointer in [&answer.token, &answer.refresh_token, &answer.expires_in, &answer.scope].into_iter().flatten() {
            check_pointer(problems, &format!("{place}.token_answer"), pointer);
        }
    }
}
