//! Event streams, wherever they are cut.

use amalgam_protocol::sse::{Decoder, Event, Unreadable};
use proptest::prelude::*;

fn all(limit: usize, pieces: &[&[u8]]) -> Result<Vec<Event>, Unreadable> {
    let mut decoder = Decoder::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut events)?;
    }
    Ok(events)
}

fn event(name: &str, data: &str, id: Option<&str>) -> Event {
    Event { name: name.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
}

const STREAM: &[u8] =
    "\u{feff}: hello\r\nid: 1\ndata:\n\nevent: message\ndata: {\"a\":\ndata:  1}\r\n\r\nretry: 250\ndata: x\rid: ö\r\rdata: lost"
        .as_bytes();

#[test]
fn every_field_and_every_line_ending() {
    let expected = [event("message", "", Some("1")), event("message", "{\"a\":\n 1}", Some("1")), event("message", "x", Some("ö"))];
    assert_eq!(all(100, &[STREAM]).unwrap(), expected);
    let mut decoder = Decoder::new(100);
    decoder.feed(STREAM, &mut Vec::new()).unwrap();
    assert_eq!(decoder.retry_ms(), Some(250));
}

#[test]
fn what_is_too_large_or_no_text_ends_it() {
    assert_eq!(all(10, &[b"data: 12345"]), Err(Unreadable::TooLarge(10)));
    assert_eq!(
        all(10, &[b"data: 1\n", b"data: 1\n", b"data: 12345\n"]),
        Err(Unreadable::TooLarge(10)),
        "lines of one event count together"
    );
    assert_eq!(all(10, &[&b": ".repeat(100)]), Err(Unreadable::TooLarge(10)));
    assert_eq!(all(10, &[b"data: \xff\n\n"]), Err(Unreadable::NotUtf8));
    assert_eq!(all(10, &[&b"data: 1\n\n".repeat(1000)]).unwrap().len(), 1000, "the limit is for one event");
}

proptest! {
    #[test]
    fn the_cuts_do_not_matter(at in proptest::collection::vec(0..STREAM.len(), 0..6)) {
        let mut at = at;
        at.push(STREAM.len());
        at.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for end in at {
            pieces.push(&STREAM[start..end]);
            start = end;
        }
        prop_assert_eq!(all(100, &pieces), all(100, &[STREAM]));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = all(50, &[&bytes]);
    }
}
