//! HISTORY: what was said in a room before.

use std::sync::Arc;

use halyard_ring::chat::{ErrorCode, Kind, Record};

use super::Router;
use crate::history::Wanted;
use crate::job::Op;

impl Router {
    /// The last messages of the client's room, or of the room named: whoever wants to look in need not enter.
    pub(super) fn history(&mut self, slot: u32, asked: &Record, name: &str, now: u64) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        let command = asked.command;
        let named = || self.parts.registry.rooms().by_name(name).map(|open| Arc::clone(&open.room));
        let room = if name.is_empty() { session.room.clone() } else { named() };
        if room.is_none() && name.is_empty() {
            return self.error(slot, ErrorCode::NotInRoom, command, now);
        }
        let count = if asked.count == 0 { usize::MAX } else { asked.count as usize };
        let wanted = Wanted { count, before: asked.room_seq };
        let (id, records) = match &room {
            Some(room) => (room.id, self.history.of_open(room.slot, room.id, wanted)),
            None => (0, self.history.of_closed(name, wanted)),
        };
        let total = records.first().map_or(0, |record| record.count);
        for mut record in records {
            // `tell_as` would put the answer's own time over the message's.
            let said = record.routed_ns;
            record.command = command;
            self.tell_as(Op::Series, slot, record, said);
        }
        self.ack_series(slot, Kind::History, command, id, total, now);
    }
}
