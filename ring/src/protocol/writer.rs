//! The producer's side: claim, publish, and sleeping on a full ring.

mod far;
mod unwritten;

use super::ahead::Window;
use super::{Damage, UNCERTAIN, bump, find_tail, is_taken, restore_tokens, sleeps, take_down, wake_reader};
use crate::memory::Memory;
use crate::options::{Mode, RingKind};
use crate::state::{Phase, State};
use crate::sync::{Mutant, Ordering, planted};
#[cfg(not(loom))]
use crate::wait::Spin;
use core::time::Duration;

/// How many neighbours a producer tries before it looks for the tail by bisection.
const NEIGHBOURS: u64 = 8;

/// One producer's private state.
pub(crate) struct Writer<M> {
    pub(crate) memory: M,
    /// The next position to try; everything before it is taken (I2).
    next: u64,
    /// Single producer: positions before this one are known to be free. Among many: how far was looked.
    free_to: u64,
    ahead: Window,
    capacity: u64,
    single: bool,
    counting: bool,
    owner: u16,
    /// The state words that this owner writes, for position 0.
    claimed: State,
    ready: State,
    /// What this owner's entry says that it has published; nobody else writes there.
    published: u64,
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

/// I4: Release, so that whoever sees READY sees the bytes.
#[inline(always)]
fn publish_order() -> Ordering {
    if planted(Mutant::RelaxedPublish) { Ordering::Relaxed } else { Ordering::Release }
}

impl<M: Memory + Clone> Writer<M> {
    /// A producer under owner number `owner`, which is in the table and nobody else's.
    pub(crate) fn new(memory: M, owner: u16) -> Self {
        let shape = *memory.shape();
        if shape.mode == Mode::Counting && shape.kind == RingKind::Spsc {
            // The producer before may have died with a token in hand.
            restore_tokens(&memory);
        }
        let next = find_tail(&memory);
        let capacity = u64::from(shape.capacity);
        Self {
            next,
            free_to: next,
            ahead: Window::new(capacity),
            capacity,
            published: memory.owner(owner).published.load(Ordering::Relaxed),
            single: shape.kind == RingKind::Spsc,
            counting: shape.mode == Mode::Counting,
            owner,
            claimed: State::new(0, owner, Phase::Claimed),
            ready: State::new(0, owner, Phase::Ready),
            memory,
        }
    }

    pub(crate) fn owner(&self) -> u16 {
        self.owner
    }

    /// Takes the next position. In a single-producer ring nothing changes before it is published: the slot stays FREE.
    #[inline(always)]
    pub(crate) fn claim(&mut self) -> Result<Claimed, Reserve> {
        self.claim_with(false)
    }

    /// [`claim`](Self::claim) for who has a moment: a stream that has nearly filled the ring lets the consumer get ahead.
    #[inline(always)]
    pub(crate) fn claim_in_stream(&mut self) -> Result<Claimed, Reserve> {
        self.claim_with(true)
    }

    #[inline(always)]
    fn claim_with(&mut self, patient: bool) -> Result<Claimed, Reserve> {
        if self.memory.header().reader.closed.load(Ordering::Relaxed) != 0 {
            return Err(Reserve::Closed);
        }
        if self.counting {
            return self.claim_counted(false);
        }
        self.claim_slot(patient)
    }

    fn is_closed(&self) -> bool {
        self.memory.header().reader.closed.load(Ordering::Acquire) != 0
    }

    #[inline(always)]
    fn claim_slot(&mut self, patient: bool) -> Result<Claimed, Reserve> {
        if !self.single {
            return self.claim_shared(patient);
        }
        if self.next == self.free_to {
            self.look_ahead(patient)?;
        }
        Ok(Claimed(self.next))
    }

    /// Counting mode: a token of `space` for a slot (I10). `token`: the caller has taken one already.
    ///
    /// The slots are looked at in any case. One that is free although there is no token has lost its token to a process
    /// that was killed between the two, or is about to get it: taken without one, it is right again, or somebody's
    /// token finds no slot. And a token for which there is no slot is one too many, and goes: it was taken before the
    /// look, so no slot that was freed later is meant by it.
    #[cold]
    fn claim_counted(&mut self, mut token: bool) -> Result<Claimed, Reserve> {
        // Bounded, however many tokens somebody else posts.
        for _ in 0..=self.capacity {
            token = token || self.memory.space().try_wait();
            let claimed = if token || !planted(Mutant::TrustTokens) {
                self.claim_slot(false)
            } else {
                Err(Reserve::Full)
            };
            match claimed {
                // The token that `close` posts means no slot: it goes on to the next sleeper, who learns of it, too.
                Err(Reserve::Full) if token && self.is_closed() && !planted(Mutant::KeepClosing) => {
                    self.memory.space().post();
                    return Err(Reserve::Closed);
                }
                Err(Reserve::Full) if token => token = false,
                other => {
                    if other.is_err() && token {
                        self.memory.space().post();
                    }
                    return other;
                }
            }
        }
        Err(Reserve::Full)
    }

    /// Watches the next slot until something changes there, for at most `glances`: the tight inside of a spinning wait.
    #[cfg(not(loom))]
    pub(crate) fn watch(&self, Spin { glances, pause }: Spin) {
        let word = self.memory.state(self.next);
        let seen = word.load(Ordering::Relaxed);
        if State(seen) == State::free(self.next) {
            return;
        }
        for _ in 0..glances {
            if word.load(Ordering::Relaxed) != seen {
                return;
            }
            if pause {
                core::hint::spin_loop();
            }
        }
    }

    #[inline(always)]
    fn claim_shared(&mut self, patient: bool) -> Result<Claimed, Reserve> {
        if patient && self.next.wrapping_sub(self.free_to).cast_signed() >= 0 {
            self.look_far();
        }
        let position = self.next;
        let state = State(self.memory.state(position).load(Ordering::Acquire));
        if state != State::free(position) || !self.take(position) {
            return self.walk();
        }
        // Alone, or undisturbed: the slots ahead will be wanted.
        self.memory.prefetch_for_write(position.wrapping_add(self.ahead.len()));
        self.ahead.grow();
        Ok(Claimed(position))
    }

    /// Takes a position whose slot was seen FREE. False if another producer was quicker.
    #[inline(always)]
    fn take(&mut self, position: u64) -> bool {
        // I3: taken and signed in one step. I5: Acquire, so that our bytes come after the reader's copy.
        // I2: Release, so that who sees this claim sees the ones before it.
        let ours = self.claimed.at(position);
        let order = if planted(Mutant::AcquireClaim) { Ordering::Acquire } else { Ordering::AcqRel };
        let word = self.memory.state(position);
        let taken = if planted(Mutant::StoreClaim) {
            word.store(ours.0, Ordering::Release);
            true
        } else {
            word.compare_exchange(State::free(position).0, ours.0, order, Ordering::Relaxed).is_ok()
        };
        if taken {
            self.next = position.wrapping_add(1);
        }
        taken
    }

    /// Looks for a position to take from the next one on: others have taken that, or it is not free.
    #[cold]
    #[inline(never)]
    fn walk(&mut self) -> Result<Claimed, Reserve> {
        let mut position = self.next;
        let mut passed: u64 = 0;
        // Others may be so many that every slot is gone before we get it, or the memory lies: not for ever. Each slot
        // takes up to three looks: one fails to carry it, one fails to claim it, one sees who has it.
        for _ in 0..3 * (self.capacity + 8 * NEIGHBOURS) {
            let state = State(self.memory.state(position).load(Ordering::Acquire));
            if state == State::free(position) {
                if self.take(position) {
                    return Ok(Claimed(position));
                }
                // Another producer has it now; the next look at the same slot says so.
                continue;
            }
            if self.carry(position, state) {
                continue;
            }
            if !is_taken(state, position) {
                self.ahead.reset();
                return Err(self.refuse(position, state));
            }
            position = position.wrapping_add(1);
            passed += 1;
            if passed.is_multiple_of(NEIGHBOURS) {
                // Far behind, after a long sleep or among many.
                let tail = find_tail(&self.memory);
                if State::free(tail).ahead_of(position) > 0 {
                    position = tail;
                }
            }
            self.next = position;
        }
        Err(Reserve::Full)
    }

    /// Tries to bring a void slot from the lap before to `position`: one in quarantine stays so, and producers get
    /// past it (I6); a hole becomes free. False if this slot is neither; true if it was, and the next look says who
    /// did it.
    fn carry(&self, position: u64, state: State) -> bool {
        let before = position.wrapping_sub(self.capacity);
        if state.phase() != Phase::Void || state.ahead_of(before) != 0 || planted(Mutant::NoCarry) {
            return false;
        }
        // I7: only behind the head; producers would run laps around it otherwise.
        let head = self.memory.header().consumer.head.load(Ordering::Acquire);
        if State::free(head).ahead_of(before) <= 0 && !planted(Mutant::CarryAnywhere) {
            return false;
        }
        let carried = match state.owner() {
            0 => State::free(position),
            owner => State::new(position, owner, Phase::Void),
        };
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
    /// slot was given back, the record was not delivered.
    #[inline(always)]
    pub(crate) fn publish(&mut self, Claimed(position): Claimed) -> Result<(), Claimed> {
        if self.single {
            self.memory.state(position).store(self.ready.at(position).0, publish_order());
            self.next = position.wrapping_add(1);
            if self.next == self.free_to {
                // Where the next claim will look: the line comes meanwhile.
                self.memory.prefetch_for_write(position.wrapping_add(self.ahead.len()));
            }
        } else {
            self.publish_taken(position)?;
        }
        self.count_published(1);
        Ok(())
    }

    /// Many producers: CLAIMED to READY, unless the consumer has passed over it.
    #[inline(always)]
    fn publish_taken(&mut self, position: u64) -> Result<(), Claimed> {
        let word = self.memory.state(position);
        let ready = self.ready.at(position);
        if planted(Mutant::StorePublish) {
            word.store(ready.0, publish_order());
            return Ok(());
        }
        let ours = self.claimed.at(position);
        if word.compare_exchange(ours.0, ready.0, publish_order(), Ordering::Relaxed).is_err() {
            self.give_back(position);
            return Err(Claimed(position));
        }
        Ok(())
    }

    /// Many producers: claims, has `write` write and publishes position after position, each by itself, up to `count` or to
    /// the first that is not to be had at once or is taken from us again. Returns how many. A burst is counted once.
    #[inline(always)]
    pub(crate) fn publish_shared(&mut self, count: u64, mut write: impl FnMut(&M, u64)) -> u64 {
        if self.single || self.counting {
            return 0;
        }
        let mut done = 0;
        while done < count {
            let position = self.next;
            let state = State(self.memory.state(position).load(Ordering::Acquire));
            if state != State::free(position) || !self.take(position) {
                break;
            }
            self.memory.prefetch_for_write(position.wrapping_add(self.ahead.len()));
            write(&self.memory, position);
            if self.publish_taken(position).is_err() {
                break;
            }
            done += 1;
        }
        if done > 0 {
            self.ahead.grow();
            self.count_published(done);
        }
        done
    }

    /// How many positions from the next one on are known to be free and need no claim: none among many producers, and
    /// none in counting mode, where each costs a token.
    #[inline(always)]
    pub(crate) fn known_free(&self) -> u64 {
        if self.single && !self.counting { self.free_to.wrapping_sub(self.next) } else { 0 }
    }

    /// Has `write` write the next `count` positions, which are [known to be free](Self::known_free), and makes each readable
    /// before the next, without waking anybody yet. A burst is counted once.
    #[inline(always)]
    pub(crate) fn publish_run(&mut self, count: u64, mut write: impl FnMut(&M, u64)) {
        let (first, ready) = (self.next, self.ready);
        for offset in 0..count {
            let position = first.wrapping_add(offset);
            write(&self.memory, position);
            self.memory.state(position).store(ready.at(position).0, publish_order());
        }
        self.next = first.wrapping_add(count);
        self.count_published(count);
    }

    #[inline(always)]
    fn count_published(&mut self, count: u64) {
        self.published = self.published.wrapping_add(count);
        self.memory.owner(self.owner).published.store(self.published, Ordering::Relaxed);
    }

    /// Wakes the consumer after one or several publishes. In counting mode: one token for each.
    #[inline(always)]
    pub(crate) fn announce(&self, published: usize) {
        if self.counting {
            return self.post_ready(published);
        }
        // I8, producer's half: publish, fence, look for the sleeper.
        if !planted(Mutant::NoPublishFence) {
            self.memory.publish_fence();
        }
        if wake_reader(&self.memory) {
            bump(&self.memory.owner(self.owner).ready_posts);
        }
    }

    #[cold]
    fn post_ready(&self, published: usize) {
        for _ in 0..published {
            self.memory.ready().post();
        }
    }

    /// Sleeps until a slot is freed, the ring is closed, or `max` is over. Returns a claim if the second look, after
    /// the announcement, found one.
    pub(crate) fn park(&mut self, max: Duration) -> Result<Claimed, Reserve> {
        let memory = self.memory.clone();
        if self.counting {
            bump(&memory.owner(self.owner).parks);
            let token = memory.space().wait_timeout(max);
            if self.is_closed() {
                // To the next sleeper.
                memory.space().post();
                return Err(Reserve::Closed);
            }
            return self.claim_counted(token);
        }
        let waiting = &memory.header().writers.waiting;
        // I8, sleeper's half: announce, fence, look again, and only then sleep.
        waiting.fetch_add(1, Ordering::Relaxed);
        #[cfg(all(feature = "faults", not(loom)))]
        crate::faults::pass(crate::faults::Point::ProducerAnnounced);
        let certain = planted(Mutant::NoParkFence) || memory.sleep_fence();
        let second = if planted(Mutant::NoWriterRecheck) { Err(Reserve::Full) } else { self.claim() };
        let woken = if second == Err(Reserve::Full) {
            self.wake_reader_before_claims();
            bump(&memory.owner(self.owner).parks);
            memory.space().wait_timeout(if certain { max } else { max.min(UNCERTAIN) })
        } else {
            false
        };
        if !woken {
            // If it was taken down already a token is on its way, which costs the next sleeper one look.
            take_down(waiting, 1);
        }
        second
    }

    /// A claim wakes nobody. So the consumer may have gone to sleep on an empty ring that has filled up with nothing
    /// but claims since; if their owners are stopped or dead, only the consumer gets us past them.
    ///
    /// Not for a ring full of slots in quarantine: the consumer would pass those and wait as we do, each waking the
    /// other for ever. There the owners that come back, or whoever buries them, wake us.
    fn wake_reader_before_claims(&self) {
        let header = self.memory.header();
        // I8: what was found taken comes before the look for the sleeper.
        self.memory.publish_fence();
        if !sleeps(header.reader.waiting.load(Ordering::Relaxed)) || planted(Mutant::SilentFull) {
            return;
        }
        let head = header.consumer.head.load(Ordering::Acquire);
        let mut states = (0..self.capacity)
            .map(|offset| State(self.memory.state(head.wrapping_add(offset)).load(Ordering::Acquire)));
        if states.find(|state| !state.is_quarantined()).is_some_and(|state| state.phase() != Phase::Free) {
            wake_reader(&self.memory);
        }
    }
}
