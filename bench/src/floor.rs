//! `halyard-bench floor`: the limits that everything else is measured against.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use halyard_ring::{Semaphore, cpus};
use hdrhistogram::Histogram;

use crate::common::Common;
use crate::echo::Echo;
use crate::failure::{Failure, While as _};
use crate::figures::{Quantity, Series, Unit};
use crate::place::{check_pins, on_own_thread, other_core, pin};
use crate::relay::{self, Waiting};
use crate::results::Results;
use crate::throughput::{self, BATCH, CAPACITY, Pumps};
use crate::{line, timed};

/// Measure what this machine can do at best: bare cache lines, bare semaphores, bare relays of threads
///
/// --pin places the relays' threads; by default the scheduler does, as it places the threads of a chat. The others are
/// always pinned. --wait chooses the relays' strategies, all four by default.
#[derive(Args, Debug)]
pub(crate) struct Floor {
    #[command(flatten)]
    common: Common,
}

impl Floor {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let time = self.common.time();
        let cpus = cpus();
        let pins = self.common.pins().or(&[]);
        check_pins(&pins, &cpus)?;
        let pair = other_core(&cpus);
        let mut about = vec![
            "Round trips. A relay is a token passed through N threads and back to the first, whose threads wait as \
             said. The bare loops copy records from one process to another and do nothing else."
                .to_owned(),
        ];
        if pair.is_none() {
            about.push("Only one processor may be used: nothing is measured between two.".to_owned());
        }
        let mut results = Results::new("floor", about);
        let mut line_threads = Series::new("line.threads", "cache line, two threads");
        let mut line_processes = Series::new("line.processes", "cache line, two processes");
        let mut semaphore_other = Series::new("semaphore.other-core", "named semaphore, other core");
        let mut semaphore_same = Series::new("semaphore.same-core", "named semaphore, same core");
        let loops = [(1, 56), (1, 1016), (BATCH, 56), (BATCH, 1016)];
        let mut loops = loops.map(|(batch, bytes)| {
            let floor = throughput::Floor { bytes, batch, capacity: CAPACITY };
            (floor, Quantity::new(floor.id(), floor.label(), Unit::PerSecond))
        });
        let mut relays: Vec<(usize, Waiting, Series)> = Vec::new();
        for threads in [3, 4] {
            for waiting in self.common.ways(&Waiting::ALL) {
                let name = waiting.name();
                let series =
                    Series::new(format!("relay.{threads}.{name}"), format!("relay of {threads}, {name}"));
                relays.push((threads, waiting, series));
            }
        }
        let bar = self.common.bar(self.common.rounds() * (relays.len() + if pair.is_some() { 8 } else { 1 }));
        let mut echo = pair.map(Echo::start).transpose()?;
        let mut pumps = pair.map(|pair| Pumps::start(1, &pair)).transpose()?;
        for _ in 0..self.common.rounds() {
            if let (Some(pair), Some(echo)) = (pair, echo.as_mut()) {
                bar.set_message("cache lines");
                line_threads.rounds.push(line::between_threads(pair, time)?);
                bar.inc(1);
                line_processes.rounds.push(on_own_thread(&pair, || echo.line(time))?);
                bar.inc(1);
                for (floor, quantity) in &mut loops {
                    let Some(pumps) = &mut pumps else { continue };
                    bar.set_message(quantity.label.clone());
                    let rate =
                        on_own_thread(&pair, || pumps.raw(floor.bytes, floor.batch, floor.capacity, time));
                    quantity.rounds.push(rate?);
                    bar.inc(1);
                }
                bar.set_message("semaphores");
                semaphore_other.rounds.push(semaphores(pair, time)?);
                bar.inc(1);
            }
            semaphore_same.rounds.push(semaphores([cpus[0]; 2], time)?);
            bar.inc(1);
            for (threads, waiting, series) in &mut relays {
                bar.set_message(series.label.clone());
                series.rounds.push(relay::measure(*threads, *waiting, &pins, time)?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        if let Some(echo) = echo {
            echo.finish()?;
        }
        if let Some(pumps) = pumps {
            pumps.finish()?;
        }
        let floor = if pair.is_some() { line_threads.id.clone() } else { semaphore_same.id.clone() };
        for series in [line_threads, line_processes, semaphore_other, semaphore_same] {
            if series.id == floor { results.add_alone(series) } else { results.add(series, &floor) }
        }
        for (_, _, series) in relays {
            results.add(series, &floor);
        }
        results.section("Records a second");
        for (_, quantity) in loops {
            results.add_alone(quantity);
        }
        self.common.finish(results)
    }
}

/// Two named semaphores; their names go when this does.
struct Bells {
    names: [String; 2],
    bells: Vec<Semaphore>,
}

impl Bells {
    fn create() -> Result<Self, Failure> {
        let names = [0, 1].map(|n| format!("/halyard-bench.{}.{n}", std::process::id()));
        let mut made = Self { names, bells: Vec::new() };
        for name in &made.names {
            let bell =
                Semaphore::create(name, 0o600, 0).doing(format_args!("creating the semaphore {name}"))?;
            made.bells.push(bell);
        }
        Ok(made)
    }
}

impl Drop for Bells {
    fn drop(&mut self) {
        for name in self.names.iter().take(self.bells.len()) {
            // What is gone already needs no removing.
            let _ = Semaphore::unlink(name);
        }
    }
}

/// Two threads that wake each other through two named semaphores.
fn semaphores(pair: [usize; 2], time: Duration) -> Result<Histogram<u64>, Failure> {
    let made = Bells::create()?;
    let (out, back) = (&made.bells[0], &made.bells[1]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = pin(&pair, 1);
            loop {
                out.wait();
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                back.post();
            }
        });
        let leader = || {
            let result = pin(&pair, 0).and_then(|()| {
                timed::samples(time, || {
                    out.post();
                    back.wait();
                    Ok(())
                })
            });
            // Relaxed: the semaphore orders it.
            stop.store(true, Ordering::Relaxed);
            out.post();
            result
        };
        scope.spawn(leader).join().expect("a measurement does not panic")
    })
}
