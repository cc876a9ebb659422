//! The driver: a server, its clients, and what is done to them as the schedule says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use halyard_client::{ClientOptions, ServerName, session};
use halyard_ring::chat::control_ring;
use halyard_ring::{RingView, monotonic_ns};
use serde::Serialize;

use super::check::{Fault, Past, Violation, Wrong};
use super::message::Life;
use super::plan::{Birth, Passage, Schedule, ServerStep};
use super::residue::{self, Holdings};
use super::slot::Slot;
use super::worker::{Job, Phase};
use crate::child::Child;
use crate::failure::{Failure, While as _};
use crate::host::{Host, Needs};
use crate::interrupt;
use crate::shared::{Lines, Words};

/// What a storm is made of.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) clients: u16,
    pub(crate) rooms: u16,
    pub(crate) broadcasters: usize,
    /// Commands of a client in a second.
    pub(crate) rate: u32,
    /// After how long without a sign of life the server drops a client.
    pub(crate) hang: Duration,
    /// Entries of each client's journal; `None`: clients check what they see themselves.
    pub(crate) journal_entries: Option<usize>,
}

/// Something that happened, as it is counted and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Happening {
    Kill,
    KillAtPoint,
    Stop,
    StopAtPoint,
    GoOn,
    Quit,
    Gone,
    Overflow,
    Armed,
    ServerKill,
    ServerKillAtPoint,
    ServerStart,
    Calm,
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "is killed",
            Self::KillAtPoint => "is killed at the point",
            Self::Stop => "is stopped",
            Self::StopAtPoint => "stops at the point",
            Self::GoOn => "goes on",
            Self::Quit => "is told to quit",
            Self::Gone => "has quit",
            Self::Overflow => "overflows",
            Self::Armed => "has a point armed",
            Self::ServerKill => "the server is killed",
            Self::ServerKillAtPoint => "the server is killed at the point",
            Self::ServerStart => "a server starts",
            Self::Calm => "the storm is over",
        })
    }
}

/// One line of the timeline.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Moment {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub(crate) at: u64,
    pub(crate) who: Option<String>,
    pub(crate) what: Happening,
    pub(crate) detail: String,
}

/// What all clients' places share.
pub(crate) struct Field<'a> {
    pub(crate) options: &'a Options,
    server: &'a ServerName,
    board: &'a Lines,
    /// When it began.
    pub(crate) start: u64,
    /// How long a round of looks takes at most, as seen lately.
    pub(crate) tick_ns: u64,
    pub(crate) journal_entries: Option<usize>,
    /// Nobody comes any more.
    pub(crate) is_over: bool,
    pub(crate) pasts: Vec<Past>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) timeline: Vec<Moment>,
    pub(crate) counts: BTreeMap<Happening, u64>,
    pub(crate) violations: Vec<Violation>,
}

impl Field<'_> {
    pub(crate) fn fault(&mut self, fault: Fault) -> usize {
        self.faults.push(fault);
        self.faults.len() - 1
    }

    pub(crate) fn happens(&mut self, who: Option<Life>, what: Happening, detail: impl fmt::Display) {
        *self.counts.entry(what).or_default() += 1;
        let (who, detail) = (who.map(|life| life.to_string()), detail.to_string());
        self.timeline.push(Moment { at: monotonic_ns(), who, what, detail });
    }

    pub(crate) fn arms(&mut self, who: Option<Life>, at: Passage) {
        self.happens(who, Happening::Armed, at);
    }

    /// What a client is told to do. Its ring and what becomes of records that it does not take differ from life to
    /// life, as the seed says.
    pub(crate) fn job(&self, life: Life, journal: Option<&Words>, birth: Option<Birth>) -> Job {
        let mut rng = fastrand::Rng::with_seed(
            self.options.seed.rotate_left(17) ^ u64::from(life.slot) << 16 ^ u64::from(life.life),
        );
        let policy = ["drop", "block:100", "spill:200"][rng.usize(0..3)].to_owned();
        Job {
            server: self.server.to_string(),
            slot: life.slot,
            life: life.life,
            seed: self.options.seed,
            journal: journal.map(Words::path),
            board: self.board.path(),
            ring_capacity: [32, 64, 256, 1024][rng.usize(0..4)],
            policy,
            clients: self.options.clients,
            rooms: self.options.rooms,
            rate: self.options.rate,
            birth: birth.map(|Birth { at, stop_ms }| {
                format!("{}:{}@{}", at.point, if stop_ms.is_some() { "stop" } else { "kill" }, at.nth)
            }),
        }
    }
}

/// What the server is at.
enum Reign {
    Up,
    /// A fault point is armed; given up then.
    Armed {
        until: u64,
        rest_ms: u32,
    },
    /// Nobody serves until then; the fault's index.
    Down {
        until: u64,
        fault: usize,
    },
}

/// A storm over a real server.
pub(crate) struct Storm<'a> {
    pub(crate) field: Field<'a>,
    slots: Vec<Slot>,
    host: Option<Host>,
    reign: Reign,
    server_steps: std::collections::VecDeque<ServerStep>,
    needs: Needs,
    /// What the first server held before anybody came.
    pub(crate) begin: Holdings,
    /// Claims passed over by the servers that are dead.
    voids_before: u64,
}

/// How long the clients may take to settle, to hear the rest, to go.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the server may take to let go of what it held for them.
const LETTING_GO: Duration = Duration::from_secs(20);
/// A server's fault point that is not come past within this time is given up. Nanoseconds.
const ARMED_NS: u64 = 500_000_000;
/// Between two rounds of looks.
const TICK: Duration = Duration::from_millis(1);

/// Names the storm's server.
pub(crate) fn server_name() -> Result<ServerName, Failure> {
    ServerName::new(&format!("bench-{}-storm", std::process::id())).doing("naming a server")
}

/// The board on which clients tell how far they are.
pub(crate) fn board(clients: u16) -> Result<Lines, Failure> {
    Lines::create(usize::from(clients)).doing("mapping the storm's board")
}

impl<'a> Storm<'a> {
    /// Starts the server, and the clients with the first tick.
    pub(crate) fn begin(
        options: &'a Options,
        server: &'a ServerName,
        board: &'a Lines,
        schedule: Schedule,
    ) -> Result<Self, Failure> {
        let needs = Needs {
            clients: u32::from(options.clients) * 4 + 8,
            rooms: u32::from(options.rooms) + 8,
            wait: "adaptive".to_owned(),
            broadcasters: Some(options.broadcasters),
            pin: Some(Vec::new()),
            in_ring_order: false,
        };
        let mut host = Host::start_as(server.clone(), &needs, Some(options.hang))?;
        warm_up(server)?;
        // What the first client brought has gone when it looks the same twice.
        let pid = host.process().pid();
        let begin = still(pid)?;
        let slots = (0..).zip(schedule.clients).map(|(number, steps)| Slot::new(number, steps)).collect();
        let field = Field {
            options,
            server,
            board,
            start: monotonic_ns(),
            tick_ns: 0,
            journal_entries: options.journal_entries,
            is_over: false,
            pasts: Vec::new(),
            faults: Vec::new(),
            timeline: Vec::new(),
            counts: BTreeMap::new(),
            violations: Vec::new(),
        };
        Ok(Self {
            field,
            slots,
            host: Some(host),
            reign: Reign::Up,
            server_steps: schedule.server.into(),
            needs,
            begin,
            voids_before: 0,
        })
    }

    /// The server's process, if there is one.
    pub(crate) fn server_pid(&mut self) -> Option<u32> {
        self.host.as_mut().map(|host| host.process().pid())
    }

    /// The server, if there is one.
    pub(crate) fn server(&mut self) -> Option<&mut Child> {
        self.host.as_mut().map(Host::process)
    }

    /// A client's process, if there is one.
    pub(crate) fn client(&mut self, slot: u16) -> Option<&mut Child> {
        self.slots[usize::from(slot)].child()
    }

    /// Whether all clients are connected.
    pub(crate) fn all_connected(&self) -> bool {
        let slots = &self.slots;
        (0..slots.len()).all(|slot| slots[slot].life().is_some() && self.has_reached(slot, Phase::Connected))
    }

    /// Claims that the servers' router has passed over.
    pub(crate) fn voids(&self) -> u64 {
        let view = RingView::open(&control_ring(self.field.server));
        self.voids_before + view.map_or(0, |view| view.inspect().counters.voids)
    }

    /// Lets it storm for a while. Ends early when something has gone wrong.
    pub(crate) fn rage(&mut self, time: Duration, mut progress: impl FnMut(Duration)) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < time && self.field.violations.is_empty() {
            interrupt::check()?;
            let round = monotonic_ns();
            self.tick_server()?;
            for index in 0..self.slots.len() {
                if let Some((by, texts)) = self.slots[index].tick(&mut self.field)? {
                    self.slots[usize::from(by)].order(&format!("burst {texts}"));
                }
            }
            progress(begun.elapsed());
            std::thread::sleep(TICK);
            self.field.tick_ns = monotonic_ns() - round;
        }
        Ok(())
    }

    fn tick_server(&mut self) -> Result<(), Failure> {
        let now = monotonic_ns();
        if let Some(host) = &mut self.host
            && let Some(status) = host.process().ended()?
        {
            let Reign::Armed { rest_ms, .. } = self.reign else {
                let text = format!("the server ended with {status}");
                self.field.violations.push(Violation::general(now, Wrong::Process, text));
                self.host = None;
                return Ok(());
            };
            self.server_down(Happening::ServerKillAtPoint, rest_ms);
        }
        match self.reign {
            Reign::Up => {
                let due = |step: &ServerStep| now >= self.field.start + u64::from(step.at_ms) * 1_000_000;
                if let Some(step) = self.server_steps.front().copied().filter(due) {
                    self.server_steps.pop_front();
                    self.hit_server(step)?;
                }
            }
            Reign::Armed { until, rest_ms } if now >= until => self.kill_server(rest_ms)?,
            Reign::Down { until, fault } if now >= until => self.restart(fault)?,
            _ => {}
        }
        Ok(())
    }

    fn hit_server(&mut self, step: ServerStep) -> Result<(), Failure> {
        let Some(at) = step.at.filter(|_| cfg!(feature = "faults")) else {
            return self.kill_server(step.rest_ms);
        };
        if let Some(host) = &mut self.host {
            host.process().order(&format!("fault {}:kill@{}", at.point, at.nth))?;
        }
        self.field.arms(None, at);
        self.reign = Reign::Armed { until: monotonic_ns() + ARMED_NS, rest_ms: step.rest_ms };
        Ok(())
    }

    fn kill_server(&mut self, rest_ms: u32) -> Result<(), Failure> {
        if let Some(host) = &mut self.host {
            host.process().signal(nix::sys::signal::Signal::SIGKILL)?;
        }
        self.server_down(Happening::ServerKill, rest_ms);
        Ok(())
    }

    fn server_down(&mut self, how: Happening, rest_ms: u32) {
        self.voids_before = self.voids();
        // Kills it if it is not dead, and reaps it.
        self.host = None;
        let fault = self.field.fault(Fault::now(None, true));
        self.field.happens(None, how, "");
        self.reign = Reign::Down { until: monotonic_ns() + u64::from(rest_ms) * 1_000_000, fault };
    }

    fn restart(&mut self, fault: usize) -> Result<(), Failure> {
        self.host =
            Some(Host::start_as(self.field.server.clone(), &self.needs, Some(self.field.options.hang))?);
        self.field.faults[fault].until = monotonic_ns();
        self.field.happens(None, Happening::ServerStart, "");
        self.reign = Reign::Up;
        Ok(())
    }

    /// Ends the storm: everybody goes on, says what is left to say, hears what is left to hear, and goes. Then nothing
    /// may be left.
    pub(crate) fn end(mut self) -> Result<(Field<'a>, Holdings), Failure> {
        self.field.is_over = true;
        self.server_steps.clear();
        self.field.happens(None, Happening::Calm, "");
        if let Some(host) = &mut self.host {
            let _ = host.process().order("calm");
        }
        if !matches!(self.reign, Reign::Down { .. }) && self.field.violations.is_empty() {
            // Its point may have been passed before it heard of the calm.
            std::thread::sleep(Duration::from_millis(20));
            self.tick_server()?;
        }
        if let Reign::Down { fault, .. } = self.reign {
            self.restart(fault)?;
        }
        for slot in &mut self.slots {
            slot.calm(&mut self.field)?;
            slot.order("finish");
        }
        let mut held = self.begin;
        let stages = [
            ("", Phase::Settled, Wrong::Unanswered, "what it has sent is not answered"),
            ("ping", Phase::Heard, Wrong::Unanswered, "its last PING is not answered"),
        ];
        for (order, phase, wrong, what) in stages {
            if !order.is_empty() {
                self.slots.iter_mut().for_each(|slot| slot.order(order));
            }
            self.all_reach(|storm, slot| storm.has_reached(slot, phase), wrong, what)?;
        }
        self.slots.iter_mut().for_each(|slot| slot.order("quit"));
        self.all_reach(|storm, slot| storm.slots[slot].life().is_none(), Wrong::Process, "it does not end")?;
        if let Some(pid) = self.server_pid()
            && self.field.violations.is_empty()
        {
            held = residue::settled(pid, &self.begin, LETTING_GO)?;
            if !held.is_back_at(&self.begin) {
                let text = format!("the server has {held}; at the beginning it had {}", self.begin);
                self.field.violations.push(Violation::general(0, Wrong::Leftover, text));
            }
        }
        // Whoever is left of a storm that has failed is killed here.
        self.slots.clear();
        if let Some(host) = self.host.take() {
            host.stop()?;
        }
        let names = residue::names(self.field.server)?;
        if !names.is_empty() && self.field.violations.is_empty() {
            let list: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let text = format!("in /dev/shm, after the server's end: {}", list.join(", "));
            self.field.violations.push(Violation::general(0, Wrong::Leftover, text));
        }
        residue::sweep(self.field.server);
        Ok((self.field, held))
    }

    fn has_reached(&self, slot: usize, phase: Phase) -> bool {
        let Some(life) = self.slots[slot].life() else { return true };
        let word = self.field.board.line(slot).load(Ordering::Acquire);
        word >= phase.word(life.life)
    }

    /// Waits until all clients have come so far.
    fn all_reach(
        &mut self,
        has: impl Fn(&Self, usize) -> bool,
        wrong: Wrong,
        what: &str,
    ) -> Result<(), Failure> {
        let since = Instant::now();
        while self.field.violations.is_empty() {
            interrupt::check()?;
            let pending = (0..self.slots.len()).find(|&slot| !has(self, slot));
            let Some(slot) = pending else { return Ok(()) };
            if since.elapsed() > PATIENCE {
                let life = self.slots[slot].life().unwrap_or(Life { slot: slot as u16, life: 0 });
                let text = format!("{what} after {} s", PATIENCE.as_secs());
                self.field.violations.push(Violation::new(monotonic_ns(), wrong, life, text));
                return Ok(());
            }
            for slot in &mut self.slots {
                slot.keep_going(&mut self.field)?;
            }
            self.tick_server()?;
            std::thread::sleep(TICK);
        }
        Ok(())
    }
}

/// One client comes, talks and goes, so that what a server makes once is made before it is counted.
fn warm_up(server: &ServerName) -> Result<(), Failure> {
    let options = ClientOptions::new(server.clone(), "first");
    let (mut sender, mut receiver) = session::connect(&options).doing("connecting to the server")?;
    sender.join("room0").doing("warming up the server")?;
    sender.say("hello").doing("warming up the server")?;
    sender.quit().doing("warming up the server")?;
    while receiver.recv_with(Duration::from_secs(10), |_| ()).is_ok_and(|event| event.is_some()) {}
    Ok(())
}

/// What a process holds when that has not changed for a while.
fn still(pid: u32) -> Result<Holdings, Failure> {
    let mut last = Holdings::of(pid)?;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let now = Holdings::of(pid)?;
        let same = now.threads == last.threads
            && now.descriptors == last.descriptors
            && now.mappings == last.mappings;
        if same {
            return Ok(now);
        }
        last = now;
    }
}

/// What was done, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) resumes: u64,
    pub(crate) quits: u64,
    pub(crate) overflows: u64,
    pub(crate) server_kills: u64,
}

impl Tally {
    pub(crate) fn of(counts: &BTreeMap<Happening, u64>) -> Self {
        let count = |of: &[Happening]| of.iter().filter_map(|happening| counts.get(happening)).sum();
        Self {
            kills: count(&[Happening::Kill, Happening::KillAtPoint]),
            stops: count(&[Happening::Stop, Happening::StopAtPoint]),
            resumes: count(&[Happening::GoOn]),
            quits: count(&[Happening::Quit]),
            overflows: count(&[Happening::Overflow]),
            server_kills: count(&[Happening::ServerKill, Happening::ServerKillAtPoint]),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, stops, resumes, quits, overflows, .. } = self;
        write!(f, "{kills} kills, {stops} stops, {resumes} resumes, {quits} quits, {overflows} overflows")
    }
}
