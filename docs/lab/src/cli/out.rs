//! Standard output, for people and graders who may stop reading.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Prints a line.
macro_rules! say {
    () => { $crate::cli::out::line(format_args!("")) };
    ($($part:tt)+) => { $crate::cli::out::line(format_args!($($part)+)) };
}
pub(super) use say;

/// Prints a line. If nobody reads any more (`| head`), the program ends, quietly; if a file cannot take it, loudly.
pub(super) fn line(text: Arguments<'_>) {
    let Err(error) = writeln!(io::stdout().lock(), "{text}") else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("halyard-lab: standard output: {error}");
    std::process::exit(i32::from(super::exit::Exit::Io as u8));
}
