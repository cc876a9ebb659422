//! The driver: a server, its clients, and what is done to them as the schedule says.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use halyard_client::{ClientOptions, ServerName, session};
use halyard_ring::monotonic_ns;

use super::check::{Violation, Wrong};
use super::field::{Field, Options};
use super::happening::Happening;
use super::message::Life;
use super::plan::Schedule;
use super::reign::Reign;
use super::residue::{self, Holdings};
use super::slot::Slot;
use super::worker::Phase;
use crate::child::Child;
use crate::failure::{Failure, While as _};
use crate::interrupt;
use crate::shared::Lines;

/// A storm over a real server.
pub(crate) struct Storm<'a> {
    pub(crate) field: Field<'a>,
    slots: Vec<Slot>,
    reign: Reign,
    /// What the first server held before anybody came.
    pub(crate) begin: Holdings,
}

/// How long the clients may take to settle, to hear the rest, to go.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the server may take to let go of what it held for them.
const LETTING_GO: Duration = Duration::from_secs(20);
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
        let mut reign = Reign::begin(options, server, schedule.server)?;
        warm_up(server)?;
        // What the first client brought has gone when it looks the same twice.
        let begin = still(reign.process().map_or(0, |server| server.pid()))?;
        let slots = (0..).zip(schedule.clients).map(|(number, steps)| Slot::new(number, steps)).collect();
        Ok(Self { field: Field::new(options, server, board), slots, reign, begin })
    }

    /// The server, if there is one.
    pub(crate) fn server(&mut self) -> Option<&mut Child> {
        self.reign.process()
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

    /// Claims that the servers' routers have passed over.
    pub(crate) fn voids(&self) -> u64 {
        self.reign.voids(self.field.server)
    }

    /// Lets it storm for a while. Ends early when something has gone wrong.
    pub(crate) fn rage(&mut self, time: Duration, mut progress: impl FnMut(Duration)) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < time && self.field.violations.is_empty() {
            interrupt::check()?;
            let round = monotonic_ns();
            self.reign.tick(&mut self.field)?;
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

    /// Ends the storm: everybody goes on, says what is left to say, hears what is left to hear, and goes. Then nothing
    /// may be left.
    pub(crate) fn end(mut self) -> Result<(Field<'a>, Holdings), Failure> {
        self.field.is_over = true;
        self.field.happens(None, Happening::Calm, "");
        self.reign.calm(&mut self.field)?;
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
        let server = self.server().map(|server| server.pid());
        if let Some(pid) = server
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
        self.reign.end()?;
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
            self.reign.tick(&mut self.field)?;
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
