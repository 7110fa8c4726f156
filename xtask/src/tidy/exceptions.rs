//! `xtask/tidy.toml`: which file may break which rule, and why. An entry that excepts nothing is itself a finding.

use super::tree::Tree;
use super::{Finding, Rule};

const PATH: &str = "xtask/tidy.toml";

const UNUSED: Rule = Rule {
    name: "unused-exception",
    why: "an exception that nothing needs hides the next one that nobody agreed to",
    way_out: "remove the entry from xtask/tidy.toml",
};

/// An entry of the file.
struct Exception {
    rule: String,
    path: String,
    line: usize,
}

/// The findings that no exception covers.
///
/// # Errors
/// A file of exceptions that cannot be understood.
pub fn apply(tree: &Tree, findings: Vec<Finding>) -> Result<Vec<Finding>, String> {
    let exceptions = read(tree.text(PATH).unwrap_or_default())?;
    let covers = |exception: &Exception, finding: &Finding| exception.rule == finding.rule.name && exception.path == finding.path;
    let unused = exceptions.iter().filter(|exception| !findings.iter().any(|finding| covers(exception, finding)));
    let unused: Vec<_> =
        unused.map(|exception| UNUSED.at(PATH, exception.line, format!("{} keeps `{}`", exception.path, exception.rule))).collect();
    let mut left: Vec<_> = findings.into_iter().filter(|finding| !exceptions.iter().any(|exception| covers(exception, finding))).collect();
    left.extend(unused);
    Ok(left)
}

fn read(text: &str) -> Result<Vec<Exception>, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{PATH}: {error}"))?;
    let Some(entries) = table.get("exception") else {
        return Ok(Vec::new());
    };
    let malformed = || format!("{PATH}: each [[exception]] has `rule`, `path` and `reason`, texts that are not empty");
    // The parser keeps no places; the order of the headers is the order of the entries.
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim() == "[[exception]]").map(|(index, _)| index + 1);
    let entries = entries.as_array().ok_or_else(malformed)?;
    let entries = entries.iter().zip(lines.chain(std::iter::repeat(1)));
    entries
        .map(|(entry, line)| {
            let text = |key| entry.get(key).and_then(toml::Value::as_str).filter(|text| !text.trim().is_empty()).ok_or_else(malformed);
            text("reason")?;
            Ok(Exception { rule: text("rule")?.to_owned(), path: text("path")?.to_owned(), line })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Rule = Rule { name: "some", why: "", way_out: "" };

    #[test]
    fn an_exception_covers_one_rule_in_one_file() {
        let text = "[[exception]]\nrule = \"some\"\npath = \"a.rs\"\nreason = \"it is old\"\n";
        let tree = Tree::of(&[(PATH, text)]);
        let left = apply(&tree, vec![SOME.at("a.rs", 1, ""), SOME.at("b.rs", 1, "")]).unwrap();
        assert_eq!(left.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(), ["b.rs"]);
        let left = apply(&tree, Vec::new()).unwrap();
        assert_eq!(left.iter().map(|finding| (finding.rule.name, finding.line)).collect::<Vec<_>>(), [("unused-exception", 1)]);
    }

    #[test]
    fn an_exception_needs_a_reason() {
        let tree = Tree::of(&[(PATH, "[[exception]]\nrule = \"some\"\npath = \"a.rs\"\n")]);
        assert!(apply(&tree, Vec::new()).is_err_and(|message| message.contains("reason")));
    }
}
