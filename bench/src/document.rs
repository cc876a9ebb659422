//! The one form in which every subcommand's results are written as JSON, and read again by `report` and `compare`.
//!
//! ```json
//! { "v": 2, "command": "hop", "arguments": ["hop", "--quick"], "version": "0.1.0", "optimised": true,
//!   "taken_unix_s": 1764000000, "machine": { … }, "about": ["What was compared with what."],
//!   "figures": [ { "id": "hop.56.spin", "label": "56-byte record, spin", "section": "", "unit": "ns",
//!     "value": { "median": 300, "min": 298, "max": 311 },
//!     "percentiles": { "p50": { … }, "p90": …, "p99": …, "p999": …, "max": … },
//!     "floor": "line.processes", "ratio": { … }, "ratio_p999": { … },
//!     "rounds": [ { "count": …, "mean": …, "min": …, "p50": …, … } ],
//!     "histogram": "HISTF…" } ] }
//! ```
//!
//! A latency's `value` is its p50, and `histogram` holds all its rounds together in HdrHistogram's compressed V2
//! encoding, base64. Any other figure has neither `percentiles` nor `histogram`, and each of its rounds is
//! `{ "value": … }`. Ratios are taken within each round. A subcommand may add fields of its own beside `figures`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::figures::{Spread, Stat, Unit};
use crate::machine::Machine;

/// The form that this program writes and reads.
pub(crate) const VERSION: u32 = 2;

/// A run's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) v: u32,
    /// The subcommand.
    pub(crate) command: String,
    /// Everything after the program's name, as it was typed.
    pub(crate) arguments: Vec<String>,
    /// The program's version.
    pub(crate) version: String,
    /// The commit that was checked out when it was built, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// Whether the program was built with optimisation.
    pub(crate) optimised: bool,
    pub(crate) taken_unix_s: u64,
    pub(crate) machine: Machine,
    /// What was compared with what, in sentences.
    pub(crate) about: Vec<String>,
    pub(crate) figures: Vec<Figure>,
    /// What the subcommand has to say beyond figures.
    #[serde(flatten)]
    pub(crate) details: Map<String, Value>,
}

/// One figure of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// For programs: lower case, dots between the parts.
    pub(crate) id: String,
    /// For people.
    pub(crate) label: String,
    /// The heading that it stands under; figures of one section are drawn together.
    #[serde(default)]
    pub(crate) section: String,
    pub(crate) unit: Unit,
    /// Over the rounds: a latency's p50, or the figure itself.
    pub(crate) value: Spread,
    /// Latencies only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) percentiles: Option<Percentiles>,
    /// The id of the figure that is its floor, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<String>,
    /// How many times the floor's value, round by round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Spread>,
    /// The same for p99.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratio_p999: Option<Spread>,
    /// It is neither better nor worse when it changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) circumstance: bool,
    pub(crate) rounds: Vec<Round>,
    /// Latencies only: all rounds together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) histogram: Option<String>,
}

/// What is read off a latency histogram, each over the rounds; nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: Spread,
    pub(crate) p90: Spread,
    pub(crate) p99: Spread,
    pub(crate) p999: Spread,
    pub(crate) max: Spread,
}

impl Percentiles {
    pub(crate) fn get(&self, stat: Stat) -> Spread {
        match stat {
            Stat::P50 => self.p50,
            Stat::P90 => self.p90,
            Stat::P99 => self.p99,
            Stat::P999 => self.p999,
            Stat::Max => self.max,
        }
    }
}

/// One round of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Round {
    /// Nanoseconds.
    Latency { count: u64, mean: f64, min: u64, p50: u64, p90: u64, p99: u64, p999: u64, max: u64 },
    /// In the figure's unit.
    Value { value: f64 },
}

impl Round {
    /// What this round says for `stat`; a figure that is no latency says the same for each.
    pub(crate) fn get(&self, stat: Stat) -> f64 {
        match *self {
            Self::Latency { p50, p90, p99, p999, max, .. } => match stat {
                Stat::P50 => p50 as f64,
                Stat::P90 => p90 as f64,
                Stat::P99 => p99 as f64,
                Stat::P999 => p999 as f64,
                Stat::Max => max as f64,
            },
            Self::Value { value } => value,
        }
    }
}

impl Figure {
    pub(crate) fn is_latency(&self) -> bool {
        self.percentiles.is_some()
    }

    /// The fewest samples that a round has; `None` if it is no latency.
    pub(crate) fn samples(&self) -> Option<u64> {
        let count = |round: &Round| match *round {
            Round::Latency { count, .. } => Some(count),
            Round::Value { .. } => None,
        };
        self.rounds.iter().filter_map(count).min()
    }

    /// A percentile over the rounds; `None` if a round has too few samples for it, or if this is no latency.
    pub(crate) fn percentile(&self, stat: Stat) -> Option<Spread> {
        let spread = self.percentiles.as_ref()?.get(stat);
        (self.samples()? >= stat.samples_needed()).then_some(spread)
    }
}

impl Document {
    /// One line of JSON.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a document holds strings and numbers") + "\n"
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            v: Option<u32>,
        }
        let head: Head = serde_json::from_str(text).map_err(|why| format!("no JSON object: {why}"))?;
        match head.v {
            Some(VERSION) => {}
            Some(other) => return Err(format!("form {other} of results; this program reads form {VERSION}")),
            None => return Err("no results of halyard-bench: there is no \"v\"".to_owned()),
        }
        serde_json::from_str(text).map_err(|why| format!("not the results that --json writes: {why}"))
    }

    /// Reads a file of results.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let name = path.display();
        let text =
            std::fs::read_to_string(path).map_err(|why| Failure::usage(format_args!("{name}: {why}")))?;
        Self::parse(&text).map_err(|why| Failure::usage(format_args!("{name}: {why}")))
    }

    pub(crate) fn figure(&self, id: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.id == id)
    }

    /// The figure that this one is measured against.
    pub(crate) fn floor_of(&self, figure: &Figure) -> Option<&Figure> {
        self.figure(figure.floor.as_deref()?)
    }

    /// Whether others are measured against this figure.
    pub(crate) fn is_floor(&self, figure: &Figure) -> bool {
        self.figures.iter().any(|other| other.floor.as_ref() == Some(&figure.id))
    }

    /// The sections in the order in which they appear, each with its figures.
    pub(crate) fn sections(&self) -> Vec<(&str, Vec<&Figure>)> {
        let mut sections: Vec<(&str, Vec<&Figure>)> = Vec::new();
        for figure in &self.figures {
            match sections.iter_mut().find(|(name, _)| *name == figure.section) {
                Some((_, figures)) => figures.push(figure),
                None => sections.push((&figure.section, vec![figure])),
            }
        }
        sections
    }

    /// The command as somebody would type it again: without where its results went and whether a bar was drawn, which
    /// change no figure.
    pub(crate) fn command_line(&self) -> String {
        let quoted = |word: &String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        };
        let mut file = false;
        let matters = |word: &&String| match word.as_str() {
            _ if std::mem::take(&mut file) => false,
            "--save" => {
                file = true;
                false
            }
            "--json" | "--no-progress" => false,
            word => !word.starts_with("--save="),
        };
        ["halyard-bench".to_owned()]
            .into_iter()
            .chain(self.arguments.iter().filter(matters).map(quoted))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples::{hop, rates};

    #[test]
    fn what_is_written_is_read_again() {
        for results in [hop(), rates()] {
            let mut document = results.document();
            document.details.insert("holds".into(), Value::Bool(true));
            assert_eq!(Document::parse(&document.to_json()), Ok(document));
        }
    }

    #[test]
    fn what_is_something_else_is_refused_with_the_reason() {
        let refused = |text: &str| Document::parse(text).unwrap_err();
        assert!(refused("{").contains("no JSON object"));
        assert!(refused("{}").contains("no \"v\""));
        assert!(refused("{\"v\":1}").contains("form 1"));
        assert!(refused("{\"v\":2}").contains("command"));
        let unit = hop().document().to_json().replace("\"ns\"", "\"miles\"");
        assert!(refused(&unit).contains("miles"));
    }

    #[test]
    fn a_command_line_can_be_pasted() {
        let mut document = hop().document();
        document.arguments = ["replay", "my log.txt", "it's", "--speed", "1e6"].map(String::from).to_vec();
        assert_eq!(document.command_line(), r"halyard-bench replay 'my log.txt' 'it'\''s' --speed 1e6");
    }

    #[test]
    fn where_results_went_is_no_part_of_the_command() {
        let mut document = hop().document();
        document.arguments = ["hop", "--save", "a.json", "--quick", "--json", "--save=b", "--no-progress"]
            .map(String::from)
            .to_vec();
        assert_eq!(document.command_line(), "halyard-bench hop --quick");
    }

    #[test]
    fn a_round_with_few_samples_has_no_far_percentile() {
        let document = hop().document();
        let figure = document.figure("hop").unwrap();
        assert_eq!(figure.samples(), Some(1000));
        assert!(figure.percentile(Stat::P999).is_some());
        let mut scarce = figure.clone();
        if let Round::Latency { count, .. } = &mut scarce.rounds[1] {
            *count = 999;
        }
        assert_eq!(scarce.percentile(Stat::P999), None);
        assert!(scarce.percentile(Stat::P99).is_some() && scarce.percentile(Stat::Max).is_some());
    }

    #[test]
    fn sections_keep_their_order() {
        let document = rates().document();
        let names: Vec<_> =
            document.sections().iter().map(|(name, figures)| (*name, figures.len())).collect();
        assert_eq!(names, [("One", 2), ("Two", 1)]);
    }
}
