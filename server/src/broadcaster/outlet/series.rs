//! Parts of long answers, to WHO, LIST and HISTORY, that wait for their turn.
//!
//! They go when nothing else does and leave space for what else comes. They are never lost, only late; a client that
//! does not read them is not sent the rest, nor the ACK that would say that the answer is whole.

use std::collections::VecDeque;
use std::time::Duration;

use halyard_ring::chat::{Kind, Record};

/// How long the rest of an answer waits for a client that does not read.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Whether this is the first part of an answer.
fn begins(part: &Record) -> bool {
    match Kind::from_wire(part.kind) {
        Some(Kind::Member | Kind::Room) => part.room_seq == 1,
        Some(Kind::Earlier) => part.generation == 1 && part.frag == 0,
        _ => false,
    }
}

pub(super) struct Series {
    parts: VecDeque<Record>,
    /// Forgotten after this time, nanoseconds.
    until_ns: u64,
    /// The most parts that wait.
    max: usize,
    /// Parts that answer this command are not to be sent; 0 for none.
    skipped: u64,
}

impl Series {
    pub(super) fn new(max: usize) -> Self {
        Self { parts: VecDeque::new(), until_ns: 0, max, skipped: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether this part belongs to an answer that is not sent.
    pub(super) fn skips(&mut self, part: &Record) -> bool {
        let skips = self.skipped != 0 && part.command == self.skipped;
        if skips && part.kind == Kind::Ack.wire() {
            self.skipped = 0;
        }
        skips
    }

    /// Lets a part wait. The parts of one answer are its entries, counted from 1, and then an ACK.
    pub(super) fn push(&mut self, part: &Record, now_ns: u64) {
        if begins(part) && self.parts.iter().any(|waiting| waiting.command == part.command) {
            // The same question again while its answer is under way.
            self.skipped = part.command;
            return;
        }
        if self.parts.len() >= self.max {
            // It asks and asks and reads nothing.
            self.parts.clear();
            self.skip_rest_of(part);
            return;
        }
        if self.parts.is_empty() {
            self.be_patient(now_ns);
        }
        self.parts.push_back(*part);
    }

    pub(super) fn front(&self) -> Option<Record> {
        self.parts.front().copied()
    }

    /// The front part was delivered.
    pub(super) fn pop(&mut self, now_ns: u64) {
        self.parts.pop_front();
        self.be_patient(now_ns);
    }

    fn be_patient(&mut self, now_ns: u64) {
        self.until_ns = now_ns.saturating_add(PATIENCE.as_nanos() as u64);
    }

    /// Forgets what has waited too long.
    pub(super) fn expire(&mut self, now_ns: u64) {
        if now_ns > self.until_ns
            && let Some(part) = self.parts.back().copied()
        {
            self.parts.clear();
            self.skip_rest_of(&part);
        }
    }

    fn skip_rest_of(&mut self, part: &Record) {
        if part.kind != Kind::Ack.wire() {
            self.skipped = part.command;
        }
    }

    pub(super) fn shrink_to(&mut self, parts: usize) {
        self.parts.shrink_to(parts);
    }
}
