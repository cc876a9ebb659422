//! The process at the other end of a round trip: it sends back what it gets, through bare cache lines or through two
//! rings. One child does both, so that a hop and its floor run between the same two pinned processes.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use halyard_ring::{PopError, PushError, Record, Ring, RingName, RingOptions, Wait};
use hdrhistogram::Histogram;

use crate::child::{self, Child};
use crate::failure::{Failure, While as _};
use crate::place::pin;
use crate::shared::Lines;
use crate::{line, timed};

/// How long one record may take before the other side counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// A record of `WORDS` words of eight bytes.
type Words<const WORDS: usize> = [u64; WORDS];

/// The record sizes that can be measured, bytes: with its 8 bytes of state word a slot is 1, 2, 4, 8, 16 lines.
pub(crate) const RECORDS: [usize; 5] = [56, 120, 248, 504, 1016];

/// Calls a function that is generic over the record with the record of this many bytes.
macro_rules! with_record {
    ($bytes:expr, $function:ident($($argument:expr),*)) => {
        match $bytes {
            56 => $function::<7>($($argument),*),
            120 => $function::<15>($($argument),*),
            248 => $function::<31>($($argument),*),
            504 => $function::<63>($($argument),*),
            1016 => $function::<127>($($argument),*),
            other => Err(Failure::usage(format_args!("no record of {other} bytes: choose from {RECORDS:?}"))),
        }
    };
}

/// The child that echoes, and the lines that it shares with this process.
pub(crate) struct Echo {
    child: Child,
    lines: Lines,
}

impl Echo {
    /// Starts it, pinned to the second of the two processors.
    pub(crate) fn start(pair: [usize; 2]) -> Result<Self, Failure> {
        let lines = Lines::create(2).doing("mapping two cache lines")?;
        let child = Child::start(&["echo", &lines.path(), &pair[1].to_string()])?;
        Ok(Self { child, lines })
    }

    /// Measures round trips through bare cache lines. The caller is pinned to the first processor.
    pub(crate) fn line(&mut self, time: Duration) -> Result<Histogram<u64>, Failure> {
        self.child.order("line")?;
        self.child.expect("ready")?;
        let result = line::trips(self.lines.line(0), self.lines.line(1), time);
        self.child.expect("done")?;
        result
    }

    /// Measures round trips through two rings of records of `bytes` bytes. The caller is pinned to the first
    /// processor.
    pub(crate) fn rings(
        &mut self,
        bytes: usize,
        capacity: u32,
        wait: Wait,
        time: Duration,
    ) -> Result<Histogram<u64>, Failure> {
        let child = &mut self.child;
        with_record!(bytes, ring_trips(child, capacity, wait, time))
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.child.finish()
    }
}

/// A ring whose names go when this does.
struct Named<R: Record>(Ring<R>);

impl<R: Record> Named<R> {
    fn create(capacity: u32) -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench-{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let name = RingName::new(&name).doing("naming a ring")?;
        Ring::create(&name, &RingOptions::spsc(capacity))
            .map(Self)
            .doing(format_args!("creating the ring {name}"))
    }

    fn name(&self) -> &RingName {
        self.0.name().expect("a created ring has a name")
    }
}

impl<R: Record> Drop for Named<R> {
    fn drop(&mut self) {
        // Wakes the other side, should it still wait.
        self.0.close();
        let _ = self.0.unlink();
    }
}

fn ring_trips<const WORDS: usize>(
    child: &mut Child,
    capacity: u32,
    wait: Wait,
    time: Duration,
) -> Result<Histogram<u64>, Failure> {
    let (out, back) = (Named::<Words<WORDS>>::create(capacity)?, Named::<Words<WORDS>>::create(capacity)?);
    child.order(&format!("ring {} {} {} {wait}", WORDS * 8, out.name(), back.name()))?;
    child.expect("ready")?;
    let mut producer = out.0.producer().doing("attaching to a ring")?;
    let mut consumer = back.0.consumer().doing("attaching to a ring")?;
    producer.set_wait(wait);
    consumer.set_wait(wait);
    let mut trip = 0;
    let result = timed::samples(time, || {
        trip += 1;
        producer.push_timeout([trip; WORDS], PATIENCE).map_err(pushed)?;
        let record = consumer.pop_timeout(PATIENCE).doing("waiting for the record to come back")?;
        if record == [trip; WORDS] {
            return Ok(());
        }
        Err(Failure::broke("the record that came back", "is not the one that was sent"))
    });
    // The child's pop says so, and it is ready for the next order.
    out.0.close();
    child.expect("done")?;
    result
}

fn pushed<T>(error: PushError<T>) -> Failure
where
    PushError<T>: fmt::Display,
{
    Failure::broke("pushing a record", error)
}

/// The child's side of [`Echo`].
pub(crate) fn child(path: &Path, cpu: usize) -> Result<(), Failure> {
    child::die_with_parent();
    pin(&[cpu], 0)?;
    let lines = Lines::open(path).doing("mapping the parent's cache lines")?;
    while let Some(order) = child::next_order()? {
        let words: Vec<&str> = order.split(' ').collect();
        match words[..] {
            ["line"] => {
                child::reply("ready")?;
                line::echo(lines.line(0), lines.line(1));
            }
            ["ring", bytes, out, back, wait] => {
                let bytes = bytes.parse::<usize>().doing("reading an order")?;
                let wait = wait.parse::<Wait>().doing("reading an order")?;
                let out = RingName::new(out).doing("reading an order")?;
                let back = RingName::new(back).doing("reading an order")?;
                with_record!(bytes, ring_echo(&out, &back, wait))?;
            }
            _ => return Err(Failure::broke("reading an order", order)),
        }
        child::reply("done")?;
    }
    Ok(())
}

fn ring_echo<const WORDS: usize>(out: &RingName, back: &RingName, wait: Wait) -> Result<(), Failure> {
    let (out, back) = (Ring::<Words<WORDS>>::open(out), Ring::<Words<WORDS>>::open(back));
    let (out, back) = (out.doing("opening the parent's ring")?, back.doing("opening the parent's ring")?);
    let mut consumer = out.consumer().doing("attaching to a ring")?;
    let mut producer = back.producer().doing("attaching to a ring")?;
    consumer.set_wait(wait);
    producer.set_wait(wait);
    child::reply("ready")?;
    loop {
        match consumer.pop_timeout(PATIENCE) {
            Ok(record) => producer.push_timeout(record, PATIENCE).map_err(pushed)?,
            Err(PopError::Closed) => return Ok(()),
            Err(error) => return Err(Failure::broke("waiting for a record", error)),
        }
    }
}
