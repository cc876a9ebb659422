//! What can go wrong, and what to do about it.

use core::fmt;
use std::io;

use crate::access::GroupError;
use crate::name::RingName;
use crate::process::ProcessId;
use crate::protocol::Damage;

/// Why a ring was not created.
#[derive(Debug)]
#[non_exhaustive]
pub enum CreateError {
    /// A segment of that name exists.
    Exists {
        /// Its system name.
        name: String,
    },
    /// /dev/shm has not enough room.
    NoSpace {
        /// Bytes that the ring needs.
        need: usize,
        /// The segment's system name.
        name: String,
    },
    /// The options contradict what is possible.
    Options(String),
    /// The group that is to share the ring cannot.
    Group(GroupError),
    /// The operating system refused.
    Os {
        /// What was being done.
        what: &'static str,
        /// The system name it was done to.
        name: String,
        /// What it answered.
        source: io::Error,
    },
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists { name } => write!(
                f,
                "{name} exists already: open it, choose another name, or, if a crash left it, run `halyard clean`"
            ),
            Self::NoSpace { need, name } => write!(
                f,
                "no room for {name} in /dev/shm: it needs {need} bytes; remove something there, make the file \
                 system larger, or choose a smaller capacity"
            ),
            Self::Options(what) => write!(f, "{what}"),
            Self::Group(why) => why.fmt(f),
            Self::Os { what, name, source } => write!(f, "cannot {what} {name}: {source}"),
        }
    }
}

impl core::error::Error for CreateError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Group(why) => Some(why),
            Self::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Why a ring was not opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no segment of that name.
    NotFound {
        /// The system name looked for.
        name: String,
    },
    /// The segment is there, but its creator has not finished it (or died before it had).
    NotReady {
        /// Its system name.
        name: String,
    },
    /// A field of the header is not what this program expects.
    Mismatch {
        /// Its system name.
        name: String,
        /// Which field: "magic", "layout version", "record size", "capacity", "file size", …
        field: &'static str,
        /// What this program expects.
        expected: u64,
        /// What the segment says.
        found: u64,
    },
    /// The operating system refused.
    Os {
        /// What was being done.
        what: &'static str,
        /// The system name it was done to.
        name: String,
        /// What it answered.
        source: io::Error,
    },
}

impl OpenError {
    /// What a segment's file not opening means.
    pub(crate) fn of(error: io::Error, name: &RingName) -> Self {
        let name = name.segment();
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { name },
            io::ErrorKind::UnexpectedEof => Self::NotReady { name },
            _ => Self::Os { what: "open", name, source: error },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name } => write!(f, "there is no ring {name}: has its creator been started?"),
            Self::NotReady { name } => {
                write!(
                    f,
                    "{name} is not ready: its creator is starting, or died while it did (`halyard clean`)"
                )
            }
            Self::Mismatch { name, field, expected, found } => write!(
                f,
                "{name} has {field} {found}, expected {expected}: it was made for another record type, by another \
                 version, or is no ring"
            ),
            Self::Os { what, name, source } => write!(f, "cannot {what} {name}: {source}"),
        }
    }
}

impl core::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Why a producer or the consumer could not be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// The ring has its consumer.
    ConsumerTaken {
        /// The process that it is in.
        by: ProcessId,
    },
    /// The single-producer ring has its producer.
    ProducerTaken {
        /// The process that it is in.
        by: ProcessId,
    },
    /// As many producers are attached as the ring was made for.
    OwnersFull {
        /// How many that is; `RingOptions::owners` raises it.
        limit: u32,
    },
    /// The ring is closed.
    Closed,
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConsumerTaken { by } => write!(f, "process {} is this ring's consumer already", by.pid()),
            Self::ProducerTaken { by } => write!(f, "process {} is this ring's producer already", by.pid()),
            Self::OwnersFull { limit } => {
                write!(f, "all {limit} producer entries are in use: create the ring with more `owners`")
            }
            Self::Closed => write!(f, "the ring is closed"),
        }
    }
}

impl core::error::Error for AttachError {}

/// Why a record was not pushed; it hands the record back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushError<T> {
    /// No slot is free.
    Full(T),
    /// No slot became free in time.
    TimedOut(T),
    /// The ring is closed.
    Closed(T),
    /// A slot says what cannot be: another process writes into this memory.
    Corrupt(T, Damage),
    /// Another process has truncated the ring's file, or a semaphore's. This ring is no ring any more: drop it. Records
    /// pushed shortly before this are lost.
    Truncated(T),
}

impl<T> PushError<T> {
    /// The record that was not pushed.
    pub fn into_record(self) -> T {
        match self {
            Self::Full(record)
            | Self::TimedOut(record)
            | Self::Closed(record)
            | Self::Corrupt(record, _)
            | Self::Truncated(record) => record,
        }
    }

    pub(crate) fn with<U>(self, record: U) -> PushError<U> {
        match self {
            Self::Full(_) => PushError::Full(record),
            Self::TimedOut(_) => PushError::TimedOut(record),
            Self::Closed(_) => PushError::Closed(record),
            Self::Corrupt(_, damage) => PushError::Corrupt(record, damage),
            Self::Truncated(_) => PushError::Truncated(record),
        }
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full(..)"),
            Self::TimedOut(_) => f.write_str("TimedOut(..)"),
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Corrupt(_, damage) => write!(f, "Corrupt(.., {damage:?})"),
            Self::Truncated(_) => f.write_str("Truncated(..)"),
        }
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the ring is full"),
            Self::TimedOut(_) => f.write_str("the ring stayed full until the time-out"),
            Self::Closed(_) => f.write_str("the ring is closed"),
            Self::Corrupt(_, damage) => write!(f, "the ring is damaged: {damage}"),
            Self::Truncated(_) => f.write_str(TRUNCATED),
        }
    }
}

const TRUNCATED: &str =
    "another process has truncated the ring's files in /dev/shm: what it held is lost; open or make it anew";

impl<T> core::error::Error for PushError<T> {}

/// Why no record was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PopError {
    /// There is none now.
    Empty,
    /// None came in time.
    TimedOut,
    /// The ring is closed and empty: none will come.
    Closed,
    /// A slot says what cannot be: another process writes into this memory. `Consumer::skip_damaged` goes on.
    Corrupt(Damage),
    /// Another process has truncated the ring's file, or a semaphore's. What it held is lost, and nothing more will
    /// come: drop it.
    Truncated,
}

impl fmt::Display for PopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the ring is empty"),
            Self::TimedOut => f.write_str("no record came until the time-out"),
            Self::Closed => f.write_str("the ring is closed and empty"),
            Self::Corrupt(damage) => write!(f, "the ring is damaged: {damage}"),
            Self::Truncated => f.write_str(TRUNCATED),
        }
    }
}

impl core::error::Error for PopError {}

/// What `Consumer::audit` found: another process has written into the ring's memory where it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tampered {
    /// A word of the header, the consumer's entry behind it, or a word of the owner table that is always zero, is not what
    /// it was or must be.
    Header {
        /// Where it is in the segment, bytes.
        offset: usize,
        /// What it should say.
        expected: u64,
        /// What it says.
        found: u64,
    },
    /// The words that only the consumer writes are not what it wrote.
    Consumer,
    /// A slot says what cannot be.
    Slot(Damage),
    /// The ring's file, or a semaphore's, was truncated.
    Truncated,
}

impl fmt::Display for Tampered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { offset, expected, found } => {
                write!(f, "the word at {offset} says {found:#x}, not {expected:#x}: it was overwritten")
            }
            Self::Consumer => f.write_str("the consumer's own words were overwritten"),
            Self::Slot(damage) => write!(f, "{damage}"),
            Self::Truncated => f.write_str(TRUNCATED),
        }
    }
}

impl core::error::Error for Tampered {}

/// The error of publishing a claim that the consumer had passed over: the record was not delivered, its slot is free
/// again. Push it once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voided;

impl fmt::Display for Voided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claim took longer than the ring's grace and was passed over: push the record again")
    }
}

impl core::error::Error for Voided {}
