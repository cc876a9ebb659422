//! Rings between threads of one process: records a second through Halyard's on the heap, rtrb's and crossbeam's, beside
//! the bare copy loop between the same threads.

use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::{Backoff, CachePadded};
use rtrb::{PushError, RingBuffer};

use crate::failure::{Failure, While as _};
use crate::interrupt;
use crate::place::pin;
use crate::raw::RawRing;
use crate::record::Words;
use crate::relay::Waiting;
use crate::throughput::flow::{self, Ledger, Stamp};
use crate::throughput::{BATCH, Backing, CAPACITY, Case, Kind, between_threads, place};
use crate::timed;

/// Words of a record: with a state word a slot of the ring is one cache line.
const WORDS: usize = 7;

/// Records taken between two looks at the clock.
const STEP: u64 = 256;

/// What carries the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// The bare copy loop, which is the floor.
    Bare,
    Halyard,
    Rtrb,
    Crossbeam,
}

/// One flow that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) carrier: Carrier,
    pub(super) producers: u16,
    pub(super) batch: usize,
}

impl Flow {
    /// The flows by heading, each heading's floor first.
    pub(super) fn all(quick: bool) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        let mut add = |heading: &str, producers, batch, carriers: &[Carrier]| {
            for &carrier in carriers {
                all.push((heading.to_owned(), Self { carrier, producers, batch }));
            }
        };
        use Carrier::{Bare, Crossbeam, Halyard, Rtrb};
        add("In one process, one at a time", 1, 1, &[Bare, Halyard, Rtrb, Crossbeam]);
        add("In one process, 64 at a time", 1, BATCH, &[Bare, Halyard, Rtrb]);
        for producers in if quick { &[2][..] } else { &[2, 4] } {
            let heading = format!("In one process, {producers} producers, one at a time");
            add(&heading, *producers, 1, &[Crossbeam, Halyard]);
        }
        all
    }

    pub(super) fn id(self) -> String {
        let carrier = match self.carrier {
            Carrier::Bare => "bare",
            Carrier::Halyard => "ring",
            Carrier::Rtrb => "rtrb",
            Carrier::Crossbeam => "arrayqueue",
        };
        let kind = if self.producers == 1 { "spsc".to_owned() } else { format!("mpsc{}", self.producers) };
        let batch = if self.batch == 1 { "single".to_owned() } else { format!("batch{}", self.batch) };
        format!("peers.{kind}.{batch}.{carrier}")
    }

    pub(super) fn label(self) -> String {
        let carrier = match self.carrier {
            Carrier::Bare if self.batch == 1 => "bare loop, sequence in the slot",
            Carrier::Bare => "bare loop, shared cursor",
            Carrier::Halyard => "Halyard's ring on the heap",
            Carrier::Rtrb if self.batch == 1 => "rtrb",
            Carrier::Rtrb => "rtrb, slices",
            Carrier::Crossbeam => "crossbeam ArrayQueue",
        };
        carrier.to_owned()
    }

    /// The flow that this one is measured against: the bare loop of as many records at a time. It has one producer.
    pub(super) fn floor(self) -> Option<Self> {
        (self.carrier != Carrier::Bare).then_some(Self { carrier: Carrier::Bare, producers: 1, ..self })
    }

    /// Measures records a second. The caller is the consumer, pinned to the first of `pins`.
    pub(super) fn measure(self, pins: &[usize], time: Duration) -> Result<f64, Failure> {
        match self.carrier {
            Carrier::Bare => self.bare(pins, time),
            Carrier::Halyard => {
                let case = Case {
                    kind: if self.producers == 1 { Kind::Spsc } else { Kind::Mpsc(self.producers) },
                    batch: self.batch,
                    wait: if self.producers == 1 { Waiting::Spin } else { Waiting::Yield },
                    backing: Backing::Heap,
                    bytes: WORDS * size_of::<u64>(),
                    ..Case::BASE
                };
                between_threads::<WORDS>(pins, &case, time)
            }
            Carrier::Rtrb if self.batch == 1 => rtrb_single(pins, time),
            Carrier::Rtrb => rtrb_slices(pins, self.batch, time),
            Carrier::Crossbeam => array_queue(pins, self.producers, time),
        }
    }

    fn bare(self, pins: &[usize], time: Duration) -> Result<f64, Failure> {
        let memory = RawRing::<WORDS>::create(CAPACITY).doing("mapping memory for a bare loop")?;
        let (memory, batch) = (&memory, self.batch);
        thread::scope(|scope| {
            let pushing = scope.spawn(move || {
                let pinned = pin(&place(pins, 0), 0);
                flow::push_raw(&mut memory.producer(), batch);
                pinned
            });
            let rate = flow::take_raw(&mut memory.consumer(), batch, time);
            memory.stop();
            pushing.join().expect("a measurement does not panic")?;
            rate
        })
    }
}

/// Says when producers are to stop. They look at it when there is no room.
type Stop = CachePadded<AtomicBool>;

/// Waits a moment for room or for a record: spins between two threads, backs off into yielding among more.
struct Pause<'a> {
    backoff: Option<Backoff>,
    stop: &'a Stop,
}

impl<'a> Pause<'a> {
    fn among(producers: u16, stop: &'a Stop) -> Self {
        Self { backoff: (producers > 1).then(Backoff::new), stop }
    }

    /// False when it is time to stop.
    #[inline]
    fn pause(&self) -> bool {
        match &self.backoff {
            Some(backoff) => backoff.snooze(),
            None => hint::spin_loop(),
        }
        !self.stop.load(Ordering::Relaxed) && !interrupt::requested()
    }

    #[inline]
    fn reset(&self) {
        if let Some(backoff) = &self.backoff {
            backoff.reset();
        }
    }
}

/// Runs each of `producers` on its thread while `take` measures, then tells them to stop.
fn run<P: FnOnce(&Stop) + Send>(
    pins: &[usize],
    producers: Vec<P>,
    take: impl FnOnce(&Stop) -> Result<f64, Failure>,
) -> Result<f64, Failure> {
    let stop = &Stop::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let start = |(index, push): (usize, P)| {
            scope.spawn(move || {
                let pinned = pin(&place(pins, index), 0);
                if pinned.is_ok() {
                    push(stop);
                }
                // Whoever takes is not to wait for records that do not come.
                stop.store(true, Ordering::Relaxed);
                pinned
            })
        };
        let pushing: Vec<_> = producers.into_iter().enumerate().map(start).collect();
        let rate = take(stop);
        stop.store(true, Ordering::Relaxed);
        for producer in pushing {
            producer.join().expect("a measurement does not panic")?;
        }
        rate
    })
}

/// Takes records with `pop` until the time is over, and checks each.
fn take(
    producers: u16,
    stop: &Stop,
    time: Duration,
    mut pop: impl FnMut() -> Option<Words<WORDS>>,
) -> Result<f64, Failure> {
    let pause = Pause::among(producers, stop);
    let mut ledger = Ledger::new(producers.into());
    let rate = timed::rate(time, || {
        for _ in 0..STEP {
            let record = loop {
                match pop() {
                    Some(record) => break record,
                    None if pause.pause() => {}
                    None => return Err(Failure::interrupted()),
                }
            };
            pause.reset();
            ledger.check(&record);
        }
        Ok(STEP)
    });
    ledger.judge(rate?)
}

fn rtrb_single(pins: &[usize], time: Duration) -> Result<f64, Failure> {
    let (mut producer, mut consumer) = RingBuffer::new(CAPACITY as usize);
    let push = move |stop: &Stop| {
        let pause = Pause::among(1, stop);
        let mut stamp = Stamp::<WORDS>::new(0);
        loop {
            let mut record = stamp.next();
            while let Err(PushError::Full(same)) = producer.push(record) {
                record = same;
                if !pause.pause() {
                    return;
                }
            }
        }
    };
    run(pins, vec![push], |stop| take(1, stop, time, || consumer.pop().ok()))
}

fn rtrb_slices(pins: &[usize], batch: usize, time: Duration) -> Result<f64, Failure> {
    let (mut producer, mut consumer) = RingBuffer::new(CAPACITY as usize);
    let push = move |stop: &Stop| {
        let pause = Pause::among(1, stop);
        let mut stamp = Stamp::<WORDS>::new(0);
        let mut records = vec![[0; WORDS]; batch];
        loop {
            stamp.fill(&mut records);
            let mut rest = &records[..];
            loop {
                rest = producer.push_partial_slice(rest).1;
                if rest.is_empty() {
                    break;
                }
                if !pause.pause() {
                    return;
                }
            }
        }
    };
    run(pins, vec![push], |stop| {
        let pause = Pause::among(1, stop);
        let mut ledger = Ledger::new(1);
        let rate = timed::rate(time, || {
            let count = consumer.slots().min(batch);
            if count == 0 {
                return if pause.pause() { Ok(0) } else { Err(Failure::interrupted()) };
            }
            let chunk = consumer.read_chunk(count).doing("reading a chunk")?;
            let (first, second) = chunk.as_slices();
            for record in first.iter().chain(second) {
                ledger.check(record);
            }
            chunk.commit_all();
            Ok(count as u64)
        });
        ledger.judge(rate?)
    })
}

fn array_queue(pins: &[usize], producers: u16, time: Duration) -> Result<f64, Failure> {
    let queue = &ArrayQueue::new(CAPACITY as usize);
    let push = |index| {
        move |stop: &Stop| {
            let pause = Pause::among(producers, stop);
            let mut stamp = Stamp::<WORDS>::new(index);
            loop {
                let mut record = stamp.next();
                while let Err(same) = queue.push(record) {
                    record = same;
                    if !pause.pause() {
                        return;
                    }
                }
                pause.reset();
            }
        }
    };
    let pushing = (0..producers).map(u64::from).map(push).collect();
    run(pins, pushing, |stop| take(producers, stop, time, || queue.pop()))
}
