//! The `halyard-bench` program; see the library's documentation.

use std::process::ExitCode;

fn main() -> ExitCode {
    halyard_bench::run()
}
