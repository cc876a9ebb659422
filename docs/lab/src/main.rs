//! `halyard-lab`: see `halyard-lab --help` and the book in docs/.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
