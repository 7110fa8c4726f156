//! Any arguments, variables and secrets for a connector with one of everything: the URL stays in its template, headers on their line.
//!
//! Input: one line each for the variables `site` and `tenant`, the secret, and the name and value of an extra header; then the arguments.
#![no_main]

use std::sync::LazyLock;

use amalgam_connector::connector::{CompiledAction, Connector};
use amalgam_connector::parse::parse_toml;
use amalgam_connector::plan::{Account, Plan, plan};
use amalgam_connector::shape::{ShapeLimits, Wanted, shape};
use amalgam_connector::{failure, paging};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use url::Url;

static DEMO: LazyLock<Connector> = LazyLock::new(|| {
    let definition = parse_toml(include_str!("../../crates/connector/tests/engine/demo.toml")).expect("the definition is sound");
    Connector::new(definition).expect("the definition is sound")
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut parts = text.splitn(6, '\n');
    let mut line = || parts.next().unwrap_or_default();
    let (site, tenant, secret, name, value) = (line(), line(), line(), line(), line());
    let Ok(arguments) = serde_json::from_str::<Map<String, Value>>(parts.next().unwrap_or_default()) else { return };

    let secrets = [("apiKey", secret), ("token", secret), ("username", secret), ("password", secret)];
    let variables = [("site", site), ("tenant", tenant)];
    let extra_headers = [(name, value)];
    let extra_headers: &[_] = if name.is_empty() { &[] } else { &extra_headers };
    // A line break cannot stand in a line of the input, so that it is written as in JSON.
    let with_breaks = [name.replace("\\r", "\r"), value.replace("\\n", "\n")];
    let broken_headers = [(with_breaks[0].as_str(), with_breaks[1].as_str())];
    for auth in std::iter::once(None).chain(DEMO.definition().auth.iter().map(Some)) {
        for extra_headers in [extra_headers, &broken_headers] {
            let auth = auth.map(|scheme| (scheme, secrets.as_slice()));
            let account = Account { variables: &variables, auth, extra_headers, nonce: "b0undary" };
            for action in DEMO.actions() {
                let action = &*action;
                drop(action.validate(&arguments));
                if let Ok(plan) = plan(&DEMO, action, &arguments, &account) {
                    stays(&plan, action, site);
                }
            }
        }
    }
    shaped(Value::Object(arguments));
});

/// The request goes where the template says, and nowhere else.
fn stays(plan: &Plan, action: &CompiledAction, site: &str) {
    let url = Url::parse(&plan.url).expect("a planned URL is a URL");
    let host = format!("{}.example.com", site.to_ascii_lowercase());
    assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some(host.as_str()), None));
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{url}");
    let template = format!("/api/v1{}", action.action.path.split('?').next().unwrap_or_default());
    let (found, wanted): (Vec<_>, Vec<_>) = (url.path().split('/').collect(), template.split('/').collect());
    assert_eq!(found.len(), wanted.len(), "{url} is not {template}");
    for (found, wanted) in found.iter().zip(&wanted) {
        let (before, rest) = wanted.split_once('{').unwrap_or((wanted, ""));
        let after = rest.split_once('}').map_or("", |(_, after)| after);
        assert!(found.starts_with(before) && found.ends_with(after), "{url} is not {template}");
        assert!(wanted.contains('{') || found == wanted, "{url} is not {template}");
    }
    // Nothing was normalised away: what was written is what is requested.
    let written = plan.url.split('?').next().and_then(|url| url.get("https://".len() + host.len()..));
    assert_eq!(written, Some(url.path()));
    let content_type = plan.body.iter().map(|body| body.content_type.as_str());
    for text in plan.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).chain(content_type) {
        assert!(!text.contains(['\r', '\n', '\0']), "a header holds a line break: {text:?}");
    }
}

/// Any JSON as a platform's answer is cut down to the limits, and cut down it stays as it is.
fn shaped(body: Value) {
    let limits = ShapeLimits { items: 3, refine_over: 6, string_bytes: 16, depth: 4 };
    let arguments = body.as_object().cloned().unwrap_or_default();
    let link = body.get("link").and_then(Value::as_str);
    for action in DEMO.actions() {
        let action = &*action;
        drop(failure::in_success(&DEMO, action, &body));
        drop(failure::advice(&DEMO, action, 403, Some(&body), ""));
        let next = paging::next(&action.action, &arguments, link, &body);
        let whole = shape(action, body.clone(), &Wanted::default(), next.clone(), &limits).expect("no part is asked for");
        assert!(whole.changed || whole.value == body);
        let wanted = Wanted { max_bytes: Some(600), skip: 2, goes_on: true, ..Wanted::default() };
        drop(shape(action, body.clone(), &wanted, next, &limits).map(|shaped| shaped.with(None)));
    }
}
