//! After a server died: its clients come back one after the other, and those who are first begin at once to send again
//! what the dead one had not acknowledged. Who comes back a moment later would not hear it.
//!
//! So a server that finds reply rings of living clients when it takes a name lets texts wait until those clients are
//! back. A client removes its old reply ring when it is in its room again, so the names tell; and it waits for a
//! bounded time only, since a client may be stopped, or not wish to come back.
//!
//! Where a group shares the rings a client has removed its names long before. There the dead server's control ring tells
//! which processes were attached to it, and with how many sessions; they are back when so many are under way again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use halyard_ring::chat::{Kind, Record};
use halyard_ring::{ProcessId, RingName, list_names};

use super::Router;
use super::session::Session;

/// How often it is looked who is still missing.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The living clients of a dead server.
#[derive(Default)]
pub(crate) struct Orphans {
    /// The reply rings of those whose rings have names.
    pub(crate) rings: Vec<RingName>,
    /// The processes of those whose rings have none, once for each of their sessions.
    pub(crate) processes: Vec<ProcessId>,
}

pub(super) struct Settling {
    /// The reply rings of clients that are not back.
    missing: Vec<RingName>,
    /// How many sessions each process had that is not back.
    processes: HashMap<ProcessId, usize>,
    until: Instant,
    looked: Instant,
    held: VecDeque<Record>,
    /// The most that are held.
    max: usize,
}

impl Settling {
    /// None if nobody is missed.
    pub(super) fn new(orphans: Orphans, patience: Duration, max: usize) -> Option<Self> {
        let now = Instant::now();
        let mut processes = HashMap::new();
        for process in orphans.processes {
            *processes.entry(process).or_default() += 1;
        }
        let missing = orphans.rings;
        let missed = !(patience.is_zero() || missing.is_empty() && processes.is_empty());
        let (until, held) = (now + patience, VecDeque::new());
        missed.then_some(Self { missing, processes, until, looked: now, held, max })
    }

    /// `back`: how many sessions of a process are under way again.
    fn is_over(&mut self, back: impl Fn(ProcessId) -> usize) -> bool {
        let now = Instant::now();
        if now >= self.until || self.held.len() >= self.max {
            let missing = self.missing.len() + self.processes.len();
            tracing::info!(missing, "not waiting longer for the dead server's clients");
            return true;
        }
        if now - self.looked >= LOOK_EVERY {
            self.looked = now;
            // What cannot be read is waited for no longer.
            let names = list_names().unwrap_or_default();
            self.missing.retain(|name| names.contains(name));
            self.processes.retain(|&process, &mut had| back(process) < had && process.is_alive());
        }
        self.missing.is_empty() && self.processes.is_empty()
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
        let Some(settling) = &mut self.settling else { return };
        let sessions = &self.sessions;
        let back = |process| {
            let is_back = |session: &&Session| session.client.process == process && session.is_under_way();
            sessions.iter().flatten().filter(is_back).count()
        };
        if !settling.is_over(back) && !at_once {
            return;
        }
        let held = self.settling.take().map(|settling| settling.held).unwrap_or_default();
        for record in held {
            self.take(&record);
        }
    }
}
