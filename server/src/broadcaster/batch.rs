//! Messages of one room that came right behind each other are delivered together: all of them to one member, then all to
//! the next. So what is known of a member, and the look whether it sleeps, are paid for once in a batch, and its slots are
//! written in a row. Every ring still gets them in the room's order.
//!
//! A message is put off only while the next one is looked for: see [`handover`](crate::handover), D5.

use halyard_ring::monotonic_ns;

use super::{Broadcaster, STAMP_EVERY};
use crate::job::{Job, Op};

/// Messages that are delivered together at most: they are to stay in the nearest cache, and small rings are not to fill up
/// before their readers have been woken.
const MOST: usize = 16;
/// In a smaller room a message is delivered at once: there is nothing to be gained.
const FROM_MEMBERS: usize = 8;
/// How many members ahead slots are fetched.
const AHEAD: usize = 2;

impl Broadcaster {
    /// Puts a job off if it is a message for a larger room, behind other such messages for the same room.
    #[inline]
    pub(super) fn puts_off(&mut self, job: &Job) -> bool {
        if job.op() != Some(Op::Say) || job.record.frags != 1 {
            return false;
        }
        let members = self.rooms.get(job.room as usize).map_or(0, Vec::len);
        if members < FROM_MEMBERS {
            return false;
        }
        let other = self.batch.first().is_some_and(|first| first.room != job.room);
        if other || self.batch.len() == MOST {
            self.deliver_batch();
        }
        self.batch.push(*job);
        true
    }

    /// Delivers what was put off, and says so to the senders.
    pub(super) fn deliver_batch(&mut self) {
        let Some(first) = self.batch.first() else { return };
        let (room, used) = (first.room as usize, first.record.used());
        let mut batch = std::mem::take(&mut self.batch);
        let members = self.rooms.get_mut(room).map(std::mem::take).unwrap_or_default();
        let mut now = monotonic_ns();
        let stamp = |batch: &mut [Job], now| batch.iter_mut().for_each(|job| job.record.delivered_ns = now);
        stamp(&mut batch, now);
        let (mut delivered, mut since) = (0, 0);
        for (index, &slot) in members.iter().enumerate() {
            if let Some(Some(next)) =
                members.get(index + AHEAD).and_then(|&slot| self.outlets.get(slot as usize))
            {
                next.prefetch(batch.len(), used);
            }
            if since >= STAMP_EVERY {
                (now, since) = (monotonic_ns(), 0);
                stamp(&mut batch, now);
            }
            since += batch.len();
            #[cfg(feature = "faults")]
            if index > 0 {
                halyard_ring::faults::pass(halyard_ring::faults::Point::Delivery);
            }
            let Some(Some(outlet)) = self.outlets.get_mut(slot as usize) else { continue };
            let pushed = outlet.deliver_many_now(&mut batch);
            delivered += pushed as u64;
            if pushed < batch.len() {
                for job in &mut batch[pushed..] {
                    outlet.deliver(std::slice::from_mut(&mut job.record), None, now, &mut self.settled);
                }
                self.after_delivery(slot, now);
            }
        }
        if let Some(place) = self.rooms.get_mut(room) {
            *place = members;
        }
        self.counters().delivered.add(delivered);
        for job in batch.drain(..) {
            self.confirm(&job, now);
        }
        self.batch = batch;
        self.settle(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Arc, Mutex, mpsc};

    use halyard_ring::chat::{Kind, OverflowPolicy, Record};
    use halyard_ring::{Consumer, Ring, RingOptions};

    use super::*;
    use crate::audit::Auditor;
    use crate::broadcaster::{Arrival, Parts};
    use crate::control::Control;
    use crate::handover::Work;
    use crate::inflight::InFlight;
    use crate::job::NONE;
    use crate::notice::Notices;
    use crate::spill::{Overflow, Pool};
    use crate::stats::Counters;

    /// Members of room 0 (one more than it takes to be delivered to together) and of room 1; the third of each has a ring
    /// that a burst fills.
    const MEMBERS: usize = FROM_MEMBERS + 1;
    const TIGHT: usize = 2;

    struct Bench {
        broadcaster: Broadcaster,
        readers: Vec<Consumer<Record>>,
        seqs: [u64; 2],
    }

    impl Bench {
        fn new() -> Self {
            let control = Arc::new(Control::new(Ring::heap(&RingOptions::mpsc(16))));
            let arrivals = Arc::new(Mutex::default());
            let mut broadcaster = Broadcaster::new(Parts {
                index: 0,
                peers: vec![None],
                arrivals: Arc::clone(&arrivals),
                notices: Arc::new(Notices::new(control)),
                steward: mpsc::channel().0,
                audit: Auditor::new(None),
                counters: Arc::new(Counters::new(1)),
                barrier: Arc::new(AtomicUsize::new(0)),
                in_flight: Arc::new(InFlight::new(1)),
            });
            let mut readers = Vec::new();
            for slot in 0..2 * MEMBERS {
                let capacity = if slot % MEMBERS == TIGHT { 32 } else { 256 };
                let ring = Ring::heap(&RingOptions::spsc(capacity));
                readers.push(ring.consumer().unwrap());
                let producer = ring.producer().unwrap();
                arrivals.lock().unwrap().push_back(Arrival {
                    id: slot as u32 + 1,
                    slot: slot as u32,
                    nick: format!("m{slot}").into(),
                    pid: 1,
                    ring,
                    producer,
                    overflow: Overflow { policy: OverflowPolicy::Spill, wait_ns: 0, records: 1000 },
                    spill: Pool::new(1 << 20),
                    series_max: 100,
                });
                let record = Record::new(Kind::Ping);
                let room = (slot / MEMBERS) as u32;
                for op in [Op::Add, Op::Enter] {
                    broadcaster.carry_out(&mut Job::new(op, slot as u32, room, NONE, record));
                }
            }
            Self { broadcaster, readers, seqs: [0; 2] }
        }

        /// The next message of the room; with notices it is one that is not put off.
        fn next(&mut self, room: usize, op: Op) {
            self.seqs[room] += 1;
            let kind = if op == Op::Say { Kind::Message } else { Kind::Joined };
            let mut record = Record::new(kind).with_body("ann", "hello");
            record.room_seq = self.seqs[room];
            self.broadcaster.carry_out(&mut Job::new(op, NONE, room as u32, NONE, record));
        }

        /// What has come to a member since the last time: the records' own numbers and the room's.
        fn read(&mut self, member: usize) -> Vec<(u64, u64)> {
            let mut seen = Vec::new();
            while let Ok(record) = self.readers[member].try_pop() {
                seen.push((record.number, record.room_seq));
            }
            seen
        }
    }

    #[test]
    fn a_burst_keeps_its_order_for_every_member_also_for_whom_the_ring_fills_amid_it() {
        let mut bench = Bench::new();
        // Delivered at once, so that the tight ring is full amid a batch: the second of what comes then.
        for _ in 0..3 {
            bench.next(0, Op::Room);
        }
        for _ in 0..2 * MOST + 5 {
            bench.next(0, Op::Say);
        }
        assert!(bench.broadcaster.has_put_off());
        // What cannot be put off, and another room's message, come behind what was.
        bench.next(0, Op::Room);
        assert!(!bench.broadcaster.has_put_off());
        for room in [0, 0, 1, 1, 0, 1, 0] {
            bench.next(room, Op::Say);
        }
        bench.broadcaster.deliver_batch();
        let mut seen: Vec<Vec<(u64, u64)>> = (0..2 * MEMBERS).map(|member| bench.read(member)).collect();
        assert_eq!(seen[TIGHT].len(), 32, "the rest waits");
        // A burst that finds some waiting, and room for a part of it.
        for _ in 0..MOST {
            bench.next(0, Op::Say);
        }
        bench.broadcaster.deliver_batch();
        for _ in 0..3 {
            for (member, seen) in seen.iter_mut().enumerate() {
                seen.extend(bench.read(member));
            }
            bench.broadcaster.poll(monotonic_ns());
        }
        for (member, seen) in seen.into_iter().enumerate() {
            let all: Vec<_> = (1..=bench.seqs[member / MEMBERS]).map(|seq| (seq, seq)).collect();
            assert_eq!(seen, all, "member {member}");
        }
    }
}
