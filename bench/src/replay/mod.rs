//! `halyard-bench replay`: real chat logs, said again by as many clients as they have people, and every delivery
//! checked against the log.

mod board;
mod check;
mod expect;
mod plan;
mod spoil;
mod summary;
mod worker;

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use clap::Args;
use hdrhistogram::Histogram;

use self::board::Board;
use self::check::Difference;
use self::plan::Plan;
use self::spoil::Spoil;
use self::worker::{Job, Outcome};
use crate::child::Child;
use crate::common::Output;
use crate::failure::{DIFFERENT, Failure, While as _};
use crate::host::{Host, Needs};
use crate::irc::{self, Log};
use crate::relay::Waiting;
use crate::{figures, interrupt, progress};

pub(crate) use self::worker::child;

/// Replay IRC logs through a server and check every delivery against them
///
/// Every nick of a log becomes a client with its own reply ring, every file a room. Messages, actions, joins, leaves
/// and nick changes are sent in the log's order; who speaks without having joined was there already. Each client then
/// must be told exactly what the log says: every message and notice of its room while it is there, once, in order,
/// byte for byte, and nothing else. Differences are listed and end the program with exit code 1.
///
/// Understood are the #ubuntu logs' format, irssi's default and WeeChat's default.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Log files, each a room of its own
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// `max`, as fast as it goes, or how many times faster than the log
    #[arg(long, value_name = "max|N", default_value = "max", value_parser = speed)]
    speed: Speed,
    /// Processes that the clients are spread over
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    processes: u16,
    /// Records that each client's reply ring holds, a power of two
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = capacity)]
    capacity: u32,
    /// Broadcaster threads of the server [default: the server's]
    #[arg(long, value_name = "N")]
    broadcasters: Option<usize>,
    /// How the server's threads wait
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Waiting::Adaptive)]
    wait: Waiting,
    /// Run this program as the server, with halyard-server's options, instead of the server built in here
    #[arg(long, value_name = "PROGRAM")]
    server_bin: Option<PathBuf>,
    /// Spoil one received message before it is checked, to see that the check can fail
    #[arg(long, value_name = "HOW", value_enum)]
    spoil: Option<Spoil>,
    #[command(flatten)]
    output: Output,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    Max,
    Times(f64),
}

fn speed(text: &str) -> Result<Speed, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Speed::Max),
        Ok(times) if times > 0.0 && times.is_finite() => Ok(Speed::Times(times)),
        _ => Err("write max, or how many times faster than the log, such as 1 or 60".to_owned()),
    }
}

/// Smallest reply ring: the window of what is under way must hold the longest text.
const CAPACITY_MIN: u32 = 64;

fn capacity(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number: &u32| number.is_power_of_two() && *number >= CAPACITY_MIN);
    number.ok_or_else(|| format!("a power of two from {CAPACITY_MIN} is needed"))
}

/// The whole replay's outcome.
#[derive(Debug)]
struct Total {
    messages: u64,
    deliveries: u64,
    notices: u64,
    seconds: f64,
    latency: Histogram<u64>,
    stalled: bool,
    different: usize,
    differences: Vec<Difference>,
}

impl Replay {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let logs = self.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let plan = plan::plan(&logs);
        let total = self.play(&plan)?;
        let summary = summary::Summary { replay: self, logs: &logs, plan: &plan, total: &total };
        self.output.deliver(&summary.results().document(), |document| summary.text(&document.machine))?;
        if total.different == 0 && !total.stalled {
            return Ok(());
        }
        let what = match total.different {
            0 => "the replay stood still and was given up".to_owned(),
            count => format!("{count} differences between the log and what was received"),
        };
        Err(Failure::of(DIFFERENT, what))
    }

    fn play(&self, plan: &Plan) -> Result<Total, Failure> {
        let clients = u32::try_from(plan.clients.len()).map_err(Failure::usage)?;
        if clients == 0 {
            return Ok(Total::of(Vec::new()));
        }
        let processes = usize::from(self.processes).min(plan.clients.len());
        let host = Host::start(
            &Needs {
                // One more: another program as the server is asked whether it is there.
                clients: clients + 1,
                rooms: u32::try_from(plan.rooms.len()).map_err(Failure::usage)?,
                wait: self.wait.name().to_owned(),
                broadcasters: self.broadcasters,
                pin: None,
                // A log has one order, also of what different people say; fair shares would change it.
                in_ring_order: true,
                direct: None,
            },
            self.server_bin.as_deref(),
        )?;
        let board = Board::create(plan.rooms.len(), processes)?;
        let mut children = Vec::new();
        for index in 0..processes {
            let mut child = Child::start(&["replay"])?;
            let job = Job {
                server: host.name().to_string(),
                board: board.path(),
                index,
                processes,
                ring_capacity: self.capacity,
                speed: match self.speed {
                    Speed::Max => None,
                    Speed::Times(times) => Some(times),
                },
                spoil: self.spoil,
                plan: plan.clone(),
            };
            child.order(&serde_json::to_string(&job).doing("writing the replay's plan")?)?;
            children.push(child);
        }
        let outcomes = await_all(children, &board, plan, &self.output);
        host.stop()?;
        Ok(Total::of(outcomes?))
    }
}

fn read(path: &PathBuf) -> Result<(String, Log), Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|why| Failure::usage(format_args!("{name}: {why}")))?;
    let log = irc::parse(&bytes).map_err(|why| Failure::usage(format_args!("{name}:{why}")))?;
    Ok((name, log))
}

/// Waits for all children's outcomes. If one fails, the others are told to end.
fn await_all(
    children: Vec<Child>,
    board: &Board,
    plan: &Plan,
    output: &Output,
) -> Result<Vec<Outcome>, Failure> {
    let steps: usize = plan.rooms.iter().map(|room| room.steps.len()).sum();
    let bar = output.bar(steps);
    let (to_here, from_children) = mpsc::channel();
    let expected = children.len();
    for mut child in children {
        let to_here = to_here.clone();
        thread::spawn(move || {
            let outcome = child.answer().and_then(|answer| {
                let outcome: Outcome = serde_json::from_str(&answer).doing("reading a replay's outcome")?;
                child.finish()?;
                Ok(outcome)
            });
            // The receiver is there until all have answered.
            let _ = to_here.send(outcome);
        });
    }
    let mut outcomes = Vec::new();
    let mut failure = None;
    while outcomes.len() + usize::from(failure.is_some()) < expected {
        match from_children.recv_timeout(progress::EVERY) {
            Ok(Ok(outcome)) => outcomes.push(outcome),
            Ok(Err(why)) => {
                board.abort();
                failure = Some(failure.unwrap_or(why));
            }
            Err(RecvTimeoutError::Timeout) => {
                bar.set_position((0..plan.rooms.len()).map(|room| board.turn(room)).sum::<usize>() as u64);
                if interrupt::requested() {
                    board.abort();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    bar.finish_and_clear();
    match failure {
        Some(why) => Err(why),
        None if interrupt::requested() || outcomes.iter().any(|outcome| outcome.interrupted) => {
            Err(Failure::interrupted())
        }
        None => Ok(outcomes),
    }
}

impl Total {
    fn of(outcomes: Vec<Outcome>) -> Self {
        let start = outcomes.iter().map(|outcome| outcome.start_ns).filter(|start| *start != 0).min();
        let last = outcomes.iter().map(|outcome| outcome.last_ns).max();
        let spent = last.unwrap_or(0).saturating_sub(start.unwrap_or(0));
        let mut total = Self {
            messages: 0,
            deliveries: 0,
            notices: 0,
            seconds: if start.is_some() { spent as f64 / 1e9 } else { 0.0 },
            latency: figures::histogram(),
            stalled: false,
            different: 0,
            differences: Vec::new(),
        };
        for outcome in outcomes {
            total.messages += outcome.messages;
            total.deliveries += outcome.deliveries;
            total.notices += outcome.notices;
            total.stalled |= outcome.stalled;
            total.different += outcome.different;
            total.differences.extend(outcome.differences);
            if let Some(latency) = figures::decode(&outcome.latency) {
                // Both have the bounds of `figures::histogram`.
                let _ = total.latency.add(latency);
            }
        }
        total.differences.sort_by(|a, b| (&a.file, a.line, &a.client).cmp(&(&b.file, b.line, &b.client)));
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_and_capacities_are_checked() {
        assert_eq!(speed("max"), Ok(Speed::Max));
        assert_eq!(speed("0.5"), Ok(Speed::Times(0.5)));
        assert!(["0", "-1", "inf", "nan", "fast", ""].iter().all(|text| speed(text).is_err()));
        assert_eq!(capacity("64"), Ok(64));
        assert!(["32", "100", "x"].iter().all(|text| capacity(text).is_err()));
    }
}
