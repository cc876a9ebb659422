//! A broadcaster's clients: their coming, their rooms, their going, and what their direct messages came to.

use std::sync::PoisonError;

use halyard_ring::PushError;

use super::Broadcaster;
use super::outlet::{Outlet, Settled};
use crate::job::{Job, Op};
use crate::steward::Chore;

impl Broadcaster {
    pub(super) fn add(&mut self) {
        let arrival = self.parts.arrivals.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(arrival) = arrival else {
            tracing::error!("a client was announced and did not come");
            return;
        };
        let slot = arrival.slot as usize;
        if self.outlets.len() <= slot {
            self.outlets.resize_with(slot + 1, || None);
        }
        self.outlets[slot] = Some(Box::new(Outlet::new(arrival)));
        self.count_clients(1);
    }

    fn count_clients(&self, by: i64) {
        let clients = &self.counters().clients;
        clients.set(clients.get().wrapping_add_signed(by));
    }

    pub(super) fn enter(&mut self, slot: u32, room: u32) {
        self.leave(slot);
        if self.rooms.len() <= room as usize {
            self.rooms.resize_with(room as usize + 1, Vec::new);
        }
        let members = &mut self.rooms[room as usize];
        if let Some(Some(outlet)) = self.outlets.get_mut(slot as usize) {
            outlet.room = Some((room, members.len() as u32));
            members.push(slot);
        }
    }

    pub(super) fn leave(&mut self, slot: u32) {
        let Some(Some(outlet)) = self.outlets.get_mut(slot as usize) else { return };
        let Some((room, index)) = outlet.room.take() else { return };
        let members = &mut self.rooms[room as usize];
        members.swap_remove(index as usize);
        // The last one took its place.
        if let Some(&moved) = members.get(index as usize)
            && let Some(Some(outlet)) = self.outlets.get_mut(moved as usize)
        {
            outlet.room = Some((room, index));
        }
        let members = &mut self.rooms[room as usize];
        if members.is_empty() {
            members.shrink_to(16);
        }
    }

    /// Forgets a client. Unless it is dead it gets what waits for it first, if it is quick about it.
    pub(super) fn remove(&mut self, slot: u32, now: u64, is_dead: bool) {
        self.leave(slot);
        let Some(mut outlet) = self.outlets.get_mut(slot as usize).and_then(Option::take) else { return };
        self.count_clients(-1);
        if outlet.is_listed {
            self.lagging.retain(|&other| other != slot);
        }
        outlet.begin_to_close(now);
        if !is_dead {
            outlet.flush(now, &mut self.settled);
        }
        if is_dead || outlet.may_close(now) {
            self.close(*outlet);
        } else {
            self.closing.push(*outlet);
        }
    }

    pub(super) fn close(&mut self, mut outlet: Outlet) {
        outlet.count(self.counters());
        outlet.report_overflow(&self.parts.audit, 0, true);
        let ring = outlet.close(&mut self.settled);
        // The steward outlives the broadcasters.
        let _ = self.parts.steward.send(Chore::Remove(ring));
    }

    /// Tells senders what became of their direct messages.
    pub(super) fn settle(&mut self, now: u64) {
        while let Some(Settled { origin, mut verdict }) = self.settled.pop() {
            if origin.broadcaster as usize == self.parts.index {
                if self.outlet(origin.slot).is_some_and(|outlet| outlet.id == origin.id) {
                    verdict.delivered_ns = now;
                    self.answer(origin.slot, &mut verdict, now);
                }
                continue;
            }
            let job = Job::new(Op::Verdict, origin.slot, 0, origin.id, verdict);
            let to = origin.broadcaster as usize;
            // Not past those that wait already.
            if !self.outgoing.is_empty() || !self.offer(to, &job) {
                self.outgoing.push_back((to, job));
            }
        }
    }

    /// Puts a job into another broadcaster's inbox; false if that is full.
    pub(super) fn offer(&mut self, to: usize, job: &Job) -> bool {
        let Some(Some(peer)) = self.parts.peers.get_mut(to) else { return true };
        // A closed inbox belongs to a broadcaster that has ended: nobody is there to be told.
        !matches!(peer.try_push_prefix(job, job.used()), Err(PushError::Full(())))
    }
}
