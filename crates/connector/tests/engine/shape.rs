//! What a model gets of an answer.

use amalgam_connector::failure::in_success;
use amalgam_connector::paging;
use amalgam_connector::shape::{Extent, Rest, ShapeLimits, Wanted, needs_shaping, shape};
use serde_json::{Map, Value, json};

use super::demo;

fn shaped(action: &str, body: Value) -> (Value, bool) {
    wanted(action, body, &Wanted::default())
}

fn wanted(action: &str, body: Value, wanted: &Wanted) -> (Value, bool) {
    let connector = demo();
    let action = connector.action(action).unwrap();
    let next = paging::next(&action.action, &Map::new(), None, &body);
    let shaped = shape(action, body, wanted, next, &ShapeLimits::default()).unwrap();
    let changed = shaped.changed;
    // As the server does it, but for the seal.
    let cursor = shaped.rest.clone().map(|rest| match rest {
        Rest::After(items) => format!("after {items}"),
        Rest::Page(value) => format!("page {value}"),
    });
    (if changed { shaped.with(cursor) } else { shaped.value }, changed)
}

const MORE: &str = "There is more: repeat the call as it was, with `cursor` set to `nextCursor`.";

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
        json!({"originalCount": 45, "displayedCount": 25, "truncated": true, "paginationHint": "Showing first 25 of 45 items.", "nextHint": MORE,
            "nextCursor": "after 25"})
    );
    let (value, _) = shaped("get_document", numbers(25));
    assert_eq!(value["metadata"], json!({"originalCount": 25, "displayedCount": 25, "paginationHint": "Showing all 25 items."}));
    assert_eq!(shaped("get_document", numbers(50)).0["metadata"]["originalCount"], 50);
    let (value, _) = shaped("users_list", json!({"result": {"members": numbers(30), "next": "abc", "x": 1}}));
    assert_eq!(value["data"], json!({"members": numbers(25), "next": "abc", "x": 1}));
    assert_eq!(value["metadata"]["nextCursor"], "after 25", "the rest of this page first");
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
    assert_eq!(value["nextCursor"], "after 0");
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
    let name = Wanted { fields: vec!["name".into(), "owner".into()], raw: false, ..Wanted::default() };
    assert_eq!(wanted("fields", items.clone(), &name).0["items"], json!([{"name": "a", "owner": {"login": "x", "url": "u"}}, {}]));
    let raw = Wanted { fields: Vec::new(), raw: true, ..Wanted::default() };
    assert_eq!(wanted("fields", items.clone(), &raw), (items, false));
    let whole = json!({"items": [{"id": 1}], "total": 1});
    assert_eq!(shaped("fields", whole.clone()), (whole, false), "nothing is left out");
    let many: Vec<Value> = (0..60).map(|id| json!({"id": id, "name": "a"})).collect();
    let (value, _) = shaped("fields", json!({"items": many}));
    assert_eq!((&value["samples"][0], &value["fields"][0]), (&json!({"id": 0}), &json!("id")));
    // A part is selected unless everything is asked for.
    let answer = json!({"result": {"members": [1]}, "ok": true});
    assert_eq!(wanted("users_list", answer.clone(), &raw), (answer, false));
    let only = Wanted { fields: vec!["a".into()], raw: false, ..Wanted::default() };
    assert_eq!(wanted("get_document", json!({"a": 1, "b": 2}), &only).0["a"], 1);
    // What is no object, or has such a member itself, is put into one.
    assert_eq!(wanted("get_document", json!([{"a": 1, "b": 2}]), &only).0["data"], json!([{"a": 1}]));
    let metadata = Wanted { fields: vec!["metadata".into()], raw: false, ..Wanted::default() };
    assert_eq!(wanted("get_document", json!({"metadata": 1, "b": 2}), &metadata).0["data"], json!({"metadata": 1}));
}

/// A cursor that the shown part does not hold is told beside it.
#[test]
fn hidden_cursors_are_told() {
    let (value, changed) = shaped("users_list", json!({"result": {"members": [1], "next": "abc"}}));
    assert!(changed);
    assert_eq!(value, json!({"members": [1], "next": "abc", "metadata": {"nextHint": MORE, "nextCursor": "page \"abc\""}}));
}

#[test]
fn failures_with_a_success_status_are_told() {
    let connector = demo();
    let told = |body: Value| in_success(&connector, connector.action("users_list").unwrap(), &body);
    assert_eq!(told(json!({"ok": true})), None);
    assert_eq!(told(json!({"ok": false, "error": "channel_not_found"})).as_deref(), Some("channel_not_found"));
    assert_eq!(told(json!({"ok": false})).as_deref(), Some("Demo reported a failure without a reason."));
}

/// A list goes on where it was cut, then in the platform's next page; the last part says that it is the last.
#[test]
fn lists_go_on_where_they_were_cut() {
    let body = json!({"result": {"members": numbers(298), "next": "abc"}});
    let after = |skip: usize| {
        let goes_on = Wanted { skip, goes_on: true, ..Wanted::default() };
        wanted("users_list", body.clone(), &goes_on).0
    };
    let value = after(25);
    assert_eq!(value["data"]["members"], (25..50).map(Value::from).collect::<Value>());
    assert_eq!(value["metadata"]["paginationHint"], "Showing items 26 to 50 of 298.");
    assert_eq!(value["metadata"]["nextCursor"], "after 50");
    let value = after(290);
    assert_eq!((value["data"]["members"].as_array().unwrap().len(), &value["metadata"]["nextCursor"]), (8, &json!("page \"abc\"")));
    assert_eq!(after(500)["data"]["members"], json!([]), "a list that has become shorter");
    // Who asks for a number gets it, and no advice.
    let some = Wanted { limit: Some(60), ..Wanted::default() };
    let (value, _) = wanted("get_document", json!({"list": numbers(80), "inner": {"list": numbers(30)}}), &some);
    assert_eq!((value["data"]["list"].as_array().unwrap().len(), &value["metadata"]["nextCursor"]), (60, &json!("after 60")));
    assert_eq!(value["data"]["inner"]["list"].as_array().unwrap().len(), 25, "only the list itself");
    assert_eq!(wanted("get_document", numbers(60), &some), (numbers(60), false));
}

/// What was cut within an answer can be asked for by its place.
#[test]
fn parts_can_be_read_on_their_own() {
    let text = "é".repeat(3_000);
    let body = json!({"list": [{"inner": numbers(30), "text": text}], "deep": (0..12).fold(json!(1), |inner, _| json!({"a": inner}))});
    let part = |part: &str, skip: usize| {
        let of = Wanted { part: Some(part.to_owned()), skip, goes_on: skip > 0, ..Wanted::default() };
        wanted("get_document", body.clone(), &of).0
    };
    let (first, second) = (part("/list/0/text", 0), part("/list/0/text", 5_120));
    assert_eq!((&first["metadata"]["leftOutCharacters"], &first["metadata"]["nextCursor"]), (&json!(440), &json!("after 5120")));
    assert_eq!(first["data"].as_str().unwrap().to_owned() + second.as_str().unwrap(), text);
    assert_eq!(part("/list/0/inner", 25)["data"], (25..30).map(Value::from).collect::<Value>());
    assert_eq!(part("/deep/a/a/a/a/a/a/a/a/a", 0), json!({"a": {"a": {"a": 1}}}));
    assert_eq!(part("/list/0", 0)["metadata"]["cut"][0]["path"], "/list/0/text", "paths lead into the whole answer");
    let nothing = Wanted { part: Some("/nothing".into()), ..Wanted::default() };
    let connector = demo();
    let error = shape(connector.action("get_document").unwrap(), body, &nothing, None, &ShapeLimits::default()).unwrap_err();
    assert!(error.message.contains("nothing at `/nothing`"), "{error}");
}

/// First the list, which goes on; then what lies within its one item.
#[test]
fn a_budget_cuts_lists_first() {
    let items: Vec<Value> = (0..20).map(|n| json!({"n": n, "text": "x".repeat(400)})).collect();
    let of = |body: Value, max_bytes: usize| wanted("get_document", body, &Wanted { max_bytes: Some(max_bytes), ..Wanted::default() }).0;
    let value = of(items.clone().into(), 4_000);
    let shown = value["data"].as_array().unwrap().len();
    assert!((5..8).contains(&shown) && value.to_string().len() <= 4_000, "{value}");
    assert_eq!(value["metadata"]["nextCursor"], format!("after {shown}"));
    assert_eq!(value["data"][0], items[0], "whole items");
    assert_eq!(of(items.clone().into(), 100_000), Value::from(items), "what fits is not touched");
    let value = of(json!([{"text": "x".repeat(4_000), "list": (0..24).collect::<Vec<_>>()}]), 2_000);
    assert!(value.to_string().len() <= 2_000 && value["metadata"]["cut"].as_array().unwrap().len() == 2, "{value}");
    let wide: Map<String, Value> = (0..5_000).map(|n| (format!("member{n}"), n.into())).collect();
    let value = of(wide.into(), 2_000);
    assert_eq!(value["metadata"]["cut"][0]["originalMembers"], 5_000, "{value}");
    // Advice that does not fit gives way to items.
    let value = of(json!({"list": (0..60).map(|n| json!({"n": n, "text": "x".repeat(200)})).collect::<Vec<_>>()}), 1_500);
    assert!(value.to_string().len() <= 1_500, "{value}");
}
