//! The requests that come out of arguments.

use amalgam_connector::arguments::ArgumentError;
use amalgam_connector::connector::Connector;
use amalgam_connector::definition::{AuthKind, AuthScheme};
use amalgam_connector::plan::{Account, Plan, plan};
use serde_json::{Value, json};

use super::{NOBODY, demo, load, object};

fn planned(action: &str, args: Value, account: &Account<'_>) -> Result<Plan, ArgumentError> {
    let connector = demo();
    plan(&connector, connector.action(action).unwrap(), &object(args), account)
}

fn url(action: &str, args: Value) -> String {
    planned(action, args, &NOBODY).map(|plan| plan.url).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(action: &str, args: Value, account: &Account<'_>) -> String {
    planned(action, args, account).err().map_or_else(|| panic!("accepted"), |error| error.message)
}

fn body(action: &str, args: Value) -> (String, String) {
    let plan = planned(action, args, &NOBODY).unwrap_or_else(|error| panic!("{error}"));
    let body = plan.body.unwrap();
    (body.content_type, String::from_utf8(body.bytes).unwrap())
}

fn scheme(connector: &Connector, kind: AuthKind) -> AuthScheme {
    connector.definition().auth.iter().find(|scheme| scheme.kind == kind).cloned().unwrap()
}

#[test]
fn paths_hold_their_arguments() {
    let send = |room: &str| url("send", json!({"roomId": room, "kind": "room", "txn": 7.0, "body": "x"}));
    assert_eq!(send("!abc:example.org"), "https://acme.example.com/api/v1/rooms/!abc:example.org/send/m.room/7");
    assert!(send("#room:example.org").contains("/rooms/%23room:example.org/send/"));
    assert!(send("@u:h").contains("/rooms/@u:h/send/"));
    assert!(send("a/b?c#d%e;f").contains("/rooms/a%2Fb%3Fc%23d%25e%3Bf/send/"));
    assert!(send("Grüße 1").contains("/rooms/Gr%C3%BC%C3%9Fe%201/send/"));
    assert!(send("v1..2").contains("/v1..2/"));
    assert!(send("...").contains("/.../"));
}

#[test]
fn paths_refuse_what_could_be_another_path() {
    let cases = [
        "",
        ".",
        "..",
        "../x",
        "x/..",
        "x/../y",
        "..\\x",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "a%2fb",
        "a%5Cb",
        "a%252fb",
        "a\nb",
        "a\0b",
        "%0d%0a",
        "%250a",
        "..;",
        "..;a=b/x",
        "\u{7f}",
        "\u{85}",
    ];
    for case in cases {
        let told = refusal("send", json!({"roomId": case, "kind": "k", "txn": 1, "body": "x"}), &NOBODY);
        assert!(told.starts_with("The path parameter `roomId` must not"), "{case:?}: {told}");
    }
    for case in [json!(null), json!({"a": 1}), json!([[1]]), json!([])] {
        refusal("send", json!({"roomId": case, "kind": "k", "txn": 1, "body": "x"}), &NOBODY);
    }
    assert!(refusal("send", json!({}), &NOBODY).contains("`roomId` is missing"));
}

#[test]
fn queries_follow_their_styles() {
    assert_eq!(url("users_list", json!({})), "https://acme.example.com/api/v1/users?active=1&limit=200");
    let all = url(
        "users_list",
        json!({"query": "a b&c=d", "limit": 5, "ids": ["1", "2,3"], "tags": ["x", "y"], "where": {"a": {"b": 1}, "c": [true]}, "cursor": null}),
    );
    assert_eq!(
        all,
        "https://acme.example.com/api/v1/users?active=1&query=a%20b%26c%3Dd&limit=5&ids=1,2%2C3&tags=x&tags=y&where%5Ba%5D%5Bb%5D=1&where%5Bc%5D%5B0%5D=true"
    );
}

#[test]
fn every_style_is_written_as_documented() {
    let written = |style: &str, value: Value| {
        let text = format!(
            "id = \"x\"\nname = \"X\"\nbase_url = \"https://e.com/\"\n[actions.a]\nmethod = \"GET\"\npath = \"/a\"\nparams = {{ p = {{ in = \"query\", schema = {{}}, style = \"{style}\" }}, q = {{ in = \"query\" }} }}"
        );
        let connector = load(&text);
        let account = Account { variables: &[], ..NOBODY };
        plan(&connector, connector.action("a").unwrap(), &object(json!({"p": value})), &account)
            .map(|plan| plan.url.replace("https://e.com/a?", ""))
            .unwrap_or_else(|error| error.message)
    };
    assert_eq!(written("repeat", json!([1, 2])), "p=1&p=2");
    assert_eq!(written("comma", json!([1, 2])), "p=1,2");
    assert_eq!(written("space", json!([1, 2])), "p=1%202");
    assert_eq!(written("pipe", json!([1, 2])), "p=1%7C2");
    assert_eq!(written("brackets", json!([1, 2])), "p%5B%5D=1&p%5B%5D=2");
    assert_eq!(written("json", json!([1, {"a": 2}])), "p=%5B1%2C%7B%22a%22%3A2%7D%5D");
    assert_eq!(written("comma", json!({"k": "v", "l": 1})), "p=k,v,l,1");
    assert_eq!(written("repeat", json!({"k": "v"})), "k=v");
    assert!(written("repeat", json!({"q": "v"})).contains("sent already"));
    let deep = (0..100).fold(json!(1), |inner, _| json!({"a": inner}));
    assert!(written("deep", deep).contains("flatten it"));
}

#[test]
fn credentials_go_where_their_scheme_says() {
    let connector = demo();
    let with = |kind, fields: &[(&str, &str)]| {
        let scheme = scheme(&connector, kind);
        let account = Account { auth: Some((&scheme, fields)), ..NOBODY };
        planned("users_list", json!({"api": "mine", "key": "mine"}), &account).map(|plan| (plan.url, plan.headers))
    };
    let (url, headers) = with(AuthKind::ApiKey, &[("apiKey", "s3&t")]).unwrap();
    assert!(url.ends_with("/users?active=1&limit=200&key=s3%26t"), "{url}");
    let find = |headers: &[(String, String)], name: &str| {
        headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(find(&headers, "x-api-key"), ["Key s3&t"]);
    assert_eq!(find(&headers, "demo-version"), ["2026-01-01"]);
    assert_eq!(find(&headers, "x-tenant"), ["main"]);
    assert_eq!(find(&with(AuthKind::OAuth2, &[("token", "t")]).unwrap().1, "authorization"), ["Bearer t"]);
    assert_eq!(find(&with(AuthKind::Bearer, &[("token", "t")]).unwrap().1, "authorization"), ["Bearer t"]);
    let basic = with(AuthKind::Basic, &[("username", "Aladdin"), ("password", "open sesame")]).unwrap();
    assert_eq!(find(&basic.1, "authorization"), ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]);
    let bad = with(AuthKind::Bearer, &[("token", "sec\r\nret")]).unwrap_err().message;
    assert!(bad.contains("create the credential with another value") && !bad.contains("sec"), "{bad}");
    assert!(with(AuthKind::Bearer, &[]).is_err());
}

#[test]
fn no_credential_is_sent_where_the_action_needs_none() {
    let connector = demo();
    let scheme = scheme(&connector, AuthKind::Bearer);
    let account = Account { auth: Some((&scheme, &[("token", "t")])), ..NOBODY };
    let plan = planned("raw", json!({"content": {"data": "aGk="}}), &account).unwrap_or_else(|error| panic!("{error}"));
    assert!(plan.headers.iter().all(|(key, _)| key != "Authorization"));
}

#[test]
fn headers_stay_on_their_line_and_in_their_place() {
    assert!(refusal("users_list", json!({"trace": "a\r\nHost: evil"}), &NOBODY).contains("`trace` is sent as a header"));
    for name in [
        "Host",
        "content-type",
        "Authorization",
        "Cookie",
        "Proxy-Authorization",
        "X-HTTP-Method-Override",
        "X-Forwarded-Host",
        "demo-version",
        "a b",
        "",
    ] {
        let account = Account { extra_headers: &[(name, "x")], ..NOBODY };
        assert!(refusal("users_list", json!({}), &account).contains("additional header"), "{name}");
    }
    let account = Account { extra_headers: &[("X-Mine", "a\nb")], ..NOBODY };
    assert!(refusal("users_list", json!({}), &account).contains("one line"));
    let account = Account { extra_headers: &[("X-Mine", "a")], ..NOBODY };
    let plan = planned("users_list", json!({"trace": ["a", 1]}), &account).unwrap_or_else(|error| panic!("{error}"));
    assert!(plan.headers.contains(&("X-Mine".into(), "a".into())) && plan.headers.contains(&("X-Trace".into(), "a,1".into())));
}

#[test]
fn variables_are_judged_by_kind() {
    let told = |variables: &[(&str, &str)]| refusal("users_list", json!({}), &Account { variables, ..NOBODY });
    assert!(told(&[]).starts_with("The variable `site` (The first part of your address.) is missing. It is set with the credential"));
    for bad in ["evil.com/", "a.b", "a@b", "a#", "a:1", "a%2f", "a\\b", "..", "a b", "ü"] {
        assert!(told(&[("site", bad)]).contains("`site` is 1 to 63"), "{bad}");
    }
    assert!(told(&[("site", "a"), ("tenant", "a\r\nb")]).contains("`tenant`"));
}

#[test]
fn hosts_and_urls_of_an_account() {
    let at = |kind: &str, template: &str, value: &str| {
        let text = format!(
            "id = \"x\"\nname = \"X\"\nbase_url = \"{template}\"\n[variables.v]\nkind = \"{kind}\"\n[actions.a]\nmethod = \"GET\"\npath = \"/a\""
        );
        let connector = load(&text);
        let account = Account { variables: &[("v", value)], ..NOBODY };
        plan(&connector, connector.action("a").unwrap(), &object(json!({})), &account).map(|plan| plan.url).map_err(|error| error.message)
    };
    assert_eq!(at("host", "https://{v}/_matrix", "localhost:8008").unwrap(), "https://localhost:8008/_matrix/a");
    assert_eq!(at("host", "https://{v}/_matrix", "[::1]:8008").unwrap(), "https://[::1]:8008/_matrix/a");
    assert_eq!(at("host", "https://{v}/_matrix", "Matrix.Example.org").unwrap(), "https://Matrix.Example.org/_matrix/a");
    for bad in [
        "a/b",
        "a@b",
        "a?b",
        "a#b",
        "a\\b",
        "0x7f.1",
        "2130706433",
        "a..b",
        "a:",
        "a:x",
        "a:99999",
        "a:1:2",
        "[::1",
        "user:pw@h",
        "h\t",
        "%61",
    ] {
        assert!(at("host", "https://{v}/_matrix", bad).is_err(), "{bad}");
    }
    assert_eq!(at("url", "{v}/_matrix", "https://m.example.org/base/").unwrap(), "https://m.example.org/base/_matrix/a");
    for bad in [
        "ftp://a",
        "https://a@b",
        "https://a?x",
        "https://a#x",
        "https://a/../b",
        "https://a/%2e%2e/b",
        "https://a\\b",
        "javascript:x",
        "https://",
        "https:///a",
        "HTTPS//a",
    ] {
        assert!(at("url", "{v}/_matrix", bad).is_err(), "{bad}");
    }
    assert_eq!(at("text", "https://e.com/{v}", "a/b").unwrap(), "https://e.com/a%2Fb/a");
    assert!(at("text", "https://e.com/{v}", "..").is_err());
}

#[test]
fn json_bodies() {
    let sent = body("send", json!({"roomId": "a", "kind": "b", "txn": 1, "body": "hi", "note": null, "parent": null, "limit": 3}));
    assert_eq!(sent, ("application/json".into(), r#"{"text":"hi","parent":null,"mode":"plain","limit":3}"#.into()));
    assert_eq!(body("replace", json!({"items": ["a"]})).1, r#"["a"]"#);
    assert!(planned("users_list", json!({}), &NOBODY).unwrap_or_else(|error| panic!("{error}")).body.is_none());
}

#[test]
fn form_bodies() {
    let sent = body(
        "form",
        json!({"name": "a b&c", "expand": ["x"], "card": {"number": 1, "owner": {"name": "é"}}, "blocks": [{"a": 1}], "lines": [{"q": 1}]}),
    );
    assert_eq!(sent.0, "application/x-www-form-urlencoded");
    assert_eq!(
        sent.1,
        "name=a%20b%26c&expand%5B%5D=x&card%5Bnumber%5D=1&card%5Bowner%5D%5Bname%5D=%C3%A9&blocks=%5B%7B%22a%22%3A1%7D%5D&lines%5B0%5D%5Bq%5D=1"
    );
}

#[test]
fn multipart_bodies_escape_names() {
    let sent = body("upload", json!({"title": "t", "file": {"filename": "a\"\r\nX: y.txt", "contentType": "text/plain", "data": "aGk"}}));
    assert_eq!(sent.0, "multipart/form-data; boundary=b0undary");
    assert_eq!(
        sent.1,
        "--b0undary\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nt\r\n--b0undary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22%0D%0AX: y.txt\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b0undary--\r\n"
    );
    assert!(refusal("upload", json!({"file": {"data": "!!"}}), &NOBODY).contains("`file.data` must be base64"));
    assert!(refusal("upload", json!({"file": {"data": "aGk=", "contentType": "a/b\r\nX: y"}}), &NOBODY).contains("media type"));
    assert!(refusal("upload", json!({"file": {"data": "aGk="}}), &Account { nonce: "a\r\nb", ..NOBODY }).contains("boundary"));
}

#[test]
fn text_and_binary_bodies() {
    assert_eq!(body("text", json!({"content": "hi"})), ("text/plain; charset=utf-8".into(), "hi".into()));
    assert_eq!(body("raw", json!({"content": {"data": "aGk=", "contentType": "image/png"}})), ("image/png".into(), "hi".into()));
    assert!(refusal("raw", json!({"content": "aGk="}), &NOBODY).contains("must be an object"));
}
