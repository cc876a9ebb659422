//! What the simulated threads share: memory with store buffers, semaphores, mutexes, and the books about the items.

use std::collections::VecDeque;

use crate::script::{Program, item_parts};

/// Who has a mutex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The thread that holds it.
    pub thread: Option<u8>,
    /// It came from a holder that died, and was not made consistent yet.
    pub inconsistent: bool,
    /// It can never be locked again.
    pub lost: bool,
}

/// All that the threads share, and the books that the simulator keeps about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shared {
    /// What memory holds.
    pub cells: Vec<i32>,
    /// The semaphores' values.
    pub semaphores: Vec<i32>,
    /// The mutexes' holders.
    pub mutexes: Vec<Holder>,
    /// Stores of each thread that have not reached memory, oldest first.
    pub buffers: Vec<VecDeque<(usize, i32)>>,
    /// How often each item of each thread was taken.
    pub taken: Vec<Vec<u8>>,
    /// How many items of each thread lay below a tail that it had moved.
    pub published: Vec<u16>,
    pub(super) naps: Vec<u32>,
    pub(super) asleep: u16,
    pub(super) dead: u16,
}

impl Shared {
    /// What is there before anybody has moved.
    pub(super) fn new(program: &Program) -> Self {
        let count = program.threads.len();
        Self {
            cells: program.cells.iter().map(|cell| cell.initial).collect(),
            semaphores: program.semaphores.iter().map(|semaphore| semaphore.initial).collect(),
            mutexes: vec![Holder::default(); program.mutexes.len()],
            buffers: vec![VecDeque::new(); count],
            taken: vec![Vec::new(); count],
            published: vec![0; count],
            naps: vec![0; count],
            asleep: 0,
            dead: 0,
        }
    }

    /// What a thread sees in a cell: its own last store, or what memory holds.
    #[must_use]
    pub fn seen(&self, who: usize, cell: usize) -> i32 {
        let own = self.buffers[who].iter().rev().find(|(stored, _)| *stored == cell);
        own.map_or(self.cells[cell], |(_, value)| *value)
    }

    pub(super) fn flush_one(&mut self, who: usize) -> Option<(usize, i32)> {
        let (cell, value) = self.buffers[who].pop_front()?;
        self.cells[cell] = value;
        Some((cell, value))
    }

    pub(super) fn flush(&mut self, who: usize) {
        while self.flush_one(who).is_some() {}
    }

    pub(super) fn pass_time(&mut self, who: Option<usize>) {
        for (napper, nap) in self.naps.iter_mut().enumerate() {
            if Some(napper) != who {
                *nap = nap.saturating_sub(1);
            }
        }
    }

    /// How often an item was taken.
    #[must_use]
    pub fn times_taken(&self, item: i32) -> u8 {
        let Some((thread, nth)) = item_parts(item) else { return 0 };
        self.taken.get(thread).and_then(|items| items.get(nth)).copied().unwrap_or(0)
    }
}
