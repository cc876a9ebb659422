//! What a replay prints.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::check::Difference;
use super::plan::{Act, Notes, Plan};
use super::{Replay, Speed, Total};
use crate::figures::{Nanos, Quantity, Series, Stat, Unit};
use crate::irc::{Format, Log};
use crate::machine::Machine;
use crate::results::Results;

/// Everything that the summary is made of.
pub(super) struct Summary<'a> {
    pub(super) replay: &'a Replay,
    pub(super) logs: &'a [(String, Log)],
    pub(super) plan: &'a Plan,
    pub(super) total: &'a Total,
}

/// How many differences are shown.
const SHOWN: usize = 20;

/// What stands beside the figures.
#[derive(Serialize)]
struct Details<'a> {
    files: Vec<FileJson<'a>>,
    clients: usize,
    processes: u16,
    /// How many times faster than the logs; null: as fast as it goes.
    speed: Option<f64>,
    notes: &'a Notes,
    messages: u64,
    deliveries: u64,
    notices: u64,
    seconds: f64,
    holds: bool,
    stalled: bool,
    different: usize,
    differences: &'a [Difference],
}

#[derive(Serialize)]
struct FileJson<'a> {
    file: &'a str,
    room: &'a str,
    format: Option<Format>,
    lines: usize,
    other_lines: usize,
    latin1_lines: usize,
    messages: usize,
    joins: usize,
    leaves: usize,
    renames: usize,
}

impl Summary<'_> {
    fn holds(&self) -> bool {
        self.total.different == 0 && !self.total.stalled
    }

    fn rate(&self) -> f64 {
        if self.total.seconds > 0.0 { self.total.deliveries as f64 / self.total.seconds } else { 0.0 }
    }

    fn files(&self) -> Vec<FileJson<'_>> {
        let files = self.logs.iter().zip(&self.plan.rooms);
        let file = files.map(|((file, log), room)| {
            let count = |what: fn(&Act) -> bool| room.steps.iter().filter(|step| what(&step.act)).count();
            FileJson {
                file,
                room: &room.name,
                format: log.format,
                lines: log.lines,
                other_lines: log.other,
                latin1_lines: log.latin1,
                messages: count(|act| matches!(act, Act::Say { .. })),
                joins: count(|act| matches!(act, Act::Join)),
                leaves: count(|act| matches!(act, Act::Leave | Act::Quit)),
                renames: count(|act| matches!(act, Act::Nick { .. })),
            }
        });
        file.collect()
    }

    /// The figures, and everything else beside them.
    pub(super) fn results(&self) -> Results {
        let total = self.total;
        let about =
            "A replay of chat logs: latencies from SAY to each member's receipt, and the rate of deliveries.";
        let mut results = Results::new("replay", vec![about.to_owned()]);
        if !total.latency.is_empty() {
            let mut latency = Series::new("replay.delivery", "SAY to receipt");
            latency.rounds.push(total.latency.clone());
            results.add_alone(latency);
            let mut rate = Quantity::new("replay.rate", "deliveries", Unit::PerSecond);
            rate.rounds.push(self.rate());
            results.add_alone(rate);
        }
        let details = Details {
            files: self.files(),
            clients: self.plan.clients.len(),
            processes: self.replay.processes,
            speed: match self.replay.speed {
                Speed::Max => None,
                Speed::Times(times) => Some(times),
            },
            notes: &self.plan.notes,
            messages: total.messages,
            deliveries: total.deliveries,
            notices: total.notices,
            seconds: total.seconds,
            holds: self.holds(),
            stalled: total.stalled,
            different: total.different,
            differences: &total.differences,
        };
        if let Ok(Value::Object(details)) = serde_json::to_value(details) {
            for (name, value) in details {
                results.detail(&name, value);
            }
        }
        results
    }

    pub(super) fn text(&self, machine: &Machine) -> String {
        let total = self.total;
        let mut text = format!("{machine}\n");
        // Writing to a string cannot fail.
        for file in self.files() {
            let format = file.format.map_or_else(|| "empty".to_owned(), |format| format.to_string());
            let _ = writeln!(
                text,
                "{}: {format}, {} lines, {} messages, {} joins, {} leaves, {} nick changes",
                file.file, file.lines, file.messages, file.joins, file.leaves, file.renames
            );
        }
        for note in self.notes() {
            let _ = writeln!(text, "  {note}");
        }
        let clients = self.plan.clients.len();
        let processes = usize::from(self.replay.processes).min(clients);
        let speed = match self.replay.speed {
            Speed::Max => "at full speed".to_owned(),
            Speed::Times(times) => format!("at {times} times the log's pace"),
        };
        let _ = writeln!(
            text,
            "{clients} clients in {processes} process{} and {} room{}, {speed}: {} messages, {} deliveries and {} \
             notices in {}, {:.0} deliveries/s",
            if processes == 1 { "" } else { "es" },
            self.plan.rooms.len(),
            if self.plan.rooms.len() == 1 { "" } else { "s" },
            total.messages,
            total.deliveries,
            total.notices,
            Nanos(total.seconds * 1e9),
            self.rate(),
        );
        if !total.latency.is_empty() {
            let figures =
                Stat::ALL.map(|stat| format!("{} {}", stat.name(), Nanos(stat.of(&total.latency) as f64)));
            let _ = writeln!(text, "SAY to receipt: {}", figures.join(", "));
        }
        for difference in total.differences.iter().take(SHOWN) {
            let _ = writeln!(text, "{difference}");
        }
        if total.different > SHOWN {
            let _ = writeln!(text, "… and {} more", total.different - SHOWN);
        }
        if self.holds() {
            text +=
                "The delivery contract holds: every message to every member once, in order, byte for byte.\n";
        }
        text
    }

    fn notes(&self) -> Vec<String> {
        let notes = &self.plan.notes;
        let latin1 = self.logs.iter().map(|(_, log)| log.latin1).sum();
        let other = self.logs.iter().map(|(_, log)| log.other).sum();
        let counted = [
            (notes.there_before, "clients were there before their log begins"),
            (notes.unseen_joins, "joins that no log shows were added: somebody who had left spoke"),
            (
                notes.unseen_leaves,
                "leaves that no log shows were added: somebody joined twice, or a nick was taken over",
            ),
            (notes.left_twice, "leaves of somebody who was not there were left out"),
            (notes.empty_texts, "messages without text were left out"),
            (notes.split_texts, "texts over the server's limit were sent in pieces"),
            (latin1, "lines were not UTF-8 and were read as Latin-1"),
            (other, "lines hold nothing to replay"),
        ];
        let mut lines: Vec<String> = counted
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if notes.nicks_changed > 0 {
            let first = notes.nicks_changed_first.join(", ");
            let more = if notes.nicks_changed > notes.nicks_changed_first.len() { ", …" } else { "" };
            lines.push(format!(
                "{} nicks were changed (too long, refused signs, or used in two logs): {first}{more}",
                notes.nicks_changed
            ));
        }
        lines
    }
}
