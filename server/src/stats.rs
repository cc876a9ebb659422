//! Counters, and the public picture of them.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// A counter that one thread writes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds; only ever called by the thread that owns the counter, so load and store do for an atomic addition.
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, count: u64) {
        self.0.store(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The router's counters.
#[derive(Debug, Default)]
pub(crate) struct RouterCounters {
    pub(crate) received: Counter,
    pub(crate) commands: Counter,
    pub(crate) repeated: Counter,
    pub(crate) malformed: Counter,
    pub(crate) unknown_sender: Counter,
    pub(crate) stale: Counter,
    pub(crate) damaged: Counter,
    pub(crate) renewed: Counter,
    pub(crate) flooded: Counter,
    pub(crate) barred: Counter,
    pub(crate) paced: Counter,
    pub(crate) connected: Counter,
    pub(crate) refused: Counter,
    pub(crate) died: Counter,
}

/// One broadcaster's counters.
#[derive(Debug, Default)]
pub(crate) struct BroadcasterCounters {
    pub(crate) jobs: Counter,
    pub(crate) direct: Counter,
    pub(crate) delivered: Counter,
    pub(crate) dropped: Counter,
    pub(crate) clients: Counter,
    pub(crate) lagging: Counter,
}

/// All counters, each thread's on cache lines of its own.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) router: CachePadded<RouterCounters>,
    pub(crate) broadcasters: Box<[CachePadded<BroadcasterCounters>]>,
}

impl Counters {
    pub(crate) fn new(broadcasters: usize) -> Self {
        Self {
            router: CachePadded::default(),
            broadcasters: (0..broadcasters).map(|_| CachePadded::default()).collect(),
        }
    }
}

/// What a server has done so far. Counts of different threads are read one after another, so they are only near each
/// other while the server works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Clients connected now.
    pub clients: u32,
    /// Rooms open now.
    pub rooms: u32,
    /// Clients that were accepted.
    pub connected: u64,
    /// HELLOs that were refused.
    pub refused: u64,
    /// Clients that ended without QUIT: killed, hung, or misbehaved.
    pub died: u64,
    /// Records that came through the control ring.
    pub received: u64,
    /// Commands that were carried out or answered with an error.
    pub commands: u64,
    /// Repetitions of commands that had been acted on already.
    pub repeated: u64,
    /// Records that made no sense.
    pub malformed: u64,
    /// Records from a client id that nobody has.
    pub unknown_sender: u64,
    /// Records with a known client id and the wrong token.
    pub stale: u64,
    /// Damaged slots that were found in the control ring.
    pub damaged: u64,
    /// How often the control ring was made anew because another process had damaged it.
    pub renewed: u64,
    /// Commands that were not carried out because their sender had more under way than it may.
    pub flooded: u64,
    /// Clients that were ended for flooding, and whose processes were not let in again for a while.
    pub barred: u64,
    /// Turns of clients that sent far more than the others and were held to one turn in a millisecond for it.
    pub paced: u64,
    /// Records put into reply rings.
    pub delivered: u64,
    /// Records lost because a reply ring was full.
    pub dropped: u64,
    /// Each broadcaster's share.
    pub broadcasters: Vec<BroadcasterStats>,
}

/// One broadcaster's share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcasterStats {
    /// Clients that it serves now.
    pub clients: u64,
    /// Jobs that its thread has done.
    pub jobs: u64,
    /// Jobs that the router has done for it, because it was idle.
    pub direct: u64,
    /// Records put into reply rings.
    pub delivered: u64,
    /// Records lost because a reply ring was full.
    pub dropped: u64,
    /// Clients for which something waits now.
    pub lagging: u64,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        let router = &self.router;
        let broadcasters: Vec<_> = self
            .broadcasters
            .iter()
            .map(|counters| BroadcasterStats {
                clients: counters.clients.get(),
                jobs: counters.jobs.get(),
                direct: counters.direct.get(),
                delivered: counters.delivered.get(),
                dropped: counters.dropped.get(),
                lagging: counters.lagging.get(),
            })
            .collect();
        Stats {
            clients: 0,
            rooms: 0,
            connected: router.connected.get(),
            refused: router.refused.get(),
            died: router.died.get(),
            received: router.received.get(),
            commands: router.commands.get(),
            repeated: router.repeated.get(),
            malformed: router.malformed.get(),
            unknown_sender: router.unknown_sender.get(),
            stale: router.stale.get(),
            damaged: router.damaged.get(),
            renewed: router.renewed.get(),
            flooded: router.flooded.get(),
            barred: router.barred.get(),
            paced: router.paced.get(),
            delivered: broadcasters.iter().map(|b| b.delivered).sum(),
            dropped: broadcasters.iter().map(|b| b.dropped).sum(),
            broadcasters,
        }
    }
}
