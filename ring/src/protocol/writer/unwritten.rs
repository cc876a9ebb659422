//! Claims that come to nothing: given up by their owner, or taken from it meanwhile.

use super::{Claimed, Writer};
use crate::memory::Memory;
use crate::protocol::{PATIENCE, bump, leave_quarantine, wake_reader};
use crate::state::{Phase, State};
use crate::sync::{Mutant, Ordering, planted};

impl<M: Memory + Clone> Writer<M> {
    /// Gives a claimed position up unwritten: it becomes a hole that the consumer passes at once.
    pub(crate) fn abandon(&mut self, Claimed(position): Claimed) {
        if self.single {
            // Nobody has seen it; it is the next one still.
            if self.counting {
                self.memory.space().post();
            }
            return;
        }
        let ours = State::new(position, self.owner, Phase::Claimed);
        let hole = if planted(Mutant::FreeAbandon) {
            State::free(position.wrapping_add(self.capacity))
        } else {
            State::hole(position)
        };
        // Release: our bytes, if we wrote any, come before those of the slot's next writer.
        let order = if planted(Mutant::RelaxedAbandon) { Ordering::Relaxed } else { Ordering::Release };
        let word = self.memory.state(position);
        if word.compare_exchange(ours.0, hole.0, order, Ordering::Relaxed).is_err() {
            self.give_back(position);
        } else if !planted(Mutant::SilentAbandon) {
            self.tell_of_hole();
        }
    }

    /// Wakes a consumer that sleeps in front of what has become a hole, perhaps with records behind it, perhaps with
    /// producers that sleep until it has passed.
    fn tell_of_hole(&self) {
        if self.counting {
            self.memory.ready().post();
            return;
        }
        self.memory.publish_fence();
        wake_reader(&self.memory);
    }

    /// Ends the quarantine of a slot that was taken from us while we wrote (I6: we, its owner, are done with it).
    pub(super) fn give_back(&self, position: u64) {
        if planted(Mutant::NoReturn) {
            return;
        }
        let word = self.memory.state(position);
        let mut state = State(word.load(Ordering::Acquire));
        // Whoever carries it meanwhile keeps our name on it, and that happens once a lap; so this ends soon. If somebody
        // else keeps changing the word it stays in quarantine until we are gone.
        for _ in 0..PATIENCE {
            if state.owner() != self.owner || state.phase() != Phase::Void {
                // It was taken for dead's and freed already, or it is damaged: either way it is not ours.
                return;
            }
            let hole = State::hole(state.sequence());
            // Release: our late bytes come before those of the slot's next writer.
            let order = if planted(Mutant::RelaxedReturn) { Ordering::Relaxed } else { Ordering::Release };
            match word.compare_exchange(state.0, hole.0, order, Ordering::Acquire) {
                Ok(_) => {
                    leave_quarantine(&self.memory);
                    bump(&self.memory.owner(self.owner).returned);
                    if !planted(Mutant::SilentReturn) {
                        if self.counting {
                            // The head may be past it: then it is for a producer to take.
                            self.memory.space().post();
                        }
                        self.tell_of_hole();
                    }
                    return;
                }
                Err(now) => state = State(now),
            }
        }
    }
}
