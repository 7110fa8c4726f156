//! From one era to the other.

use amalgam_protocol::bridge::{
    Envelope, InputRequest, Outgoing, Towards, ask_for_inputs, can, error, input_required, legacy_result, modern_result, outgoing, page,
    with_inputs,
};
use amalgam_protocol::splice::Object;

fn object(text: &str) -> Object<'_> {
    Object::parse(text).unwrap()
}

const INFO: &str = "{\"name\":\"us\",\"version\":\"1\"}";

#[test]
fn the_clients_envelope_goes_and_the_upstreams_comes() {
    let params = "{\"name\":\"a\",\"x\":1.50,\"_meta\":{\"traceparent\":\"00-1\",\"progressToken\":\"mine\",\
        \"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{}},\"requestState\":\"s\"}";
    let legacy = outgoing(params, &Outgoing { renamed: Some(("name", "b")), progress_token: Some("7"), ..Outgoing::default() }).unwrap();
    assert_eq!(legacy, "{\"name\":\"b\",\"x\":1.50,\"_meta\":{\"traceparent\":\"00-1\",\"progressToken\":7}}");
    let envelope = Envelope { version: "2026-07-28", capabilities: "{\"roots\":{}}", info: INFO, log_level: Some("info") };
    let modern =
        outgoing("{\"name\":\"a\"}", &Outgoing { envelope: Some(envelope), request_state: Some("theirs"), ..Outgoing::default() }).unwrap();
    assert!(
        modern.starts_with(
            "{\"name\":\"a\",\"requestState\":\"theirs\",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\""
        ),
        "{modern}"
    );
    assert!(
        modern.contains("\"io.modelcontextprotocol/clientCapabilities\":{\"roots\":{}}")
            && modern.contains("\"io.modelcontextprotocol/logLevel\":\"info\"")
    );
    assert_eq!(outgoing("{}", &Outgoing::default()).unwrap(), "{}");
    assert!(outgoing("[]", &Outgoing::default()).is_err());
}

#[test]
fn results_gain_and_lose_what_one_era_has() {
    let legacy = "{\"contents\":[{\"n\":1.50}],\"_meta\":{\"own\":1}}";
    let modern = modern_result("resources/read", object(legacy), INFO).unwrap().to_string();
    assert_eq!(
        modern,
        format!(
            "{{\"resultType\":\"complete\",\"contents\":[{{\"n\":1.50}}],\"_meta\":{{\"own\":1,\"io.modelcontextprotocol/serverInfo\":{INFO}}},\"ttlMs\":0,\"cacheScope\":\"private\"}}"
        )
    );
    assert_eq!(legacy_result(object(&modern)).unwrap().unwrap().to_string(), legacy);
    assert!(modern_result("tools/call", object("{\"content\":[]}"), INFO).unwrap().get("ttlMs").is_none());
    assert!(legacy_result(object("{\"content\": [ ]}")).unwrap().is_none(), "what needs no change keeps every byte");
}

#[test]
fn errors_take_the_codes_of_the_clients_era() {
    let code = |method: &str, json: &str, towards| error(method, json, towards).map(|(http, error)| (http, error.into_owned())).unwrap();
    assert_eq!(
        code("resources/read", "{\"code\":-32002,\"message\":\"x\",\"data\":{\"n\":1.50}}", Towards::Modern),
        (200, "{\"code\":-32602,\"message\":\"x\",\"data\":{\"n\":1.50}}".to_owned())
    );
    assert_eq!(code("resources/read", "{\"code\":-32602,\"message\":\"x\"}", Towards::Legacy).1, "{\"code\":-32002,\"message\":\"x\"}");
    assert_eq!(code("tools/call", "{\"code\":-32602,\"message\":\"x\"}", Towards::Legacy).1, "{\"code\":-32602,\"message\":\"x\"}");
    assert_eq!(code("tools/call", "{\"code\":-32021,\"message\":\"x\"}", Towards::Modern).0, 400);
    assert_eq!(
        code("tools/call", "{\"code\":-32021,\"message\":\"x\"}", Towards::Legacy),
        (200, "{\"code\":-32600,\"message\":\"x\"}".to_owned())
    );
    assert_eq!(code("tools/call", "{\"code\":-32601,\"message\":\"x\"}", Towards::Modern).0, 404);
    assert!(error("tools/call", "1", Towards::Modern).is_err());
}

#[test]
fn inputs_are_asked_for_and_given() {
    let result = "{\"resultType\":\"input_required\",\"inputRequests\":{\"k\":{\"method\":\"roots/list\"}},\"requestState\":\"s\\n\"}";
    let asked = input_required(&object(result)).unwrap().unwrap();
    assert_eq!(asked.requests, [InputRequest { key: "k".into(), method: "roots/list".into(), params: "{}".into() }]);
    assert_eq!(asked.state.as_deref(), Some("s\n"));
    let again = ask_for_inputs(&asked, INFO);
    assert_eq!(input_required(&object(&again)).unwrap().unwrap(), asked);
    assert!(input_required(&object("{\"resultType\":\"complete\",\"text\":\"input_required\"}")).unwrap().is_none());
    assert!(input_required(&object("{\"resultType\":\"input_required\",\"inputRequests\":[]}")).is_err());
    let params = with_inputs("{\"name\":\"a\"}", &[("k".into(), "{\"roots\":[]}".into())], asked.state.as_deref()).unwrap();
    assert_eq!(params, "{\"name\":\"a\",\"inputResponses\":{\"k\":{\"roots\":[]}},\"requestState\":\"s\\n\"}");
}

#[test]
fn only_what_was_declared_is_asked() {
    let form = "{\"message\":\"x\"}";
    let url = "{\"mode\":\"url\",\"message\":\"x\"}";
    assert!(can("{\"elicitation\":{}}", "elicitation/create", form) && !can("{\"elicitation\":{}}", "elicitation/create", url));
    assert!(
        can("{\"elicitation\":{\"url\":{}}}", "elicitation/create", url)
            && !can("{\"elicitation\":{\"url\":{}}}", "elicitation/create", form)
    );
    assert!(can("{\"sampling\":{}}", "sampling/createMessage", "{}") && can("{\"roots\":{}}", "roots/list", "{}"));
    assert!(!can("{}", "roots/list", "{}") && !can("{\"tools\":{}}", "tools/call", "{}") && !can("nonsense", "roots/list", "{}"));
}

#[test]
fn pages_keep_their_items() {
    let (items, cursor) = page("{\"tools\":[{\"a\": 1.0},{}],\"nextCursor\":\"2\"}", "tools").unwrap();
    assert_eq!((items, cursor.as_deref()), (vec!["{\"a\": 1.0}".to_owned(), "{}".to_owned()], Some("2")));
    assert!(page("{\"tools\":{}}", "tools").is_err() && page("{}", "tools").is_err());
}
