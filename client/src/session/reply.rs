//! What the two halves share: the reply ring that this client made, and the watch over the server's life.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use halyard_ring::chat::{Record, RingRole, SCHEMA, ServerName, control_ring, parse_ring_name, reply_ring};
use halyard_ring::guards::{self, Guard};
use halyard_ring::{
    AttachError, Beat, Belonging, CreateError, Group, ProcessId, Producer, Ring, RingName, RingOptions,
    creator_lives, list_names, remove_dead,
};

use super::watch::Watch;
use crate::error::ConnectError;

/// Tells apart the reply rings of one process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A server whose process cannot be watched counts as gone when its heartbeat is this old.
const SILENT: Duration = Duration::from_secs(30);
/// With a heartbeat this old it is looked whether the server has made its control ring anew, and stamps that one.
const LATE: Duration = Duration::from_secs(1);

/// The reply ring and the control ring of one session. The reply ring's names go when the last half goes.
pub(crate) struct Reply {
    ring: Ring<Record>,
    /// The one of the moment: the server makes it anew when somebody has damaged it, and the session goes on.
    control: Mutex<Ring<Record>>,
    /// Counts the control rings of this session.
    rings: AtomicU32,
    server: ServerName,
    creator: ProcessId,
    process: Watch,
    /// The highest number of a command that was answered. HELLO was number 1.
    answered: AtomicU64,
    /// The number of the last JOIN that was sent; 0 before.
    last_join: AtomicU64,
}

impl Reply {
    /// Creates a ring under a name that is free. `creator`: who made the control ring.
    pub(crate) fn create(
        server: &ServerName,
        capacity: u32,
        control: Ring<Record>,
        creator: ProcessId,
    ) -> Result<Self, ConnectError> {
        let mut options = RingOptions::spsc(capacity).schema(SCHEMA);
        if let Some(group) = group_of(&control) {
            options = options.group(group);
            remove_own_dead(server);
        }
        loop {
            let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let name = reply_ring(server, &id).expect("digits and a dash make a ring name");
            match Ring::create(&name, &options) {
                Ok(ring) => return Ok(Self::new(ring, control, server.clone(), creator)),
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
        Self::new(ring, control, ServerName::default(), ProcessId::current())
    }

    fn new(ring: Ring<Record>, control: Ring<Record>, server: ServerName, creator: ProcessId) -> Self {
        let process = Watch::new(creator, &ring);
        Self {
            ring,
            control: Mutex::new(control),
            rings: AtomicU32::new(0),
            server,
            creator,
            process,
            answered: AtomicU64::new(1),
            last_join: AtomicU64::new(0),
        }
    }

    pub(crate) fn ring(&self) -> &Ring<Record> {
        &self.ring
    }

    /// Where a group shares the rings: removes the reply ring's names, now that both sides have what stands behind them.
    /// The server may be another user, whom /dev/shm, being sticky, does not let remove what this one's death would leave.
    pub(super) fn hide(&self) {
        if group_of(&self.control()).is_some() && guards::is_in(Guard::EarlyUnlink) {
            // Where that fails they go with the session.
            let _ = self.ring.unlink();
        }
    }

    /// The process that made the control ring.
    pub(super) fn creator(&self) -> ProcessId {
        self.creator
    }

    pub(super) fn control(&self) -> MutexGuard<'_, Ring<Record>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many control rings this session has had before the one of the moment.
    #[inline]
    pub(super) fn rings(&self) -> u32 {
        // The lock in `attach` orders what comes with the new ring; this only says that there is one.
        self.rings.load(Ordering::Relaxed)
    }

    /// Attaches to the control ring of the moment. Returns its number, too.
    pub(super) fn attach(&self) -> Result<(Producer<Record>, u32), AttachError> {
        let control = self.control();
        Ok((control.producer()?, self.rings()))
    }

    /// Looks whether the same server has made its control ring anew, and goes over to that one. True if so; the sender
    /// then has to [attach](Self::attach) to it. Some system calls.
    pub(super) fn look_again(&self) -> bool {
        let mut control = self.control();
        if control.is_current().unwrap_or(true) {
            return false;
        }
        // What cannot be opened is damaged already: there will be another one.
        let Ok(ring) = Ring::<Record>::open(&control_ring(&self.server)) else { return false };
        if ring.schema() != SCHEMA || ring.creator() != Some(self.creator) {
            return false;
        }
        *control = ring;
        self.rings.store(self.rings().wrapping_add(1), Ordering::Relaxed);
        true
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

    /// The sender is about to send a JOIN, perhaps again. Its answer comes after it through both rings, so no order is
    /// needed here.
    pub(super) fn note_join(&self, command: u64) {
        self.last_join.fetch_max(command, Ordering::Relaxed);
    }

    /// The number of the last JOIN that was sent; 0 before.
    pub(super) fn last_join(&self) -> u64 {
        self.last_join.load(Ordering::Relaxed)
    }

    /// How long ago the server last stamped its heartbeat.
    pub(super) fn server_silent(&self) -> Duration {
        let age = || self.control().last_beat(Beat::Creator).unwrap_or_default();
        let silent = age();
        if silent >= LATE && self.look_again() { age() } else { silent }
    }

    /// Whether the server lives. Where there is no handle on its process (another pid namespace), the lock on the
    /// control ring says so, which the kernel drops with the process; since that lock may be a successor's already,
    /// the heartbeat is looked at, too.
    pub(crate) fn server_lives(&self) -> bool {
        if self.process.is_certain() {
            return !self.process.has_ended();
        }
        holder_lives(&self.server) && self.server_silent() < SILENT
    }
}

/// Whether a living server holds this name. Answers also for a control ring that somebody has damaged.
pub(super) fn holder_lives(server: &ServerName) -> bool {
    matches!(creator_lives(&control_ring(server)), Ok(Some(true)))
}

/// The group that shares the server.
fn group_of(control: &Ring<Record>) -> Option<Group> {
    control.belonging().and_then(|whose| whose.group)
}

/// Removes the reply rings that this user's clients left when they died before they were welcomed: nobody else may.
fn remove_own_dead(server: &ServerName) {
    let is_ours = |name: &RingName| {
        matches!(parse_ring_name(name), Some((of, RingRole::Reply(_))) if of == *server)
            && Belonging::of(name).is_ok_and(|whose| whose.is_some_and(|whose| whose.is_mine()))
    };
    for name in list_names().unwrap_or_default().into_iter().filter(is_ours) {
        // The next one tries again.
        let _ = remove_dead(&name);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.ring.close();
        // The names may be gone already: a server that outlives a client removes what the client left.
        let _ = self.ring.unlink();
    }
}
