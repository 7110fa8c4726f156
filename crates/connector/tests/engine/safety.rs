//! Properties that hold whatever is put in: the URL stays in its template, headers stay on their line.

use amalgam_connector::connector::Connector;
use amalgam_connector::plan::{Account, plan};
use amalgam_connector::shape::{Rest, ShapeLimits, Wanted, shape};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use url::Url;

use super::{demo, load};

/// Text made of what attacks are made of, or of anything.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "..", ".", "/", "\\", "%2e", "%2F", "%5c", "%25", "%", "?", "#", "@", ":", ";", "&", "=", "\r\n", "\0", " ", "a", "evil.com", "//",
        "{", "}", "é", "\u{202e}", "[", "]", "|", "1",
    ]);
    prop_oneof![prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat()), ".{0,12}", "[a-z0-9]{1,6}"]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        hostile().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((hostile(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn arguments(connector: &Connector, id: &str) -> BoxedStrategy<Map<String, Value>> {
    let names: Vec<String> = connector.action(id).map(|action| action.action.params.keys().cloned().collect()).unwrap_or_default();
    let values: Vec<_> =
        names.iter().map(|_| prop::option::weighted(0.8, prop_oneof![hostile().prop_map(Value::from), any_value()])).collect();
    values.prop_map(move |values| names.iter().cloned().zip(values).filter_map(|(name, value)| Some((name, value?))).collect()).boxed()
}

/// Whether `url` lies at `origin` and its path is `template`, with `*` for a segment that an argument fills.
fn stays(url: &str, host: &str, template: &str) -> Result<(), TestCaseError> {
    let parsed = Url::parse(url).map_err(|error| TestCaseError::fail(format!("{url}: {error}")))?;
    prop_assert_eq!(parsed.scheme(), "https");
    prop_assert_eq!(parsed.host_str(), Some(host));
    prop_assert_eq!(parsed.port(), None);
    prop_assert!(parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none());
    let (found, wanted): (Vec<_>, Vec<_>) = (parsed.path().split('/').collect(), template.split('/').collect());
    prop_assert_eq!(found.len(), wanted.len(), "{}", url);
    for (found, wanted) in found.iter().zip(&wanted) {
        let (before, after) = wanted.split_once('*').unwrap_or((wanted, ""));
        prop_assert!(found.starts_with(before) && found.ends_with(after), "{}", url);
        prop_assert!(wanted.contains('*') || found == wanted, "{}", url);
    }
    // Nothing was normalized away: what we wrote is what is requested.
    prop_assert_eq!(url.split(['?', '#']).next().and_then(|url| url.get("https://".len() + host.len()..)), Some(parsed.path()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_url_stays_in_its_template(
        (send, list) in { let connector = demo(); (arguments(&connector, "send"), arguments(&connector, "users_list")) },
        site in prop_oneof![Just("acme".to_owned()), hostile()],
        tenant in hostile(),
        extra in (hostile(), hostile()),
    ) {
        let connector = demo();
        let account = Account { variables: &[("site", &site), ("tenant", &tenant)], auth: None, extra_headers: &[], nonce: "b" };
        let with_extra = Account { extra_headers: &[(&extra.0, &extra.1)], ..account };
        for (id, args, template) in [("send", &send, "/api/v1/rooms/*/send/m.*/*"), ("users_list", &list, "/api/v1/users")] {
            let action = connector.action(id).unwrap();
            for account in [&account, &with_extra] {
                let Ok(plan) = plan(&connector, action, args, account) else { continue };
                stays(&plan.url, &format!("{}.example.com", site.to_ascii_lowercase()), template)?;
                prop_assert!(plan.url.contains("/users") == (id == "users_list") && (id == "send" || plan.url.contains("/users?active=1")));
                for (name, value) in &plan.headers {
                    let line = [name.as_str(), value.as_str()].concat();
                    prop_assert!(!line.contains(['\r', '\n', '\0']));
                }
            }
            // Judging never panics either.
            drop(action.validate(args));
        }
    }

    #[test]
    fn a_url_variable_stays_a_prefix(value in prop_oneof![hostile(), hostile().prop_map(|text| format!("https://{text}")), hostile().prop_map(|text| format!("https://h.org/{text}"))], id in hostile()) {
        let connector = load("id = \"x\"\nname = \"X\"\nbase_url = \"{v}/fixed\"\n[variables.v]\nkind = \"url\"\n[actions.a]\nmethod = \"GET\"\npath = \"/a/{id}/end\"\nparams = { id = { in = \"path\", required = true } }");
        let account = Account { variables: &[("v", &value)], auth: None, extra_headers: &[], nonce: "b" };
        let args = [("id".to_owned(), Value::from(id))].into_iter().collect();
        if let Ok(plan) = plan(&connector, connector.action("a").unwrap(), &args, &account) {
            let (given, made) = (Url::parse(&value).unwrap(), Url::parse(&plan.url).unwrap());
            prop_assert_eq!((given.scheme(), given.host_str(), given.port()), (made.scheme(), made.host_str(), made.port()));
            prop_assert!(made.path().starts_with(&format!("{}/fixed/a/", given.path().trim_end_matches('/'))) && made.path().ends_with("/end"), "{}", made);
            prop_assert!(made.query().is_none() && made.username().is_empty());
        }
    }

    #[test]
    fn a_host_variable_is_the_whole_host(value in prop_oneof![hostile(), "[a-z0-9.:\\[\\]-]{0,20}"]) {
        let connector = load("id = \"x\"\nname = \"X\"\nbase_url = \"https://{v}/fixed\"\n[variables.v]\nkind = \"host\"\n[actions.a]\nmethod = \"GET\"\npath = \"/a\"");
        let account = Account { variables: &[("v", &value)], auth: None, extra_headers: &[], nonce: "b" };
        if let Ok(plan) = plan(&connector, connector.action("a").unwrap(), &Map::new(), &account) {
            let made = Url::parse(&plan.url).unwrap();
            prop_assert_eq!(made.path(), "/fixed/a");
            prop_assert!(value.to_ascii_lowercase().starts_with(made.host_str().unwrap()), "{}", made);
            prop_assert!(made.username().is_empty() && made.query().is_none() && made.fragment().is_none());
        }
    }

    /// A secret in the path stays in its segment like any argument, and no refusal shows it.
    #[test]
    fn a_secret_in_the_path_stays_in_its_segment(secret in hostile(), id in hostile()) {
        let connector = load("id = \"x\"\nname = \"X\"\nbase_url = \"https://h.org\"\n[[auth]]\ntype = \"apiKey\"\nsend = [{ in = \"path\", name = \"t\", value = \"v{apiKey}\" }]\n[actions.a]\nmethod = \"GET\"\npath = \"/bot{t}/{id}\"\nparams = { id = { in = \"path\", required = true } }");
        let fields = [("apiKey", secret.as_str())];
        let account = Account { variables: &[], auth: Some((&connector.definition().auth[0], &fields)), extra_headers: &[], nonce: "b" };
        let args = [("id".to_owned(), Value::from(id))].into_iter().collect();
        match plan(&connector, connector.action("a").unwrap(), &args, &account) {
            Ok(plan) => stays(&plan.url, "h.org", "/botv*/*")?,
            Err(error) => prop_assert!(secret.len() < 5 || !error.message.contains(&secret), "{}", error),
        }
    }

    #[test]
    fn shaping_is_bounded(value in any_value(), items in 1_usize..4, depth in 1_usize..4) {
        let connector = demo();
        let limits = ShapeLimits { items, refine_over: 6, string_bytes: 8, depth };
        let before = value.clone();
        let shaped = shape(connector.action("get_document").unwrap(), value, &Wanted::default(), None, &limits).unwrap();
        prop_assert!(shaped.changed || shaped.value == before);
        let again = json!({"x": shaped.with(None)});
        let again = shape(connector.action("get_document").unwrap(), again, &Wanted::default(), None, &ShapeLimits::default()).unwrap();
        prop_assert!(!again.changed);
    }

    /// Whatever an answer holds, it fits its budget, and what is left out of its list is where the cursor leads.
    #[test]
    fn a_budget_is_kept(value in any_value(), budget in 1_500_usize..4_000) {
        let connector = demo();
        let body = Value::Array((0..40).map(|n| json!({"n": n, "x": value, "text": "é".repeat(3_000)})).collect());
        let wanted = Wanted { max_bytes: Some(budget), goes_on: true, ..Wanted::default() };
        let shaped = shape(connector.action("get_document").unwrap(), body, &wanted, None, &ShapeLimits::default()).unwrap();
        let shown = shaped.value.as_array().unwrap().len();
        prop_assert_eq!(shaped.rest.clone(), Some(Rest::After(shown)));
        let text = shaped.with(Some("c".repeat(300))).to_string();
        // What is told of it may name long places.
        prop_assert!(text.len() <= budget + 300, "{} of {}: {}", text.len(), budget, text);
    }
}
