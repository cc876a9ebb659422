//! What the models play with: a ring of 8-byte records, and pushes and pops that sleep.
#![expect(unsafe_code, reason = "copies 8-byte records in and out of loom's cells")]

use core::time::Duration;
use std::sync::Arc;

use crate::memory::{Memory, Modeled};
use crate::options::{Mode, RingOptions};
use crate::protocol::{Claimed, Head, Reader, Reserve, Writer, free_slots_of, wake_after_death};

/// Sleeps have no time-out under loom.
const FOREVER: Duration = Duration::MAX;

/// A ring in its first state.
fn ring(options: &RingOptions) -> Arc<Modeled> {
    let memory = Modeled::new(options);
    if options.mode == Mode::Counting {
        for _ in 0..options.capacity {
            memory.space().post();
        }
    }
    Arc::new(memory)
}

pub(super) fn mpsc(capacity: u32, owners: u32) -> Arc<Modeled> {
    ring(&RingOptions::mpsc(capacity).owners(owners))
}

pub(super) fn counting(capacity: u32, owners: u32) -> Arc<Modeled> {
    ring(&RingOptions::mpsc(capacity).owners(owners).mode(Mode::Counting))
}

pub(super) fn counting_spsc(capacity: u32) -> Arc<Modeled> {
    ring(&RingOptions::spsc(capacity).mode(Mode::Counting))
}

pub(super) fn spsc(capacity: u32) -> Arc<Modeled> {
    ring(&RingOptions::spsc(capacity))
}

pub(super) fn writer(memory: &Arc<Modeled>, owner: u16) -> Writer<Arc<Modeled>> {
    Writer::new(Arc::clone(memory), owner)
}

pub(super) fn reader(memory: &Arc<Modeled>) -> Reader<Arc<Modeled>> {
    Reader::new(Arc::clone(memory))
}

/// Writes a record in two halves, so that one can be half written.
pub(super) fn write<M: Memory>(memory: &M, Claimed(position): Claimed, value: u64) {
    for half in 0..2 {
        memory.write(position, |record| {
            let bytes = value.to_ne_bytes();
            // SAFETY: a record has 8 bytes, of which these are four; loom checks that nobody else has them now.
            unsafe { record.add(4 * half).copy_from_nonoverlapping(bytes[4 * half..].as_ptr(), 4) };
        });
    }
}

/// Takes the record at the head and wakes producers as the consumer does.
pub(super) fn take<M: Memory + Clone>(reader: &mut Reader<M>) -> u64 {
    // SAFETY: a record has 8 bytes; loom checks that nobody writes them now.
    let value = reader.take(|record| unsafe { record.cast::<u64>().read_unaligned() });
    reader.freed(1);
    value.expect("a record that was READY stays so")
}

/// Claims a position, sleeping on a full ring. `None` if the ring is closed.
pub(super) fn claim<M: Memory + Clone>(writer: &mut Writer<M>) -> Option<Claimed> {
    let mut result = writer.claim();
    loop {
        match result {
            Ok(claimed) => return Some(claimed),
            Err(Reserve::Closed) => return None,
            Err(Reserve::Damaged(damage)) => panic!("{damage}"),
            Err(Reserve::Full) => {}
        }
        result = writer.park(FOREVER);
        if result == Err(Reserve::Full) {
            result = writer.claim();
        }
    }
}

/// Pushes a record, sleeping on a full ring, again and again if the claim is voided. False if the ring is closed.
pub(super) fn push<M: Memory + Clone>(writer: &mut Writer<M>, value: u64) -> bool {
    while let Some(claimed) = claim(writer) {
        write(&writer.memory, claimed, value);
        if writer.publish(claimed).is_ok() {
            writer.announce(1);
            return true;
        }
    }
    false
}

/// Pushes a record if a slot is free.
pub(super) fn try_push<M: Memory + Clone>(writer: &mut Writer<M>, value: u64) -> bool {
    match writer.claim() {
        Ok(claimed) => {
            write(&writer.memory, claimed, value);
            writer.publish(claimed).is_ok()
        }
        Err(Reserve::Full) => false,
        Err(other) => panic!("{other:?}"),
    }
}

/// What a consumer does in front of a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grace {
    /// It is over at once.
    Zero,
    /// It is over at once, and the owner, whose number is `.0`, is dead.
    Dead(u16),
    /// It never ends.
    Endless,
}

/// Pops the next record, sleeping on an empty ring. `None` once the ring is closed and empty.
pub(super) fn pop<M: Memory + Clone>(reader: &mut Reader<M>, grace: Grace) -> Option<u64> {
    loop {
        let nudges = reader.nudges();
        if reader.is_counting() {
            reader.take_token();
        }
        let head = reader.look().unwrap_or_else(|damage| panic!("{damage}"));
        match head {
            Head::Ready => return Some(take(reader)),
            Head::Empty => {
                reader.freed_for_certain();
                reader.drop_token();
                if !reader.is_closed() {
                    reader.park(head, nudges, FOREVER);
                } else if reader.look() == Ok(Head::Empty) {
                    return None;
                }
            }
            // Its owner posts for its own record only.
            Head::Claimed(_) if grace == Grace::Endless && reader.has_token() => loom::thread::yield_now(),
            Head::Claimed(_) if grace == Grace::Endless => reader.park(head, nudges, FOREVER),
            Head::Claimed(owner) => {
                if reader.void(owner) && grace == Grace::Dead(owner) {
                    bury(&reader.memory, owner);
                }
            }
        }
    }
}

/// Frees what a dead owner held and left undone. Returns how many slots.
pub(super) fn bury<M: Memory>(memory: &M, owner: u16) -> u32 {
    let freed = free_slots_of(memory, owner);
    wake_after_death(memory);
    freed
}

/// Pops what is there now.
pub(super) fn drain<M: Memory + Clone>(reader: &mut Reader<M>) -> Vec<u64> {
    let mut values = Vec::new();
    while reader.look() == Ok(Head::Ready) {
        values.push(take(reader));
    }
    values
}
