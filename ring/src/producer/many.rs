//! Several records at once, made as they go in, for who writes many rings in turn.

use super::{Producer, prefix};
use crate::Record;
use crate::error::PushError;
use crate::memory::Memory;
use crate::protocol::Writer;
use crate::slot::copy_in;

/// How many slots ahead of the one that is written are fetched in a batch.
const FETCHED: u64 = 3;

impl<R: Record> Producer<R> {
    /// Pushes a record of each of `sources`, as many as there is room for now, and wakes the consumer once. Returns how
    /// many. As [`try_push_prefix`](Self::try_push_prefix) does, it copies only the bytes that count.
    ///
    /// `prefix_of` gets a source and its place, and says what its record is and how many of its bytes count. It may
    /// have been asked about one that then finds no room.
    ///
    /// ```
    /// use halyard_ring::{Ring, RingOptions};
    /// let ring = Ring::<u64>::heap(&RingOptions::spsc(2));
    /// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    /// let mut numbered = [0; 3];
    /// let pushed = producer.push_prefixes(&mut numbered, |number, place| {
    ///     *number = 100 + place as u64;
    ///     (number, 8)
    /// })?;
    /// assert_eq!((pushed, consumer.try_pop(), consumer.try_pop()), (2, Ok(100), Ok(101)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`push_batch`](Self::push_batch).
    #[inline]
    pub fn push_prefixes<T>(
        &mut self,
        sources: &mut [T],
        prefix_of: impl for<'a> Fn(&'a mut T, usize) -> (&'a R, usize),
    ) -> Result<usize, PushError<()>> {
        let count = sources.len();
        self.push_many(count, Writer::claim, |this, claimed, pushed| {
            let (record, used) = prefix_of(&mut sources[pushed], pushed);
            if pushed + (FETCHED as usize) < count {
                this.writer.memory.prefetch_record_for_write(claimed.0.wrapping_add(FETCHED), used);
            }
            copy_in(&this.writer.memory, claimed.0, 0, prefix(record, used));
            this.publish(claimed).map(|()| 1)
        })
    }

    /// Fetches the slots that the next `records` records of `used` bytes will be written to, while something else is done:
    /// for who writes many rings in turn, a few rings ahead. Changes nothing.
    #[inline]
    pub fn prefetch(&self, records: usize, used: usize) {
        self.writer.prefetch((records as u64).min(FETCHED), used);
    }
}
