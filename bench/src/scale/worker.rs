//! One process of `scale`: it holds its share of the clients and does with them what it is told.

use std::hash::{BuildHasher as _, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::ServerName;
use serde::{Deserialize, Serialize};

use crate::crowd::Crowd;
use crate::failure::{Failure, While as _};
use crate::host::raise_file_limit;
use crate::{child, figures, usage};

/// What a process begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) server: String,
    pub(super) process: u32,
    pub(super) rooms: u32,
    pub(super) clients: u32,
    pub(super) capacity: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Connect all clients, and put them into their rooms: [`Connected`].
    Connect,
    /// Let them talk, one message at a time: [`Talked`].
    Talk { ms: u64 },
    /// Do nothing but what keeps the sessions alive: [`Rested`].
    Rest { ms: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Connected {
    /// How long each connection took.
    pub(super) connect: String,
    /// Bytes by which this process's own memory grew.
    pub(super) grown: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Talked {
    /// From SAY until a member had read it, for every member.
    pub(super) delivery: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rested {
    /// Processor time of this process meanwhile.
    pub(super) used_ns: u64,
}

/// How often an idle client shows that it lives: half of what servers ask for by default.
const BEAT: Duration = Duration::from_millis(250);
/// What is said: 64 bytes.
const TEXT: &str = "The quick brown fox jumps over the lazy dog and runs away, fast.";

/// Works until its standard input ends.
pub(crate) fn child() -> Result<(), Failure> {
    child::die_with_parent();
    raise_file_limit();
    let Some(job) = child::next_order()? else { return Ok(()) };
    let job: Job = serde_json::from_str(&job).doing("reading an order")?;
    let mut worker = Worker { crowd: Crowd::default(), job, random: RandomState::new().hash_one(0u8) | 1 };
    while let Some(order) = child::next_order()? {
        let answer = match serde_json::from_str(&order).doing("reading an order")? {
            Order::Connect => serde_json::to_string(&worker.connect()?),
            Order::Talk { ms } => serde_json::to_string(&worker.talk(Duration::from_millis(ms))?),
            Order::Rest { ms } => serde_json::to_string(&worker.rest(Duration::from_millis(ms))?),
        };
        child::reply(&answer.doing("writing an answer")?)?;
    }
    Ok(())
}

struct Worker {
    crowd: Crowd,
    job: Job,
    random: u64,
}

impl Worker {
    /// The clients of a room stand together: those from `start` to the next room's.
    fn start_of(&self, room: u32) -> usize {
        (u64::from(room) * u64::from(self.job.clients) / u64::from(self.job.rooms)) as usize
    }

    fn connect(&mut self) -> Result<Connected, Failure> {
        let server = ServerName::new(&self.job.server).doing("reading an order")?;
        let before = usage::private_bytes(std::process::id())?;
        let mut connect = figures::histogram();
        for client in 0..self.job.clients {
            let nick = format!("c{}-{client}", self.job.process);
            let took = self.crowd.connect(&server, &nick, self.job.capacity)?;
            connect.saturating_record(took.as_nanos() as u64);
        }
        let grown = (usage::private_bytes(std::process::id())? - before).max(0.0);
        for room in 0..self.job.rooms {
            let name = format!("room-{}-{room}", self.job.process);
            self.crowd.join(self.start_of(room), self.start_of(room + 1), &name)?;
        }
        Ok(Connected { connect: figures::encode(&connect), grown })
    }

    /// A number below `below`, from a xorshift generator: any spread will do.
    fn below(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    fn talk(&mut self, time: Duration) -> Result<Talked, Failure> {
        let mut delivery = figures::histogram();
        let begun = Instant::now();
        // A quarter more in front, to warm up.
        while begun.elapsed() < time + time / 4 {
            let room = self.below(self.job.rooms.into()) as u32;
            let (first, end) = (self.start_of(room), self.start_of(room + 1));
            let speaker = first + self.below((end - first) as u64) as usize;
            let heard = self.crowd.heard(first);
            self.crowd.say(speaker, TEXT)?;
            for member in first..end {
                let now = self.crowd.await_message(member, heard + 1)?;
                if begun.elapsed() >= time / 4 {
                    delivery.saturating_record(now.saturating_sub(self.crowd.stamps(member).sent).max(1));
                }
            }
        }
        Ok(Talked { delivery: figures::encode(&delivery) })
    }

    fn rest(&mut self, time: Duration) -> Result<Rested, Failure> {
        let own = std::process::id();
        let (begun, before) = (Instant::now(), usage::cpu(own)?);
        loop {
            self.crowd.beat();
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            thread::sleep(left.min(BEAT));
        }
        let used = usage::cpu(own)?.saturating_sub(before);
        Ok(Rested { used_ns: used.as_nanos() as u64 })
    }
}
