//! The consumer's side: look at the head, take it, pass over it, and sleep on an empty ring.

use super::ahead::Window;
#[cfg(not(loom))]
use super::is_taken;
use super::lead::Lead;
use super::{Damage, UNCERTAIN, bump, leave_quarantine, restore_tokens, wake_writers};
use crate::memory::Memory;
use crate::options::{Mode, RingKind};
use crate::state::{Phase, State};
use crate::sync::{Mutant, Ordering, fence, planted};
#[cfg(not(loom))]
use crate::wait::Spin;
use core::time::Duration;

/// The consumer's private state.
pub(crate) struct Reader<M> {
    pub(crate) memory: M,
    /// The next position to read.
    head: u64,
    /// Single producer: positions before this one hold a record. Never behind the head.
    ready_to: u64,
    /// How far was looked ahead.
    seen_to: u64,
    ahead: Window,
    capacity: u64,
    /// A quarter of it, or one.
    quarter: u64,
    single: bool,
    counting: bool,
    /// Counting mode: a token of `ready` whose record was not taken yet.
    token: bool,
    consumed: u64,
    /// Whose the record was that was taken last: its producer's number.
    from: u16,
    /// Claims that it has passed over.
    voided: u64,
    /// Positions left behind since sleeping producers were last looked for behind a fence.
    unfenced: u64,
}

/// What stands at the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A record.
    Ready,
    /// Nothing was claimed yet.
    Empty,
    /// Owner `.0` has claimed it and not published.
    Claimed(u16),
}

/// A look at the head: what is there, or that the memory is damaged.
pub(crate) type Look = Result<Head, Damage>;

impl<M: Memory + Clone> Reader<M> {
    /// Goes on where the header says that the last consumer stopped.
    pub(crate) fn new(memory: M) -> Self {
        let words = &memory.header().consumer;
        let head = words.head.load(Ordering::Acquire);
        let consumed = words.consumed.load(Ordering::Relaxed);
        let shape = *memory.shape();
        let capacity = u64::from(shape.capacity);
        let mut reader = Self {
            head,
            ready_to: head,
            seen_to: head,
            ahead: Window::new(capacity),
            capacity,
            quarter: capacity.div_ceil(4),
            single: shape.kind == RingKind::Spsc,
            counting: shape.mode == Mode::Counting,
            token: false,
            consumed,
            from: 0,
            voided: 0,
            // It may have died before it woke whom it had made room for.
            unfenced: u64::from(!planted(Mutant::ForgetSleepers)),
            memory,
        };
        // It may have died after freeing a slot and before it wrote the new head; the slot may be taken again.
        let now = State(reader.memory.state(head).load(Ordering::Acquire));
        if now.ahead_of(head) == reader.capacity as i64 && !planted(Mutant::TrustHead) {
            reader.advance();
            reader.forget_ahead();
            reader.count_consumed();
        }
        if reader.counting {
            // Or before it posted for the slots that it had freed.
            restore_tokens(&reader.memory);
        }
        reader
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    #[inline(always)]
    pub(crate) fn is_counting(&self) -> bool {
        self.counting
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The number of the producer whose record was taken last; 0 before the first.
    #[cfg(not(loom))]
    pub(crate) fn taken_from(&self) -> u16 {
        self.from
    }

    /// Whether a record stands at the head, as far as one look shows that passes no holes and takes no tokens.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn has_record(&mut self) -> bool {
        !self.counting && self.sees_record(true)
    }

    /// Whether records stand ready from the head on, as far as the last of so many says: a hint.
    pub(crate) fn has_run(&self, count: u64) -> bool {
        let last = self.head.wrapping_add(count - 1);
        State(self.memory.state(last).load(Ordering::Relaxed)).is_ready_at(last)
    }

    /// What stands at the head now. Passes holes: positions that carry no record (I7).
    #[inline(always)]
    pub(crate) fn look(&mut self) -> Look {
        if self.sees_record(false) { Ok(Head::Ready) } else { self.look_closer() }
    }

    #[inline(always)]
    fn sees_record(&mut self, patient: bool) -> bool {
        let head = self.head;
        if self.ready_to != head {
            return true;
        }
        // I4: Acquire meets the Release of publish.
        let order = if planted(Mutant::RelaxedRead) { Ordering::Relaxed } else { Ordering::Acquire };
        let state = State(self.memory.state(head).load(order));
        let ready = state.is_ready_at(head);
        if ready {
            self.ready_to = head.wrapping_add(1);
            if self.seen_to == head {
                self.look_ahead(patient);
            }
        }
        ready
    }

    /// There is a record at the head: how many more are there? If the slot at the far end of the window has one, and
    /// there is only one producer, then so have those before it, and their bytes are visible as well: it published
    /// them earlier (I4). Among many producers those are as good as certain to be, and are looked at one by one.
    #[inline(never)]
    fn look_ahead(&mut self, patient: bool) {
        let window = self.ahead.len();
        let last = self.head.wrapping_add(window - 1);
        if window > 1 {
            // No bug to plant here: with Relaxed, the fence in the first `take` would make up for it.
            let look = |position| State(self.memory.state(position).load(Ordering::Acquire));
            let mut state = look(last);
            if patient && !state.is_ready_at(last) && Lead::is_wanted(self.capacity, window) {
                Lead::of_producer().wait(window, |offset| self.has_run(offset + 1));
                state = look(last);
            }
            if !state.is_ready_at(last) {
                self.ahead.shrink();
                self.seen_to = self.head.wrapping_add(1);
                return;
            }
            for offset in 1..window {
                // The line that will be written, to free the slot. Those behind it come by themselves, as they lie in a row:
                // fetching them here as well cost streams of large records a tenth to a quarter, and fan-out gained nothing.
                self.memory.prefetch_for_write(self.head.wrapping_add(offset));
            }
            if self.single {
                self.ready_to = last.wrapping_add(1);
            }
        }
        self.ahead.grow();
        self.seen_to = last.wrapping_add(1);
    }

    /// Watches the head until something changes there, for at most `glances`: the tight inside of a spinning wait. True if
    /// there is a record then, and nothing else to be looked at: every instruction between the change and the copy
    /// is a part of a record's latency.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn watch(&mut self, Spin { glances, pause }: Spin) -> bool {
        let head = self.head;
        let word = self.memory.state(head);
        // I4: Acquire, as in `look`.
        let seen = word.load(Ordering::Acquire);
        let mut now = seen;
        if !State(seen).is_ready_at(head) {
            for _ in 0..glances {
                now = word.load(Ordering::Acquire);
                if now != seen {
                    break;
                }
                if pause {
                    core::hint::spin_loop();
                }
            }
        }
        let ready = State(now).is_ready_at(head) && !self.counting;
        if ready {
            self.ready_to = head.wrapping_add(1);
            self.seen_to = self.ready_to;
        }
        ready
    }

    /// The rest of [`look`](Self::look), out of its fast path.
    #[cold]
    fn look_closer(&mut self) -> Look {
        // Whoever polls comes down to one in a few looks; who takes what is there and comes back later does not begin anew.
        self.ahead.shrink();
        let look = self.look_at_head();
        if look == Ok(Head::Ready) {
            self.ready_to = self.head.wrapping_add(1);
        }
        self.seen_to = self.head;
        look
    }

    fn look_at_head(&mut self) -> Look {
        // No more than a lap of holes at once, whatever the slots say: the next look goes on.
        for _ in 0..=self.capacity {
            let order = if planted(Mutant::RelaxedRead) { Ordering::Relaxed } else { Ordering::Acquire };
            let state = State(self.memory.state(self.head).load(order));
            match state.ahead_of(self.head) {
                0 => match state.phase() {
                    Phase::Ready => return Ok(Head::Ready),
                    Phase::Free => return Ok(Head::Empty),
                    Phase::Claimed => return Ok(Head::Claimed(state.owner())),
                    Phase::Void => {
                        if state.owner() == 0 {
                            // Ours until the head is past (I7). Release: hands the giver's bytes on (I5).
                            let free = State::free(self.head.wrapping_add(self.capacity));
                            let relaxed = planted(Mutant::RelaxedHole);
                            let order = if relaxed { Ordering::Relaxed } else { Ordering::Release };
                            self.memory.state(self.head).store(free.0, order);
                        }
                        self.pass_hole();
                    }
                },
                // Not carried to this lap yet: no producer has come so far.
                behind if behind == -(self.capacity as i64) && state.phase() == Phase::Void => {
                    return Ok(Head::Empty);
                }
                _ => return Err(Damage { position: self.head, state }),
            }
        }
        Ok(Head::Empty)
    }

    fn pass_hole(&mut self) {
        bump(&self.memory.header().consumer.holes);
        self.advance();
        self.forget_ahead();
        // Producers may sleep until the head is past: what looked full can be claimed or carried now.
        if self.counting {
            // Even for a slot in quarantine: its owner may have given it back, and its token may have found the head not
            // past it yet. One too many is dropped.
            self.memory.space().post();
        }
        self.unfenced += u64::from(!planted(Mutant::SilentHoles));
    }

    /// Forgets what was seen ahead.
    fn forget_ahead(&mut self) {
        self.ready_to = self.head;
        self.seen_to = self.head;
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.head = self.head.wrapping_add(1);
        self.memory.header().consumer.head.store(self.head, Ordering::Release);
    }

    /// Copies the record at the head out, after [`look`](Self::look) said that it is ready, and frees its slot.
    #[inline(always)]
    pub(crate) fn take<T>(&mut self, copy: impl FnOnce(*const u8) -> T) -> Result<T, Damage> {
        let head = self.head;
        let word = self.memory.state(head);
        let value = self.memory.read(head, copy);
        // Nobody may have touched the slot while it was READY (I4). Looking costs a load that hits the cache.
        fence(Ordering::Acquire);
        let state = State(word.load(Ordering::Relaxed));
        if !state.is_ready_at(head) {
            self.forget_ahead();
            return Err(Damage { position: head, state });
        }
        self.from = state.owner();
        // I5: Release, after the copy.
        let order = if planted(Mutant::RelaxedFree) { Ordering::Relaxed } else { Ordering::Release };
        word.store(State::free(head.wrapping_add(self.capacity)).0, order);
        self.advance();
        self.count_consumed();
        if self.counting {
            self.spend_token();
        }
        Ok(value)
    }

    /// Counting mode: a record was taken and its slot is free.
    #[cold]
    #[inline(never)]
    fn spend_token(&mut self) {
        self.token = false;
        self.memory.space().post();
    }

    #[inline(always)]
    fn count_consumed(&mut self) {
        self.consumed = self.consumed.wrapping_add(1);
        self.memory.header().consumer.consumed.store(self.consumed, Ordering::Relaxed);
    }

    /// Counting mode: takes a token for the next record, unless one is in hand (I10). Whether or not there is one, the
    /// slots are looked at: a token may be gone with a process that was killed.
    #[cold]
    pub(crate) fn take_token(&mut self) {
        self.token = self.token || self.memory.ready().try_wait();
    }

    /// Counting mode: the ring is empty, so a token in hand is that of a hole, of `close`, or of a record that was taken
    /// without one. It was taken before the look, so no record that came later is meant by it.
    pub(crate) fn drop_token(&mut self) {
        self.token = false;
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token
    }

    /// Tells sleeping producers of freed slots. Cheap and without a fence after most records; the fence that makes
    /// it certain (I8) comes every quarter lap, and whenever the consumer is about to find nothing more to do.
    #[inline(always)]
    pub(crate) fn freed(&mut self, slots: u64) {
        self.unfenced += slots;
        let due = self.unfenced >= self.quarter;
        if due || self.memory.header().writers.waiting.load(Ordering::Relaxed) != 0 {
            self.freed_for_certain();
        }
    }

    /// [`freed`](Self::freed) for one slot where the next record is taken at once: sleepers can wait for the quarter lap,
    /// or for the `freed` that comes last.
    #[inline(always)]
    pub(crate) fn freed_amid_more(&mut self) {
        self.unfenced += 1;
        if self.unfenced >= self.quarter {
            self.freed_for_certain();
        }
    }

    /// See [`freed`](Self::freed): with the fence.
    #[inline(never)]
    pub(crate) fn freed_for_certain(&mut self) {
        if self.unfenced == 0 || self.counting {
            return;
        }
        self.unfenced = 0;
        if planted(Mutant::NoSpaceWake) {
            return;
        }
        if !planted(Mutant::NoFreeFence) {
            self.memory.publish_fence();
        }
        let posts = wake_writers(&self.memory);
        if posts > 0 {
            let word = &self.memory.header().consumer.space_posts;
            word.store(word.load(Ordering::Relaxed).wrapping_add(posts), Ordering::Relaxed);
        }
    }

    /// Passes over the claim at the head and puts its slot in quarantine. True if it was still unpublished.
    pub(crate) fn void(&mut self, owner: u16) -> bool {
        let claimed = State::new(self.head, owner, Phase::Claimed);
        let next = if planted(Mutant::NoQuarantine) {
            State::free(self.head.wrapping_add(self.capacity))
        } else {
            State::new(self.head, owner, Phase::Void)
        };
        let header = self.memory.header();
        // Counted first: the owner may come back, and count it out again, right after the swap.
        header.cold.quarantined.fetch_add(1, Ordering::Relaxed);
        let word = self.memory.state(self.head);
        let voided = word.compare_exchange(claimed.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !voided {
            leave_quarantine(&self.memory);
        } else {
            bump(&header.consumer.voids);
            self.voided += 1;
            self.pass_hole();
            self.freed_for_certain();
        }
        voided
    }

    /// Steps over a damaged slot: frees it by force for the next lap.
    pub(crate) fn step_over_damage(&mut self) {
        let next = State::free(self.head.wrapping_add(self.capacity));
        self.memory.state(self.head).store(next.0, Ordering::Release);
        bump(&self.memory.header().consumer.damaged);
        self.pass_hole();
    }

    /// Looks at every slot for what the protocol cannot lead to. The head stands still meanwhile, since this is the
    /// consumer; producers may go on.
    #[cfg(not(loom))]
    pub(crate) fn audit(&self) -> Result<(), Damage> {
        let owners = self.memory.shape().owners;
        // The first position that is open; nothing behind it can be taken (I2).
        let mut open = None;
        for offset in 0..self.capacity {
            let position = self.head.wrapping_add(offset);
            let state = State(self.memory.state(position).load(Ordering::Acquire));
            let is_void = state.phase() == Phase::Void;
            let in_place = match state.ahead_of(position) {
                0 => state.phase() != Phase::Free || state.owner() == 0,
                // From the lap before: to be carried by the producer that comes there (I6, I7).
                behind => is_void && behind.unsigned_abs() == self.capacity && behind < 0,
            };
            if !in_place || u32::from(state.owner()) > owners {
                return Err(Damage { position, state });
            }
            if !is_taken(state, position) {
                open.get_or_insert(position);
            } else if let Some(open) = open {
                // Taken since we looked there, or never.
                let now = State(self.memory.state(open).load(Ordering::Acquire));
                if !is_taken(now, open) {
                    return Err(Damage { position: open, state: now });
                }
            }
        }
        Ok(())
    }

    /// How many claims this consumer has passed over.
    #[cfg(not(loom))]
    pub(crate) fn voided(&self) -> u64 {
        self.voided
    }

    /// How many slots are in quarantine now, by a look at each: the header's count is anybody's to write.
    #[cfg(not(loom))]
    pub(crate) fn count_quarantined(&self) -> u32 {
        let quarantined =
            |&slot: &u64| State(self.memory.state(slot).load(Ordering::Relaxed)).is_quarantined();
        (0..self.capacity).filter(quarantined).count() as u32
    }

    /// Whether the header's words that only this consumer writes are what it wrote.
    #[cfg(not(loom))]
    pub(crate) fn owns_its_words(&self) -> bool {
        let words = &self.memory.header().consumer;
        words.head.load(Ordering::Relaxed) == self.head
            && words.consumed.load(Ordering::Relaxed) == self.consumed
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.memory.header().reader.closed.load(Ordering::Acquire) != 0
    }

    pub(crate) fn nudges(&self) -> u32 {
        self.memory.header().reader.nudges.load(Ordering::Acquire)
    }

    /// Sleeps until a record is published, the ring is closed or nudged (the caller saw `nudges` before), or `max`
    /// is over; not at all if the second look finds that `awaited` does not stand at the head any more.
    pub(crate) fn park(&mut self, awaited: Head, nudges: u32, max: Duration) {
        self.freed_for_certain();
        let memory = self.memory.clone();
        if self.counting {
            bump(&memory.header().consumer.parks);
            self.token = memory.ready().wait_timeout(max);
            return;
        }
        let waiting = &memory.header().reader.waiting;
        // I8, sleeper's half: announce, fence, look again, and only then sleep.
        // Only the consumer counts on; wakers only take the lowest bit away.
        let announced = waiting.load(Ordering::Relaxed).wrapping_add(2) | 1;
        waiting.store(announced, Ordering::Relaxed);
        #[cfg(all(feature = "faults", not(loom)))]
        crate::faults::pass(crate::faults::Point::ConsumerAnnounced);
        let certain = planted(Mutant::NoParkFence) || memory.sleep_fence();
        let mut still = planted(Mutant::NoReaderRecheck)
            || (self.look() == Ok(awaited) && !self.is_closed() && self.nudges() == nudges);
        if self.unfenced != 0 && !planted(Mutant::SleepOnHoles) {
            // That look passed holes, and those who wait for that are to be woken first.
            still = false;
        }
        if still {
            bump(&memory.header().consumer.parks);
            let _ = memory.ready().wait_timeout(if certain { max } else { max.min(UNCERTAIN) });
        }
        waiting.store(announced - 1, Ordering::Relaxed);
    }
}
