//! Rules for what is not Rust: dependencies, lock files, migrations, the change log, and what must not stand in any file.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{File, Tree};
use super::{Finding, Rule};

const MIGRATIONS: &str = "crates/server/migrations/";

const WHY: Rule = Rule {
    name: "dependency-why",
    why: "a dependency is code that we answer for, so that someone must have wanted it",
    way_out: "end its line in Cargo.toml with `# why`",
};
const SHARED: Rule = Rule {
    name: "shared-dependency",
    why: "one list of versions and features keeps the crates from drifting apart",
    way_out: "add it to [workspace.dependencies] of the root Cargo.toml and write `name.workspace = true`",
};
const LOCK: Rule =
    Rule { name: "lock-file", why: "without it two machines build two programs", way_out: "run `cargo build` and commit Cargo.lock" };
const SOURCE: Rule = Rule {
    name: "package-source",
    why: "a lock file or setting that names another place installs only for those who can reach it",
    way_out: "make it again against the public registry",
};
const MACHINE: Rule = Rule {
    name: "machine-path",
    why: "a path of one machine is wrong on every other",
    way_out: "write a path from the repository's folder, or ask the environment",
};
const NUMBERS: Rule = Rule {
    name: "migration-order",
    why: "a released migration is never changed, skipped or inserted before another; and both databases have the same",
    way_out: "name it NNNN_words.sql with the next number",
};
const CHANGELOG: Rule =
    Rule { name: "changelog", why: "whoever upgrades reads it first", way_out: "keep a section `## [Unreleased]` in CHANGELOG.md" };

/// Checks the project's files.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = dependencies(tree);
    if !tree.paths.contains("Cargo.lock") {
        findings.push(LOCK.at("Cargo.lock", 1, "the file is missing"));
    }
    if !tree.text("CHANGELOG.md").unwrap_or_default().lines().any(|line| line.starts_with("## ") && line.contains("Unreleased")) {
        findings.push(CHANGELOG.at("CHANGELOG.md", 1, "there is no section for what is not released"));
    }
    findings.extend(migrations(tree));
    for file in &tree.files {
        findings.extend(sources(file));
        findings.extend(machine_paths(file));
    }
    findings
}

/// The dependencies of the workspace, and those of its members.
fn dependencies(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending("Cargo.toml") {
        // The fuzz targets and the fixtures are workspaces of their own.
        let is_root = file.text.lines().any(|line| line.trim().starts_with("[workspace"));
        let mut section = "";
        for (index, line) in file.text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with('[') {
                section = line.trim_matches(['[', ']']);
            }
            let is_entry = section.ends_with("dependencies") && !line.is_empty() && !line.starts_with(['#', '[']);
            if !is_entry {
                continue;
            }
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if is_root && !line.contains("path = ") && !line.contains(" # ") {
                findings.push(WHY.at(&file.path, index + 1, format!("`{name}` has no why")));
            }
            if !is_root && !line.contains("workspace = true") {
                findings.push(SHARED.at(&file.path, index + 1, format!("`{name}` has a version of its own")));
            }
        }
    }
    findings
}

/// Lock files and settings that name a registry other than the public one.
fn sources(file: &File) -> Vec<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let is_foreign: fn(&str) -> bool = match name {
        "Cargo.lock" => |line| line.starts_with("source = ") && !line.contains("\"registry+https://github.com/rust-lang/crates.io-index\""),
        "package-lock.json" => |line| line.starts_with("\"resolved\"") && !line.contains("\"https://registry.npmjs.org/"),
        "config.toml" => |line| line.starts_with("[source") || line.starts_with("[registr") || line.starts_with("replace-with"),
        ".npmrc" | "pip.conf" => |line| line.contains("registry") || line.contains("index-url"),
        _ if name.starts_with("requirements") => |line| line.starts_with('-') && !line.starts_with("-r ") || line.contains("://"),
        _ => return Vec::new(),
    };
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| is_foreign(line.trim()))
        .map(|(index, _)| SOURCE.at(&file.path, index + 1, "a package comes from here"))
        .collect()
}

/// Absolute paths that exist on the machine of whoever wrote them.
fn machine_paths(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for folder in ["work", "root", "Users"] {
            let needle = format!("/{folder}/");
            let stands_alone =
                |at: usize| line.get(..at).and_then(|before| before.chars().next_back()).is_none_or(|c| " \t\"'`=(,:<>[".contains(c));
            if line.match_indices(&needle).any(|(at, _)| stands_alone(at)) {
                findings.push(MACHINE.at(&file.path, index + 1, format!("a path in /{folder}")));
            }
        }
    }
    findings
}

/// The migrations of each folder are numbered 1, 2, 3 …, and folders side by side hold the same names.
fn migrations(tree: &Tree) -> Vec<Finding> {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in tree.ending(".sql").filter(|file| file.path.starts_with(MIGRATIONS)) {
        if let Some((folder, name)) = file.path.rsplit_once('/') {
            folders.entry(folder).or_default().insert(name);
        }
    }
    let mut findings = Vec::new();
    for (folder, names) in &folders {
        for (index, name) in names.iter().enumerate() {
            let is_next = name.split_once('_').is_some_and(|(number, words)| number == format!("{:04}", index + 1) && words != ".sql");
            if !is_next {
                findings.push(NUMBERS.at(&format!("{folder}/{name}"), 1, format!("{:04}_….sql was expected here", index + 1)));
            }
        }
        for (other, theirs) in &folders {
            for name in theirs.difference(names) {
                findings.push(NUMBERS.at(&format!("{other}/{name}"), 1, format!("{folder} lacks it")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name of the rule, path and line of each finding; the change log and the lock file are there.
    fn found(files: &[(&str, &str)]) -> Vec<(&'static str, String, usize)> {
        let mut all = vec![("Cargo.lock", ""), ("CHANGELOG.md", "# Changes\n\n## [Unreleased]\n")];
        all.extend(files);
        check(&Tree::of(&all)).into_iter().map(|finding| (finding.rule.name, finding.path, finding.line)).collect()
    }

    fn one(rule: &'static str, path: &str, line: usize) -> Vec<(&'static str, String, usize)> {
        vec![(rule, path.to_owned(), line)]
    }

    #[test]
    fn dependencies_have_a_why_and_one_home() {
        let root = "[workspace.dependencies]\nown = { path = \"crates/own\" }\na = \"1\" # because\n";
        assert_eq!(found(&[("Cargo.toml", root), ("crates/a/Cargo.toml", "[dependencies]\na.workspace = true\n")]), []);
        assert_eq!(found(&[("Cargo.toml", "[workspace.dependencies]\na = \"1\"\n")]), one("dependency-why", "Cargo.toml", 2));
        assert_eq!(
            found(&[("crates/a/Cargo.toml", "[dev-dependencies]\na = \"1\"\n")]),
            one("shared-dependency", "crates/a/Cargo.toml", 2)
        );
        let own = "[workspace]\n[dependencies]\na = \"1\" # because\n";
        assert_eq!(found(&[("tests/a/Cargo.toml", own)]), []);
    }

    #[test]
    fn packages_come_from_the_public_registries() {
        assert_eq!(found(&[("a/package-lock.json", "  \"resolved\": \"https://registry.npmjs.org/a\"")]), []);
        assert_eq!(
            found(&[("a/package-lock.json", "\n\"resolved\": \"http://mirror/a\"")]),
            one("package-source", "a/package-lock.json", 2)
        );
        assert_eq!(found(&[("a/requirements.txt", "a==1\n--index-url x")]), one("package-source", "a/requirements.txt", 2));
        assert_eq!(found(&[("fuzz/Cargo.lock", "source = \"git+https://example.com/a\"")]), one("package-source", "fuzz/Cargo.lock", 1));
    }

    #[test]
    fn no_file_knows_a_machine() {
        let path = |folder: &str| format!("see {}{folder}/a", '/');
        assert_eq!(found(&[("a.md", &path("work"))]), one("machine-path", "a.md", 1));
        assert_eq!(found(&[("a.md", "see https://example.com/work/a and net/work/a")]), []);
    }

    #[test]
    fn migrations_are_in_order() {
        let at = |name: &str| format!("{MIGRATIONS}{name}");
        let [one_sql, two, three] = [at("0001_a.sql"), at("0002_b.sql"), at("0003_c.sql")];
        assert_eq!(found(&[(&one_sql, ""), (&two, "")]), []);
        assert_eq!(found(&[(&one_sql, ""), (&three, "")]), one("migration-order", &three, 1));
        let (left, right) = (at("sqlite/0001_a.sql"), at("postgres/0001_b.sql"));
        assert_eq!(found(&[(&left, ""), (&right, "")]).len(), 2);
    }

    #[test]
    fn the_change_log_and_the_lock_file_are_there() {
        let rules: Vec<_> = check(&Tree::default()).iter().map(|finding| finding.rule.name).collect();
        assert_eq!(rules, ["lock-file", "changelog"]);
    }
}
