//! `amalgam connectors lint`: what is wrong with definitions, and where.

use std::path::{Path, PathBuf};

use amalgam_connector::{
    lint::advise,
    parse::{Problem, locate},
};
use clap::Args;
use serde_json::{Value, json};

use super::{
    case::{self, Case},
    replay,
    test::counted,
};
use crate::{
    cli::{
        failure::{Failure, Result},
        screen::{Screen, clean},
    },
    connectors::folder,
};

/// What is looked at.
#[derive(Args)]
pub struct Lint {
    /// Connectors: a folder with `connector.toml`, a folder of such folders, or the file itself
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Advice fails too
    #[arg(long)]
    strict: bool,
}

/// What was found in one file.
struct Found {
    file: PathBuf,
    id: Option<String>,
    mistakes: Vec<Problem>,
    advice: Vec<Problem>,
}

impl Lint {
    /// Runs the command.
    pub fn run(self, screen: &Screen) -> Result {
        let mut all: Vec<Found> = Vec::new();
        for path in &self.paths {
            let files = folder::definitions(path).map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
            if files.is_empty() {
                let sentence = format!("there is no connector.toml in {} or in the folders in it", path.display());
                return Err(Failure::usage(sentence).with_next("amalgam connectors new ID"));
            }
            for file in files {
                let found = look(&file, &all);
                all.push(found);
            }
        }
        if screen.json {
            screen.line(&json!({ "files": all.iter().map(view).collect::<Vec<_>>() }).to_string())?;
        } else {
            for found in &all {
                for (problems, word) in [(&found.mistakes, "error"), (&found.advice, "advice")] {
                    if !problems.is_empty() {
                        screen.line(&shown(screen, &found.file, problems, word))?;
                    }
                }
            }
        }
        let count = |of: fn(&Found) -> usize| all.iter().map(of).sum::<usize>();
        let (mistakes, advice) = (count(|found| found.mistakes.len()), count(|found| found.advice.len()));
        let good = all.iter().filter(|found| found.mistakes.is_empty()).count();
        let advised = if advice > 0 { format!(", {advice} pieces of advice") } else { String::new() };
        if mistakes == 0 && (advice == 0 || !self.strict) {
            screen.note(&format!("{}, nothing wrong{advised}", counted(all.len(), "connector")));
            return Ok(());
        }
        let bad = all.len() - good;
        let others = if good > 0 && bad > 0 { format!("; {} can be used", counted(good, "other connector")) } else { String::new() };
        Err(Failure::refused(format!("{}{advised} in {}{others}", counted(mistakes, "mistake"), counted(all.len(), "connector"))))
    }
}

fn look(file: &Path, others: &[Found]) -> Found {
    let (text, connector) = match folder::read(file) {
        Ok(read) => read,
        Err(mistakes) => return Found { file: file.to_owned(), id: None, mistakes, advice: Vec::new() },
    };
    let definition = connector.to_definition();
    let mut mistakes = Vec::new();
    if let Some(other) = others.iter().find(|other| other.id.as_deref() == Some(&*definition.id)) {
        let message = format!("The id is taken by {}; give this connector another one.", other.file.display());
        mistakes.push(Problem { line: None, place: "id".to_owned(), message });
    }
    let mut advice = advise(&definition);
    for path in case::beside(file).unwrap_or_default() {
        let reason = match Case::read(&path) {
            Err(reason) => Some(reason),
            Ok(case) => replay::action(&connector, &case.action).err().map(|failure| failure.sentence().to_owned()),
        };
        if let Some(reason) = reason {
            advice.push(Problem { line: None, place: String::new(), message: format!("The case {}: {reason}.", path.display()) });
        }
    }
    let (mistakes, advice) = (locate(&text, mistakes), locate(&text, advice));
    Found { file: file.to_owned(), id: Some(definition.id), mistakes, advice }
}

/// One line for each problem, as compilers write them, so that editors and people find the place.
pub fn shown(screen: &Screen, file: &Path, problems: &[Problem], word: &str) -> String {
    let lines = problems.iter().map(|problem| {
        let at = problem.line.map_or(String::new(), |line| format!(":{line}"));
        let place = if problem.place.is_empty() { String::new() } else { format!(" {}:", problem.place) };
        let word = if word == "error" { screen.red("error") } else { screen.yellow(word) };
        format!("{}{at}: {word}:{} {}", file.display(), clean(&place), clean(&problem.message))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn view(found: &Found) -> Value {
    let list = |problems: &[Problem]| -> Vec<Value> {
        problems.iter().map(|problem| json!({ "line": problem.line, "place": problem.place, "message": problem.message })).collect()
    };
    json!({ "file": found.file.display().to_string(), "id": found.id, "mistakes": list(&found.mistakes), "advice": list(&found.advice) })
}
