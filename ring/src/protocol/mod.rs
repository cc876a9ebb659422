//! The algorithm: how records pass from producers to the consumer through slots that tell their own state.
//!
//! A position counts records from 0 and never goes back; position `n` lies in slot `n mod capacity`. Each slot's
//! [state word](crate::state::State) names the position it is for, its phase and its owner:
//!
//! ```text
//!   FREE(n) ──claim: CAS──► CLAIMED(n,p) ──publish: CAS──► READY(n,p) ──consume: store──► FREE(n+capacity)
//!                                │  │
//!           the consumer, after  │  └──abandon: CAS──► FREE(n+capacity)
//!           the grace: CAS       ▼
//!                            VOID(n,p) ──a producer, one lap on: CAS──► VOID(n+capacity,p) ──► …
//!                                │
//!                                └──its owner is back, or proven dead: CAS──► FREE(n+capacity)
//! ```
//!
//! A single producer writes FREE(n) → READY(n,p) with one plain store and has no claims to lose.
//!
//! # Invariants
//!
//! - **I1, one writer.** A record's bytes are written only by the owner of a CLAIMED slot or, in a single-producer
//!   ring, by the producer of a FREE one; or by an owner that has not noticed yet that its slot is VOID.
//! - **I2, no gaps.** Position `n + 1` is claimed only after position `n` was taken (claimed, carried or abandoned).
//!   So a FREE slot at the head means *empty*, and no published record hides behind one that will never come.
//! - **I3, owner from the start.** The compare-and-swap that takes a slot names its owner: at no moment is a slot
//!   taken by nobody knows whom.
//! - **I4, read only what is published.** The consumer copies bytes only out of a READY slot; the Release that made
//!   it READY meets the Acquire that saw it so.
//! - **I5, free after reading.** The store of FREE(n+capacity) is Release and comes after the copy; a claim is
//!   Acquire. So a writer's bytes never run into a reader's copy.
//! - **I6, quarantine.** A VOID slot leaves that phase only by its owner's hand or after proof that its owner is
//!   dead. Carrying changes its position and nothing else. So a late writer scribbles on what nobody reads.
//! - **I7, the head is never lapped.** A slot is carried from `n` to `n + capacity` only when the head has passed
//!   `n`; every other way to the next lap leads through the consumer, too. So at the head, a slot is at its
//!   position, or behind it by a lap and VOID, or ahead of it by a lap (two, if its next claim was abandoned as
//!   well) and then a hole: a position without a record.
//! - **I8, no lost wake-up.** Whoever goes to sleep announces it, fences, and looks again; whoever changes what a
//!   sleeper waits for does so, fences, and then looks for announcements. One of the two sees the other.
//! - **I9, private truths.** Capacity, stride, mask, one's own position and owner number are private. What is read
//!   from shared memory is compared with them and can at worst be refused as [`Damage`].

mod reader;
mod writer;

#[cfg(all(test, loom))]
mod models;

pub(crate) use reader::{Head, Look, Reader};
pub(crate) use writer::{Claimed, Reserve, Writer};

use core::fmt;
use core::time::Duration;

use crate::layout::Shape;
use crate::memory::Memory;
use crate::options::{Mode, RingKind};
use crate::state::{Phase, State};
use crate::sync::{Ordering, fence};

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
fn bump(word: &crate::sync::AtomicU64) {
    word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Wakes the consumer if it sleeps or is about to. The caller has fenced (I8). True if it posted.
fn wake_reader<M: Memory>(memory: &M) -> bool {
    let waiting = &memory.header().reader.waiting;
    // The swap hands each announcement to one waker: a burst of publishes posts once.
    let wake = waiting.load(Ordering::Relaxed) != 0 && waiting.swap(0, Ordering::AcqRel) != 0;
    if wake {
        memory.ready().post();
    }
    wake
}

/// Wakes every producer that sleeps or is about to. The caller has fenced (I8). Returns how many posts it made.
fn wake_writers<M: Memory>(memory: &M) -> u64 {
    let waiting = &memory.header().writers.waiting;
    if waiting.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    // Never more posts than there can be producers, whatever a broken peer wrote into the count.
    let sleepers = waiting.swap(0, Ordering::AcqRel).min(memory.shape().owners);
    for _ in 0..sleepers {
        memory.space().post();
    }
    u64::from(sleepers)
}

/// Closes the ring and wakes everybody.
pub(crate) fn close<M: Memory>(memory: &M) {
    memory.header().reader.closed.store(1, Ordering::Release);
    fence(Ordering::SeqCst);
    wake_reader(memory);
    wake_writers(memory);
    if memory.shape().mode == Mode::Counting {
        memory.ready().post();
        memory.space().post();
    }
}

/// Makes a sleeping consumer's `wait` return.
pub(crate) fn nudge<M: Memory>(memory: &M) {
    memory.header().reader.nudges.fetch_add(1, Ordering::Release);
    fence(Ordering::SeqCst);
    wake_reader(memory);
    if memory.shape().mode == Mode::Counting {
        memory.ready().post();
    }
}

/// Frees every slot that owner `number` holds claimed or void (I6: the caller has proof that it will not write any
/// more, and keeps the owner's entry from being used again meanwhile). Returns how many.
pub(crate) fn free_slots_of<M: Memory>(memory: &M, number: u16) -> u32 {
    let Shape { capacity, kind, mode, .. } = *memory.shape();
    if kind == RingKind::Spsc {
        return 0;
    }
    let mut freed = 0;
    for slot in 0..u64::from(capacity) {
        let mut state = State(memory.state(slot).load(Ordering::Acquire));
        while state.owner() == number && matches!(state.phase(), Phase::Claimed | Phase::Void) {
            let next = State::free(state.sequence().wrapping_add(u64::from(capacity)));
            match memory.state(slot).compare_exchange(state.0, next.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if state.phase() == Phase::Void {
                        leave_quarantine(memory);
                    }
                    if mode == Mode::Counting {
                        memory.space().post();
                    }
                    freed += 1;
                    break;
                }
                // A producer carried it meanwhile, or the consumer voided it.
                Err(now) => state = State(now),
            }
        }
    }
    if freed > 0 {
        // A consumer may sleep in front of the claim, and producers in front of the quarantine.
        fence(Ordering::SeqCst);
        wake_reader(memory);
        wake_writers(memory);
    }
    freed
}

/// Counts one slot less in quarantine; the word is a hint and never goes below zero.
fn leave_quarantine<M: Memory>(memory: &M) {
    let word = &memory.header().cold.quarantined;
    let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
}
