//! The floor under fan-out: the same bytes copied into as many rings, with a sequence number in each slot and nothing
//! else. No claims, no counters, no sleepers, no server: the least that one thread which writes and one which reads can
//! take for it on this machine.
#![expect(unsafe_code, reason = "raw copies into and out of slots that two threads share")]

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::interrupt;
use crate::place::pin;

/// Bytes of one slot: what a chat record's slot has.
const STRIDE: usize = 256;
/// The slot's bytes behind its sequence number.
const RECORD: usize = STRIDE - 8;

/// `count` rings of `capacity` slots in one allocation.
///
/// Slot `position % capacity` of a ring begins with a word: `2 * position` when position may be written there,
/// `2 * position + 1` when it may be read. Only the writer makes a word odd and only the reader makes it even again, so
/// the bytes behind it belong to one of the two threads at any time.
struct Slots {
    base: NonNull<u8>,
    layout: Layout,
    count: usize,
    capacity: u64,
}

// SAFETY: the bytes of a slot are reached by one thread at a time, as the word in front of them says (see above).
unsafe impl Sync for Slots {}

impl Slots {
    fn new(count: usize, capacity: u32) -> Self {
        let bytes = count * capacity as usize * STRIDE;
        let layout =
            Layout::from_size_align(bytes.max(STRIDE), 4096).expect("a few megabytes are a valid layout");
        // SAFETY: the layout has at least one slot's size.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { alloc::handle_alloc_error(layout) };
        let slots = Self { base, layout, count, capacity: u64::from(capacity) };
        for ring in 0..count {
            for position in 0..slots.capacity {
                slots.word(ring, position).store(2 * position, Ordering::Relaxed);
            }
        }
        slots
    }

    #[inline]
    fn slot(&self, ring: usize, position: u64) -> *mut u8 {
        let index = ring * self.capacity as usize + (position & (self.capacity - 1)) as usize;
        debug_assert!(ring < self.count);
        // SAFETY: `ring` is below `count` and the masked position below the capacity: inside the allocation.
        unsafe { self.base.as_ptr().add(index * STRIDE) }
    }

    #[inline]
    fn word(&self, ring: usize, position: u64) -> &AtomicU64 {
        // SAFETY: a slot begins with its word, aligned to 256 bytes, and every access to it is atomic.
        unsafe { AtomicU64::from_ptr(self.slot(ring, position).cast()) }
    }

    /// Writes `bytes` at `position` if the reader has freed the slot. `bytes` are at most a record's.
    #[inline]
    fn put(&self, ring: usize, position: u64, bytes: &[u8]) -> bool {
        let word = self.word(ring, position);
        // Acquire meets the reader's Release: its copy is done.
        if word.load(Ordering::Acquire) != 2 * position {
            return false;
        }
        let len = bytes.len().min(RECORD);
        // SAFETY: the word says that the slot is the writer's; `len` bytes fit behind it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.slot(ring, position).add(8), len) };
        word.store(2 * position + 1, Ordering::Release);
        true
    }

    /// Copies what lies at `position` into `bytes`, if it is there, and frees the slot.
    #[inline]
    fn take(&self, ring: usize, position: u64, bytes: &mut [u8]) -> bool {
        let word = self.word(ring, position);
        // Acquire meets the writer's Release.
        if word.load(Ordering::Acquire) != 2 * position + 1 {
            return false;
        }
        let len = bytes.len().min(RECORD);
        // SAFETY: the word says that the slot is the reader's; `len` bytes lie behind it.
        unsafe { ptr::copy_nonoverlapping(self.slot(ring, position).add(8), bytes.as_mut_ptr(), len) };
        word.store(2 * (position + self.capacity), Ordering::Release);
        true
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// What the bare loops came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copies {
    /// Copies a second while the other thread reads them.
    pub(crate) rate: f64,
    /// Nanoseconds of the writer for one copy while nobody reads.
    pub(crate) cost_ns: f64,
}

/// Measures copies of `used` bytes into `rings` rings of `capacity` slots, a message to each before the next.
pub(crate) fn measure(
    rings: usize,
    capacity: u32,
    used: usize,
    pins: &[usize],
    time: Duration,
) -> Result<Copies, Failure> {
    let slots = Slots::new(rings, capacity);
    let stop = AtomicBool::new(false);
    let rate = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let _ = pin(pins, 1);
            let mut bytes = vec![0; used];
            let mut next = vec![0; rings];
            while !stop.load(Ordering::Relaxed) {
                let mut taken = 0;
                for (ring, next) in next.iter_mut().enumerate() {
                    while slots.take(ring, *next, &mut bytes) {
                        *next += 1;
                        taken += 1;
                    }
                }
                if taken == 0 {
                    thread::yield_now();
                }
            }
            std::hint::black_box(&bytes);
        });
        let writer = scope.spawn(|| {
            let pinned = pin(pins, 0);
            let bytes = vec![0x41; used];
            let mut position = 0;
            let mut stream = |time: Duration| {
                let begun = Instant::now();
                let first = position;
                while (begun.elapsed() < time || position == first) && !interrupt::requested() {
                    for _ in 0..8 {
                        for ring in 0..rings {
                            while !slots.put(ring, position, &bytes) {
                                thread::yield_now();
                            }
                        }
                        position += 1;
                    }
                }
                ((position - first) * rings as u64) as f64 / begun.elapsed().as_secs_f64()
            };
            stream(time / 4);
            let rate = stream(time);
            stop.store(true, Ordering::Relaxed);
            pinned.map(|()| rate)
        });
        let rate = writer.join().expect("a measurement does not panic");
        reader.join().expect("a measurement does not panic");
        rate
    })?;
    Ok(Copies { rate, cost_ns: bursts(rings, capacity, used, pins, time)? })
}

/// What one copy costs the writer while the reader waits; in between the reader takes everything out.
fn bursts(rings: usize, capacity: u32, used: usize, pins: &[usize], time: Duration) -> Result<f64, Failure> {
    let burst = u64::from(capacity) / 2;
    let slots = Slots::new(rings, capacity);
    const STOP: u64 = u64::MAX;
    // Even: the writer's turn. Odd: the reader's.
    let turn = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = pin(pins, 1);
            let mut bytes = vec![0; used];
            let mut round = 0;
            loop {
                match turn.load(Ordering::Acquire) {
                    STOP => return,
                    now if now == 2 * round + 1 => {}
                    _ => {
                        thread::yield_now();
                        continue;
                    }
                }
                for ring in 0..rings {
                    for position in round * burst..(round + 1) * burst {
                        let taken = slots.take(ring, position, &mut bytes);
                        debug_assert!(taken);
                    }
                }
                std::hint::black_box(&bytes);
                round += 1;
                turn.store(2 * round, Ordering::Release);
            }
        });
        let writer = scope.spawn(|| {
            let pinned = pin(pins, 0);
            let bytes = vec![0x41; used];
            let begun = Instant::now();
            let (mut round, mut spent, mut copies) = (0, Duration::ZERO, 0u64);
            // At least one round that counts, however little of the processor this process was given.
            while (begun.elapsed() < time || copies == 0) && !interrupt::requested() {
                let start = Instant::now();
                for position in round * burst..(round + 1) * burst {
                    for ring in 0..rings {
                        let put = slots.put(ring, position, &bytes);
                        debug_assert!(put);
                    }
                }
                // The first round touches memory for the first time.
                if round > 0 {
                    spent += start.elapsed();
                    copies += burst * rings as u64;
                }
                turn.store(2 * round + 1, Ordering::Release);
                round += 1;
                while turn.load(Ordering::Acquire) != 2 * round {
                    thread::yield_now();
                }
            }
            turn.store(STOP, Ordering::Release);
            pinned.map(|()| spent.as_nanos() as f64 / copies.max(1) as f64)
        });
        writer.join().expect("a measurement does not panic")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_once_and_in_order() {
        let slots = Slots::new(3, 4);
        let mut bytes = [0; 5];
        assert!(!slots.take(2, 0, &mut bytes));
        for position in 0..4 {
            assert!(slots.put(2, position, &[position as u8; 5]));
        }
        assert!(!slots.put(2, 4, &[9; 5]), "full");
        for position in 0..4 {
            assert!(slots.take(2, position, &mut bytes));
            assert_eq!(bytes, [position as u8; 5]);
            assert!(!slots.take(2, position, &mut bytes));
        }
        assert!(slots.put(2, 4, &[9; 5]) && !slots.put(1, 4, &[9; 5]));
    }

    #[test]
    fn the_loops_come_to_something() {
        let copies = measure(3, 32, 157, &[], Duration::from_millis(3)).unwrap();
        assert!(copies.rate > 0.0 && copies.cost_ns > 0.0, "{copies:?}");
    }
}
