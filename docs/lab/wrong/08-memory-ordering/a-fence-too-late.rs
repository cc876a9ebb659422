// file: ring.rs
// expect: publishing takes two
use super::{AtomicUsize, Ordering, Slot, fence};

pub const CAPACITY: usize = 2;

pub struct Ring {
    slots: [Slot; CAPACITY],
    head: AtomicUsize,
    tail: AtomicUsize,
}

impl Ring {
    pub fn new() -> Self {
        Self { slots: [Slot::new(), Slot::new()], head: AtomicUsize::new(0), tail: AtomicUsize::new(0) }
    }

    pub fn push(&self, item: u64) -> bool {
        let tail = self.tail.load(Ordering::Relaxed);
        if tail - self.head.load(Ordering::Acquire) == CAPACITY {
            return false;
        }
        self.slots[tail % CAPACITY].write(item);
        self.tail.store(tail + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        true
    }

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
