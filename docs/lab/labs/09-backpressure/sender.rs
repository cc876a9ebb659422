//! Lab 9: what to do when the ring is full. Four policies, and one identity that holds at every step:
//!
//!     sent = delivered + dropped + backlog
//!
//! `queue.try_push(item)` gives the item back if the ring is full; `queue.pop_oldest()` takes the oldest one out.
//! The order in which items are delivered must be the order in which they were sent.

use super::Queue;
use std::collections::VecDeque;

#[derive(Clone, Copy)]
pub enum Policy {
    /// Refuse: the item goes back to whoever offered it.
    Block,
    /// The new item is dropped, and counted.
    DropNew,
    /// The oldest item in the ring makes room, and is counted.
    DropOld,
    /// The new item waits in a queue without limit.
    Spill,
}

pub struct Sender {
    policy: Policy,
    dropped: u64,
    spill: VecDeque<u64>,
}

impl Sender {
    pub fn new(policy: Policy) -> Self {
        Self { policy, dropped: 0, spill: VecDeque::new() }
    }

    /// Takes an item, or gives it back.
    pub fn offer(&mut self, queue: &mut Queue, item: u64) -> Result<(), u64> {
        let Err(item) = queue.try_push(item) else { return Ok(()) };
        // The ring is full. What now?
        match self.policy {
            Policy::Block => Err(item),
            Policy::DropNew => Ok(()),
            Policy::DropOld => Ok(()),
            Policy::Spill => Ok(()),
        }
    }

    /// Called some time after the consumer has taken items, so that there is room.
    pub fn room(&mut self, _queue: &mut Queue) {}

    /// Items dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Items that wait outside the ring.
    pub fn spilled(&self) -> usize {
        self.spill.len()
    }
}
