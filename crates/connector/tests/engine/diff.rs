//! What an update of a definition changes; and a definition in its packed form.

use std::sync::Arc;

use amalgam_connector::Connector;
use amalgam_connector::definition::Definition;
use amalgam_connector::diff::diff;
use amalgam_connector::parse::parse_toml;

fn definition(base_url: &str, actions: &str) -> Definition {
    let text = format!("id = \"x\"\nname = \"X\"\nbase_url = \"{base_url}\"\n[[auth]]\ntype = \"bearer\"\n{actions}");
    parse_toml(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

const OLD: &str = "\
[actions.list]
method = \"GET\"
path = \"/items\"
params.limit = { in = \"query\", type = \"integer\" }
params.state = { in = \"query\", enum = [\"open\", \"closed\"] }
params.gone = { in = \"query\" }
[actions.old]
method = \"POST\"
path = \"/old\"
[actions.add]
method = \"POST\"
path = \"/items\"
params.item = { in = \"body\", schema = { type = \"object\", properties = { name = { type = \"string\" } } } }
";

const NEW: &str = "\
[actions.list]
method = \"GET\"
path = \"/v2/items\"
params.limit = { in = \"query\", type = \"string\", required = true }
params.state = { in = \"query\", enum = [\"open\", \"all\"] }
params.more = { in = \"query\" }
[actions.renamed]
method = \"POST\"
path = \"/old\"
[actions.add]
method = \"POST\"
path = \"/items\"
params.item = { in = \"body\", schema = { type = \"object\", required = [\"name\"], properties = { name = { type = \"string\" } } } }
";

#[test]
fn changes_are_told_and_those_that_break_are_marked() {
    let old = definition("https://a.example.com", OLD);
    assert_eq!(diff(&old, &old), []);
    let found = diff(&old, &definition("https://b.example.com", NEW));
    for (action, breaking, what) in [
        (None, true, "The base URL was `https://a.example.com` and is `https://b.example.com`."),
        (Some("list"), false, "The path was `/items` and is `/v2/items`."),
        (Some("list"), true, "The parameter `limit` is required now."),
        (Some("list"), true, "The parameter `limit` was of type integer and is string."),
        (Some("list"), true, "The parameter `state` no longer takes \"closed\"."),
        (Some("list"), false, "The parameter `state` also takes \"all\"."),
        (Some("list"), false, "The parameter `more` is new."),
        (Some("list"), true, "The parameter `gone` is gone."),
        (Some("renamed"), false, "New action: POST /old, which was `old`."),
        (Some("old"), true, "The action is gone. It is `renamed` now."),
        (Some("add"), true, "The parameter `item.name` is required now."),
    ] {
        let is_it = |change: &&amalgam_connector::diff::Change| change.action.as_deref() == action && change.what == what;
        let change = found.iter().find(is_it).unwrap_or_else(|| panic!("{what}\n{found:#?}"));
        assert_eq!(change.breaking, breaking, "{what}");
    }
    assert_eq!(found.len(), 11, "{found:#?}");
}

#[test]
fn a_packed_connector_is_the_same_one() {
    let demo = super::demo().to_definition();
    let bytes: Arc<[u8]> = Connector::pack(demo.clone()).unwrap().into();
    let connector = Connector::unpack(Arc::clone(&bytes)).unwrap();
    assert_eq!(connector.count(), demo.actions.len());
    assert_eq!(connector.to_definition(), demo);
    for (id, action) in connector.summaries() {
        let whole = &demo.actions[&**id];
        assert_eq!((&action.name, &action.description, action.effect()), (&whole.name, &whole.description, whole.effect()));
        assert_eq!(connector.action(id).unwrap().action, *whole);
    }
    // What is damaged is refused, not read as something else.
    for length in 0..bytes.len() {
        let cut = Connector::unpack(bytes[..length].into());
        assert!(cut.is_none_or(|connector| connector.count() < demo.actions.len()), "{length}");
    }
    assert!(Connector::unpack([0xff; 64].into()).is_none());
}
