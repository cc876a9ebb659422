//! The broadcaster: takes jobs from its inbox and puts records into its clients' reply rings.
//!
//! It never waits for a client, and never for another broadcaster: what a full reply ring does not take waits in the
//! client's [`Outlet`], what a full inbox does not take waits in `outgoing`. So the router may wait for a broadcaster,
//! and no circle of waiting can close. While its thread has nothing to do the router does its work: see [`Desk`].

mod answers;
mod batch;
mod clients;
mod desk;
mod lost;
mod outlet;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use halyard_ring::chat::{ErrorCode, Kind, Record};
use halyard_ring::{Producer, monotonic_ns};

use crate::audit::Auditor;
use crate::inflight::InFlight;
use crate::job::{Job, NONE, Op};
use crate::notice::{Notice, Notices};
use crate::stats::{BroadcasterCounters, Counters};
use crate::steward::Chore;
use crate::wire::error_record;

pub(crate) use desk::Desk;
pub(crate) use outlet::Arrival;
use outlet::{Fate, Origin, Outlet, Settled};

/// How often clients for which something waits are looked after.
const POLL: Duration = Duration::from_micros(500);
/// How long an idle broadcaster sleeps when nothing waits for anyone: jobs and nudges wake it.
const IDLE: Duration = Duration::from_secs(60);
/// Deliveries of one record that share a time stamp.
const STAMP_EVERY: usize = 16;

/// Clients on their way to a broadcaster: what an [`Op::Add`] stands for, in the same order.
pub(crate) type Arrivals = Mutex<VecDeque<Arrival>>;

/// What a broadcaster is made of.
pub(crate) struct Parts {
    pub(crate) index: usize,
    /// The other broadcasters' inboxes; none at its own place.
    pub(crate) peers: Vec<Option<Producer<Job>>>,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) steward: Sender<Chore>,
    pub(crate) audit: Auditor,
    pub(crate) counters: Arc<Counters>,
    /// Counts the broadcasters that have come to an [`Op::Barrier`].
    pub(crate) barrier: Arc<AtomicUsize>,
    pub(crate) in_flight: Arc<InFlight>,
}

/// What a broadcaster works on; see [`Desk`] for who does.
pub(crate) struct Broadcaster {
    parts: Parts,
    outlets: Vec<Option<Box<Outlet>>>,
    /// By room slot: the slots of this broadcaster's clients in that room.
    rooms: Vec<Vec<u32>>,
    /// Clients for which something waits.
    lagging: Vec<u32>,
    /// Removed clients whose last records wait.
    closing: Vec<Outlet>,
    /// Jobs for other broadcasters whose inboxes are full.
    outgoing: VecDeque<(usize, Job)>,
    /// Fragments of the text that is coming in.
    group: Vec<Record>,
    settled: Vec<Settled>,
    /// Messages to one room that are put off, to be delivered together.
    batch: Vec<Job>,
    polled_ns: u64,
    at_barrier: bool,
    stopping: bool,
}

impl Broadcaster {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            outlets: Vec::new(),
            rooms: Vec::new(),
            lagging: Vec::new(),
            closing: Vec::new(),
            outgoing: VecDeque::new(),
            group: Vec::new(),
            settled: Vec::new(),
            batch: Vec::new(),
            polled_ns: 0,
            at_barrier: false,
            stopping: false,
        }
    }

    fn counters(&self) -> &BroadcasterCounters {
        &self.parts.counters.broadcasters[self.parts.index]
    }

    /// Whether there is something to look after.
    fn has_something_waiting(&self) -> bool {
        !(self.lagging.is_empty() && self.closing.is_empty() && self.outgoing.is_empty()) || self.at_barrier
    }

    /// Does what is due for slow clients, closing clients and full inboxes. True if there is more to come.
    fn look_after_the_waiting(&mut self, idle: bool) -> bool {
        if !self.has_something_waiting() {
            return false;
        }
        while let Some((to, job)) = self.outgoing.pop_front() {
            if !self.offer(to, &job) {
                self.outgoing.push_front((to, job));
                break;
            }
        }
        if self.at_barrier && self.outgoing.is_empty() {
            self.at_barrier = false;
            self.parts.barrier.fetch_add(1, Ordering::AcqRel);
        }
        let now = monotonic_ns();
        if idle || now.saturating_sub(self.polled_ns) >= POLL.as_nanos() as u64 {
            self.polled_ns = now;
            self.poll(now);
        }
        true
    }

    fn poll(&mut self, now: u64) {
        let mut lagging = std::mem::take(&mut self.lagging);
        lagging.retain(|&slot| {
            let Some(Some(outlet)) = self.outlets.get_mut(slot as usize) else { return false };
            outlet.flush(now, &mut self.settled);
            outlet.is_listed = outlet.lags() && !outlet.is_gone();
            let listed = outlet.is_listed;
            self.after_delivery(slot, now);
            listed
        });
        // Whoever began to lag meanwhile stands in `self.lagging`.
        lagging.append(&mut self.lagging);
        self.lagging = lagging;
        self.counters().lagging.set(self.lagging.len() as u64);
        let mut closing = std::mem::take(&mut self.closing);
        for mut outlet in closing.drain(..) {
            outlet.flush(now, &mut self.settled);
            if outlet.may_close(now) {
                self.close(outlet);
            } else {
                self.closing.push(outlet);
            }
        }
        self.settle(now);
    }

    fn carry_out(&mut self, job: &mut Job) {
        if self.puts_off(job) {
            return;
        }
        self.deliver_batch();
        let now = monotonic_ns();
        job.record.delivered_ns = now;
        match job.op() {
            Some(Op::Room) => {
                self.room(job, job.aux, now);
            }
            Some(Op::Say) => self.say(job, now),
            Some(Op::One | Op::Verdict) => self.one(job, now),
            Some(Op::Direct) => self.direct(job, now),
            Some(Op::Series) => {
                if let Some(outlet) = self.outlet(job.slot) {
                    outlet.deliver_series(&mut job.record, now);
                    self.after_delivery(job.slot, now);
                }
            }
            Some(Op::Final) => {
                if let Some(outlet) = self.outlet(job.slot) {
                    outlet.set_last(job.record);
                }
            }
            Some(Op::Again) => self.again(job, now),
            Some(Op::Add) => self.add(),
            Some(Op::Enter) => self.enter(job.slot, job.room),
            Some(Op::Leave) => self.leave(job.slot),
            Some(Op::Rename) => {
                let name = job.record.check().map_or("", |message| message.text);
                if let Some(outlet) = self.outlet(job.slot) {
                    outlet.nick = name.into();
                }
            }
            Some(Op::Remove) => self.remove(job.slot, now, false),
            Some(Op::Discard) => self.remove(job.slot, now, true),
            Some(Op::Barrier) => self.at_barrier = true,
            Some(Op::Stop) => self.stopping = true,
            None => tracing::error!("a job without a meaning"),
        }
        if !self.settled.is_empty() {
            self.settle(now);
        }
    }

    fn outlet(&mut self, slot: u32) -> Option<&mut Outlet> {
        self.outlets.get_mut(slot as usize)?.as_deref_mut()
    }

    /// Gathers the fragments of one text. True when the group is whole.
    ///
    /// Only the router sends texts of several fragments, one text after the other, so one group is enough; what other
    /// broadcasters send in between is never a part of one.
    fn gather(&mut self, record: &Record) -> bool {
        if record.frag == 0 {
            self.group.clear();
        }
        self.group.push(*record);
        self.group.len() == usize::from(record.frags)
    }

    /// Delivers to this broadcaster's members of a room, except the one in slot `except`. False if more fragments of
    /// the text are to come.
    fn room(&mut self, job: &mut Job, except: u32, now: u64) -> bool {
        if job.record.frags > 1 && !self.gather(&job.record) {
            return false;
        }
        let single = job.record.frags == 1;
        let mut delivered = 0;
        let members = self.rooms.get(job.room as usize).map_or(0, Vec::len);
        for index in 0..members {
            let slot = self.rooms[job.room as usize][index];
            if slot == except {
                continue;
            }
            if index % STAMP_EVERY == STAMP_EVERY - 1 {
                let now = monotonic_ns();
                job.record.delivered_ns = now;
                self.group.iter_mut().for_each(|record| record.delivered_ns = now);
            }
            #[cfg(feature = "faults")]
            if index > 0 {
                halyard_ring::faults::pass(halyard_ring::faults::Point::Delivery);
            }
            let Some(Some(outlet)) = self.outlets.get_mut(slot as usize) else { continue };
            if single && outlet.deliver_now(&mut job.record) {
                delivered += 1;
                continue;
            }
            let group = if single { std::slice::from_mut(&mut job.record) } else { &mut self.group[..] };
            outlet.deliver(group, None, now, &mut self.settled);
            self.after_delivery(slot, now);
        }
        self.counters().delivered.add(delivered);
        true
    }

    fn say(&mut self, job: &mut Job, now: u64) {
        if self.room(job, NONE, now) {
            self.confirm(job, now);
        }
    }

    /// Tells a message's sender that this broadcaster's members all have it, if it is the last to say so.
    fn confirm(&mut self, job: &Job, now: u64) {
        if job.aux != NONE && !self.parts.in_flight.delivered(job.aux) {
            return;
        }
        // Now it lies in every member's ring.
        let mut ack = Record::new(Kind::Ack);
        (ack.code, ack.command) = (Kind::Say.wire(), job.command);
        (ack.room, ack.room_seq) = (job.record.room, job.record.room_seq);
        (ack.sent_ns, ack.routed_ns) = (job.record.sent_ns, job.record.routed_ns);
        ack.delivered_ns = job.record.delivered_ns;
        let Job { slot, home, command, record: Record { client: id, .. }, .. } = *job;
        if home as usize == self.parts.index {
            // It may have left since, and another one come.
            if self.outlet(slot).is_some_and(|outlet| outlet.id == id) {
                self.answer(slot, &mut ack, now);
            }
        } else {
            let origin = Origin { id, slot, broadcaster: home, command };
            self.settled.push(Settled { origin, verdict: ack });
        }
    }

    fn one(&mut self, job: &mut Job, now: u64) {
        // Another broadcaster does not know whether the client is still there.
        if self.outlet(job.slot).is_some_and(|outlet| outlet.id == job.aux) {
            self.answer(job.slot, &mut job.record, now);
        }
    }

    /// Delivers a record to one client, and remembers it if it answers a command.
    fn answer(&mut self, slot: u32, record: &mut Record, now: u64) {
        let Some(Some(outlet)) = self.outlets.get_mut(slot as usize) else { return };
        let is_answer = record.kind == Kind::Ack.wire() || record.kind == Kind::Error.wire();
        if is_answer && record.command != 0 {
            outlet.answers.keep(record);
        }
        if outlet.deliver_now(record) {
            outlet.delivered += 1;
        } else {
            outlet.deliver(std::slice::from_mut(record), None, now, &mut self.settled);
        }
        self.after_delivery(slot, now);
    }

    fn again(&mut self, job: &Job, now: u64) {
        let known = self.outlet(job.slot).and_then(|outlet| outlet.answers.of(job.record.command));
        // Not known: a message that is still on its way to somebody. Its answer will come.
        if let Some(mut record) = known {
            record.delivered_ns = now;
            record.routed_ns = job.record.routed_ns;
            self.answer(job.slot, &mut record, now);
        }
    }

    fn direct(&mut self, job: &mut Job, now: u64) {
        let command = job.command;
        if !self.gather(&job.record) {
            return;
        }
        let origin = Origin { id: job.record.client, slot: job.aux, broadcaster: job.home, command };
        let settled = match self.outlets.get_mut(job.slot as usize) {
            Some(Some(outlet)) => {
                self.group.iter_mut().for_each(|record| record.delivered_ns = now);
                let fate = outlet.deliver(&mut self.group, Some(origin), now, &mut self.settled);
                (fate != Fate::Waiting).then(|| outlet.verdict(origin, fate))
            }
            _ => Some(Settled { origin, verdict: error_record(ErrorCode::NoSuchClient, command) }),
        };
        self.after_delivery(job.slot, now);
        if let Some(mut settled) = settled {
            settled.verdict.sent_ns = job.record.sent_ns;
            settled.verdict.routed_ns = job.record.routed_ns;
            self.settled.push(settled);
        }
    }

    /// Counts, lists the client among the lagging if something waits for it, and tells the router if it is gone.
    fn after_delivery(&mut self, slot: u32, now: u64) {
        let Some(Some(outlet)) = self.outlets.get_mut(slot as usize) else { return };
        if outlet.lags() && !outlet.is_listed && !outlet.is_gone() {
            outlet.is_listed = true;
            self.lagging.push(slot);
        }
        if let Some(reason) = outlet.gone_to_tell() {
            self.parts.notices.send(Notice::Gone(outlet.id, reason));
        }
        let counters = &self.parts.counters.broadcasters[self.parts.index];
        outlet.count(counters);
        outlet.report_overflow(&self.parts.audit, now, false);
    }
}
