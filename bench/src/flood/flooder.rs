//! What the honest clients have beside them: a process that floods the control ring in one way or another, or one that
//! merely takes a processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use halyard_client::session::{self, Receiver, Sender};
use halyard_client::{ClientOptions, Event, ServerName};
use halyard_ring::chat::{Kind, LeaveReason, OverflowPolicy, Record, SCHEMA, control_ring, reply_ring};
use halyard_ring::{Beat, Consumer, PopError, Producer, PushError, Ring, RingOptions};
use serde::{Deserialize, Serialize};

use crate::child;
use crate::failure::{Failure, While as _};

/// Commands that the one which heeds its window has under way at any time: as many as the client library lets a
/// program have.
const UNDER_WAY: u64 = 32;
/// Records that the raw one pushes before it looks for answers.
const BURST: u32 = 256;

/// What such a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Way {
    /// Spins, and has nothing to do with the server.
    Burn,
    /// A client of the library with as much under way as it may have, all the time.
    Heed,
    /// A client that pushes commands as fast as it can, heeds nothing, and says HELLO again when it is thrown out.
    Raw,
    /// No client at all: pushes commands of an id that nobody has as fast as it can.
    Stray,
}

/// What it begins with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) server: String,
    pub(super) way: Way,
}

/// What it did so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Did {
    /// Records that it put into the control ring.
    pub(super) pushed: u64,
    /// Its commands that were carried out.
    pub(super) served: u64,
    /// How often its session was ended for flooding.
    pub(super) thrown_out: u64,
    /// How often its HELLO was refused.
    pub(super) refused: u64,
}

#[derive(Default)]
struct Counts {
    pushed: AtomicU64,
    served: AtomicU64,
    thrown_out: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn read(&self) -> Did {
        let [pushed, served, thrown_out, refused] =
            [&self.pushed, &self.served, &self.thrown_out, &self.refused]
                .map(|count| count.load(Ordering::Relaxed));
        Did { pushed, served, thrown_out, refused }
    }
}

/// One thread writes them.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// Works until its standard input ends; to each line it answers with what it [`Did`] so far.
pub(crate) fn child() -> Result<(), Failure> {
    child::die_with_parent();
    let Some(order) = child::next_order()? else { return Ok(()) };
    let job: Job = serde_json::from_str(&order).doing("reading an order")?;
    let server = ServerName::new(&job.server).doing("reading an order")?;
    let (counts, over) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let working = {
        let (counts, over) = (Arc::clone(&counts), Arc::clone(&over));
        thread::spawn(move || work(&server, job.way, &counts, &over))
    };
    while child::next_order()?.is_some() && !working.is_finished() {
        child::reply(&serde_json::to_string(&counts.read()).doing("writing an answer")?)?;
    }
    over.store(true, Ordering::Relaxed);
    working.join().expect("a flooder does not panic")
}

fn work(server: &ServerName, way: Way, counts: &Counts, over: &AtomicBool) -> Result<(), Failure> {
    match way {
        Way::Burn => {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            Ok(())
        }
        Way::Heed => heed(server, counts, over),
        Way::Raw | Way::Stray => Raw::open(server)?.flood(way, counts, over),
    }
}

fn heed(server: &ServerName, counts: &Counts, over: &AtomicBool) -> Result<(), Failure> {
    let options = ClientOptions::new(server.clone(), "flooder");
    let (mut sender, mut receiver): (Sender, Receiver) =
        session::connect(&options).doing("connecting the flooder")?;
    let mut answered = 0;
    while !over.load(Ordering::Relaxed) {
        while counts.pushed.load(Ordering::Relaxed) < answered + UNDER_WAY {
            sender.ping().doing("flooding")?;
            add(&counts.pushed, 1);
        }
        let event = receiver.recv_with(Duration::from_millis(100), |event| match event {
            Event::Answer(answer) => Ok(u64::from(answer.result.is_ok())),
            Event::Goodbye(_) | Event::Gap(_) => Err(format!("{event:?}")),
            _ => Ok(0),
        });
        if let Some(served) = event.doing("flooding")? {
            let served = served.doing("flooding")?;
            answered += served;
            add(&counts.served, served);
        }
    }
    Ok(())
}

/// A client that is written badly, or for harm.
struct Raw {
    server: ServerName,
    control: Producer<Record>,
    rings: u64,
    session: Option<Session>,
    /// What it pushes: of the session that it has, or of the last one that it had.
    ping: Record,
}

/// A reply ring and what came of it.
struct Session {
    ring: Ring<Record>,
    consumer: Consumer<Record>,
    welcome: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ring.close();
        // The server removes what is left of those that it let in.
        let _ = self.ring.unlink();
    }
}

impl Raw {
    fn open(server: &ServerName) -> Result<Self, Failure> {
        let control = Ring::<Record>::open(&control_ring(server)).doing("opening the control ring")?;
        let control = control.producer().doing("attaching to the control ring")?;
        let mut ping = Record::new(Kind::Ping);
        ping.client = u32::MAX;
        ping.command = 1;
        Ok(Self { server: server.clone(), control, rings: 0, session: None, ping })
    }

    fn flood(mut self, way: Way, counts: &Counts, over: &AtomicBool) -> Result<(), Failure> {
        while !over.load(Ordering::Relaxed) {
            if way == Way::Raw && self.session.is_none() {
                self.say_hello()?;
            }
            let mut pushed = 0;
            for _ in 0..BURST {
                self.ping.command += 1;
                match self.control.try_push_prefix(&self.ping, self.ping.used()) {
                    Ok(()) => pushed += 1,
                    Err(PushError::Full(())) => {}
                    Err(error) => return Err(Failure::broke("flooding", error)),
                }
            }
            add(&counts.pushed, pushed);
            self.listen(counts);
        }
        Ok(())
    }

    fn say_hello(&mut self) -> Result<(), Failure> {
        self.rings += 1;
        let name = reply_ring(&self.server, &format!("flood-{}-{}", std::process::id(), self.rings))
            .doing("naming a reply ring")?;
        let options = RingOptions::spsc(1024).schema(SCHEMA);
        let ring = Ring::<Record>::create(&name, &options).doing("making a reply ring")?;
        let consumer = ring.consumer().doing("attaching to a reply ring")?;
        ring.beat(Beat::Creator);
        let hello = Record::hello("flooder", name.as_str(), OverflowPolicy::Drop, 0, self.rings);
        // Its own flood may be in the way.
        let _ = self.control.push_prefix_timeout(&hello, hello.used(), Duration::from_secs(1));
        self.session = Some(Session { ring, consumer, welcome: false });
        Ok(())
    }

    /// Reads what has come.
    fn listen(&mut self, counts: &Counts) {
        let Some(session) = &mut self.session else { return };
        session.ring.beat(Beat::Creator);
        let is_over = loop {
            let record = match session.consumer.try_pop() {
                Ok(record) => record,
                Err(PopError::Empty) => break false,
                Err(_) => break true,
            };
            match Kind::from_wire(record.kind) {
                Some(Kind::Welcome) => {
                    session.welcome = true;
                    (self.ping.client, self.ping.generation) = (record.client, record.generation);
                    self.ping.command = 1;
                }
                Some(Kind::Refused) => {
                    add(&counts.refused, 1);
                    break true;
                }
                Some(Kind::Ack) => add(&counts.served, 1),
                Some(Kind::Goodbye) if record.code == LeaveReason::Flooded.wire() => {
                    add(&counts.thrown_out, 1);
                }
                _ => {}
            }
        };
        if is_over {
            self.session = None;
        }
    }
}
