//! The room that a client is in, as its ring tells it: the message numbers that come next.

use halyard_ring::chat::{Kind, Record};

use crate::event::Gap;

/// The room that this client is in, as far as its ring has told.
#[derive(Default)]
pub(super) struct Room {
    pub(super) id: u32,
    pub(super) name: String,
    /// The number of the last message seen or known to be missing.
    pub(super) last_seq: u64,
    /// The command that brought the client here: an answer that comes twice must not bring it back.
    pub(super) command: u64,
}

/// What a room's message number says.
pub(super) enum Seen {
    Next,
    Again,
    Behind(Gap),
}

impl Room {
    /// Whether this is a message of this room, and the next one.
    #[inline]
    pub(super) fn is_next(&self, record: &Record) -> bool {
        record.room == self.id && Some(record.room_seq) == self.last_seq.checked_add(1)
    }

    pub(super) fn next_message(&mut self, record: &Record) -> Seen {
        let seq = record.room_seq;
        if record.room != self.id {
            // The confirmation of JOIN was lost: numbering starts with what is seen first.
            *self = Self { id: record.room, last_seq: seq, command: self.command, ..Self::default() };
            return Seen::Next;
        }
        if seq <= self.last_seq {
            return Seen::Again;
        }
        let (first_seq, last_seq) = (self.last_seq + 1, seq - 1);
        if first_seq <= last_seq {
            self.last_seq = last_seq;
            return Seen::Behind(Gap { first_seq, last_seq, ..Gap::default() });
        }
        self.last_seq = seq;
        Seen::Next
    }

    pub(super) fn answered(&mut self, kind: Kind, record: &Record, name: &str) {
        if !matches!(kind, Kind::Join | Kind::Leave) || record.command <= self.command {
            return;
        }
        self.command = record.command;
        if kind == Kind::Leave {
            (self.id, self.last_seq) = (0, 0);
            self.name.clear();
            return;
        }
        if self.id != record.room {
            (self.id, self.last_seq) = (record.room, record.room_seq);
        }
        if self.name != name {
            name.clone_into(&mut self.name);
        }
    }
}
