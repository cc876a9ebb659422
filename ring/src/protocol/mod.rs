//! The algorithm: how records pass from producers to the consumer through slots that tell their own state.
//!
//! A position counts records from 0 and never goes back; position `n` lies in slot `n mod capacity`. Each slot's
//! [state word](crate::state::State) names the position it is for, its phase and its owner:
//!
//! ```text
//!   FREE(n) ──claim: CAS──► CLAIMED(n,p) ──publish: CAS──► READY(n,p) ──consume: store──► FREE(n+capacity)
//!                                │  │
//!           the consumer, after  │  └──abandon: CAS──────────────────────┐
//!           the grace: CAS       ▼                                       ▼
//!                            VOID(n,p) ──its owner is back: CAS──► VOID(n,0) ──head is past──► FREE(n+capacity)
//!                                │                                       a hole
//!                                └──a producer, one lap on: CAS──► VOID(n+capacity,p) ──► …
//! ```
//!
//! Whoever has proof that owner `p` is dead turns CLAIMED(n,p) and VOID(n,p) into the hole VOID(n,0), too.
//!
//! A single producer writes FREE(n) → READY(n,p) with one plain store and has no claims to lose.
//!
//! # Invariants
//!
//! - **I1, one writer.** A record's bytes are written only by the owner of a CLAIMED slot or, in a single-producer
//!   ring, by the producer of a FREE one; or by an owner that has not noticed yet that its slot is VOID.
//! - **I2, no gaps.** Position `n + 1` is claimed only after position `n` was taken (claimed or carried), and a claim
//!   is Release: who sees it sees every position before it taken. So a FREE slot at the head means *empty*, and no
//!   published record hides behind one that will never come.
//! - **I3, owner from the start.** The compare-and-swap that takes a slot names its owner: at no moment is a slot
//!   taken by nobody knows whom.
//! - **I4, read only what is published.** The consumer copies bytes only out of a READY slot; the Release that made
//!   it READY meets the Acquire that saw it so.
//! - **I5, free after reading.** The store of FREE(n+capacity) is Release and comes after the copy; a claim is
//!   Acquire. So a writer's bytes never run into a reader's copy.
//! - **I6, quarantine.** A VOID slot leaves that phase only by its owner's hand or after proof that its owner is
//!   dead. Carrying changes its position and nothing else. So a late writer scribbles on what nobody reads.
//! - **I7, the head is never lapped.** A slot comes from `n` to `n + capacity` only when the head is past `n`: by the
//!   consumer's own hand, or by a producer's that has seen so. Not even a producer that abandons claim after claim
//!   gets further. So at the head a slot is at its position, or behind it by a lap and VOID.
//! - **I8, no lost wake-up.** Whoever goes to sleep announces it, fences, and looks again; whoever changes what a
//!   sleeper waits for does so, fences, and then looks for announcements. One of the two sees the other. An
//!   announcement is taken down only after the post that answers it: a waker that is killed between the two costs a
//!   surplus token, and surplus tokens cost a look.
//! - **I9, private truths.** Capacity, stride, mask, one's own position and owner number are private. What is read
//!   from shared memory is compared with them and can at worst be refused as [`Damage`].
//! - **I10, tokens are hints too.** In counting mode `space` has a token for each slot that is free, and `ready` one for
//!   each record: the post comes after the slot's state word, the wait before it. A process that is killed between the
//!   two leaves a token too few, and no harm: whoever finds no token looks at the slots all the same before it gives up
//!   or sleeps, and whoever takes a dead one's place, or buries it, puts back what is missing. A token too many is
//!   dropped by the one that finds nothing for it.

mod ahead;
mod lead;
mod reader;
mod writer;

#[cfg(all(test, loom))]
mod models;

#[cfg(not(loom))]
pub(crate) use reader::Look;
pub(crate) use reader::{Head, Reader};
pub(crate) use writer::{Claimed, Reserve, Writer};

use core::fmt;
use core::time::Duration;

use crate::layout::Shape;
use crate::memory::Memory;
use crate::options::{Mode, RingKind};
use crate::state::{Phase, State};
use crate::sync::{AtomicU32, Mutant, Ordering, QuietU64, fence, planted};

/// A slot in a state that the protocol cannot lead to: someone else writes into this memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The position that was to be read or claimed.
    pub position: u64,
    /// What its slot said.
    pub state: State,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the slot of position {} says {:?}, which cannot be", self.position, self.state)
    }
}

/// The longest sleep where the kernel refused the sleeper's half of the fence (I8): a missed wake-up costs no more.
const UNCERTAIN: Duration = Duration::from_millis(1);

/// How often a compare-and-swap is tried again where others can only make it fail now and then: for ever only if somebody
/// writes what the protocol does not allow.
const PATIENCE: u32 = 1000;

/// Whether position `position` is taken: by a claim, a record, a void, or because it is long over.
fn is_taken(state: State, position: u64) -> bool {
    match state.ahead_of(position) {
        0 => state.phase() != Phase::Free,
        ahead => ahead > 0,
    }
}

/// The first position that nobody has taken, found in the slots themselves by bisection (I2 makes them monotone).
///
/// Positions may be taken while this looks; the answer is then one that was free a moment ago. Over damaged slots
/// it is some position; claiming there finds the damage.
pub(crate) fn find_tail<M: Memory>(memory: &M) -> u64 {
    let capacity = u64::from(memory.shape().capacity);
    let first = State(memory.state(0).load(Ordering::Acquire));
    // The lap that slot 0's position begins, and whose position 0 is taken.
    let lap = match first.phase() {
        Phase::Free if planted(Mutant::TailPastFree) => first.sequence(),
        Phase::Free => first.sequence().wrapping_sub(capacity),
        _ => first.sequence(),
    };
    let (mut taken, mut open) = (0, capacity);
    while open - taken > 1 {
        let middle = taken.midpoint(open);
        let position = lap.wrapping_add(middle);
        if is_taken(State(memory.state(middle).load(Ordering::Acquire)), position) {
            taken = middle;
        } else {
            open = middle;
        }
    }
    lap.wrapping_add(open)
}

/// Counts up a word that only this thread writes.
fn bump(word: &QuietU64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Whether the consumer's word announces a sleep.
pub(crate) const fn sleeps(waiting: u32) -> bool {
    waiting & 1 != 0
}

/// Wakes the consumer if it sleeps or is about to. The caller has fenced (I8). True if it posted.
#[inline(always)]
fn wake_reader<M: Memory>(memory: &M) -> bool {
    let waiting = &memory.header().reader.waiting;
    let announced = waiting.load(Ordering::Relaxed);
    if sleeps(announced) {
        answer(memory, waiting, announced);
    }
    sleeps(announced)
}

/// Posts for the consumer's announcement `announced`, and takes it down.
#[cold]
fn answer<M: Memory>(memory: &M, waiting: &AtomicU32, announced: u32) {
    // Taken down, so that a burst of publishes posts once; after the post, so that a waker that dies or is stopped
    // in between leaves it to the next; and only this one, so that a slow waker takes no later announcement.
    if planted(Mutant::AnswerBeforePost) {
        waiting.store(announced - 1, Ordering::Relaxed);
    }
    memory.ready().post();
    if planted(Mutant::AnswerAnyTurn) {
        waiting.fetch_and(!1, Ordering::Relaxed);
    } else {
        let _ = waiting.compare_exchange(announced, announced - 1, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Wakes every producer that sleeps or is about to. The caller has fenced (I8). Returns how many posts it made.
fn wake_writers<M: Memory>(memory: &M) -> u64 {
    let waiting = &memory.header().writers.waiting;
    let announced = waiting.load(Ordering::Relaxed);
    // Never more posts than there can be producers, whatever a broken peer wrote into the count.
    let sleepers = announced.min(memory.shape().owners);
    // At any moment the announcements and the tokens together are at least as many as the sleepers. So the posts
    // come first, and a waker that dies among them leaves the announcements to the next.
    if planted(Mutant::AnswerBeforePost) {
        waiting.store(0, Ordering::Relaxed);
    }
    for _ in 0..sleepers {
        memory.space().post();
    }
    if announced != 0 {
        take_down(waiting, announced);
    }
    u64::from(sleepers)
}

/// Takes down `count` announcements of sleeping producers, or what is left of them.
fn take_down(waiting: &AtomicU32, count: u32) {
    let mut now = waiting.load(Ordering::Relaxed);
    for _ in 0..PATIENCE {
        let next = now.saturating_sub(count);
        match waiting.compare_exchange(now, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => now = other,
        }
    }
}

/// Closes the ring and wakes everybody.
pub(crate) fn close<M: Memory>(memory: &M) {
    memory.header().reader.closed.store(1, Ordering::Release);
    fence(Ordering::SeqCst);
    if !planted(Mutant::SilentClose) {
        wake_reader(memory);
        wake_writers(memory);
    }
    if memory.shape().mode == Mode::Counting {
        memory.ready().post();
        memory.space().post();
    }
}

/// Makes a sleeping consumer's `wait` return.
pub(crate) fn nudge<M: Memory>(memory: &M) {
    memory.header().reader.nudges.fetch_add(1, Ordering::Release);
    fence(Ordering::SeqCst);
    if !planted(Mutant::SilentNudge) {
        wake_reader(memory);
    }
    if memory.shape().mode == Mode::Counting {
        memory.ready().post();
    }
}

/// Gives up every slot that owner `number` holds claimed or void (I6: the caller has proof that it will not write
/// any more, and keeps the owner's entry from being used again meanwhile). Returns how many.
pub(crate) fn free_slots_of<M: Memory>(memory: &M, number: u16) -> u32 {
    let Shape { capacity, kind, .. } = *memory.shape();
    if kind == RingKind::Spsc {
        return 0;
    }
    let mut freed = 0;
    for slot in 0..u64::from(capacity) {
        let mut state = State(memory.state(slot).load(Ordering::Acquire));
        for _ in 0..PATIENCE {
            if state.owner() != number || !matches!(state.phase(), Phase::Claimed | Phase::Void) {
                break;
            }
            let next = State::hole(state.sequence());
            match memory.state(slot).compare_exchange(state.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if state.phase() == Phase::Void {
                        leave_quarantine(memory);
                    }
                    freed += 1;
                    break;
                }
                // A producer carried it meanwhile, or the consumer voided it.
                Err(now) => state = State(now),
            }
        }
    }
    freed
}

/// Puts right what a dead process left undone besides its slots: it may have published or freed something and told
/// nobody, or have held a token.
pub(crate) fn wake_after_death<M: Memory>(memory: &M) {
    if planted(Mutant::SilentReap) {
        return;
    }
    if memory.shape().mode == Mode::Counting {
        // One that brings the consumer past holes, or to a record whose token is missing.
        memory.ready().post();
        restore_tokens(memory);
        return;
    }
    // The consumer may sleep in front of what was a claim, and producers in front of what was in quarantine.
    fence(Ordering::SeqCst);
    wake_reader(memory);
    wake_writers(memory);
}

/// Counting mode: sees to it that `space` has at least as many tokens as slots are free (I10). One that somebody has in
/// hand just now may make it one too many.
fn restore_tokens<M: Memory>(memory: &M) {
    if planted(Mutant::KeepLostTokens) {
        return;
    }
    let capacity = u64::from(memory.shape().capacity);
    let is_free = |slot| {
        let state = State(memory.state(slot).load(Ordering::Acquire));
        matches!((state.phase(), state.owner()), (Phase::Free | Phase::Void, 0))
    };
    let free = (0..capacity).filter(|&slot| is_free(slot)).count() as u32;
    for _ in memory.space().value()..free {
        memory.space().post();
    }
}

/// Counts one slot less in quarantine; the word is a hint and never goes below zero.
fn leave_quarantine<M: Memory>(memory: &M) {
    let word = &memory.header().cold.quarantined;
    let mut count = word.load(Ordering::Relaxed);
    for _ in 0..PATIENCE {
        let Some(less) = count.checked_sub(1) else { return };
        match word.compare_exchange(count, less, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => count = now,
        }
    }
}
