//! Runs of lost records, until the client can be told of them.

use halyard_ring::chat::{Kind, LostBody, Record};

/// Records that were lost one after another, at most one room's messages among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// How many record numbers they would have taken.
    pub(crate) records: u64,
    room: Rooms,
    first_seq: u64,
    last_seq: u64,
    messages: u32,
    directs: u32,
    others: u32,
}

/// The rooms whose messages are among the lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rooms {
    #[default]
    None,
    One(u32),
    /// Told only as a count: see [`Lost::swallow`].
    Several,
}

impl Lost {
    /// One lost text or notice: all of its fragments.
    pub(crate) fn of(group: &[Record]) -> Self {
        let mut lost = Self { records: group.len() as u64, ..Self::default() };
        let Some(record) = group.first() else { return lost };
        match Kind::from_wire(record.kind) {
            Some(Kind::Message) => {
                lost.room = Rooms::One(record.room);
                (lost.first_seq, lost.last_seq) = (record.room_seq, record.room_seq);
                lost.messages = 1;
            }
            Some(Kind::Direct) => lost.directs = 1,
            _ => lost.others = 1,
        }
        lost
    }

    /// Adds what was lost next; hands it back if it is of another room, which needs a LOST record of its own.
    pub(crate) fn add(&mut self, next: Self) -> Result<(), Self> {
        match (self.room, next.room) {
            (_, Rooms::None) => {}
            (Rooms::None, _) => {
                (self.room, self.first_seq, self.last_seq) = (next.room, next.first_seq, next.last_seq);
            }
            (Rooms::One(a), Rooms::One(b)) if a == b => self.last_seq = next.last_seq,
            _ => return Err(next),
        }
        self.count(next);
        Ok(())
    }

    /// Adds what was lost next, also of another room. Which messages those were is then only to be seen as a gap in
    /// the rooms' numbers; this keeps a client that changes rooms without reading from piling up runs.
    pub(crate) fn swallow(&mut self, next: Self) {
        if let Err(next) = self.add(next) {
            (self.room, self.first_seq, self.last_seq) = (Rooms::Several, 0, 0);
            self.count(next);
        }
    }

    fn count(&mut self, next: Self) {
        self.records += next.records;
        self.messages = self.messages.saturating_add(next.messages);
        self.directs = self.directs.saturating_add(next.directs);
        self.others = self.others.saturating_add(next.others);
    }

    /// The LOST record, when `next` would have been the number of the first that was lost. Its own number comes
    /// directly after the lost ones.
    pub(crate) fn record(&self, next: u64) -> Record {
        let mut record = Record::new(Kind::Lost);
        record.room = if let Rooms::One(room) = self.room { room } else { 0 };
        record.set_struct(&LostBody {
            first_number: next,
            last_number: next + self.records - 1,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            messages: self.messages,
            directs: self.directs,
            others: self.others,
            spare: 0,
        });
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(room: u32, seq: u64) -> Record {
        let mut record = Record::new(Kind::Message);
        (record.room, record.room_seq) = (room, seq);
        record
    }

    #[test]
    fn a_run_counts_what_it_lost() {
        let mut lost = Lost::of(&[Record::new(Kind::Ack)]);
        lost.add(Lost::of(&[message(7, 4), message(7, 4)])).unwrap();
        lost.add(Lost::of(&[Record::new(Kind::Direct)])).unwrap();
        lost.add(Lost::of(&[message(7, 6)])).unwrap();
        let record = lost.record(10);
        let body = record.lost();
        assert_eq!(record.room, 7);
        assert_eq!((body.first_number, body.last_number), (10, 14));
        assert_eq!((body.first_seq, body.last_seq), (4, 6));
        assert_eq!((body.messages, body.directs, body.others), (2, 1, 1));
    }

    #[test]
    fn another_room_is_another_run_unless_it_must_be_swallowed() {
        let mut lost = Lost::of(&[message(1, 1)]);
        let other = Lost::of(&[message(2, 9)]);
        assert_eq!(lost.add(other), Err(other));
        lost.swallow(other);
        lost.swallow(Lost::of(&[message(1, 2)]));
        let record = lost.record(1);
        assert_eq!((record.room, record.lost().first_seq, record.lost().last_seq), (0, 0, 0));
        assert_eq!((record.lost().messages, record.lost().last_number), (3, 3));
    }
}
