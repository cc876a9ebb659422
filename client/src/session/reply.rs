//! What the two halves share: the reply ring that this client made, and the watch over the server's life.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use halyard_ring::chat::{Record, SCHEMA, ServerName, control_ring, reply_ring};
use halyard_ring::{Beat, CreateError, Ring, RingOptions, RingView};

use super::watch::Watch;
use crate::error::ConnectError;

/// Tells apart the reply rings of one process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A server whose process cannot be watched counts as gone when its heartbeat is this old.
const SILENT: Duration = Duration::from_secs(30);

/// The reply ring and the control ring of one session. The reply ring's names go when the last half goes.
pub(crate) struct Reply {
    ring: Ring<Record>,
    control: Ring<Record>,
    server: ServerName,
    process: Option<Watch>,
    /// The highest number of a command that was answered. HELLO was number 1.
    answered: AtomicU64,
}

impl Reply {
    /// Creates a ring under a name that is free.
    pub(crate) fn create(
        server: &ServerName,
        capacity: u32,
        control: Ring<Record>,
    ) -> Result<Self, ConnectError> {
        let options = RingOptions::spsc(capacity).schema(SCHEMA);
        loop {
            let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let name = reply_ring(server, &id).expect("digits and a dash make a ring name");
            match Ring::create(&name, &options) {
                Ok(ring) => {
                    let process = control.creator().map(|process| Watch::new(process, &ring));
                    return Ok(Self {
                        ring,
                        control,
                        server: server.clone(),
                        process,
                        answered: AtomicU64::new(1),
                    });
                }
                // A former process of this pid left it, or one of another pid namespace has it.
                Err(CreateError::Exists { .. }) => {}
                Err(error) => return Err(ConnectError::ReplyRing(error)),
            }
        }
    }

    /// Two rings of this process's own heap: for those who play the server themselves.
    pub(super) fn heap(capacity: u32) -> Self {
        let ring = Ring::heap(&RingOptions::spsc(capacity));
        let control = Ring::heap(&RingOptions::mpsc(16));
        let process = Some(Watch::new(halyard_ring::ProcessId::current(), &ring));
        Self { ring, control, server: ServerName::default(), process, answered: AtomicU64::new(1) }
    }

    pub(crate) fn ring(&self) -> &Ring<Record> {
        &self.ring
    }

    pub(crate) fn control(&self) -> &Ring<Record> {
        &self.control
    }

    /// Tells the server that this client lives.
    pub(crate) fn beat(&self) {
        self.ring.beat(Beat::Creator);
    }

    /// The receiver has seen an answer.
    pub(super) fn note_answer(&self, command: u64) {
        // One receiver, so nobody else stores; nothing is published by it but the number.
        if command > self.answered.load(Ordering::Relaxed) {
            self.answered.store(command, Ordering::Relaxed);
        }
    }

    /// The highest number of a command that was answered.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How long ago the server last stamped its heartbeat.
    pub(super) fn server_silent(&self) -> Duration {
        self.control.last_beat(Beat::Creator).unwrap_or_default()
    }

    /// Whether the server lives. Where there is no handle on its process (another pid namespace), the lock on the
    /// control ring says so, which the kernel drops with the process; since that lock may be a successor's already,
    /// the heartbeat is looked at, too.
    pub(crate) fn server_lives(&self) -> bool {
        match &self.process {
            Some(process) if process.is_certain() => !process.has_ended(),
            _ => {
                holder_lives(&self.server)
                    && self.control.last_beat(Beat::Creator).is_none_or(|age| age < SILENT)
            }
        }
    }
}

/// Whether a living server holds this name.
pub(super) fn holder_lives(server: &ServerName) -> bool {
    RingView::open(&control_ring(server)).is_ok_and(|view| view.creator_is_alive().unwrap_or(true))
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.ring.close();
        // The names may be gone already: a server that outlives a client removes what the client left.
        let _ = self.ring.unlink();
    }
}
