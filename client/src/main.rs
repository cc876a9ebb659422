//! The `halyard` program: chat, pipes and tools over Halyard's shared-memory rings.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
