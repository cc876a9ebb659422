//! `halyard-bench hop`: one record from one process to another and back.

use clap::Args;
use halyard_ring::cpus;

use crate::common::Common;
use crate::echo::Echo;
use crate::failure::Failure;
use crate::figures::Series;
use crate::place::on_own_thread;
use crate::record::RECORDS;
use crate::relay::Waiting;
use crate::results::Results;

/// Measure one record between two processes and back, through two rings, beside a bare cache line between the same two
///
/// Both processes wait in all four ways in turn, unless --wait says otherwise, and are pinned to the first two
/// processors, or to the two that --pin names.
#[derive(Args, Debug)]
pub(crate) struct Hop {
    #[command(flatten)]
    common: Common,
    /// Record sizes, bytes, of 56, 120, 248, 504, 1016: with its state word a slot is then 1 to 16 cache lines
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', default_value = "56", value_parser = record)]
    record: Vec<usize>,
    /// Records that each ring holds, a power of two
    #[arg(long, value_name = "N", default_value_t = 64)]
    capacity: u32,
}

fn record(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| RECORDS.contains(bytes));
    bytes.ok_or_else(|| format!("choose from {RECORDS:?}"))
}

const FLOOR: &str = "line.processes";

impl Hop {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let pair = self.common.pins().pair(&cpus())?;
        let ways = self.common.ways(&Waiting::ALL);
        let mut floor = Series::new(FLOOR, "cache line, two processes");
        let mut hops = Vec::new();
        for &bytes in &self.record {
            for &waiting in &ways {
                let id = format!("hop.{bytes}.{}", waiting.name());
                hops.push((
                    bytes,
                    waiting,
                    Series::new(id, format!("{bytes}-byte record, {}", waiting.name())),
                ));
            }
        }
        let rounds = self.common.rounds();
        let bar = self.common.bar(rounds * (hops.len() + 1));
        let about = format!(
            "Round trips between two processes on processors {} and {}: a record through one ring (capacity {}) and \
             back through another, every byte compared; the floor is an 8-byte value through two bare cache lines \
             between the same two processes, spinning without pause.",
            pair[0], pair[1], self.capacity
        );
        let mut results = Results::new("hop", vec![about]);
        let mut echo = Echo::start(pair)?;
        let (measured, echo) = on_own_thread(&pair, || {
            let time = self.common.time();
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
        results.add_alone(floor);
        for (_, _, series) in hops {
            results.add(series, FLOOR);
        }
        self.common.finish(results)
    }
}
