//! `halyard-bench peers`: the same work through what one would pick instead.

mod event;
mod inprocess;
mod kernel;
mod ring;
mod trips;

use std::time::Duration;

use clap::{Args, ValueEnum};
use halyard_ring::cpus;
use hdrhistogram::Histogram;
use serde_json::json;

use self::inprocess::Flow;
use crate::common::Common;
use crate::failure::Failure;
use crate::figures::{Quantity, Series, Unit};
use crate::line;
use crate::place::{check_pins, on_own_thread};
use crate::relay::Waiting;
use crate::results::Results;

/// Measure what one would pick instead of the ring: pipes, sockets, message queues, events, and in-process rings
///
/// Round trips: a 56-byte message between two threads of one process and back, each pinned to a processor of its own (or
/// to the two that --pin names): through a bare cache line, through two of Halyard's rings in shared memory, and through
/// each peer, which blocks in the kernel as its manual would have it. Two processes would use the same calls. The rings
/// wait by spinning, adaptively and by blocking, unless --wait says otherwise; only the blocking one gives its processor
/// away at once, as the peers do.
///
/// Throughput in one process: 56-byte records a second through Halyard's ring on the heap, rtrb and crossbeam's
/// ArrayQueue, 1,024 slots each, beside a bare copy loop with one producer; one producer spins, several yield. Every
/// message and every record is checked. A peer that this machine does not have is left out, and named.
#[derive(Args, Debug)]
pub(crate) struct Peers {
    #[command(flatten)]
    common: Common,
    /// Only these, beside the cache line, the bare loops and the ring
    #[arg(long, value_name = "PEER,…", value_delimiter = ',', value_enum)]
    only: Vec<Peer>,
}

/// What is measured beside the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Two pipes
    Pipe,
    /// A pair of Unix stream sockets
    Unix,
    /// A pair of Unix seqpacket sockets
    Seqpacket,
    /// TCP over the loopback interface, TCP_NODELAY
    Tcp,
    /// Two POSIX message queues
    Mq,
    /// Shared memory, an eventfd each way
    Eventfd,
    /// Shared memory of the crate shared_memory, an event of raw_sync each way
    RawSync,
    /// The crates rtrb and crossbeam-queue, between threads
    InProcess,
}

impl Peer {
    /// Those whose round trips are measured.
    const KERNEL: [Self; 7] =
        [Self::Pipe, Self::Unix, Self::Seqpacket, Self::Tcp, Self::Mq, Self::Eventfd, Self::RawSync];

    fn id(self) -> &'static str {
        match self {
            Self::Pipe => "peers.pipe",
            Self::Unix => "peers.unix",
            Self::Seqpacket => "peers.seqpacket",
            Self::Tcp => "peers.tcp",
            Self::Mq => "peers.mq",
            Self::Eventfd => "peers.eventfd",
            Self::RawSync => "peers.raw-sync",
            Self::InProcess => "peers.in-process",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Pipe => "pipes",
            Self::Unix => "Unix stream sockets",
            Self::Seqpacket => "Unix seqpacket sockets",
            Self::Tcp => "TCP over loopback",
            Self::Mq => "POSIX message queues",
            Self::Eventfd => "shared memory and eventfds",
            Self::RawSync => "shared_memory and raw_sync events",
            Self::InProcess => "rings in one process",
        }
    }

    /// Measures round trips. The caller is pinned to the first processor.
    fn trips(self, pair: [usize; 2], time: Duration) -> Result<Histogram<u64>, Failure> {
        match self {
            Self::Pipe => trips::between(pair, kernel::pipes()?, time),
            Self::Unix => trips::between(pair, kernel::unix()?, time),
            Self::Seqpacket => trips::between(pair, kernel::seqpacket()?, time),
            Self::Tcp => trips::between(pair, kernel::tcp()?, time),
            Self::Mq => trips::between(pair, kernel::queues()?, time),
            Self::Eventfd => trips::between(pair, kernel::eventfds()?, time),
            Self::RawSync => {
                let owner = event::events()?;
                trips::between(pair, owner.ends(), time)
            }
            Self::InProcess => Err(Failure::usage("rings in one process have no round trips here")),
        }
    }
}

const FLOOR: &str = "line.threads";

/// A line of the round trips.
struct Trip {
    what: Through,
    series: Series,
}

#[derive(Clone, Copy)]
enum Through {
    Line,
    Ring(Waiting),
    Peer(Peer),
}

impl Peers {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let cpus = cpus();
        let pair = self.common.pins().pair(&cpus)?;
        let pins = self.common.pins().or(&cpus);
        check_pins(&pins, &cpus)?;
        let about = format!(
            "Round trips of a {}-byte message between two threads of one process on processors {} and {}, every byte \
             compared; the floor is an 8-byte value through two bare cache lines between two such threads, spinning \
             without pause. The rings lie in shared memory and wait as said; the peers block in the kernel.",
            trips::BYTES,
            pair[0],
            pair[1]
        );
        let flows =
            "In one process: records a second, counted by the consumer, which checks each; one producer and \
                     the consumer spin, several producers yield. The bare loops have one producer."
                .to_owned();
        let mut results = Results::new("peers", vec![about, flows]);
        let wanted = |peer| self.only.is_empty() || self.only.contains(&peer);
        let mut peers: Vec<Peer> = Peer::KERNEL.into_iter().filter(|&peer| wanted(peer)).collect();
        let left_out = on_own_thread(&pair, || self.leave_out(&mut peers, pair))?;
        let mut trips = self.trips(&peers);
        let in_process = wanted(Peer::InProcess);
        let all = if in_process { Flow::all(self.common.quick()) } else { Vec::new() };
        let mut flows: Vec<(String, Flow, Quantity)> = all
            .into_iter()
            .map(|(heading, flow)| (heading, flow, Quantity::new(flow.id(), flow.label(), Unit::PerSecond)))
            .collect();
        on_own_thread(&pins, || self.measure(pair, &pins, &mut trips, &mut flows))?;
        results.section("Round trips");
        for Trip { what, series } in trips {
            match what {
                Through::Line => results.add_alone(series),
                _ => results.add(series, FLOOR),
            }
        }
        for (heading, flow, quantity) in flows {
            results.section(heading);
            match flow.floor() {
                Some(floor) => results.add(quantity, &floor.id()),
                None => results.add_alone(quantity),
            }
        }
        results.detail("left_out", json!(left_out));
        self.common.finish(results)
    }

    /// Tries each peer. Takes out those that this machine does not have, unless they were asked for by name.
    fn leave_out(&self, peers: &mut Vec<Peer>, pair: [usize; 2]) -> Result<Vec<String>, Failure> {
        let mut left_out = Vec::new();
        let mut there = Vec::new();
        for &peer in &*peers {
            match peer.trips(pair, Duration::ZERO) {
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

    fn trips(&self, peers: &[Peer]) -> Vec<Trip> {
        let ways = self.common.ways(&[Waiting::Spin, Waiting::Adaptive, Waiting::Block]);
        let line = Trip { what: Through::Line, series: Series::new(FLOOR, "cache line, two threads") };
        let rings = ways.into_iter().map(|waiting| {
            let name = waiting.name();
            let series = Series::new(format!("peers.ring.{name}"), format!("Halyard's rings, {name}"));
            Trip { what: Through::Ring(waiting), series }
        });
        let peers = peers
            .iter()
            .map(|&peer| Trip { what: Through::Peer(peer), series: Series::new(peer.id(), peer.label()) });
        std::iter::once(line).chain(rings).chain(peers).collect()
    }

    fn measure(
        &self,
        pair: [usize; 2],
        pins: &[usize],
        trips: &mut [Trip],
        flows: &mut [(String, Flow, Quantity)],
    ) -> Result<(), Failure> {
        let time = self.common.time();
        let bar = self.common.bar(self.common.rounds() * (trips.len() + flows.len()));
        for _ in 0..self.common.rounds() {
            for Trip { what, series } in &mut *trips {
                bar.set_message(series.label.clone());
                series.rounds.push(match *what {
                    Through::Line => line::between_threads(pair, time),
                    Through::Ring(waiting) => ring::trips(pair, waiting.wait(), time),
                    Through::Peer(peer) => peer.trips(pair, time),
                }?);
                bar.inc(1);
            }
            for (_, flow, quantity) in &mut *flows {
                bar.set_message(quantity.label.clone());
                quantity.rounds.push(flow.measure(pins, time)?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }
}
