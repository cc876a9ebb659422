//! `halyard-bench soak`: steady load for a long time, and whether anything grows.

mod growth;
mod sample;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use self::sample::{Sample, Taken};
use crate::chaos::field::Options;
use crate::chaos::happening::Tally;
use crate::chaos::plan::{Schedule, Weather};
use crate::chaos::residue;
use crate::chaos::storm::{self, Storm};
use crate::common::Output;
use crate::failure::{DIFFERENT, Failure};
use crate::figures::{Series, Unit};
use crate::machine::Machine;
use crate::progress;
use crate::results::Results;

/// Let clients chat for a long time, some of them killed and stopped, and fail if anything grows
///
/// A storm without haste: joins, leaves, renames, direct messages, kills, stops, quits. Two of the clients stay from the
/// beginning to the end and are left alone. Every client checks what it receives as it comes. Once a minute, or twelve
/// times in a shorter run, the server's and the two clients' memory, mappings, descriptors and threads and the latencies
/// of the last minute are written down. A straight line is laid through the later two thirds of each; if it has grown by
/// more than its bound, or a promise was broken, or the server is not back where it began at the end, the exit code is 1.
#[derive(Args, Debug)]
pub(crate) struct Soak {
    /// How long, in minutes
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
    /// How long, in seconds, instead of minutes
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = clap::value_parser!(u32).range(12..=600_000))]
    seconds: Option<u32>,
    /// Client processes, two of which stay
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(3..=200))]
    clients: u16,
    /// Commands of each client in a second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Mean pause between two faults of one client, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(50..=600_000))]
    every: u32,
    /// What the schedule follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Let the server leak so many bytes at each sample, to see that it is found
    #[arg(long, value_name = "BYTES", hide = true)]
    plant_leak: Option<usize>,
    #[command(flatten)]
    output: Output,
}

/// The clients that stay.
const RESIDENTS: u16 = 2;
/// Samples in a run of less than twelve minutes.
const SAMPLES: u32 = 12;
/// How long a client may take to connect.
const CONNECTING: Duration = Duration::from_secs(60);

/// What came of it.
struct Outcome {
    samples: Vec<Sample>,
    /// What has grown, or was broken.
    wrong: Vec<String>,
    storm: Tally,
    series: Series,
}

impl Soak {
    fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds.unwrap_or(self.minutes * 60)))
    }

    pub(crate) fn run(&self) -> Result<(), Failure> {
        let server = storm::server_name()?;
        let outcome = self.soak(&server);
        if outcome.is_err() {
            residue::sweep(&server);
        }
        let outcome = outcome?;
        let results = self.results(&outcome);
        self.output.deliver(&results.document(), |document| self.text(&outcome, &document.machine))?;
        match outcome.wrong.first() {
            None => Ok(()),
            Some(wrong) => Err(Failure::of(DIFFERENT, wrong)),
        }
    }

    fn soak(&self, server: &halyard_client::ServerName) -> Result<Outcome, Failure> {
        let length = self.length();
        let weather = Weather {
            clients: self.clients,
            seconds: length.as_secs() as u32,
            server_kills: 0,
            server_stops: 0,
            scribbles: 0,
            every_ms: self.every,
            hang_ms: None,
        };
        let mut schedule = Schedule::new(self.seed, &weather);
        schedule.clients.iter_mut().take(RESIDENTS.into()).for_each(Vec::clear);
        let options = Options {
            seed: self.seed,
            clients: self.clients,
            rooms: (self.clients / 4).max(1),
            broadcasters: 2,
            rate: self.rate,
            hang: halyard_server::Config::default().hang,
            journal_entries: None,
        };
        let board = storm::board(self.clients)?;
        let mut storm = Storm::begin(&options, server, &board, schedule)?;
        let begun = Instant::now();
        while !storm.all_connected() && begun.elapsed() < CONNECTING {
            storm.rage(Duration::from_millis(20), |_| ())?;
        }
        let interval = (length / SAMPLES).min(Duration::from_secs(60));
        let bar = self.output.bar(length.as_secs() as usize);
        let mut series = Series::new("soak.delivery", "SAY to receipt, a round each interval");
        let (mut samples, mut wrong) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        while begun.elapsed() + interval / 2 < length && wrong.is_empty() && storm.field.violations.is_empty()
        {
            if let (Some(bytes), Some(server)) = (self.plant_leak, storm.server()) {
                server.order(&format!("leak {bytes}"))?;
            }
            let (before, mut drawn) = (begun.elapsed(), Duration::ZERO);
            storm.rage(interval, |now| {
                if now - drawn >= progress::EVERY {
                    drawn = now;
                    bar.set_position((before + now).as_secs());
                }
            })?;
            if !storm.field.violations.is_empty() {
                break;
            }
            let Taken { sample, latency, violations } = Sample::take(&mut storm, begun.elapsed(), RESIDENTS)?;
            series.rounds.push(latency);
            samples.push(sample);
            wrong.extend(violations);
        }
        bar.finish_and_clear();
        let begin = storm.begin;
        let (field, held) = storm.end()?;
        wrong.extend(field.violations.iter().map(ToString::to_string));
        if !held.is_back_at(&begin) && wrong.is_empty() {
            wrong.push(format!("the server has {held}; at the beginning it had {begin}"));
        }
        wrong.extend(growth::grown(&samples, self.clients));
        Ok(Outcome { samples, wrong, storm: Tally::of(&field.counts), series })
    }

    fn results(&self, outcome: &Outcome) -> Results {
        let about =
            "A soak: what a server and two clients that stay hold of the system, and their latencies.";
        let mut results = Results::new("soak", vec![about.to_owned()]);
        results.add_alone(outcome.series.clone());
        let detail = |value: Result<Value, serde_json::Error>| value.expect("samples hold numbers");
        results.detail("seconds", detail(serde_json::to_value(self.length().as_secs())));
        results.detail("clients", detail(serde_json::to_value(self.clients)));
        results.detail("seed", detail(serde_json::to_value(self.seed)));
        results.detail("storm", detail(serde_json::to_value(outcome.storm)));
        results.detail("samples", detail(serde_json::to_value(&outcome.samples)));
        results.detail("wrong", detail(serde_json::to_value(&outcome.wrong)));
        results.detail("holds", Value::Bool(outcome.wrong.is_empty()));
        results
    }

    fn text(&self, outcome: &Outcome, machine: &Machine) -> String {
        let mut text = format!("{machine}\n{}", Sample::head());
        for sample in &outcome.samples {
            text += &sample.row();
        }
        let messages: u64 = outcome.samples.iter().map(|sample| sample.messages).sum();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}, {messages} messages checked by the two that stayed", outcome.storm);
        for wrong in &outcome.wrong {
            let _ = writeln!(text, "{wrong}");
        }
        if let (true, Some(first), Some(last)) =
            (outcome.wrong.is_empty(), outcome.samples.first(), outcome.samples.last())
        {
            let memory = |sample: &Sample| Unit::Bytes.show(sample.server.anonymous as f64);
            let _ = writeln!(
                text,
                "Nothing has grown: the server's own memory {} → {}.",
                memory(first),
                memory(last)
            );
        }
        text
    }
}
