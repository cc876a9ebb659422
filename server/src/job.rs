//! [`Job`]: what travels through a broadcaster's inbox.

use core::mem::offset_of;

use halyard_ring::chat::Record;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Jobs that one inbox holds.
pub(crate) const INBOX: u32 = 1024;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// What a broadcaster is to do. The numbers travel only inside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Op {
    /// A notice about room `room`, to this broadcaster's members except client slot `aux`.
    Room = 1,
    /// A message to this broadcaster's members of room `room`, from the client in `slot` at broadcaster `home`. `aux`
    /// is where the broadcasters that have to deliver it are counted (see [`crate::inflight`]): the last one
    /// answers `command`. NONE: this is the only one.
    Say,
    /// A record to the client in `slot`, if it still is client `aux`.
    One,
    /// A direct message to the client in `slot`; its sender is in slot `aux` at broadcaster `home`, and is answered for
    /// `command`.
    Direct,
    /// A record of a series that answers WHO or LIST, to the client in `slot`.
    Series,
    /// The last record that the client in `slot` gets, before it is removed.
    Final,
    /// Answer the record's command again to the client in `slot`, if its answer is known.
    Again,
    /// The next arrival is the client in `slot`.
    Add,
    /// The client in `slot` is in room `room` from now on.
    Enter,
    /// The client in `slot` is in no room any more.
    Leave,
    /// The client in `slot` is called as the record's body says.
    Rename,
    /// The client in `slot` is no more: deliver what waits for it, close its ring.
    Remove,
    /// The client in `slot` is dead: what waits for it is lost.
    Discard,
    /// From another broadcaster: what became of a message of the client in `slot`, if it still is client `aux`.
    Verdict,
    /// Say so when everything before this is done.
    Barrier,
    /// End, once the rings of removed clients are closed.
    Stop,
}

impl Op {
    fn from_wire(value: u32) -> Option<Self> {
        use Op::*;
        [
            Room, Say, One, Direct, Series, Final, Again, Add, Enter, Leave, Rename, Remove, Discard,
            Verdict, Barrier, Stop,
        ]
        .get(value.wrapping_sub(1) as usize)
        .copied()
    }
}

/// One entry of an inbox: plain bytes, so that it travels through a ring without an allocation.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(crate) struct Job {
    op: u32,
    pub(crate) slot: u32,
    pub(crate) room: u32,
    pub(crate) aux: u32,
    pub(crate) home: u32,
    spare: u32,
    pub(crate) command: u64,
    pub(crate) record: Record,
}

const HEAD: usize = offset_of!(Job, record);

impl Job {
    pub(crate) fn empty() -> Self {
        Self::new_zeroed()
    }

    pub(crate) fn new(op: Op, slot: u32, room: u32, aux: u32, record: Record) -> Self {
        Self { op: op as u32, slot, room, aux, home: 0, spare: 0, command: 0, record }
    }

    /// Sets everything but the record and who is answered.
    pub(crate) fn set(&mut self, op: Op, slot: u32, room: u32, aux: u32) {
        (self.op, self.slot, self.room, self.aux) = (op as u32, slot, room, aux);
    }

    /// Sets who is answered: which command, and at which broadcaster its sender is.
    pub(crate) fn set_sender(&mut self, command: u64, home: usize) {
        (self.command, self.home) = (command, home as u32);
    }

    pub(crate) fn op(&self) -> Option<Op> {
        Op::from_wire(self.op)
    }

    /// Bytes that need to be copied.
    pub(crate) fn used(&self) -> usize {
        HEAD + self.record.used()
    }

    /// The same, read off a job's first bytes.
    pub(crate) fn used_from_prefix(prefix: &[u8]) -> usize {
        HEAD + Record::used_from_prefix(prefix.get(HEAD..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halyard_ring::chat::Kind;

    #[test]
    fn a_job_says_how_much_of_it_counts() {
        let record = Record::new(Kind::Message).with_body("ann", "hello");
        let job = Job::new(Op::Room, 1, 2, 3, record);
        assert_eq!(job.used(), HEAD + 88);
        assert_eq!(Job::used_from_prefix(&job.as_bytes()[..56]), job.used());
    }

    #[test]
    fn every_operation_comes_back_as_itself() {
        for value in 1..=Op::Stop as u32 {
            assert_eq!(Op::from_wire(value).map(|op| op as u32), Some(value));
        }
        assert_eq!(Op::from_wire(0), None);
        assert_eq!(Op::from_wire(Op::Stop as u32 + 1), None);
    }
}
