// file: sender.rs
// expect: makes room for the new item
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
        // Who waits already goes first.
        if !self.spill.is_empty() {
            self.spill.push_back(item);
            return Ok(());
        }
        let Err(item) = queue.try_push(item) else { return Ok(()) };
        match self.policy {
            Policy::Block => Err(item),
            Policy::DropNew => {
                self.dropped += 1;
                Ok(())
            }
            Policy::DropOld => {
                self.dropped += 1;
                Ok(())
            }
            Policy::Spill => {
                self.spill.push_back(item);
                Ok(())
            }
        }
    }

    /// Called some time after the consumer has taken items, so that there is room.
    pub fn room(&mut self, queue: &mut Queue) {
        while let Some(item) = self.spill.pop_front() {
            if let Err(item) = queue.try_push(item) {
                self.spill.push_front(item);
                return;
            }
        }
    }

    /// Items dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Items that wait outside the ring.
    pub fn spilled(&self) -> usize {
        self.spill.len()
    }
}
