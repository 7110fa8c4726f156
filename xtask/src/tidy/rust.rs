//! Rules for a single Rust file.

use super::source::{Source, closing, words};
use super::tree::Tree;
use super::{Finding, Rule};

const LONGEST_FILE: usize = 500;
/// No exception reaches beyond this.
const TOO_LONG_FILE: usize = 800;
const LONGEST_FUNCTION: usize = 80;

const FILE_LENGTH: Rule = Rule {
    name: "file-length",
    why: "a file is read whole, and past 500 lines nobody does",
    way_out: "split it by what its parts know; an exception needs a reason and stays under 800 lines",
};
/// The same limit where no exception counts: its name stands in no entry that could be written.
const FILE_TOO_LONG: Rule = Rule { name: "file-far-too-long", why: FILE_LENGTH.why, way_out: "split it by what its parts know" };
const FUNCTION_LENGTH: Rule = Rule {
    name: "function-length",
    why: "a function that does not fit a screen does more than one thing",
    way_out: "give the steps names of their own",
};
const MODULE_DOC: Rule = Rule {
    name: "module-doc",
    why: "the first line is what tells a reader whether to read on",
    way_out: "open the file with one `//!` line",
};
const ALLOW: Rule = Rule {
    name: "allow-attribute",
    why: "an `allow` stays when its reason is gone",
    way_out: "write #[expect(lint, reason = \"…\")], or do what the lint asks",
};
const IGNORED: Rule = Rule {
    name: "ignored-test",
    why: "a test that never runs proves nothing and looks as if it did",
    way_out: "make it run, or delete it",
};
const UNFINISHED: Rule = Rule {
    name: "unfinished",
    why: "what is not done is not merged",
    way_out: "finish it, or write down in plain words what is deliberately absent",
};
const SLEEP: Rule = Rule {
    name: "sleep-in-tests",
    why: "a sleep is too long on a fast machine and too short on a slow one",
    way_out: "wait for the event itself, or poll it against a deadline",
};
const SQL: Rule = Rule {
    name: "sql-outside-store",
    why: "tenancy is kept by the store's functions, which take a scope",
    way_out: "add a function to src/store/<noun>.rs and call it",
};

/// Checks every Rust file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending(".rs") {
        let source = Source::new(file);
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            let rule = if lines > TOO_LONG_FILE { &FILE_TOO_LONG } else { &FILE_LENGTH };
            findings.push(rule.at(&file.path, LONGEST_FILE + 1, format!("the file has {lines} lines, more than {LONGEST_FILE}")));
        }
        if !file.text.starts_with("//! ") {
            findings.push(MODULE_DOC.at(&file.path, 1, "the file does not begin with `//! `"));
        }
        findings.extend(bans(&source));
        findings.extend(long_functions(&source));
    }
    findings
}

/// What may not be written, and where.
fn bans(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut ban = |rule: &'static Rule, text: &str, needle: &str, only_tests: bool| {
        for at in words(text, needle).filter(|at| !only_tests || source.is_test(*at)) {
            let shown = needle.trim_end_matches(['(', ':']);
            findings.push(rule.at(source.path, source.line(at), format!("`{shown}` stands here")));
        }
    };
    for needle in ["#[allow(", "#![allow("] {
        ban(&ALLOW, &source.code, needle, false);
    }
    for needle in ["#[ignore]", "#[ignore ="] {
        ban(&IGNORED, &source.code, needle, false);
    }
    for needle in ["todo!", "unimplemented!"] {
        ban(&UNFINISHED, &source.code, needle, false);
    }
    for needle in [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")] {
        ban(&UNFINISHED, &source.comments, needle, false);
    }
    for needle in ["sleep(", "sleep_until("] {
        ban(&SLEEP, &source.code, needle, true);
    }
    if source.path.starts_with("crates/server/src/") && !source.path.starts_with("crates/server/src/store/") {
        for needle in ["sqlx::query", "sqlx::raw_sql", "sqlx::QueryBuilder"] {
            let end = if needle.ends_with("query") { ["", "_as", "_scalar", "_with", "_as_with"].as_slice() } else { &[""] };
            for ending in end {
                ban(&SQL, &source.code, &format!("{needle}{ending}"), false);
            }
        }
    }
    findings
}

fn long_functions(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for start in words(&source.code, "fn") {
        let Some(open) = body_of(&source.code, start) else {
            continue;
        };
        let (first, last) = (source.line(start), source.line(closing(&source.code, open)));
        let lines = last - first + 1;
        if lines > LONGEST_FUNCTION {
            findings.push(FUNCTION_LENGTH.at(source.path, first, format!("the function has {lines} lines, more than {LONGEST_FUNCTION}")));
        }
    }
    findings
}

/// The brace that opens the body of the function whose `fn` stands at `start`; none for a declaration or a function's type.
fn body_of(code: &str, start: usize) -> Option<usize> {
    let rest = code.get(start + 2..)?;
    // `fn(` is a type, not an item.
    if rest.trim_start().starts_with('(') {
        return None;
    }
    let mut depth = 0_usize;
    for (index, byte) in rest.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'{' if depth == 0 => return Some(start + 2 + index),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name of the rule and line of each finding.
    fn found(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        check(&Tree::of(&[(path, text)])).iter().map(|finding| (finding.rule.name, finding.line)).collect()
    }

    #[test]
    fn a_clean_file_has_no_findings() {
        assert_eq!(found("src/a.rs", "//! A.\n// It says \"#[allow(x)]\" and todo!() here.\nconst A: &str = \"#[ignore] todo!()\";\n"), []);
    }

    #[test]
    fn lengths() {
        assert_eq!(found("a.rs", &format!("//! A.\n{}", "\n".repeat(499))), []);
        assert_eq!(found("a.rs", &format!("//! A.\n{}", "\n".repeat(500))), [("file-length", 501)]);
        assert_eq!(found("a.rs", &format!("//! A.\n{}", "\n".repeat(800))), [("file-far-too-long", 501)]);
        assert_eq!(found("a.rs", &format!("//! A.\nfn a() {{{}}}", "\n".repeat(79))), []);
        assert_eq!(found("a.rs", &format!("//! A.\nfn a(f: fn(u8)) -> [u8; 2]\n{{{}}}", "\n".repeat(79))), [("function-length", 2)]);
    }

    #[test]
    fn banned_words() {
        assert_eq!(found("a.rs", "fn a() {}"), [("module-doc", 1)]);
        assert_eq!(found("a.rs", "//! A.\n#[allow(dead_code)]\nfn a() { todo!() }"), [("allow-attribute", 2), ("unfinished", 3)]);
        assert_eq!(found("a.rs", &format!("//! A.\n// {}: more.\n", concat!("FIX", "ME"))), [("unfinished", 2)]);
        assert_eq!(found("a.rs", "//! A.\n#[ignore = \"slow\"]\nfn a() {}"), [("ignored-test", 2)]);
    }

    #[test]
    fn sleeping_is_for_programs() {
        assert_eq!(
            found("crates/a/src/a.rs", "//! A.\nfn a() { sleep(1) }\n#[cfg(test)]\nmod tests { fn b() { sleep(1) } }"),
            [("sleep-in-tests", 4)]
        );
        assert_eq!(found("crates/a/tests/a.rs", "//! A.\nfn a() { tokio::time::sleep(x) }"), [("sleep-in-tests", 2)]);
    }

    #[test]
    fn sql_lives_in_the_store() {
        let text = "//! A.\nfn a() { sqlx::query_as::<A, B>(\"select 1\") }";
        assert_eq!(found("crates/server/src/api/a.rs", text), [("sql-outside-store", 2)]);
        assert_eq!(found("crates/server/src/store/a.rs", text), []);
        assert_eq!(found("crates/server/src/error.rs", "//! A.\nfn a(e: sqlx::Error) {}"), []);
    }
}
