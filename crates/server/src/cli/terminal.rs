//! The terminal: its width, questions, secrets that are typed unseen.

use std::{
    fs::File,
    io::{BufRead as _, IsTerminal as _, Write as _, stderr, stdin},
    process::{Command, Stdio},
};

use tokio::sync::oneshot;

use super::failure::{Failure, Result};

/// How many columns the terminal has. `stty` knows without a library and without `unsafe`.
pub fn width() -> Option<u16> {
    let terminal = File::open("/dev/tty").ok()?;
    let output = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1)?.parse().ok().filter(|width| *width > 0)
}

/// Asks before something goes for good; `yes` answers in advance.
///
/// # Errors
/// Without a terminal to ask on: 2. When the answer is no: 1.
pub fn confirm(question: &str, yes: bool) -> Result {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask on, and there is no way back from this").with_next("add --yes to do it"));
    }
    prompt(&format!("{question} [y/N] "));
    let answer = read_line()?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::refused("nothing was changed")) }
}

/// Reads one line: typed unseen on a terminal, else the next line of standard input.
pub async fn secret(name: &str) -> Result<String> {
    let typed = stdin().is_terminal();
    if !typed {
        return read_line();
    }
    if !echo(false) {
        return Err(Failure::refused(format!("cannot hide what is typed for `{name}`: `stty` is missing"))
            .with_next("give it through a pipe or as name=@FILE"));
    }
    prompt(&format!("{name}: "));
    // The reader has a thread of its own, so that Ctrl-C can end us with the echo on again.
    let (sender, line) = oneshot::channel();
    std::thread::spawn(move || sender.send(read_line()));
    let line = tokio::select! {
        line = line => line.unwrap_or_else(|_| Err(Failure::interrupted())),
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
    };
    echo(true);
    prompt("\n");
    line
}

fn echo(on: bool) -> bool {
    Command::new("stty").arg(if on { "echo" } else { "-echo" }).status().is_ok_and(|status| status.success())
}

fn prompt(text: &str) {
    // A question that cannot be shown is answered blindly, or by Ctrl-C.
    let _ = stderr().write_all(text.as_bytes());
    let _ = stderr().flush();
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line).map_err(|e| Failure::refused(format!("cannot read standard input: {e}")))?;
    if read == 0 {
        return Err(Failure::usage("standard input ended before every value was there"));
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
