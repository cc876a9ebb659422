//! How far ahead slots are free.

use super::{Reserve, Writer};
use crate::memory::Memory;
use crate::protocol::lead::{Lead, pause};
use crate::state::State;
use crate::sync::{Mutant, Ordering, planted};

impl<M: Memory + Clone> Writer<M> {
    /// Single producer: finds out how far slots are free, with one look for a window of them. Slots are freed in order:
    /// if one is free, so are those before it, and their copies are done, too (I5).
    #[inline(never)]
    pub(super) fn look_ahead(&mut self, patient: bool) -> Result<(), Reserve> {
        let order = if planted(Mutant::RelaxedLookAhead) { Ordering::Relaxed } else { Ordering::Acquire };
        let look = |position| State(self.memory.state(position).load(order));
        let window = self.ahead.len();
        let last = self.next.wrapping_add(window - 1);
        let mut state = look(last);
        let waited = patient && state != State::free(last) && self.await_lead(window);
        if waited {
            state = look(last);
        }
        if state == State::free(last) {
            self.ahead.grow();
            self.free_to = last.wrapping_add(1);
            for offset in 1..window {
                self.memory.prefetch_for_write(self.next.wrapping_add(offset - 1));
            }
            return Ok(());
        }
        self.ahead.shrink();
        if waited {
            // In vain, and not again soon.
            self.ahead.reset();
        }
        if window > 1 {
            state = look(self.next);
            if state == State::free(self.next) {
                self.free_to = self.next.wrapping_add(1);
                return Ok(());
            }
        }
        self.ahead.reset();
        Err(self.refuse(self.next, state))
    }

    /// Among many producers: once in a window, whether it is free, which is a hint. Who claims looks at each slot.
    #[inline(never)]
    pub(super) fn look_far(&mut self) {
        let window = self.ahead.len();
        let last = self.next.wrapping_add(window - 1);
        if !self.seems_free(last) && self.await_lead(window) && !self.seems_free(last) {
            // In vain, and not again soon.
            self.ahead.reset();
        }
        self.free_to = last.wrapping_add(1);
    }

    /// Lets the consumer get ahead where a window that is not free ends a stream of free ones. False if it did not wait.
    fn await_lead(&self, window: u64) -> bool {
        let wanted = Lead::is_wanted(self.capacity, window);
        // One that does not run now, for want of a processor perhaps, shows soon.
        if wanted && self.head_moves_within(8) {
            let next = self.next;
            let lead = Lead::of_consumer(self.capacity);
            lead.wait(window, |offset| self.seems_free(next.wrapping_add(offset)));
        }
        wanted
    }

    fn head_moves_within(&self, pauses: u32) -> bool {
        let head = &self.memory.header().consumer.head;
        let before = head.load(Ordering::Relaxed);
        pause(pauses);
        head.load(Ordering::Relaxed) != before
    }

    /// As a hint.
    fn seems_free(&self, position: u64) -> bool {
        State(self.memory.state(position).load(Ordering::Relaxed)) == State::free(position)
    }

    /// Fetches the next slots, as far as so many bytes of a record reach, to be written soon.
    #[inline]
    pub(crate) fn prefetch(&self, slots: u64, bytes: usize) {
        for offset in 0..slots {
            self.memory.prefetch_record_for_write(self.next.wrapping_add(offset), bytes);
        }
    }
}
