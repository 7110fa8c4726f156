//! Definitions that are refused, and why.

use amalgam_connector::closest;
use amalgam_connector::parse::parse_toml;

/// The problems of the smallest definition with `change` applied: lines at the top, then lines of the action.
fn problems(top: &str, action: &str) -> String {
    let base = if top.contains("base_url") { "" } else { "base_url = \"https://example.com\"\n" };
    let text = format!("id = \"x\"\nname = \"X\"\n{base}{top}\n[actions.a]\nmethod = \"GET\"\n{action}\n");
    let found = parse_toml(&text).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_small_definition_is_accepted() {
    assert_eq!(problems("", "path = \"/a\""), "");
    assert_eq!(super::demo().count(), 9);
}

#[test]
fn every_rule_names_its_place() {
    let cases = [
        ("base_url = \"ftp://example.com\"", "path = \"/a\"", "base_url"),
        ("base_url = \"https://a@example.com\"", "path = \"/a\"", "user information"),
        ("base_url = \"https://example.com/a/../b\"", "path = \"/a\"", "write it out"),
        ("base_url = \"https://example.com?x=1\"", "path = \"/a\"", "'?'"),
        ("base_url = \"https://{site}.example.com\"", "path = \"/a\"", "not a declared variable"),
        ("base_url = \"https://{u}\"\n[variables.u]\nkind = \"url\"", "path = \"/a\"", "whole start"),
        ("base_url = \"{u}x\"\n[variables.u]\nkind = \"url\"", "path = \"/a\"", "only a `/` may follow"),
        ("base_url = \"https://{u}.com\"\n[variables.u]\nkind = \"host\"", "path = \"/a\"", "only a `/` may follow"),
        ("base_url = \"https://{u}\"\n[variables.u]\nkind = \"text\"", "path = \"/a\"", "not in the host"),
        ("[variables.u]\ndefault = \"a.b\"", "path = \"/a\"", "63 letters"),
        ("headers = { \"A b\" = \"1\" }", "path = \"/a\"", "A header's name"),
        ("headers = { Host = \"evil\" }", "path = \"/a\"", "set by the engine"),
        ("headers = { X = \"a\\r\\nb\" }", "path = \"/a\"", "on one line"),
        ("headers = { X = \"{nope}\" }", "path = \"/a\"", "not a declared variable"),
        ("[[auth]]\ntype = \"apiKey\"", "path = \"/a\"", "says in `send`"),
        (
            "[[auth]]\ntype = \"bearer\"\nsend = [{ in = \"header\", name = \"X\", value = \"{tokn}\" }]",
            "path = \"/a\"",
            "neither a field of this scheme",
        ),
        ("failure = { pointer = \"ok\", equals = false }", "path = \"/a\"", "JSON pointer"),
        ("", "path = \"a\"", "begins with `/`"),
        ("", "path = \"//evil.com\"", "one `/`"),
        ("", "path = \"/a/%2e%2E/b\"", "`..`"),
        ("", "path = \"/a#b\"", "'#'"),
        ("", "path = \"/a%zz\"", "two hexadecimal"),
        ("", "path = \"/{id}\"", "no parameter"),
        ("", "path = \"/a?x={id}\"", "'{'"),
        ("", "path = \"/a\"\nparams = { id = { in = \"path\", required = true } }", "does not stand in the path"),
        ("", "path = \"/{id}\"\nparams = { id = { in = \"path\" } }", "always required"),
        ("", "path = \"/a\"\nparams = { b = { in = \"body\" } }", "GET and HEAD"),
        ("", "path = \"/a\"\nparams = { b = { in = \"query\", wire = \"c\" }, c = { in = \"query\" } }", "Two parameters"),
        ("", "path = \"/a\"\nparams = { b = { in = \"header\", wire = \"Content-Length\" } }", "set by the engine"),
        ("", "path = \"/a\"\nparams = { b = { in = \"query\", type = \"strin\" } }", "not a type"),
        ("", "path = \"/a\"\nparams = { b = { in = \"query\", type = \"integer\", default = \"x\" } }", "not of the parameter's type"),
        ("", "path = \"/a\"\nparams = { b = { in = \"query\", enum = [\"x\"], default = \"y\" } }", "choices"),
        ("", "path = \"/a\"\nparams = { b = { in = \"query\", schema = \"x\" } }", "A schema is"),
        ("", "path = \"/a\"\nparams = { b = { in = \"query\", schema = { \"$ref\" = \"https://evil/x\" } } }", "does not lead"),
        ("", "path = \"/a\"\nparams = { cursor = { in = \"query\" } }\npagination = { cursor = \"cursr\" }", "Did you mean `cursor`"),
        ("", "path = \"/a\"\nresponse = { items = \"a/b\" }", "JSON pointer"),
        ("", "path = \"/a\"\nsurprise = 1", "`surprise` is not known here"),
        ("rate_limit = { requests = 0, seconds = 1 }", "path = \"/a\"", "at least one request"),
        ("rate_limit = { requests = 1, seconds = 1, status = 403 }", "path = \"/a\"", "go together"),
        ("rate_limit = { requests = 1, seconds = 1, status = 429, remaining_header = \"x\" }", "path = \"/a\"", "other than 429"),
        ("", "path = \"/a\"\nbody = \"json\"", "not with GET"),
        ("", "path = \"/a\"\nparams = { b = { in = \"body\", wire = \"/b\" } }", "write `wire = \"b\"`"),
        ("", "path = \"/a\"\nparams = { b = { in = \"body\", wire = \"/b//c\" } }", "an empty name"),
        ("", "path = \"/a\"\nparams = { b = { in = \"body\", wire = \"/b/c~2\" } }", "JSON pointer"),
        ("", "path = \"/a\"\nparams = { b = { in = \"body\" }, c = { in = \"body\", wire = \"/b/c\" } }", "inside another parameter"),
        (
            "",
            "path = \"/a\"\nparams = { n = { in = \"query\" } }\npagination = { kind = \"page\", cursor = \"n\", more = \"/a\", last = \"/b\" }",
            "keep one",
        ),
    ];
    refused(&cases);
}

#[test]
fn rules_of_credentials_errors_and_pages() {
    let cases = [
        ("[variables.u]", "path = \"/a\"", "stands nowhere"),
        ("[variables.u]\ndefault = \"a\"\noptional = true", "path = \"/a\"", "leave `optional` or `default` out"),
        ("base_url = \"https://{u}.com\"\n[variables.u]\noptional = true", "path = \"/a\"", "cannot be without it"),
        ("headers = { X = \"1\" }\nidempotency_header = \"x\"", "path = \"/a\"", "leave one of them out"),
        ("[[auth]]\ntype = \"bearer\"\n[[auth]]\ntype = \"bearer\"", "path = \"/a\"", "two schemes of this type"),
        ("[[auth]]\ntype = \"bearer\"\nfields.other = {}", "path = \"/a\"", "sent nowhere"),
        (
            "[[auth]]\ntype = \"bearer\"\nsend = [{ in = \"header\", name = \"X\", value = \"fixed\" }]",
            "path = \"/a\"",
            "holds a field in braces",
        ),
        ("[[auth]]\ntype = \"bearer\"\nsend = [{ in = \"basic\", value = \"{token}\" }]", "path = \"/a\"", "user name, colon, password"),
        (
            "[[auth]]\ntype = \"basic\"\nsend = [{ in = \"basic\", value = \"{username}:{password}\" }, { in = \"header\", name = \"authorization\", value = \"{password}\" }]",
            "path = \"/a\"",
            "to the same place",
        ),
        ("[[auth]]\ntype = \"oauth2\"", "path = \"/a\"", "where to consent"),
        (
            "[[auth]]\ntype = \"oauth2\"\noauth2 = { authorize_url = \"https://{u}/a\", token_url = \"https://e.com\" }",
            "path = \"/a\"",
            "not a declared variable",
        ),
        (
            "[[auth]]\ntype = \"oauth2\"\noauth2 = { authorize_url = \"https://e.com/a?x=1\", token_url = \"https://e.com\" }",
            "path = \"/a\"",
            "'?'",
        ),
        (
            "[[auth]]\ntype = \"oauth2\"\noauth2 = { authorize_url = \"https://e.com\", token_url = \"https://e.com\", default_scopes = [\"a\"] }",
            "path = \"/a\"",
            "not among `scopes`",
        ),
        (
            "[[auth]]\ntype = \"oauth2\"\noauth2 = { authorize_url = \"https://e.com\", token_url = \"https://e.com\", authorize_params = { state = \"x\" } }",
            "path = \"/a\"",
            "set by the flow",
        ),
        (
            "[[auth]]\ntype = \"oauth2\"\noauth2 = { authorize_url = \"https://e.com\", token_url = \"https://e.com\" }",
            "path = \"/a\"\nscopes = [\"a\"]",
            "not described in `oauth2.scopes`",
        ),
        (
            "[[auth]]\ntype = \"bearer\"\nsend = [{ in = \"path\", name = \"t\", value = \"{token}\" }]",
            "path = \"/{t}/a\"\nauth = false",
            "no parameter",
        ),
        (
            "[[auth]]\ntype = \"bearer\"\nsend = [{ in = \"path\", name = \"t\", value = \"{token}\" }]\n[[auth]]\ntype = \"basic\"",
            "path = \"/{t}/a\"",
            "no parameter",
        ),
        (
            "[[auth]]\ntype = \"bearer\"\nsend = [{ in = \"path\", name = \"t\", value = \"{token}\" }]",
            "path = \"/{t}/a\"\nparams.t = { in = \"path\", required = true }",
            "is a secret's",
        ),
        ("[[auth]]\ntype = \"bearer\"\nsend = [{ in = \"body\", name = \"t\", value = \"{token}\" }]", "path = \"/a\"", "GET and HEAD"),
        ("errors = { code = [\"x\"] }", "path = \"/a\"", "JSON pointer"),
        ("errors = { meanings = { gone = \"It is gone.\" } }", "path = \"/a\"", "Only HTTP statuses"),
        ("errors = { meanings = { 404 = \"gone\" } }", "path = \"/a\"", "whole sentences"),
        ("vendor = {}", "path = \"/a\"", "Name the vendor's `documents`"),
        ("vendor = { documents = [\"../x\"] }", "path = \"/a\"", "without folders"),
        ("", "path = \"/a\"\ndiffers = [{ what = \"query a: type\", why = \" \" }]", "`why` the connector is right"),
        ("", "path = \"/a\"\ngraphql = \"query { a }\"", "sent by POST"),
        ("", "path = \"/a\"\nresponse = { fields = [\"a..b\"] }", "joined by dots"),
        ("", "path = \"/a\"\npagination = { kind = \"url\", next = \"/next\" }", "`cursor`, the argument, and `next`"),
        ("", "path = \"/a\"\nparams.p = { in = \"query\" }\npagination = { cursor = \"p\" }", "The kinds are"),
        (
            "",
            "path = \"/a\"\nparams.p = { in = \"query\" }\npagination = { kind = \"page\", cursor = \"p\", next = \"/n\" }",
            "does not read `next`",
        ),
        ("", "path = \"/a\"\nparams.p = { in = \"query\" }\npagination = { kind = \"offset\", cursor = \"p\", first = 1 }", "Only pages"),
    ];
    refused(&cases);
}

#[track_caller]
#[test]
fn rules_of_keys_of_one_action() {
    let own = "path = \"/a\"\nidempotency_header = \"x\"";
    refused(&[("headers = { X = \"1\" }", own, "leave one of them out"), ("", own, "a read needs no key")]);
}

fn refused(cases: &[(&str, &str, &str)]) {
    for (top, action, wanted) in cases {
        let found = problems(top, action);
        assert!(found.contains(wanted), "{top}\n{action}\nwanted {wanted:?}, found {found:?}");
    }
}

#[test]
fn problems_know_their_line() {
    let text = "id = \"x\"\nname = \"X\"\nbase_url = \"https://example.com\"\n\n[actions.a]\nmethod = \"GET\"\npath = \"/{id}\"\n";
    let found = parse_toml(text).err().unwrap_or_default();
    assert_eq!(found[0].line, Some(7));
    assert_eq!(found[0].place, "actions.a.path");
    let syntax = parse_toml("id = \"x\"\nname = ").err().unwrap_or_default();
    assert_eq!(syntax[0].line, Some(2));
}

#[test]
fn hostile_text_is_refused_without_harm() {
    let deep = format!("id = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse_toml(&deep).is_err());
    let dotted = format!("failure.equals.{} = 1", vec!["a"; 100_000].join("."));
    assert!(parse_toml(&dotted).is_err());
    let table = format!("[failure.equals.{}]\nx = 1", vec!["a"; 100_000].join("."));
    assert!(parse_toml(&table).is_err());
}

#[test]
fn suggestions_ignore_case_and_separators() {
    let names = ["chat_postMessage", "users_list", "channel"];
    assert_eq!(closest("ChatPostMessage", names.into_iter()), Some("chat_postMessage"));
    assert_eq!(closest("chanel", names.into_iter()), Some("channel"));
    assert_eq!(closest("user-list", names.into_iter()), Some("users_list"));
    assert_eq!(closest("invoice", names.into_iter()), None);
    assert_eq!(closest("", names.into_iter()), None);
    assert_eq!(closest(&"x".repeat(1_000_000), names.into_iter()), None);
}

#[test]
fn several_mistakes_are_told_at_once_with_what_was_meant() {
    let text = "\
id = \"x\"
nam = \"X\"
base_url = \"https://example.com\"
categories = \"crm\"

[[auth]]
type = \"apikey\"

[actions.a]
method = \"get\"
path = \"/a\"

[actions.b]
path = \"/b\"
params.limit = { in = \"query\", typ = \"integer\" }

[actions.c]
method = \"GET\"
path = \"c\"
";
    let found: Vec<String> = parse_toml(text).err().unwrap_or_default().iter().map(ToString::to_string).collect();
    let wanted = [
        "line 2, nam: `nam` is not known here; did you mean `name`?",
        "line 4, categories: This is the text \"crm\"; write a list.",
        "`apikey` is none of the values that this takes; did you mean `apiKey`?",
        "`get` is none of the values that this takes; did you mean `GET`?",
        "line 15, actions.b.params.limit.typ: `typ` is not known here; did you mean `type`?",
        "line 13, actions.b: `method` is missing here; add it.",
    ];
    for wanted in wanted {
        assert!(found.iter().any(|problem| problem.contains(wanted)), "{wanted}\n{found:#?}");
    }
    assert_eq!(found.len(), 6, "nothing follows from a mistake that is told: {found:#?}");
    for line in [7, 10, 13] {
        assert!(found.iter().any(|problem| problem.starts_with(&format!("line {line}"))), "{line}\n{found:#?}");
    }
    // With `auth` in order, what the rest says of the actions is told as well.
    let text = text.replace("\"apikey\"", "\"bearer\"");
    let found = parse_toml(&text).err().unwrap_or_default();
    assert!(found.iter().any(|problem| problem.place == "actions.c.path" && problem.line == Some(19)), "{found:#?}");
}
