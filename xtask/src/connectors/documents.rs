//! A vendor's document as it is packed: one JSON or YAML text, or an archive of many that refer to each other.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use amalgam_connector::openapi::read_source;
use flate2::read::GzDecoder;
use serde_json::Value;

/// The longest text that is unpacked.
const LONGEST: u64 = 64 * 1024 * 1024;
/// References that lead to references.
const MAX_HOPS: usize = 50;

/// All texts of one document, by their path in the archive; a single one has the empty path.
pub struct Documents {
    files: BTreeMap<String, Value>,
}

/// A value and the text that it stands in, which its references are relative to.
#[derive(Clone, Copy)]
pub struct Place<'d> {
    /// The text's path.
    pub file: &'d str,
    /// The value.
    pub value: &'d Value,
}

impl<'d> Place<'d> {
    /// A member of it.
    pub fn get(&self, key: &str) -> Option<Self> {
        self.value.get(key).map(|value| Self { value, ..*self })
    }

    /// The items of a list, or nothing.
    pub fn items(self) -> impl Iterator<Item = Self> {
        self.value.as_array().into_iter().flatten().map(move |value| Self { value, ..self })
    }

    /// The members of an object, or nothing.
    pub fn members(self) -> impl Iterator<Item = (&'d str, Self)> {
        self.value.as_object().into_iter().flatten().map(move |(key, value)| (key.as_str(), Self { value, ..self }))
    }

    /// A text in it.
    pub fn text(&self, key: &str) -> &'d str {
        self.value.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Documents {
    /// Reads `name.json.gz`, `name.yaml.gz` or `name.tar.gz`.
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let unpacked = GzDecoder::new(File::open(path).map_err(|error| failed(&error))?);
        let mut files = BTreeMap::new();
        if !path.to_string_lossy().ends_with(".tar.gz") {
            files.insert(String::new(), parse(unpacked).map_err(|error| failed(&error))?);
            return Ok(Self { files });
        }
        let mut archive = tar::Archive::new(unpacked);
        for entry in archive.entries().map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let name = entry.path().map_err(|error| failed(&error))?.to_string_lossy().into_owned();
            // Archives hold other texts too; what refers to one that cannot be read is not compared.
            if [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
                && let Ok(value) = parse(entry)
            {
                files.insert(name, value);
            }
        }
        Ok(Self { files })
    }

    /// One that is in memory already.
    #[cfg(test)]
    pub fn of(value: Value) -> Self {
        Self { files: BTreeMap::from([(String::new(), value)]) }
    }

    /// Every text.
    pub fn roots(&self) -> impl Iterator<Item = Place<'_>> {
        self.files.iter().map(|(file, value)| Place { file, value })
    }

    /// What a value stands for: itself, or the target of its reference.
    pub fn follow<'d>(&'d self, place: Place<'d>) -> Option<Place<'d>> {
        let mut place = place;
        for _ in 0..MAX_HOPS {
            let Some(reference) = place.value.get("$ref").and_then(Value::as_str) else {
                return Some(place);
            };
            if let Some(schema) = self.schema_of_google(place.file, reference) {
                place = schema;
                continue;
            }
            let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            let (file, value) = self.files.get_key_value(&relative(place.file, file))?;
            let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
            place = Place { file, value: value.pointer(&pointer)? };
        }
        None
    }
}

impl Documents {
    /// Google's references are bare names of schemas.
    fn schema_of_google<'d>(&'d self, file: &str, name: &str) -> Option<Place<'d>> {
        let (file, root) = self.files.get_key_value(file)?;
        root.get("discoveryVersion")?;
        Some(Place { file, value: root.get("schemas")?.get(name)? })
    }
}

fn parse(source: impl Read) -> Result<Value, String> {
    let mut text = Vec::new();
    source.take(LONGEST).read_to_end(&mut text).map_err(|error| error.to_string())?;
    read_source(&text).map(|source| source.value).map_err(|error| error.message)
}

/// The path that `target` means in the text at `from`.
fn relative(from: &str, target: &str) -> String {
    if target.is_empty() {
        return from.to_owned();
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn paths_are_relative_to_their_text() {
        assert_eq!(relative("data/api/a.yaml", "../definitions/b.yaml"), "data/definitions/b.yaml");
        assert_eq!(relative("data/api/a.yaml", ""), "data/api/a.yaml");
        assert_eq!(relative("", "b.yaml"), "b.yaml");
    }
}
