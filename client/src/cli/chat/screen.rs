//! Lines on a terminal in cooked mode, while somebody types there.
//!
//! The terminal itself echoes what is typed and keeps the unfinished line; the program does not see it before Enter.
//! So a line that arrives starts by clearing the row where the typing is (Ctrl-R shows it again), and a message that
//! was typed is cleared when Enter is hit, because it comes back from the server in its place in the room's order.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

use crate::cli::exit::Result;
use crate::cli::out::Out;

pub(super) struct Screen {
    out: Out,
    clear_out: bool,
    clear_err: bool,
    /// What is typed appears where the lines are printed.
    echoes: bool,
    /// When Enter was last hit.
    entered: Instant,
    /// When something was last printed since then: typing may have been cut in two.
    printed: Option<Instant>,
}

/// What is printed this soon after Enter finds nobody typing the next line yet. What is entered this soon after
/// Enter was not typed but pasted.
const PAUSE: Duration = Duration::from_millis(100);

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
            entered: Instant::now(),
            printed: None,
        }
    }

    /// Whether somebody types and reads here.
    pub(super) fn is_interactive(&self) -> bool {
        self.echoes
    }

    /// A line of the chat.
    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        self.printed = Some(Instant::now());
        let clear = if self.clear_out { CLEAR_ROW } else { "" };
        self.out.raw(&format!("{clear}{line}\n"))
    }

    /// A line for the person at the keyboard, on standard error.
    pub(super) fn note(&mut self, text: &str) {
        self.printed = Some(Instant::now());
        let clear = if self.clear_err { CLEAR_ROW } else { "" };
        let mut lines = String::new();
        for line in text.lines() {
            lines += &format!("{clear}-- {line}\n");
        }
        // A closed standard error is no reason to stop.
        let _ = io::stderr().write_all(lines.as_bytes());
    }

    /// Clears the line that was just typed, as far as it is known where it stands.
    pub(super) fn erase_typed(&mut self, typed: &str) -> Result<()> {
        let (entered, printed) = (self.entered, self.printed);
        self.keep_typed();
        if !self.echoes {
            return Ok(());
        }
        let columns = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
        match rows_to_erase(printed.map(|at| at - entered), entered.elapsed(), rows_of(typed, columns)) {
            0 => {
                // The next line of the same paste stands no more certainly.
                self.printed = Some(self.entered);
                Ok(())
            }
            rows => self.out.raw(&format!("\u{1b}[{rows}A\r\u{1b}[J")),
        }
    }

    /// Enter was hit on a line that stays.
    pub(super) fn keep_typed(&mut self) {
        self.entered = Instant::now();
        self.printed = None;
    }
}

/// How many rows to clear above the cursor for a typed line of `rows` rows, when `printed` after the Enter before it
/// something was last printed, and it took `typed` until this Enter. No row of others must go.
fn rows_to_erase(printed: Option<Duration>, typed: Duration, rows: usize) -> usize {
    match printed {
        None => rows,
        // Pasted: the terminal has shown several lines at once, and what was printed stands below them.
        Some(_) if typed < PAUSE => 0,
        Some(printed) if printed < PAUSE => rows,
        // It may have been cut in two; only the last row is certain to be its own.
        Some(_) => 1,
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
    fn no_row_of_others_is_erased() {
        let ms = Duration::from_millis;
        assert_eq!(rows_to_erase(None, ms(1), 3), 3);
        assert_eq!(rows_to_erase(Some(ms(2)), ms(3000), 3), 3);
        assert_eq!(rows_to_erase(Some(ms(1000)), ms(3000), 3), 1);
        assert_eq!(rows_to_erase(Some(ms(2)), ms(3), 1), 0);
    }

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
