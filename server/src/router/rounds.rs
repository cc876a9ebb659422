//! The router's rounds: whose backlog has a turn, and what becomes of those who flood it. Who has what share is in
//! [`super::fair`].

use halyard_ring::chat::{ErrorCode, LeaveReason};
use halyard_ring::monotonic_ns;

use super::Router;

/// A client that sent so many windows' worth of commands beyond its window is ended.
const FLOOD_WINDOWS: u64 = 64;

impl Router {
    /// A round is over: whoever has a backlog has a turn.
    pub(super) fn end_round(&mut self) {
        if self.fair.has_waiting() {
            self.fair.at(monotonic_ns());
        }
        for _ in 0..self.fair.end_round() {
            let Some(slot) = self.fair.next() else { return };
            let began = monotonic_ns();
            let Some(session) = &mut self.sessions[slot as usize] else { continue };
            let (records, until) = self.fair.turn(&mut session.share, began);
            self.parts.counters.router.paced.add(u64::from(records > 0 && until != u64::MAX));
            let mut now = began;
            for _ in 0..records {
                let record = self.sessions[slot as usize].as_mut().and_then(|session| session.share.next());
                let Some(record) = record else { break };
                self.carry_on(slot, &record, now);
                now = monotonic_ns();
                if now >= until {
                    break;
                }
            }
            if let Some(session) = &mut self.sessions[slot as usize] {
                self.fair.back(slot, &mut session.share, began, now);
            }
        }
    }

    /// A client has more commands under way than it may: this one is not carried out, and it may be sent again. Who
    /// makes a habit of it has to go, and does not come back at once.
    pub(super) fn refuse(&mut self, slot: u32, now: u64) {
        self.parts.counters.router.flooded.add(1);
        let window = u64::from(self.parts.config.window);
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        session.share.refused += 1;
        if session.share.refused <= FLOOD_WINDOWS * window {
            return self.complain(slot, ErrorCode::TooFast, now);
        }
        let process = session.client.process;
        if self.pusher().is_some_and(|pusher| pusher != process) {
            // Somebody else floods in its name.
            if let Some(session) = &mut self.sessions[slot as usize] {
                session.share.refused = 0;
            }
            self.parts.counters.router.stale.add(1);
            return;
        }
        self.bars.bar(process, now);
        self.parts.counters.router.barred.add(1);
        self.end(slot, LeaveReason::Flooded);
    }
}
