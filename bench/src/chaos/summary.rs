//! What a storm prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::Value;

use super::check::{Latencies, Past, Violation};
use super::happening::{Happening, Moment};
use super::journal::{Entry, Told};
use super::residue::Holdings;
use crate::figures::{Nanos, Series, Stat};
use crate::machine::Machine;
use crate::results::Results;

/// What the clients' notes hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) processes: u64,
    pub(crate) said: u64,
    pub(crate) acknowledged: u64,
    pub(crate) heard: u64,
    pub(crate) directs_sent: u64,
    pub(crate) directs_received: u64,
    /// Losses that were announced: how often, and how many messages.
    pub(crate) gaps: u64,
    pub(crate) lost_messages: u64,
    /// Sessions at whose end something waited outside a full ring: how many, and how many records.
    pub(crate) ends_with_a_loss: u64,
    pub(crate) lost_at_the_end: u64,
    pub(crate) reconnects: u64,
}

/// Everything that is printed.
pub(crate) struct Summary {
    pub(crate) seed: u64,
    pub(crate) seconds: u32,
    pub(crate) clients: u16,
    pub(crate) voids: u64,
    pub(crate) begin: Holdings,
    pub(crate) held: Holdings,
    pub(crate) counts: BTreeMap<Happening, u64>,
    pub(crate) tally: Tally,
    pub(crate) latencies: Latencies,
    pub(crate) start: u64,
    pub(crate) timeline: Vec<Moment>,
    pub(crate) violations: Vec<Violation>,
}

/// How many violations are shown.
const SHOWN: usize = 10;

impl Tally {
    pub(crate) fn of(pasts: &[Past]) -> Self {
        let mut tally = Self { processes: pasts.len() as u64, ..Self::default() };
        for noted in pasts.iter().flat_map(|past| &past.notes) {
            match noted.entry {
                Entry::Says { .. } => tally.said += 1,
                Entry::Tells { .. } => tally.directs_sent += 1,
                Entry::Said { .. } => tally.acknowledged += 1,
                Entry::Heard { .. } => tally.heard += 1,
                Entry::Direct { .. } => tally.directs_received += 1,
                Entry::Reconnected { .. } => tally.reconnects += 1,
                Entry::Gap { told: Told::Server, messages, .. } => {
                    tally.gaps += 1;
                    tally.lost_messages += u64::from(messages);
                }
                Entry::Gap { told: Told::Note, records, .. } => {
                    tally.ends_with_a_loss += 1;
                    tally.lost_at_the_end += u64::from(records);
                }
                _ => {}
            }
        }
        tally
    }
}

impl Summary {
    fn series(&self) -> [(&'static str, &'static str, &Histogram<u64>); 4] {
        let Latencies { ordinary, dead, stopped, server } = &self.latencies;
        [
            ("chaos.ordinary", "no fault near", ordinary),
            ("chaos.dead", "a peer killed meanwhile", dead),
            ("chaos.stopped", "a peer stopped meanwhile", stopped),
            ("chaos.server", "the server killed or stopped meanwhile", server),
        ]
    }

    fn count(&self, happenings: &[Happening]) -> u64 {
        happenings.iter().filter_map(|happening| self.counts.get(happening)).sum()
    }

    /// The figures, and everything else beside them.
    pub(crate) fn results(&self) -> Results {
        let about =
            "A storm: latencies from SAY to each member's receipt, near faults of others and far from them.";
        let mut results = Results::new("chaos", vec![about.to_owned()]);
        for (id, label, histogram) in self.series() {
            if !histogram.is_empty() {
                let mut series = Series::new(id, label);
                series.rounds.push(histogram.clone());
                results.add_alone(series);
            }
        }
        let mut detail = |name: &str, value: Result<Value, serde_json::Error>| {
            results.detail(name, value.expect("a summary holds strings and numbers"));
        };
        detail("seed", serde_json::to_value(self.seed));
        detail("seconds", serde_json::to_value(self.seconds));
        detail("clients", serde_json::to_value(self.clients));
        detail("named_points", serde_json::to_value(cfg!(feature = "faults")));
        detail("counts", serde_json::to_value(&self.counts));
        detail("tally", serde_json::to_value(self.tally));
        detail("claims_passed_over", serde_json::to_value(self.voids));
        detail("server_at_the_beginning", serde_json::to_value(self.begin));
        detail("server_at_the_end", serde_json::to_value(self.held));
        detail("holds", serde_json::to_value(self.violations.is_empty()));
        detail("violations", serde_json::to_value(&self.violations));
        if !self.violations.is_empty() {
            detail("timeline", serde_json::to_value(&self.timeline));
        }
        results
    }

    pub(crate) fn text(&self, machine: &Machine) -> String {
        let mut text = format!("{machine}\n");
        let points = if cfg!(feature = "faults") {
            ""
        } else {
            "; named points are not compiled in, build with --features faults"
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "seed {}, {} clients, {} s{points}", self.seed, self.clients, self.seconds);
        let kills = self.count(&[Happening::Kill, Happening::KillAtPoint]);
        let stops = self.count(&[Happening::Stop, Happening::StopAtPoint]);
        let server = self.count(&[Happening::ServerKill, Happening::ServerKillAtPoint]);
        let _ = writeln!(
            text,
            "{kills} kills ({} at a point), {stops} stops ({} at a point), {} resumes, {} quits, {} overflows, \
             {server} server kills ({} at a point), {} server stops, {} damaged control rings of which {} were made anew",
            self.count(&[Happening::KillAtPoint]),
            self.count(&[Happening::StopAtPoint]),
            self.count(&[Happening::GoOn]),
            self.count(&[Happening::Quit]),
            self.count(&[Happening::Overflow]),
            self.count(&[Happening::ServerKillAtPoint]),
            self.count(&[Happening::ServerStop]),
            self.count(&[Happening::Scribble]),
            self.count(&[Happening::Renewal]),
        );
        let tally = &self.tally;
        let _ = writeln!(
            text,
            "{} processes: {} messages said, {} acknowledged, {} received; {} direct messages, {} received; {} \
             announced losses of {} messages, {} more of {} records at the ends of sessions; {} reconnects; {} \
             claims passed over",
            tally.processes,
            tally.said,
            tally.acknowledged,
            tally.heard,
            tally.directs_sent,
            tally.directs_received,
            tally.gaps,
            tally.lost_messages,
            tally.ends_with_a_loss,
            tally.lost_at_the_end,
            tally.reconnects,
            self.voids,
        );
        for (_, label, histogram) in self.series() {
            if !histogram.is_empty() {
                let figures =
                    Stat::ALL.map(|stat| format!("{} {}", stat.name(), Nanos(stat.of(histogram) as f64)));
                let _ = writeln!(text, "{label}: {} messages, {}", histogram.len(), figures.join(", "));
            }
        }
        if self.violations.is_empty() {
            let _ = writeln!(
                text,
                "the server has {}, as at the beginning; nothing is left in /dev/shm",
                self.held
            );
            text += "Every promise was kept.\n";
            return text;
        }
        text += "What was done:\n";
        for moment in &self.timeline {
            let at = self.since_start(moment.at);
            let who = moment.who.as_deref().unwrap_or_default();
            let _ = writeln!(text, "{at:>9.3} s  {who} {} {}", moment.what, moment.detail);
        }
        for violation in self.violations.iter().take(SHOWN) {
            let at = self.since_start(violation.at.max(self.start));
            let _ = writeln!(text, "at {at:.3} s: {violation}");
        }
        if self.violations.len() > SHOWN {
            let _ = writeln!(text, "… and {} more", self.violations.len() - SHOWN);
        }
        text
    }

    /// Seconds from the beginning.
    fn since_start(&self, at: u64) -> f64 {
        (at as f64 - self.start as f64) / 1e9
    }
}
