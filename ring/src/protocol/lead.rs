//! Not at the other side's heels: in the middle of a stream the quicker side lets the other get ahead.
//!
//! The side that is quicker catches up, and from then on it looks at each slot just while the other is about to read or
//! to write it. Each look takes the cache line away, both sides wait for one line after another, and the stream moves at
//! a third of its pace, or an eighth where processors are far from each other. So who catches up waits for some
//! microseconds and then has a stretch of slots before it that the other is done with.

use core::hint::spin_loop;

/// A window of so many slots was found whole before: this is a stream.
const RUN: u64 = 8;
/// A ring of fewer slots has no room for two that keep apart.
const CAPACITY: u64 = 256;

/// How far the other side is to get ahead, and how long to wait for that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead {
    pub(super) slots: u64,
    /// Slots that the other side must come on from one look to the next, or it is not worth waiting for.
    pace: u64,
    looks: u64,
    /// Pauses before each look, which takes a line away as well.
    pauses: u32,
}

impl Lead {
    /// The consumer's before a producer that finds the ring nearly full: a quarter lap. There is no haste, as whatever it
    /// pushes stands behind a whole ring of records.
    pub(super) fn of_consumer(capacity: u64) -> Self {
        Self { slots: capacity / 4, pace: 8, looks: 16, pauses: 48 }
    }

    /// A producer's before the consumer that has nearly emptied the ring: less, since records wait meanwhile.
    pub(super) fn of_producer() -> Self {
        Self { slots: 64, pace: 4, looks: 4, pauses: 32 }
    }

    /// Whether it is worth a wait in a ring of `capacity` slots, after a window of `found` slots.
    pub(super) fn is_wanted(capacity: u64, found: u64) -> bool {
        capacity >= CAPACITY && found >= RUN
    }

    /// Waits until the other side is so far ahead, for as long as it moves on at the pace of a stream and some microseconds
    /// at most. `window`: how many slots were looked for in vain, which it must be done with at the first look. `is_past`:
    /// whether it is done with the slot so many positions ahead, as a hint.
    #[cold]
    #[inline(never)]
    pub(super) fn wait(self, window: u64, is_past: impl Fn(u64) -> bool) {
        for look in 0..self.looks {
            pause(self.pauses);
            if is_past(self.slots) || !is_past(window - 1 + look * self.pace) {
                return;
            }
        }
    }
}

/// Some 10 to 50 ns each, as the processor has it.
pub(super) fn pause(pauses: u32) {
    for _ in 0..pauses {
        spin_loop();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::cell::Cell;

    use super::*;

    const WINDOW: u64 = 16;

    /// Waits for a side that comes on by `pace` slots from look to look. Returns how far it was at the end.
    fn waited(lead: Lead, pace: u64) -> u64 {
        let at = Cell::new(0);
        lead.wait(WINDOW, |offset| {
            // The first question of each look is for the whole lead.
            if offset == lead.slots {
                at.set(at.get() + pace);
            }
            offset < at.get()
        });
        at.get()
    }

    #[test]
    fn a_wait_ends_with_the_lead_or_with_the_stream() {
        for lead in [Lead::of_consumer(1024), Lead::of_producer()] {
            // Quick: no longer than until the lead is there.
            assert_eq!(waited(lead, lead.slots + 1), lead.slots + 1);
            assert_eq!(waited(lead, lead.slots / 2 + 1), 2 * (lead.slots / 2 + 1));
            // Standing still, or slower than a stream: one look.
            assert_eq!((waited(lead, 0), waited(lead, WINDOW - 1)), (0, WINDOW - 1));
            // A stream that has ended meanwhile: one more.
            let looks = Cell::new(0);
            lead.wait(WINDOW, |offset| {
                looks.set(looks.get() + u64::from(offset == lead.slots));
                offset < WINDOW
            });
            assert_eq!(looks.get(), 2);
            // Never there, however it moves: not for ever.
            let looks = Cell::new(0);
            lead.wait(WINDOW, |offset| offset != lead.slots || looks.replace(looks.get() + 1) > lead.looks);
            assert_eq!(looks.get(), lead.looks);
        }
    }

    #[test]
    fn only_streams_through_rings_with_room_wait() {
        assert!(Lead::is_wanted(1024, 16));
        assert!(!Lead::is_wanted(1024, 4) && !Lead::is_wanted(64, 16));
        // So that the lead lies inside the ring.
        assert!(Lead::of_producer().slots * 4 <= CAPACITY);
    }
}
