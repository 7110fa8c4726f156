//! Tasks of the repository: `cargo xtask <task>`. The list of tasks is `TASKS`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tasks speak to people")]

mod bench;
mod connectors;
mod generate;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a task answers: a sentence when it failed.
type Outcome = Result<(), String>;

/// A task by its name.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

/// All of them. A new task is a module and a line here.
const TASKS: [Task; 4] = [
    Task { name: "tidy", about: "check the house rules (exceptions stand in xtask/tidy.toml)", run: tidy::main },
    Task { name: "generate", about: "write the generated files; with --check, fail when one is not current", run: generate::main },
    Task { name: "connectors", about: "`check`: hold the curated connectors against their vendors' documents", run: connectors::main },
    Task { name: "bench", about: "measure speed and memory", run: bench::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprint!("{}", help());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprint!("There is no task `{name}`.\n\n{}", help());
        return ExitCode::from(2);
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{name}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let tasks: String = TASKS.iter().map(|task| format!("  {:<12}{}\n", task.name, task.about)).collect();
    format!("Usage: cargo xtask <task>\n\nTasks:\n{tasks}  help        show this list\n")
}

/// The repository's folder.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
