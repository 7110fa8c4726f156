//! Every curated connector: it parses, each sample satisfies its action's schema, and becomes a request to the platform's own host.
#![expect(clippy::unwrap_used, reason = "a folder that cannot be read ends the test")]

use std::{fs, path::Path};

use amalgam_connector::{
    Connector,
    definition::{AuthScheme, VariableKind},
    parse::parse_toml,
    plan::{Account, plan},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use url::Url;

fn connectors() -> Vec<Connector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors");
    let mut folders: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 4, "the curated connectors are missing");
    folders
        .iter()
        .map(|folder| {
            let text = fs::read_to_string(folder.join("connector.toml")).unwrap();
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            let connector = parse_toml(&text).and_then(Connector::new);
            let connector =
                connector.unwrap_or_else(|problems| panic!("{name}: {}", problems.iter().map(|p| format!("\n  {p}")).collect::<String>()));
            assert_eq!(connector.definition().id, name, "the folder has another name than its connector");
            assert!(folder.join("icon.svg").is_file(), "{name} has no icon.svg");
            connector
        })
        .collect()
}

/// The guide's connector is one.
#[test]
fn the_guide_shows_a_connector_that_loads() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/writing-connectors.md")).unwrap();
    let text = guide.split("```toml\n").find(|block| block.starts_with("#:schema")).and_then(|block| block.split("```").next()).unwrap();
    let connector = parse_toml(text).and_then(Connector::new).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(connector.count(), 2);
}

/// Editors judge by the schema, the engine by its types: what one takes the other takes too.
#[test]
fn the_schema_for_editors_takes_every_folder() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap();
    let schema: Value = serde_json::from_str(&read("docs/connector.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for connector in connectors() {
        let id = &connector.definition().id;
        let text = read(&format!("connectors/{id}/connector.toml"));
        assert!(text.starts_with("#:schema ../../docs/connector.schema.json\n"), "{id}: editors find the schema by the first line");
        let mut written: Value = toml::from_str(&text).unwrap();
        let wrong: Vec<String> = schema.iter_errors(&written).map(|error| format!("{} at {}", error, error.instance_path())).collect();
        assert!(wrong.is_empty(), "{id}: {wrong:?}");
        written["base_ulr"] = "https://example.org".into();
        assert!(!schema.is_valid(&written), "a misspelt name is marked");
    }
}

/// Names and values.
type Entered = Vec<(String, String)>;

/// Values that a person would enter for the connector's variables and for the fields of a scheme.
fn entered(connector: &Connector, scheme: &AuthScheme) -> (Entered, Entered) {
    let variables = connector.definition().variables.iter().map(|(name, variable)| {
        let fallback = match variable.kind {
            VariableKind::Url => "https://platform.example.org",
            VariableKind::Host => "platform.example.org",
            VariableKind::Label | VariableKind::Text => "example",
        };
        (name.clone(), variable.sample.clone().or_else(|| variable.default.clone()).unwrap_or_else(|| fallback.to_owned()))
    });
    (variables.collect(), scheme.field_names().map(|name| (name.to_owned(), format!("secret-{name}"))).collect())
}

fn pairs(owned: &[(String, String)]) -> Vec<(&str, &str)> {
    owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn every_sample_is_a_request_to_the_platform() {
    for connector in connectors() {
        let definition = connector.definition();
        for scheme in &definition.auth {
            let (variables, fields) = entered(&connector, scheme);
            let (variables, fields) = (pairs(&variables), pairs(&fields));
            let account = Account { variables: &variables, auth: Some((scheme, &fields)), extra_headers: &[], nonce: "boundary" };
            let hosts: Vec<String> = connector.actions().map(|action| host(&connector, action.id.as_ref(), &account)).collect();
            assert!(hosts.iter().all(|host| *host == hosts[0]), "{}: {hosts:?}", definition.id);
        }
    }
}

fn host(connector: &Connector, id: &str, account: &Account<'_>) -> String {
    let action = connector.action(id).unwrap();
    let place = format!("{}/{id}", connector.definition().id);
    let sample: Map<String, Value> = match &action.action.sample {
        Some(Value::Object(sample)) => sample.clone(),
        Some(_) => panic!("{place}: the sample is no object"),
        None => Map::new(),
    };
    action.validate(&sample).unwrap_or_else(|error| panic!("{place}: {error}"));
    let plan = plan(connector, action, &sample, account).unwrap_or_else(|error| panic!("{place}: {error}"));
    let basic = |value: &str| value.strip_prefix("Basic ").and_then(|pair| STANDARD.decode(pair).ok());
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("secret-");
    let sent = plan.headers.iter().any(|(_, value)| told(value.as_bytes()) || basic(value).is_some_and(|pair| told(&pair)))
        || told(plan.url.as_bytes())
        || plan.body.is_some_and(|body| told(&body.bytes));
    assert_eq!(sent, action.action.auth, "{place}: the credential is sent exactly where the action authenticates");
    Url::parse(&plan.url).unwrap().host_str().unwrap().to_owned()
}

#[test]
fn every_action_says_what_it_does() {
    for connector in connectors() {
        for action in connector.actions() {
            let place = format!("{}/{}", connector.definition().id, action.id);
            assert!(!action.action.name.is_empty() && action.action.description.len() >= 20, "{place} is not described");
            assert!(!action.action.resource.is_empty(), "{place} belongs to no resource");
            for (name, param) in &action.action.params {
                assert!(!param.description.is_empty(), "{place}.{name} is not described");
            }
        }
    }
}
