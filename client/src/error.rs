//! What can go wrong, and what to do about it.

use std::fmt;
use std::io;
use std::time::Duration;

use halyard_ring::chat::{BadName, BadText, ErrorCode, ServerName};
use halyard_ring::{AttachError, Belonging, CreateError, Group, OpenError};

use crate::event::{Loss, Refusal};

/// Why a client could not connect.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// No server of this name runs here.
    NoServer {
        /// The name.
        server: ServerName,
    },
    /// The server's process lives but did not answer in time: it is stopped, or far behind.
    NoAnswer {
        /// The name.
        server: ServerName,
        /// The server's process id.
        pid: u32,
        /// How long it had.
        waited: Duration,
    },
    /// Another client has this nick.
    NickTaken {
        /// The nick.
        nick: String,
    },
    /// The nick breaks the rules for names.
    NickInvalid {
        /// The nick.
        nick: String,
        /// What is wrong with it.
        why: BadName,
    },
    /// The server has as many clients as it takes, or its control ring as many writers.
    ServerFull {
        /// What the server said.
        text: String,
    },
    /// The server refused for another reason.
    Refused {
        /// Why.
        code: ErrorCode,
        /// The same for people.
        text: String,
    },
    /// This client's reply ring could not be created.
    ReplyRing(CreateError),
    /// The server's control ring could not be opened: another version made it, or it is damaged.
    ControlRing(OpenError),
    /// The server is another user's, or not shared as was asked for.
    NoAccess {
        /// The name.
        server: ServerName,
        /// Whose it is, and who shares it.
        whose: Belonging,
        /// The group that was asked for.
        asked: Option<Group>,
    },
    /// The control ring carries something other than chat records of this version.
    Schema {
        /// The schema tag that it has.
        found: u64,
    },
    /// The control ring could not be written to.
    Attach(AttachError),
    /// The server answered with a record that makes no sense.
    Confused,
    /// A thread could not be started.
    Thread(io::Error),
}

impl ConnectError {
    /// Whether the same attempt may succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NoServer { .. }
            | Self::NoAnswer { .. }
            | Self::NickTaken { .. }
            | Self::ServerFull { .. }
            | Self::ReplyRing(CreateError::NoSpace { .. } | CreateError::Os { .. })
            | Self::Attach(_)
            | Self::Thread(_) => true,
            // The last two: the session whose companion this is to be is itself connecting again.
            Self::Refused { code, .. } => {
                matches!(
                    code,
                    ErrorCode::ShuttingDown
                        | ErrorCode::TooManyHellos
                        | ErrorCode::Barred
                        | ErrorCode::DescriptorsLow
                        | ErrorCode::MappingsLow
                        | ErrorCode::NoSuchClient
                        | ErrorCode::StaleGeneration
                )
            }
            _ => false,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer { server } => {
                let option = if *server == ServerName::default() {
                    String::new()
                } else {
                    format!(" --server {server}")
                };
                write!(f, "no server named \"{server}\" runs here; start one with `halyard{option} server`")?;
                write!(f, ", or talk at once with `halyard{option} chat`")
            }
            Self::NoAnswer { server, pid, waited } => write!(
                f,
                "the server \"{server}\" (process {pid}) did not answer within {waited:?}; is it stopped? \
                 (`kill -CONT {pid}` lets it go on)"
            ),
            Self::NickTaken { nick } => write!(f, "the nick \"{nick}\" is taken; choose another one"),
            Self::NickInvalid { nick, why } => write!(f, "{nick:?} cannot be a nick: {why}"),
            Self::ServerFull { text } => {
                write!(f, "the server is full ({text}); try again later, or start it with a higher --clients")
            }
            Self::Refused { code: _, text } => write!(f, "the server refused: {text}"),
            Self::ReplyRing(error) => write!(f, "cannot create the reply ring: {error}"),
            Self::ControlRing(error) => write!(f, "cannot open the server's control ring: {error}"),
            Self::NoAccess { server, whose, asked } => no_access(f, server, *whose, *asked),
            Self::Schema { found } => write!(
                f,
                "the control ring carries records of schema {found:#x}, not this version's chat records; \
                 server and client must be of the same version"
            ),
            Self::Attach(error) => write!(f, "cannot write to the server's control ring: {error}"),
            Self::Confused => {
                write!(f, "the server's answer makes no sense; are server and client of one version?")
            }
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

/// What stands between this user and a server, and what to do about it.
fn no_access(
    f: &mut fmt::Formatter<'_>,
    server: &ServerName,
    whose: Belonging,
    asked: Option<Group>,
) -> fmt::Result {
    let user = whose.user_name();
    write!(f, "the server \"{server}\" ")?;
    match (whose.group, asked) {
        (None, Some(group)) if whose.is_mine() => write!(
            f,
            "is yours alone, not shared with the group {group}: start it with --group {group}, or connect without"
        ),
        (None, _) => write!(
            f,
            "belongs to {user} alone: choose another name with --server, or let {user} share it with --group"
        ),
        (Some(group), asked) => {
            write!(f, "belongs to {user} and is shared with the group {group}")?;
            match (group.check_membership(), asked) {
                (Err(why), _) => write!(f, "; {why}"),
                (Ok(()), Some(asked)) if asked != group => write!(f, ", not with {asked}"),
                (Ok(()), _) => write!(
                    f,
                    ": connect with --group {group} if you trust its members, who can read and change what you say"
                ),
            }
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NickInvalid { why, .. } => Some(why),
            Self::ReplyRing(error) => Some(error),
            Self::ControlRing(error) => Some(error),
            Self::Attach(error) => Some(error),
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a command could not be put into the control ring.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The text is empty or too long.
    Text(BadText),
    /// The nick or the room name breaks the rules for names.
    Name(BadName),
    /// The control ring stayed full: the server is stopped, or far behind.
    Full {
        /// For how long.
        waited: Duration,
    },
    /// More commands are under way than the server allows, and no answer has come: read the receiver.
    Unanswered {
        /// How many may be.
        window: u32,
    },
    /// The server has ended.
    Closed,
    /// Another process has damaged the control ring, and the server has not made a new one yet.
    Damaged,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(why) => why.fmt(f),
            Self::Name(why) => why.fmt(f),
            Self::Full { waited } => {
                write!(f, "the server took nothing for {waited:?}: it is stopped or overloaded; try again")
            }
            Self::Unanswered { window } => write!(
                f,
                "{window} commands are under way and none was answered; read the answers, then send on"
            ),
            Self::Closed => write!(f, "the server has ended; connect again when it is back"),
            Self::Damaged => {
                write!(
                    f,
                    "another process has damaged the server's control ring; the server makes a new one: try again"
                )
            }
        }
    }
}

impl std::error::Error for SendError {}

impl From<BadText> for SendError {
    fn from(why: BadText) -> Self {
        Self::Text(why)
    }
}

impl From<BadName> for SendError {
    fn from(why: BadName) -> Self {
        Self::Name(why)
    }
}

/// Why nothing more will be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The session is over and everything that came before its end has been delivered.
    Over(Loss),
}

impl RecvError {
    /// Why the session is over.
    #[must_use]
    pub fn loss(self) -> Loss {
        let Self::Over(loss) = self;
        loss
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.loss().fmt(f)
    }
}

impl std::error::Error for RecvError {}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use halyard_ring::chat::LeaveReason;
        f.write_str(match self {
            Self::Goodbye(LeaveReason::Shutdown) => "the server has shut down",
            Self::Goodbye(LeaveReason::Hung) => {
                "the server took this client for hung: its process was stopped for too long"
            }
            Self::Goodbye(LeaveReason::Flooded) => {
                "the server ended the session: this client sent far more commands than it may have under way"
            }
            Self::Goodbye(LeaveReason::Misbehaved) => {
                "the server ended the session: this client broke the protocol"
            }
            Self::Goodbye(LeaveReason::Quit) => "the session is over",
            Self::Goodbye(_) => "the server ended the session",
            Self::Closed => "the server closed this session",
            Self::ServerDied => "the server's process is gone",
            Self::Truncated => "another process has truncated this client's reply ring in /dev/shm",
        })
    }
}

/// Why a command was not carried out, or not for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The text is empty or too long; nothing was sent.
    Text(BadText),
    /// The nick or the room name breaks the rules for names; nothing was sent.
    Name(BadName),
    /// The server refused.
    Refused(Refusal),
    /// No answer came in time. The command may still be carried out.
    TimedOut {
        /// How long it had.
        waited: Duration,
        /// Whether there is no connection now: then it is sent once the server is back.
        disconnected: bool,
    },
    /// Entries of the answer were lost, because this client's reply ring was full.
    Incomplete {
        /// Entries that came.
        got: usize,
        /// Entries that there are.
        of: usize,
    },
    /// The client has quit, or gave up looking for its server.
    Closed,
}

impl CommandError {
    /// Whether the same command may succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Incomplete { .. } | Self::Closed => true,
            Self::Refused(refusal) => matches!(
                refusal.code,
                ErrorCode::NotDelivered
                    | ErrorCode::ShuttingDown
                    | ErrorCode::TooManyRooms
                    | ErrorCode::RoomFull
                    | ErrorCode::TooFast
                    | ErrorCode::SpillFull
                    | ErrorCode::FragmentLost
            ),
            _ => false,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(why) => why.fmt(f),
            Self::Name(why) => why.fmt(f),
            Self::Refused(refusal) => f.write_str(&refusal.text),
            Self::TimedOut { waited, disconnected: false } => {
                write!(f, "the server did not answer within {waited:?}; the command may still be carried out")
            }
            Self::TimedOut { waited, disconnected: true } => {
                write!(f, "no server for {waited:?}; the command is sent when it is back")
            }
            Self::Incomplete { got, of } => write!(
                f,
                "only {got} of {of} entries fitted into the reply ring; ask again, or connect with a larger ring_capacity"
            ),
            Self::Closed => write!(f, "the client is no longer connected"),
        }
    }
}

impl std::error::Error for CommandError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Text(why) => Some(why),
            Self::Name(why) => Some(why),
            _ => None,
        }
    }
}

impl From<BadText> for CommandError {
    fn from(why: BadText) -> Self {
        Self::Text(why)
    }
}

impl From<BadName> for CommandError {
    fn from(why: BadName) -> Self {
        Self::Name(why)
    }
}
