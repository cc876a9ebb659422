//! Standard output, for people and graders who may stop reading.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

/// Prints a line.
macro_rules! say {
    () => { $crate::cli::out::line(format_args!("")) };
    ($($part:tt)+) => { $crate::cli::out::line(format_args!($($part)+)) };
}
pub(super) use say;

/// Columns of a terminal that nobody has made wider.
const WIDTH: usize = 100;

/// Prints a text in lines that are no wider than [`WIDTH`], `first` before the first of them and blanks before the others.
pub(super) fn paragraph(first: &str, text: &str) {
    let blank = " ".repeat(first.chars().count());
    let mut row = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && row.chars().count() + 1 + word.chars().count() > WIDTH {
            line(format_args!("{row}"));
            row.clone_from(&blank);
            empty = true;
        }
        if !empty {
            row.push(' ');
        }
        row += word;
        empty = false;
    }
    line(format_args!("{row}"));
}

/// Prints a line. If nobody reads any more (`| head`), the program ends, quietly; if a file cannot take it, loudly.
pub(super) fn line(text: Arguments<'_>) {
    let Err(error) = writeln!(io::stdout().lock(), "{text}") else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("halyard-lab: standard output: {error}");
    std::process::exit(i32::from(super::exit::Exit::Io as u8));
}
