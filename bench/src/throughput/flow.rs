//! The two ends of a flow of records: one pushes as fast as there is room, the other takes, checks and counts.

use std::time::Duration;

use halyard_ring::{Consumer, PopError, Producer, PushError};

use crate::failure::{Failure, While as _};
use crate::raw::{RawConsumer, RawProducer};
use crate::record::Words;
use crate::timed;

/// How long one record may take before the other side counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Records taken between two looks at the clock, one at a time.
const STEP: u64 = 256;

/// The records of producer number `index`: the first word counts them, the second says whose they are, and the last
/// repeats the first, so that a record that is not whole shows.
#[derive(Debug)]
pub(crate) struct Stamp<const WORDS: usize> {
    record: Words<WORDS>,
}

impl<const WORDS: usize> Stamp<WORDS> {
    pub(crate) fn new(index: u64) -> Self {
        let mut record = [0x5a5a_5a5a_5a5a_5a5a; WORDS];
        record[0] = 0;
        record[1] = index;
        Self { record }
    }

    /// The next record.
    #[inline]
    pub(crate) fn next(&mut self) -> Words<WORDS> {
        self.record[0] += 1;
        self.record[WORDS - 1] = self.record[0];
        self.record
    }

    /// Fills `records` with the next ones.
    #[inline]
    pub(crate) fn fill(&mut self, records: &mut [Words<WORDS>]) {
        for record in records {
            self.record[0] += 1;
            self.record[WORDS - 1] = self.record[0];
            *record = self.record;
        }
    }
}

/// What has come from each producer so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    last: Vec<u64>,
    wrong: u64,
}

impl Ledger {
    pub(crate) fn new(producers: usize) -> Self {
        Self { last: vec![0; producers], wrong: 0 }
    }

    /// Checks that this is the next record of its producer, and whole.
    #[inline]
    pub(crate) fn check<const WORDS: usize>(&mut self, record: &Words<WORDS>) {
        let right = match self.last.get_mut(record[1] as usize) {
            Some(last) => {
                *last += 1;
                record[0] == *last && record[WORDS - 1] == record[0]
            }
            None => false,
        };
        self.wrong += u64::from(!right);
    }

    /// The rate, unless a record was wrong.
    pub(crate) fn judge(&self, rate: f64) -> Result<f64, Failure> {
        match self.wrong {
            0 => Ok(rate),
            wrong => Err(Failure::broke(
                "the records that came",
                format_args!("{wrong} were lost, doubled, out of order or not whole"),
            )),
        }
    }
}

/// Pushes through a ring until it is closed.
pub(crate) fn push<const WORDS: usize>(
    producer: &mut Producer<Words<WORDS>>,
    index: u64,
    batch: usize,
) -> Result<(), Failure> {
    let end = if batch == 1 { push_single(producer, index) } else { push_batches(producer, index, batch) };
    match end {
        PushError::Closed(()) => Ok(()),
        error => Err(Failure::broke("pushing a record", error)),
    }
}

fn push_single<const WORDS: usize>(producer: &mut Producer<Words<WORDS>>, index: u64) -> PushError<()> {
    let mut stamp = Stamp::new(index);
    loop {
        if let Err(error) = producer.push(stamp.next()) {
            return without_record(error);
        }
    }
}

fn push_batches<const WORDS: usize>(
    producer: &mut Producer<Words<WORDS>>,
    index: u64,
    batch: usize,
) -> PushError<()> {
    let mut stamp = Stamp::new(index);
    let mut records = vec![[0; WORDS]; batch];
    loop {
        stamp.fill(&mut records);
        let mut rest = &records[..];
        while let Some(first) = rest.first() {
            let pushed = match producer.push_batch(rest) {
                // Waits for room, then goes on in batches.
                Err(PushError::Full(())) => producer.push(*first).map(|()| 1).map_err(without_record),
                other => other,
            };
            match pushed {
                Ok(count) => rest = &rest[count..],
                Err(error) => return error,
            }
        }
    }
}

fn without_record<R>(error: PushError<R>) -> PushError<()> {
    match error {
        PushError::Full(_) => PushError::Full(()),
        PushError::TimedOut(_) => PushError::TimedOut(()),
        PushError::Corrupt(_, damage) => PushError::Corrupt((), damage),
        _ => PushError::Closed(()),
    }
}

/// Takes what `producers` producers push through a ring. Returns records a second.
pub(crate) fn take<const WORDS: usize>(
    consumer: &mut Consumer<Words<WORDS>>,
    producers: usize,
    batch: usize,
    time: Duration,
) -> Result<f64, Failure> {
    let mut ledger = Ledger::new(producers);
    let rate = if batch == 1 {
        timed::rate(time, || {
            for _ in 0..STEP {
                ledger.check(&consumer.pop_timeout(PATIENCE).map_err(popped)?);
            }
            Ok(STEP)
        })
    } else {
        timed::rate(time, || match consumer.drain(batch, |record| ledger.check(record)).map_err(popped)? {
            0 if consumer.wait(PATIENCE).map_err(popped)? => Ok(0),
            0 => Err(popped(PopError::TimedOut)),
            count => Ok(count as u64),
        })
    };
    ledger.judge(rate?)
}

fn popped(error: PopError) -> Failure {
    Failure::broke("waiting for a record", error)
}

/// Pushes through a bare loop until it is stopped.
pub(crate) fn push_raw<const WORDS: usize>(producer: &mut RawProducer<'_, WORDS>, batch: usize) {
    let mut stamp = Stamp::new(0);
    if batch == 1 {
        while producer.push(&stamp.next()).is_ok() {}
    } else {
        let mut records = vec![[0; WORDS]; batch];
        stamp.fill(&mut records);
        while producer.push_batch(&records).is_ok() {
            stamp.fill(&mut records);
        }
    }
}

/// Takes what comes through a bare loop. Returns records a second.
pub(crate) fn take_raw<const WORDS: usize>(
    consumer: &mut RawConsumer<'_, WORDS>,
    batch: usize,
    time: Duration,
) -> Result<f64, Failure> {
    let mut ledger = Ledger::new(1);
    let rate = if batch == 1 {
        timed::rate(time, || {
            for _ in 0..STEP {
                ledger.check(&consumer.pop().ok_or_else(Failure::interrupted)?);
            }
            Ok(STEP)
        })
    } else {
        timed::rate(time, || {
            consumer.pop_batch(batch as u64, |record| ledger.check(record)).ok_or_else(Failure::interrupted)
        })
    };
    ledger.judge(rate?).doing("the bare loop")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_lost_doubled_or_torn_is_noticed() {
        let wrong = |records: &[[u64; 7]]| {
            let mut ledger = Ledger::new(1);
            records.iter().for_each(|record| ledger.check(record));
            ledger.judge(1.0).is_err()
        };
        let mut stamp = Stamp::<7>::new(0);
        let [one, two, three] = [stamp.next(), stamp.next(), stamp.next()];
        let mut torn = three;
        torn[6] -= 1;
        let mut strange = three;
        strange[1] = 7;
        assert!(!wrong(&[one, two, three]));
        assert!(wrong(&[one, three]) && wrong(&[one, one]) && wrong(&[two, one]));
        assert!(wrong(&[one, two, torn]) && wrong(&[one, two, strange]));
    }
}
