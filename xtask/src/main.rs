//! Tasks of the repository: `cargo xtask <task>`. The list of tasks is `TASKS`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tasks speak to people")]

mod generate;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a task answers: a sentence when it failed.
type Outcome = Result<(), String>;

/// Name, what it does, how it starts. A new task is a module and a line here.
const TASKS: [(&str, &str, fn(&[String]) -> Outcome); 2] = [
    ("tidy", "check the house rules (style, layers, links); exceptions stand in xtask/tidy.toml", tidy::main),
    ("generate", "write the generated files; with --check, fail when one is not current", generate::main),
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
    let Some((_, _, task)) = TASKS.iter().find(|(task, _, _)| task == name) else {
        eprint!("There is no task `{name}`.\n\n{}", help());
        return ExitCode::from(2);
    };
    match task(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{name}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let mut text = "Usage: cargo xtask <task>\n\nTasks:\n".to_owned();
    for (name, about, _) in TASKS {
        text.push_str(&format!("  {name:<10}{about}\n"));
    }
    text + "  help      show this list\n"
}

/// The repository's folder.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
