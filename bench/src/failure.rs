//! Why a command of this program ended without its result, and the exit code that says so.

use std::fmt;

/// Exit code: the replay found differences.
pub(crate) const DIFFERENT: u8 = 1;
/// Exit code: an option or an input file is wrong (clap uses it too).
pub(crate) const USAGE: u8 = 2;
/// Exit code: something that the measurement needs could not be had or broke.
pub(crate) const UNAVAILABLE: u8 = 69;
/// Exit code: ended by SIGINT or SIGTERM.
pub(crate) const INTERRUPTED: u8 = 130;

/// A command's failure: what to tell the person who ran it, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: u8,
    text: String,
}

impl Failure {
    /// An option or an input file is wrong.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self { exit: USAGE, text: text.to_string() }
    }

    /// Something broke or could not be had. `what` says what was being done.
    pub(crate) fn broke(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { exit: UNAVAILABLE, text: format!("{what}: {why}") }
    }

    /// The exit code `exit`, for this reason.
    pub(crate) fn of(exit: u8, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string() }
    }

    pub(crate) fn interrupted() -> Self {
        Self { exit: INTERRUPTED, text: "interrupted".to_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Adds to an error what was being done when it came.
pub(crate) trait While<T> {
    /// Turns the error into a [`Failure`] that begins with `what`.
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> While<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|why| Failure::broke(what, why))
    }
}
