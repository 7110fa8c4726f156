//! Content negotiation: what `Accept` allows us to answer, and whether `Content-Type` declares JSON.

/// What a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// `application/json` may be sent.
    pub json: bool,
    /// `text/event-stream` may be sent. Where not, the endpoint answers 406 (docs/mcp.md, section "Headers").
    pub event_stream: bool,
}

/// Reads an `Accept` header (several copies joined by commas). Without a header nothing is allowed, which is stricter than
/// RFC 9110 and what the product documents.
///
/// The most specific range decides (RFC 9110, section 12.5.1), so that `*/*, text/event-stream;q=0` excludes event streams.
#[must_use]
pub fn accepts(header: Option<&str>) -> Accept {
    // What the clients of MCP send.
    if header == Some("application/json, text/event-stream") {
        return Accept { json: true, event_stream: true };
    }
    let mut json = Verdict::default();
    let mut event_stream = Verdict::default();
    for range in header.unwrap_or_default().split(',') {
        let mut parts = range.split(';');
        let kind = parts.next().unwrap_or_default().trim();
        let allowed = !parts.any(is_zero_quality);
        json.hear(kind, "application", "json", allowed);
        event_stream.hear(kind, "text", "event-stream", allowed);
    }
    Accept { json: json.allowed, event_stream: event_stream.allowed }
}

/// Whether a `Content-Type` value is JSON in UTF-8: `application/json`, with no `charset` or that one.
#[must_use]
pub fn content_type_is_json(value: &str) -> bool {
    let mut parts = value.split(';');
    let kind = parts.next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, charset)) if name.trim().eq_ignore_ascii_case("charset") => {
                let charset = charset.trim().trim_matches('"');
                charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
            }
            _ => true,
        })
}

/// The answer for one media type so far, and how specific the range was that gave it.
#[derive(Clone, Copy, Default)]
struct Verdict {
    specificity: u8,
    allowed: bool,
}

impl Verdict {
    fn hear(&mut self, range: &str, kind: &str, subtype: &str, allowed: bool) {
        let Some((range_kind, range_subtype)) = range.split_once('/') else {
            return;
        };
        let specificity = match (range_kind, range_subtype) {
            ("*", "*") => 1,
            (a, "*") if a.eq_ignore_ascii_case(kind) => 2,
            (a, b) if a.eq_ignore_ascii_case(kind) && b.eq_ignore_ascii_case(subtype) => 3,
            _ => return,
        };
        if specificity > self.specificity {
            *self = Self { specificity, allowed };
        } else if specificity == self.specificity {
            // The same range twice is a client's mistake; being lenient costs nothing.
            self.allowed |= allowed;
        }
    }
}

/// `q=0`, `q=0.`, `q=0.000`: "not acceptable". A weight that is not a number is taken as no weight.
fn is_zero_quality(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
    })
}
