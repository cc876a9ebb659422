//! [`Snapshot`]: what a ring looks like from outside.

use crate::memory::Memory;
use crate::name::RingName;
use crate::options::{Mode, RingKind};
use crate::process::ProcessId;
use crate::protocol::{find_tail, sleeps};
use crate::state::State;
use crate::sync::Ordering;

/// A picture of a ring. Its parts are read one after another while others go on writing: each is true for its own
/// moment, and together they are only near each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The ring's name, if it has one.
    pub name: Option<RingName>,
    /// One producer or many.
    pub kind: RingKind,
    /// What its semaphores mean.
    pub mode: Mode,
    /// Records that it holds.
    pub capacity: u32,
    /// Bytes of a record.
    pub record_size: u32,
    /// Bytes from slot to slot.
    pub stride: u32,
    /// Producers that it can take at once.
    pub owners_max: u32,
    /// Random number of this segment.
    pub epoch: u64,
    /// The process that created it.
    pub creator: Option<ProcessId>,
    /// How often its creator has made it anew, because another process had damaged it.
    pub renewals: u32,
    /// When it was created, nanoseconds after 1970.
    pub created_unix_ns: u64,
    /// Age of the two heartbeats' times, nanoseconds of CLOCK_MONOTONIC; 0 if never stamped.
    pub creator_beat_ns: u64,
    /// See `creator_beat_ns`.
    pub peer_beat_ns: u64,
    /// Whether it is closed.
    pub closed: bool,
    /// Next position to be read.
    pub head: u64,
    /// Next position to be claimed.
    pub tail: u64,
    /// Every slot, by index.
    pub slots: Vec<SlotSnapshot>,
    /// The consumer's process, if one is attached.
    pub consumer: Option<ProcessId>,
    /// Attached producers.
    pub producers: Vec<OwnerSnapshot>,
    /// The semaphore that the consumer sleeps on; `None` if it could not be read.
    pub ready: Option<SemaphoreSnapshot>,
    /// The semaphore that producers sleep on; `None` if it could not be read.
    pub space: Option<SemaphoreSnapshot>,
    /// Whether the consumer has announced that it sleeps (doorbell mode).
    pub consumer_waiting: bool,
    /// How many producers have announced that they sleep (doorbell mode).
    pub producers_waiting: u32,
    /// What has been counted.
    pub counters: Counters,
}

/// One slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSnapshot {
    /// Its state word.
    pub state: State,
    /// The process of the owner that the word names, if that owner is attached.
    pub owner: Option<ProcessId>,
}

/// One attached producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnerSnapshot {
    /// Its owner number.
    pub number: u16,
    /// Its process.
    pub process: ProcessId,
    /// Records that it published.
    pub published: u64,
    /// How often it found the ring full.
    pub full_events: u64,
    /// How often it slept.
    pub parks: u64,
    /// How often one of its claims was voided.
    pub voided: u64,
}

/// One semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreSnapshot {
    /// Tokens. Never negative on Linux, however many wait.
    pub value: u32,
    /// Threads that sleep on it, where the C library tells (glibc, 64-bit).
    pub waiters: Option<u32>,
}

/// Counters of a ring's whole life, over all owners, also those that have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Records published.
    pub published: u64,
    /// Records consumed.
    pub consumed: u64,
    /// How often a producer found the ring full.
    pub full_events: u64,
    /// How often the consumer slept.
    pub consumer_parks: u64,
    /// How often producers slept.
    pub producer_parks: u64,
    /// How often a producer posted `ready` to wake the consumer.
    pub ready_wakes: u64,
    /// How often the consumer posted `space` to wake producers.
    pub space_wakes: u64,
    /// Claims that the consumer passed over.
    pub voids: u64,
    /// Positions that carried no record: voided, carried on, or abandoned.
    pub holes: u64,
    /// Slots in quarantine now, counted in the slots themselves.
    pub quarantined: u32,
    /// Slots that the consumer found damaged.
    pub damaged: u64,
}

pub(crate) fn snapshot<M: Memory>(
    memory: &M,
    name: Option<&RingName>,
    semaphores: [Option<(u32, Option<u32>)>; 2],
) -> Snapshot {
    let shape = *memory.shape();
    let header = memory.header();
    let identity = &header.identity;
    let process_of =
        |number: u16| ProcessId::from_word(memory.owner(number).identity.load(Ordering::Acquire));
    let head = header.consumer.head.load(Ordering::Acquire);
    let slots: Vec<SlotSnapshot> = (0..u64::from(shape.capacity))
        .map(|index| {
            let state = State(memory.state(index).load(Ordering::Acquire));
            let known = state.owner() != 0 && u32::from(state.owner()) <= shape.owners;
            SlotSnapshot { state, owner: known.then(|| process_of(state.owner())).flatten() }
        })
        .collect();
    let cold = &header.cold;
    let mut counters = Counters {
        published: cold.published.load(Ordering::Relaxed),
        consumed: header.consumer.consumed.load(Ordering::Relaxed),
        full_events: cold.full_events.load(Ordering::Relaxed),
        consumer_parks: header.consumer.parks.load(Ordering::Relaxed),
        producer_parks: cold.parks.load(Ordering::Relaxed),
        ready_wakes: cold.ready_posts.load(Ordering::Relaxed),
        space_wakes: header.consumer.space_posts.load(Ordering::Relaxed),
        voids: header.consumer.voids.load(Ordering::Relaxed),
        holes: header.consumer.holes.load(Ordering::Relaxed),
        quarantined: slots.iter().filter(|slot| slot.state.is_quarantined()).count() as u32,
        damaged: header.consumer.damaged.load(Ordering::Relaxed),
    };
    let mut producers = Vec::new();
    for number in 1..=shape.owners as u16 {
        let owner = memory.owner(number);
        let Some(process) = ProcessId::from_word(owner.identity.load(Ordering::Acquire)) else { continue };
        let one = OwnerSnapshot {
            number,
            process,
            published: owner.published.load(Ordering::Relaxed),
            full_events: owner.full_events.load(Ordering::Relaxed),
            parks: owner.parks.load(Ordering::Relaxed),
            voided: owner.returned.load(Ordering::Relaxed),
        };
        // Wrapping: a hostile peer may have written anything.
        counters.published = counters.published.wrapping_add(one.published);
        counters.full_events = counters.full_events.wrapping_add(one.full_events);
        counters.producer_parks = counters.producer_parks.wrapping_add(one.parks);
        counters.ready_wakes = counters.ready_wakes.wrapping_add(owner.ready_posts.load(Ordering::Relaxed));
        producers.push(one);
    }
    let [ready, space] = semaphores.map(|s| s.map(|(value, waiters)| SemaphoreSnapshot { value, waiters }));
    Snapshot {
        name: name.cloned(),
        kind: shape.kind,
        mode: shape.mode,
        capacity: shape.capacity,
        record_size: shape.record_size as u32,
        stride: shape.stride as u32,
        owners_max: shape.owners,
        epoch: identity.epoch.load(Ordering::Relaxed),
        creator: ProcessId::from_word(identity.creator.load(Ordering::Relaxed)),
        renewals: identity.renewals.load(Ordering::Relaxed),
        created_unix_ns: identity.created_unix_ns.load(Ordering::Relaxed),
        creator_beat_ns: header.creator_beat.at_ns.load(Ordering::Relaxed),
        peer_beat_ns: header.peer.at_ns.load(Ordering::Relaxed),
        closed: header.reader.closed.load(Ordering::Relaxed) != 0,
        head,
        tail: full_position(find_tail(memory), head),
        slots,
        consumer: process_of(crate::owners::CONSUMER),
        producers,
        ready,
        space,
        consumer_waiting: sleeps(header.reader.waiting.load(Ordering::Relaxed)),
        producers_waiting: header.writers.waiting.load(Ordering::Relaxed),
        counters,
    }
}

/// A position of which only the low 48 bits are known, made whole beside one that is near it.
fn full_position(low: u64, near: u64) -> u64 {
    near.wrapping_add_signed(State::free(low).ahead_of(near))
}
