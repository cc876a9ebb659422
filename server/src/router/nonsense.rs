//! Records that make no sense: of nobody, of somebody else, or no commands. Whoever can be told is told, rarely, and so is
//! the log.

use std::time::{Duration, Instant};

use halyard_ring::chat::{ErrorCode, Record};

use super::Router;

/// A client is told at most this often of records that are no answers.
const COMPLAIN_EVERY_NS: u64 = 1_000_000_000;
/// Of so many records of unknown clients one looks at the clock, whether it is time to look into it.
const STRAYS: u32 = 64;
/// A log line about nonsense in the control ring comes at most this often.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Keeps a flood of the same complaint out of the log.
#[derive(Default)]
pub(super) struct LogLimit {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    /// How many complaints were swallowed since the last one that was told, if this one may be told.
    pub(super) fn pass(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < LOG_EVERY) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

impl Router {
    /// A record bears an id that nobody has: damage, a client that does not know yet that its session is over, or a flood
    /// of them. Nobody is told, so of a flood only the first in a while is looked into.
    pub(super) fn stray(&mut self, record: &Record) {
        let is_first = self.strays.is_multiple_of(STRAYS);
        self.strays = if is_first && self.is_suspicion_due() { 1 } else { self.strays + 1 };
        if self.strays != 1 {
            self.parts.counters.router.unknown_sender.add(1);
            self.nonsense.suppressed += 1;
            return;
        }
        if !self.is_scribbled() {
            self.parts.counters.router.unknown_sender.add(1);
            self.nonsense(record, "record from an unknown client");
        }
    }

    pub(super) fn malformed(&mut self, slot: u32, record: &Record, code: ErrorCode, now: u64) {
        if self.is_scribbled() {
            // This is not what the client wrote. It will send it again.
            return;
        }
        self.parts.counters.router.malformed.add(1);
        if let Some(session) = &mut self.sessions[slot as usize] {
            session.long.forget();
            session.window.mark(record.command);
        }
        self.error(slot, code, record.command, now);
        self.nonsense(record, "malformed record");
    }

    pub(super) fn nonsense(&mut self, record: &Record, what: &str) {
        if let Some(more) = self.nonsense.pass() {
            tracing::warn!(
                client = record.client,
                kind = record.kind,
                command = record.command,
                more,
                "{what}"
            );
        }
    }

    /// Tells a client of a record that bears its id and is no command of its own, in an ERROR that answers nothing.
    pub(super) fn complain(&mut self, slot: u32, code: ErrorCode, now: u64) {
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        if now.saturating_sub(session.complained_ns) >= COMPLAIN_EVERY_NS {
            session.complained_ns = now;
            self.error(slot, code, 0, now);
        }
    }
}
