//! What a measurement prints: a table for people, or JSON with everything in it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::figures::{Nanos, RoundJson, Series, Spread, Stat};
use crate::machine::Machine;

/// One line of the table: a series, and the floor that it is measured against.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) series: Series,
    /// The id of the series that is its floor, if it has one.
    pub(crate) floor: Option<String>,
}

/// A measurement's result.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) command: &'static str,
    /// What was compared with what, in sentences.
    pub(crate) about: Vec<String>,
    pub(crate) figures: Vec<Figure>,
}

#[derive(Serialize)]
struct ReportJson<'a> {
    v: u32,
    command: &'a str,
    arguments: Vec<String>,
    machine: Machine,
    about: &'a [String],
    figures: Vec<FigureJson<'a>>,
}

#[derive(Serialize)]
struct FigureJson<'a> {
    id: &'a str,
    label: &'a str,
    /// Nanoseconds; median, lowest and highest of the rounds.
    p50: Option<Spread>,
    p90: Option<Spread>,
    p99: Option<Spread>,
    p999: Option<Spread>,
    max: Option<Spread>,
    floor: Option<&'a str>,
    /// How many times the floor's p50, taken round by round.
    ratio_p50: Option<Spread>,
    ratio_p999: Option<Spread>,
    rounds: Vec<RoundJson>,
}

impl Report {
    pub(crate) fn new(command: &'static str, about: Vec<String>) -> Self {
        Self { command, about, figures: Vec::new() }
    }

    /// Adds a series that is a floor itself, or a part of another.
    pub(crate) fn add_alone(&mut self, series: Series) {
        self.figures.push(Figure { series, floor: None });
    }

    /// Adds a series that is measured against the series of the id `floor`.
    pub(crate) fn add(&mut self, series: Series, floor: &str) {
        self.figures.push(Figure { series, floor: Some(floor.to_owned()) });
    }

    fn floor_of(&self, figure: &Figure) -> Option<&Series> {
        let id = figure.floor.as_deref()?;
        self.figures.iter().map(|figure| &figure.series).find(|series| series.id == id)
    }

    /// Prints to standard output, as a table or as JSON.
    pub(crate) fn print(&self, json: bool) {
        let text = if json { self.json() } else { self.table(&Machine::describe()) };
        crate::out(&text);
    }

    fn json(&self) -> String {
        let figures = self.figures.iter().map(|figure| {
            let series = &figure.series;
            let floor = self.floor_of(figure);
            let ratio = |stat| floor.and_then(|floor| series.ratio(floor, stat));
            FigureJson {
                id: &series.id,
                label: &series.label,
                p50: series.value(Stat::P50),
                p90: series.value(Stat::P90),
                p99: series.value(Stat::P99),
                p999: series.value(Stat::P999),
                max: series.value(Stat::Max),
                floor: figure.floor.as_deref(),
                ratio_p50: ratio(Stat::P50),
                ratio_p999: ratio(Stat::P999),
                rounds: series.rounds.iter().map(RoundJson::new).collect(),
            }
        });
        let report = ReportJson {
            v: 1,
            command: self.command,
            arguments: std::env::args().skip(1).collect(),
            machine: Machine::describe(),
            about: &self.about,
            figures: figures.collect(),
        };
        serde_json::to_string(&report).expect("the report holds strings and numbers") + "\n"
    }

    fn table(&self, machine: &Machine) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{machine}");
        for line in &self.about {
            let _ = writeln!(text, "{line}");
        }
        let rounds = self.figures.first().map_or(0, |figure| figure.series.rounds.len());
        let _ = writeln!(text, "Medians of {rounds} rounds; below each, the lowest and the highest round.\n");
        let wide = self.figures.iter().map(|figure| figure.series.label.chars().count()).max().unwrap_or(0);
        let _ = write!(text, "{:wide$}", "");
        for stat in Stat::ALL {
            let _ = write!(text, "  {:>15}", stat.name());
        }
        let _ = writeln!(text, "  {:>15}", "p50 / floor");
        for figure in &self.figures {
            let series = &figure.series;
            let values = Stat::ALL.map(|stat| series.value(stat));
            let ratio = self.floor_of(figure).and_then(|floor| series.ratio(floor, Stat::P50));
            let _ = write!(text, "{:wide$}", series.label);
            for value in values {
                let _ =
                    write!(text, "  {:>15}", value.map_or_else(String::new, |v| Nanos(v.median).to_string()));
            }
            let is_floor =
                self.figures.iter().any(|other| other.floor.as_deref() == Some(series.id.as_str()));
            let median = match ratio {
                Some(ratio) => times(ratio.median),
                None => if is_floor { "floor" } else { "" }.to_owned(),
            };
            let _ = write!(text, "  {median:>15}\n{:wide$}", "");
            for value in values {
                let _ = write!(text, "  {:>15}", value.map_or_else(String::new, range));
            }
            let spread = ratio.map_or_else(String::new, |r| format!("{}–{}", times(r.min), times(r.max)));
            let _ = writeln!(text, "  {spread:>15}");
        }
        text
    }
}

fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 10.0 => format!("{ratio:.2} ×"),
        ratio => format!("{ratio:.0} ×"),
    }
}

/// Both ends of a spread; the unit of the first is left out where it is that of the second.
fn range(spread: Spread) -> String {
    let (low, high) = (Nanos(spread.min).to_string(), Nanos(spread.max).to_string());
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
    let same = unit(&low) == unit(&high);
    let low = if same { low.split(' ').next().unwrap_or_default().to_owned() } else { low };
    format!("{low}–{high}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::histogram;

    fn report() -> Report {
        let mut report = Report::new("hop", vec!["One against the other.".into()]);
        for (id, value) in [("floor", 100), ("hop", 125)] {
            let mut series = Series::new(id, format!("the {id}"));
            for _ in 0..3 {
                let mut round = histogram();
                round.record_n(value, 10).unwrap();
                series.rounds.push(round);
            }
            if id == "floor" { report.add_alone(series) } else { report.add(series, "floor") }
        }
        report
    }

    #[test]
    fn the_table_has_the_floor_beside_the_figure() {
        let table = report().table(&Machine::describe());
        assert!(table.contains("the hop") && table.contains("125 ns") && table.contains("1.25 ×"), "{table}");
        assert!(table.contains("125–125 ns"), "{table}");
    }

    #[test]
    fn json_holds_every_round_and_its_histogram() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        let hop = &json["figures"][1];
        assert_eq!(hop["ratio_p50"]["median"], 1.25);
        assert_eq!(hop["rounds"].as_array().map(Vec::len), Some(3));
        let text = hop["rounds"][0]["histogram_v2"].as_str().unwrap();
        assert_eq!(crate::figures::decode(text).unwrap().len(), 10);
    }

    #[test]
    fn a_range_names_its_unit_once_if_it_can() {
        let of = |min, max| range(Spread { median: min, min, max });
        assert_eq!(of(1.0, 2.0), "1–2 ns");
        assert_eq!(of(900.0, 1100.0), "900 ns–1.10 µs");
    }
}
