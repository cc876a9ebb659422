//! `halyard-bench fanout`: one client says something, and all members of its room get it.

use std::time::{Duration, Instant};

use clap::Args;
use halyard_client::ServerName;
use halyard_ring::chat::{HEAD, TEXT_MAX};
use hdrhistogram::Histogram;

use crate::common::Common;
use crate::copies;
use crate::crowd::Crowd;
use crate::failure::Failure;
use crate::figures::{self, Quantity, Series, Unit};
use crate::host::{Host, Needs, raise_file_limit};
use crate::interrupt;
use crate::relay::Waiting;
use crate::results::Results;

/// Measure what it takes to deliver a message to every member of a room, beside a bare loop that copies the same bytes
/// into as many rings
///
/// --wait is how the server waits, adaptive by default; --pin is where its broadcasters run, by default where it puts
/// them.
#[derive(Args, Debug)]
pub(crate) struct Fanout {
    #[command(flatten)]
    common: Common,
    /// Members of the room, the sender among them [default: 1,16,128,1000; with --quick 1,16,128]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4000))]
    members: Vec<u16>,
    /// Bytes of text in a message
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = text_bytes)]
    text: usize,
    /// Records that each member's reply ring holds, a power of two
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = capacity)]
    capacity: u32,
    /// Broadcaster threads of the server [default: the server's]
    #[arg(long, value_name = "N")]
    broadcasters: Option<usize>,
    /// To at most how many clients the server's router delivers by itself, while a broadcaster is idle [default: the
    /// server's]
    #[arg(long, value_name = "N")]
    direct: Option<u32>,
}

/// A text that fits one record: several are another measurement.
pub(crate) fn text_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| (1..=128).contains(bytes));
    bytes.ok_or_else(|| {
        format!("a number from 1 to 128: longer texts (up to {TEXT_MAX}) take several records")
    })
}

pub(crate) fn capacity(text: &str) -> Result<u32, String> {
    let records = text.parse().ok().filter(|records: &u32| records.is_power_of_two() && *records >= 32);
    records.ok_or_else(|| "a power of two, at least 32".to_owned())
}

/// The one strategy that the server's threads wait by.
pub(crate) fn one_way(common: &Common) -> Result<Waiting, Failure> {
    match common.ways(&[Waiting::Adaptive])[..] {
        [waiting] => Ok(waiting),
        _ => Err(Failure::usage("--wait: one strategy is needed here")),
    }
}

/// The members' nicks, and so how many bytes of each record are nick.
const NICK: &str = "m0000";

impl Fanout {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let sizes = match (&self.members[..], self.common.quick()) {
            ([], false) => &[1, 16, 128, 1000][..],
            ([], true) => &[1, 16, 128],
            (chosen, _) => chosen,
        };
        raise_file_limit();
        let waiting = one_way(&self.common)?;
        let needs = |members: u16| Needs {
            clients: u32::from(members) + 8,
            rooms: 8,
            wait: waiting.name().to_owned(),
            broadcasters: self.broadcasters,
            pin: self.common.pins().of_server(),
            in_ring_order: false,
            direct: self.direct,
        };
        let about = format!(
            "One client says {} bytes of text, every member of its room receives them; all members are sessions of one \
             thread, each with a reply ring of {} records. `To the last`: one message at a time, from SAY until the \
             last member has read it. `Deliveries`: as many as members read in a second while the sender keeps up to \
             {} messages under way. `Cost`: the server's time for one delivery while only the sender reads, from the routing of \
             the first of a burst of messages to the delivery of its last. The floor: one thread copies the same \
             bytes into as many bare rings, a sequence number in each slot, while another thread takes them out \
             (deliveries), or waits (cost).",
            self.text,
            self.capacity,
            window(self.capacity)
        );
        let mut results = Results::new("fanout", vec![about]);
        let rounds = self.common.rounds();
        let bar = self.common.bar(sizes.len() * (1 + 2 * rounds));
        let mut cases = Vec::new();
        for &members in sizes {
            bar.set_message(format!("{members} members connect"));
            let id = format!("fanout.{members}");
            cases.push((
                Room::open(&needs(members), members.into(), self.capacity)?,
                Figures::new(&id, members),
            ));
            bar.inc(1);
        }
        let text = "x".repeat(self.text);
        for _ in 0..rounds {
            for at in 0..cases.len() {
                for (room, _) in &mut cases {
                    room.crowd.beat();
                }
                let (room, figures) = &mut cases[at];
                bar.set_message(format!("{} members, bare copies", room.crowd.len()));
                let used = HEAD + NICK.len() + text.len();
                let bare = copies::measure(room.crowd.len(), self.capacity, used, &[], self.common.time())?;
                figures.floor_rate.rounds.push(bare.rate);
                figures.floor_cost.rounds.push(bare.cost_ns);
                bar.inc(1);
                bar.set_message(format!("{} members", room.crowd.len()));
                figures.add(room.measure(&text, self.common.time())?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        for (room, figures) in cases {
            figures.into_results(&mut results);
            room.close()?;
        }
        self.common.finish(results)
    }
}

/// How many messages may be under way: half of a ring, so that nothing is lost.
fn window(capacity: u32) -> u64 {
    u64::from(capacity / 2)
}

/// What is measured for one size of room.
struct Figures {
    members: String,
    last: Series,
    rate: Quantity,
    cost: Quantity,
    floor_rate: Quantity,
    floor_cost: Quantity,
}

impl Figures {
    fn new(id: &str, members: u16) -> Self {
        let label = if members == 1 { "1 member".to_owned() } else { format!("{members} members") };
        let rate = |id: String, label: String| Quantity::new(id, label, Unit::PerSecond);
        let cost = |id: String, label: String| Quantity::new(id, label, Unit::Ns);
        Self {
            members: label.clone(),
            last: Series::new(format!("{id}.last"), format!("{label}, to the last")),
            rate: rate(format!("{id}.rate"), format!("{label}, deliveries")),
            cost: cost(format!("{id}.cost"), format!("{label}, cost of a delivery")),
            floor_rate: rate(format!("{id}.copies.rate"), format!("{label}, bare copies")),
            floor_cost: cost(format!("{id}.copies.cost"), format!("{label}, cost of a bare copy")),
        }
    }

    fn add(&mut self, measured: Measured) {
        self.last.rounds.push(measured.last);
        self.rate.rounds.push(measured.rate);
        self.cost.rounds.push(measured.cost_ns);
    }

    fn into_results(self, results: &mut Results) {
        results.section(format!("{} in the room", self.members));
        let (rate, cost) = (self.floor_rate.id.clone(), self.floor_cost.id.clone());
        results.add_alone(self.last);
        results.add_alone(self.floor_rate);
        results.add(self.rate, &rate);
        results.add_alone(self.floor_cost);
        results.add(self.cost, &cost);
    }
}

/// How long the first delivery of a stream is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// One round of one size.
pub(crate) struct Measured {
    pub(crate) last: Histogram<u64>,
    pub(crate) rate: f64,
    pub(crate) cost_ns: f64,
}

/// A server, and a room on it whose members all are clients of this thread.
pub(crate) struct Room {
    host: Host,
    pub(crate) crowd: Crowd,
    capacity: u32,
    /// Messages said so far.
    said: u64,
}

impl Room {
    pub(crate) fn open(needs: &Needs, members: usize, capacity: u32) -> Result<Self, Failure> {
        let host = Host::start(needs, None)?;
        let mut crowd = Crowd::default();
        let server: &ServerName = host.name();
        for member in 0..members {
            // The sender gets an answer with each message of its own.
            let capacity = if member == 0 { 4 * capacity } else { capacity };
            crowd.connect(server, &format!("m{member:04}"), capacity)?;
        }
        crowd.join(0, members, "bench")?;
        Ok(Self { host, crowd, capacity, said: 0 })
    }

    pub(crate) fn close(self) -> Result<(), Failure> {
        drop(self.crowd);
        self.host.stop()
    }

    /// One round of all three.
    pub(crate) fn measure(&mut self, text: &str, time: Duration) -> Result<Measured, Failure> {
        let last = self.one_by_one(text, time)?;
        self.stream(text, time / 4)?;
        let rate = self.stream(text, time)?;
        Ok(Measured { last, rate, cost_ns: self.bursts(text, time)? })
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.said += 1;
        self.crowd.say(0, text)
    }

    /// Waits until all have all. Returns when the last one had.
    fn settle(&mut self) -> Result<u64, Failure> {
        let mut last = 0;
        for member in 0..self.crowd.len() {
            last = self.crowd.await_message(member, self.said)?;
        }
        Ok(last)
    }

    pub(crate) fn one_by_one(&mut self, text: &str, time: Duration) -> Result<Histogram<u64>, Failure> {
        let mut histogram = figures::histogram();
        let begun = Instant::now();
        // At least one, however little of the processor this process was given.
        while begun.elapsed() < time + time / 4 || histogram.is_empty() {
            interrupt::check()?;
            self.say(text)?;
            let last = self.settle()?;
            if begun.elapsed() >= time / 4 {
                let took = last.saturating_sub(self.crowd.stamps(self.crowd.len() - 1).sent);
                histogram.saturating_record(took.max(1));
            }
        }
        Ok(histogram)
    }

    /// Deliveries a second while everybody reads.
    pub(crate) fn stream(&mut self, text: &str, time: Duration) -> Result<f64, Failure> {
        let window = window(self.capacity);
        let members = self.crowd.len();
        let (mut slowest, mut received) = (self.said, 0);
        let begun = Instant::now();
        // Until something came, on a machine too busy for that within the time.
        while begun.elapsed() < time || received == 0 && begun.elapsed() < PATIENCE {
            interrupt::check()?;
            let mut moved = false;
            while self.said - slowest < window {
                self.say(text)?;
                moved = true;
            }
            slowest = self.said;
            for member in 0..members {
                let taken = self.crowd.drain(member)?;
                moved |= taken > 0;
                received += taken;
                slowest = slowest.min(self.crowd.heard(member));
            }
            if !moved {
                std::thread::yield_now();
            }
        }
        let elapsed = begun.elapsed();
        self.settle()?;
        Ok(received as f64 / elapsed.as_secs_f64())
    }

    /// Nanoseconds of the server for one delivery while only the sender reads.
    fn bursts(&mut self, text: &str, time: Duration) -> Result<f64, Failure> {
        let burst = window(self.capacity);
        let members = self.crowd.len();
        let (mut spent_ns, mut deliveries) = (0, 0u64);
        let begun = Instant::now();
        while begun.elapsed() < time {
            interrupt::check()?;
            self.crowd.mark(0, self.said + 1);
            for _ in 0..burst {
                self.say(text)?;
            }
            // Waits for the sender's own copy of the last message before it looks at any other ring.
            self.settle()?;
            let last = (0..members).map(|member| self.crowd.stamps(member).delivered).max().unwrap_or(0);
            spent_ns += last.saturating_sub(self.crowd.marked(0).routed);
            deliveries += burst * members as u64;
        }
        Ok(spent_ns as f64 / deliveries.max(1) as f64)
    }
}
