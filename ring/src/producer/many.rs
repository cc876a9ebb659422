//! Several records at once, made as they go in, for who writes many rings in turn.

use super::{PATIENCE, Producer, prefix};
use crate::Record;
use crate::error::{PushError, Voided};
use crate::memory::Memory;
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
        let (mut pushed, mut passed_over) = (0, 0);
        let count = sources.len();
        let end = loop {
            let Some(source) = sources.get_mut(pushed) else { break Ok(()) };
            if passed_over == PATIENCE {
                break Err(PushError::Full(()));
            }
            let claimed = match self.reserve() {
                Ok(claimed) => claimed,
                Err(error) => break Err(error),
            };
            let (record, used) = prefix_of(source, pushed);
            if pushed + (FETCHED as usize) < count {
                self.writer.memory.prefetch_record_for_write(claimed.0.wrapping_add(FETCHED), used);
            }
            copy_in(&self.writer.memory, claimed.0, 0, prefix(record, used));
            match self.publish(claimed) {
                Ok(()) => pushed += 1,
                Err(Voided) => passed_over += 1,
            }
        };
        if pushed > 0 {
            self.writer.announce(pushed);
            return Ok(pushed);
        }
        end.map(|()| 0)
    }

    /// Fetches the slots that the next `records` records of `used` bytes will be written to, while something else is done:
    /// for who writes many rings in turn, a few rings ahead. Changes nothing.
    #[inline]
    pub fn prefetch(&self, records: usize, used: usize) {
        self.writer.prefetch((records as u64).min(FETCHED), used);
    }
}
