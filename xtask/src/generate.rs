//! Generated files: each is made from the code, and is committed, so that a change of it is seen in review.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::{Outcome, root};

/// Makes the text of a file.
type Make = fn(&Path) -> Result<String, String>;

/// Every file and what makes it.
const GENERATED: [(&str, Make); 2] = [("openapi.json", openapi), ("docs/connector.schema.json", connector_schema)];

/// The REST API, as the program prints it.
fn openapi(root: &Path) -> Result<String, String> {
    printed_by(root, &["openapi"])
}

/// What editors know of a `connector.toml`.
fn connector_schema(_root: &Path) -> Result<String, String> {
    let schema = amalgam_connector::definition::json_schema();
    serde_json::to_string_pretty(&schema).map(|text| format!("{text}\n")).map_err(|error| error.to_string())
}

/// `generate [--check]`. `AMALGAM_BIN` names a program that is built already; without it, one is built.
pub fn main(arguments: &[String]) -> Outcome {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("the only argument is --check".to_owned()),
    };
    let root = root();
    let mut stale = Vec::new();
    for (file, make) in GENERATED {
        let path = root.join(file);
        let wanted = make(&root)?;
        let found = fs::read_to_string(&path).unwrap_or_default();
        if found == wanted {
            println!("{file} is current");
        } else if check {
            println!("{file}{}", first_difference(&found, &wanted));
            stale.push(file);
        } else {
            fs::write(&path, wanted).map_err(|error| format!("cannot write {file}: {error}"))?;
            println!("{file} written");
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("not current: {}; run `cargo xtask generate` and commit what it writes", stale.join(", ")))
}

/// What `amalgam <arguments>` prints, with exactly one line break at its end.
fn printed_by(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = match env::var_os("AMALGAM_BIN") {
        Some(program) => Command::new(program),
        None => {
            let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["run", "--quiet", "--package", "amalgam", "--"]);
            cargo
        }
    };
    let shown = arguments.join(" ");
    let output = command.current_dir(root).args(arguments).output().map_err(|error| format!("cannot run `amalgam {shown}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`amalgam {shown}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| format!("`amalgam {shown}` prints bytes that are not UTF-8"))?;
    Ok(format!("{}\n", text.trim_end()))
}

/// Where two texts part, for the message: `:12: is «a», should be «b»`.
fn first_difference(found: &str, wanted: &str) -> String {
    let (mut left, mut right) = (found.lines(), wanted.lines());
    let mut number = 1;
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => number += 1,
            (None, None) => return ": differs in its line breaks".to_owned(),
            (a, b) => {
                let show = |line: Option<&str>| line.map_or_else(|| "the end".to_owned(), |line| format!("«{}»", line.trim()));
                return format!(":{number}: is {}, should be {}", show(a), show(b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn a_difference_names_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), ":2: is «b», should be «c»");
        assert_eq!(first_difference("a\n", "a\nc\n"), ":2: is the end, should be «c»");
        assert_eq!(first_difference("a", "a\n"), ": differs in its line breaks");
    }
}
