//! Records that wait for slow clients: what a client may choose, and the memory, with one bound for all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use halyard_ring::chat::{OverflowPolicy, Record};

/// What one waiting record is counted as, bytes.
const RECORD: u64 = size_of::<Record>() as u64;

/// What a client chose for when its ring is full, within the server's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow {
    pub(crate) policy: OverflowPolicy,
    /// Block: how long a record may wait, nanoseconds.
    pub(crate) wait_ns: u64,
    /// Block and spill: how many records may wait.
    pub(crate) records: u32,
}

/// The bytes that records waiting for all clients may take.
#[derive(Debug)]
pub(crate) struct Pool {
    used: AtomicU64,
    max: u64,
}

impl Pool {
    pub(crate) fn new(max: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), max })
    }

    /// Bytes in use now.
    #[cfg(test)]
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// One client's part of the pool. What it holds goes back with it.
pub(crate) struct Waiting {
    pool: Arc<Pool>,
    records: u32,
}

impl Waiting {
    pub(crate) fn new(pool: Arc<Pool>) -> Self {
        Self { pool, records: 0 }
    }

    /// Records that wait for this client.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// So many more, if the pool has room for them. Only records that wait come here, so this is never on the way of
    /// one that is delivered at once.
    pub(crate) fn add(&mut self, records: u32) -> bool {
        let Pool { used, max } = &*self.pool;
        let more = |used: u64| Some(used + u64::from(records) * RECORD).filter(|sum| sum <= max);
        let added = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if added {
            self.records += records;
        }
        added
    }

    /// So many have been delivered, or count as lost.
    pub(crate) fn remove(&mut self, records: u32) {
        // Never more than this client has: the pool is everybody's.
        let records = records.min(self.records);
        self.records -= records;
        self.pool.used.fetch_sub(u64::from(records) * RECORD, Ordering::Relaxed);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.remove(self.records);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_one_bound_for_all_and_what_is_given_back_can_be_used_again() {
        let pool = Pool::new(10 * RECORD + 7);
        let (mut ann, mut bob) = (Waiting::new(Arc::clone(&pool)), Waiting::new(Arc::clone(&pool)));
        assert!(ann.add(6) && bob.add(4));
        assert!(!ann.add(1) && !bob.add(1));
        ann.remove(2);
        assert!(!bob.add(3) && bob.add(2));
        assert_eq!((ann.records(), bob.records(), pool.used()), (4, 6, 10 * RECORD));
        drop(bob);
        assert!(ann.add(6));
        let mut eve = Waiting::new(Arc::clone(&pool));
        eve.remove(5);
        assert_eq!(
            (eve.records(), pool.used()),
            (0, 10 * RECORD),
            "what others have is not hers to give back"
        );
        drop((ann, eve));
        assert_eq!(pool.used(), 0);
    }
}
