//! Links in Markdown that point into the repository lead somewhere.

use super::tree::{File, Tree};
use super::{Finding, Rule};

const LINK: Rule = Rule {
    name: "broken-link",
    why: "a page that leads nowhere is worse than none",
    way_out: "correct the path, which is taken from the page's own folder, or remove the link",
};

/// Checks every Markdown file.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(".md").flat_map(|file| page(tree, file)).collect()
}

fn page(tree: &Tree, file: &File) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    let mut in_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let Some(path) = resolved(folder, target) else {
                continue;
            };
            if !path.is_empty() && !tree.paths.contains(&path) {
                findings.push(LINK.at(&file.path, index + 1, format!("the link to {target} leads nowhere")));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` in a line, those in code left out.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    // Every second part between back quotes is code; a link's text may be code, its target is not.
    let parts = line.split('`').step_by(2);
    parts.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split([')', ' ']).next())
}

/// The path from the repository's folder; none for a target that is no file of ours.
fn resolved(folder: &str, target: &str) -> Option<String> {
    let target = target.trim_matches(['<', '>']);
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains(':') || path.starts_with("//") {
        return None;
    }
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in path.split('/') {
        match part {
            ".." if parts.pop().is_none() => return Some("..".to_owned()),
            ".." | "." => {}
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_somewhere() {
        let text =
            "[a](b.md) [`c`](../README.md#x) [d](https://e.example/f) [g](#h) [i](/docs) [j](b.md \"k\")\n```\n[l](m)\n```\n`[n](o)`\n";
        assert!(check(&Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", "[docs](docs/) [up](docs/..)")])).is_empty());
        let broken = check(&Tree::of(&[("docs/a.md", "x\n[b](b.md) and [c](../../c.md)")]));
        assert_eq!(broken.iter().map(|finding| finding.line).collect::<Vec<_>>(), [2, 2]);
    }
}
