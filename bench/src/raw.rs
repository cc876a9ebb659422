#![expect(unsafe_code, reason = "records are copied into and out of memory that two processes map")]
//! The bare copy loops: the least that carrying records from one process to another through shared memory can take.
//! No owners, no waiting, no recovery, no checks. One producer, one consumer.
//!
//! - *Slot*: the sequence lies in the slot, so each record is published and freed by itself and no cursor is shared.
//! - *Cursor*: the producer publishes a shared cursor once a batch and the consumer gives a batch back at once.
//!
//! Invariants: the memory is `HEAD + capacity * stride` bytes (I1) and begins at a page boundary (I2). A slot's record
//! is accessed by the producer only after it saw the slot free (Acquire) and before it published it (Release), and by
//! the consumer only after it saw it published (Acquire) and before it freed it (Release) (I3). There is one
//! [`RawProducer`] and one [`RawConsumer`] of a memory at a time: this program makes one in each of two processes, or of
//! two threads (I4).

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::interrupt;
use crate::record::STATE;
use crate::shared::Shared;

/// Bytes before the slots: the two cursors and the stop word, each with two cache lines to itself.
const HEAD: usize = 384;
const TAIL_AT: usize = 0;
const HEAD_AT: usize = 128;
const STOP_AT: usize = 256;

/// The end of a flow: the producer was told to stop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// Memory for one flow of records of `WORDS` words.
#[derive(Debug)]
pub(crate) struct RawRing<const WORDS: usize> {
    shared: Shared,
    mask: u64,
}

impl<const WORDS: usize> RawRing<WORDS> {
    const STRIDE: usize = WORDS * 8 + STATE;

    /// `capacity`: records, a power of two.
    pub(crate) fn create(capacity: u32) -> io::Result<Self> {
        assert!(capacity.is_power_of_two(), "{capacity} is no power of two");
        let shared = Shared::create(HEAD + capacity as usize * Self::STRIDE)?;
        let ring = Self { shared, mask: u64::from(capacity) - 1 };
        for position in 0..u64::from(capacity) {
            ring.state(position).store(position, Ordering::Relaxed);
        }
        Ok(ring)
    }

    /// The memory that another process created.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let shared = Shared::open(path)?;
        let slots = shared.len().saturating_sub(HEAD) / Self::STRIDE;
        if !slots.is_power_of_two() {
            return Err(io::Error::other(format!("{slots} slots: no memory of a bare loop")));
        }
        Ok(Self { shared, mask: slots as u64 - 1 })
    }

    pub(crate) fn path(&self) -> String {
        self.shared.path()
    }

    /// Tells the producer to stop, the next time it finds no room.
    pub(crate) fn stop(&self) {
        self.word(STOP_AT).store(1, Ordering::Relaxed);
    }

    pub(crate) fn producer(&self) -> RawProducer<'_, WORDS> {
        RawProducer { ring: self, position: 0, published: 0, room_until: self.mask + 1 }
    }

    pub(crate) fn consumer(&self) -> RawConsumer<'_, WORDS> {
        RawConsumer { ring: self, position: 0, filled_until: 0 }
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at < HEAD);
        // SAFETY: inside the mapping, which is longer than HEAD (I1); aligned, since `at` is a multiple of 128 (I2);
        // alive as long as `self`; only accessed as an atomic.
        unsafe { AtomicU64::from_ptr(self.shared.start().add(at).cast()) }
    }

    #[inline]
    fn slot(&self, position: u64) -> *mut u8 {
        // SAFETY: the index is below the number of slots, so this stays inside the mapping (I1).
        unsafe { self.shared.start().add(HEAD + (position & self.mask) as usize * Self::STRIDE) }
    }

    #[inline]
    fn state(&self, position: u64) -> &AtomicU64 {
        // SAFETY: the first 8 bytes of a slot inside the mapping; aligned, since HEAD and the stride are multiples of
        // 8 (I2); only accessed as an atomic.
        unsafe { AtomicU64::from_ptr(self.slot(position).cast()) }
    }

    /// Copies a record into a slot that this producer saw free and has not published.
    #[inline]
    fn write(&self, position: u64, record: &[u64; WORDS]) {
        // SAFETY: the slot's record lies inside the mapping (I1), is aligned to 8 bytes (I2), is not the memory of
        // `record`, and nobody else accesses it now (I3, I4).
        unsafe { self.slot(position).add(STATE).cast::<[u64; WORDS]>().copy_from_nonoverlapping(record, 1) }
    }

    /// Copies a record out of a slot that this consumer saw published and has not freed.
    #[inline]
    fn read(&self, position: u64) -> [u64; WORDS] {
        // SAFETY: as for `write`; any bits are a valid array of integers.
        unsafe { self.slot(position).add(STATE).cast::<[u64; WORDS]>().read() }
    }
}

/// Looks that find nothing before something else is looked at.
const LOOKS: u32 = 1 << 16;

/// The writing end.
#[derive(Debug)]
pub(crate) struct RawProducer<'a, const WORDS: usize> {
    ring: &'a RawRing<WORDS>,
    position: u64,
    /// Cursor: what the consumer may read.
    published: u64,
    /// Cursor: what the consumer was seen to have freed, a lap on.
    room_until: u64,
}

impl<const WORDS: usize> RawProducer<'_, WORDS> {
    /// Writes one record, spinning until its slot is free.
    #[inline]
    pub(crate) fn push(&mut self, record: &[u64; WORDS]) -> Result<(), Stopped> {
        let state = self.ring.state(self.position);
        // Acquire: meets the Release of `pop`, so that the consumer's reads are over.
        while state.load(Ordering::Acquire) != self.position {
            self.look_for_the_end()?;
        }
        self.ring.write(self.position, record);
        self.position += 1;
        // Release: meets the Acquire of `pop`.
        state.store(self.position, Ordering::Release);
        Ok(())
    }

    /// Writes all of `records` and publishes them together.
    #[inline]
    pub(crate) fn push_batch(&mut self, records: &[[u64; WORDS]]) -> Result<(), Stopped> {
        for record in records {
            while self.position == self.room_until {
                self.publish();
                // Acquire: meets the Release of `pop_batch`.
                self.room_until = self.ring.word(HEAD_AT).load(Ordering::Acquire) + self.ring.mask + 1;
                if self.position == self.room_until {
                    self.look_for_the_end()?;
                }
            }
            self.ring.write(self.position, record);
            self.position += 1;
        }
        self.publish();
        Ok(())
    }

    #[inline]
    fn publish(&mut self) {
        if self.published != self.position {
            self.published = self.position;
            // Release: meets the Acquire of `pop_batch`.
            self.ring.word(TAIL_AT).store(self.position, Ordering::Release);
        }
    }

    #[inline]
    fn look_for_the_end(&self) -> Result<(), Stopped> {
        if self.ring.word(STOP_AT).load(Ordering::Relaxed) != 0 { Err(Stopped) } else { Ok(()) }
    }
}

/// The reading end.
#[derive(Debug)]
pub(crate) struct RawConsumer<'a, const WORDS: usize> {
    ring: &'a RawRing<WORDS>,
    position: u64,
    /// Cursor: what was seen to be published.
    filled_until: u64,
}

impl<const WORDS: usize> RawConsumer<'_, WORDS> {
    /// Reads one record, spinning until it is there. `None` after an interruption by a signal.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<[u64; WORDS]> {
        let state = self.ring.state(self.position);
        let mut looks = 0u32;
        // Acquire: meets the Release of `push`.
        while state.load(Ordering::Acquire) != self.position + 1 {
            looks += 1;
            if looks.is_multiple_of(LOOKS) && interrupt::requested() {
                return None;
            }
        }
        let record = self.ring.read(self.position);
        // Release: the read is over before the producer may write again.
        state.store(self.position + self.ring.mask + 1, Ordering::Release);
        self.position += 1;
        Some(record)
    }

    /// Hands up to `max` records that are there to `each`, spinning until there is one, and frees them together.
    /// `None` after an interruption by a signal.
    #[inline]
    pub(crate) fn pop_batch(&mut self, max: u64, mut each: impl FnMut(&[u64; WORDS])) -> Option<u64> {
        let mut looks = 0u32;
        while self.position == self.filled_until {
            // Acquire: meets the Release of `publish`.
            self.filled_until = self.ring.word(TAIL_AT).load(Ordering::Acquire);
            looks += 1;
            if looks.is_multiple_of(LOOKS) && interrupt::requested() {
                return None;
            }
        }
        let count = (self.filled_until - self.position).min(max);
        for position in self.position..self.position + count {
            each(&self.ring.read(position));
        }
        self.position += count;
        // Release: the reads are over before the producer may write again.
        self.ring.word(HEAD_AT).store(self.position, Ordering::Release);
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const COUNT: u64 = 10_000;

    #[test]
    fn records_come_in_order_through_the_slots() {
        let ring = RawRing::<7>::create(8).unwrap();
        let theirs = RawRing::<7>::open(Path::new(&ring.path())).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut producer = theirs.producer();
                (0..COUNT).for_each(|value| producer.push(&[value; 7]).unwrap());
            });
            let mut consumer = ring.consumer();
            (0..COUNT).for_each(|value| assert_eq!(consumer.pop(), Some([value; 7])));
        });
    }

    #[test]
    fn records_come_in_order_behind_the_cursor() {
        let ring = RawRing::<15>::create(8).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut producer = ring.producer();
                // More at once than there is room for.
                for batch in 0..COUNT / 20 {
                    let records: Vec<[u64; 15]> = (0..20).map(|n| [batch * 20 + n; 15]).collect();
                    producer.push_batch(&records).unwrap();
                }
            });
            let (mut consumer, mut next) = (ring.consumer(), 0);
            while next < COUNT {
                consumer.pop_batch(5, |record| {
                    assert_eq!(*record, [next; 15]);
                    next += 1;
                });
            }
        });
    }

    #[test]
    fn a_producer_without_room_hears_the_end() {
        let ring = RawRing::<7>::create(2).unwrap();
        ring.stop();
        let mut producer = ring.producer();
        assert_eq!([producer.push(&[1; 7]), producer.push(&[2; 7])], [Ok(()), Ok(())]);
        assert_eq!(producer.push(&[3; 7]), Err(Stopped));
        assert_eq!(RawRing::<7>::create(2).unwrap().producer().push_batch(&[[0; 7]; 2]), Ok(()));
        assert_eq!(ring.producer().push_batch(&[[0; 7]; 3]), Err(Stopped));
    }
}
