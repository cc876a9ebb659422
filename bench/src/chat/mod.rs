//! `halyard-bench chat`: a message from SAY to its delivery, through a real server process.

mod closed;
mod open;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use halyard_client::session::{self, Receiver, Sender};
use halyard_client::{ClientOptions, Event, Times};
use halyard_ring::chat::TEXT_MAX;
use hdrhistogram::Histogram;

use crate::chain::{self, Pace};
use crate::common::Common;
use crate::failure::{Failure, While as _};
use crate::figures::{self, Quantity, Series, Unit};
use crate::host::{Host, Needs};
use crate::relay::{self, Waiting};
use crate::results::Results;
use closed::closed_loop;
use open::{Opened, open_loop};

/// Measure a message from SAY to delivery through a server process: one after the other beside a bare relay of as many
/// threads, and at given rates beside a bare chain of as many sleeping threads
///
/// --wait is how the server's threads, the client's and the relay's wait, adaptive by default; --pin is where the
/// server's broadcasters run, by default where the server puts them.
#[derive(Args, Debug)]
pub(crate) struct Chat {
    #[command(flatten)]
    common: Common,
    /// Messages a second of the open loop; 0 for no open loop
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', default_value = "100,10000",
        value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    rate: Vec<u32>,
    /// Which ways through the server are measured
    #[arg(
        long,
        value_name = "WAY,…",
        value_delimiter = ',',
        value_enum,
        default_value = "broadcaster,direct"
    )]
    way: Vec<Way>,
    /// Bytes of text in each message
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = text_bytes)]
    text: usize,
    /// Run this program as the server, with halyard-server's options, instead of the server built in here
    #[arg(long, value_name = "PROGRAM")]
    server_bin: Option<PathBuf>,
}

fn text_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| (1..=TEXT_MAX).contains(bytes));
    bytes.ok_or_else(|| format!("a number from 1 to {TEXT_MAX}"))
}

/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The way of a message through the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// The router delivers by itself, as it does while a broadcaster is idle
    Direct,
    /// The router hands each message to a broadcaster
    Broadcaster,
}

impl Way {
    /// Threads that a message passes: sender, router, perhaps a broadcaster, receiver.
    fn threads(self) -> usize {
        match self {
            Self::Direct => 3,
            Self::Broadcaster => 4,
        }
    }

    /// Of these, how many sleep until a message comes: all but the sender.
    fn sleeps(self) -> usize {
        self.threads() - 1
    }

    /// The part of ids that tells the one from the other.
    fn id(self, waiting: Waiting) -> String {
        match self {
            Self::Direct => format!("chat.{}.direct", waiting.name()),
            Self::Broadcaster => format!("chat.{}", waiting.name()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Broadcaster => "through a broadcaster",
        }
    }

    /// For the server: see `Config::direct`.
    fn limit(self) -> u32 {
        match self {
            Self::Direct => u32::MAX,
            Self::Broadcaster => 0,
        }
    }
}

/// The time from SAY to delivery, and its three stages.
struct Parts {
    delivery: Series,
    stages: [Series; 3],
}

impl Parts {
    fn new(id: &str) -> Self {
        let series = |part: &str, label: &str| Series::new(format!("{id}.{part}"), format!("  {label}"));
        Self {
            delivery: series("delivery", "of it: SAY to delivery"),
            stages: [
                series("stage.router", "SAY to router"),
                series("stage.broadcaster", "router to reply ring"),
                series("stage.receiver", "reply ring to receiver"),
            ],
        }
    }

    fn add(&mut self, heard: Heard) {
        self.delivery.rounds.push(heard.delivery);
        for (series, stage) in self.stages.iter_mut().zip(heard.stages) {
            series.rounds.push(stage);
        }
    }

    fn into_report(self, results: &mut Results) {
        results.add_alone(self.delivery);
        self.stages.into_iter().for_each(|stage| results.add_alone(stage));
    }
}

/// The closed loop under one wait strategy.
struct Closed {
    way: Way,
    waiting: Waiting,
    relay: Series,
    whole: Series,
    parts: Parts,
}

impl Closed {
    fn new(way: Way, waiting: Waiting) -> Self {
        let (how, threads, id) = (waiting.name(), way.threads(), way.id(waiting));
        Self {
            way,
            waiting,
            relay: Series::new(
                format!("relay.{threads}.{how}"),
                format!("bare relay of {threads} threads, {how}"),
            ),
            whole: Series::new(format!("{id}.loop"), format!("chat loop of {threads} threads, {how}")),
            parts: Parts::new(&id),
        }
    }
}

/// The open loop at one rate under one wait strategy.
struct Open {
    way: Way,
    waiting: Waiting,
    rate: u32,
    chain: Series,
    whole: Series,
    parts: Parts,
    server_cpu: Quantity,
    client_cpu: Quantity,
}

impl Open {
    fn new(way: Way, waiting: Waiting, rate: u32) -> Self {
        let (how, sleeps) = (waiting.name(), way.sleeps());
        let id = format!("{}.open.{rate}", way.id(waiting));
        let label = format!("chat at {rate} a second, {how}");
        let cpu = |who: &str| {
            Quantity::new(
                format!("{id}.cpu.{who}"),
                format!("{label}: {who}'s processor"),
                Unit::PercentOfCore,
            )
        };
        Self {
            way,
            waiting,
            rate,
            chain: Series::new(
                format!("chain.{sleeps}.{how}.{rate}"),
                format!("bare chain of {sleeps} sleeps, {rate} a second"),
            ),
            whole: Series::new(format!("{id}.whole"), label.clone()),
            parts: Parts::new(&id),
            server_cpu: cpu("server"),
            client_cpu: cpu("client"),
        }
    }

    fn add(&mut self, opened: Opened) {
        self.whole.rounds.push(opened.whole);
        self.parts.add(opened.heard);
        self.server_cpu.rounds.push(opened.server_cpu);
        self.client_cpu.rounds.push(opened.client_cpu);
    }
}

impl Chat {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let rounds = self.common.rounds();
        let ways = self.common.ways(&[Waiting::Adaptive]);
        let both = || ways.iter().flat_map(|&waiting| self.way.iter().map(move |&way| (way, waiting)));
        let mut closed: Vec<Closed> = both().map(|(way, waiting)| Closed::new(way, waiting)).collect();
        let rates = || self.rate.iter().filter(|rate| **rate > 0);
        let mut open: Vec<Open> = both()
            .flat_map(|(way, waiting)| rates().map(move |&rate| Open::new(way, waiting, rate)))
            .collect();
        let bar = self.common.bar(rounds * (closed.len() + open.len()) * 2);
        let text = "x".repeat(self.text);
        let mut results = Results::new("chat", self.about(!open.is_empty()));
        for _ in 0..rounds {
            for case in &mut closed {
                bar.set_message(case.relay.label.clone());
                case.relay.rounds.push(relay::measure(
                    case.way.threads(),
                    case.waiting,
                    &[],
                    self.common.time(),
                )?);
                bar.inc(1);
                bar.set_message(case.whole.label.clone());
                let measured = self.through_server(case.way, case.waiting, |sender, receiver, _| {
                    closed_loop(sender, receiver, case.waiting, &text, self.common.time())
                })?;
                case.whole.rounds.push(measured.whole);
                case.parts.add(measured.heard);
                bar.inc(1);
            }
            for case in &mut open {
                // A histogram of a few messages would be none.
                let least = if self.common.quick() { 20 } else { 100 };
                let pace = || Pace::new(case.rate, self.common.time(), least);
                bar.set_message(case.chain.label.clone());
                case.chain.rounds.push(chain::checked(case.way.sleeps(), pace())?);
                bar.inc(1);
                bar.set_message(case.whole.label.clone());
                let opened = self.through_server(case.way, case.waiting, |sender, receiver, server| {
                    open_loop(sender, receiver, pace(), &text, server)
                })?;
                case.add(opened);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        for case in closed {
            results.section(format!("Closed loop, {}, {}", case.waiting.name(), case.way.name()));
            let floor = case.relay.id.clone();
            results.add_alone(case.relay);
            results.add(case.whole, &floor);
            case.parts.into_report(&mut results);
        }
        for case in open {
            let (how, way) = (case.waiting.name(), case.way.name());
            results.section(format!("{} messages a second, {how}, {way}", case.rate));
            let floor = case.chain.id.clone();
            results.add_alone(case.chain);
            results.add(case.whole, &floor);
            case.parts.into_report(&mut results);
            results.add_alone(case.server_cpu);
            results.add_alone(case.client_cpu);
        }
        self.common.finish(results)
    }

    fn about(&self, is_open: bool) -> Vec<String> {
        let mut about = vec![format!(
            "A closed loop: a client's sender says {} bytes of text, the server (another process) passes it on, the \
             client's receiver gets it and hands back to the sender through a cache line. In the server it takes two \
             threads, router and broadcaster, or the router delivers by itself. The floor is a bare token through as \
             many threads of one process, four or three, that wait in the same way.",
            self.text
        )];
        if is_open {
            about.push(
                "An open loop: the sender says a message whenever one is due, and each is measured from when it was \
                 due, so that nothing that keeps the sender waiting is hidden. The floor is a thread that wakes by \
                 the same clock and a chain of bare semaphores, on each of which a thread sleeps: as many as there \
                 are threads between the sender and the end."
                    .to_owned(),
            );
        }
        about
    }

    fn through_server<T>(
        &self,
        way: Way,
        waiting: Waiting,
        work: impl FnOnce(&mut Sender, &mut Receiver, u32) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        through_server(
            Some(way.limit()),
            waiting,
            self.common.pins().of_server(),
            self.server_bin.as_deref(),
            work,
        )
    }
}

/// One round: a server of its own, so that no other one's threads run meanwhile. `work` also gets its process. `direct`:
/// see [`Needs`].
fn through_server<T>(
    direct: Option<u32>,
    waiting: Waiting,
    pin: Option<Vec<usize>>,
    bin: Option<&Path>,
    work: impl FnOnce(&mut Sender, &mut Receiver, u32) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let needs = Needs {
        clients: 8,
        rooms: 8,
        wait: waiting.name().to_owned(),
        broadcasters: Some(1),
        pin,
        in_ring_order: false,
        direct,
    };
    let host = Host::start(&needs, bin)?;
    let options = ClientOptions::new(host.name().clone(), "sender").wait(waiting.wait());
    let (mut sender, mut receiver) = session::connect(&options).doing("connecting to the server")?;
    let joined = sender.join("bench").doing("joining a room")?;
    await_join(&mut receiver, joined)?;
    let measured = work(&mut sender, &mut receiver, host.pid());
    sender.quit().doing("leaving the server")?;
    drop((sender, receiver));
    host.stop()?;
    measured
}

/// One round of the closed loop through a server of its own whose threads are not pinned: the whole loop, and SAY to
/// delivery.
pub(crate) fn loop_through_server(
    waiting: Waiting,
    text: &str,
    time: Duration,
) -> Result<[Histogram<u64>; 2], Failure> {
    // Through a broadcaster: as many threads as the relay beside it has.
    let measured = through_server(
        Some(Way::Broadcaster.limit()),
        waiting,
        Some(Vec::new()),
        None,
        |sender, receiver, _| closed_loop(sender, receiver, waiting, text, time),
    )?;
    Ok([measured.whole, measured.heard.delivery])
}

/// One round of the closed loop.
struct Measured {
    whole: Histogram<u64>,
    heard: Heard,
}

/// What the receiver measures.
struct Heard {
    delivery: Histogram<u64>,
    /// From SAY to the router, from there into the reply ring, from there to the receiver.
    stages: [Histogram<u64>; 3],
}

impl Heard {
    fn new() -> Self {
        Self { delivery: figures::histogram(), stages: [(); 3].map(|()| figures::histogram()) }
    }

    fn record(&mut self, times: Times, now: u64) {
        let stamps = [times.sent_ns, times.routed_ns, times.delivered_ns, now];
        self.delivery.saturating_record(now.saturating_sub(times.sent_ns).max(1));
        for (stage, pair) in self.stages.iter_mut().zip(stamps.windows(2)) {
            stage.saturating_record(pair[1].saturating_sub(pair[0]).max(1));
        }
    }
}

fn await_join(receiver: &mut Receiver, command: u64) -> Result<(), Failure> {
    loop {
        let answer = receiver.recv_with(PATIENCE, |event| match event {
            Event::Answer(answer) if answer.command == command => {
                Some(answer.result.map(|_| ()).map_err(|refusal| refusal.text.to_owned()))
            }
            _ => None,
        });
        match answer.doing("joining a room")? {
            Some(Some(result)) => return result.doing("joining a room"),
            Some(None) => {}
            None => return Err(Failure::broke("joining a room", "the server does not answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        assert_eq!(text_bytes("4096"), Ok(4096));
        assert!(text_bytes("0").is_err() && text_bytes("4097").is_err());
    }
}
