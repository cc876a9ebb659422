//! Lines on a terminal in cooked mode, while somebody types there.
//!
//! The terminal itself echoes what is typed and keeps the unfinished line; the program does not see it before Enter.
//! So a line that arrives starts by clearing the row where the typing is (Ctrl-R shows it again), and a message that
//! was typed is cleared when Enter is hit, because it comes back from the server in its place in the room's order.

use std::io::{self, IsTerminal, Write};

use unicode_width::UnicodeWidthStr;

use crate::cli::exit::Result;
use crate::cli::out::Out;

pub(super) struct Screen {
    out: Out,
    clear_out: bool,
    clear_err: bool,
    /// What is typed appears where the lines are printed.
    echoes: bool,
    /// Something was printed since Enter was last hit: typing may have been cut in two.
    printed: bool,
}

/// To the start of the row, and clear it.
const CLEAR_ROW: &str = "\r\u{1b}[K";

impl Screen {
    pub(super) fn new() -> Self {
        let obeys = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let clear_out = obeys && io::stdout().is_terminal();
        Self {
            out: Out::new(),
            clear_out,
            clear_err: obeys && io::stderr().is_terminal(),
            echoes: clear_out && io::stdin().is_terminal(),
            printed: false,
        }
    }

    /// Whether somebody types and reads here.
    pub(super) fn is_interactive(&self) -> bool {
        self.echoes
    }

    /// A line of the chat.
    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        self.printed = true;
        let clear = if self.clear_out { CLEAR_ROW } else { "" };
        self.out.raw(&format!("{clear}{line}\n"))
    }

    /// A line for the person at the keyboard, on standard error.
    pub(super) fn note(&mut self, text: &str) {
        self.printed = true;
        let clear = if self.clear_err { CLEAR_ROW } else { "" };
        let mut lines = String::new();
        for line in text.lines() {
            lines += &format!("{clear}-- {line}\n");
        }
        // A closed standard error is no reason to stop.
        let _ = io::stderr().write_all(lines.as_bytes());
    }

    /// Clears the line that was just typed.
    pub(super) fn erase_typed(&mut self, typed: &str) -> Result<()> {
        let printed = std::mem::take(&mut self.printed);
        if !self.echoes {
            return Ok(());
        }
        let columns = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        let rows = rows_of(typed, columns);
        // If lines came between, how many rows the rest of it took is unknown; no row of others must go.
        let rows = if printed { 1 } else { rows };
        self.out.raw(&format!("\u{1b}[{rows}A\r\u{1b}[J"))
    }

    /// Enter was hit on a line that stays.
    pub(super) fn keep_typed(&mut self) {
        self.printed = false;
    }
}

/// How many rows a typed line takes on a terminal of this many columns. A control character is echoed as `^X`.
fn rows_of(line: &str, columns: usize) -> usize {
    let controls = line.chars().filter(|c| c.is_control()).count();
    let plain: String = line.chars().filter(|c| !c.is_control()).collect();
    (plain.width() + 2 * controls).max(1).div_ceil(columns.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_wide_lines_take_more_rows() {
        assert_eq!(rows_of("", 80), 1);
        assert_eq!(rows_of("hello", 80), 1);
        assert_eq!(rows_of(&"x".repeat(80), 80), 1);
        assert_eq!(rows_of(&"x".repeat(81), 80), 2);
        assert_eq!(rows_of(&"日".repeat(41), 80), 2);
        assert_eq!(rows_of("\u{1b}[A", 3), 2);
        assert_eq!(rows_of("x", 0), 1);
    }
}
