//! Bytes become a value: JSON or YAML by content, within limits of size, depth and number of nodes.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::ImportError;

/// The longest document that is read.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most values in a document, those of replayed YAML aliases included.
const MAX_NODES: usize = 3_000_000;
/// The most text in a document, that of replayed YAML aliases included.
const MAX_TEXT: usize = 2 * MAX_BYTES;
/// The stack of the thread that reads YAML: its parser takes some 20 KB a level in a debug build.
const YAML_STACK: usize = 16 * 1024 * 1024;
/// The deepest nesting. Vendors' documents stay under 40; `serde_json` itself stops at 128.
const MAX_DEPTH: usize = 120;

/// The most keys that are named because they occur twice.
const MAX_REPEATED: usize = 200;

/// A text that was read, and the keys that stand twice in one of its mappings (the last one counts).
#[derive(Debug)]
pub struct Source {
    /// What it holds.
    pub value: Value,
    /// At most 200 keys that stand twice, each as the way to it from the top: `["paths", "/pets"]`.
    pub repeated: Vec<Vec<String>>,
}

/// Reads a document. JSON when the first visible character is `{` or `[`, else YAML.
pub(super) fn parse(source: &[u8]) -> Result<Source, ImportError> {
    if source.len() > MAX_BYTES {
        return Err(ImportError::new("The document is larger than 64 MB; import the part of it that you need."));
    }
    let text = std::str::from_utf8(source).map_err(|error| {
        let line = source.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        ImportError::new(format!("The document is not UTF-8 text (line {line}); save it as UTF-8 and import it again."))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim_start().as_bytes().first() {
        None => Err(ImportError::new("The document is empty; send an OpenAPI document as JSON or YAML.")),
        Some(b'<') => {
            Err(ImportError::new("This looks like a web page or XML (line 1); send the OpenAPI document itself as JSON or YAML."))
        }
        Some(b'{' | b'[') => json(text),
        Some(_) => on_a_large_stack(text),
    }
}

/// Refuses a value that is nested too deeply to be walked safely, and takes it apart without recursion.
pub(super) fn check_depth(value: Value) -> Result<Value, ImportError> {
    let mut open = vec![(&value, 0_usize)];
    let mut too_deep = false;
    while let Some((node, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            too_deep = true;
            break;
        }
        match node {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => open.extend(map.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    if !too_deep {
        return Ok(value);
    }
    let mut parts = vec![value];
    while let Some(part) = parts.pop() {
        match part {
            Value::Array(items) => parts.extend(items),
            Value::Object(map) => parts.extend(map.into_iter().map(|(_, item)| item)),
            _ => {}
        }
    }
    Err(ImportError::new(format!("The document is nested deeper than {MAX_DEPTH} levels; flatten it and import it again.")))
}

fn json(text: &str) -> Result<Source, ImportError> {
    // Three million values take some 400 MB before they are counted one by one, so a document of more is not even begun.
    if values_at_least(text) > MAX_NODES {
        return Err(ImportError::new("The JSON has more than 3 million values; import the part of it that you need."));
    }
    let meter = Meter::default();
    let tree = Tree { meter: &meter, depth: 0, at: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = tree.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        ImportError::new(format!(
            "The JSON cannot be read at line {line}, column {column} ({reason}); correct it there and import it again."
        ))
    })?;
    Ok(Source { value, repeated: meter.repeated.into_inner() })
}

/// No more values and keys than a JSON text holds: each follows a comma, a colon or an opening bracket outside of strings.
fn values_at_least(text: &str) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' | b':' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// Reads YAML in a thread of its own, so that the depth allowed does not hang on the caller's stack.
fn on_a_large_stack(text: &str) -> Result<Source, ImportError> {
    let failed = || ImportError::new("The YAML cannot be read; convert it to JSON and import that.");
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(YAML_STACK).spawn_scoped(scope, || yaml(text));
        reader.map_err(|_| failed())?.join().map_err(|_| failed())?
    })
}

fn yaml(text: &str) -> Result<Source, ImportError> {
    let meter = Meter::default();
    let tree = Tree { meter: &meter, depth: 0, at: None };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_total_scalar_bytes: MAX_TEXT,
            max_documents: 1,
            flow_nesting_limit: MAX_DEPTH,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        // YAML 1.2, which OpenAPI prescribes: `on` and `no` are words, not truth values.
        strict_booleans: true,
        with_snippet: false,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
    };
    let value =
        serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| tree.deserialize(reader)).map_err(|error| {
            let place = error.location().map_or_else(String::new, |place| format!(" at line {}, column {}", place.line(), place.column()));
            let reason = plainly(&error.to_string());
            ImportError::new(format!("The YAML cannot be read{place} ({reason}); correct it there and import it again."))
        })?;
    Ok(Source { value, repeated: meter.repeated.into_inner() })
}

/// The parser's reason in words for people. It names a limit that is exceeded by its own type, which it does not hand out.
fn plainly(reason: &str) -> String {
    let limits = [
        ("{ depth", "it is nested deeper than 120 levels"),
        ("recursion limit", "it is nested deeper than 120 levels"),
        ("total_scalar_bytes", "its texts are too long together"),
        ("{ documents", "it holds several documents, and one is read"),
        ("{ events", "it has more than 3 million values"),
        ("{ nodes", "it has more than 3 million values"),
        ("budget breached", "its anchors and aliases stand for too much; write out what is meant"),
    ];
    if let Some((_, words)) = limits.iter().find(|(mark, _)| reason.contains(mark)) {
        return (*words).to_owned();
    }
    let reason = reason.split(" at line ").next().unwrap_or_default();
    reason.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// What has been read so far.
#[derive(Default)]
struct Meter {
    nodes: Cell<usize>,
    text: Cell<usize>,
    repeated: RefCell<Vec<Vec<String>>>,
}

impl Meter {
    fn count<E: serde::de::Error>(&self, text: usize) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        self.text.set(self.text.get().saturating_add(text));
        if self.nodes.get() > MAX_NODES {
            return Err(E::custom("the document has more than 3 million values"));
        }
        if self.text.get() > MAX_TEXT {
            return Err(E::custom("the document grows too large when its aliases are expanded"));
        }
        Ok(())
    }
}

/// Builds a value as `serde_json` would, but counts, bounds the depth, and knows no magic keys.
#[derive(Clone, Copy)]
struct Tree<'m> {
    meter: &'m Meter,
    depth: usize,
    at: Option<&'m Step<'m>>,
}

/// One step of the way from the top of a document to a value.
struct Step<'s> {
    before: Option<&'s Step<'s>>,
    key: &'s str,
}

impl Step<'_> {
    fn way(&self) -> Vec<String> {
        let mut way: Vec<String> = std::iter::successors(Some(self), |step| step.before).map(|step| step.key.to_owned()).collect();
        way.reverse();
        way
    }
}

impl Tree<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.meter.count(0)?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.meter.count(0)?;
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.meter.count(0)?;
        Ok(Value::Number(value.into()))
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.meter.count(0)?;
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.meter.count(value.len())?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.meter.count(value.len())?;
        Ok(Value::String(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.meter.count(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.inner()?.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.meter.count(0)?;
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.meter.count(0)?;
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.meter.count::<A::Error>(key.len())?;
            // A stored definition is read again, and then such a name would mean something to `serde_json`.
            if key.starts_with("$serde_json::private::") {
                return Err(serde::de::Error::custom("a key starts with the reserved `$serde_json::private::`"));
            }
            let step = Step { before: self.at, key: &key };
            let value = entries.next_value_seed(Tree { at: Some(&step), ..inner })?;
            if map.contains_key(&key) {
                let mut repeated = self.meter.repeated.borrow_mut();
                if repeated.len() < MAX_REPEATED {
                    repeated.push(step.way());
                }
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
