//! What real platforms do that a definition must say as data, each rule by the platform that needs it.

use amalgam_connector::arguments::ArgumentError;
use amalgam_connector::connector::Connector;
use amalgam_connector::definition::AuthKind;
use amalgam_connector::describe::credential_metadata;
use amalgam_connector::failure::{advice, in_success, is_limit, wait};
use amalgam_connector::paging;
use amalgam_connector::plan::{Account, Plan, plan};
use serde_json::{Value, json};

use super::{load, object};

const KEY: &[(&str, &str)] = &[("apiKey", "s3cret:key/1")];

/// A connector with this head and one action `a`.
fn platform(head: &str, action: &str) -> Connector {
    load(&format!("id = \"x\"\nname = \"X\"\n{head}\n[actions.a]\n{action}\n"))
}

/// The request of the action `a` with a credential of this kind.
fn sent(
    connector: &Connector,
    kind: AuthKind,
    fields: &[(&str, &str)],
    variables: &[(&str, &str)],
    args: Value,
) -> Result<Plan, ArgumentError> {
    let scheme = connector.definition().auth.iter().find(|scheme| scheme.kind == kind).unwrap();
    let account = Account { variables, auth: Some((scheme, fields)), extra_headers: &[], nonce: "n0nce" };
    plan(connector, connector.action("a").unwrap(), &object(args), &account)
}

fn key(connector: &Connector, args: Value) -> Plan {
    sent(connector, AuthKind::ApiKey, KEY, &[], args).unwrap_or_else(|error| panic!("{error}"))
}

fn header<'p>(plan: &'p Plan, name: &str) -> &'p str {
    plan.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

fn body(plan: &Plan) -> String {
    String::from_utf8(plan.body.as_ref().unwrap().bytes.clone()).unwrap()
}

/// A scheme of type `apiKey` that is sent so.
fn scheme(send: &str) -> String {
    format!("base_url = \"https://e.com\"\n[[auth]]\ntype = \"apiKey\"\nsend = [{send}]")
}

#[test]
fn telegram_has_the_token_in_the_path() {
    let connector = platform(
        &scheme("{ in = \"path\", name = \"token\", value = \"{apiKey}\" }"),
        "method = \"POST\"\npath = \"/bot{token}/send/{chat}\"\nparams.chat = { in = \"path\", required = true }",
    );
    let plan = key(&connector, json!({"chat": 7}));
    assert_eq!(plan.url, "https://e.com/bots3cret:key%2F1/send/7");
    // An answer may repeat it as it is, or as the path has it.
    assert!(plan.secrets.contains(&"s3cret:key/1".to_owned()) && plan.secrets.contains(&"s3cret:key%2F1".to_owned()));
    for bad in ["", "..", "a/../b", "a%2fb", "a\nb", "\u{e9}"] {
        let told = sent(&connector, AuthKind::ApiKey, &[("apiKey", bad)], &[], json!({"chat": 7})).err().unwrap().message;
        assert!(told.contains("create the credential with another value") && (bad.is_empty() || !told.contains(bad)), "{told}");
    }
}

#[test]
fn mailchimp_transactional_has_the_key_in_the_body() {
    let send = scheme("{ in = \"body\", name = \"key\", value = \"{apiKey}\" }");
    let connector = platform(&send, "method = \"POST\"\npath = \"/a\"\nparams.text = { in = \"body\" }");
    assert_eq!(body(&key(&connector, json!({"text": "hi"}))), r#"{"text":"hi","key":"s3cret:key/1"}"#);
    assert_eq!(body(&key(&connector, json!({}))), r#"{"key":"s3cret:key/1"}"#);
    let bare = platform(&send, "method = \"POST\"\npath = \"/a\"");
    assert_eq!(body(&key(&bare, json!({}))), r#"{"key":"s3cret:key/1"}"#);
    let form = platform(&send, "method = \"POST\"\npath = \"/a\"\nbody = \"form\"\nparams.text = { in = \"body\" }");
    assert_eq!(body(&key(&form, json!({"text": "hi"}))), "text=hi&key=s3cret%3Akey%2F1");
    let parts = platform(&send, "method = \"POST\"\npath = \"/a\"\nbody = \"multipart\"\nparams.text = { in = \"body\" }");
    assert!(body(&key(&parts, json!({"text": "hi"}))).contains("name=\"key\"\r\n\r\ns3cret:key/1\r\n"));
}

/// Trello has two in the query, Discourse two in headers, Klaviyo a prefix of its own, ClickUp none.
#[test]
fn keys_go_to_several_places_with_any_prefix() {
    let get = "method = \"GET\"\npath = \"/a\"";
    let trello = load(&format!(
        "id = \"x\"\nname = \"X\"\nbase_url = \"https://e.com\"\n[[auth]]\ntype = \"apiKey\"\nfields.apiKey = {{}}\nfields.apiToken = {{}}\n\
         send = [{{ in = \"query\", name = \"key\", value = \"{{apiKey}}\" }}, {{ in = \"query\", name = \"token\", value = \"{{apiToken}}\" }}]\n[actions.a]\n{get}"
    ));
    let plan = sent(&trello, AuthKind::ApiKey, &[("apiKey", "k"), ("apiToken", "t")], &[], json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(plan.url, "https://e.com/a?key=k&token=t");
    let klaviyo = platform(&scheme("{ in = \"header\", name = \"Authorization\", value = \"Klaviyo-API-Key {apiKey}\" }"), get);
    assert_eq!(header(&key(&klaviyo, json!({})), "authorization"), "Klaviyo-API-Key s3cret:key/1");
    let clickup = platform(&scheme("{ in = \"header\", name = \"Authorization\", value = \"{apiKey}\" }"), get);
    assert_eq!(header(&key(&clickup, json!({})), "authorization"), "s3cret:key/1");
}

/// Zendesk marks a token in the user name, Mailgun has a fixed user name, Twilio's is also a part of the address.
#[test]
fn basic_authentication_of_any_parts() {
    let get = "method = \"GET\"\npath = \"/a\"";
    let basic = |fields: &str, value: &str, base_url: &str, more: &str| {
        platform(
            &format!(
                "base_url = \"{base_url}\"\n{more}\n[[auth]]\ntype = \"basic\"\n{fields}\nsend = [{{ in = \"basic\", value = \"{value}\" }}]"
            ),
            get,
        )
    };
    let zendesk = basic("fields.email = { public = true }\nfields.apiToken = {}", "{email}/token:{apiToken}", "https://e.com", "");
    let fields = [("email", "ada@example.org"), ("apiToken", "t0ken-of-ada")];
    let plan = sent(&zendesk, AuthKind::Basic, &fields, &[], json!({})).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(header(&plan, "authorization"), "Basic YWRhQGV4YW1wbGUub3JnL3Rva2VuOnQwa2VuLW9mLWFkYQ==");
    // What is public stays in answers; both forms of the secret do not.
    assert_eq!(plan.secrets, ["t0ken-of-ada", "YWRhQGV4YW1wbGUub3JnL3Rva2VuOnQwa2VuLW9mLWFkYQ=="]);
    let told = sent(&zendesk, AuthKind::Basic, &[("email", "a:b"), ("apiToken", "t")], &[], json!({})).err().unwrap().message;
    assert!(told.contains("colon") && !told.contains("a:b"), "{told}");
    let mailgun = basic("fields.apiKey = {}", "api:{apiKey}", "https://e.com", "");
    let plan = sent(&mailgun, AuthKind::Basic, &[("apiKey", "k")], &[], json!({})).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(header(&plan, "authorization"), "Basic YXBpOms=");
    let twilio =
        basic("fields.authToken = {}", "{accountSid}:{authToken}", "https://e.com/Accounts/{accountSid}", "[variables.accountSid]");
    let plan = sent(&twilio, AuthKind::Basic, &[("authToken", "t")], &[("accountSid", "AC1")], json!({})).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((plan.url.as_str(), header(&plan, "authorization")), ("https://e.com/Accounts/AC1/a", "Basic QUMxOnQ="));
}

/// A key that stands alone in the place of a user name is a secret although user names are public.
#[test]
fn a_public_field_alone_is_a_secret() {
    let connector = platform("base_url = \"https://e.com\"\n[[auth]]\ntype = \"basic\"", "method = \"GET\"\npath = \"/a\"");
    let secrets = |fields: &[(&str, &str)]| sent(&connector, AuthKind::Basic, fields, &[], json!({})).map(|plan| plan.secrets).unwrap();
    assert_eq!(secrets(&[("username", "sk_alone"), ("password", "")]), ["sk_alone", "c2tfYWxvbmU6"]);
    assert_eq!(secrets(&[("username", "ada"), ("password", "pw")]), ["pw", "YWRhOnB3"]);
}

/// Jira is at the site's own address with an API token, and at another one with OAuth.
#[test]
fn schemes_have_their_own_address_and_variables() {
    let connector = platform(
        "base_url = \"https://{site}.atlassian.net\"\n[variables.site]\n[variables.cloudId]\nkind = \"text\"\n[[auth]]\ntype = \"basic\"\n\
         [[auth]]\ntype = \"oauth2\"\nbase_url = \"https://api.atlassian.com/ex/jira/{cloudId}\"\n\
         oauth2 = { authorize_url = \"https://auth.e.com/authorize\", token_url = \"https://auth.e.com/token\" }",
        "method = \"GET\"\npath = \"/a\"",
    );
    let basic = sent(&connector, AuthKind::Basic, &[("username", "u"), ("password", "p")], &[("site", "acme")], json!({}));
    assert_eq!(basic.map(|plan| plan.url).unwrap(), "https://acme.atlassian.net/a");
    let oauth = sent(&connector, AuthKind::OAuth2, &[("token", "t")], &[("cloudId", "11-22")], json!({}));
    assert_eq!(oauth.map(|plan| plan.url).unwrap(), "https://api.atlassian.com/ex/jira/11-22/a");
    let definition = connector.definition();
    let origins: Vec<&str> = definition.auth.iter().map(|scheme| definition.origin(Some(scheme))).collect();
    assert_eq!(origins, ["https://{site}.atlassian.net", "https://api.atlassian.com"]);
    let needed: Vec<Value> = credential_metadata(&connector)["metadata"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["inputSchema"]["properties"]["data"]["required"].clone())
        .collect();
    assert_eq!(needed, [json!(["username", "site"]), json!(["cloudId"])]);
}

/// Stripe: forms with brackets, a key for repeated writes, an account of another that may be named.
#[test]
fn stripe_forms_keys_and_accounts() {
    let head = "base_url = \"https://e.com\"\nidempotency_header = \"Idempotency-Key\"\nheaders = { Stripe-Account = \"{account}\" }\n\
                [variables.account]\nkind = \"text\"\noptional = true\n[[auth]]\ntype = \"bearer\"";
    let connector = platform(
        head,
        "method = \"POST\"\npath = \"/a\"\nbody = \"form\"\n[actions.a.params]\nmetadata = { in = \"body\", type = \"object\" }\n\
         expand = { in = \"body\", type = \"array\", style = \"brackets\" }\nitems = { in = \"body\", schema = { type = \"array\" } }\n\
         key = { in = \"header\", wire = \"Idempotency-Key\" }",
    );
    let send = |variables: &[(&str, &str)], args: Value| sent(&connector, AuthKind::Bearer, &[("token", "sk")], variables, args).unwrap();
    let plan = send(&[], json!({"metadata": {"order": 6}, "expand": ["customer"], "items": [{"price": "p", "tax_rates": ["t"]}]}));
    let decoded: Vec<(String, String)> = url::form_urlencoded::parse(body(&plan).as_bytes()).into_owned().collect();
    let pairs: Vec<(&str, &str)> = decoded.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let wanted = [("metadata[order]", "6"), ("expand[]", "customer"), ("items[0][price]", "p"), ("items[0][tax_rates][0]", "t")];
    assert_eq!(pairs, wanted);
    assert_eq!((header(&plan, "idempotency-key"), header(&plan, "stripe-account")), ("n0nce", ""));
    let plan = send(&[("account", "acct_1")], json!({"key": "mine"}));
    assert_eq!((header(&plan, "idempotency-key"), header(&plan, "stripe-account")), ("mine", "acct_1"));
    let read = platform(head, "method = \"GET\"\npath = \"/a\"");
    let plan = sent(&read, AuthKind::Bearer, &[("token", "sk")], &[], json!({})).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(header(&plan, "idempotency-key"), "");
    assert!(connector.action("a").unwrap().needs_nonce(&connector) && !read.action("a").unwrap().needs_nonce(&read));
}

#[test]
fn twilio_repeats_a_name() {
    let connector = platform(
        "base_url = \"https://e.com\"\n[[auth]]\ntype = \"basic\"",
        "method = \"POST\"\npath = \"/Messages.json\"\nbody = \"form\"\n[actions.a.params]\nTo = { in = \"body\" }\nMediaUrl = { in = \"body\", type = \"array\" }",
    );
    let fields = [("username", "AC1"), ("password", "t")];
    let plan = sent(&connector, AuthKind::Basic, &fields, &[], json!({"To": "+1", "MediaUrl": ["a", "b"]})).unwrap();
    assert_eq!(body(&plan), "To=%2B1&MediaUrl=a&MediaUrl=b");
}

/// Linear and monday speak GraphQL.
#[test]
fn graphql_documents_take_variables() {
    let connector = platform(
        "base_url = \"https://e.com\"\n[errors]\ncode = [\"/errors/0/extensions/code\"]\nmeanings = { RATELIMITED = \"Wait a minute.\" }",
        "method = \"POST\"\npath = \"/graphql\"\neffect = \"read\"\ngraphql = \"query Issues($first: Int, $team: String) { issues(first: $first) { id } }\"\n\
         [actions.a.params]\nlimit = { in = \"body\", wire = \"first\", type = \"integer\" }\nteam = { in = \"body\" }",
    );
    let account = Account { variables: &[], auth: None, extra_headers: &[], nonce: "n" };
    let action = connector.action("a").unwrap();
    let made = |args: Value| body(&plan(&connector, action, &object(args), &account).unwrap_or_else(|error| panic!("{error}")));
    let document = action.action.graphql.as_deref().unwrap();
    assert_eq!(made(json!({"limit": 5})), json!({"query": document, "variables": {"first": 5}}).to_string());
    assert_eq!(made(json!({})), json!({"query": document, "variables": {}}).to_string());
    let failed = json!({"data": null, "errors": [{"message": "Too many", "extensions": {"code": "RATELIMITED"}}]});
    assert_eq!(in_success(&connector, action, &failed).as_deref(), Some("Too many"));
    assert_eq!(advice(&connector, action, 200, Some(&failed), ""), "Wait a minute.");
    assert_eq!(in_success(&connector, action, &json!({"data": {}, "errors": []})), None);
}

/// QuickBooks answers 200 with a `Fault`, Shopify with `userErrors` inside what each mutation returns.
#[test]
fn what_is_present_means_failure() {
    let connector = platform(
        "base_url = \"https://e.com\"\nfailure = { pointer = \"/Fault\", message = \"/Fault/Error/0/Message\" }",
        "method = \"POST\"\npath = \"/a\"\nfailure = { pointer = \"/data/make/userErrors\", message = \"/data/make/userErrors/0/message\" }",
    );
    let told = |body: Value| in_success(&connector, connector.action("a").unwrap(), &body);
    assert_eq!(told(json!({"Fault": {"Error": [{"Message": "no"}]}})).as_deref(), Some("no"));
    assert_eq!(told(json!({"data": {"make": {"userErrors": [{"message": "blank"}]}}})).as_deref(), Some("blank"));
    for fine in
        [json!({}), json!({"Fault": null}), json!({"Fault": {}}), json!({"Fault": false}), json!({"data": {"make": {"userErrors": []}}})]
    {
        assert_eq!(told(fine.clone()), None, "{fine}");
    }
}

#[test]
fn codes_and_statuses_have_meanings_and_scopes() {
    let connector = platform(
        "base_url = \"https://e.com\"\n[errors]\ncode = [\"/error/decline_code\", \"/error/code\"]\nmessage = \"/error/text\"\n\
         [errors.meanings]\ncard_declined = \"Ask for another card.\"\n21211 = \"The number is wrong.\"\n403 = \"Not yours.\"",
        "method = \"GET\"\npath = \"/a\"\nscopes = [\"cards:read\", \"cards:write cards:admin\"]",
    );
    let action = connector.action("a").unwrap();
    let told = |status: u16, body: Value| advice(&connector, action, status, Some(&body), "As usual.");
    assert_eq!(told(402, json!({"error": {"decline_code": "odd", "code": "card_declined"}})), "Ask for another card.");
    assert_eq!(told(400, json!({"error": {"code": 21211}})), "The number is wrong.");
    assert_eq!(told(400, json!({"error": "x"})), "As usual.");
    assert_eq!(told(403, json!(null)), "Not yours. This action needs one of the scopes `cards:read`, `cards:write cards:admin`.");
    assert!(told(200, json!({"error": {"code": "missing_scope"}})).ends_with("`cards:write cards:admin`."));
    assert_eq!(amalgam_connector::failure::reason(&connector, &json!({"error": {"text": "no card"}})).as_deref(), Some("no card"));
}

/// Telegram says in the body how long to wait, GitHub in a header when calls are accepted again.
#[test]
fn waits_stand_in_bodies_and_headers() {
    let limit = |more: &str| {
        let head = format!("base_url = \"https://e.com\"\nrate_limit = {{ requests = 30, seconds = 1, {more} }}");
        platform(&head, "method = \"GET\"\npath = \"/a\"").definition().rate_limit.clone().unwrap()
    };
    let telegram = limit("wait = \"/parameters/retry_after\"");
    assert_eq!(wait(&telegram, Some(&json!({"parameters": {"retry_after": 3.2}})), |_| None, 0), Some(4));
    assert_eq!(wait(&telegram, Some(&json!({"parameters": {"retry_after": -1}})), |_| None, 0), None);
    let github = limit("reset_header = \"x-ratelimit-reset\"");
    let header = |name: &str| (name == "x-ratelimit-reset").then_some(1_060);
    assert_eq!(wait(&github, None, header, 1_000), Some(60));
    assert_eq!(wait(&github, None, header, 2_000), None);
}

/// The next page of the action `a` that pages so, after `args`.
fn next(pagination: &str, args: Value, link: Option<&str>, answer: Value) -> Value {
    let connector = platform(
        "base_url = \"https://e.com\"",
        &format!(
            "method = \"GET\"\npath = \"/a\"\nresponse = {{ items = \"/list\" }}\npagination = {{ {pagination} }}\n[actions.a.params]\n\
             n = {{ in = \"query\", wire = \"page[n]\", type = \"integer\" }}\nafter = {{ in = \"query\" }}\nsize = {{ in = \"query\", type = \"integer\", default = 2 }}"
        ),
    );
    let next = paging::next(&connector.action("a").unwrap().action, &object(args), link, &answer);
    next.unwrap_or(Value::Null)
}

#[test]
fn every_kind_of_paging_names_its_next_page() {
    // Slack; Linear, whose cursor stays there on the last page.
    let cursor = "cursor = \"after\", next = \"/next\"";
    assert_eq!(next(cursor, json!({}), None, json!({"next": "abc"})), "abc");
    assert_eq!(next(cursor, json!({}), None, json!({"next": ""})), Value::Null);
    let more = "cursor = \"after\", next = \"/page/end\", more = \"/page/more\"";
    assert_eq!(next(more, json!({}), None, json!({"page": {"end": "abc", "more": true}})), "abc");
    assert_eq!(next(more, json!({}), None, json!({"page": {"end": "abc", "more": false}})), Value::Null);
    // Klaviyo, Microsoft Graph.
    let url = "kind = \"url\", cursor = \"n\", next = \"/links/next\"";
    assert_eq!(next(url, json!({}), None, json!({"links": {"next": "https://e.com/a?x=1&page%5Bn%5D=7#f"}})), 7);
    assert_eq!(next(url, json!({}), None, json!({"links": {"next": null}})), Value::Null);
    // GitHub, Sentry.
    let link = "kind = \"link\", cursor = \"after\"";
    let header = "<https://e.com/a,b?after=x%3D1>; rel=\"prev first\", <https://e.com/a?after=x%3D2>; rel=\"next\"";
    assert_eq!(next(link, json!({}), Some(header), json!([])), "x=2");
    assert_eq!(next(link, json!({}), Some("<https://e.com/a?after=1>; rel=\"next\"; results=\"false\""), json!([])), Value::Null);
    for odd in ["", "<", "<>", "rel=next", "<x?after=>; rel=next", "<x>; rel=next", ";;<;>;="] {
        assert_eq!(next(link, json!({}), Some(odd), json!([])), Value::Null, "{odd}");
    }
    // Stripe.
    let last = "kind = \"last\", cursor = \"after\", next = \"/id\", more = \"/has_more\"";
    assert_eq!(next(last, json!({}), None, json!({"list": [{"id": "a"}, {"id": "b"}], "has_more": true})), "b");
    assert_eq!(next(last, json!({}), None, json!({"list": [{"id": "a"}], "has_more": false})), Value::Null);
    // Freshdesk, and a platform whose first page is 0.
    let page = "kind = \"page\", cursor = \"n\", limit = \"size\"";
    assert_eq!(next(page, json!({}), None, json!({"list": [1, 2]})), 2);
    assert_eq!(next(page, json!({"n": 4, "size": 1}), None, json!({"list": [1]})), 5);
    assert_eq!(next(page, json!({"n": 4}), None, json!({"list": [1]})), Value::Null);
    assert_eq!(next("kind = \"page\", cursor = \"n\", first = 0", json!({}), None, json!({"list": [1]})), 1);
    // ClickUp, which says when it is at the end.
    let last = "kind = \"page\", cursor = \"n\", last = \"/last_page\"";
    assert_eq!(next(last, json!({"n": 1}), None, json!({"list": [1], "last_page": false})), 2);
    assert_eq!(next(last, json!({"n": 1}), None, json!({"list": [1], "last_page": true})), Value::Null);
    // Jira, PagerDuty.
    let offset = "kind = \"offset\", cursor = \"n\", limit = \"size\"";
    assert_eq!(next(offset, json!({"n": 10}), None, json!({"list": [1, 2]})), 12);
    assert_eq!(next(offset, json!({"n": u64::MAX}), None, json!({"list": [1, 2]})), Value::Null);
    assert_eq!(next("kind = \"offset\", cursor = \"n\", more = \"/more\"", json!({}), None, json!({"list": [1], "more": true})), 1);
}

#[test]
fn asana_wraps_what_is_written() {
    let params = r#"params = { name = { in = "body", wire = "/data/name", required = true }, due = { in = "body", wire = "/data/due/on", schema = { type = ["string", "null"] } }, plain = { in = "body" }, odd = { in = "body", wire = "/a~1b/c~0d" } }"#;
    let connector = platform("base_url = \"https://e.com\"", &format!("method = \"POST\"\npath = \"/tasks\"\n{params}"));
    let action = connector.action("a").unwrap();
    let sent = |args: Value| body(&plan(&connector, action, &object(args), &super::NOBODY).unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(
        sent(json!({"name": "n", "due": null, "plain": "p", "odd": "o"})),
        r#"{"data":{"name":"n","due":{"on":null}},"plain":"p","a/b":{"c~d":"o"}}"#
    );
    assert_eq!(sent(json!({"name": "n"})), r#"{"data":{"name":"n"}}"#);
    let properties = connector.input_schema(action)["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(properties, ["name", "due", "plain", "odd"]);
}

#[test]
fn paypal_takes_an_empty_object() {
    let connector = platform("base_url = \"https://e.com\"", "method = \"POST\"\npath = \"/void\"\nbody = \"json\"");
    let plan =
        plan(&connector, connector.action("a").unwrap(), &object(json!({})), &super::NOBODY).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((body(&plan).as_str(), plan.body.unwrap().content_type.as_str()), ("{}", "application/json"));
}

#[test]
fn limits_may_have_another_status() {
    let connector = platform(
        "base_url = \"https://e.com\"\nrate_limit = { requests = 1, seconds = 1, status = 403, remaining_header = \"x-left\", reset_header = \"x-reset\" }",
        "method = \"GET\"\npath = \"/a\"",
    );
    let limit = connector.definition().rate_limit.as_ref();
    let with = |name: &'static str, value: u64| move |asked: &str| (asked == name).then_some(value);
    assert!(is_limit(limit, 403, with("x-left", 0)) && is_limit(limit, 403, with("retry-after", 60)) && is_limit(None, 429, |_| None));
    assert!(!is_limit(limit, 403, with("x-left", 1)) && !is_limit(limit, 403, |_| None) && !is_limit(limit, 400, with("x-left", 0)));
    for reset in [1_800_000_030, 1_800_000_029_001] {
        assert_eq!(wait(limit.unwrap(), None, with("x-reset", reset), 1_800_000_000), Some(30));
    }
}
