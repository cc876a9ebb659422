//! The `halyard` program: chat, pipes and tools over Halyard's shared-memory rings.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
