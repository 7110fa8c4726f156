//! `amalgam connectors test`: recorded cases, run again.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::{
    case::{self, Case},
    lint,
    replay::{Outcome, replay},
};
use crate::{
    cli::{
        failure::{Failure, Result},
        screen::{Screen, clean},
    },
    connectors::folder,
};

/// Which cases are run.
#[derive(Args)]
pub struct Test {
    /// Connectors: a folder with `connector.toml`, or a folder of such folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only cases whose file name holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write what comes out now into the cases, instead of failing; look at the difference in your version control
    #[arg(long)]
    accept: bool,
}

/// What came of one case.
struct Ran {
    name: String,
    /// Why it failed.
    failure: Option<String>,
}

impl Test {
    /// Runs the command.
    pub async fn run(self, screen: &Screen) -> Result {
        let mut all = Vec::new();
        for path in &self.paths {
            let files = folder::definitions(path).map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
            for file in files {
                self.connector(screen, &file, &mut all).await?;
            }
        }
        let failed = all.iter().filter(|ran: &&Ran| ran.failure.is_some()).count();
        if screen.json {
            let shown: Vec<Value> = all.iter().map(|ran| json!({ "case": ran.name, "failure": ran.failure })).collect();
            screen.line(&json!({ "cases": shown, "count": all.len(), "failed": failed }).to_string())?;
        }
        match (all.len(), failed) {
            (0, _) => Err(Failure::refused("there are no cases").with_next("amalgam connectors record PATH ACTION")),
            (count, 0) => {
                screen.note(&format!("{}, all as recorded", counted(count, "case")));
                Ok(())
            }
            (count, failed) => Err(Failure::refused(format!("{failed} of {} failed", counted(count, "case")))
                .with_next("mend the connector, or take what came out as right with --accept")),
        }
    }

    async fn connector(&self, screen: &Screen, file: &Path, all: &mut Vec<Ran>) -> Result {
        let connector = match folder::read(file) {
            Ok((_, connector)) => connector,
            Err(problems) => {
                let failure = lint::shown(screen, file, &problems, "error");
                tell(screen, all, file.display().to_string(), Some(failure))?;
                return Ok(());
            }
        };
        for path in case::beside(file)? {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            if self.only.as_ref().is_some_and(|only| !stem.contains(only.as_str())) {
                continue;
            }
            let name = format!("{}/{stem}", connector.definition().id);
            let failure = match Case::read(&path) {
                Err(reason) => Some(format!("{}: {reason}", path.display())),
                Ok(case) => match replay(&connector, &case).await {
                    Err(failure) => Some(failure.sentence().to_owned()),
                    Ok(outcome) => self.compare(screen, &path, &case, outcome)?,
                },
            };
            tell(screen, all, name, failure)?;
        }
        Ok(())
    }

    /// The difference between what was recorded and what came out; none where there is none, or where it is accepted.
    fn compare(&self, screen: &Screen, path: &Path, case: &Case, outcome: Outcome) -> Result<Option<String>> {
        let now = came_out(case, outcome);
        if now == *case {
            return Ok(None);
        }
        if self.accept {
            write(path, &now)?;
            screen.note(&format!("{} is changed", path.display()));
            return Ok(None);
        }
        Ok(Some(difference(&case.text(), &now.text(), screen.colour())))
    }
}

/// The case as it would be recorded now.
pub fn came_out(case: &Case, outcome: Outcome) -> Case {
    let Outcome { request, result, error } = outcome;
    Case { request, result, error, ..case.clone() }
}

/// Writes a case.
pub fn write(path: &Path, case: &Case) -> Result {
    std::fs::write(path, case.text()).map_err(|e| Failure::refused(format!("cannot write {}: {e}", path.display())))
}

fn tell(screen: &Screen, all: &mut Vec<Ran>, name: String, failure: Option<String>) -> Result {
    if !screen.json {
        match &failure {
            None => screen.line(&format!("{}  {name}", screen.green("ok")))?,
            Some(failure) => screen.line(&format!("{}  {name}\n{failure}", screen.red("FAILED")))?,
        }
    }
    all.push(Ran { name, failure });
    Ok(())
}

/// `1 case`, `2 cases`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Lines that differ, with those around them: `-` was recorded, `+` came out.
fn difference(recorded: &str, now: &str, colour: bool) -> String {
    let diff = TextDiff::from_lines(recorded, now);
    let mut text = String::new();
    for group in diff.grouped_ops(3) {
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let (mark, start, end) = match change.tag() {
                ChangeTag::Delete => ('-', "\x1b[31m", "\x1b[0m"),
                ChangeTag::Insert => ('+', "\x1b[32m", "\x1b[0m"),
                ChangeTag::Equal => (' ', "", ""),
            };
            let (start, end) = if colour { (start, end) } else { ("", "") };
            text.push_str(&format!("    {start}{mark} {}{end}\n", clean(change.value().trim_end())));
        }
        text.push_str("    …\n");
    }
    text.trim_end_matches("    …\n").trim_end().to_owned()
}
