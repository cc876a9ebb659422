//! [`Producer`] and [`Claim`]: the writing end of a ring.

mod many;

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use crate::Record;
use crate::error::{PushError, Voided};
#[cfg(feature = "faults")]
use crate::faults::{self, Point};
use crate::memory::Memory;
use crate::owners;
use crate::protocol::{Claimed, Reserve, Writer};
use crate::region::Region;
use crate::slot::{copy_in, copy_record_in};
use crate::sync::Ordering;
use crate::typed::Typed;
use crate::wait::{Pace, Pacer, Wait};

/// How often a record is written again whose slot the consumer took back meanwhile, which costs a producer that is
/// stopped once a grace, and never ends if somebody only plays the consumer.
const PATIENCE: u32 = 1000;

/// The writing end of a ring. It belongs to one thread at a time; it may be sent to another.
///
/// ```
/// use halyard_ring::{PushError, Ring, RingOptions};
/// let ring = Ring::<u64>::heap(&RingOptions::spsc(2));
/// let mut producer = ring.producer()?;
/// producer.try_push(1)?;
/// producer.try_push(2)?;
/// assert_eq!(producer.try_push(3), Err(PushError::Full(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer<R: Record> {
    writer: Writer<Typed<R>>,
    wait: Wait,
    /// A claim handed out and not heard of since: it is in use, or was leaked.
    lent: Option<Claimed>,
    record: PhantomData<fn(R)>,
}

impl<R: Record> Producer<R> {
    pub(crate) fn new(region: Arc<Region>, owner: u16) -> Self {
        Self {
            writer: Writer::new(Typed::new(region), owner),
            wait: Wait::default(),
            lent: None,
            record: PhantomData,
        }
    }

    /// How to wait for a free slot; adaptive by default.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// How it waits for a free slot.
    #[must_use]
    pub fn waits(&self) -> Wait {
        self.wait
    }

    /// This producer's number in the ring's owner table, as `inspect` shows it.
    #[must_use]
    pub fn owner(&self) -> u16 {
        self.writer.owner()
    }

    /// Pushes a record if a slot is free.
    ///
    /// # Errors
    /// [`PushError::Full`], [`PushError::Closed`], [`PushError::Corrupt`] or [`PushError::Truncated`], each with the record.
    #[inline(always)]
    pub fn try_push(&mut self, record: R) -> Result<(), PushError<R>> {
        let claimed = self.writer.claim();
        if self.put_at_once(claimed, &record) { Ok(()) } else { self.try_push_slowly(record) }
    }

    /// Pushes a record, waiting for a free slot as long as it takes. In the middle of a stream that has nearly filled a ring of
    /// 256 slots or more it lets the consumer get ahead by some microseconds.
    ///
    /// # Errors
    /// [`PushError::Closed`], [`PushError::Corrupt`] or [`PushError::Truncated`], each with the record.
    #[inline(always)]
    pub fn push(&mut self, record: R) -> Result<(), PushError<R>> {
        let claimed = self.writer.claim_in_stream();
        if self.put_at_once(claimed, &record) { Ok(()) } else { self.push_slowly(record, None) }
    }

    /// Pushes a record, waiting for a free slot for at most `timeout`, and in a stream for some microseconds as
    /// [`push`](Self::push) does.
    ///
    /// # Errors
    /// [`PushError::TimedOut`], [`PushError::Closed`], [`PushError::Corrupt`] or [`PushError::Truncated`], each with the record.
    #[inline(always)]
    pub fn push_timeout(&mut self, record: R, timeout: Duration) -> Result<(), PushError<R>> {
        let claimed = self.writer.claim_in_stream();
        if self.put_at_once(claimed, &record) { Ok(()) } else { self.push_slowly(record, Some(timeout)) }
    }

    /// Like [`try_push`](Self::try_push), but copies only the record's first `used` bytes: for records whose reader
    /// knows how many count. The reader finds older bytes behind them.
    ///
    /// # Errors
    /// As [`try_push`](Self::try_push).
    #[inline]
    pub fn try_push_prefix(&mut self, record: &R, used: usize) -> Result<(), PushError<()>> {
        self.put(prefix(record, used))
    }

    /// [`push_timeout`](Self::push_timeout) for the first `used` bytes.
    ///
    /// # Errors
    /// As [`push_timeout`](Self::push_timeout).
    pub fn push_prefix_timeout(
        &mut self,
        record: &R,
        used: usize,
        timeout: Duration,
    ) -> Result<(), PushError<()>> {
        self.put_waiting(prefix(record, used), Some(timeout))
    }

    /// Pushes a record if there is room at the first look. Nothing is counted and nothing explained: the slow ways look again.
    ///
    /// Inlined where the record is made, and the slow ways take a copy of it: so it need not lie in memory before it lies
    /// in the slot.
    #[inline(always)]
    fn put_at_once(&mut self, claimed: Result<Claimed, Reserve>, record: &R) -> bool {
        let Ok(claimed) = claimed else { return false };
        #[cfg(feature = "faults")]
        self.write_half(claimed, record.as_bytes());
        copy_record_in(&self.writer.memory, claimed.0, record);
        self.publish_and_announce(claimed)
    }

    #[cold]
    #[inline(never)]
    fn try_push_slowly(&mut self, record: R) -> Result<(), PushError<R>> {
        self.put(record.as_bytes()).map_err(|error| error.with(record))
    }

    #[cold]
    #[inline(never)]
    fn push_slowly(&mut self, record: R, timeout: Option<Duration>) -> Result<(), PushError<R>> {
        self.put_slowly(record.as_bytes(), timeout).map_err(|error| error.with(record))
    }

    // Inlined where the record is made: between two calls it would be copied from one place on the stack to another, in
    // the middle of a hop.
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) -> Result<(), PushError<()>> {
        for _ in 0..PATIENCE {
            let claimed = self.reserve()?;
            if self.finish(claimed, bytes) {
                return Ok(());
            }
        }
        // Somebody takes every slot from us that we claim.
        Err(PushError::Full(()))
    }

    #[inline(always)]
    fn put_waiting(&mut self, bytes: &[u8], timeout: Option<Duration>) -> Result<(), PushError<()>> {
        match self.writer.claim_in_stream() {
            Ok(claimed) if self.finish(claimed, bytes) => Ok(()),
            _ => self.put_slowly(bytes, timeout),
        }
    }

    /// The rest of [`put_waiting`](Self::put_waiting): with a look at the clock.
    #[cold]
    fn put_slowly(&mut self, bytes: &[u8], timeout: Option<Duration>) -> Result<(), PushError<()>> {
        let began = Instant::now();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
            let claimed = self.reserve_waiting(left)?;
            if self.finish(claimed, bytes) {
                return Ok(());
            }
            // Passed over while it was written, and there is room: again, but not beyond the deadline.
            if left == Some(Duration::ZERO) {
                return Err(PushError::TimedOut(()));
            }
        }
    }

    /// Writes and publishes. False if the claim was voided meanwhile: to be done again.
    #[inline(always)]
    fn finish(&mut self, claimed: Claimed, bytes: &[u8]) -> bool {
        #[cfg(feature = "faults")]
        self.write_half(claimed, bytes);
        copy_in(&self.writer.memory, claimed.0, 0, bytes);
        self.publish_and_announce(claimed)
    }

    #[cfg(feature = "faults")]
    fn write_half(&self, claimed: Claimed, bytes: &[u8]) {
        faults::pass(Point::AfterClaim);
        copy_in(&self.writer.memory, claimed.0, 0, &bytes[..bytes.len() / 2]);
        faults::pass(Point::HalfWritten);
    }

    /// False if the claim was voided meanwhile.
    #[inline(always)]
    fn publish_and_announce(&mut self, claimed: Claimed) -> bool {
        #[cfg(feature = "faults")]
        faults::pass(Point::BeforePublish);
        let published = self.publish(claimed).is_ok();
        if published {
            #[cfg(feature = "faults")]
            faults::pass(Point::BeforeWake);
            self.writer.announce(1);
        }
        published
    }

    #[inline(always)]
    fn publish(&mut self, claimed: Claimed) -> Result<(), Voided> {
        self.writer.publish(claimed).map_err(|_| Voided)
    }

    /// Pushes as many of `records` as there is room for now, and wakes the consumer once. Returns how many. In a stream it
    /// lets the consumer get ahead as [`push`](Self::push) does.
    ///
    /// # Errors
    /// [`PushError::Full`], [`PushError::Closed`], [`PushError::Corrupt`] or [`PushError::Truncated`] if not even the first went in.
    pub fn push_batch(&mut self, records: &[R]) -> Result<usize, PushError<()>> {
        self.push_many(records.len(), Writer::claim_in_stream, |this, claimed, pushed| {
            let rest = &records[pushed..];
            let run = rest.len().min(this.writer.known_free() as usize);
            if run == 0 {
                copy_record_in(&this.writer.memory, claimed.0, &rest[0]);
                this.publish(claimed)?;
                let mut rest = rest[1..].iter();
                // No more at once than a single producer's window: whether the ring was closed is looked at in between.
                let more = rest.len().min(16) as u64;
                let more = this.writer.publish_shared(more, |memory, position| {
                    if let Some(record) = rest.next() {
                        copy_record_in(memory, position, record);
                    }
                });
                return Ok(1 + more as usize);
            }
            let mut run_of = rest[..run].iter();
            this.writer.publish_run(run as u64, |memory, position| {
                if let Some(record) = run_of.next() {
                    copy_record_in(memory, position, record);
                }
            });
            Ok(run)
        })
    }

    /// Pushes `count` records, or as many as there is room for now, and wakes the consumer once. Returns how many.
    ///
    /// `put` gets the next position and how many are pushed already, publishes one record or a run of them, and says how
    /// many; or that the consumer has passed over the claim, and then it is asked once more.
    #[inline(always)]
    fn push_many(
        &mut self,
        count: usize,
        claim: fn(&mut Writer<Typed<R>>) -> Result<Claimed, Reserve>,
        mut put: impl FnMut(&mut Self, Claimed, usize) -> Result<usize, Voided>,
    ) -> Result<usize, PushError<()>> {
        let (mut pushed, mut passed_over) = (0, 0);
        let end = loop {
            if pushed == count {
                break Ok(());
            }
            if passed_over == PATIENCE {
                break Err(PushError::Full(()));
            }
            let claimed = match claim(&mut self.writer) {
                Ok(claimed) => claimed,
                Err(reason) => break Err(self.refused(reason)),
            };
            match put(self, claimed, pushed) {
                Ok(more) => pushed += more,
                Err(Voided) => passed_over += 1,
            }
        };
        if pushed > 0 {
            self.writer.announce(pushed);
            return Ok(pushed);
        }
        end.map(|()| 0)
    }

    /// Claims a slot to write a record in place, if one is free.
    ///
    /// # Errors
    /// As [`try_push`](Self::try_push).
    pub fn try_claim(&mut self) -> Result<Claim<'_, R>, PushError<()>> {
        self.abandon_leaked();
        let claimed = self.reserve()?;
        Ok(self.lend(claimed))
    }

    fn lend(&mut self, claimed: Claimed) -> Claim<'_, R> {
        self.lent = Some(claimed);
        Claim { producer: self, claimed: Some(claimed) }
    }

    /// Gives up a claim that was leaked (`mem::forget`): nobody can write it any more.
    fn abandon_leaked(&mut self) {
        if let Some(leaked) = self.lent.take() {
            self.writer.abandon(leaked);
        }
    }

    /// Claims a slot, waiting for a free one as long as it takes.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn claim(&mut self) -> Result<Claim<'_, R>, PushError<()>> {
        self.abandon_leaked();
        let claimed = self.reserve_waiting(None)?;
        Ok(self.lend(claimed))
    }

    /// Claims a slot, waiting for a free one for at most `timeout`.
    ///
    /// # Errors
    /// As [`push_timeout`](Self::push_timeout).
    pub fn claim_timeout(&mut self, timeout: Duration) -> Result<Claim<'_, R>, PushError<()>> {
        self.abandon_leaked();
        let claimed = self.reserve_waiting(Some(timeout))?;
        Ok(self.lend(claimed))
    }

    /// Whether `count` records have room now. For the single producer, that stays true until it pushes; among many
    /// it is a hint.
    #[must_use]
    pub fn free_slots_at_least(&self, count: u32) -> bool {
        self.writer.has_room(u64::from(count))
    }

    #[inline(always)]
    fn reserve(&mut self) -> Result<Claimed, PushError<()>> {
        self.writer.claim().map_err(|reason| self.refused(reason))
    }

    #[cold]
    fn refused(&self, reason: Reserve) -> PushError<()> {
        match reason {
            // A truncated ring looks closed or damaged; one without its semaphores looks like any other.
            _ if self.writer.memory.is_truncated() => PushError::Truncated(()),
            Reserve::Full => {
                self.count_full();
                PushError::Full(())
            }
            Reserve::Closed => PushError::Closed(()),
            Reserve::Damaged(damage) => PushError::Corrupt((), damage),
        }
    }

    fn count_full(&self) {
        let word = &self.writer.memory.owner(self.writer.owner()).full_events;
        word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    #[inline(always)]
    fn reserve_waiting(&mut self, timeout: Option<Duration>) -> Result<Claimed, PushError<()>> {
        match self.writer.claim_in_stream() {
            Ok(claimed) => Ok(claimed),
            Err(reason) => self.await_room(reason, timeout),
        }
    }

    /// Waits while the ring is full. `reason`: why there was no slot at the first look.
    #[cold]
    fn await_room(&mut self, reason: Reserve, timeout: Option<Duration>) -> Result<Claimed, PushError<()>> {
        if reason == Reserve::Full {
            if self.writer.memory.is_truncated() {
                return Err(PushError::Truncated(()));
            }
            self.count_full();
        }
        let mut pacer = Pacer::new(self.wait, timeout);
        let mut result = Err(reason);
        while result == Err(Reserve::Full) {
            result = match pacer.pace(None) {
                Pace::Look => self.writer.claim(),
                Pace::Spin(spin) => {
                    self.writer.watch(spin);
                    self.writer.claim()
                }
                Pace::TimedOut => return Err(PushError::TimedOut(())),
                // Nobody wakes a sleeper on a semaphore that is gone.
                Pace::Sleep(_) if self.writer.memory.is_truncated() => return Err(PushError::Truncated(())),
                Pace::Sleep(max) => self.writer.park(max),
            };
        }
        result.map_err(|reason| self.refused(reason))
    }
}

/// The record's first `used` bytes.
#[inline]
fn prefix<R: Record>(record: &R, used: usize) -> &[u8] {
    let bytes = record.as_bytes();
    &bytes[..used.min(bytes.len())]
}

impl<R: Record> Drop for Producer<R> {
    fn drop(&mut self) {
        if let Some(leaked) = self.lent.take() {
            self.writer.abandon(leaked);
        }
        owners::detach(&self.writer.memory, self.writer.owner());
    }
}

impl<R: Record> fmt::Debug for Producer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("owner", &self.writer.owner()).finish_non_exhaustive()
    }
}

/// A claimed slot: write the record in place, then publish or abandon it. Dropping abandons.
///
/// Be quick: a claim that is neither published nor abandoned within the ring's grace is passed over by the consumer,
/// and [`publish`](Self::publish) then says so.
///
/// ```
/// use halyard_ring::{Ring, RingOptions};
/// let ring = Ring::<u64>::heap(&RingOptions::mpsc(4));
/// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
/// let mut claim = producer.try_claim()?;
/// claim.write(&7);
/// claim.publish()?;
/// producer.try_claim()?.abandon();
/// assert_eq!(consumer.try_pop(), Ok(7));
/// assert!(consumer.try_pop().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a claim that is dropped is abandoned"]
pub struct Claim<'a, R: Record> {
    producer: &'a mut Producer<R>,
    claimed: Option<Claimed>,
}

impl<R: Record> Claim<'_, R> {
    fn position(&self) -> u64 {
        self.claimed.map_or(0, |claimed| claimed.0)
    }

    /// Writes the whole record.
    pub fn write(&mut self, record: &R) {
        self.write_at(0, record.as_bytes());
    }

    /// Writes the record's first `used` bytes; the slot keeps older bytes behind them.
    pub fn write_prefix(&mut self, record: &R, used: usize) {
        self.write_at(0, prefix(record, used));
    }

    /// Writes `bytes` into the record, `offset` bytes in. The slot held older bytes before.
    ///
    /// # Panics
    /// If they reach beyond the record.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        copy_in(&self.producer.writer.memory, self.position(), offset, bytes);
    }

    /// Publishes the record and wakes the consumer if it sleeps.
    ///
    /// # Errors
    /// [`Voided`] if the consumer has passed over the claim: the record was not delivered and the slot was given back.
    pub fn publish(mut self) -> Result<(), Voided> {
        let Some(claimed) = self.claimed.take() else { return Err(Voided) };
        self.producer.lent = None;
        self.producer.publish(claimed)?;
        self.producer.writer.announce(1);
        Ok(())
    }

    /// Gives the slot up: nobody reads it. The same as dropping the claim.
    pub fn abandon(self) {}
}

impl<R: Record> Drop for Claim<'_, R> {
    fn drop(&mut self) {
        if let Some(claimed) = self.claimed.take() {
            self.producer.lent = None;
            self.producer.writer.abandon(claimed);
        }
    }
}

impl<R: Record> fmt::Debug for Claim<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("position", &self.position()).finish_non_exhaustive()
    }
}
