//! The server's place in a storm: who serves now, and what is being done to it.

use std::collections::VecDeque;

use halyard_client::ServerName;
use halyard_ring::chat::control_ring;
use halyard_ring::{RingView, monotonic_ns};
use nix::sys::signal::Signal;

use super::check::{Fault, Violation, Wrong};
use super::damage::{Damage, control_file};
use super::field::{Field, Options};
use super::happening::Happening;
use super::plan::{ServerAct, ServerStep};
use crate::child::Child;
use crate::failure::{Failure, While as _};
use crate::host::{Host, Needs};

/// A fault point that is not come past within this time is given up. Nanoseconds.
const ARMED_NS: u64 = 500_000_000;

/// How long it takes until an armed point is known, nanoseconds.
const ARMING_NS: u64 = 5_000_000;
/// How long a server may take to make its control ring anew: nobody may look at it before it has been quiet for a while.
const RENEWAL_NS: u64 = 20_000_000_000;

/// What the server is at.
enum State {
    Up,
    /// A fault point is armed; given up then. Before, something may be due that leads there.
    Armed {
        until: u64,
        rest_ms: u32,
        damage: Option<(u64, Damage)>,
    },
    /// Its control ring is damaged; until then it must have made a new one.
    Damaged {
        until: u64,
    },
    /// Stopped until then; the fault's index.
    Stopped {
        until: u64,
        fault: usize,
    },
    /// Nobody serves until then; the fault's index.
    Down {
        until: u64,
        fault: usize,
    },
}

pub(super) struct Reign {
    host: Option<Host>,
    state: State,
    steps: VecDeque<ServerStep>,
    needs: Needs,
    /// Claims passed over in the control rings that are gone, and in the damaged one that is this file.
    voids_before: u64,
    counted: Option<u64>,
    /// The fault that lasts until a damaged control ring is made anew, or its server is dead.
    harm: Option<usize>,
}

fn later(ms: u32) -> u64 {
    monotonic_ns() + u64::from(ms) * 1_000_000
}

impl Reign {
    /// Starts the first server.
    pub(super) fn begin(
        options: &Options,
        server: &ServerName,
        steps: Vec<ServerStep>,
    ) -> Result<Self, Failure> {
        let needs = Needs {
            clients: u32::from(options.clients) * 4 + 8,
            rooms: u32::from(options.rooms) + 8,
            wait: "adaptive".to_owned(),
            broadcasters: Some(options.broadcasters),
            pin: Some(Vec::new()),
            in_ring_order: false,
            direct: None,
        };
        let host = Host::start_as(server.clone(), &needs, Some(options.hang))?;
        Ok(Self {
            host: Some(host),
            state: State::Up,
            steps: steps.into(),
            needs,
            voids_before: 0,
            counted: None,
            harm: None,
        })
    }

    /// The server's process, if there is one.
    pub(super) fn process(&mut self) -> Option<&mut Child> {
        self.host.as_mut().map(Host::process)
    }

    /// Claims that the servers' routers have passed over.
    pub(super) fn voids(&self, server: &ServerName) -> u64 {
        if self.counted.is_some() && control_file(server) == self.counted {
            return self.voids_before;
        }
        let view = RingView::open(&control_ring(server));
        self.voids_before + view.map_or(0, |view| view.inspect().counters.voids)
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, field: &mut Field<'_>) -> Result<(), Failure> {
        let now = monotonic_ns();
        if let Some(host) = &mut self.host
            && let Some(status) = host.process().ended()?
        {
            let State::Armed { rest_ms, .. } = self.state else {
                let text = format!("the server ended with {status}");
                field.violations.push(Violation::general(now, Wrong::Process, text));
                self.host = None;
                return Ok(());
            };
            self.down(field, Happening::ServerKillAtPoint, rest_ms);
        }
        match self.state {
            State::Up => {
                let due = |step: &ServerStep| now >= field.start + u64::from(step.at_ms) * 1_000_000;
                if self.steps.front().is_some_and(due)
                    && let Some(step) = self.steps.pop_front()
                {
                    self.hit(field, step.act)?;
                }
            }
            State::Armed { until, rest_ms, damage: Some((at, how)) } if now >= at => {
                self.damage(field, how)?;
                self.state = State::Armed { until, rest_ms, damage: None };
            }
            State::Armed { until, rest_ms, damage: None } if now >= until => self.kill(field, rest_ms)?,
            State::Damaged { until } => self.see_renewal(field, until),
            State::Stopped { until, fault } if now >= until => self.go_on(field, fault)?,
            State::Down { until, fault } if now >= until => self.restart(field, fault)?,
            _ => {}
        }
        Ok(())
    }

    fn hit(&mut self, field: &mut Field<'_>, act: ServerAct) -> Result<(), Failure> {
        let Some(process) = self.host.as_mut().map(Host::process) else { return Ok(()) };
        match act {
            ServerAct::Stop { for_ms } => {
                process.signal(Signal::SIGSTOP)?;
                let fault = field.fault(Fault::now(None, false));
                field.happens(None, Happening::ServerStop, format!("for {for_ms} ms"));
                self.state = State::Stopped { until: later(for_ms), fault };
            }
            ServerAct::Kill { at: Some(at), rest_ms } if cfg!(feature = "faults") => {
                process.order(&format!("fault {}:kill@{}", at.point, at.nth))?;
                field.arms(None, at);
                self.state = State::Armed { until: monotonic_ns() + ARMED_NS, rest_ms, damage: None };
            }
            ServerAct::Kill { rest_ms, .. } => self.kill(field, rest_ms)?,
            ServerAct::Damage { how, kill: Some((at, rest_ms)) } if cfg!(feature = "faults") => {
                process.order(&format!("fault {}:kill@{}", at.point, at.nth))?;
                field.arms(None, at);
                let now = monotonic_ns();
                let damage = Some((now + ARMING_NS, how));
                self.state = State::Armed { until: now + RENEWAL_NS, rest_ms, damage };
            }
            ServerAct::Damage { how, .. } => {
                self.damage(field, how)?;
                self.state = State::Damaged { until: monotonic_ns() + RENEWAL_NS };
            }
        }
        Ok(())
    }

    /// Damages the control ring. From then on the server is no help to anybody, until there is another ring or server.
    fn damage(&mut self, field: &mut Field<'_>, how: Damage) -> Result<(), Failure> {
        self.voids_before = self.voids(field.server);
        self.counted = control_file(field.server);
        self.harm = Some(field.fault(Fault::now(None, true)));
        how.inflict(field.server).doing("damaging the control ring")?;
        field.happens(None, Happening::Scribble, format!("{how:?}"));
        Ok(())
    }

    fn harm_ends(&mut self, field: &mut Field<'_>, now: u64) {
        if let Some(fault) = self.harm.take() {
            field.faults[fault].until = now;
        }
    }

    /// Looks whether there is a new control ring.
    fn see_renewal(&mut self, field: &mut Field<'_>, until: u64) {
        let now = monotonic_ns();
        if control_file(field.server).is_some_and(|found| Some(found) != self.counted) {
            self.harm_ends(field, now);
            field.happens(None, Happening::Renewal, "");
            self.state = State::Up;
        } else if now >= until {
            let text = "the control ring was damaged, and the server has made no new one";
            field.violations.push(Violation::general(now, Wrong::Renewal, text));
            self.state = State::Up;
        }
    }

    fn kill(&mut self, field: &mut Field<'_>, rest_ms: u32) -> Result<(), Failure> {
        if let Some(host) = &mut self.host {
            host.process().signal(Signal::SIGKILL)?;
        }
        self.down(field, Happening::ServerKill, rest_ms);
        Ok(())
    }

    fn down(&mut self, field: &mut Field<'_>, how: Happening, rest_ms: u32) {
        self.voids_before = self.voids(field.server);
        // Kills it if it is not dead, and reaps it.
        self.host = None;
        let fault = field.fault(Fault::now(None, true));
        self.harm_ends(field, monotonic_ns());
        field.happens(None, how, "");
        self.state = State::Down { until: later(rest_ms), fault };
    }

    fn go_on(&mut self, field: &mut Field<'_>, fault: usize) -> Result<(), Failure> {
        // Before the signal: clients may hear from it at once.
        field.faults[fault].until = monotonic_ns();
        if let Some(host) = &mut self.host {
            host.process().signal(Signal::SIGCONT)?;
        }
        field.happens(None, Happening::ServerGoOn, "");
        self.state = State::Up;
        Ok(())
    }

    fn restart(&mut self, field: &mut Field<'_>, fault: usize) -> Result<(), Failure> {
        self.host = Some(Host::start_as(field.server.clone(), &self.needs, Some(field.options.hang))?);
        field.faults[fault].until = monotonic_ns();
        field.happens(None, Happening::ServerStart, "");
        self.state = State::Up;
        Ok(())
    }

    /// Ends what is being done: somebody serves, is not stopped, and no point is armed.
    pub(super) fn calm(&mut self, field: &mut Field<'_>) -> Result<(), Failure> {
        self.steps.clear();
        if let State::Stopped { fault, .. } = self.state {
            self.go_on(field, fault)?;
        }
        if let Some(host) = &mut self.host {
            let _ = host.process().order("calm");
        }
        if let State::Armed { until, damage, .. } = &mut self.state {
            *until = (*until).min(monotonic_ns() + ARMED_NS);
            *damage = None;
        }
        if !matches!(self.state, State::Down { .. }) && field.violations.is_empty() {
            // Its point may have been passed before it heard of the calm.
            std::thread::sleep(std::time::Duration::from_millis(20));
            self.tick(field)?;
        }
        if let State::Down { fault, .. } = self.state {
            self.restart(field, fault)?;
        }
        Ok(())
    }

    /// Ends the server as one does.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        self.host.take().map_or(Ok(()), Host::stop)
    }
}
