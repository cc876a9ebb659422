//! What the router has for the broadcasters: done here and now where a broadcaster is idle, else put into its inbox.

use std::time::Duration;

use halyard_ring::PushError;
use halyard_ring::chat::{Kind, Record};

use super::Router;
use crate::handover::Tried;
use crate::job::{NONE, Op};

/// A full inbox is waited for in pieces of this, to see whether its broadcaster still is there.
const INBOX_PATIENCE: Duration = Duration::from_millis(100);

impl Router {
    /// Sends a record to one client.
    pub(super) fn tell(&mut self, slot: u32, record: Record, now: u64) {
        self.tell_as(Op::One, slot, record, now);
    }

    pub(super) fn tell_as(&mut self, op: Op, slot: u32, record: Record, now: u64) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        let id = session.client.id;
        self.job.record = record;
        self.job.record.routed_ns = now;
        self.job.set(op, slot, 0, id);
        self.send_to_client(slot);
    }

    /// Sends an operation without a record to the client's broadcaster.
    pub(super) fn order(&mut self, op: Op, slot: u32, room: u32) {
        self.job.record = Record::new(Kind::Ping);
        self.job.set(op, slot, room, NONE);
        self.send_to_client(slot);
    }

    pub(super) fn send_to_client(&mut self, slot: u32) {
        if let Some(session) = &self.sessions[slot as usize] {
            self.send(session.client.broadcaster, 1);
        }
    }

    /// Has the job done that is for so many clients of a broadcaster: here and now if the broadcaster is idle, else by
    /// sending it there.
    #[inline]
    pub(super) fn send(&mut self, broadcaster: usize, clients: u32) {
        let tried = if clients <= self.parts.config.direct {
            self.parts.desks[broadcaster].try_work(&mut self.job, self.sent[broadcaster])
        } else {
            Tried::Refused
        };
        match tried {
            Tried::Refused => return self.queue(broadcaster),
            Tried::PutOff if !self.put_off.contains(&broadcaster) => self.put_off.push(broadcaster),
            Tried::PutOff | Tried::Done => {}
        }
        self.parts.counters.broadcasters[broadcaster].direct.add(1);
    }

    /// Has done what was put off while there was more to come.
    #[inline]
    pub(super) fn flush(&mut self) {
        while let Some(broadcaster) = self.put_off.pop() {
            self.parts.desks[broadcaster].flush();
        }
    }

    /// Sends the job to one broadcaster, waiting while its inbox is full.
    fn queue(&mut self, broadcaster: usize) {
        self.sent[broadcaster] += 1;
        let inbox = &mut self.parts.inboxes[broadcaster];
        let used = self.job.used();
        loop {
            match inbox.push_prefix_timeout(&self.job, used, INBOX_PATIENCE) {
                Ok(()) => return,
                Err(PushError::TimedOut(()) | PushError::Full(())) => {}
                Err(error) => {
                    // Its thread has ended by a panic: a server that serves only some is none.
                    if !self.stopping {
                        tracing::error!(broadcaster, %error, "a broadcaster is gone, the server stops");
                        self.stopping = true;
                    }
                    return;
                }
            }
        }
    }

    pub(super) fn order_all(&mut self, op: Op) {
        self.job.record = Record::new(Kind::Ping);
        self.job.set(op, NONE, 0, NONE);
        for broadcaster in 0..self.parts.inboxes.len() {
            self.queue(broadcaster);
        }
    }
}
