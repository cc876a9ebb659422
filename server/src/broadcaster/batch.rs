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
