//! Documents that were made to do harm: the importer answers with a connector or with a sentence, in bounded time and memory.

use amalgam_connector::openapi::{Import, ImportError, ImportOptions, import, import_value};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn read(source: &str) -> Result<Import, ImportError> {
    import(source.as_bytes(), &ImportOptions::default())
}

fn with_schema(schema: Value, schemas: Value) -> Value {
    json!({
        "openapi": "3.0.0", "info": {"title": "t"}, "servers": [{"url": "https://example.org"}],
        "paths": {"/a": {"post": {"operationId": "op", "requestBody": {"content": {"application/json": {"schema": schema}}}}}},
        "components": {"schemas": schemas},
    })
}

/// The size of the input schema of the one action.
fn size(import: &Import) -> usize {
    let params = &import.definition.actions["op"].params;
    params.iter().map(|(name, param)| name.len() + param.json_schema().to_string().len() + 4).sum()
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let source = format!("{{\"openapi\":\"3.0.0\",\"x\":{}1{}}}", open.repeat(100_000), close.repeat(100_000));
        let message = read(&source).unwrap_err().message;
        assert!(message.contains("line 1"), "{message}");
    }
    assert!(read(&format!("x: {}", "[".repeat(100_000))).is_err());
    assert!(read(&"- ".repeat(100_000)).is_err());
    let block: String = (0..3000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(read(&block).is_err());
    let deep = (0..119).fold(json!(1), |inner, _| json!([inner]));
    assert!(read(&deep.to_string()).unwrap_err().message.contains("not an object"));
}

#[test]
fn a_parsed_value_may_be_deep_too() {
    let deep = (0..50_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    // Not by `json!`, which would walk the value recursively.
    let mut root = Map::new();
    root.insert("x".into(), deep);
    let error = import_value(Value::Object(root), &ImportOptions::default()).unwrap_err();
    assert!(error.message.contains("deeper"));
}

#[test]
fn magic_keys_of_the_json_library_are_refused() {
    let source = r#"{"openapi": "3.0.0", "x": {"$serde_json::private::RawValue": "[[["}, "paths": {}}"#;
    assert!(read(source).unwrap_err().message.contains("reserved"));
}

#[test]
fn alias_bombs_are_errors() {
    let mut bomb = String::from("openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", ")));
    }
    assert!(read(&bomb).is_err());
    let long = format!("openapi: 3.0.0\na: &a {}\nb: [{}]\n", "x".repeat(1_000_000), vec!["*a"; 1000].join(", "));
    assert!(read(&long).is_err());
    assert!(read("a: &a [*a]").is_err());
    let block: String = (0..130).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    for source in [&bomb, &long, &block, &format!("x: {}", "[".repeat(1000))] {
        let message = read(source).unwrap_err().message;
        assert!(!message.contains("budget") && !message.contains('_') && !message.contains('{'), "{message}");
    }
}

#[test]
fn ten_million_values_are_refused_before_they_are_all_read() {
    let list = "1,".repeat(10_000_000);
    for source in [format!("{{\"openapi\":\"3.0.0\",\"x\":[{list}1]}}"), format!("openapi: 3.0.0\nx: [{}1]\n", &list[..7_000_000])] {
        let message = read(&source).unwrap_err().message;
        assert!(message.contains("more than 3 million values"), "{message}");
    }
    // As keys of one object they are no cheaper.
    let keys: String = (0..1_600_000).map(|n| format!("\"k{n}\":1,")).collect();
    assert!(read(&format!("{{\"openapi\":\"3.0.0\",\"x\":{{{keys}\"z\":1}}}}")).unwrap_err().message.contains("3 million"));
}

#[test]
fn a_huge_enumeration_becomes_a_small_one() {
    let choices: Vec<String> = (0..200_000).map(|n| format!("choice number {n}")).collect();
    let made = import_value(
        with_schema(json!({"type": "object", "properties": {"a": {"type": "string", "enum": choices}}}), json!({})),
        &ImportOptions::default(),
    )
    .unwrap();
    assert!(size(&made) < 16_384, "{}", size(&made));
}

#[test]
fn duplicate_keys_are_a_warning() {
    let json = r#"{"openapi": "3.0.0", "info": {"title": "a", "title": "b"}, "servers": [{"url": "https://example.org"}], "paths": {"/a": {"get": {}}}}"#;
    let yaml = "openapi: 3.0.0\ninfo: {title: a, title: b}\nservers: [{url: 'https://example.org'}]\npaths: {/a: {get: {responses: {200: {}, 404: {}, 200: {}}}}}\n";
    for source in [json, yaml] {
        let made = read(source).unwrap();
        assert_eq!(made.definition.name, "b");
        assert!(
            made.warnings.iter().any(|warning| warning == "The key \"title\" occurs twice in `info`; the last one counts."),
            "{:?}",
            made.warnings
        );
    }
}

#[test]
fn cycles_of_every_kind_end() {
    let schemas = json!({
        "Self": {"$ref": "#/components/schemas/Self"},
        "A": {"allOf": [{"$ref": "#/components/schemas/B"}]},
        "B": {"allOf": [{"$ref": "#/components/schemas/A"}, {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/A"}}}]},
        "C": {"oneOf": [{"$ref": "#/components/schemas/C"}, {"type": "string"}]},
        "D": {"type": "array", "items": {"$ref": "#/components/schemas/D"}},
        "E": {"$ref": "#/paths/~1a/post/requestBody/content/application~1json/schema"},
        "F": {"$ref": "#"},
        "G": {"not": {"$ref": "#/components/schemas/G"}},
    });
    for name in ["Self", "A", "B", "C", "D", "E", "F", "G"] {
        let made =
            import_value(with_schema(json!({"$ref": format!("#/components/schemas/{name}")}), schemas.clone()), &ImportOptions::default())
                .unwrap();
        assert!(size(&made) < 16_384, "{name}");
    }
    let mut source = with_schema(json!({}), json!({}));
    source["paths"]["/a"]["parameters"] = json!([{"$ref": "#/paths/~1a/parameters/0"}]);
    source["paths"]["/b"] = json!({"$ref": "#/paths/~1c"});
    source["paths"]["/c"] = json!({"$ref": "#/paths/~1b"});
    let made = import_value(source, &ImportOptions::default()).unwrap();
    assert_eq!((made.definition.actions.len(), made.omitted.len()), (0, 3), "{:?}", made.omitted);
}

#[test]
fn exponential_schemas_stay_small() {
    for word in ["allOf", "oneOf", "anyOf", "properties"] {
        let mut schemas = Map::new();
        for level in 0..60 {
            let next = json!({"$ref": format!("#/components/schemas/S{}", level + 1)});
            let schema = if word == "properties" {
                json!({"type": "object", "properties": {"a": next, "b": next, "c": next}})
            } else {
                json!({word: [next, next, {"type": "object", "description": format!("{level}"), "properties": {"x": next}}]})
            };
            schemas.insert(format!("S{level}"), schema);
        }
        schemas.insert("S60".into(), json!({"type": "string"}));
        let made = import_value(with_schema(json!({"$ref": "#/components/schemas/S0"}), Value::Object(schemas)), &ImportOptions::default())
            .unwrap();
        assert!(size(&made) < 16_384, "{word}: {}", size(&made));
    }
}

#[test]
fn wide_schemas_stay_small() {
    let long = "Words and words. ".repeat(1000);
    let many: Map<String, Value> = (0..300)
        .map(|n| {
            (
                format!("property_number_{n}"),
                json!({"type": "string", "description": long, "enum": (0..90).map(|n| format!("choice number {n}")).collect::<Vec<_>>()}),
            )
        })
        .collect();
    let made = import_value(
        with_schema(json!({"type": "object", "properties": many, "required": ["property_number_299"]}), json!({})),
        &ImportOptions::default(),
    )
    .unwrap();
    assert!(size(&made) < 16_384, "{}", size(&made));
    assert!(made.definition.actions["op"].params.contains_key("property_number_299"));
    let huge: Map<String, Value> = (0..100_000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let made = import_value(with_schema(json!({"type": "object", "properties": huge}), json!({})), &ImportOptions::default()).unwrap();
    assert!(size(&made) < 16_384);
}

#[test]
fn a_small_document_does_not_become_a_large_connector() {
    let body = json!({"$ref": "#/components/schemas/Wide"});
    let properties: Map<String, Value> = (0..400).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    let mut source = with_schema(json!({}), json!({"Wide": {"type": "object", "properties": properties}}));
    let operation = json!({"post": {"requestBody": {"content": {"application/json": {"schema": body}}}}});
    source["paths"] = (0..4000).map(|n| (format!("/p{n}"), operation.clone())).collect::<Map<_, _>>().into();
    let made = import_value(source, &ImportOptions::default()).unwrap();
    assert_eq!(made.definition.actions.len() + made.omitted.len(), 4000);
    assert!(made.omitted.iter().all(|omission| omission.reason.contains("48 MB")));
}

#[test]
fn many_operations_of_one_heavy_schema_take_bounded_time() {
    let properties: Map<String, Value> = (0..200)
        .map(|n| (format!("p{n}"), json!({"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Heavy"}}})))
        .collect();
    let mut source = with_schema(json!({}), json!({"Heavy": {"type": "object", "properties": properties}}));
    let body = json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Heavy"}}}});
    source["paths"] = (0..50).map(|n| (format!("/p{n}"), json!({"post": {"requestBody": body}}))).collect::<Map<_, _>>().into();
    let made = import_value(source, &ImportOptions::default()).unwrap();
    assert_eq!(made.definition.actions.len(), 50);
}

/// Words that documents use, so that random documents reach the code behind them.
const KEYS: [&str; 58] = [
    "paths",
    "/a",
    "/a/{b}",
    "get",
    "post",
    "put",
    "trace",
    "parameters",
    "requestBody",
    "responses",
    "200",
    "content",
    "application/json",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
    "schema",
    "components",
    "schemas",
    "A",
    "B",
    "properties",
    "items",
    "allOf",
    "oneOf",
    "anyOf",
    "not",
    "type",
    "enum",
    "required",
    "nullable",
    "default",
    "example",
    "$ref",
    "name",
    "in",
    "description",
    "security",
    "securitySchemes",
    "flows",
    "authorizationCode",
    "scopes",
    "authorizationUrl",
    "servers",
    "url",
    "variables",
    "operationId",
    "tags",
    "additionalProperties",
    "format",
    "pattern",
    "minimum",
    "exclusiveMinimum",
    "consumes",
    "host",
    "callbacks",
    "webhooks",
    "style",
    "encoding",
];
const TEXTS: [&str; 28] = [
    "",
    "object",
    "array",
    "string",
    "integer",
    "any",
    "#/components/schemas/A",
    "#/components/schemas/B",
    "#",
    "#/paths",
    "x.yaml",
    "query",
    "path",
    "header",
    "cookie",
    "body",
    "formData",
    "https://example.org",
    "{x}",
    "https://{a}.example.org/{b}",
    "apiKey",
    "oauth2",
    "http",
    "bearer",
    "{",
    "}",
    "([",
    "é\u{0}\u{7f}",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
        proptest::sample::select(&TEXTS[..]).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 96, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(&KEYS[..]), inner), 0..6).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

/// A document whose every part is replaced by anything.
fn document() -> impl Strategy<Value = Value> {
    (prop_oneof![Just("3.0.0"), Just("3.1.0"), Just("2.0")], value(), value(), value(), value(), value(), value()).prop_map(
        |(version, parameter, schema, other, scheme, server, operation)| {
            let key = if version == "2.0" { "swagger" } else { "openapi" };
            json!({
                key: version, "info": {"title": "t", "description": other},
                "servers": server, "host": "example.org", "security": [scheme],
                "paths": {
                    "/a/{b}": {
                        "parameters": [parameter, {"name": "b", "in": parameter, "schema": schema}, {"name": "c", "in": "query", "schema": schema, "style": other}],
                        "post": {"requestBody": {"content": {"application/json": {"schema": schema}}}, "responses": {"200": {"content": {"application/json": {"schema": other}}}}, "security": scheme},
                        "put": operation,
                        "get": {"parameters": parameter, "tags": other, "operationId": other},
                        "patch": {"parameters": [{"name": "x", "in": "body", "schema": schema}, {"name": "y", "in": "formData", "type": other}]},
                    },
                    "/x": operation,
                },
                "components": {"schemas": {"A": schema, "B": other}, "securitySchemes": {"s": scheme, "t": {"type": "oauth2", "flows": other}}},
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_value_is_answered(value in value()) {
        drop(import_value(value, &ImportOptions::default()));
    }

    #[test]
    fn any_document_is_answered_whole(document in document()) {
        let options = ImportOptions { base_url: Some("https://example.org".into()), ..Default::default() };
        let Ok(made) = import_value(document, &options) else { return Ok(()) };
        for action in made.definition.actions.values() {
            for param in action.params.values() {
                let schema = param.json_schema();
                prop_assert!(jsonschema::validator_for(&schema).is_ok(), "{schema}");
            }
        }
        prop_assert!(amalgam_connector::check(&made.definition).is_empty());
        prop_assert!(made.definition.actions.len() + made.omitted.len() >= 3);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        drop(read(&text));
    }
}
