//! The house rules as a test. Each failure names its place, the rule, the reason and the way out.

mod exceptions;
mod layers;
mod links;
mod project;
mod rust;
mod schemas;
mod source;
mod tree;

use std::fmt;

use crate::{Outcome, root};
use tree::Tree;

/// A rule: why it is there and how to obey it.
pub struct Rule {
    /// Kebab case; the name by which `xtask/tidy.toml` excepts files.
    pub name: &'static str,
    /// The reason, a clause.
    pub why: &'static str,
    /// What to do instead, a clause.
    pub way_out: &'static str,
}

/// One place that breaks a rule.
pub struct Finding {
    rule: &'static Rule,
    path: String,
    line: usize,
    what: String,
}

impl Rule {
    /// A finding at a line, counted from 1.
    pub fn at(&'static self, path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { rule: self, path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { name, why, way_out } = self.rule;
        write!(out, "{}:{}: {} [{name}]\n    Why: {why}.\n    Way out: {way_out}.", self.path, self.line, self.what)
    }
}

/// Every check; each sees the whole tree.
const CHECKS: [fn(&Tree) -> Vec<Finding>; 5] = [rust::check, schemas::check, layers::check, project::check, links::check];

/// `tidy`, without arguments.
pub fn main(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("takes no arguments; exceptions stand in xtask/tidy.toml".to_owned());
    }
    let tree = Tree::read(&root())?;
    let found = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    let mut findings = exceptions::apply(&tree, found)?;
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, nothing to say", tree.files.len());
            Ok(())
        }
        count => Err(format!("{count} places break a house rule")),
    }
}
