//! The producer's side: claim, publish, abandon, and sleeping on a full ring.

use super::{Damage, UNCERTAIN, bump, find_tail, is_taken, leave_quarantine, wake_reader};
use crate::memory::Memory;
use crate::options::{Mode, RingKind};
use crate::state::{Phase, State};
use crate::sync::{Mutant, Ordering, planted};
use core::time::Duration;
use std::sync::Arc;

/// How many neighbours a producer tries before it looks for the tail by bisection.
const NEIGHBOURS: u64 = 8;

/// One producer's private state.
pub(crate) struct Writer<M> {
    pub(crate) memory: Arc<M>,
    /// The next position to try; everything before it is taken (I2).
    next: u64,
    capacity: u64,
    single: bool,
    counting: bool,
    owner: u16,
}

/// A position of one's own, to be published or abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Claimed(pub(crate) u64);

/// Why there is no position to be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserve {
    Full,
    Closed,
    Damaged(Damage),
}

impl<M: Memory> Writer<M> {
    /// A producer under owner number `owner`, which is in the table and nobody else's.
    pub(crate) fn new(memory: Arc<M>, owner: u16) -> Self {
        let shape = *memory.shape();
        let next = find_tail(&*memory);
        Self {
            next,
            capacity: u64::from(shape.capacity),
            single: shape.kind == RingKind::Spsc,
            counting: shape.mode == Mode::Counting,
            owner,
            memory,
        }
    }

    pub(crate) fn owner(&self) -> u16 {
        self.owner
    }

    pub(crate) fn is_counting(&self) -> bool {
        self.counting
    }

    /// Takes the next position. In a single-producer ring nothing is written: the slot stays FREE until it is READY.
    #[inline]
    pub(crate) fn claim(&mut self) -> Result<Claimed, Reserve> {
        if self.memory.header().reader.closed.load(Ordering::Relaxed) != 0 {
            return Err(Reserve::Closed);
        }
        if self.single {
            let state = State(self.memory.state(self.next).load(Ordering::Acquire));
            if state == State::free(self.next) {
                let position = self.next;
                self.next = position.wrapping_add(1);
                return Ok(Claimed(position));
            }
            return Err(self.refuse(self.next, state));
        }
        self.claim_shared()
    }

    fn claim_shared(&mut self) -> Result<Claimed, Reserve> {
        let mut position = self.next;
        let mut tries: u64 = 0;
        loop {
            let word = self.memory.state(position);
            let state = State(word.load(Ordering::Acquire));
            if state == State::free(position) {
                // I3: taken and signed in one step. I5: Acquire, so that our bytes come after the reader's copy.
                let ours = State::new(position, self.owner, Phase::Claimed);
                let taken = if planted(Mutant::StoreClaim) {
                    word.store(ours.0, Ordering::Release);
                    true
                } else {
                    word.compare_exchange(state.0, ours.0, Ordering::Acquire, Ordering::Relaxed).is_ok()
                };
                if taken {
                    self.next = position.wrapping_add(1);
                    return Ok(Claimed(position));
                }
                // Another producer has it now; the next look at the same slot says so.
                continue;
            }
            if self.carry(position, state) {
                continue;
            }
            if !is_taken(state, position) {
                return Err(self.refuse(position, state));
            }
            position = position.wrapping_add(1);
            tries += 1;
            if tries.is_multiple_of(NEIGHBOURS) {
                // Far behind, after a long sleep or among many.
                let tail = find_tail(&*self.memory);
                if State::free(tail).ahead_of(position) > 0 {
                    position = tail;
                }
            }
            self.next = position;
            // Others are so many that every slot is gone before we get it, or the memory lies: not for ever.
            if tries > self.capacity + 8 * NEIGHBOURS {
                return Err(Reserve::Full);
            }
        }
    }

    /// Tries to carry a slot in quarantine from the lap before to `position`, so that producers get past it (I6).
    /// False if this slot is not one to carry; true if it was, and the next look says who did it.
    fn carry(&self, position: u64, state: State) -> bool {
        let before = position.wrapping_sub(self.capacity);
        if state.phase() != Phase::Void || state.ahead_of(before) != 0 || planted(Mutant::NoCarry) {
            return false;
        }
        // I7: only behind the head; with every slot in quarantine producers would run laps around it otherwise.
        let head = self.memory.header().consumer.head.load(Ordering::Acquire);
        if State::free(head).ahead_of(before) <= 0 {
            return false;
        }
        let carried = State::new(position, state.owner(), Phase::Void);
        let word = self.memory.state(position);
        let _ = word.compare_exchange(state.0, carried.0, Ordering::AcqRel, Ordering::Acquire);
        true
    }

    /// Why `position` cannot be had although everything before it is taken: full, or damaged (I7, I9).
    fn refuse(&self, position: u64, state: State) -> Reserve {
        let lap_before = position.wrapping_sub(self.capacity);
        if state.ahead_of(lap_before) == 0 && state.phase() != Phase::Free {
            Reserve::Full
        } else {
            Reserve::Damaged(Damage { position, state })
        }
    }

    /// Whether `count` positions from the next one on are free (single producer: slots are freed in order).
    pub(crate) fn has_room(&self, count: u64) -> bool {
        if count == 0 || count > self.capacity {
            return count == 0;
        }
        let last = self.next.wrapping_add(count - 1);
        self.memory.state(last).load(Ordering::Acquire) == State::free(last).0
    }

    /// Makes a written position readable, without waking anybody yet. `Err` if the consumer has passed over it: the
    /// slot is free again for the next lap, the record was not delivered.
    #[inline]
    pub(crate) fn publish(&mut self, Claimed(position): Claimed) -> Result<(), Claimed> {
        let word = self.memory.state(position);
        let ready = State::new(position, self.owner, Phase::Ready);
        // I4: Release, so that whoever sees READY sees the bytes.
        let order = if planted(Mutant::RelaxedPublish) { Ordering::Relaxed } else { Ordering::Release };
        if self.single || planted(Mutant::StorePublish) {
            word.store(ready.0, order);
        } else {
            let ours = State::new(position, self.owner, Phase::Claimed);
            if word.compare_exchange(ours.0, ready.0, order, Ordering::Relaxed).is_err() {
                self.give_back(position);
                return Err(Claimed(position));
            }
        }
        bump(&self.memory.owner(self.owner).published);
        // The consumer freed the next slot long ago, so it lies in the consumer's cache: by the next push it is here.
        self.memory.prefetch(self.next);
        Ok(())
    }

    /// Wakes the consumer after one or several publishes. In counting mode: one token for each.
    #[inline]
    pub(crate) fn announce(&self, published: usize) {
        if self.counting {
            for _ in 0..published {
                self.memory.ready().post();
            }
            return;
        }
        // I8, producer's half: publish, fence, look for the sleeper.
        if !planted(Mutant::NoPublishFence) {
            self.memory.publish_fence();
        }
        if wake_reader(&*self.memory) {
            bump(&self.memory.owner(self.owner).ready_posts);
        }
    }

    /// Gives a claimed position up unwritten: it becomes a hole that the consumer passes at once.
    pub(crate) fn abandon(&mut self, Claimed(position): Claimed) {
        if self.single {
            // Nobody has seen it: take it again next time.
            self.next = position;
            if self.counting {
                self.memory.space().post();
            }
            return;
        }
        let ours = State::new(position, self.owner, Phase::Claimed);
        let free = State::free(position.wrapping_add(self.capacity));
        let word = self.memory.state(position);
        if word.compare_exchange(ours.0, free.0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.give_back(position);
        }
        if self.counting {
            self.memory.space().post();
            return;
        }
        // A sleeping consumer may have stopped in front of this claim with published records behind it.
        if !planted(Mutant::SilentAbandon) {
            self.memory.publish_fence();
            wake_reader(&*self.memory);
        }
    }

    /// Ends the quarantine of a slot that was taken from us while we wrote (I6: we, its owner, are done with it).
    fn give_back(&self, position: u64) {
        if planted(Mutant::NoReturn) {
            return;
        }
        let word = self.memory.state(position);
        let mut state = State(word.load(Ordering::Acquire));
        // Whoever carries it meanwhile keeps our name on it, so this ends after a lap at the most.
        while state.owner() == self.owner && state.phase() == Phase::Void {
            let free = State::free(state.sequence().wrapping_add(self.capacity));
            match word.compare_exchange(state.0, free.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    leave_quarantine(&*self.memory);
                    bump(&self.memory.owner(self.owner).returned);
                    return;
                }
                Err(now) => state = State(now),
            }
        }
        // Otherwise it was taken for dead's and freed already, or it is damaged: either way it is not ours.
    }

    /// Sleeps until a slot is freed, the ring is closed, or `max` is over. Returns a claim if the second look, after
    /// the announcement, found one.
    pub(crate) fn park(&mut self, max: Duration) -> Result<Claimed, Reserve> {
        let memory = Arc::clone(&self.memory);
        let waiting = &memory.header().writers.waiting;
        // I8, sleeper's half: announce, fence, look again, and only then sleep.
        waiting.fetch_add(1, Ordering::Relaxed);
        let certain = planted(Mutant::NoParkFence) || memory.sleep_fence();
        let second = if planted(Mutant::NoWriterRecheck) { Err(Reserve::Full) } else { self.claim() };
        let woken = if second == Err(Reserve::Full) {
            bump(&memory.owner(self.owner).parks);
            memory.space().wait_timeout(if certain { max } else { max.min(UNCERTAIN) })
        } else {
            false
        };
        if !woken {
            // Take the announcement back; if it was taken already a token is on its way, which costs the next
            // sleeper one look.
            let _ = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
        }
        second
    }
}
