//! After a server died: its clients come back one after the other, and those who are first begin at once to send again
//! what the dead one had not acknowledged. Who comes back a moment later would not hear it.
//!
//! So a server that finds reply rings of living clients when it takes a name lets texts wait until those clients are
//! back. A client removes its old reply ring when it is in its room again, so the names tell; and it waits for a
//! bounded time only, since a client may be stopped, or not wish to come back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use halyard_ring::chat::{Kind, Record};
use halyard_ring::{RingName, list_names};

use super::Router;

/// How often it is looked who is still missing.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) struct Settling {
    /// The reply rings of clients that are not back.
    missing: Vec<RingName>,
    until: Instant,
    looked: Instant,
    held: VecDeque<Record>,
    /// The most that are held.
    max: usize,
}

impl Settling {
    /// None if nobody is missed.
    pub(super) fn new(missing: Vec<RingName>, patience: Duration, max: usize) -> Option<Self> {
        let now = Instant::now();
        let missed = !missing.is_empty() && !patience.is_zero();
        missed.then(|| Self { missing, until: now + patience, looked: now, held: VecDeque::new(), max })
    }

    fn is_over(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.until || self.held.len() >= self.max {
            tracing::info!(missing = self.missing.len(), "not waiting longer for the dead server's clients");
            return true;
        }
        if now - self.looked >= LOOK_EVERY {
            self.looked = now;
            // What cannot be read is waited for no longer.
            let names = list_names().unwrap_or_default();
            self.missing.retain(|name| names.contains(name));
        }
        self.missing.is_empty()
    }
}

impl Router {
    /// Whether the record, of a known client, has to wait. Once one has, all that follow from that client do.
    pub(super) fn holds(&mut self, slot: u32, record: &Record) -> bool {
        let Some(settling) = &mut self.settling else { return false };
        let Some(session) = &mut self.sessions[slot as usize] else { return false };
        let is_text = record.kind == Kind::Say.wire() || record.kind == Kind::Dm.wire();
        session.held |= is_text;
        if session.held {
            settling.held.push_back(*record);
        }
        session.held
    }

    /// Goes on with what waits if everybody is back, or if it has waited long enough (or `at_once`).
    pub(super) fn settle(&mut self, at_once: bool) {
        if self.settling.as_mut().is_none_or(|settling| !settling.is_over() && !at_once) {
            return;
        }
        let held = self.settling.take().map(|settling| settling.held).unwrap_or_default();
        for record in held {
            self.take(&record);
        }
    }
}
