//! `halyard-bench throughput`: how many records a second a ring carries.

mod case;
pub(crate) mod flow;
mod pumps;

use clap::Args;
use halyard_ring::cpus;

pub(crate) use self::case::{BATCH, Backing, Bells, CAPACITY, Case, Floor, Kind};
pub(crate) use self::pumps::{Pumps, between_threads, child, place};
use crate::common::Common;
use crate::failure::Failure;
use crate::figures::{Quantity, Unit};
use crate::place::{check_pins, on_own_thread};
use crate::record::{RECORDS, STATE};
use crate::relay::Waiting;
use crate::results::Results;

/// Measure how many records a second a ring carries, beside bare copy loops between the same two processes
///
/// Without further options one thing at a time is varied from the base case, which is: one producer and one consumer,
/// two processes on two processors, 64-byte slots, one record at a time, spinning, semaphores as doorbells, 1,024
/// slots. With any of --producers, --slot, --batch, --mode, --backing, --capacity or --wait, every combination of what
/// they name is measured, and nothing else. Every record is checked: the next of its producer, and whole.
///
/// --pin names the consumer's processor first, then the producers'.
#[derive(Args, Debug)]
pub(crate) struct Throughput {
    #[command(flatten)]
    common: Common,
    /// Producers: `spsc` for a ring for one, or a number for a ring for many
    #[arg(long, value_name = "spsc|N,…", value_delimiter = ',', value_parser = kind)]
    producers: Vec<Kind>,
    /// Slot sizes, bytes, of 64, 128, 256, 512, 1024; the record is 8 bytes less
    #[arg(long, value_name = "BYTES,…", value_delimiter = ',', value_parser = slot)]
    slot: Vec<usize>,
    /// Records pushed and taken at a time
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = batch)]
    batch: Vec<usize>,
    /// What the semaphores mean
    #[arg(long, value_name = "MODE,…", value_delimiter = ',', value_enum)]
    mode: Vec<Bells>,
    /// Where the ring lies
    #[arg(long, value_name = "WHERE,…", value_delimiter = ',', value_enum)]
    backing: Vec<Backing>,
    /// Slots of the ring, a power of two
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = capacity)]
    capacity: Vec<u32>,
}

fn kind(text: &str) -> Result<Kind, String> {
    if text == "spsc" {
        return Ok(Kind::Spsc);
    }
    let count = text.parse().ok().filter(|count| (1..=PRODUCERS_MAX).contains(count));
    count.map(Kind::Mpsc).ok_or_else(|| format!("write spsc, or a number from 1 to {PRODUCERS_MAX}"))
}

/// The most producers: the owners that a ring for many has by default.
const PRODUCERS_MAX: u16 = 64;

fn slot(text: &str) -> Result<usize, String> {
    let bytes = text.parse::<usize>().ok().and_then(|bytes| bytes.checked_sub(STATE));
    let bytes = bytes.filter(|bytes| RECORDS.contains(bytes));
    bytes.ok_or_else(|| format!("choose from {:?}", RECORDS.map(|record| record + STATE)))
}

fn batch(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=4096).contains(count));
    count.ok_or_else(|| "a number from 1 to 4096".to_owned())
}

fn capacity(text: &str) -> Result<u32, String> {
    let count =
        text.parse().ok().filter(|count: &u32| count.is_power_of_two() && (2..=1 << 20).contains(count));
    count.ok_or_else(|| "a power of two from 2 to 1048576".to_owned())
}

/// What one line of the results is measured against.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Against {
    Raw(Floor),
    Ring(Case),
}

/// A heading and the rings under it, each with what it is measured against.
#[derive(Clone, Debug, PartialEq)]
struct Section {
    heading: &'static str,
    lines: Vec<(Case, Against)>,
}

impl Section {
    /// Every case against its bare loop.
    fn over(heading: &'static str, cases: impl IntoIterator<Item = Case>) -> Self {
        let lines = cases.into_iter().map(|case| (case, Against::Raw(case.floor()))).collect();
        Self { heading, lines }
    }
}

impl Throughput {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let cpus = cpus();
        let pins = self.common.pins().or(&cpus);
        check_pins(&pins, &cpus)?;
        let sections = self.sections();
        let about = format!(
            "Records a second through one ring, counted by its consumer, which checks each. Producers are processes of \
             their own (threads where it says heap), {}. The bare loops are one producer and one consumer that do \
             nothing but copy: with the sequence in the slot for one record at a time, with a shared cursor for \
             batches.",
            match &pins[..] {
                [] => "placed by the scheduler".to_owned(),
                [consumer, ..] => format!("off the consumer's processor {consumer} where there is another"),
            }
        );
        let mut results = Results::new("throughput", vec![about]);
        let mut jobs = jobs(&sections);
        on_own_thread(&pins, || measure(&self.common, &mut jobs, &pins))?;
        for job in jobs {
            results.section(job.heading);
            match job.against {
                Some(floor) => results.add(job.quantity, &floor),
                None => results.add_alone(job.quantity),
            }
        }
        self.common.finish(results)
    }

    fn sections(&self) -> Vec<Section> {
        let chosen = !(self.producers.is_empty()
            && self.slot.is_empty()
            && self.batch.is_empty()
            && self.mode.is_empty()
            && self.backing.is_empty()
            && self.capacity.is_empty()
            && self.common.ways(&[]).is_empty());
        if chosen { vec![Section::over("", self.product())] } else { sweep(self.common.quick()) }
    }

    /// Every combination of what was asked for.
    fn product(&self) -> Vec<Case> {
        let base = Case::BASE;
        let or = |given: &[usize], default| if given.is_empty() { vec![default] } else { given.to_vec() };
        let mut cases = vec![base];
        cases = vary(&cases, &self.producers, |case, &kind| case.kind = kind);
        cases = vary(&cases, &or(&self.slot, base.bytes), |case, &bytes| case.bytes = bytes);
        cases = vary(&cases, &or(&self.batch, 1), |case, &batch| case.batch = batch);
        cases = vary(&cases, &self.common.ways(&[]), |case, &wait| case.wait = wait);
        cases = vary(&cases, &self.mode, |case, &mode| case.mode = mode);
        cases = vary(&cases, &self.backing, |case, &backing| case.backing = backing);
        cases = vary(&cases, &self.capacity, |case, &capacity| case.capacity = capacity);
        cases
    }
}

/// Each case with each of the values; as it is if there is none.
fn vary<T>(cases: &[Case], values: &[T], set: impl Fn(&mut Case, &T)) -> Vec<Case> {
    if values.is_empty() {
        return cases.to_vec();
    }
    let with = |case: &Case, value: &T| {
        let mut case = *case;
        set(&mut case, value);
        case
    };
    cases.iter().flat_map(|case| values.iter().map(move |value| with(case, value))).collect()
}

/// One thing at a time, varied from the base case.
fn sweep(quick: bool) -> Vec<Section> {
    let base = Case::BASE;
    let batched = Case { batch: BATCH, ..base };
    let sizes: &[usize] = if quick { &[56, 1016] } else { &RECORDS };
    let producers: &[u16] = if quick { &[1, 2] } else { &[1, 2, 4, 8] };
    let ways: &[Waiting] = if quick { &[Waiting::Adaptive] } else { &Waiting::ALL[1..] };
    let capacities: &[u32] = if quick { &[64] } else { &[16, 64, 256, 16_384] };
    let kinds: Vec<Kind> = producers.iter().copied().map(Kind::Mpsc).collect();
    let counting = [Waiting::Spin, Waiting::Adaptive, Waiting::Block].into_iter().flat_map(|wait| {
        let doorbell = Case { wait, ..base };
        [
            (doorbell, Against::Raw(doorbell.floor())),
            (Case { mode: Bells::Counting, ..doorbell }, Against::Ring(doorbell)),
        ]
    });
    let waiting = vary(&[base, batched], ways, |case, &wait| case.wait = wait);
    vec![
        Section::over("One at a time", vary(&[base], sizes, |case, &bytes| case.bytes = bytes)),
        Section::over("In batches", vary(&[batched], sizes, |case, &bytes| case.bytes = bytes)),
        Section::over("Many producers, one at a time", vary(&[base], &kinds, |case, &kind| case.kind = kind)),
        Section::over("Many producers, in batches", vary(&[batched], &kinds, |case, &kind| case.kind = kind)),
        Section {
            heading: "How both sides wait, beside spinning",
            lines: waiting
                .into_iter()
                .map(|case| (case, Against::Ring(Case { wait: Waiting::Spin, ..case })))
                .collect(),
        },
        Section { heading: "What a semaphore per record costs, beside doorbells", lines: counting.collect() },
        Section {
            heading: "Slots of the ring, beside 1,024",
            lines: vary(&[base], capacities, |case, &capacity| case.capacity = capacity)
                .into_iter()
                .map(|case| (case, Against::Ring(base)))
                .collect(),
        },
        Section {
            heading: "Between threads, on the heap",
            lines: vary(
                &vary(&[base, batched], &[Kind::Spsc, Kind::Mpsc(2)], |case, &kind| case.kind = kind),
                &[Backing::Heap],
                |case, &backing| case.backing = backing,
            )
            .into_iter()
            .map(|case| (case, Against::Raw(case.floor())))
            .collect(),
        },
    ]
}

/// What is measured in every round, and the line of the results that it becomes.
struct Job {
    heading: &'static str,
    what: Against,
    quantity: Quantity,
    against: Option<String>,
}

/// Every bare loop and every ring once, however many sections name it: under the first.
fn jobs(sections: &[Section]) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut add = |heading, what, id: String, label: String, against| {
        if !jobs.iter().any(|job| job.quantity.id == id) {
            jobs.push(Job { heading, what, quantity: Quantity::new(id, label, Unit::PerSecond), against });
        }
    };
    for section in sections {
        for (case, against) in &section.lines {
            let floor = match against {
                Against::Raw(floor) => {
                    add(section.heading, *against, floor.id(), floor.label(), None);
                    floor.id()
                }
                Against::Ring(other) => other.id(),
            };
            add(section.heading, Against::Ring(*case), case.id(), case.label(), Some(floor));
        }
    }
    jobs
}

fn measure(common: &Common, jobs: &mut [Job], pins: &[usize]) -> Result<(), Failure> {
    let producers = jobs.iter().map(|job| match job.what {
        Against::Raw(_) => 1,
        Against::Ring(case) => case.producers(),
    });
    let mut pumps = Pumps::start(producers.max().unwrap_or(1), pins)?;
    let bar = common.bar(common.rounds() * jobs.len());
    for _ in 0..common.rounds() {
        for job in &mut *jobs {
            bar.set_message(job.quantity.label.clone());
            let rate = match job.what {
                Against::Raw(floor) => pumps.raw(floor.bytes, floor.batch, floor.capacity, common.time()),
                Against::Ring(case) => pumps.ring(&case, common.time()),
            };
            job.quantity.rounds.push(rate?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    pumps.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        assert_eq!(kind("spsc"), Ok(Kind::Spsc));
        assert_eq!(kind("8"), Ok(Kind::Mpsc(8)));
        assert!(kind("0").is_err() && kind("65").is_err() && kind("mpsc").is_err());
        assert_eq!(slot("1024"), Ok(1016));
        assert!(slot("56").is_err() && slot("4").is_err());
        assert!(batch("0").is_err() && capacity("100").is_err() && capacity("1").is_err());
    }

    #[test]
    fn every_id_is_one_case_and_every_line_has_what_it_is_measured_against() {
        for quick in [false, true] {
            let jobs = jobs(&sweep(quick));
            let ids: Vec<&str> = jobs.iter().map(|job| job.quantity.id.as_str()).collect();
            for (at, job) in jobs.iter().enumerate() {
                assert!(!ids[..at].contains(&ids[at]), "{} twice", ids[at]);
                assert!(job.against.as_deref().is_none_or(|floor| ids.contains(&floor)), "{}", ids[at]);
            }
        }
    }

    #[test]
    fn what_is_named_is_combined() {
        let cases = vary(&[Case::BASE], &[Kind::Spsc, Kind::Mpsc(2)], |case, &kind| case.kind = kind);
        let cases = vary(&cases, &[1, 64], |case, &batch| case.batch = batch);
        assert_eq!(cases.len(), 4);
        assert_eq!(vary(&cases, &[], |case, &wait: &Waiting| case.wait = wait), cases);
    }
}
