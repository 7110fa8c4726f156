//! What a model gets of an answer.

use amalgam_connector::failure::in_success;
use amalgam_connector::paging;
use amalgam_connector::shape::{Extent, ShapeLimits, Wanted, needs_shaping, shape};
use serde_json::{Map, Value, json};

use super::demo;

fn shaped(action: &str, body: Value) -> (Value, bool) {
    wanted(action, body, &Wanted::default())
}

fn wanted(action: &str, body: Value, wanted: &Wanted) -> (Value, bool) {
    let connector = demo();
    let action = connector.action(action).unwrap();
    let next = paging::next(&action.action, &Map::new(), None, &body);
    let shaped = shape(action, body, wanted, next, &ShapeLimits::default());
    (shaped.value, shaped.changed)
}

fn numbers(count: usize) -> Value {
    (0..count).map(Value::from).collect()
}

#[test]
fn small_answers_pass_unchanged() {
    for body in [json!({"a": [1, 2]}), numbers(24), json!("x"), json!(null)] {
        assert_eq!(shaped("get_document", body.clone()), (body, false));
    }
    assert_eq!(shaped("users_list", json!({"result": {"members": [1]}})), (json!({"members": [1]}), true));
    assert_eq!(shaped("users_list", json!({"other": 1})), (json!({"other": 1}), false));
}

#[test]
fn middle_lists_are_cut_with_metadata() {
    let (value, changed) = shaped("get_document", numbers(45));
    assert!(changed);
    assert_eq!(value["data"], numbers(25));
    assert_eq!(
        value["metadata"],
        json!({"originalCount": 45, "displayedCount": 25, "truncated": true, "paginationHint": "Showing first 25 of 45 items."})
    );
    let (value, _) = shaped("get_document", numbers(25));
    assert_eq!(value["metadata"], json!({"originalCount": 25, "displayedCount": 25, "paginationHint": "Showing all 25 items."}));
    assert_eq!(shaped("get_document", numbers(50)).0["metadata"]["originalCount"], 50);
    let (value, _) = shaped("users_list", json!({"result": {"members": numbers(30), "next": "abc", "x": 1}}));
    assert_eq!(value["data"], json!({"members": numbers(25), "next": "abc", "x": 1}));
    assert_eq!(value["metadata"]["nextCursor"], json!({"parameter": "cursor", "value": "abc"}));
}

#[test]
fn long_lists_ask_for_refinement() {
    let (value, changed) = shaped("users_list", json!({"result": {"members": numbers(298), "next": "abc"}}));
    assert!(changed);
    assert_eq!(value["needsRefinement"], true);
    assert_eq!(value["message"], "Found 298 users. This is too many to display effectively.");
    assert!(value["guidance"].as_str().unwrap().starts_with("1. Narrow the answer with `query`"), "{value}");
    assert!(
        value["searchInstructions"].as_str().unwrap().starts_with("You can search using:\n- query (query): Part of a name.\n"),
        "{value}"
    );
    assert_eq!(value["suggestions"][0], "Use `query`: Part of a name.");
    assert_eq!(value["samples"], json!([0, 1]));
    assert_eq!(value["nextCursor"]["value"], "abc");
    assert_eq!(shaped("get_document", numbers(51)).0["message"], "Found 51 items. This is too many to display effectively.");
}

/// A document with a long member is not a list that could be narrowed: it is cut, not withheld.
#[test]
fn a_document_without_filters_is_cut_instead() {
    let (value, _) = shaped("get_document", json!({"title": "t", "blocks": numbers(80)}));
    assert_eq!(value["data"]["title"], "t");
    assert_eq!(value["metadata"]["originalCount"], 80);
}

#[test]
fn nested_lists_strings_and_depth_are_cut_and_listed() {
    let deep = (0..12).fold(json!(1), |inner, _| json!({"a": inner}));
    let long = "é".repeat(3_000);
    let (value, changed) = shaped("get_document", json!({"list": [{"inner": numbers(30)}], "text": long, "deep": deep}));
    assert!(changed);
    assert_eq!(value["data"]["list"][0]["inner"], numbers(25));
    assert!(value["data"]["text"].as_str().unwrap().ends_with("é… (440 characters left out)"));
    let cut = value["metadata"]["cut"].as_array().unwrap();
    assert_eq!(cut[0], json!({"path": "/list/0/inner", "originalCount": 30, "displayedCount": 25}));
    assert_eq!(cut[1], json!({"path": "/text", "leftOutCharacters": 440}));
    assert_eq!(cut[2]["path"], "/deep/a/a/a/a/a/a/a/a/a");
    assert_eq!(value["metadata"]["truncated"], true);
}

#[test]
fn the_list_of_cuts_is_bounded() {
    let rows: Vec<Value> = (0..24).map(|_| json!({"x": "a".repeat(6_000), "y": numbers(26)})).collect();
    let (value, _) = shaped("get_document", json!(rows));
    assert_eq!(value["metadata"]["cut"].as_array().unwrap().len(), 20);
    assert_eq!(value["metadata"]["moreCuts"], 28);
}

#[test]
fn what_fits_is_told_from_the_value_and_from_the_text_alike() {
    let limits = ShapeLimits::default();
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let cases = [
        (json!({"a": ["x".repeat(5_120)]}), true),
        (json!({"a": ["x".repeat(5_121)]}), false),
        (json!({"\u{e9}": "\n".repeat(5_120)}), true),
        (json!({"b": {"c": numbers(24)}}), true),
        (json!({"b": {"c": numbers(25)}}), false),
        (nested(10), true),
        (nested(11), false),
        (json!("x"), true),
    ];
    for (value, fits) in cases {
        assert_eq!(needs_shaping(&value, &limits), !fits, "{value}");
        assert_eq!(Extent::of(&value.to_string()).unwrap().fits(&limits), fits, "{value}");
    }
    for broken in ["", "{", "[1,]", "{\"a\":1} x", "nul", "\"\\ud800\""] {
        assert!(Extent::of(broken).is_err(), "{broken}");
    }
}

#[test]
fn fields_show_what_matters_first() {
    let items = json!({"items": [{"id": 1, "name": "a", "owner": {"login": "x", "url": "u"}, "a.b": 2}, {"id": 2}], "total": 2});
    let (value, changed) = shaped("fields", items.clone());
    assert!(changed);
    assert_eq!((&value["items"], &value["total"]), (&json!([{"id": 1, "owner": {"login": "x"}, "a.b": 2}, {"id": 2}]), &json!(2)));
    assert_eq!(value["metadata"]["fields"], json!(["id", "owner.login", "a.b"]));
    assert!(value["metadata"]["fieldsHint"].as_str().unwrap().contains("`raw`"));
    let name = Wanted { fields: vec!["name".into(), "owner".into()], raw: false };
    assert_eq!(wanted("fields", items.clone(), &name).0["items"], json!([{"name": "a", "owner": {"login": "x", "url": "u"}}, {}]));
    let raw = Wanted { fields: Vec::new(), raw: true };
    assert_eq!(wanted("fields", items.clone(), &raw), (items, false));
    let whole = json!({"items": [{"id": 1}], "total": 1});
    assert_eq!(shaped("fields", whole.clone()), (whole, false), "nothing is left out");
    let many: Vec<Value> = (0..60).map(|id| json!({"id": id, "name": "a"})).collect();
    let (value, _) = shaped("fields", json!({"items": many}));
    assert_eq!((&value["samples"][0], &value["fields"][0]), (&json!({"id": 0}), &json!("id")));
    // A part is selected unless everything is asked for.
    let answer = json!({"result": {"members": [1]}, "ok": true});
    assert_eq!(wanted("users_list", answer.clone(), &raw), (answer, false));
    let only = Wanted { fields: vec!["a".into()], raw: false };
    assert_eq!(wanted("get_document", json!({"a": 1, "b": 2}), &only).0["a"], 1);
    // What is no object, or has such a member itself, is put into one.
    assert_eq!(wanted("get_document", json!([{"a": 1, "b": 2}]), &only).0["data"], json!([{"a": 1}]));
    let metadata = Wanted { fields: vec!["metadata".into()], raw: false };
    assert_eq!(wanted("get_document", json!({"metadata": 1, "b": 2}), &metadata).0["data"], json!({"metadata": 1}));
}

/// A cursor that the shown part does not hold is told beside it.
#[test]
fn hidden_cursors_are_told() {
    let (value, changed) = shaped("users_list", json!({"result": {"members": [1], "next": "abc"}}));
    assert!(changed);
    assert_eq!(value, json!({"members": [1], "next": "abc", "metadata": {"nextCursor": {"parameter": "cursor", "value": "abc"}}}));
}

#[test]
fn failures_with_a_success_status_are_told() {
    let connector = demo();
    let told = |body: Value| in_success(&connector, connector.action("users_list").unwrap(), &body);
    assert_eq!(told(json!({"ok": true})), None);
    assert_eq!(told(json!({"ok": false, "error": "channel_not_found"})).as_deref(), Some("channel_not_found"));
    assert_eq!(told(json!({"ok": false})).as_deref(), Some("Demo reported a failure without a reason."));
}
