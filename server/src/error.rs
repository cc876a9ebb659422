//! Why a server did not start.

use std::fmt;
use std::io;
use std::path::PathBuf;

use halyard_ring::CreateError;
use halyard_ring::chat::ServerName;

/// Why a server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// Another server has the name.
    Held {
        /// The name.
        name: ServerName,
        /// The process that holds it, if that could be read.
        pid: Option<u32>,
    },
    /// The name is another user's, and this one may not take it, be its server alive or dead.
    Foreign {
        /// The name.
        name: ServerName,
        /// The user.
        user: String,
        /// Whether that user's server is known to be dead.
        dead: bool,
    },
    /// A value of the configuration cannot be used.
    Config(String),
    /// The control ring could not be created.
    Control(CreateError),
    /// The audit file could not be opened.
    Audit {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else.
    Os {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { name, pid } => {
                write!(f, "server name {name:?} is held by ", name = name.as_str())?;
                match pid {
                    Some(pid) => write!(f, "process {pid}")?,
                    None => write!(f, "another process")?,
                }
                write!(f, ": connect to that server, stop it, or choose another name")
            }
            Self::Foreign { name, user, dead: true } => write!(
                f,
                "server name {name:?} stands for what a dead server of {user} has left, which only {user} or root may \
                 remove: choose another name, or let {user} start the next server or run `halyard clean {name}`",
                name = name.as_str()
            ),
            Self::Foreign { name, user, dead: false } => write!(
                f,
                "server name {name:?} is held by a server of {user}, which may not be looked at: choose another name; \
                 should it be dead, let {user} run `halyard clean {name}`",
                name = name.as_str()
            ),
            Self::Config(what) => f.write_str(what),
            Self::Control(error) => write!(f, "no control ring: {error}"),
            Self::Audit { path, source } => {
                write!(f, "cannot open the audit file {}: {source}", path.display())
            }
            Self::Os { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Control(error) => Some(error),
            Self::Audit { source, .. } | Self::Os { source, .. } => Some(source),
            Self::Held { .. } | Self::Foreign { .. } | Self::Config(_) => None,
        }
    }
}
