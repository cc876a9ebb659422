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
    ///
    /// What is not free may have been taken by others since, in a ring that is all but empty. It is nearly full only if the
    /// consumer has the lead to come still.
    #[inline(never)]
    pub(super) fn look_far(&mut self) {
        let window = self.ahead.len();
        let last = self.next.wrapping_add(window - 1);
        let lead = self.next.wrapping_add(Lead::of_consumer(self.capacity).slots);
        let is_nearly_full = !self.seems_free(last) && self.seems_unread(lead);
        if is_nearly_full && self.await_lead(window) && !self.seems_free(last) {
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

    /// As a hint: whether the consumer is not done yet with what stood there a lap before.
    fn seems_unread(&self, position: u64) -> bool {
        State(self.memory.state(position).load(Ordering::Relaxed)).ahead_of(position) < 0
    }

    /// Fetches the next slots, as far as so many bytes of a record reach, to be written soon.
    #[inline]
    pub(crate) fn prefetch(&self, slots: u64, bytes: usize) {
        for offset in 0..slots {
            self.memory.prefetch_record_for_write(self.next.wrapping_add(offset), bytes);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::barrier::Barriers;
    use crate::layout::Shape;
    use crate::options::RingOptions;
    use crate::region::Region;
    use crate::semaphore::Semaphore;
    use crate::typed::Typed;

    fn push(writer: &mut Writer<Typed<u64>>, count: u64) {
        for _ in 0..count {
            let claimed = writer.claim_in_stream().expect("there is room");
            writer.publish(claimed).expect("nobody has passed over it");
        }
    }

    #[test]
    fn a_producer_among_many_waits_in_a_ring_that_is_nearly_full_and_not_where_others_were_quicker() {
        let shape = Shape::new(&RingOptions::mpsc(256).owners(2), size_of::<u64>());
        let [ready, space] = [0; 2].map(Semaphore::unnamed);
        let region = Region::heap(shape, Barriers::new(false), ready, space);
        region.format_slots(0);
        let memory = Typed::new(Arc::new(region));
        let [mut one, mut other] = [1, 2].map(|owner| Writer::new(memory.clone(), owner));
        // Up to its next look, which is then into what the other has taken.
        push(&mut one, 27);
        assert_eq!((one.free_to, one.ahead.len()), (27, 16));
        push(&mut other, 40);
        push(&mut one, 1);
        assert_eq!((one.free_to, one.ahead.len()), (43, 16), "it has looked, and its window is as it was");
        // The next look that goes beyond the ring's end.
        push(&mut one, 244 - 68);
        assert_eq!((one.free_to, one.ahead.len()), (244, 16));
        push(&mut one, 1);
        assert_eq!(
            (one.free_to, one.ahead.len()),
            (260, 2),
            "a wait in vain, as nobody reads, begins the window anew"
        );
    }
}
