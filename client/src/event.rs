//! What a client is told: one type for what is borrowed from the ring and for what is kept.

use halyard_ring::chat::{Bad, ErrorCode, Kind, LeaveReason, LostBody};

/// Something that the server told this client, or that happened to the connection.
///
/// `T` is the kind of text: [`String`] in the events that one keeps, `&str` in a [`Delivery`], which borrows from
/// the receiver and costs no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<T = String> {
    /// A message in the room, one's own included.
    Message(Message<T>),
    /// A direct message to this client.
    Direct(Direct<T>),
    /// Someone entered the room.
    Joined(Presence<T>),
    /// Someone left the room.
    Left(Presence<T>, LeaveReason),
    /// Someone in the room changed nick (oneself: see [`Answer`]).
    Renamed {
        /// Who.
        client: u32,
        /// The nick that was.
        old: T,
        /// The nick that is.
        new: T,
    },
    /// Something was lost before this point: record numbers or message numbers jump.
    Gap(Gap),
    /// A record that cannot be used. The server sends none, so something else wrote to the ring.
    Unusable(Unusable),
    /// The answer to a command. A [`Client`](crate::Client) yields those of commands that nobody waits for.
    Answer(Answer<T>),
    /// One entry of WHO's answer; a [`Client`](crate::Client) collects them.
    Member(Entry<T>),
    /// One entry of LIST's answer; a [`Client`](crate::Client) collects them.
    Room(Entry<T>),
    /// One entry of HISTORY's answer; a [`Client`](crate::Client) collects them.
    Earlier(Earlier<T>),
    /// Another process has damaged the server's control ring, and the server has made a new one. The session goes on;
    /// commands not answered yet must be sent again, which a [`Client`](crate::Client) does by itself; it yields this
    /// at most once in five seconds.
    Reopen,
    /// The server ends this session.
    Goodbye(LeaveReason),
    /// The connection is lost. More follows if the client looks for the server again.
    Disconnected(Loss),
    /// The server's process lives but gives no sign of life: it is stopped, or hangs. The session goes on if it does.
    ServerSilent {
        /// Its process id.
        server_pid: u32,
        /// For how long it has been silent.
        since: std::time::Duration,
    },
    /// A server that was silent is heard again.
    ServerBack,
    /// The connection is there again, under a new client id. What was not acknowledged is sent again. The former server
    /// may have delivered it before it went: whoever got it then passes over it now (see
    /// [`session::Past`](crate::session::Past)).
    Reconnected {
        /// The new client id.
        client: u32,
        /// The nick, which may be another one: see
        /// [`unique_nick`](crate::ClientOptions::unique_nick).
        nick: T,
        /// The server's process id.
        server_pid: u32,
        /// The room that was joined again.
        room: Option<T>,
    },
    /// The client has stopped looking for its server; nothing follows.
    GaveUp {
        /// Why.
        why: T,
    },
    /// This many events were thrown away here because the program did not read them fast enough.
    Overrun(u64),
}

/// An event whose texts lie in the receiver.
pub type Delivery<'a> = Event<&'a str>;

/// A message in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<T = String> {
    /// The room's name; empty if the confirmation of JOIN was lost.
    pub room: T,
    /// The room's id.
    pub room_id: u32,
    /// The message's number in its room, from 1, the same for every member.
    pub seq: u64,
    /// Who said it.
    pub client: u32,
    /// Under which nick.
    pub nick: T,
    /// The text.
    pub text: T,
    /// Whether it is an action (`/me waves`).
    pub action: bool,
    /// The record's number in this client's ring (a long text's: its last one).
    pub number: u64,
    /// When it passed where.
    pub times: Times,
}

/// A direct message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct<T = String> {
    /// Who said it.
    pub client: u32,
    /// Under which nick.
    pub nick: T,
    /// The text.
    pub text: T,
    /// Whether it is an action.
    pub action: bool,
    /// The record's number in this client's ring (a long text's: its last one).
    pub number: u64,
    /// When it passed where.
    pub times: Times,
}

/// When a message passed where, nanoseconds of CLOCK_MONOTONIC: the same clock in every process of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The sender pushed it.
    pub sent_ns: u64,
    /// The router took it.
    pub routed_ns: u64,
    /// A broadcaster put it into this client's ring.
    pub delivered_ns: u64,
    /// A [`Client`](crate::Client)'s receiver thread took it. 0 in a session's events: there the caller has just
    /// taken it, and reading the clock costs more than taking a record.
    pub received_ns: u64,
}

/// Who came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence<T = String> {
    /// The room's name.
    pub room: T,
    /// The room's id.
    pub room_id: u32,
    /// Who.
    pub client: u32,
    /// Under which nick.
    pub nick: T,
    /// How many are in the room now.
    pub members: u32,
}

/// A hole in what this client received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The first and the last missing record number of this client's ring; both 0 if no record is missing.
    pub first_number: u64,
    /// See `first_number`.
    pub last_number: u64,
    /// The first and the last missing message number of the room; both 0 if none is known to be missing.
    pub first_seq: u64,
    /// See `first_seq`.
    pub last_seq: u64,
    /// How many room messages, direct messages and other records are missing, where the server told.
    pub told: Option<Lost>,
    /// The session is over, and these records waited outside this client's full ring, or were lost there and not told
    /// yet. What their senders were not told to have arrived they send again to the next server.
    pub at_end: bool,
}

/// What a gap contained, as the server counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Room messages.
    pub messages: u32,
    /// Direct messages.
    pub directs: u32,
    /// Answers and notices.
    pub others: u32,
}

impl Gap {
    pub(crate) fn told(body: &LostBody) -> Self {
        Self {
            first_number: body.first_number,
            last_number: body.last_number,
            first_seq: body.first_seq,
            last_seq: body.last_seq,
            told: Some(Lost { messages: body.messages, directs: body.directs, others: body.others }),
            at_end: false,
        }
    }

    /// How many records are missing.
    #[must_use]
    pub fn records(&self) -> u64 {
        if self.first_number == 0 { 0 } else { (self.last_number - self.first_number).saturating_add(1) }
    }
}

/// A record that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its number.
    pub number: u64,
    /// What is wrong with it.
    pub why: Fault,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Its fields contradict each other.
    Bad(Bad),
    /// Its number, or its message number in the room, was there before.
    Repeated,
    /// It is a fragment that follows no other.
    Fragment,
    /// Its code has no meaning for its kind, or its kind is not one that a server sends.
    Meaning,
}

/// The server's answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T = String> {
    /// The command's number.
    pub command: u64,
    /// What came of it.
    pub result: Result<Ack<T>, Refusal<T>>,
}

/// A command was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack<T = String> {
    /// The kind of the command.
    pub kind: Kind,
    /// DM: the recipient's id.
    pub client: u32,
    /// DM: the recipient's nick.
    pub nick: T,
    /// JOIN and LEAVE: the room's name. NICK: the new nick.
    pub text: T,
    /// The room's id, 0 for none.
    pub room_id: u32,
    /// JOIN: the room's members. WHO, LIST, HISTORY: the number of entries.
    pub count: u32,
    /// SAY: the message's number in the room. JOIN: that of the room's last message so far.
    pub seq: u64,
    /// When the command passed where.
    pub times: Times,
}

/// A command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<T = String> {
    /// Why.
    pub code: ErrorCode,
    /// The same for people.
    pub text: T,
}

/// One entry of a numbered series: a member of a room, or a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T = String> {
    /// The command that this answers.
    pub command: u64,
    /// The entry's index, from 1.
    pub index: u64,
    /// How many entries the series has.
    pub total: u32,
    /// MEMBER: the client's id. ROOM: the room's id.
    pub id: u32,
    /// The member's nick, or the room's name.
    pub name: T,
    /// ROOM: how many members it has. MEMBER: 0.
    pub members: u32,
}

/// A message that was said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier<T = String> {
    /// The command that this answers.
    pub command: u64,
    /// The entry's index, from 1.
    pub index: u32,
    /// How many entries the answer has.
    pub total: u32,
    /// The message. Its room's name is empty, and its id is another one if the room was closed in between: then its
    /// number is none of the present room's. Of the times only the sender's and the router's are the message's own.
    pub message: Message<T>,
}

/// Why a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The server said goodbye.
    Goodbye(LeaveReason),
    /// The server closed this client's reply ring without a word.
    Closed,
    /// The server's process is gone.
    ServerDied,
    /// Another process has truncated this client's reply ring.
    Truncated,
}

impl<T> Event<T> {
    /// The same event with its texts turned into something else.
    pub fn map<U>(self, f: impl Fn(T) -> U) -> Event<U> {
        let presence = |p: Presence<T>| Presence {
            room: f(p.room),
            room_id: p.room_id,
            client: p.client,
            nick: f(p.nick),
            members: p.members,
        };
        let entry = |e: Entry<T>| Entry {
            command: e.command,
            index: e.index,
            total: e.total,
            id: e.id,
            name: f(e.name),
            members: e.members,
        };
        let message = |m: Message<T>| Message {
            room: f(m.room),
            room_id: m.room_id,
            seq: m.seq,
            client: m.client,
            nick: f(m.nick),
            text: f(m.text),
            action: m.action,
            number: m.number,
            times: m.times,
        };
        match self {
            Self::Message(m) => Event::Message(message(m)),
            Self::Direct(d) => Event::Direct(Direct {
                client: d.client,
                nick: f(d.nick),
                text: f(d.text),
                action: d.action,
                number: d.number,
                times: d.times,
            }),
            Self::Joined(p) => Event::Joined(presence(p)),
            Self::Left(p, reason) => Event::Left(presence(p), reason),
            Self::Renamed { client, old, new } => Event::Renamed { client, old: f(old), new: f(new) },
            Self::Gap(gap) => Event::Gap(gap),
            Self::Unusable(unusable) => Event::Unusable(unusable),
            Self::Answer(answer) => Event::Answer(answer.map(f)),
            Self::Member(e) => Event::Member(entry(e)),
            Self::Room(e) => Event::Room(entry(e)),
            Self::Earlier(Earlier { command, index, total, message: m }) => {
                Event::Earlier(Earlier { command, index, total, message: message(m) })
            }
            Self::Reopen => Event::Reopen,
            Self::Goodbye(reason) => Event::Goodbye(reason),
            Self::Disconnected(loss) => Event::Disconnected(loss),
            Self::ServerSilent { server_pid, since } => Event::ServerSilent { server_pid, since },
            Self::ServerBack => Event::ServerBack,
            Self::Reconnected { client, nick, server_pid, room } => {
                Event::Reconnected { client, nick: f(nick), server_pid, room: room.map(f) }
            }
            Self::GaveUp { why } => Event::GaveUp { why: f(why) },
            Self::Overrun(events) => Event::Overrun(events),
        }
    }
}

impl<T> Answer<T> {
    /// The same answer with its texts turned into something else.
    pub fn map<U>(self, f: impl Fn(T) -> U) -> Answer<U> {
        let result = match self.result {
            Ok(ack) => Ok(Ack {
                kind: ack.kind,
                client: ack.client,
                nick: f(ack.nick),
                text: f(ack.text),
                room_id: ack.room_id,
                count: ack.count,
                seq: ack.seq,
                times: ack.times,
            }),
            Err(refusal) => Err(Refusal { code: refusal.code, text: f(refusal.text) }),
        };
        Answer { command: self.command, result }
    }
}

impl Event<&str> {
    /// A copy to keep.
    #[must_use]
    pub fn into_owned(self) -> Event {
        self.map(str::to_owned)
    }
}

impl Entry<&str> {
    /// A copy to keep.
    pub(crate) fn into_owned(self) -> Entry {
        let Self { command, index, total, id, name, members } = self;
        Entry { command, index, total, id, name: name.to_owned(), members }
    }
}

impl Earlier<&str> {
    /// A copy to keep.
    pub(crate) fn into_owned(self) -> Earlier {
        match Event::Earlier(self).into_owned() {
            Event::Earlier(earlier) => earlier,
            _ => unreachable!("mapping keeps the kind of an event"),
        }
    }
}
