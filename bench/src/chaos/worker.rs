//! One client process of a storm: it chats, and notes what it does and sees.

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, atomic::AtomicBool};
use std::time::{Duration, Instant};

use fastrand::Rng;
use halyard_client::{
    Client, ClientOptions, Command, CommandError, Event, Kind, Loss, Reconnect, ServerName,
};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::journal::{Entry, Passed, Told};
use super::log::Log;
use super::message::{self, Id, Life};
use crate::child;
use crate::failure::{Failure, While as _};
use crate::shared::Lines;

/// What a client process is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) server: String,
    pub(crate) slot: u16,
    pub(crate) life: u16,
    pub(crate) seed: u64,
    /// Where its journal is; `None`: it checks what it sees itself and keeps nothing.
    pub(crate) journal: Option<String>,
    /// Where the phases are told.
    pub(crate) board: String,
    pub(crate) ring_capacity: u32,
    /// As halyard's `--policy` has it.
    pub(crate) policy: String,
    pub(crate) clients: u16,
    pub(crate) rooms: u16,
    /// Commands a second.
    pub(crate) rate: u32,
    /// What happens to it while it connects, as [`halyard_ring`]'s fault points write it.
    pub(crate) birth: Option<String>,
}

/// How far a client process is: in its line of the board, beside its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Connected = 1,
    /// All that it said is answered.
    Settled,
    /// All that was said has come.
    Heard,
}

impl Phase {
    pub(crate) fn word(self, life: u16) -> u64 {
        u64::from(life) << 8 | self as u64
    }
}

/// How long a client may look for a server.
const CONNECTING: Duration = Duration::from_secs(60);
/// Commands that wait for their answers before no more are given.
const OPEN_MAX: usize = 64;
/// The longest sleep: orders come through a channel that the wait for events does not know.
const NAP: Duration = Duration::from_millis(2);

/// What an answer is about.
enum Open {
    Text(Id),
    Move,
    Ping,
    Quit,
    Other,
}

struct Worker {
    job: Job,
    life: Life,
    log: Log,
    client: Client,
    rng: Rng,
    board: Lines,
    open: HashMap<u64, Open>,
    /// A change of room is under way: one at a time.
    moving: bool,
    in_room: bool,
    texts: u32,
    renames: u32,
    /// Nicks heard of lately, to send direct messages to.
    heard_of: Vec<String>,
    talking: bool,
    /// Texts of a burst that are still to be said.
    burst: u32,
    next_act: Instant,
    quit: bool,
}

/// The child's side: reads its job and chats until it is told to end.
pub(crate) fn child() -> Result<(), Failure> {
    child::die_with_parent();
    // A signal from the terminal goes to all of a group; the driver decides when a client is to end.
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ignored)).doing("handling signals")?;
    }
    let order = child::next_order()?.unwrap_or_default();
    let job: Job = serde_json::from_str(&order).doing("reading a client's job")?;
    let life = Life { slot: job.slot, life: job.life };
    let worker = Worker::new(job, life)?;
    let result = worker.run(&orders());
    result.map_err(|why| Failure::of(why.exit, format!("{life}: {why}")))
}

/// What the driver writes, line by line.
fn orders() -> Receiver<String> {
    let (sender, orders) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    orders
}

impl Worker {
    fn new(job: Job, life: Life) -> Result<Self, Failure> {
        let log = Log::open(life, job.journal.as_deref())?;
        let board = Lines::open(Path::new(&job.board)).doing("mapping the storm's board")?;
        let rng = Rng::with_seed(job.seed ^ u64::from(life.slot) << 32 ^ u64::from(life.life) << 16);
        let server = ServerName::new(&job.server).doing("reading a client's job")?;
        let options = ClientOptions::new(server, message::nick(life, 0))
            .unique_nick(true)
            .ring_capacity(job.ring_capacity)
            .policy(job.policy.parse().doing("reading a client's job")?)
            .reconnect(Reconnect::Always)
            .connect_timeout(Duration::from_secs(2))
            .answer_timeout(CONNECTING);
        if let Some(birth) = &job.birth {
            child::fault(&format!("fault {birth}"))?;
        }
        let client = connect(&options)?;
        child::fault("calm")?;
        Ok(Self {
            job,
            life,
            log,
            client,
            rng,
            board,
            open: HashMap::new(),
            moving: false,
            in_room: false,
            texts: 0,
            renames: 0,
            heard_of: Vec::new(),
            talking: true,
            burst: 0,
            next_act: Instant::now(),
            quit: false,
        })
    }

    fn reach(&self, phase: Phase) {
        self.board.line(usize::from(self.job.slot)).store(phase.word(self.life.life), Ordering::Release);
    }

    fn run(mut self, orders: &Receiver<String>) -> Result<(), Failure> {
        self.log.note(Entry::Connected { server: self.client.limits().server_pid })?;
        self.reach(Phase::Connected);
        self.enter()?;
        let mut settled = false;
        loop {
            match orders.try_recv() {
                Ok(order) => self.obey(&order)?,
                // The driver is gone.
                Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                Err(mpsc::TryRecvError::Empty) => {}
            }
            let now = Instant::now();
            if self.burst > 0 && self.open.len() < OPEN_MAX {
                self.burst -= 1;
                self.say()?;
            } else if self.talking && now >= self.next_act && self.open.len() < OPEN_MAX {
                self.act()?;
                let pause = 1_000_000 / u64::from(self.job.rate.max(1));
                self.next_act = now + Duration::from_micros(self.rng.u64(0..=2 * pause));
            }
            if !self.talking && !settled && self.open.is_empty() && self.burst == 0 {
                settled = true;
                self.log.note(Entry::Settled)?;
                self.reach(Phase::Settled);
            }
            let idle = if self.burst > 0 && self.open.len() < OPEN_MAX {
                Duration::ZERO
            } else if self.talking {
                self.next_act.saturating_duration_since(Instant::now()).min(NAP)
            } else {
                NAP
            };
            let mut wait = idle;
            loop {
                match self.client.recv_timeout(wait) {
                    Ok(Some(event)) => self.see(event)?,
                    Ok(None) => break,
                    Err(_) if self.quit => {
                        self.log.note(Entry::Quit)?;
                        return self.log.judge();
                    }
                    Err(why) => return Err(Failure::broke("receiving", why)),
                }
                wait = Duration::ZERO;
            }
        }
    }

    fn obey(&mut self, order: &str) -> Result<(), Failure> {
        if child::fault(order)? {
            return Ok(());
        }
        match order.split_once(' ').unwrap_or((order, "")) {
            ("burst", texts) => self.burst += texts.parse::<u32>().doing("reading an order")?,
            ("finish", _) => {
                child::fault("calm")?;
                self.talking = false;
                self.burst = 0;
            }
            ("ping", _) => self.submit(Command::Ping, Open::Ping)?,
            ("quit", _) => {
                self.talking = false;
                self.burst = 0;
                self.quit = true;
                self.submit(Command::Quit, Open::Quit)?;
            }
            ("report", _) => child::reply(&self.log.report())?,
            _ => return Err(Failure::broke("reading an order", order)),
        }
        Ok(())
    }

    /// Does something, more often this than that.
    fn act(&mut self) -> Result<(), Failure> {
        match self.rng.u32(0..100) {
            0..70 => self.say(),
            70..84 => self.tell(),
            84..90 => self.enter(),
            90..92 if !self.moving && self.in_room => {
                self.moving = true;
                self.log.note(Entry::Moves { room: None })?;
                self.submit(Command::Leave, Open::Move)
            }
            92..96 => {
                self.renames += 1;
                let nick = message::nick(self.life, self.renames);
                self.submit(Command::Nick { nick }, Open::Other)
            }
            96..98 => self.submit(Command::Who, Open::Other),
            98 => self.submit(Command::List, Open::Other),
            _ => self.say(),
        }
    }

    fn next_id(&mut self, is_direct: bool) -> Id {
        self.texts += 1;
        Id::new(self.life, self.texts, is_direct)
    }

    fn say(&mut self) -> Result<(), Failure> {
        if !self.in_room && !self.moving {
            return self.enter();
        }
        let id = self.next_id(false);
        self.log.note(Entry::Says { id })?;
        self.submit(Command::Say { text: id.text(), action: false }, Open::Text(id))
    }

    fn tell(&mut self) -> Result<(), Failure> {
        if self.heard_of.is_empty() {
            return self.say();
        }
        let to = self.heard_of[self.rng.usize(0..self.heard_of.len())].clone();
        let Some(life) = message::life_of(&to) else { return Ok(()) };
        let id = self.next_id(true);
        self.log.note(Entry::Tells { id, to: u32::from(life.slot) << 16 | u32::from(life.life) })?;
        self.submit(Command::Dm { to, text: id.text(), action: false }, Open::Text(id))
    }

    fn enter(&mut self) -> Result<(), Failure> {
        if self.moving {
            return Ok(());
        }
        self.moving = true;
        // Most of the time one's own room, so that rooms keep their people.
        let room = if self.rng.u32(0..4) == 0 {
            self.rng.u16(0..self.job.rooms)
        } else {
            self.life.slot % self.job.rooms
        };
        self.log.note(Entry::Moves { room: Some(room) })?;
        self.submit(Command::Join { room: format!("room{room}") }, Open::Move)
    }

    fn submit(&mut self, command: Command, open: Open) -> Result<(), Failure> {
        match self.client.submit(command) {
            Ok(ticket) => {
                self.open.insert(ticket, open);
                Ok(())
            }
            // The end of the event stream, which follows, says why.
            Err(CommandError::Closed) => Ok(()),
            Err(why) => Err(Failure::broke("submitting a command", why)),
        }
    }

    /// Notes what came.
    fn see(&mut self, event: Event) -> Result<(), Failure> {
        let entry = match event {
            Event::Message(message) => {
                self.hear_of(&message.nick);
                let (id, whole) = identity(&message.text);
                let passed = passed(&message.times);
                let (room_id, seq) = (message.room_id, message.seq);
                let entry = Entry::Heard { id, whole, room_id, seq, passed };
                return self.log.note_at(message.times.received_ns, entry);
            }
            Event::Direct(direct) => {
                self.hear_of(&direct.nick);
                let (id, whole) = identity(&direct.text);
                let entry = Entry::Direct { id, whole, passed: passed(&direct.times) };
                return self.log.note_at(direct.times.received_ns, entry);
            }
            Event::Answer(answer) => return self.answered(answer),
            Event::Gap(gap) => {
                let told = gap.told.unwrap_or_default();
                Entry::Gap {
                    first_seq: gap.first_seq,
                    last_seq: gap.last_seq,
                    records: u32::try_from(gap.records()).unwrap_or(u32::MAX),
                    messages: told.messages,
                    others: told.directs + told.others,
                    told: match gap.told {
                        Some(_) => Told::Server,
                        None if gap.at_end => Told::Note,
                        None => Told::Nobody,
                    },
                }
            }
            Event::Unusable(unusable) => Entry::Unusable { number: unusable.number },
            Event::Overrun(events) => Entry::Overrun { events },
            Event::Disconnected(loss) => {
                self.in_room = false;
                Entry::Disconnected { server_died: loss == Loss::ServerDied }
            }
            Event::Reconnected { server_pid, room, .. } => {
                self.in_room = room.is_some();
                Entry::Reconnected { server: server_pid, room: room.as_deref().and_then(room_number) }
            }
            Event::ServerSilent { .. } => Entry::Silence { begins: true },
            Event::ServerBack => Entry::Silence { begins: false },
            Event::GaveUp { why } => return Err(Failure::broke("connecting again", why)),
            Event::Joined(joined) => {
                self.hear_of(&joined.nick);
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.log.note(entry)
    }

    fn hear_of(&mut self, nick: &str) {
        const KNOWN: usize = 8;
        if self.heard_of.len() < KNOWN {
            self.heard_of.push(nick.to_owned());
        } else if self.rng.u32(0..8) == 0 {
            let index = self.rng.usize(0..KNOWN);
            nick.clone_into(&mut self.heard_of[index]);
        }
    }

    fn answered(&mut self, answer: halyard_client::Answer) -> Result<(), Failure> {
        // An answer to nothing is a complaint of the server about a record that bears this client's id.
        let Some(open) = self.open.remove(&answer.command) else {
            return self.log.note(Entry::Unusable { number: 0 });
        };
        if matches!(open, Open::Move) {
            self.moving = false;
        }
        let entry = match (answer.result, open) {
            (Ok(ack), Open::Text(id)) if ack.kind == Kind::Say => {
                Entry::Said { id, room_id: ack.room_id, seq: ack.seq, routed: ack.times.routed_ns }
            }
            (Ok(_), Open::Text(id)) => Entry::Told { id },
            (Ok(ack), Open::Move) if ack.kind == Kind::Join => {
                self.in_room = true;
                let room = room_number(&ack.text).unwrap_or(u16::MAX);
                Entry::Joined { room, room_id: ack.room_id, seq: ack.seq, routed: ack.times.routed_ns }
            }
            (Ok(ack), Open::Move) => {
                self.in_room = false;
                Entry::Left { routed: ack.times.routed_ns }
            }
            (Err(refusal), Open::Text(id)) => Entry::Refused { id, code: refusal.code.wire() },
            (Err(refusal), Open::Move) => Entry::Stayed { code: refusal.code.wire() },
            (Ok(_), Open::Ping) => {
                self.log.note(Entry::Barrier)?;
                self.reach(Phase::Heard);
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.log.note(entry)
    }
}

fn connect(options: &ClientOptions) -> Result<Client, Failure> {
    let begun = Instant::now();
    loop {
        match Client::connect(options) {
            Ok(client) => return Ok(client),
            Err(why) if why.is_temporary() && begun.elapsed() < CONNECTING => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(why) => return Err(Failure::broke("connecting", why)),
        }
    }
}

/// Whose text this is, and whether it is that text to the last byte.
fn identity(text: &str) -> (Id, bool) {
    match Id::of(text) {
        Ok(id) => (id, true),
        Err(id) => (id.unwrap_or(Id(u64::MAX)), false),
    }
}

fn passed(times: &halyard_client::Times) -> Passed {
    Passed { sent: times.sent_ns, routed: times.routed_ns, delivered: times.delivered_ns }
}

fn room_number(name: &str) -> Option<u16> {
    name.strip_prefix("room").and_then(|number| number.parse().ok())
}
