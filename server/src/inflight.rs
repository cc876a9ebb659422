//! [`InFlight`]: which room messages are still on their way to somebody.
//!
//! A message is acknowledged when it lies in the reply ring of every member (or was counted as lost, or waits, there):
//! then a server that is killed takes no acknowledged message with it. Members are served by several broadcasters, which
//! finish at different times, so each message that more than one of them has to deliver gets a counter; whoever counts
//! it down to zero sees to the ACK. Nobody waits, and a message with one broadcaster needs no counter.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::job::INBOX;

/// The counters. The router gives them out, the broadcasters count down.
pub(crate) struct InFlight {
    counters: Box<[AtomicU32]>,
}

/// Neighbours share a cache line: messages that follow each other get counters so far apart.
const STRIDE: u32 = 17;

impl InFlight {
    /// A message in flight has a job in an inbox or in a broadcaster's hand, so twice as many counters as there is room
    /// for jobs cannot run out.
    pub(crate) fn new(broadcasters: usize) -> Self {
        let jobs = if broadcasters > 1 { 2 * (INBOX as usize + 1) * broadcasters } else { 1 };
        Self { counters: (0..jobs.next_power_of_two()).map(|_| AtomicU32::new(0)).collect() }
    }

    /// For the router only: a counter for a message that so many broadcasters deliver. `turn` is the router's own.
    pub(crate) fn begin(&self, turn: &mut u32, broadcasters: u32) -> u32 {
        loop {
            *turn = turn.wrapping_add(STRIDE);
            let index = *turn & (self.counters.len() as u32 - 1);
            let counter = &self.counters[index as usize];
            // Acquire meets the Release of the last one who counted: its use of the counter is over.
            if counter.load(Ordering::Acquire) == 0 {
                // The inbox carries it to the broadcasters.
                counter.store(broadcasters, Ordering::Relaxed);
                return index;
            }
        }
    }

    /// A broadcaster has delivered the message. True for the last one: what the others put into reply rings happened
    /// before.
    pub(crate) fn delivered(&self, index: u32) -> bool {
        self.counters.get(index as usize).is_some_and(|left| left.fetch_sub(1, Ordering::AcqRel) == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_is_told_so_and_the_counter_is_free_again() {
        let flights = InFlight::new(2);
        let (mut turn, size) = (0, flights.counters.len());
        let first = flights.begin(&mut turn, 3);
        assert_eq!([(); 3].map(|()| flights.delivered(first)), [false, false, true]);
        // As many as there are can be in the air at once, each with a counter of its own.
        let all: std::collections::BTreeSet<u32> = (0..size).map(|_| flights.begin(&mut turn, 1)).collect();
        assert_eq!(all.len(), size);
        assert!(flights.delivered(7));
        assert_eq!(flights.begin(&mut turn, 1), 7, "the only one that is free");
    }
}
