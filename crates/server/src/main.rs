//! The `amalgam` binary.

fn main() -> std::process::ExitCode {
    amalgam::cli::main()
}
