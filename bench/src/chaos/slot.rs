//! One client's place in a storm: the process that has it, and what is being done to it.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use halyard_ring::monotonic_ns;
use nix::sys::signal::Signal;

use super::check::{Ended, Fault, Past, Violation, Wrong};
use super::field::Field;
use super::happening::Happening;
use super::journal::{self, Journal};
use super::message::Life;
use super::plan::{Act, Birth, Passage, Step};
use super::worker::Job;
use crate::child::Child;
use crate::failure::{Failure, While as _};
use crate::shared::Words;

/// A fault point that is not come past within this time is given up, and the same done at once. Nanoseconds.
const ARMED_NS: u64 = 400_000_000;
/// The same while a process is born.
const BIRTH_NS: u64 = 1_500_000_000;
/// Between two looks whether a process stands at a point that was given up.
const LOOSE_NS: u64 = 20_000_000;
/// How long a client that dies unasked stays away.
const REST_MS: u32 = 50;

/// A client process.
struct Process {
    life: Life,
    child: Child,
    journal: Option<Words>,
    stops: Vec<(u64, u64)>,
    quits: bool,
    /// Since when it may stand at a point that was given up: it may have come past before it heard of that.
    loose: Option<u64>,
    /// SIGKILL was sent, or may come from within.
    may_die: bool,
}

/// What is being done.
#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    /// Nobody is there until then.
    Resting {
        until: u64,
        birth: Option<Birth>,
    },
    /// A fault point is armed; given up then, and done at once instead if that is wanted.
    Armed {
        what: What,
        until: u64,
        instead: bool,
    },
    /// Stopped until then; the fault's index.
    Stopped {
        until: u64,
        fault: usize,
    },
    /// It says goodbye.
    Quitting {
        rest_ms: u32,
    },
}

#[derive(Clone, Copy)]
enum What {
    Kill { rest_ms: u32, birth: Option<Birth> },
    Stop { for_ms: u32 },
}

pub(crate) struct Slot {
    number: u16,
    steps: VecDeque<Step>,
    process: Option<Process>,
    lives: u16,
    doing: Doing,
}

fn later(ms: u32) -> u64 {
    monotonic_ns() + u64::from(ms) * 1_000_000
}

impl Slot {
    pub(crate) fn new(number: u16, steps: Vec<Step>) -> Self {
        let doing = Doing::Resting { until: 0, birth: None };
        Self { number, steps: steps.into(), process: None, lives: 0, doing }
    }

    /// The process that is there now.
    pub(crate) fn life(&self) -> Option<Life> {
        self.process.as_ref().map(|process| process.life)
    }

    pub(crate) fn child(&mut self) -> Option<&mut Child> {
        self.process.as_mut().map(|process| &mut process.child)
    }

    /// Gives an order. A process that is dead already does not hear it.
    pub(crate) fn order(&mut self, order: &str) {
        if let Some(process) = &mut self.process {
            process.quits |= order == "quit";
            let _ = process.child.order(order);
        }
    }

    /// Lets a process go on that stands at a point which was given up. It was stopped for nobody knows how long.
    fn release(&mut self, field: &mut Field<'_>) -> Result<(), Failure> {
        let now = monotonic_ns();
        let since = self.process.as_ref().and_then(|process| process.loose);
        let Some(since) = since.filter(|since| now >= since + LOOSE_NS) else { return Ok(()) };
        let is_wanted =
            matches!(self.doing, Doing::Stopped { .. } | Doing::Armed { what: What::Stop { .. }, .. });
        let stands = !is_wanted && self.stands_still();
        let Some(process) = &mut self.process else { return Ok(()) };
        process.loose = Some(now);
        if stands {
            process.stops.push((since, now));
            let life = process.life;
            let fault = Fault { at: since, until: now, ..Fault::now(Some(self.number), false) };
            process.child.signal(Signal::SIGCONT)?;
            process.loose = None;
            field.fault(fault);
            field.happens(Some(life), Happening::StopAtPoint, "which was given up");
            field.happens(Some(life), Happening::GoOn, "");
        }
        Ok(())
    }

    /// Does what is due. `None` if another client is to burst: whose slot and how many texts.
    pub(crate) fn tick(&mut self, field: &mut Field<'_>) -> Result<Option<(u16, u32)>, Failure> {
        self.look(field)?;
        self.release(field)?;
        let now = monotonic_ns();
        match self.doing {
            Doing::Resting { until, birth } if now >= until => self.begin(field, birth)?,
            Doing::Stopped { until, fault } if now >= until => self.go_on(field, fault)?,
            Doing::Armed { what: What::Stop { for_ms }, .. } if self.stands_still() => {
                self.note_stop(field, for_ms, true);
            }
            Doing::Armed { what, until, instead } if now >= until => {
                self.order("calm");
                self.doing = Doing::Nothing;
                if let (What::Stop { .. }, Some(process)) = (what, &mut self.process) {
                    process.loose = Some(now);
                }
                if instead {
                    self.at_once(field, what)?;
                }
            }
            Doing::Nothing => {
                let due = |step: &Step| now >= field.start + u64::from(step.at_ms) * 1_000_000;
                if self.process.is_some() && self.steps.front().is_some_and(due) {
                    let step = self.steps.pop_front().expect("looked at just now");
                    return self.act(field, step.act);
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn act(&mut self, field: &mut Field<'_>, act: Act) -> Result<Option<(u16, u32)>, Failure> {
        match act {
            Act::Kill { at, rest_ms, birth } => self.hit(field, at, What::Kill { rest_ms, birth })?,
            Act::Stop { at, for_ms } => self.hit(field, at, What::Stop { for_ms })?,
            Act::Quit { at, rest_ms } => {
                if let Some(at) = at
                    && cfg!(feature = "faults")
                {
                    self.arm(at, "kill");
                }
                field.happens(
                    self.life(),
                    Happening::Quit,
                    at.map_or_else(String::new, |at| format!("kill {at}")),
                );
                self.order("quit");
                self.doing = Doing::Quitting { rest_ms };
            }
            Act::Overflow { by, texts, for_ms } => {
                field.happens(self.life(), Happening::Overflow, format!("{texts} texts by client {by}"));
                self.at_once(field, What::Stop { for_ms })?;
                return Ok(Some((by, texts)));
            }
        }
        Ok(None)
    }

    /// Arms the point, or does it at once where there is none.
    fn hit(&mut self, field: &mut Field<'_>, at: Option<Passage>, what: What) -> Result<(), Failure> {
        let Some(at) = at.filter(|_| cfg!(feature = "faults")) else { return self.at_once(field, what) };
        self.arm(at, if matches!(what, What::Kill { .. }) { "kill" } else { "stop" });
        field.arms(self.life(), at);
        self.doing = Doing::Armed { what, until: monotonic_ns() + ARMED_NS, instead: true };
        Ok(())
    }

    fn arm(&mut self, at: Passage, action: &str) {
        if let Some(process) = &mut self.process {
            process.may_die |= action == "kill";
            let _ = process.child.order(&format!("fault {}:{action}@{}", at.point, at.nth));
        }
    }

    fn at_once(&mut self, field: &mut Field<'_>, what: What) -> Result<(), Failure> {
        let Some(process) = &mut self.process else { return Ok(()) };
        match what {
            What::Kill { .. } => {
                process.may_die = true;
                process.child.signal(Signal::SIGKILL)?;
                // Its end is seen at the next look.
                self.doing = Doing::Armed { what, until: u64::MAX, instead: false };
            }
            What::Stop { for_ms } => {
                process.child.signal(Signal::SIGSTOP)?;
                self.note_stop(field, for_ms, false);
            }
        }
        Ok(())
    }

    fn note_stop(&mut self, field: &mut Field<'_>, for_ms: u32, at_point: bool) {
        let Some(process) = &mut self.process else { return };
        // At a point it stopped a moment ago.
        let from = match process.loose {
            Some(since) if at_point => since,
            _ => monotonic_ns() - if at_point { field.tick_ns } else { 0 },
        };
        process.stops.push((from, u64::MAX));
        let how = if at_point { Happening::StopAtPoint } else { Happening::Stop };
        let fault = field.fault(Fault { at: from, ..Fault::now(Some(self.number), false) });
        field.happens(Some(process.life), how, format!("for {for_ms} ms"));
        self.doing = Doing::Stopped { until: later(for_ms), fault };
    }

    fn go_on(&mut self, field: &mut Field<'_>, fault: usize) -> Result<(), Failure> {
        self.doing = Doing::Nothing;
        let Some(process) = &mut self.process else { return Ok(()) };
        let now = monotonic_ns();
        process.child.signal(Signal::SIGCONT)?;
        if let Some(stop) = process.stops.last_mut() {
            stop.1 = now;
        }
        field.faults[fault].until = now;
        field.happens(Some(process.life), Happening::GoOn, "");
        Ok(())
    }

    /// Whether the process is stopped.
    fn stands_still(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let stat = fs::read_to_string(format!("/proc/{}/stat", process.child.pid())).unwrap_or_default();
        // The state stands behind the program's name, which stands in brackets.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Sees whether the process has ended, and what that means.
    fn look(&mut self, field: &mut Field<'_>) -> Result<(), Failure> {
        let Some(process) = &mut self.process else { return Ok(()) };
        let Some(status) = process.child.ended()? else { return Ok(()) };
        let now = monotonic_ns();
        let mut process = self.process.take().expect("looked at just now");
        if let Some((_, until)) = process.stops.last_mut() {
            *until = (*until).min(now);
        }
        let ended = match (status.signal(), status.success()) {
            (Some(9), _) if process.may_die => Ended::Killed,
            (None, true) if process.quits => Ended::Quit,
            _ => {
                let text = format!("the process ended with {status}");
                field.violations.push(Violation::new(now, Wrong::Process, process.life, text));
                Ended::Killed
            }
        };
        let (rest_ms, birth) = match self.doing {
            Doing::Armed { what: What::Kill { rest_ms, birth }, .. } => (rest_ms, birth),
            Doing::Quitting { rest_ms } => (rest_ms, None),
            _ => (REST_MS, None),
        };
        if ended == Ended::Killed {
            let at_point = matches!(self.doing, Doing::Armed { until, .. } if until != u64::MAX)
                || matches!(self.doing, Doing::Quitting { .. });
            field.fault(Fault { until: now, ..Fault::now(Some(self.number), true) });
            let how = if at_point { Happening::KillAtPoint } else { Happening::Kill };
            field.happens(Some(process.life), how, "");
        } else {
            field.happens(Some(process.life), Happening::Gone, "");
        }
        self.doing = Doing::Resting { until: later(rest_ms), birth };
        if let Some(words) = &process.journal {
            let (life, stops, notes) = (process.life, process.stops, journal::read(words));
            field.pasts.push(Past { life, ended, stops, notes });
        }
        Ok(())
    }

    /// A new process takes the place.
    fn begin(&mut self, field: &mut Field<'_>, birth: Option<Birth>) -> Result<(), Failure> {
        self.doing = Doing::Nothing;
        if field.is_over {
            return Ok(());
        }
        self.lives += 1;
        let life = Life { slot: self.number, life: self.lives };
        let journal = field.journal_entries.map(Journal::create).transpose()?;
        let birth = birth.filter(|_| cfg!(feature = "faults"));
        let mut child = Child::start(&["chaos"])?;
        let job: Job = field.job(life, journal.as_ref(), birth);
        child.order(&serde_json::to_string(&job).doing("writing a client's job")?)?;
        let may_die = birth.is_some_and(|birth| birth.stop_ms.is_none());
        self.process =
            Some(Process { life, child, journal, stops: Vec::new(), quits: false, loose: None, may_die });
        if let Some(birth) = birth {
            field.arms(Some(life), birth.at);
            let what = match birth.stop_ms {
                Some(for_ms) => What::Stop { for_ms },
                None => What::Kill { rest_ms: REST_MS, birth: None },
            };
            self.doing = Doing::Armed { what, until: monotonic_ns() + BIRTH_NS, instead: false };
        }
        Ok(())
    }

    /// Ends what is being done: whoever is stopped goes on, nothing is armed, nobody comes.
    pub(crate) fn calm(&mut self, field: &mut Field<'_>) -> Result<(), Failure> {
        self.steps.clear();
        self.order("calm");
        if let Doing::Stopped { fault, .. } = self.doing {
            self.go_on(field, fault)?;
        }
        if !matches!(self.doing, Doing::Quitting { .. }) {
            self.doing = Doing::Nothing;
        }
        Ok(())
    }

    /// After [`calm`](Self::calm): sees whether the process has ended, and lets it go on if it came past a point before
    /// it heard of the calm.
    pub(crate) fn keep_going(&mut self, field: &mut Field<'_>) -> Result<(), Failure> {
        self.look(field)?;
        if self.stands_still() {
            self.note_stop(field, 0, true);
            if let Doing::Stopped { fault, .. } = self.doing {
                self.go_on(field, fault)?;
            }
        }
        Ok(())
    }
}
