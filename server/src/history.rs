//! What was said lately: the last messages of every room, for those who come later and for those who have lost some.
//!
//! Only the router touches it, once a message: the bytes are copied to the end of the room's own queue, and in the
//! steady state nothing is allocated. Two bounds hold: messages a room, and bytes over all rooms.

use std::collections::{HashMap, VecDeque};

use halyard_ring::chat::{Kind, Record, fragments};

/// The most records that one answer to HISTORY has. Who wants more asks for what is older.
pub(crate) const ANSWER_RECORDS: usize = 512;

/// What a log costs beside its messages, for the account.
const LOG_COST: usize = 256;

/// One message that is kept; nick and text stand in the log's bytes.
#[derive(Clone, Copy)]
struct Entry {
    seq: u64,
    sent_ns: u64,
    routed_ns: u64,
    client: u32,
    /// The room's id when it was said: a room that was closed in between has another one.
    room: u32,
    text_len: u16,
    flags: u16,
    nick_len: u8,
}

impl Entry {
    fn len(&self) -> usize {
        usize::from(self.nick_len) + usize::from(self.text_len)
    }

    fn cost(&self) -> usize {
        size_of::<Self>() + self.len()
    }
}

/// One room's messages, oldest first.
#[derive(Default)]
struct Log {
    entries: VecDeque<Entry>,
    /// Nick and text of each entry, one after the other.
    bytes: VecDeque<u8>,
}

impl Log {
    fn cost(&self) -> usize {
        self.entries.len() * size_of::<Entry>() + self.bytes.len()
    }

    fn forget_oldest(&mut self) -> usize {
        let Some(entry) = self.entries.pop_front() else { return 0 };
        self.bytes.drain(..entry.len());
        entry.cost()
    }

    /// Forgets the oldest until the rest costs at most this. Returns what that freed.
    fn trim(&mut self, to: usize) -> usize {
        let mut freed = 0;
        while self.cost() > to {
            freed += self.forget_oldest();
        }
        if freed > 0 {
            self.entries.shrink_to(2 * self.entries.len());
            self.bytes.shrink_to(2 * self.bytes.len());
        }
        freed
    }

    /// When its last message was said; 0 if there is none.
    fn last_ns(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.routed_ns)
    }
}

/// The last messages of all rooms, open or closed.
pub(crate) struct History {
    per_room: usize,
    bytes_max: usize,
    /// What all logs cost together.
    cost: usize,
    /// By the slots of the rooms that are open.
    open: Vec<Option<Log>>,
    closed: HashMap<Box<str>, Log>,
}

/// Which messages are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// At most this many, the newest.
    pub(crate) count: usize,
    /// Only of the room's present life, and numbered below this; 0 for any.
    pub(crate) before: u64,
}

impl History {
    pub(crate) fn new(per_room: u32, bytes_max: usize) -> Self {
        let per_room = per_room as usize;
        Self { per_room, bytes_max, cost: 0, open: Vec::new(), closed: HashMap::new() }
    }

    /// A room was opened, perhaps again.
    pub(crate) fn opened(&mut self, slot: u32, name: &str) {
        if self.open.len() <= slot as usize {
            self.open.resize_with(slot as usize + 1, || None);
        }
        let log = match self.closed.remove(name) {
            Some(log) => {
                self.cost -= LOG_COST + name.len();
                log
            }
            None => Log::default(),
        };
        self.open[slot as usize] = Some(log);
    }

    /// The last member has left a room. What was said there is kept until the bytes are needed.
    pub(crate) fn closed(&mut self, slot: u32, name: &str) {
        let Some(log) = self.open.get_mut(slot as usize).and_then(Option::take) else { return };
        if log.entries.is_empty() {
            return;
        }
        self.cost += LOG_COST + name.len();
        self.closed.insert(name.into(), log);
        self.fit();
    }

    /// Keeps a message: the record's numbers, and nick and text whole.
    #[inline]
    pub(crate) fn keep(&mut self, slot: u32, record: &Record, nick: &str, text: &str) {
        if self.per_room == 0 {
            return;
        }
        let Some(Some(log)) = self.open.get_mut(slot as usize) else { return };
        if log.entries.len() >= self.per_room {
            self.cost -= log.forget_oldest();
        }
        let entry = Entry {
            seq: record.room_seq,
            sent_ns: record.sent_ns,
            routed_ns: record.routed_ns,
            client: record.client,
            room: record.room,
            // Checked: a text has at most TEXT_MAX bytes, a nick NAME_MAX.
            text_len: text.len() as u16,
            flags: record.flags,
            nick_len: nick.len() as u8,
        };
        log.entries.push_back(entry);
        log.bytes.extend(nick.as_bytes());
        log.bytes.extend(text.as_bytes());
        self.cost += entry.cost();
        if self.cost > self.bytes_max {
            self.fit();
        }
    }

    /// Forgets the oldest until a quarter of the bytes is free: first what closed rooms left, then what busy rooms
    /// have beyond half of an equal share. One pass frees much, so it is made seldom.
    #[cold]
    fn fit(&mut self) {
        if self.cost <= self.bytes_max {
            return;
        }
        let goal = self.bytes_max / 4 * 3;
        let mut names: Vec<(u64, Box<str>)> =
            self.closed.iter().map(|(name, log)| (log.last_ns(), name.clone())).collect();
        names.sort_unstable();
        for (_, name) in names {
            if self.cost <= goal {
                return;
            }
            if let Some(log) = self.closed.remove(&name) {
                self.cost -= LOG_COST + name.len() + log.cost();
            }
        }
        let rooms = self.open.iter().flatten().filter(|log| !log.entries.is_empty()).count().max(1);
        let share = self.bytes_max / rooms / 2;
        for log in self.open.iter_mut().flatten() {
            self.cost -= log.trim(share);
        }
    }

    /// The newest messages of an open room that are wanted, oldest first, as EARLIER records without command.
    pub(crate) fn of_open(&self, slot: u32, room: u32, wanted: Wanted) -> Vec<Record> {
        let log = self.open.get(slot as usize).and_then(Option::as_ref);
        log.map_or_else(Vec::new, |log| records(log, room, wanted))
    }

    /// The same of a room that is not open.
    pub(crate) fn of_closed(&self, name: &str, wanted: Wanted) -> Vec<Record> {
        // Its messages have no numbers that count any more.
        let log = if wanted.before == 0 { self.closed.get(name) } else { None };
        log.map_or_else(Vec::new, |log| records(log, 0, wanted))
    }
}

fn records(log: &Log, room: u32, wanted: Wanted) -> Vec<Record> {
    let is_wanted = |entry: &Entry| wanted.before == 0 || entry.room == room && entry.seq < wanted.before;
    let (mut end, mut budget) = (log.bytes.len(), ANSWER_RECORDS);
    let mut chosen = Vec::new();
    for entry in log.entries.iter().rev() {
        end -= entry.len();
        if !is_wanted(entry) {
            continue;
        }
        let body: Vec<u8> = log.bytes.range(end..end + entry.len()).copied().collect();
        let Ok(body) = String::from_utf8(body) else { continue };
        let (nick, text) = body.split_at(usize::from(entry.nick_len));
        let frags = fragments(nick.len(), text).count();
        if chosen.len() >= wanted.count || frags > budget {
            break;
        }
        budget -= frags;
        chosen.push(earlier(entry, nick, text, frags));
    }
    let count = chosen.len() as u32;
    let mut records: Vec<Record> = Vec::with_capacity(ANSWER_RECORDS - budget);
    for (index, mut message) in (1..).zip(chosen.into_iter().rev()) {
        for record in &mut message {
            (record.generation, record.count) = (index, count);
        }
        records.append(&mut message);
    }
    records
}

fn earlier(entry: &Entry, nick: &str, text: &str, frags: usize) -> Vec<Record> {
    let mut head = Record::new(Kind::Earlier);
    (head.flags, head.client, head.room, head.room_seq) = (entry.flags, entry.client, entry.room, entry.seq);
    (head.sent_ns, head.frags) = (entry.sent_ns, frags as u8);
    head.routed_ns = entry.routed_ns;
    let piece = |(frag, piece): (usize, &str)| {
        let mut record = head.with_body(if frag == 0 { nick } else { "" }, piece);
        record.frag = frag as u8;
        record
    };
    fragments(nick.len(), text).enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(room: u32, seq: u64) -> Record {
        let mut record = Record::new(Kind::Message);
        (record.room, record.room_seq, record.client, record.routed_ns) = (room, seq, 7, seq * 10);
        record
    }

    fn texts(records: &[Record]) -> Vec<String> {
        records.iter().map(|record| record.check().unwrap().text.to_owned()).collect()
    }

    const ALL: Wanted = Wanted { count: usize::MAX, before: 0 };

    #[test]
    fn the_last_messages_are_kept_in_their_order() {
        let mut history = History::new(3, 1 << 20);
        history.opened(0, "lobby");
        for seq in 1..=5 {
            history.keep(0, &message(9, seq), "ann", &format!("m{seq}"));
        }
        let records = history.of_open(0, 9, ALL);
        assert_eq!(texts(&records), ["m3", "m4", "m5"]);
        let seen: Vec<_> = records.iter().map(|r| (r.generation, r.count, r.room_seq, r.routed_ns)).collect();
        assert_eq!(seen, [(1, 3, 3, 30), (2, 3, 4, 40), (3, 3, 5, 50)]);
        assert_eq!(records[0].check().unwrap().nick, "ann");
        assert_eq!(texts(&history.of_open(0, 9, Wanted { count: 2, before: 0 })), ["m4", "m5"]);
        assert_eq!(texts(&history.of_open(0, 9, Wanted { count: 1, before: 5 })), ["m4"]);
        assert!(history.of_open(1, 9, ALL).is_empty());
    }

    #[test]
    fn a_room_that_was_closed_has_its_messages_when_it_opens_again_but_other_numbers() {
        let mut history = History::new(10, 1 << 20);
        history.opened(0, "lobby");
        history.keep(0, &message(1, 1), "ann", "before");
        history.closed(0, "lobby");
        assert_eq!(texts(&history.of_closed("lobby", ALL)), ["before"]);
        history.opened(4, "lobby");
        history.keep(4, &message(2, 1), "bob", "after");
        assert_eq!(texts(&history.of_open(4, 2, ALL)), ["before", "after"]);
        // Numbers are of the room's present life.
        assert_eq!(texts(&history.of_open(4, 2, Wanted { count: 9, before: 2 })), ["after"]);
        assert!(history.of_closed("lobby", ALL).is_empty());
    }

    #[test]
    fn long_texts_come_in_fragments_and_an_answer_is_bounded() {
        let mut history = History::new(100, 1 << 20);
        history.opened(0, "lobby");
        let long = "ü".repeat(2048);
        for seq in 1..=100 {
            history.keep(0, &message(1, seq), "ann", &long);
        }
        let records = history.of_open(0, 1, ALL);
        assert!(records.len() <= ANSWER_RECORDS, "{}", records.len());
        let frags = usize::from(records[0].frags);
        assert_eq!(texts(&records[..frags]).concat(), long);
        assert_eq!(records.last().unwrap().room_seq, 100);
        assert_eq!(records.last().unwrap().generation, records[0].count);
    }

    #[test]
    fn bytes_are_bounded_and_the_quiet_room_keeps_what_it_has() {
        let bound = 64 * 1024;
        let mut history = History::new(1_000_000, bound);
        history.opened(0, "quiet");
        history.keep(0, &message(1, 1), "ann", "still here");
        history.opened(1, "old");
        history.keep(1, &message(2, 1), "ann", "long ago");
        history.closed(1, "old");
        history.opened(2, "busy");
        for seq in 1..=10_000 {
            history.keep(2, &message(3, seq), "bob", &"x".repeat(seq as usize % 300));
            let real = history.open.iter().flatten().map(Log::cost).sum::<usize>()
                + history.closed.iter().map(|(name, log)| LOG_COST + name.len() + log.cost()).sum::<usize>();
            assert_eq!(real, history.cost);
            assert!(history.cost <= bound);
        }
        assert_eq!(texts(&history.of_open(0, 1, ALL)), ["still here"]);
        assert!(history.of_closed("old", ALL).is_empty());
        assert_eq!(history.of_open(2, 3, ALL).last().unwrap().room_seq, 10_000);
    }

    #[test]
    fn no_history_is_none() {
        let mut history = History::new(0, 1 << 20);
        history.opened(0, "lobby");
        history.keep(0, &message(1, 1), "ann", "x");
        assert!(history.of_open(0, 1, ALL).is_empty());
    }
}
