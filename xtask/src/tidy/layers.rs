//! The server's modules stand in one order, and each imports only modules to its left. The order is the block ` ```text module-order `
//! of ARCHITECTURE.md. Tests are exempt: they put the whole together.

use std::collections::BTreeSet;

use super::source::{Source, closing, is_test_file, line_of, words};
use super::tree::{File, Tree};
use super::{Finding, Rule};

const PAGE: &str = "ARCHITECTURE.md";
const SERVER: &str = "crates/server/src/";

const ORDER: Rule = Rule {
    name: "module-order",
    why: "modules that import each other in a circle cannot be read, tested or moved one at a time",
    way_out: "move the shared part to the left, pass it in as an argument, or change the list in ARCHITECTURE.md where the order was wrong",
};
const LIST: Rule = Rule {
    name: "module-list",
    why: "the list tells a newcomer what the program is made of",
    way_out: "keep one block ```text module-order in ARCHITECTURE.md with the names of all modules of crates/server/src, separated by commas",
};

/// Checks the imports of the server crate.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let sources: Vec<&File> = tree.ending(".rs").filter(|file| file.path.starts_with(SERVER)).collect();
    if sources.is_empty() {
        return Vec::new();
    }
    let Some((order, line)) = tree.text(PAGE).and_then(order) else {
        return vec![LIST.at(PAGE, 1, "there is no list of the server's modules")];
    };
    let mut findings = list_findings(&sources, &order, line);
    for file in sources.into_iter().filter(|file| !is_test_file(&file.path)) {
        let module = module_of(&file.path);
        let Some(own) = module.first().and_then(|top| position(&order, top)) else {
            continue;
        };
        let source = Source::new(file);
        for (at, name) in references(&source, module.len()) {
            let is_right = position(&order, &name).is_some_and(|other| other > own);
            if is_right && !source.is_test(at) {
                let top = module.first().copied().unwrap_or_default();
                findings.push(ORDER.at(&file.path, source.line(at), format!("`{top}` imports `{name}`, which stands to its right")));
            }
        }
    }
    findings
}

/// The names in the block, and the line of the first.
fn order(page: &str) -> Option<(Vec<String>, usize)> {
    let (before, after) = page.split_once("```text module-order")?;
    let block = after.split("```").next()?;
    let names = block.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
    Some((names.map(str::to_owned).collect(), line_of(page, before.len()) + 1))
}

/// Modules that the list lacks, and names that are no module.
fn list_findings(sources: &[&File], order: &[String], line: usize) -> Vec<Finding> {
    let modules: BTreeSet<&str> = sources.iter().filter_map(|file| module_of(&file.path).first().copied()).collect();
    let missing = modules.iter().filter(|module| position(order, module).is_none());
    let unknown = order.iter().filter(|name| !modules.contains(name.as_str()));
    let mut findings: Vec<_> = missing.map(|module| LIST.at(PAGE, line, format!("the list lacks the module `{module}`"))).collect();
    findings.extend(unknown.map(|name| LIST.at(PAGE, line, format!("the list names `{name}`, which is no module"))));
    findings
}

fn position(order: &[String], name: &str) -> Option<usize> {
    order.iter().position(|listed| listed == name)
}

/// The path of a file's module: `crates/server/src/api/keys/mod.rs` is `[api, keys]`. Empty for the roots of the crate.
fn module_of(path: &str) -> Vec<&str> {
    let inside = path.strip_prefix(SERVER).unwrap_or(path);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    if matches!(inside, "lib" | "main") {
        return Vec::new();
    }
    inside.split('/').filter(|part| *part != "mod").collect()
}

/// The modules of the crate's root that a file names, each with its place. `depth` is how deep the file's own module lies.
fn references(source: &Source<'_>, depth: usize) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut found = Vec::new();
    for at in words(code, "crate::") {
        found.extend(names_after(code, at + "crate::".len()));
    }
    for at in words(code, "super::") {
        let climbed_before = code.get(..at).is_some_and(|before| before.ends_with("super::"));
        let rest = code.get(at..).unwrap_or_default();
        let climbs = rest.split("super::").take_while(|part| part.is_empty()).count();
        // `split` gives one empty part before each `super::` of the chain; the part after the last is not empty.
        if !climbed_before && climbs >= depth + source.inline_depth(at) {
            found.extend(names_after(code, at + climbs * "super::".len()));
        }
    }
    found
}

/// The first names after `crate::`: one, or those of a group in braces.
fn names_after(code: &str, at: usize) -> Vec<(usize, String)> {
    let rest = code.get(at..).unwrap_or_default();
    if !rest.starts_with('{') {
        return name_at(code, at).into_iter().collect();
    }
    let (end, mut depth, mut starts) = (closing(code, at), 0_usize, Vec::new());
    for (index, byte) in code.bytes().enumerate().take(end).skip(at) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' => {}
            _ => continue,
        }
        if depth == 1 && byte != b'}' {
            starts.push(index + 1);
        }
    }
    starts.into_iter().filter_map(|start| name_at(code, start)).collect()
}

/// The name at this place, after white space.
fn name_at(code: &str, at: usize) -> Option<(usize, String)> {
    let rest = code.get(at..)?;
    let start = at + rest.len() - rest.trim_start().len();
    let name: String = rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some((start, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHITECTURE: &str = "# A\n\n```text module-order\nerror, store, app, api\n```\n";

    /// Line and text of each finding about a file beside modules of the four names.
    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let mut files = vec![(PAGE, ARCHITECTURE), (path, text)];
        let others = ["error", "store", "app", "api"].map(|name| format!("{SERVER}{name}.rs"));
        files.extend(others.iter().filter(|other| *other != path).map(|other| (other.as_str(), "")));
        check(&Tree::of(&files)).into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    fn to_the_right(line: usize, from: &str, to: &str) -> (usize, String) {
        (line, format!("`{from}` imports `{to}`, which stands to its right"))
    }

    #[test]
    fn a_module_imports_to_its_left() {
        assert_eq!(found("crates/server/src/store.rs", "use crate::error::Error;\nuse crate::store::x;\n// crate::api\n"), []);
        assert_eq!(found("crates/server/src/store.rs", "\nuse crate::api::X;"), [to_the_right(2, "store", "api")]);
        assert_eq!(found("crates/server/src/store/a.rs", "fn a() { crate::app::b() }"), [to_the_right(1, "store", "app")]);
    }

    #[test]
    fn groups_are_looked_into() {
        let text = "use crate::{\n    api::{x, app},\n    error::Error,\n    app::App,\n};";
        assert_eq!(found("crates/server/src/store/mod.rs", text), [to_the_right(2, "store", "api"), to_the_right(4, "store", "app")]);
    }

    #[test]
    fn super_reaches_as_far_as_it_climbs() {
        assert_eq!(found("crates/server/src/store/a.rs", "use super::api::X;"), []);
        assert_eq!(found("crates/server/src/store/a.rs", "use super::super::api::X;"), [to_the_right(1, "store", "api")]);
        assert_eq!(found("crates/server/src/store/mod.rs", "use super::{error, app};"), [to_the_right(1, "store", "app")]);
        assert_eq!(
            found("crates/server/src/store.rs", "mod inner { use super::api; use super::super::api; }"),
            [to_the_right(1, "store", "api")]
        );
    }

    #[test]
    fn tests_import_what_they_like() {
        assert_eq!(found("crates/server/src/store/tests/a.rs", "use crate::api::X;"), []);
        assert_eq!(found("crates/server/src/store.rs", "#[cfg(test)]\nmod tests { use crate::api::X; }"), []);
    }

    #[test]
    fn the_list_is_complete_and_true() {
        assert_eq!(found("crates/server/src/jobs/a.rs", ""), [(4, "the list lacks the module `jobs`".to_owned())]);
        let tree = Tree::of(&[(PAGE, ARCHITECTURE), ("crates/server/src/error.rs", "")]);
        assert_eq!(check(&tree).len(), 3);
        assert_eq!(check(&Tree::of(&[("crates/server/src/error.rs", "")])).len(), 1);
    }
}
