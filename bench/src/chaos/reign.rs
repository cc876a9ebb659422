//! The server's place in a storm: who serves now, and what is being done to it.

use std::collections::VecDeque;

use halyard_client::ServerName;
use halyard_ring::chat::control_ring;
use halyard_ring::{RingView, monotonic_ns};
use nix::sys::signal::Signal;

use super::check::{Fault, Violation, Wrong};
use super::field::{Field, Options};
use super::happening::Happening;
use super::plan::{ServerAct, ServerStep};
use crate::child::Child;
use crate::failure::Failure;
use crate::host::{Host, Needs};

/// A fault point that is not come past within this time is given up. Nanoseconds.
const ARMED_NS: u64 = 500_000_000;

/// What the server is at.
enum State {
    Up,
    /// A fault point is armed; given up then.
    Armed {
        until: u64,
        rest_ms: u32,
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
    /// Claims passed over by the servers that are dead.
    voids_before: u64,
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
        Ok(Self { host: Some(host), state: State::Up, steps: steps.into(), needs, voids_before: 0 })
    }

    /// The server's process, if there is one.
    pub(super) fn process(&mut self) -> Option<&mut Child> {
        self.host.as_mut().map(Host::process)
    }

    /// Claims that the servers' routers have passed over.
    pub(super) fn voids(&self, server: &ServerName) -> u64 {
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
            State::Armed { until, rest_ms } if now >= until => self.kill(field, rest_ms)?,
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
                self.state = State::Armed { until: monotonic_ns() + ARMED_NS, rest_ms };
            }
            ServerAct::Kill { rest_ms, .. } => self.kill(field, rest_ms)?,
        }
        Ok(())
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
