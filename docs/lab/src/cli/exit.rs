//! How the program ends.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// The exit codes that `--help` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Passed = 0,
    Failed = 1,
    Usage = 2,
    NoAnswers = 66,
    Broken = 70,
    Io = 74,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Ended {
    exit: Exit,
    message: String,
}

impl Ended {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    pub(crate) fn no_answers(message: impl Into<String>) -> Self {
        Self { exit: Exit::NoAnswers, message: message.into() }
    }

    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { exit: Exit::Broken, message: message.into() }
    }

    pub(crate) fn io(what: impl Display, error: &io::Error) -> Self {
        Self { exit: Exit::Io, message: format!("{what}: {error}") }
    }

    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("halyard-lab: {}", self.message);
        ExitCode::from(self.exit as u8)
    }
}

pub(crate) type Outcome = Result<Exit, Ended>;
