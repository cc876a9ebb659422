//! What a measurement prints: a table for people, or JSON with everything in it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::figures::{Nanos, Quantity, RoundJson, Series, Spread, Stat, Unit};
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
    /// Each with the id of the quantity that is its floor, if it has one.
    pub(crate) quantities: Vec<(Quantity, Option<String>)>,
}

#[derive(Serialize)]
struct ReportJson<'a> {
    v: u32,
    command: &'a str,
    arguments: Vec<String>,
    machine: Machine,
    about: &'a [String],
    figures: Vec<FigureJson<'a>>,
    quantities: Vec<QuantityJson<'a>>,
}

/// What is no histogram of times.
#[derive(Serialize)]
struct QuantityJson<'a> {
    id: &'a str,
    label: &'a str,
    unit: Unit,
    /// Median, lowest and highest of the rounds.
    value: Option<Spread>,
    floor: Option<&'a str>,
    /// How many times the floor's value, taken round by round.
    ratio: Option<Spread>,
    rounds: &'a [f64],
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
        Self { command, about, figures: Vec::new(), quantities: Vec::new() }
    }

    /// Adds a series that is a floor itself, or a part of another.
    pub(crate) fn add_alone(&mut self, series: Series) {
        self.figures.push(Figure { series, floor: None });
    }

    /// Adds a series that is measured against the series of the id `floor`.
    pub(crate) fn add(&mut self, series: Series, floor: &str) {
        self.figures.push(Figure { series, floor: Some(floor.to_owned()) });
    }

    /// Adds a quantity, measured against the quantity of the id `floor` if that is given.
    #[cfg_attr(not(test), expect(dead_code, reason = "the measurements that use it follow"))]
    pub(crate) fn add_quantity(&mut self, quantity: Quantity, floor: Option<&str>) {
        self.quantities.push((quantity, floor.map(str::to_owned)));
    }

    fn ratio_of(&self, quantity: &Quantity, floor: Option<&str>) -> Option<Spread> {
        let floor = self.quantities.iter().find(|(other, _)| Some(other.id.as_str()) == floor)?;
        quantity.ratio(&floor.0)
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
        let quantities = self.quantities.iter().map(|(quantity, floor)| QuantityJson {
            id: &quantity.id,
            label: &quantity.label,
            unit: quantity.unit,
            value: quantity.value(),
            floor: floor.as_deref(),
            ratio: self.ratio_of(quantity, floor.as_deref()),
            rounds: &quantity.rounds,
        });
        let report = ReportJson {
            v: 1,
            command: self.command,
            arguments: std::env::args().skip(1).collect(),
            machine: Machine::describe(),
            about: &self.about,
            figures: figures.collect(),
            quantities: quantities.collect(),
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
        let times = self.figures.first().map(|figure| figure.series.rounds.len());
        let others = self.quantities.first().map(|(quantity, _)| quantity.rounds.len());
        let rounds = times.or(others).unwrap_or(0);
        let _ = writeln!(text, "Medians of {rounds} rounds; below each, the lowest and the highest round.\n");
        if !self.figures.is_empty() {
            self.times_table(&mut text);
        }
        if !self.quantities.is_empty() {
            if !self.figures.is_empty() {
                text.push('\n');
            }
            self.quantities_table(&mut text);
        }
        text
    }

    fn quantities_table(&self, text: &mut String) {
        let labels = self.quantities.iter().map(|(quantity, _)| quantity.label.chars().count());
        let wide = labels.max().unwrap_or(0);
        let _ = writeln!(
            text,
            "{:wide$}  {:>14}  {:>28}  {:>10}  {:>17}",
            "", "median", "lowest–highest", "/ floor", ""
        );
        for (quantity, floor) in &self.quantities {
            let Some(value) = quantity.value() else { continue };
            let ratio = self.ratio_of(quantity, floor.as_deref());
            let is_floor =
                self.quantities.iter().any(|(_, other)| other.as_deref() == Some(quantity.id.as_str()));
            let show = |value| quantity.unit.show(value);
            let _ = writeln!(
                text,
                "{:wide$}  {:>14}  {:>28}  {:>10}  {:>17}",
                quantity.label,
                show(value.median),
                format!("{}–{}", show(value.min), show(value.max)),
                match ratio {
                    Some(ratio) => times(ratio.median),
                    None => if is_floor { "floor" } else { "" }.to_owned(),
                },
                ratio.map_or_else(String::new, |r| format!("{}–{}", times(r.min), times(r.max))),
            );
        }
    }

    fn times_table(&self, text: &mut String) {
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
    fn a_quantity_has_its_unit_and_its_floor() {
        let mut report = Report::new("fanout", vec!["Copies.".into()]);
        for (id, rate) in [("floor", 80e6), ("ring", 40e6)] {
            let mut quantity = Quantity::new(id, format!("the {id}"), Unit::PerSecond);
            quantity.rounds = vec![rate, rate / 2.0, rate * 2.0];
            report.add_quantity(quantity, (id == "ring").then_some("floor"));
        }
        let table = report.table(&Machine::describe());
        assert!(table.contains("40.0 M/s") && table.contains("20.0 M/s–80.0 M/s"), "{table}");
        assert!(table.contains("0.50 ×–0.50 ×"), "{table}");
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        let ring = &json["quantities"][1];
        assert_eq!((&ring["unit"], &ring["ratio"]["median"]), (&"per-second".into(), &0.5.into()));
        assert_eq!(ring["rounds"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn a_range_names_its_unit_once_if_it_can() {
        let of = |min, max| range(Spread { median: min, min, max });
        assert_eq!(of(1.0, 2.0), "1–2 ns");
        assert_eq!(of(900.0, 1100.0), "900 ns–1.10 µs");
    }
}
