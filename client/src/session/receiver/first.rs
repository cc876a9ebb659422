//! What almost every record is: a message of one record, the next one in every respect.

use halyard_ring::PopError;
use halyard_ring::chat::{Kind, Record};

use super::super::parts::message;
use super::Receiver;
use crate::event::Message;

/// What a first look at the ring gave.
pub(super) enum First<'a> {
    /// All there was to do about it is done.
    Message(Message<&'a str>),
    /// Something else: [`step`](Receiver::step) says what.
    Other(Popped),
}

/// How far a record came before [`step`](Receiver::step).
pub(super) enum Popped {
    /// It waits: see `held`.
    Before,
    /// It was taken off the ring and not looked at.
    Now,
    /// It is a message that was heard before, and is passed over.
    Again,
    /// There was none.
    Not(PopError),
}

impl Receiver {
    /// Takes the next record, and if it is what almost all are, does all there is to do about it.
    ///
    /// Inlined where the event is wanted, so that it is made of the record's fields there and does not lie in memory in
    /// between. There it would be read in wider words than it was written in, and a processor lets such a read wait until
    /// all that was stored before it is in the cache; the freed slot is, whose line may be at the server.
    #[inline(always)]
    pub(super) fn first(&mut self) -> First<'_> {
        if self.held {
            return First::Other(Popped::Before);
        }
        let Self { consumer, record, next, room, long, heard, repeated, silence, .. } = self;
        if let Err(error) = consumer.try_pop_prefix(record, Record::used_from_prefix) {
            return First::Other(Popped::Not(error));
        }
        let is_next = record.number == *next && room.is_next(record);
        if record.kind != Kind::Message.wire() || record.frags != 1 || !is_next || silence.is_told() {
            return First::Other(Popped::Now);
        }
        let Ok(checked) = record.check() else { return First::Other(Popped::Now) };
        *next = record.number.saturating_add(1);
        room.last_seq = record.room_seq;
        silence.heard();
        if long.passes_over_whole(record, heard, repeated) {
            return First::Other(Popped::Again);
        }
        First::Message(message(record, &room.name, checked.nick, checked.text))
    }
}
