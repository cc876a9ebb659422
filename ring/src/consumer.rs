//! [`Consumer`]: the reading end of a ring.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use crate::Record;
use crate::error::{PopError, Tampered};
use crate::memory::Memory;
use crate::owners::{self, CONSUMER};
use crate::private::{self, Private};
use crate::process::ProcessId;
use crate::protocol::{Damage, Head, Reader, find_tail};
use crate::region::Region;
use crate::slot::{copy_out, copy_out_used};
use crate::state::State;
use crate::sync::Ordering;
use crate::typed::Typed;
use crate::wait::{Habit, Pace, Pacer, Spin, Wait};

/// The reading end of a ring. It belongs to one thread at a time; it may be sent to another.
///
/// ```
/// use halyard_ring::{PopError, Ring, RingOptions};
/// let ring = Ring::<u64>::heap(&RingOptions::spsc(4));
/// let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
/// producer.push_batch(&[1, 2, 3])?;
/// assert_eq!(consumer.try_pop(), Ok(1));
/// let mut rest = Vec::new();
/// consumer.drain(10, |record| rest.push(*record))?;
/// assert_eq!(rest, [2, 3]);
/// assert_eq!(consumer.try_pop(), Err(PopError::Empty));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer<R: Record> {
    reader: Reader<Typed<R>>,
    wait: Wait,
    /// How long its sleeps have lasted.
    habit: Habit,
    grace: Duration,
    /// The claim at the head that is being waited for.
    claimed: Option<Sighting>,
    /// When the owners of slots in quarantine were last looked after.
    reaped: Instant,
    nudges: u32,
    /// The last `drain` took a run of records and came to its end: the producer is right there.
    at_heels: bool,
    /// The header as the ring's creator wrote it, or as it was when this process opened the ring: see
    /// [`audit`](Self::audit).
    header: Arc<Private>,
    record: PhantomData<fn() -> R>,
}

/// A moment at which the consumer stood in front of a claim.
#[derive(Clone, Copy)]
struct Sighting {
    at: Instant,
    /// Every position before this one was taken then: its claim, if it still is one, is older than the sighting. So
    /// many owners that are stopped at once cost one grace, not one each.
    tail: u64,
}

/// How often the owners of slots in quarantine are looked after, while the consumer is idle.
const REAP_EVERY: Duration = Duration::from_millis(100);

/// So many records in one `drain` are a stream, and so many that stand ready are worth a visit.
const RUN: u64 = 8;
/// How often `drain` pauses (10 to 50 ns each, as the processor has it) at a producer's heels.
const LEAD: u32 = 64;

impl<R: Record> Consumer<R> {
    pub(crate) fn new(region: Arc<Region>, grace: Duration, header: Arc<Private>) -> Self {
        let reader = Reader::new(Typed::new(region));
        let nudges = reader.nudges();
        Self {
            reader,
            wait: Wait::default(),
            habit: Habit::default(),
            grace,
            claimed: None,
            reaped: Instant::now(),
            nudges,
            at_heels: false,
            header,
            record: PhantomData,
        }
    }

    /// How to wait for a record; adaptive by default.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// The next position to read: how many positions this ring has left behind.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.reader.head()
    }

    /// Pops the next record if there is one.
    ///
    /// # Errors
    /// [`PopError::Empty`], [`PopError::Closed`], [`PopError::Corrupt`] or [`PopError::Truncated`].
    #[inline(always)]
    pub fn try_pop(&mut self) -> Result<R, PopError> {
        self.ready_now()?;
        self.take_one()
    }

    // Inlined into whoever pops, so that the record goes from the slot to where it is wanted, and not from one place on
    // the stack to the next.
    #[inline(always)]
    fn take_one(&mut self) -> Result<R, PopError> {
        let record = self.take(copy_out)?;
        self.reader.freed(1);
        Ok(record)
    }

    /// Pops the next record, waiting for it as long as it takes. In the middle of a stream that it has nearly caught up with,
    /// in a ring of 256 slots or more, it lets the producer get ahead by some microseconds.
    ///
    /// # Errors
    /// [`PopError::Closed`], [`PopError::Corrupt`] or [`PopError::Truncated`].
    #[inline(always)]
    pub fn pop(&mut self) -> Result<R, PopError> {
        self.ready_within(None)?;
        self.take_one()
    }

    /// Pops the next record, waiting for it for at most `timeout`, and in a stream for some microseconds as [`pop`](Self::pop) does.
    ///
    /// # Errors
    /// [`PopError::TimedOut`], [`PopError::Closed`], [`PopError::Corrupt`] or [`PopError::Truncated`].
    #[inline(always)]
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<R, PopError> {
        self.ready_within(Some(timeout))?;
        self.take_one()
    }

    /// Pops the next record into `record`, copying only the bytes that count: `used` gets the record's first bytes
    /// (56, or the whole record if it is shorter) and says how many that is. The rest of `record` keeps what it had.
    ///
    /// # Errors
    /// As [`try_pop`](Self::try_pop).
    #[inline]
    pub fn try_pop_prefix(&mut self, record: &mut R, used: fn(&[u8]) -> usize) -> Result<(), PopError> {
        self.ready_now()?;
        self.take(|source| copy_out_used(source, record, used))?;
        self.reader.freed(1);
        Ok(())
    }

    /// Pops up to `max` records that are there now and hands each to `each`. Returns how many. Sleeping producers
    /// are woken once.
    ///
    /// In the middle of a stream that it has caught up with, it lets the producer get ahead for some microseconds
    /// before it looks: a look at the slot that is being written takes the cache line away from whoever writes it.
    ///
    /// # Errors
    /// [`PopError::Closed`], [`PopError::Corrupt`] or [`PopError::Truncated`] if there was not even one; an empty ring is `Ok(0)`.
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&R)) -> Result<usize, PopError> {
        if self.at_heels && !self.reader.has_run(RUN) {
            for _ in 0..LEAD {
                core::hint::spin_loop();
            }
        }
        let (mut count, mut is_at_end) = (0, false);
        while count < max {
            match self.ready_now().and_then(|()| self.take::<R>(copy_out)) {
                Ok(record) => {
                    count += 1;
                    self.reader.freed_amid_more();
                    each(&record);
                }
                Err(PopError::Empty) => {
                    is_at_end = true;
                    break;
                }
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
            }
        }
        // It begins with a run; it is over when a pause brings no more than a lone record.
        let least = if self.at_heels { 2 } else { RUN as usize };
        self.at_heels = is_at_end && count >= least;
        self.reader.freed(0);
        Ok(count)
    }

    /// Waits for at most `timeout` until there is something to pop. False after the time-out, or when the ring was
    /// [nudged](crate::Ring::nudge): so a thread can wait for records and for something else at once.
    ///
    /// # Errors
    /// [`PopError::Closed`], [`PopError::Corrupt`] or [`PopError::Truncated`].
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, PopError> {
        match self.ready_now() {
            Ok(()) => return Ok(true),
            Err(PopError::Empty) => {}
            Err(error) => return Err(error),
        }
        let mut pacer = Pacer::new(self.habit.strategy(self.wait), Some(timeout));
        loop {
            let nudges = self.reader.nudges();
            if nudges != self.nudges {
                self.nudges = nudges;
                return Ok(false);
            }
            let ready = match self.pause(&mut pacer) {
                Ok(Some(spin)) if self.reader.watch(spin) => Ok(()),
                Ok(_) => self.ready_now(),
                Err(error) => Err(error),
            };
            match ready {
                Ok(()) => return Ok(true),
                Err(PopError::Empty) => {}
                Err(PopError::TimedOut) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// After [`PopError::Corrupt`]: frees the damaged slot by force and goes on behind it. What it held is lost.
    pub fn skip_damaged(&mut self) {
        self.reader.step_over_damage();
    }

    /// Looks for traces of somebody else's writing: header words that never change and have, bytes of the header and of
    /// the owner table that are always zero and are not, this consumer's own words, and every slot's state. It costs a look at
    /// each slot and each owner's entry; an idle moment is the time for it.
    ///
    /// Where many may write nothing is certain: who knows the layout can write what looks right.
    ///
    /// # Errors
    /// [`Tampered`] says what was found. The ring can still be used, and be trusted with nothing.
    pub fn audit(&mut self) -> Result<(), Tampered> {
        self.check_header()?;
        private::compare_owners(&self.reader.memory)?;
        self.reader.audit().map_err(|damage| {
            if self.reader.memory.is_truncated() { Tampered::Truncated } else { Tampered::Slot(damage) }
        })
    }

    /// How many of the ring's slots are in quarantine now: claimed by producers that were passed over and are neither back
    /// nor known dead. Costs a look at each slot. They are lost to the ring for as long as those processes live, so a ring
    /// of which most are in quarantine is as good as full.
    #[must_use]
    pub fn quarantined(&self) -> u32 {
        self.reader.count_quarantined()
    }

    /// How many claims this consumer has passed over since it attached: each put a slot in quarantine.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.reader.voided()
    }

    /// The number, in the owner table, of the producer whose record was popped last; 0 before the first. It is what the
    /// slot said, and where many may write a ring anybody can write that.
    #[must_use]
    #[inline(always)]
    pub fn popped_from(&self) -> u16 {
        self.reader.taken_from()
    }

    /// The process that is attached as producer `number` now, as its entry in the owner table says.
    #[must_use]
    pub fn producer(&self, number: u16) -> Option<ProcessId> {
        let memory = &self.reader.memory;
        let is_one = number != CONSUMER && u32::from(number) <= memory.shape().owners;
        if is_one {
            ProcessId::from_word(memory.owner(number).identity.load(Ordering::Acquire))
        } else {
            None
        }
    }

    /// The part of [`audit`](Self::audit) that looks neither at the slots nor at other owners: under a microsecond.
    ///
    /// # Errors
    /// As `audit`.
    pub fn check_header(&mut self) -> Result<(), Tampered> {
        let region = &self.reader.memory;
        if region.is_truncated() {
            return Err(Tampered::Truncated);
        }
        let compared = self.header.compare(region);
        if region.is_truncated() {
            // It was, and these are the words of fresh pages.
            return Err(Tampered::Truncated);
        }
        compared?;
        if self.reader.owns_its_words() { Ok(()) } else { Err(Tampered::Consumer) }
    }

    /// Ok when a record stands at the head.
    ///
    /// Everything that is to be done before a spin is done before it, and the spin is in the frame of whoever pops: what
    /// comes between the moment at which the word changes and the copy is a part of every record's latency.
    #[inline(always)]
    fn ready_within(&mut self, timeout: Option<Duration>) -> Result<(), PopError> {
        if self.reader.has_record() {
            return Ok(());
        }
        let mut pacer = None;
        while let Some(spin) = self.await_record(&mut pacer, timeout)? {
            if self.reader.watch(spin) {
                break;
            }
        }
        Ok(())
    }

    /// Looks, yields and sleeps until a record stands at the head or it is time to spin.
    #[cold]
    #[inline(never)]
    fn await_record(
        &mut self,
        pacer: &mut Option<Pacer>,
        timeout: Option<Duration>,
    ) -> Result<Option<Spin>, PopError> {
        loop {
            match self.ready_now() {
                Err(PopError::Empty) => {}
                other => return other.map(|()| None),
            }
            // A nudge is for `wait`; here it must not keep the thread from sleeping.
            self.nudges = self.reader.nudges();
            let begin = || Pacer::new(self.habit.strategy(self.wait), timeout);
            if let Some(spin) = self.pause(pacer.get_or_insert_with(begin))? {
                return Ok(Some(spin));
            }
        }
    }

    /// One step of a wait, after a look that found nothing: yields or sleeps, or says how to spin.
    fn pause(&mut self, pacer: &mut Pacer) -> Result<Option<Spin>, PopError> {
        // In front of a claim, no longer than its grace.
        let limit = self.claimed.map(|sighting| self.grace.saturating_sub(sighting.at.elapsed()));
        match pacer.pace(limit) {
            Pace::Look => {}
            Pace::Spin(spin) => return Ok(Some(spin)),
            Pace::TimedOut => return Err(PopError::TimedOut),
            Pace::Sleep(max) => self.sleep(max, pacer.has_lost_its_turn()),
        }
        Ok(None)
    }

    fn sleep(&mut self, max: Duration, has_lost_its_turn: bool) {
        if self.reader.has_token() {
            // Counting mode: a token, and a claim at the head: its owner posts for its own record only.
            std::thread::sleep(max.min(Duration::from_millis(1)));
        } else if let Ok(awaited @ (Head::Empty | Head::Claimed(_))) = self.reader.look() {
            let since = Instant::now();
            self.reader.park(awaited, self.nudges, max);
            self.habit.slept(self.wait, since.elapsed(), has_lost_its_turn);
        }
    }

    /// Ok if a record stands at the head. Passes over a claim whose grace is over.
    #[inline(always)]
    fn ready_now(&mut self) -> Result<(), PopError> {
        if self.reader.is_counting() {
            self.reader.take_token();
        }
        match self.reader.look() {
            Ok(Head::Ready) => Ok(()),
            other => self.not_ready(other),
        }
    }

    #[cold]
    fn not_ready(&mut self, mut look: crate::protocol::Look) -> Result<(), PopError> {
        // Each round but the last leaves a claim behind; a lap of them is enough for once, whatever the slots say.
        for _ in 0..=self.reader.capacity() {
            match look {
                Ok(Head::Ready) => return Ok(()),
                // Nobody wakes a sleeper on a semaphore that is gone.
                Ok(Head::Empty) if self.reader.memory.is_truncated() => return Err(PopError::Truncated),
                Ok(Head::Empty) => {
                    self.claimed = None;
                    self.reader.freed_for_certain();
                    self.look_after_quarantine();
                    self.reader.drop_token();
                    if !self.reader.is_closed() {
                        return Err(PopError::Empty);
                    }
                    // Closed was read first, and now the head once more: what was published or claimed before the
                    // close is still delivered.
                    look = self.reader.look();
                    if look == Ok(Head::Empty) {
                        return Err(PopError::Closed);
                    }
                }
                Ok(Head::Claimed(owner)) => {
                    if !self.is_overdue() {
                        return Err(PopError::Empty);
                    }
                    if self.reader.void(owner) {
                        owners::reap_owner(&self.reader.memory, owner);
                    }
                    look = self.reader.look();
                }
                Err(damage) => return Err(self.damaged(damage)),
            }
        }
        Err(PopError::Empty)
    }

    /// What is wrong with a ring that shows an impossible state: a truncated one is full of them.
    #[cold]
    fn damaged(&self, damage: Damage) -> PopError {
        if self.reader.memory.is_truncated() { PopError::Truncated } else { PopError::Corrupt(damage) }
    }

    /// Whether the claim at the head has been there for longer than the grace.
    fn is_overdue(&mut self) -> bool {
        let head = self.reader.head();
        let seen = self.claimed.filter(|sighting| State::free(sighting.tail).ahead_of(head) > 0);
        let sighting = *self.claimed.insert(
            seen.unwrap_or_else(|| Sighting { at: Instant::now(), tail: find_tail(&self.reader.memory) }),
        );
        sighting.at.elapsed() >= self.grace
    }

    #[inline(always)]
    fn take<T>(&mut self, copy: impl FnOnce(*const u8) -> T) -> Result<T, PopError> {
        self.reader.take(copy).map_err(|damage| self.damaged(damage))
    }

    fn look_after_quarantine(&mut self) {
        let quarantined = self.reader.memory.header().cold.quarantined.load(Ordering::Relaxed);
        if quarantined != 0 && self.reaped.elapsed() >= REAP_EVERY {
            self.reaped = Instant::now();
            owners::reap_quarantined(&self.reader.memory);
        }
    }
}

impl<R: Record> Drop for Consumer<R> {
    fn drop(&mut self) {
        if self.reader.has_token() {
            self.reader.memory.ready().post();
        }
        owners::detach(&self.reader.memory, CONSUMER);
    }
}

impl<R: Record> fmt::Debug for Consumer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("head", &self.reader.head()).finish_non_exhaustive()
    }
}
