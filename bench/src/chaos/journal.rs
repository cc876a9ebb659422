//! What a client of a storm notes of all it does and sees, in memory that outlives it: a client that is killed leaves
//! what it has sent and received to the check.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::message::Id;
use crate::failure::{Failure, While as _};
use crate::shared::Words;

/// When a message passed where, nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Passed {
    pub(crate) sent: u64,
    pub(crate) routed: u64,
    pub(crate) delivered: u64,
}

/// Who says that something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nobody: numbers are missing.
    Nobody,
    /// The server.
    Server,
    /// The note that it left in the reply ring when the session was over.
    Note,
}

/// Something that a client did or saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Connected to the server of this process id.
    Connected { server: u32 },
    /// Is about to say this.
    Says { id: Id },
    /// Is about to say this to another client, by its nick: slot and life.
    Tells { id: Id, to: u32 },
    /// Is about to enter a room, or to leave the one it is in.
    Moves { room: Option<u16> },
    /// SAY was acknowledged: the message's place.
    Said { id: Id, room_id: u32, seq: u64, routed: u64 },
    /// DM was acknowledged.
    Told { id: Id },
    /// JOIN was acknowledged: the room's last message so far.
    Joined { room: u16, room_id: u32, seq: u64, routed: u64 },
    /// LEAVE was acknowledged.
    Left { routed: u64 },
    /// SAY or DM was refused.
    Refused { id: Id, code: u16 },
    /// JOIN or LEAVE was refused.
    Stayed { code: u16 },
    /// A room's message came. `whole`: its text is what its id says.
    Heard { id: Id, whole: bool, room_id: u32, seq: u64, passed: Passed },
    /// A direct message came.
    Direct { id: Id, whole: bool, passed: Passed },
    /// Something was lost: numbers in the room, how many record numbers of the reply ring, how many messages and other
    /// records, and who said so.
    Gap { first_seq: u64, last_seq: u64, records: u32, messages: u32, others: u32, told: Told },
    /// A record came that cannot be used.
    Unusable { number: u64 },
    /// Events were thrown away because this client did not read them fast enough.
    Overrun { events: u64 },
    /// The connection is lost.
    Disconnected { server_died: bool },
    /// The connection is there again, and the client back in its room.
    Reconnected { server: u32, room: Option<u16> },
    /// The server lives and gives no sign of life; or does again.
    Silence { begins: bool },
    /// Everything that was sent is answered.
    Settled,
    /// PING was answered: everything delivered before has come.
    Barrier,
    /// QUIT was acknowledged.
    Quit,
}

/// Words of an entry: a cache line.
const WORDS: usize = 8;

const NOTHING: u64 = 0xffff;

impl Entry {
    /// The entry's words after the first: that one is its kind and the time.
    fn pack(self) -> (u64, [u64; 6]) {
        let room = |room: Option<u16>| room.map_or(NOTHING, u64::from);
        match self {
            Self::Connected { server } => (1, [server.into(), 0, 0, 0, 0, 0]),
            Self::Says { id } => (2, [id.0, 0, 0, 0, 0, 0]),
            Self::Tells { id, to } => (3, [id.0, to.into(), 0, 0, 0, 0]),
            Self::Moves { room: to } => (4, [room(to), 0, 0, 0, 0, 0]),
            Self::Said { id, room_id, seq, routed } => (5, [id.0, room_id.into(), seq, routed, 0, 0]),
            Self::Told { id } => (6, [id.0, 0, 0, 0, 0, 0]),
            Self::Joined { room, room_id, seq, routed } => {
                (7, [room.into(), room_id.into(), seq, routed, 0, 0])
            }
            Self::Left { routed } => (8, [routed, 0, 0, 0, 0, 0]),
            Self::Refused { id, code } => (9, [id.0, code.into(), 0, 0, 0, 0]),
            Self::Stayed { code } => (10, [code.into(), 0, 0, 0, 0, 0]),
            Self::Heard { id, whole, room_id, seq, passed } => {
                let place = u64::from(room_id) << 1 | u64::from(whole);
                (11, [id.0, place, seq, passed.sent, passed.routed, passed.delivered])
            }
            Self::Direct { id, whole, passed } => {
                (12, [id.0, whole.into(), 0, passed.sent, passed.routed, passed.delivered])
            }
            Self::Gap { first_seq, last_seq, records, messages, others, told } => {
                (13, [first_seq, last_seq, messages.into(), others.into(), told as u64, records.into()])
            }
            Self::Unusable { number } => (14, [number, 0, 0, 0, 0, 0]),
            Self::Overrun { events } => (15, [events, 0, 0, 0, 0, 0]),
            Self::Disconnected { server_died } => (16, [server_died.into(), 0, 0, 0, 0, 0]),
            Self::Reconnected { server, room: to } => (17, [server.into(), room(to), 0, 0, 0, 0]),
            Self::Settled => (18, [0; 6]),
            Self::Barrier => (19, [0; 6]),
            Self::Quit => (20, [0; 6]),
            Self::Silence { begins } => (21, [begins.into(), 0, 0, 0, 0, 0]),
        }
    }

    /// `None`: no entry looks like this.
    fn unpack(kind: u64, [a, b, c, d, e, f]: [u64; 6]) -> Option<Self> {
        let room = |word: u64| (word != NOTHING).then_some(word as u16);
        let id = Id(a);
        let passed = Passed { sent: d, routed: e, delivered: f };
        Some(match kind {
            1 => Self::Connected { server: a as u32 },
            2 => Self::Says { id },
            3 => Self::Tells { id, to: b as u32 },
            4 => Self::Moves { room: room(a) },
            5 => Self::Said { id, room_id: b as u32, seq: c, routed: d },
            6 => Self::Told { id },
            7 => Self::Joined { room: a as u16, room_id: b as u32, seq: c, routed: d },
            8 => Self::Left { routed: a },
            9 => Self::Refused { id, code: b as u16 },
            10 => Self::Stayed { code: a as u16 },
            11 => Self::Heard { id, whole: b & 1 != 0, room_id: (b >> 1) as u32, seq: c, passed },
            12 => Self::Direct { id, whole: b != 0, passed },
            13 => {
                let told = match e {
                    1 => Told::Server,
                    2 => Told::Note,
                    _ => Told::Nobody,
                };
                let (messages, others, records) = (c as u32, d as u32, f as u32);
                Self::Gap { first_seq: a, last_seq: b, records, messages, others, told }
            }
            14 => Self::Unusable { number: a },
            15 => Self::Overrun { events: a },
            16 => Self::Disconnected { server_died: a != 0 },
            17 => Self::Reconnected { server: a as u32, room: room(b) },
            18 => Self::Settled,
            19 => Self::Barrier,
            20 => Self::Quit,
            21 => Self::Silence { begins: a != 0 },
            _ => return None,
        })
    }
}

/// An entry and when it was noted; of a message, when it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) at: u64,
    pub(crate) entry: Entry,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Journal {
    words: Words,
    next: usize,
}

impl Journal {
    /// Memory for the journal of one client, that takes what it needs.
    pub(crate) fn create(entries: usize) -> Result<Words, Failure> {
        Words::create_sparse(entries * WORDS).doing("mapping a journal")
    }

    pub(crate) fn open(path: &str) -> Result<Self, Failure> {
        Ok(Self { words: Words::open(Path::new(path)).doing("mapping a journal")?, next: 0 })
    }

    /// Notes something. The kind goes last, Release: an entry is there whole or not at all.
    pub(crate) fn note(&mut self, at: u64, entry: Entry) -> Result<(), Failure> {
        if (self.next + 1) * WORDS > self.words.count() {
            return Err(Failure::broke(
                "noting what a client did",
                "its journal is full; run for a shorter time",
            ));
        }
        let (kind, rest) = entry.pack();
        let first = self.next * WORDS;
        self.words.word(first + 1).store(at, Ordering::Relaxed);
        for (index, word) in rest.into_iter().enumerate() {
            self.words.word(first + 2 + index).store(word, Ordering::Relaxed);
        }
        self.words.word(first).store(kind, Ordering::Release);
        self.next += 1;
        Ok(())
    }
}

/// Everything that a journal holds so far.
pub(crate) fn read(words: &Words) -> Vec<Noted> {
    let mut noted = Vec::new();
    for first in (0..words.count() / WORDS).map(|index| index * WORDS) {
        let kind = words.word(first).load(Ordering::Acquire);
        let rest = core::array::from_fn(|index| words.word(first + 2 + index).load(Ordering::Relaxed));
        let Some(entry) = Entry::unpack(kind, rest) else { break };
        noted.push(Noted { at: words.word(first + 1).load(Ordering::Relaxed), entry });
    }
    noted
}

#[cfg(test)]
mod tests {
    use super::super::message::Life;
    use super::*;

    #[test]
    fn what_is_noted_is_read() {
        let id = Id::new(Life { slot: 300, life: 9 }, 70_000, true);
        let passed = Passed { sent: 1, routed: 2, delivered: 3 };
        let entries = [
            Entry::Connected { server: 77 },
            Entry::Says { id },
            Entry::Tells { id, to: u32::MAX },
            Entry::Moves { room: Some(3) },
            Entry::Moves { room: None },
            Entry::Said { id, room_id: 4, seq: u64::MAX, routed: 6 },
            Entry::Told { id },
            Entry::Joined { room: 1, room_id: u32::MAX, seq: 3, routed: 4 },
            Entry::Left { routed: 5 },
            Entry::Refused { id, code: 9 },
            Entry::Stayed { code: 8 },
            Entry::Heard { id, whole: true, room_id: u32::MAX, seq: 5, passed },
            Entry::Direct { id, whole: false, passed },
            Entry::Gap { first_seq: 1, last_seq: 2, records: 5, messages: 3, others: 4, told: Told::Server },
            Entry::Gap { first_seq: 0, last_seq: 0, records: 6, messages: 0, others: 0, told: Told::Note },
            Entry::Gap { first_seq: 1, last_seq: 1, records: 1, messages: 0, others: 0, told: Told::Nobody },
            Entry::Unusable { number: 1 },
            Entry::Overrun { events: 2 },
            Entry::Disconnected { server_died: true },
            Entry::Reconnected { server: 5, room: None },
            Entry::Silence { begins: true },
            Entry::Silence { begins: false },
            Entry::Settled,
            Entry::Barrier,
            Entry::Quit,
        ];
        let words = Journal::create(entries.len()).unwrap();
        let mut journal = Journal::open(&words.path()).unwrap();
        for (at, entry) in (1..).zip(entries) {
            journal.note(at, entry).unwrap();
        }
        assert!(journal.note(9, Entry::Quit).is_err_and(|why| why.to_string().contains("full")));
        let read = read(&words);
        assert!(read.iter().map(|noted| noted.entry).eq(entries));
        assert!(read.iter().map(|noted| noted.at).eq(1..=entries.len() as u64));
    }
}
