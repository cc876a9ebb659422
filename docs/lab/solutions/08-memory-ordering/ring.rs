//! Two pairs: the store of tail with its load on the other side, and the store of head with its. A word that only its own
//! thread writes needs nothing there.

use super::{AtomicUsize, Ordering, Slot, fence};

pub const CAPACITY: usize = 2;

pub struct Ring {
    slots: [Slot; CAPACITY],
    /// Items taken; the consumer writes it.
    head: AtomicUsize,
    /// Items put; the producer writes it.
    tail: AtomicUsize,
}

impl Ring {
    pub fn new() -> Self {
        Self { slots: [Slot::new(), Slot::new()], head: AtomicUsize::new(0), tail: AtomicUsize::new(0) }
    }

    /// Puts an item in; false if the ring is full. The producer alone calls this.
    pub fn push(&self, item: u64) -> bool {
        let tail = self.tail.load(Ordering::Relaxed);
        if tail - self.head.load(Ordering::Acquire) == CAPACITY {
            return false;
        }
        self.slots[tail % CAPACITY].write(item);
        self.tail.store(tail + 1, Ordering::Release);
        true
    }

    /// Takes the oldest item out. The consumer alone calls this.
    pub fn pop(&self) -> Option<u64> {
        let head = self.head.load(Ordering::Relaxed);
        if self.tail.load(Ordering::Acquire) == head {
            return None;
        }
        let item = self.slots[head % CAPACITY].read();
        self.head.store(head + 1, Ordering::Release);
        Some(item)
    }
}
