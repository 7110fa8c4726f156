//! Restrictions: the wire forms, the refusals, and every decision against a naive model.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use amalgam_policy::{Decision, PolicyError, Restrictions};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(value: Value) -> Restrictions {
    Restrictions::parse(&value).unwrap()
}

fn refused(value: Value) -> PolicyError {
    Restrictions::parse(&value).unwrap_err()
}

fn sentence(decision: Decision<'_>) -> String {
    match decision {
        Decision::Allow => "allowed".to_owned(),
        Decision::Deny(denial) => denial.to_string(),
    }
}

#[test]
fn nothing_given_allows_everything() {
    let none = parse(json!({}));
    assert!(none.connector("slack").is_allowed() && none.action("slack", "x").is_allowed() && none.user("u").is_allowed());
    assert!(!none.is_active());
    assert_eq!(none.to_wire(), json!({}));
    assert_eq!(Restrictions::default().to_wire(), json!({}));
}

#[test]
fn a_list_that_is_absent_or_empty() {
    for list in [json!({"mode": "allowlist"}), json!({"mode": "allowlist", "allowedIds": []})] {
        let denies_all = parse(json!({"connectors": list}));
        assert!(!denies_all.connector("slack").is_allowed() && !denies_all.action("slack", "x").is_allowed());
        assert!(denies_all.is_active());
        assert_eq!(denies_all.to_wire(), json!({"connectors": list}));
    }
    for list in [json!({"mode": "blocklist"}), json!({"mode": "blocklist", "blockedIds": []})] {
        let allows_all = parse(json!({"users": list}));
        assert!(allows_all.user("u").is_allowed() && !allows_all.is_active());
    }
}

#[test]
fn refusals_name_their_rule() {
    let allow = parse(
        json!({"connectors": {"mode": "allowlist", "allowedIds": ["slack"]}, "actions": {"mode": "allowlist", "allowedActions": ["a"]}}),
    );
    assert_eq!(
        sentence(allow.connector("x")),
        r#"Access denied: connector "x" is not allowed on this server (restrictions.connectors is an allowlist that does not contain it)"#
    );
    assert_eq!(sentence(allow.action("x", "a")), sentence(allow.connector("x")));
    assert_eq!(
        sentence(allow.action("slack", "b")),
        r#"Access denied: action "slack/b" is not allowed on this server (restrictions.actions is an allowlist that does not contain it)"#
    );
    let block = parse(
        json!({"actions": {"mode": "blocklist", "blockedActions": ["slack/delete_*", "kick"]}, "users": {"mode": "blocklist", "blockedIds": ["eve"]}}),
    );
    assert_eq!(
        sentence(block.action("slack", "delete_channel")),
        r#"Access denied: action "slack/delete_channel" is not allowed on this server (restrictions.actions is a blocklist with the entry "slack/delete_*")"#
    );
    assert!(sentence(block.action("github", "kick")).ends_with(r#"a blocklist with the entry "kick")"#));
    assert!(sentence(block.user("eve")).starts_with(r#"Access denied: user "eve" is not"#));
}

#[test]
fn a_hostile_name_makes_a_short_plain_sentence() {
    let none = parse(json!({"users": {"mode": "allowlist"}}));
    let name = format!("a\n\"\u{1b}[31m{}", "é".repeat(9_000));
    let text = sentence(none.user(&name));
    assert!(text.chars().count() < 300 && !text.contains(['\n', '\u{1b}']), "{text}");
}

#[test]
fn long_lists_weigh_more_than_their_text() {
    let ids: Vec<String> = (0..1_000).map(|n| format!("{n:0>100}")).collect();
    let restrictions =
        parse(json!({ "users": { "mode": "allowlist", "allowedIds": ids }, "connectors": { "mode": "blocklist", "blockedIds": ["x"] } }));
    assert!((200_000..400_000).contains(&restrictions.weight()), "{}", restrictions.weight());
    assert_eq!(Restrictions::default().weight(), 0);
}

#[test]
fn users_are_opaque_and_exact() {
    let users = parse(json!({"users": {"mode": "allowlist", "allowedIds": ["*", "a/b", "Ann*"]}}));
    assert!(users.user("*").is_allowed() && users.user("a/b").is_allowed() && users.user("Ann*").is_allowed());
    assert!(!users.user("Anna").is_allowed() && !users.user("ann*").is_allowed());
}

#[test]
fn a_slash_in_a_tool_name_cannot_get_around_a_list() {
    let allow = parse(json!({"actions": {"mode": "allowlist", "allowedActions": ["slack/*", "fs/files/read"]}}));
    assert!(!allow.action("evil", "slack/post").is_allowed());
    assert!(allow.action("fs", "files/read").is_allowed());
    let block = parse(json!({"actions": {"mode": "blocklist", "blockedActions": ["files/write", "db/*"]}}));
    assert!(!block.action("fs", "files/write").is_allowed() && !block.action("pg", "db/drop").is_allowed());
    assert!(block.action("fs", "files/read").is_allowed());
}

#[test]
fn the_older_form_becomes_the_newer_one() {
    let whole = parse(json!({"permissions": [{"connector": "slack"}, {"connector": "notion"}]}));
    assert_eq!(whole.to_wire(), json!({"connectors": {"mode": "allowlist", "allowedIds": ["slack", "notion"]}}));
    let some = parse(
        json!({"permissions": [{"connector": "slack", "actions": ["users_list", "chat_*"]}, {"connector": "notion"}, {"connector": "jira", "actions": []}]}),
    );
    assert_eq!(
        some.to_wire(),
        json!({
            "connectors": {"mode": "allowlist", "allowedIds": ["slack", "notion", "jira"]},
            "actions": {"mode": "allowlist", "allowedActions": ["slack/users_list", "slack/chat_*", "notion/*"]}
        })
    );
    assert!(some.action("slack", "chat_update").is_allowed() && !some.action("slack", "users_info").is_allowed());
    assert!(some.action("notion", "post-search").is_allowed() && !some.action("notion", "x").eq(&some.action("jira", "x")));
    assert!(!some.action("github", "users_list").is_allowed());
    assert!(!parse(json!({"permissions": []})).connector("slack").is_allowed());
}

#[test]
fn what_is_given_is_shown_back_as_given() {
    let given = json!({
        "users": {"blockedIds": ["b", "a", "b"], "mode": "blocklist"},
        "actions": {"mode": "allowlist", "allowedActions": ["x", "slack/*"]}
    });
    let restrictions = parse(given.clone());
    assert_eq!(restrictions.to_wire().to_string(), given.to_string());
    assert_eq!(serde_json::to_string(&restrictions).unwrap(), given.to_string());
}

/// Each value is refused, naming that field.
fn all_refused(faults: &[(Value, &str)]) {
    for (value, field) in faults {
        let error = refused(value.clone());
        assert_eq!(error.field, *field, "{value}");
        assert!(error.message.starts_with("restrictions") && error.message.ends_with('.'), "{error}");
        let parent = field.rsplit_once('.').map_or(*field, |(parent, _)| parent);
        assert!(error.message.contains(parent), "{error}");
    }
}

#[test]
fn a_wrong_shape_is_refused() {
    all_refused(&[
        (json!([]), "restrictions"),
        (json!(null), "restrictions"),
        (json!({"tools": {}}), "restrictions.tools"),
        (json!({"connectors": null}), "restrictions.connectors"),
        (json!({"connectors": {}}), "restrictions.connectors.mode"),
        (json!({"connectors": {"mode": "Allowlist"}}), "restrictions.connectors.mode"),
        (json!({"connectors": {"mode": "allowlist", "blockedIds": []}}), "restrictions.connectors.blockedIds"),
        (json!({"users": {"mode": "blocklist", "allowedIds": ["a"], "blockedIds": ["b"]}}), "restrictions.users.allowedIds"),
        (json!({"actions": {"mode": "allowlist", "allowedIds": []}}), "restrictions.actions.allowedIds"),
        (json!({"actions": {"mode": "allowlist", "allowedActions": "a"}}), "restrictions.actions.allowedActions"),
    ]);
}

#[test]
fn an_entry_that_is_too_much_or_could_never_match_is_refused() {
    let (many, long) = (vec!["a"; 1_001], "é".repeat(10_001));
    let allowed = |list: Value| json!({"actions": {"mode": "allowlist", "allowedActions": list}});
    let blocked = |part: &str, list: &str, entry: &str| json!({part: {"mode": "blocklist", list: [entry]}});
    all_refused(&[
        (allowed(json!(many)), "restrictions.actions.allowedActions"),
        (allowed(json!(["a", 1])), "restrictions.actions.allowedActions[1]"),
        (allowed(json!([""])), "restrictions.actions.allowedActions[0]"),
        (blocked("actions", "blockedActions", "*/delete"), "restrictions.actions.blockedActions[0]"),
        (blocked("actions", "blockedActions", "slack/"), "restrictions.actions.blockedActions[0]"),
        (blocked("connectors", "blockedIds", "sl*"), "restrictions.connectors.blockedIds[0]"),
        (blocked("connectors", "blockedIds", "slack/x"), "restrictions.connectors.blockedIds[0]"),
        (blocked("users", "blockedIds", &long), "restrictions.users.blockedIds[0]"),
    ]);
}

#[test]
fn a_wrong_older_form_is_refused() {
    let many: Vec<Value> = (0..3).map(|n| json!({"connector": n.to_string(), "actions": vec!["a"; 400]})).collect();
    all_refused(&[
        (json!({"permissions": {}}), "restrictions.permissions"),
        (json!({"permissions": [], "connectors": {"mode": "blocklist"}}), "restrictions.permissions"),
        (json!({"permissions": many}), "restrictions.permissions"),
        (json!({"permissions": [{}]}), "restrictions.permissions[0].connector"),
        (json!({"permissions": [{"connector": "a", "mode": "x"}]}), "restrictions.permissions[0].mode"),
        (json!({"permissions": [{"connector": "a", "actions": [null]}]}), "restrictions.permissions[0].actions[0]"),
    ]);
}

#[test]
fn the_limits_themselves_are_allowed() {
    let entries: Vec<String> = (0..1_000).map(|n| format!("a{n}")).collect();
    let list = parse(json!({"connectors": {"mode": "allowlist", "allowedIds": entries}}));
    assert!(list.connector("a999").is_allowed() && !list.connector("a1000").is_allowed());
    let user = "é".repeat(10_000);
    assert!(parse(json!({"users": {"mode": "allowlist", "allowedIds": [&user]}})).user(&user).is_allowed());
}

/// The rules in their plainest words: a linear scan over the entries.
struct Model {
    connectors: Option<(bool, Vec<String>)>,
    actions: Option<(bool, Vec<String>)>,
    users: Option<(bool, Vec<String>)>,
}

impl Model {
    fn holds(rule: &Option<(bool, Vec<String>)>, matches: impl Fn(&str) -> bool) -> bool {
        rule.as_ref().is_none_or(|(allow, entries)| entries.iter().any(|entry| matches(entry)) == *allow)
    }

    fn fits(entry: &str, text: &str) -> bool {
        entry.strip_suffix('*').map_or(entry == text, |prefix| text.starts_with(prefix))
    }

    fn connector(&self, id: &str) -> bool {
        Self::holds(&self.connectors, |entry| entry == id)
    }

    fn action(&self, connector: &str, action: &str) -> bool {
        let blocks = self.actions.as_ref().is_some_and(|(allow, _)| !allow);
        let fits = |entry: &str| {
            let bare = !entry.contains('/') || blocks;
            let qualified = entry.starts_with(&format!("{connector}/"));
            (bare && Self::fits(entry, action)) || (qualified && Self::fits(entry, &format!("{connector}/{action}")))
        };
        self.connector(connector) && Self::holds(&self.actions, fits)
    }

    fn user(&self, id: &str) -> bool {
        Self::holds(&self.users, |entry| entry == id)
    }

    fn wire(&self) -> Value {
        let mut wire = json!({});
        for (name, kind, rule) in
            [("connectors", "Ids", &self.connectors), ("actions", "Actions", &self.actions), ("users", "Ids", &self.users)]
        {
            if let Some((allow, entries)) = rule {
                let (mode, verb) = if *allow { ("allowlist", "allowed") } else { ("blocklist", "blocked") };
                wire[name] = json!({"mode": mode, format!("{verb}{kind}"): entries});
            }
        }
        wire
    }
}

fn rule(entry: &'static str) -> impl Strategy<Value = Option<(bool, Vec<String>)>> {
    prop::option::of((any::<bool>(), prop::collection::vec(entry, 0..5)))
}

prop_compose! {
    fn model()(connectors in rule("[ab]{1,2}"), actions in rule("([ab]{1,2}/)?([ab]{1,3}|[ab]{0,2}\\*|a/b)"), users in rule("[ab*/]{1,2}")) -> Model {
        Model { connectors, actions, users }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.wire())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn decisions_are_those_of_the_model(model in model(), connector in "[ab]{1,2}", action in "[ab]{1,3}|[ab]/[ab]", user in "[ab*/]{1,2}") {
        let wire = model.wire();
        let restrictions = Restrictions::parse(&wire).unwrap();
        prop_assert_eq!(restrictions.connector(&connector).is_allowed(), model.connector(&connector));
        prop_assert_eq!(restrictions.action(&connector, &action).is_allowed(), model.action(&connector, &action));
        prop_assert_eq!(restrictions.user(&user).is_allowed(), model.user(&user));
        prop_assert_eq!(restrictions.to_wire(), wire);
        let inert = !restrictions.is_active();
        prop_assert!(!inert || (model.action(&connector, &action) && model.user(&user)));
    }

    #[test]
    fn the_older_form_permits_exactly_what_it_says(
        permissions in prop::collection::vec(("[ab]{1,2}", prop::option::of(prop::collection::vec("[ab]{1,2}|a\\*|a/b", 0..3))), 0..4),
        connector in "[ab]{1,2}",
        action in "[ab]{1,2}|a/b",
    ) {
        let wire: Vec<Value> = permissions.iter().map(|(connector, actions)| match actions {
            Some(actions) => json!({"connector": connector, "actions": actions}),
            None => json!({"connector": connector}),
        }).collect();
        let expected = permissions.iter().any(|(permitted, actions)| {
            *permitted == connector && actions.as_ref().is_none_or(|list| list.iter().any(|entry| Model::fits(entry, &action)))
        });
        let restrictions = Restrictions::parse(&json!({"permissions": wire})).unwrap();
        prop_assert_eq!(restrictions.action(&connector, &action).is_allowed(), expected);
        prop_assert_eq!(restrictions.connector(&connector).is_allowed(), permissions.iter().any(|(permitted, _)| *permitted == connector));
        let again = Restrictions::parse(&restrictions.to_wire()).unwrap();
        prop_assert_eq!(again.action(&connector, &action).is_allowed(), expected);
    }

    #[test]
    fn no_json_breaks_it(keys in prop::collection::vec("connectors|actions|users|permissions|mode|[a-z]{0,3}", 1..4), text in ".{0,20}") {
        let mut value = json!([text]);
        for key in keys {
            value = json!({key: value, "mode": text});
            let _ = Restrictions::parse(&value);
        }
    }
}
