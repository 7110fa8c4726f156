//! Each type that the OpenAPI document describes has a name of its own there.

use std::collections::BTreeMap;

use super::source::{Source, closing, words};
use super::tree::Tree;
use super::{Finding, Rule};

const NAME: Rule = Rule {
    name: "schema-name",
    why: "of two schemas with one name the document keeps one, and describes every answer of the other type wrongly",
    way_out: "give one of the types another name, or `#[schema(as = Name)]`",
};

/// Checks every type that derives `ToSchema`.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in tree.ending(".rs").filter(|file| file.text.contains("ToSchema")) {
        let source = Source::new(file);
        for (at, name) in schemas(&source.code) {
            if source.is_test(at) {
                continue;
            }
            let line = source.line(at);
            match known.get(&name) {
                Some(first) => findings.push(NAME.at(&file.path, line, format!("the schema `{name}` is that of {first} too"))),
                None => drop(known.insert(name, format!("{}:{line}", file.path))),
            }
        }
    }
    findings
}

/// The names of the schemas that a file derives, each with the place of its type.
fn schemas(code: &str) -> Vec<(usize, String)> {
    let (mut found, mut seen) = (Vec::new(), 0);
    for (start, _) in code.match_indices("#[") {
        // The attributes of one item are read together, from its first one on.
        if start < seen {
            continue;
        }
        let mut attributes = Vec::new();
        let mut at = start;
        while code.get(at..).is_some_and(|rest| rest.starts_with("#[")) {
            let end = (closing(code, at + 1) + 1).min(code.len());
            attributes.extend(code.get(at + "#[".len()..end));
            let rest = code.get(end..).unwrap_or_default();
            at = end + rest.len() - rest.trim_start().len();
        }
        seen = at;
        if attributes.iter().any(|attribute| attribute.starts_with("derive") && words(attribute, "ToSchema").next().is_some()) {
            let given = attributes.iter().filter(|attribute| attribute.starts_with("schema")).find_map(|attribute| given_name(attribute));
            found.extend(given.or_else(|| own_name(code.get(at..)?)).map(|name| (at, name.to_owned())));
        }
    }
    found
}

/// `Name` of `schema(as = Name)`.
fn given_name(attribute: &str) -> Option<&str> {
    let value = words(attribute, "as").find_map(|at| attribute.get(at + "as".len()..)?.trim_start().strip_prefix('='))?;
    value.split([',', ')']).next().map(str::trim)
}

/// `Name` of `pub struct Name`.
fn own_name(item: &str) -> Option<&str> {
    let mut names = item.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty());
    names.find(|name| matches!(*name, "struct" | "enum"))?;
    names.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Path, line and text of each finding.
    fn found(files: &[(&str, &str)]) -> Vec<(String, usize, String)> {
        check(&Tree::of(files)).into_iter().map(|finding| (finding.path, finding.line, finding.what)).collect()
    }

    #[test]
    fn two_types_do_not_share_a_schema() {
        let step = "#[derive(Serialize, utoipa::ToSchema)]\n#[serde(rename_all = \"camelCase\")]\npub struct Step {\n";
        let both = found(&[("a.rs", step), ("b.rs", "/// A.\n#[derive(ToSchema)]\nenum Step {}")]);
        assert_eq!(both, [("b.rs".to_owned(), 3, "the schema `Step` is that of a.rs:3 too".to_owned())]);
        assert_eq!(found(&[("a.rs", step), ("b.rs", "#[derive(Serialize)]\nstruct Step;")]), []);
        assert_eq!(found(&[("a.rs", step), ("b.rs", "#[cfg(test)]\nmod tests {\n#[derive(ToSchema)]\nstruct Step;\n}")]), []);
    }

    #[test]
    fn a_given_name_counts() {
        let step = "#[derive(ToSchema)]\nstruct Step {\n#[schema(value_type = Object)]\na: u8 }\n";
        assert_eq!(found(&[("a.rs", step), ("b.rs", "#[derive(ToSchema)]\n#[schema(as = Other)]\npub(super) struct Step;")]), []);
        for other in [
            "#[derive(ToSchema)]\n#[schema(example = 1, as = Step)]\nstruct Other;",
            "#[schema(as=Step)] #[derive(ToSchema)] enum Other {}",
        ] {
            assert_eq!(found(&[("a.rs", step), ("b.rs", other)]).len(), 1, "{other}");
        }
    }
}
