//! The process at the other end of a round trip: it sends back what it gets, through bare cache lines or through two
//! rings. One child does both, so that a hop and its floor run between the same two pinned processes.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use halyard_ring::{PopError, PushError, Ring, RingName, RingOptions, Wait};
use hdrhistogram::Histogram;

use crate::child::{self, Child};
use crate::failure::{Failure, While as _};
use crate::place::pin;
use crate::record::{Named, Words, with_record};
use crate::shared::Lines;
use crate::{line, timed};

/// How long one record may take before the other side counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

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

fn ring_trips<const WORDS: usize>(
    child: &mut Child,
    capacity: u32,
    wait: Wait,
    time: Duration,
) -> Result<Histogram<u64>, Failure> {
    let named = || Named::<Words<WORDS>>::create(&RingOptions::spsc(capacity));
    let (out, back) = (named()?, named()?);
    child.order(&format!("ring {} {} {} {wait}", WORDS * 8, out.name(), back.name()))?;
    child.expect("ready")?;
    let mut producer = out.ring().producer().doing("attaching to a ring")?;
    let mut consumer = back.ring().consumer().doing("attaching to a ring")?;
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
    out.ring().close();
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
