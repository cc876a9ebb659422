//! `halyard-bench hop`: one record from one process to another and back.

use clap::Args;
use halyard_ring::cpus;

use crate::echo::{Echo, RECORDS};
use crate::failure::Failure;
use crate::figures::Series;
use crate::place::{check_pins, on_own_thread, other_core};
use crate::relay::Waiting;
use crate::report::Report;
use crate::timed::Effort;
use crate::{Output, progress};

/// Measure one record between two processes and back, through two rings, beside a bare cache line between the same two
#[derive(Args, Debug)]
pub(crate) struct Hop {
    #[command(flatten)]
    effort: Effort,
    /// How both processes wait [default: all four]
    #[arg(long, value_name = "HOW,…", value_delimiter = ',', value_enum)]
    wait: Vec<Waiting>,
    /// Record sizes, bytes, of 56, 120, 248, 504, 1016: with its state word a slot is then 1 to 16 cache lines
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', default_values_t = [56], value_parser = record)]
    record: Vec<usize>,
    /// Records that each ring holds, a power of two
    #[arg(long, value_name = "N", default_value_t = 64)]
    capacity: u32,
    /// The two processors to pin the two processes to [default: the first two that may be used]
    #[arg(long, value_name = "CPU,CPU", value_parser = pair)]
    pin: Option<[usize; 2]>,
    #[command(flatten)]
    output: Output,
}

fn record(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| RECORDS.contains(bytes));
    bytes.ok_or_else(|| format!("choose from {RECORDS:?}"))
}

fn pair(text: &str) -> Result<[usize; 2], String> {
    let (one, other) = text.split_once(',').ok_or("two processors are needed, such as 0,1")?;
    let cpu = |text: &str| text.trim().parse().map_err(|_| format!("{text:?} is no processor number"));
    Ok([cpu(one)?, cpu(other)?])
}

const FLOOR: &str = "line.processes";

impl Hop {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let cpus = cpus();
        let pair = match self.pin {
            Some(pair) => pair,
            None => other_core(&cpus).ok_or_else(|| {
                Failure::usage(
                    "only one processor may be used: a hop between two has no meaning here (--pin 0,0 forces it)",
                )
            })?,
        };
        check_pins(&pair, &cpus)?;
        let ways = if self.wait.is_empty() { &Waiting::ALL[..] } else { &self.wait };
        let mut floor = Series::new(FLOOR, "cache line, two processes");
        let mut hops = Vec::new();
        for &bytes in &self.record {
            for &waiting in ways {
                let id = format!("hop.{bytes}.{}", waiting.name());
                hops.push((
                    bytes,
                    waiting,
                    Series::new(id, format!("{bytes}-byte record, {}", waiting.name())),
                ));
            }
        }
        let rounds = self.effort.rounds();
        let bar = progress::bar((rounds * (hops.len() + 1)) as u64);
        let mut echo = Echo::start(pair)?;
        let (measured, echo) = on_own_thread(pair[0], || {
            let time = self.effort.time();
            let mut all = || {
                for _ in 0..rounds {
                    bar.set_message("cache line");
                    floor.rounds.push(echo.line(time)?);
                    bar.inc(1);
                    for (bytes, waiting, series) in &mut hops {
                        bar.set_message(series.label.clone());
                        series.rounds.push(echo.rings(*bytes, self.capacity, waiting.wait(), time)?);
                        bar.inc(1);
                    }
                }
                Ok(())
            };
            let measured = all();
            Ok((measured, echo))
        })?;
        measured?;
        echo.finish()?;
        bar.finish_and_clear();
        let about = format!(
            "Round trips between two processes on processors {} and {}: a record through one ring (capacity {}) and \
             back through another, every byte compared; the floor is an 8-byte value through two bare cache lines \
             between the same two processes, spinning without pause.",
            pair[0], pair[1], self.capacity
        );
        let mut report = Report::new("hop", vec![about]);
        report.add_alone(floor);
        for (_, _, series) in hops {
            report.add(series, FLOOR);
        }
        report.print(self.output.json);
        Ok(())
    }
}
