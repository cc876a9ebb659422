//! What the demo's parent and the processes of its players tell each other over their pipes: a JSON object a line.

use serde::{Deserialize, Serialize};

/// What a player is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Order {
    Join {
        room: String,
    },
    Say {
        text: String,
    },
    Dm {
        to: String,
        text: String,
    },
    Who,
    Leave,
    Quit,
    /// Say no word about messages and answers until `expect` more of them have come.
    Hush {
        expect: usize,
    },
    /// Say many lines at a steady pace that does not wait for anybody.
    Burst {
        lines: u32,
        every_ns: u64,
        /// When the first one is due, nanoseconds of CLOCK_MONOTONIC.
        start_ns: u64,
    },
}

/// What a player tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub(super) enum News {
    /// It is connected.
    Ready { pid: u32 },
    /// The server's answer to the last command.
    Done(Done),
    /// A message came.
    Message(Heard),
    /// A direct message came.
    Direct(Heard),
    /// From now on it is quiet.
    Hushed,
    /// It has said its lines of the burst; the latest one was this much behind its time.
    Said { late_ns: u64 },
    /// It has heard all of the burst.
    HeardAll,
    /// After the end: everything it heard and said.
    Log(Log),
    /// Something that must not happen.
    Trouble { text: String },
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    /// JOIN, SAY: a number of the room's, see `Ack::seq`.
    pub(super) seq: u64,
    /// JOIN: how many are in the room.
    pub(super) count: u32,
    /// WHO: the members.
    pub(super) members: Vec<String>,
    /// From pushing the command to reading the answer.
    pub(super) took_ns: u64,
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    /// Empty for a direct message.
    pub(super) room: String,
    /// Its number in its room; 0 for a direct message.
    pub(super) seq: u64,
    pub(super) nick: String,
    pub(super) text: String,
    /// From the sender's push to the receiver's read.
    pub(super) took_ns: u64,
}

/// What the server confirmed of a player's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) seq: u64,
    pub(super) text: String,
}

/// A player's whole part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Log {
    pub(super) heard: Vec<Heard>,
    pub(super) directs: Vec<Heard>,
    pub(super) said: Vec<Said>,
}
