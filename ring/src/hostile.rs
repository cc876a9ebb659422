//! Rings that hold what a hostile peer wrote. Nothing but tests and fuzz targets calls this.
//!
//! They lie in heap memory of exactly their size, so that AddressSanitizer sees a look beyond the end, and nobody pays
//! for a system call where millions of them are tried.

use crate::Record;
use crate::error::OpenError;
use crate::layout::{HEADER_WORDS, OWNER_SIZE};
use crate::memory::Memory;
use crate::region::HeapBytes;
use crate::ring::Ring;
use crate::state::{Phase, State};
use crate::sync::{AtomicU64, Ordering};

/// Takes a copy of `bytes` for a ring, with all the checks that opening a ring's file makes.
///
/// # Errors
/// As [`Ring::open`].
pub fn open<R: Record>(bytes: &[u8]) -> Result<Ring<R>, OpenError> {
    Ring::of_bytes(HeapBytes::copy_of(bytes))
}

/// How many words [`word`] knows.
#[must_use]
pub fn words<R>(ring: &Ring<R>) -> usize {
    let shape = ring.region().shape();
    HEADER_WORDS + OWNER_WORDS * (shape.owners as usize + 1) + shape.capacity as usize
}

const OWNER_WORDS: usize = OWNER_SIZE / 8;

/// One of the words that make a ring what it is: the header's, the owner table's, the slots' state words, in this
/// order, over and over. Records hold whatever they hold.
#[must_use]
pub fn word<R>(ring: &Ring<R>, index: usize) -> &AtomicU64 {
    let region = ring.region();
    let index = index % words(ring);
    let Some(in_table) = index.checked_sub(HEADER_WORDS) else { return &region.header_words()[index] };
    let (number, in_entry) = (in_table / OWNER_WORDS, in_table % OWNER_WORDS);
    match u16::try_from(number) {
        Ok(number) if u32::from(number) <= region.shape().owners => &region.owner_words(number)[in_entry],
        _ => {
            let slots = HEADER_WORDS + OWNER_WORDS * (region.shape().owners as usize + 1);
            region.state((index - slots) as u64)
        }
    }
}

/// A state word, also one that no ring would write.
#[must_use]
pub fn state(position: u64, owner: u16, phase: Phase) -> u64 {
    State::new(position, owner, phase).0
}

/// The ring's bytes as they are now, state words in their slots and records left out: to be given to [`open`].
#[must_use]
pub fn bytes<R>(ring: &Ring<R>) -> Vec<u8> {
    let region = ring.region();
    let shape = *region.shape();
    let mut bytes = vec![0; shape.total];
    for index in 0..words(ring) {
        let offset = match index.checked_sub(words(ring) - shape.capacity as usize) {
            Some(slot) => shape.slots_offset + slot * shape.stride,
            None => index * 8,
        };
        let word = word(ring, index).load(Ordering::Relaxed);
        bytes[offset..offset + 8].copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}
