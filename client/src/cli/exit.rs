//! How the program ends: exit codes and the errors that lead to them.

use std::io;
use std::process::ExitCode;

use halyard_client::{CommandError, ConnectError};

/// The exit codes that `--help` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Negative = 1,
    Usage = 2,
    NoServer = 69,
    Io = 74,
    TryAgain = 75,
    NoPermission = 77,
    TimedOut = 124,
}

/// How a command ended, and what there is to say about it.
#[derive(Debug)]
pub(crate) struct Ended {
    exit: u8,
    message: Option<String>,
}

impl Ended {
    pub(crate) fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit: exit as u8, message: Some(message.into()) }
    }

    /// Ended by this signal, as a shell reports it.
    pub(crate) fn signal(signal: i32) -> Self {
        Self { exit: u8::try_from(128 + signal).unwrap_or(u8::MAX), message: None }
    }

    /// Says why on standard error and returns the code.
    pub(crate) fn report(self) -> ExitCode {
        if let Some(message) = self.message {
            eprintln!("halyard: {message}");
        }
        ExitCode::from(self.exit)
    }
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        Self { exit: exit as u8, message: None }
    }
}

/// Why a command could not go on.
#[derive(Debug)]
pub(crate) enum Failure {
    Connect(ConnectError),
    Command(CommandError),
    /// Standard output was closed by its reader: there is nobody to say anything to.
    OutputClosed,
    /// What was being done, and what the system said.
    Io(&'static str, io::Error),
    Ended(Ended),
}

pub(crate) type Result<T = Ended> = std::result::Result<T, Failure>;

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Connect(error) => Self::with(connect_exit(&error), error.to_string()),
            Failure::Command(error) => Self::with(command_exit(&error), error.to_string()),
            Failure::OutputClosed => Exit::Done.into(),
            Failure::Io(what, error) => Self::with(Exit::Io, format!("cannot {what}: {error}")),
            Failure::Ended(ended) => ended,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<Ended> for Failure {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

fn connect_exit(error: &ConnectError) -> Exit {
    match error {
        ConnectError::NoServer { .. }
        | ConnectError::ControlRing(_)
        | ConnectError::Schema { .. }
        | ConnectError::Confused => Exit::NoServer,
        ConnectError::NoAccess { .. } => Exit::NoPermission,
        ConnectError::NickInvalid { .. } => Exit::Usage,
        ConnectError::Refused { .. } if !error.is_temporary() => Exit::NoServer,
        _ => Exit::TryAgain,
    }
}

fn command_exit(error: &CommandError) -> Exit {
    match error {
        CommandError::Text(_) | CommandError::Name(_) => Exit::Usage,
        error if error.is_temporary() => Exit::TryAgain,
        _ => Exit::Negative,
    }
}
