//! The curated connectors against their vendors' documents.

mod action;
mod demands;
mod documents;
mod operations;
mod report;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use amalgam_connector::definition::Definition;
use amalgam_connector::parse::parse_toml;

use crate::{Outcome, root};
use documents::Documents;
use operations::Operation;

/// Where the documents are when nothing else is said, seen from the repository.
const USUAL: &str = "../shared/specs";

/// `connectors check [--specs DIR] [ID…]`.
pub fn main(arguments: &[String]) -> Outcome {
    let mut rest = arguments.iter();
    if rest.next().map(String::as_str) != Some("check") {
        return Err("usage: connectors check [--specs DIR] [ID…]".to_owned());
    }
    let mut specs = None;
    let mut wanted = Vec::new();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--specs" => specs = Some(PathBuf::from(rest.next().ok_or("--specs needs a folder")?)),
            flag if flag.starts_with('-') => return Err(format!("there is no option `{flag}`")),
            id => wanted.push(id.to_owned()),
        }
    }
    let specs = specs.or_else(|| std::env::var_os("AMALGAM_SPECS").map(PathBuf::from)).unwrap_or_else(|| root().join(USUAL));
    let definitions = load(&wanted)?;
    let lacking: Vec<String> = definitions.iter().flat_map(demands::check).collect();
    if !lacking.is_empty() {
        return Err(format!("{} things are missing:\n{}", lacking.len(), lacking.join("\n")));
    }
    if !specs.is_dir() {
        println!("NOT CHECKED: the vendors' documents are not at {}; name their folder with --specs.", specs.display());
        return Ok(());
    }
    let mut wrong = 0;
    for definition in &definitions {
        let lines = check(definition, &specs)?;
        wrong += lines.len();
        lines.iter().for_each(|line| println!("{line}"));
    }
    match wrong {
        0 => Ok(()),
        count => Err(format!(
            "{count} differences are not explained: correct the connector, or write them into `differs` with the reason (docs/writing-connectors.md)"
        )),
    }
}

/// The connectors that were named, or all.
fn load(wanted: &[String]) -> Result<Vec<Definition>, String> {
    let folder = root().join("connectors");
    let mut ids: Vec<String> = wanted.to_vec();
    if ids.is_empty() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        let names = entries.filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()));
        ids.extend(names.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        ids.sort();
    }
    let mut definitions = Vec::new();
    let mut problems = Vec::new();
    for id in ids {
        let file = folder.join(&id).join("connector.toml");
        let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        match parse_toml(&text) {
            Ok(definition) => definitions.push(definition),
            Err(found) => problems.extend(found.iter().map(|problem| format!("connectors/{id}/connector.toml, {problem}"))),
        }
    }
    if problems.is_empty() { Ok(definitions) } else { Err(problems.join("\n")) }
}

/// The lines that a connector's differences make; says in one line what was held against what.
fn check(definition: &Definition, specs: &Path) -> Result<Vec<String>, String> {
    let id = &definition.id;
    let Some(vendor) = &definition.vendor else {
        return Ok(vec![format!("{id}: `vendor` does not say what the connector was held against")]);
    };
    if let Some(reference) = &vendor.by_hand {
        println!("{id}: {} actions, by hand: {reference}", definition.actions.len());
        return Ok(Vec::new());
    }
    let documents = vendor.documents.iter().map(|file| Documents::read(&specs.join(file)));
    let documents: Vec<Documents> = documents.collect::<Result<_, _>>()?;
    let operations = documents.iter().flat_map(|one| operations::read(one).into_iter().map(move |operation| (one, operation)));
    let operations: Vec<(&Documents, Operation<'_>)> = operations.collect();
    let mut lines = Vec::new();
    let mut used = BTreeSet::new();
    let mut explained = 0;
    for (action_id, action) in &definition.actions {
        let (found, known) = action::check(&operations, definition, action).lines(&action.differs, &vendor.differs, &mut used);
        explained += known;
        lines.extend(found.into_iter().map(|line| format!("{id}/{action_id}: {line}")));
    }
    let of_definition = vendor.differs.iter().filter(|difference| !report::is_of_sample(difference));
    for stale in of_definition.filter(|difference| !used.contains(difference.what.as_str())) {
        lines.push(format!("{id}: `vendor.differs` explains `{}`, in which no action differs; leave it out", stale.what));
    }
    println!(
        "{id}: {} actions against {}: {explained} differences explained, {} not",
        definition.actions.len(),
        vendor.documents.join(", "),
        lines.len()
    );
    Ok(lines)
}
