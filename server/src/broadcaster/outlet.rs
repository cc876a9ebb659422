//! [`Outlet`]: one client's reply ring, and what waits for it while it is full.
//!
//! Records get their number when they go into the ring, or when the client is told that they are lost, and what waits
//! goes before what comes later; so numbers in the ring only ever grow, and what is missing was told.
//!
//! What waits, and what nobody was told yet, would die with this process. So the last number that all of it will have
//! stands in the reply ring's [`note`](Ring::note) before a sender learns that its message was dealt with: whoever
//! reads the ring to its end can see how much is missing there.

mod backlog;
mod fate;
mod many;
mod series;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use halyard_ring::chat::{ErrorCode, Kind, LeaveReason, OverflowPolicy, Record};
use halyard_ring::{Producer, PushError, Ring};

use super::answers::Answers;
use super::lost::Lost;
use crate::audit::{Auditor, Line};
use crate::spill::{Overflow, Pool, Waiting};
use crate::stats::BroadcasterCounters;
use crate::wire::error_record;
pub(crate) use fate::{Fate, Origin, Settled};
use series::Series;

/// How long a removed client has to make room for its last record.
const LINGER: Duration = Duration::from_millis(500);
/// How many runs of lost records are kept apart by room before they are told as one.
const RUNS: usize = 16;
/// A line about lost records comes at most this often for a client.
const REPORT_EVERY_NS: u64 = 1_000_000_000;
/// Above this, a queue that has become empty gives its memory back.
const KEEP_QUEUE: usize = 64;

#[expect(clippy::large_enum_variant, reason = "a queue is made of records; runs of lost ones are few")]
enum Item {
    /// Lost after this time (nanoseconds), if it is still here. Fragments of one text stand together.
    Record {
        record: Record,
        until_ns: u64,
        origin: Option<Origin>,
    },
    Lost(Lost),
}

/// One client's end of its reply ring.
pub(crate) struct Outlet {
    pub(crate) id: u32,
    pub(crate) nick: Box<str>,
    pid: u32,
    /// The room that it is in and its place among this broadcaster's members.
    pub(crate) room: Option<(u32, u32)>,
    /// Whether it is on the list of those to be looked after.
    pub(crate) is_listed: bool,
    pub(crate) answers: Answers,
    /// Records put into the ring since they were last counted.
    pub(crate) delivered: u64,
    /// Records lost since they were last counted.
    dropped: u64,
    /// Records lost since the last audit line about that, and when that was.
    unreported: u64,
    reported_ns: u64,
    ring: Ring<Record>,
    producer: Producer<Record>,
    overflow: Overflow,
    /// Number of the next record.
    next: u64,
    queue: VecDeque<Item>,
    /// How many numbers what is in the queue will take.
    owed: u64,
    /// How many records are in the queue, on account of all that may wait.
    waiting: Waiting,
    series: Series,
    last: Option<Record>,
    gone: Option<LeaveReason>,
    gone_told: bool,
    deadline_ns: u64,
}

/// What a new outlet is made of.
pub(crate) struct Arrival {
    pub(crate) id: u32,
    pub(crate) slot: u32,
    pub(crate) nick: Box<str>,
    pub(crate) pid: u32,
    pub(crate) ring: Ring<Record>,
    pub(crate) producer: Producer<Record>,
    pub(crate) overflow: Overflow,
    pub(crate) spill: Arc<Pool>,
    /// The most parts of answers that may wait.
    pub(crate) series_max: usize,
}

impl Outlet {
    pub(crate) fn new(arrival: Arrival) -> Self {
        let Arrival { id, slot: _, nick, pid, ring, producer, overflow, spill, series_max } = arrival;
        Self {
            id,
            nick,
            pid,
            room: None,
            is_listed: false,
            answers: Answers::new(),
            delivered: 0,
            dropped: 0,
            unreported: 0,
            reported_ns: 0,
            ring,
            producer,
            overflow,
            next: 1,
            queue: VecDeque::new(),
            owed: 0,
            waiting: Waiting::new(spill),
            series: Series::new(series_max),
            last: None,
            gone: None,
            gone_told: false,
            deadline_ns: u64::MAX,
        }
    }

    /// The record that tells the sender of a direct message to this client what became of it.
    pub(crate) fn verdict(&self, origin: Origin, fate: Fate) -> Settled {
        let verdict = match fate {
            Fate::Delivered | Fate::Waiting => {
                let mut ack = Record::new(Kind::Ack).with_body(&self.nick, "");
                (ack.code, ack.command, ack.client) = (Kind::Dm.wire(), origin.command, self.id);
                ack
            }
            Fate::SpillFull => error_record(ErrorCode::SpillFull, origin.command),
            Fate::Lost => error_record(ErrorCode::NotDelivered, origin.command),
            Fate::Gone => error_record(ErrorCode::NoSuchClient, origin.command),
        };
        Settled { origin, verdict }
    }

    /// Whether something waits.
    pub(crate) fn lags(&self) -> bool {
        !(self.queue.is_empty() && self.series.is_empty() && self.last.is_none())
    }

    /// Whether nothing can be written any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Why nothing can be written any more, once.
    pub(crate) fn gone_to_tell(&mut self) -> Option<LeaveReason> {
        if self.gone_told { None } else { self.gone.inspect(|_| self.gone_told = true) }
    }

    /// Delivers a record that is alone in its text, when nothing waits and there is room; false if not. The caller
    /// counts it.
    #[inline]
    pub(crate) fn deliver_now(&mut self, record: &mut Record) -> bool {
        self.queue.is_empty() && self.push_uncounted(record)
    }

    /// Delivers the fragments of one text, or one other record, whole or not at all.
    pub(crate) fn deliver(
        &mut self,
        group: &mut [Record],
        origin: Option<Origin>,
        now_ns: u64,
        settled: &mut Vec<Settled>,
    ) -> Fate {
        if !self.queue.is_empty() {
            self.flush_queue(now_ns, settled);
        }
        if self.gone.is_some() {
            return Fate::Gone;
        }
        if self.queue.is_empty() && self.push_group(group) {
            return Fate::Delivered;
        }
        if self.gone.is_some() {
            return Fate::Gone;
        }
        let fate = self.postpone(group, origin, now_ns);
        self.note_owed();
        #[cfg(feature = "faults")]
        halyard_ring::faults::pass(halyard_ring::faults::Point::Noted);
        fate
    }

    /// Queues what finds no room, or that it is lost.
    fn postpone(&mut self, group: &[Record], origin: Option<Origin>, now_ns: u64) -> Fate {
        let Overflow { policy, wait_ns, records } = self.overflow;
        let fits = self.waiting.records() as usize + group.len() <= records as usize;
        if policy == OverflowPolicy::Drop || !fits {
            self.lose(Lost::of(group));
            return Fate::Lost;
        }
        if !self.waiting.add(group.len() as u32) {
            self.lose(Lost::of(group));
            return Fate::SpillFull;
        }
        let until_ns =
            if policy == OverflowPolicy::Block { now_ns.saturating_add(wait_ns) } else { u64::MAX };
        let wait = |record: &Record| Item::Record { record: *record, until_ns, origin };
        self.queue.extend(group.iter().map(wait));
        self.owed += group.len() as u64;
        Fate::Waiting
    }

    /// Tells the client, should this process die now, which number the last record would have had.
    fn note_owed(&self) {
        self.ring.set_note(self.next - 1 + self.owed);
    }

    fn push_group(&mut self, group: &mut [Record]) -> bool {
        if let [record] = group {
            return self.push(record);
        }
        // The ring has more slots than a text has fragments, and nobody else writes it.
        if !self.producer.free_slots_at_least(group.len() as u32) {
            return false;
        }
        let whole = group.iter_mut().all(|record| self.push(record));
        if !whole {
            self.lied();
        }
        whole
    }

    /// Slots are given back in order, so a ring whose later slot is free and whose earlier one is not was written by
    /// somebody who may not. What is left of the text that was on its way in cannot be delivered any more.
    #[cold]
    fn lied(&mut self) {
        if self.gone.is_none() {
            tracing::warn!(
                client = self.id,
                nick = %self.nick,
                pid = self.pid,
                "reply ring unusable: it has no room where it said that it had"
            );
            self.gone = Some(LeaveReason::Misbehaved);
        }
    }

    /// Pushes and counts.
    fn push(&mut self, record: &mut Record) -> bool {
        let pushed = self.push_uncounted(record);
        self.delivered += u64::from(pushed);
        pushed
    }

    #[inline]
    fn push_uncounted(&mut self, record: &mut Record) -> bool {
        record.number = self.next;
        match self.producer.try_push_prefix(record, record.used()) {
            Ok(()) => {
                self.next += 1;
                true
            }
            Err(error) => {
                self.refused(&error);
                false
            }
        }
    }

    #[cold]
    fn refused(&mut self, error: &PushError<()>) {
        match error {
            PushError::Full(()) | PushError::TimedOut(()) => {}
            // The client closed its own ring: it left without a word.
            PushError::Closed(()) if self.ring.check().is_ok() => self.gone = Some(LeaveReason::Died),
            error => {
                tracing::warn!(client = self.id, nick = %self.nick, pid = self.pid, %error, "reply ring unusable");
                self.gone = Some(LeaveReason::Misbehaved);
            }
        }
    }

    /// Delivers or queues a part of an answer to WHO or LIST.
    pub(crate) fn deliver_series(&mut self, part: &mut Record, now_ns: u64) {
        if self.series.skips(part) {
            return;
        }
        let is_next = self.queue.is_empty() && self.series.is_empty();
        if !(is_next && self.has_spare_room() && self.push(part)) {
            self.series.push(part, now_ns);
        }
    }

    /// A quarter of the ring stays free for what else comes while a long answer goes out.
    fn has_spare_room(&self) -> bool {
        self.producer.free_slots_at_least(self.ring.capacity() / 4 + 1)
    }

    fn lose(&mut self, lost: Lost) {
        self.dropped += lost.records;
        self.unreported += lost.records;
        self.owed += lost.records;
        let full = self.queue.len() >= self.overflow.records as usize + RUNS;
        let apart = match self.queue.back_mut() {
            Some(Item::Lost(run)) if full => {
                run.swallow(lost);
                None
            }
            Some(Item::Lost(run)) => run.add(lost).err(),
            _ => Some(lost),
        };
        if let Some(lost) = apart {
            // And one number for the record that tells it.
            self.owed += 1;
            self.queue.push_back(Item::Lost(lost));
        }
    }

    /// Adds what was delivered and lost lately to the broadcaster's counters.
    pub(crate) fn count(&mut self, counters: &BroadcasterCounters) {
        if self.delivered > 0 {
            counters.delivered.add(std::mem::take(&mut self.delivered));
        }
        if self.dropped > 0 {
            counters.dropped.add(std::mem::take(&mut self.dropped));
        }
    }

    /// Writes an audit line about records lost, at most one a second unless it is `due`.
    pub(crate) fn report_overflow(&mut self, audit: &Auditor, now_ns: u64, due: bool) {
        if self.unreported == 0 || !due && now_ns.saturating_sub(self.reported_ns) < REPORT_EVERY_NS {
            return;
        }
        self.reported_ns = now_ns;
        let lost = std::mem::take(&mut self.unreported);
        tracing::info!(client = self.id, nick = %self.nick, lost, "reply ring full, records lost");
        audit.write(Line {
            event: "overflow",
            client: Some(self.id),
            nick: Some(&self.nick),
            pid: Some(self.pid),
            lost: Some(lost),
            ..Line::default()
        });
    }

    /// Says farewell: `record` is the last one that is delivered, after everything that waits.
    pub(crate) fn set_last(&mut self, record: Record) {
        self.last = Some(record);
    }

    /// Begins to close: from now on it has only so long to take what waits.
    pub(crate) fn begin_to_close(&mut self, now_ns: u64) {
        self.deadline_ns = now_ns.saturating_add(LINGER.as_nanos() as u64);
    }

    /// Whether everything is delivered, or cannot be any more.
    pub(crate) fn may_close(&self, now_ns: u64) -> bool {
        !self.lags() || self.gone.is_some() || now_ns >= self.deadline_ns
    }

    /// Closes the ring. Direct messages that still waited are settled as lost with their recipient. Returns the ring,
    /// for its names to be removed.
    pub(crate) fn close(mut self, settled: &mut Vec<Settled>) -> Ring<Record> {
        while let Some(item) = self.queue.pop_front() {
            if let Item::Record { record, origin: Some(origin), .. } = item
                && record.frag + 1 == record.frags
            {
                settled.push(self.verdict(origin, Fate::Gone));
            }
        }
        self.ring.close();
        self.ring
    }
}

#[cfg(test)]
mod tests;
