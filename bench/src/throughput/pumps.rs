//! Flows between processes and between threads: starts the producers, takes their records, ends them.

use std::path::Path;
use std::thread;
use std::time::Duration;

use halyard_ring::{Ring, RingName, RingOptions};
use serde::{Deserialize, Serialize};

use super::case::{Backing, Case, Kind};
use super::flow;
use crate::child::{self, Child};
use crate::failure::{Failure, While as _};
use crate::place::pin;
use crate::raw::RawRing;
use crate::record::{Named, Words, with_record};

/// The producers' processes, which wait for orders between measurements.
pub(crate) struct Pumps {
    children: Vec<Child>,
    /// The consumer's processor and the producers'; empty: wherever the scheduler likes.
    pins: Vec<usize>,
}

/// What a producer is to do.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    Ring { name: String, bytes: usize, index: u64, batch: usize, wait: String },
    Raw { path: String, bytes: usize, batch: usize },
}

/// The processor of producer number `index`: not the consumer's, where there is another.
pub(crate) fn place(pins: &[usize], index: usize) -> Vec<usize> {
    match pins {
        [] => Vec::new(),
        [only] => vec![*only],
        [_, others @ ..] => vec![others[index % others.len()]],
    }
}

impl Pumps {
    /// Starts `count` producers. The caller is the consumer, pinned to the first of `pins`.
    pub(crate) fn start(count: usize, pins: &[usize]) -> Result<Self, Failure> {
        let children = (0..count).map(|index| {
            let cpu = place(pins, index).first().map(ToString::to_string);
            Child::start(&["pump", cpu.as_deref().unwrap_or("no")])
        });
        Ok(Self { children: children.collect::<Result<_, _>>()?, pins: pins.to_vec() })
    }

    /// Measures a bare loop of records of `bytes` bytes, `batch` at a time. Returns records a second.
    pub(crate) fn raw(
        &mut self,
        bytes: usize,
        batch: usize,
        capacity: u32,
        time: Duration,
    ) -> Result<f64, Failure> {
        let child = self.children.first_mut().ok_or_else(|| Failure::usage("no producer was started"))?;
        with_record!(bytes, raw(child, batch, capacity, time))
    }

    /// Measures a ring. Returns records a second.
    pub(crate) fn ring(&mut self, case: &Case, time: Duration) -> Result<f64, Failure> {
        let bytes = case.bytes;
        match case.backing {
            Backing::Shared => {
                let children = self.children.get_mut(..case.producers());
                let children = children.ok_or_else(|| Failure::usage("too few producers were started"))?;
                with_record!(bytes, between_processes(children, case, time))
            }
            Backing::Heap => {
                let pins = &self.pins[..];
                with_record!(bytes, between_threads(pins, case, time))
            }
        }
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        self.children.into_iter().try_for_each(Child::finish)
    }
}

fn raw<const WORDS: usize>(
    child: &mut Child,
    batch: usize,
    capacity: u32,
    time: Duration,
) -> Result<f64, Failure> {
    let memory = RawRing::<WORDS>::create(capacity).doing("mapping memory for a bare loop")?;
    give(child, &Order::Raw { path: memory.path(), bytes: WORDS * 8, batch })?;
    child.expect("ready")?;
    let rate = flow::take_raw(&mut memory.consumer(), batch, time);
    memory.stop();
    child.expect("done")?;
    rate
}

fn options(case: &Case) -> RingOptions {
    let options = match case.kind {
        Kind::Spsc => RingOptions::spsc(case.capacity),
        Kind::Mpsc(_) => RingOptions::mpsc(case.capacity),
    };
    options.mode(case.mode.mode())
}

fn between_processes<const WORDS: usize>(
    children: &mut [Child],
    case: &Case,
    time: Duration,
) -> Result<f64, Failure> {
    let named = Named::<Words<WORDS>>::create(&options(case))?;
    let wait = case.wait.wait();
    let mut consumer = named.ring().consumer().doing("attaching to a ring")?;
    consumer.set_wait(wait);
    for (index, child) in children.iter_mut().enumerate() {
        let order = Order::Ring {
            name: named.name().to_string(),
            bytes: case.bytes,
            index: index as u64,
            batch: case.batch,
            wait: wait.to_string(),
        };
        give(child, &order)?;
    }
    children.iter_mut().try_for_each(|child| child.expect("ready"))?;
    let rate = flow::take(&mut consumer, case.producers(), case.batch, time);
    named.ring().close();
    children.iter_mut().try_for_each(|child| child.expect("done"))?;
    rate
}

fn give(child: &mut Child, order: &Order) -> Result<(), Failure> {
    child.order(&serde_json::to_string(order).doing("writing an order")?)
}

/// Measures a ring on the heap between threads of this process.
pub(crate) fn between_threads<const WORDS: usize>(
    pins: &[usize],
    case: &Case,
    time: Duration,
) -> Result<f64, Failure> {
    let ring = Ring::<Words<WORDS>>::heap(&options(case));
    let wait = case.wait.wait();
    let mut consumer = ring.consumer().doing("attaching to a ring")?;
    consumer.set_wait(wait);
    let mut producers = Vec::new();
    for _ in 0..case.producers() {
        let mut producer = ring.producer().doing("attaching to a ring")?;
        producer.set_wait(wait);
        producers.push(producer);
    }
    thread::scope(|scope| {
        let pushing: Vec<_> = producers
            .into_iter()
            .enumerate()
            .map(|(index, mut producer)| {
                scope.spawn(move || {
                    pin(&place(pins, index), 0)?;
                    flow::push(&mut producer, index as u64, case.batch)
                })
            })
            .collect();
        let rate = flow::take(&mut consumer, case.producers(), case.batch, time);
        ring.close();
        for producer in pushing {
            producer.join().expect("a measurement does not panic")?;
        }
        rate
    })
}

/// A producer's process.
pub(crate) fn child(cpu: &str) -> Result<(), Failure> {
    child::die_with_parent();
    if cpu != "no" {
        pin(&[cpu.parse().doing("reading an order")?], 0)?;
    }
    while let Some(order) = child::next_order()? {
        match serde_json::from_str(&order).doing("reading an order")? {
            Order::Ring { name, bytes, index, batch, wait } => {
                with_record!(bytes, push(&name, index, batch, &wait))?;
            }
            Order::Raw { path, bytes, batch } => with_record!(bytes, push_raw(&path, batch))?,
        }
        child::reply("done")?;
    }
    Ok(())
}

fn push<const WORDS: usize>(name: &str, index: u64, batch: usize, wait: &str) -> Result<(), Failure> {
    let name = RingName::new(name).doing("reading an order")?;
    let ring = Ring::<Words<WORDS>>::open(&name).doing("opening the parent's ring")?;
    let mut producer = ring.producer().doing("attaching to a ring")?;
    producer.set_wait(wait.parse().doing("reading an order")?);
    child::reply("ready")?;
    flow::push(&mut producer, index, batch)
}

fn push_raw<const WORDS: usize>(path: &str, batch: usize) -> Result<(), Failure> {
    let memory = RawRing::<WORDS>::open(Path::new(path)).doing("mapping the parent's memory")?;
    child::reply("ready")?;
    flow::push_raw(&mut memory.producer(), batch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_stay_off_the_consumers_processor_where_they_can() {
        assert_eq!(place(&[], 3), Vec::<usize>::new());
        assert_eq!(place(&[4], 3), [4]);
        assert_eq!([0, 1, 2].map(|index| place(&[4, 5, 6], index)[0]), [5, 6, 5]);
    }
}
