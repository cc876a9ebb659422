//! Lab 8: memory ordering. A ring of two slots between one producer and one consumer. It has every test on its side: real
//! threads on an x86 machine pass it a million times. loom, which tries what the memory model allows and not what this
//! processor does today, does not.
//!
//! Give each load and store the ordering that it needs, and no stronger: `Relaxed`, `Acquire`, `Release`, `SeqCst`, or
//! `fence(...)`. `Slot` is plain memory: nothing orders it but the words around it.

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
        if tail - self.head.load(Ordering::Relaxed) == CAPACITY {
            return false;
        }
        self.slots[tail % CAPACITY].write(item);
        self.tail.store(tail + 1, Ordering::Relaxed);
        true
    }

    /// Takes the oldest item out. The consumer alone calls this.
    pub fn pop(&self) -> Option<u64> {
        let head = self.head.load(Ordering::Relaxed);
        if self.tail.load(Ordering::Relaxed) == head {
            return None;
        }
        let item = self.slots[head % CAPACITY].read();
        self.head.store(head + 1, Ordering::Relaxed);
        Some(item)
    }
}
