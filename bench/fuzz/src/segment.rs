//! Any bytes as a ring's file: refused in words, or a ring that can be used and does no harm.

use halyard_ring::{Ring, RingOptions, hostile};

use crate::input::Input;
use crate::slots;

/// No ring of few slots and owners is longer.
const MOST: usize = 1 << 16;

/// The first byte says whose records are expected, the next two how long the file is (in words), then comes its
/// beginning; after it zeros.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let which = input.byte();
    let len = usize::from(input.short()) * 8 + usize::from(which >> 4);
    let mut file = vec![0; len.min(MOST)];
    let given = input.take(file.len());
    file[..given.len()].copy_from_slice(given);
    match which & 3 {
        0 => open::<u64>(&file, &mut input),
        1 => open::<[u64; 31]>(&file, &mut input),
        2 => open::<[u8; 3]>(&file, &mut input),
        _ => open::<halyard_ring::chat::Record>(&file, &mut input),
    }
}

fn open<R: slots::Numbered>(file: &[u8], input: &mut Input<'_>) {
    let ring: Ring<R> = match hostile::open(file) {
        Ok(ring) => ring,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(file[..8], halyard_ring::MAGIC, "opened without the magic");
    let seen = ring.inspect();
    assert!(ring.capacity().is_power_of_two() && seen.slots.len() == ring.capacity() as usize);
    assert_eq!(seen.record_size as usize, size_of::<R>());
    assert!(seen.slots.len() * seen.stride as usize + 64 * seen.owners_max as usize + 1024 <= file.len());
    slots::Stage::beside(ring, true).play(input, 64);
}

/// Files that are right, with something for their users to do.
pub fn seeds() -> Vec<Vec<u8>> {
    let kinds = [RingOptions::spsc(2), RingOptions::mpsc(4).owners(3), RingOptions::mpsc(2).owners(1)];
    let mut seeds = Vec::new();
    for (options, which) in kinds.iter().zip([0, 0, 1]) {
        let whole = match which {
            0 => hostile::bytes(&Ring::<u64>::heap(options)),
            _ => hostile::bytes(&Ring::<[u64; 31]>::heap(options)),
        };
        let mut seed = vec![which];
        seed.extend(u16::try_from(whole.len() / 8).expect("a small ring").to_le_bytes());
        // Of a fresh ring all that counts is the header's beginning; slot states of zero are good for slot 0 alone.
        seed.extend(&whole[..128]);
        seeds.push(seed.clone());
        seed.truncate(3);
        seed.extend(&whole);
        seed.extend((0..64).map(|step: u8| step.wrapping_mul(7)));
        seeds.push(seed);
    }
    seeds
}
