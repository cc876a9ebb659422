//! `halyard-bench peers`: the same work through what one would pick instead.

mod brokers;
mod event;
#[cfg(feature = "peers")]
mod iceoryx;
mod inprocess;
mod kernel;
mod peer;
mod ring;
mod stream;
mod sysv;
mod trips;

use std::time::Duration;

use clap::Args;
use halyard_ring::cpus;
use serde_json::json;

use self::brokers::{Broker, Found};
use self::inprocess::{Carrier, Flow};
use self::peer::Peer;
use self::stream::Stream;
use self::trips::Trips;
use crate::common::Common;
use crate::failure::Failure;
use crate::figures::{Quantity, Series, Unit};
use crate::line;
use crate::place::{check_pins, on_own_thread};
use crate::relay::Waiting;
use crate::results::{Measured, Results};

/// Measure what one would pick instead of the ring: pipes, sockets, message queues, events, iceoryx2, in-process rings;
/// and brokers instead of the server
///
/// Round trips: a 56-byte message between two threads of one process and back, each pinned to a processor of its own (or
/// to the two that --pin names): through a bare cache line, through two of Halyard's rings in shared memory, and through
/// each peer, which blocks in the kernel as its manual would have it (iceoryx2 polls, and blocks with events). Two
/// processes would use the same calls. The rings wait by spinning, adaptively and by blocking, unless --wait says
/// otherwise; only the blocking one gives its processor away at once, as the kernel's peers do.
///
/// One way: 56-byte messages a second between two such threads, through those that can have more than one under way.
///
/// Throughput in one process: 56-byte records a second through Halyard's ring on the heap, rtrb and crossbeam's
/// ArrayQueue, 1,024 slots each, beside a bare copy loop with one producer; one producer spins, several yield. Every
/// message and every record is checked. A peer that this machine does not have is left out, and named.
///
/// With --brokers also a chat and fan-out through redis-server and nats-server, which are started for it with a socket
/// or a port of their own, beside Halyard's server. If neither is on PATH, or one that --only names is not, the exit code
/// is 69.
#[derive(Args, Debug)]
pub(crate) struct Peers {
    #[command(flatten)]
    common: Common,
    /// Only these, beside the floors and Halyard
    #[arg(long, value_name = "PEER,…", value_delimiter = ',', value_enum)]
    only: Vec<Peer>,
    /// Also Redis and NATS, where their servers are on PATH
    #[arg(long)]
    brokers: bool,
}

const FLOOR: &str = "line.threads";

/// A line of the results between two threads.
struct Job {
    heading: String,
    what: What,
    into: Measured,
    floor: Option<String>,
}

#[derive(Clone, Copy)]
enum What {
    Line,
    RingTrips(Waiting),
    Trips(Peer),
    RingStream(Waiting),
    Stream(Peer),
    Flow(Flow),
}

/// The bare loop that a stream is measured against.
const BARE: Flow = Flow { carrier: Carrier::Bare, producers: 1, batch: 1 };

impl Peers {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let cpus = cpus();
        let pair = self.common.pins().pair(&cpus)?;
        let pins = self.common.pins().or(&cpus);
        check_pins(&pins, &cpus)?;
        let (brokers, mut left_out) = self.brokers()?;
        let wanted = |peer| self.only.contains(&peer) || self.only.is_empty();
        let mut peers: Vec<Peer> = Peer::TRIPS.into_iter().filter(|&peer| wanted(peer)).collect();
        left_out.extend(on_own_thread(&pair, || self.leave_out(&mut peers, pair))?);
        let mut jobs = self.jobs(&peers, wanted(Peer::InProcess));

        let mut about = Vec::new();
        if !peers.is_empty() {
            about.push(format!(
                "Between two threads of one process on processors {} and {}: round trips of a {}-byte message, and \
                 messages a second one way, every message checked. The floors are an 8-byte value through two bare cache \
                 lines, spinning without pause, and a bare copy loop with a sequence number in each slot. The rings lie \
                 in shared memory and wait as said; iceoryx2 polls; the others block in the kernel.",
                pair[0],
                pair[1],
                trips::BYTES
            ));
        }
        if wanted(Peer::InProcess) {
            about.push(
                "In one process: records a second, counted by the consumer, which checks each; one producer and \
                 the consumer spin, several producers yield. The bare loops have one producer."
                    .to_owned(),
            );
        }
        if !brokers.is_empty() {
            about.push(brokers::about());
        }
        let mut results = Results::new("peers", about);
        on_own_thread(&pins, || self.measure(pair, &pins, &mut jobs))?;
        for Job { heading, into, floor, .. } in jobs {
            results.section(heading);
            match floor {
                Some(floor) => results.add(into, &floor),
                None => results.add_alone(into),
            }
        }
        if !brokers.is_empty() {
            brokers::measure(&self.common, &brokers, &mut results)?;
            let versions = brokers.iter().map(Found::version).collect::<Result<Vec<_>, _>>()?;
            results.detail("brokers", json!(versions));
        }
        results.detail("left_out", json!(left_out));
        self.common.finish(results)
    }

    /// The brokers to measure, and in words those that are not on PATH.
    fn brokers(&self) -> Result<(Vec<Found>, Vec<String>), Failure> {
        let named: Vec<Broker> = self.only.iter().filter_map(|peer| peer.broker()).collect();
        let all: &[Broker] = if self.brokers { &Broker::ALL } else { &named };
        let (mut found, mut left_out) = (Vec::new(), Vec::new());
        for &broker in all {
            match broker.find() {
                Some(there) => found.push(there),
                None => left_out.push(format!("{} is not on PATH", broker.program())),
            }
        }
        let is_missing = |broker: &Broker| named.contains(broker) && broker.find().is_none();
        if found.is_empty() && !all.is_empty() || named.iter().any(is_missing) {
            return Err(Failure::broke("measuring brokers", left_out.join(", ")));
        }
        for what in &left_out {
            eprintln!("halyard-bench: {what}");
        }
        Ok((found, left_out))
    }

    /// Tries each peer. Takes out those that this machine does not have, unless they were asked for by name.
    fn leave_out(&self, peers: &mut Vec<Peer>, pair: [usize; 2]) -> Result<Vec<String>, Failure> {
        let mut left_out = Vec::new();
        let mut there = Vec::new();
        for &peer in &*peers {
            match peer.with(Trips { pair, time: Duration::ZERO }) {
                Ok(_) => there.push(peer),
                Err(why) if !self.only.is_empty() => return Err(why),
                Err(why) => {
                    eprintln!("halyard-bench: without {}: {why}", peer.label());
                    left_out.push(format!("{}: {why}", peer.label()));
                }
            }
        }
        *peers = there;
        Ok(left_out)
    }

    fn jobs(&self, peers: &[Peer], in_process: bool) -> Vec<Job> {
        let ways = self.common.ways(&[Waiting::Spin, Waiting::Adaptive, Waiting::Block]);
        let mut jobs = Vec::new();
        let mut trips = |what, id: String, label: String, floor: Option<&str>| {
            let (heading, floor) = ("Round trips".to_owned(), floor.map(str::to_owned));
            jobs.push(Job { heading, what, into: Series::new(id, label).into(), floor });
        };
        let ring = |way: &Waiting| format!("Halyard's rings, {}", way.name());
        if !peers.is_empty() {
            trips(What::Line, FLOOR.to_owned(), "cache line, two threads".to_owned(), None);
            for way in &ways {
                let id = format!("peers.ring.{}", way.name());
                trips(What::RingTrips(*way), id, ring(way), Some(FLOOR));
            }
            for peer in peers {
                let id = format!("peers.{}", peer.name());
                trips(What::Trips(*peer), id, peer.label().to_owned(), Some(FLOOR));
            }
        }
        let mut rates = |heading: &str, what, id: String, label: String, floor: Option<String>| {
            let into = Quantity::new(id, label, Unit::PerSecond).into();
            jobs.push(Job { heading: heading.to_owned(), what, into, floor });
        };
        let streams: Vec<Peer> = peers.iter().copied().filter(|peer| peer.streams()).collect();
        if !streams.is_empty() {
            let (heading, floor) = ("One way, one at a time", "peers.one-way.bare");
            rates(heading, What::Flow(BARE), floor.to_owned(), BARE.label(), None);
            for way in &ways {
                let id = format!("peers.one-way.ring.{}", way.name());
                rates(heading, What::RingStream(*way), id, ring(way), Some(floor.to_owned()));
            }
            for peer in streams {
                let id = format!("peers.one-way.{}", peer.name());
                rates(heading, What::Stream(peer), id, peer.label().to_owned(), Some(floor.to_owned()));
            }
        }
        for (heading, flow) in if in_process { Flow::all(self.common.quick()) } else { Vec::new() } {
            let floor = flow.floor().map(Flow::id);
            rates(&heading, What::Flow(flow), flow.id(), flow.label(), floor);
        }
        jobs
    }

    fn measure(&self, pair: [usize; 2], pins: &[usize], jobs: &mut [Job]) -> Result<(), Failure> {
        let time = self.common.time();
        let (trips, stream) = (Trips { pair, time }, Stream { pair, time });
        let bar = self.common.bar(self.common.rounds() * jobs.len());
        for _ in 0..self.common.rounds() {
            for Job { what, into, .. } in &mut *jobs {
                let label = into.label().to_owned();
                bar.set_message(label.clone());
                // Of many peers, which one.
                let named = |failure: Failure| Failure::of(failure.exit, format_args!("{label}: {failure}"));
                match into {
                    Measured::Latency(series) => series.rounds.push(
                        match *what {
                            What::RingTrips(way) => ring::with(way.wait(), trips),
                            What::Trips(peer) => peer.with(trips),
                            _ => line::between_threads(pair, time),
                        }
                        .map_err(named)?,
                    ),
                    Measured::Quantity(quantity) => quantity.rounds.push(
                        match *what {
                            What::RingStream(way) => ring::with(way.wait(), stream),
                            What::Stream(peer) => peer.with(stream),
                            What::Flow(flow) => flow.measure(pins, time),
                            _ => continue,
                        }
                        .map_err(named)?,
                    ),
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }
}
