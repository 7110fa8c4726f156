//! Negotiation by `Accept` and `Content-Type`.

use amalgam_protocol::accept::{accepts, content_type_is_json};
use proptest::prelude::*;

#[test]
fn accept_table() {
    for (header, json, event_stream) in [
        ("application/json, text/event-stream", true, true),
        ("application/json,text/event-stream", true, true),
        ("*/*", true, true),
        ("text/*", false, true),
        ("application/*;q=0.5, text/event-stream;q=0.1", true, true),
        ("TEXT/Event-Stream", false, true),
        ("application/json", true, false),
        ("text/html", false, false),
        ("text/html, */*;q=0.8", true, true),
        ("*/*, text/event-stream;q=0", true, false),
        ("*/*;q=0, text/event-stream", false, true),
        ("text/*;q=0, */*", true, false),
        ("text/event-stream; q=0.000", false, false),
        ("text/event-stream;q=nonsense", false, true),
        ("text/event-stream;charset=utf-8;q=1", false, true),
        ("text/event-streams", false, false),
        ("", false, false),
        (",,;q=1", false, false),
    ] {
        let accept = accepts(Some(header));
        assert_eq!((accept.json, accept.event_stream), (json, event_stream), "{header}");
    }
    assert_eq!(accepts(None), accepts(Some("")));
}

#[test]
fn content_type_table() {
    for yes in ["application/json", "Application/JSON ; charset=utf-8", "application/json;charset=\"UTF-8\"", "application/json;v=1"] {
        assert!(content_type_is_json(yes), "{yes}");
    }
    for no in ["", "text/json", "application/jsonx", "application/json;charset=utf-16", "application/json, text/plain", "text/plain"] {
        assert!(!content_type_is_json(no), "{no}");
    }
}

proptest! {
    #[test]
    fn any_text_does_no_harm(text in any::<String>()) {
        let _ = accepts(Some(&text));
        let _ = content_type_is_json(&text);
    }
}
