//! Brokers in Halyard's place: a chat through Redis or NATS, beside one through Halyard's server.

mod client;
mod process;
mod talk;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use halyard_ring::chat::HEAD;
use hdrhistogram::Histogram;

use self::client::Members;
use self::process::Server;
use self::talk::{Room, TEXT};
use crate::common::Common;
use crate::failure::Failure;
use crate::fanout::Room as Fanout;
use crate::figures::{Quantity, Series, Unit};
use crate::host::{Needs, raise_file_limit};
use crate::relay::{self, Waiting};
use crate::results::Results;
use crate::{chat, copies};

/// A broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broker {
    Redis,
    Nats,
}

impl Broker {
    pub(super) const ALL: [Self; 2] = [Self::Redis, Self::Nats];

    /// Its name for people; in ids it is in lower case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Nats => "NATS",
        }
    }

    /// Its server's program.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Nats => "nats-server",
        }
    }

    /// It, with its program, if that is on PATH.
    pub(super) fn find(self) -> Option<Found> {
        Some(Found { broker: self, program: process::find(self.program())? })
    }
}

/// A broker that this machine has.
#[derive(Clone, Debug)]
pub(super) struct Found {
    broker: Broker,
    program: PathBuf,
}

impl Found {
    /// What its server says about itself.
    pub(super) fn version(&self) -> Result<String, Failure> {
        self.broker.version(&self.program)
    }

    fn start(&self) -> Result<Server, Failure> {
        Server::start(self.broker, &self.program)
    }

    /// One round of the closed loop.
    fn chat(&self, waiting: Waiting, time: Duration) -> Result<[Histogram<u64>; 2], Failure> {
        let server = self.start()?;
        let subscriber = server.connect()?.into_subscriber(TEXT)?;
        let measured = talk::closed_loop(server.connect()?.into_publisher()?, subscriber, waiting, time)?;
        server.stop()?;
        Ok(measured)
    }

    /// One round of fan-out.
    fn fan_out(&self, members: u16, time: Duration) -> Result<(Histogram<u64>, f64), Failure> {
        let server = self.start()?;
        let mut all = Members::new()?;
        for _ in 0..members {
            all.add(server.connect()?.into_subscriber(TEXT)?)?;
        }
        let mut room = Room::new(server.connect()?.into_publisher()?, all);
        let last = room.one_by_one(time)?;
        room.stream(time / 4)?;
        let rate = room.stream(time)?;
        drop(room);
        server.stop()?;
        Ok((last, rate))
    }
}

/// What a message or a room goes through.
#[derive(Clone, Debug)]
enum Through {
    Halyard,
    Broker(Found),
}

impl Through {
    fn name(&self) -> &'static str {
        match self {
            Self::Halyard => "Halyard",
            Self::Broker(found) => found.broker.name(),
        }
    }
}

/// One at a time through one of them.
struct Chat {
    through: Through,
    whole: Series,
    delivery: Series,
}

/// A room in one of them.
struct Fan {
    through: Through,
    last: Series,
    rate: Quantity,
}

/// A size of room: the bare copies, and the rooms.
struct Size {
    members: u16,
    bare: Quantity,
    fans: Vec<Fan>,
}

const RELAY: usize = 4;
/// Records of a member's reply ring: what `fanout` has.
const CAPACITY: u32 = 64;
/// The members' nicks are as long as this.
const NICK: usize = 5;

/// What is compared, in sentences.
pub(super) fn about() -> String {
    format!(
        "Through a server: {TEXT} bytes of text, published by one thread and read by another, which hands back through a \
         cache line before the next one; the floor is a token through {RELAY} threads. Fan-out: one thread publishes and \
         reads all members' sockets or rings, `to the last` one message at a time, `deliveries` with as many under way as \
         suit the server; the floor is a thread that copies the bytes into as many bare rings, while another takes them \
         out. Redis speaks over a Unix socket and keeps nothing, NATS over the loopback interface with TCP_NODELAY; \
         publishers ask for no answers and send what is under way in one write. Nothing is pinned."
    )
}

/// Measures these brokers beside Halyard's server, in every round.
pub(super) fn measure(common: &Common, brokers: &[Found], results: &mut Results) -> Result<(), Failure> {
    raise_file_limit();
    // Their clients sleep in the kernel until something comes; ours wait as is their default.
    let waiting = Waiting::Adaptive;
    let time = common.time();
    let all = || std::iter::once(Through::Halyard).chain(brokers.iter().cloned().map(Through::Broker));
    let mut floor =
        Series::new(format!("relay.{RELAY}.adaptive"), format!("bare relay of {RELAY} threads, adaptive"));
    let mut chats: Vec<Chat> = all().map(Chat::new).collect();
    let members: &[u16] = if common.quick() { &[16] } else { &[16, 128, 1000] };
    let mut sizes: Vec<Size> = members.iter().map(|&members| Size::new(members, all())).collect();
    let steps = 1 + chats.len() + sizes.iter().map(|size| 1 + size.fans.len()).sum::<usize>();
    let bar = common.bar(common.rounds() * steps);
    let text = "x".repeat(TEXT);
    for _ in 0..common.rounds() {
        bar.set_message(floor.label.clone());
        floor.rounds.push(relay::measure(RELAY, waiting, &[], time)?);
        bar.inc(1);
        for chat in &mut chats {
            bar.set_message(chat.whole.label.clone());
            let [whole, delivery] = match &chat.through {
                Through::Halyard => chat::loop_through_server(waiting, &text, time)?,
                Through::Broker(found) => found.chat(waiting, time)?,
            };
            chat.whole.rounds.push(whole);
            chat.delivery.rounds.push(delivery);
            bar.inc(1);
        }
        for Size { members, bare, fans } in &mut sizes {
            bar.set_message(bare.label.clone());
            let used = HEAD + NICK + TEXT;
            bare.rounds.push(copies::measure(usize::from(*members), CAPACITY, used, &[], time)?.rate);
            bar.inc(1);
            for fan in fans {
                bar.set_message(fan.rate.label.clone());
                let (last, rate) = match &fan.through {
                    Through::Halyard => halyard(*members, &text, time)?,
                    Through::Broker(found) => found.fan_out(*members, time)?,
                };
                fan.last.rounds.push(last);
                fan.rate.rounds.push(rate);
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    results.section("Through a server, one message at a time");
    let relay = floor.id.clone();
    results.add_alone(floor);
    for chat in chats {
        results.add(chat.whole, &relay);
        results.add_alone(chat.delivery);
    }
    for Size { members, bare, fans } in sizes {
        results.section(format!("Fan-out to {members} members"));
        let floor = bare.id.clone();
        results.add_alone(bare);
        let (last, rates): (Vec<Series>, Vec<Quantity>) =
            fans.into_iter().map(|fan| (fan.last, fan.rate)).unzip();
        rates.into_iter().for_each(|rate| results.add(rate, &floor));
        last.into_iter().for_each(|last| results.add_alone(last));
    }
    Ok(())
}

impl Chat {
    fn new(through: Through) -> Self {
        let name = through.name();
        let id = name.to_lowercase();
        Self {
            whole: Series::new(format!("brokers.{id}.loop"), format!("{name}, publish, receive, hand back")),
            delivery: Series::new(format!("brokers.{id}.delivery"), "  of it: publish to receive"),
            through,
        }
    }
}

impl Size {
    fn new(members: u16, all: impl Iterator<Item = Through>) -> Self {
        let fan = |through: Through| {
            let name = through.name();
            let id = format!("brokers.{}.{members}", name.to_lowercase());
            Fan {
                last: Series::new(format!("{id}.last"), format!("{name}, to the last")),
                rate: Quantity::new(format!("{id}.rate"), format!("{name}, deliveries"), Unit::PerSecond),
                through,
            }
        };
        let bare = Quantity::new(format!("brokers.copies.{members}.rate"), "bare copies", Unit::PerSecond);
        Self { members, bare, fans: all.map(fan).collect() }
    }
}

/// One round of fan-out through Halyard's server. The sender is a member, too.
fn halyard(members: u16, text: &str, time: Duration) -> Result<(Histogram<u64>, f64), Failure> {
    let needs = Needs {
        clients: u32::from(members) + 8,
        rooms: 8,
        wait: Waiting::Adaptive.name().to_owned(),
        broadcasters: None,
        pin: Some(Vec::new()),
        in_ring_order: false,
        direct: None,
    };
    let mut room = Fanout::open(&needs, members.into(), CAPACITY)?;
    let last = room.one_by_one(text, time)?;
    room.stream(text, time / 4)?;
    let rate = room.stream(text, time)?;
    room.close()?;
    Ok((last, rate))
}
