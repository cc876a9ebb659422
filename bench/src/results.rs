//! Collecting a run's results: what was measured, under which heading, against which floor.

use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde_json::{Map, Value};

use crate::document::{Document, Figure, Percentiles, Round, VERSION};
use crate::figures::{self, Quantity, Series, Spread, Stat, Unit};
use crate::machine::Machine;

/// What was measured under one name: latencies or a quantity.
#[derive(Clone, Debug)]
pub(crate) enum Measured {
    Latency(Series),
    Quantity(Quantity),
}

impl Measured {
    /// For people.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Latency(series) => &series.label,
            Self::Quantity(quantity) => &quantity.label,
        }
    }
}

impl From<Series> for Measured {
    fn from(series: Series) -> Self {
        Self::Latency(series)
    }
}

impl From<Quantity> for Measured {
    fn from(quantity: Quantity) -> Self {
        Self::Quantity(quantity)
    }
}

/// A run's results as they come together.
#[derive(Debug)]
pub(crate) struct Results {
    command: &'static str,
    about: Vec<String>,
    section: String,
    entries: Vec<Entry>,
    machine: Machine,
    details: Map<String, Value>,
}

#[derive(Debug)]
struct Entry {
    section: String,
    measured: Measured,
    floor: Option<String>,
}

impl Results {
    /// Starts with what is compared with what, in sentences. Best called before measuring: the machine's load is
    /// read now.
    pub(crate) fn new(command: &'static str, about: Vec<String>) -> Self {
        Self {
            command,
            about,
            section: String::new(),
            entries: Vec::new(),
            machine: Machine::describe(),
            details: Map::new(),
        }
    }

    /// What is added from now on stands under this heading.
    pub(crate) fn section(&mut self, heading: impl Into<String>) {
        self.section = heading.into();
    }

    /// Adds what is a floor itself, or a part of something else. What has no rounds is left out.
    pub(crate) fn add_alone(&mut self, measured: impl Into<Measured>) {
        self.push(measured.into(), None);
    }

    /// Adds what is measured against the figure of the id `floor`.
    pub(crate) fn add(&mut self, measured: impl Into<Measured>, floor: &str) {
        self.push(measured.into(), Some(floor.to_owned()));
    }

    /// Adds a field beside the figures.
    pub(crate) fn detail(&mut self, name: &str, value: Value) {
        self.details.insert(name.to_owned(), value);
    }

    fn push(&mut self, measured: Measured, floor: Option<String>) {
        self.entries.push(Entry { section: self.section.clone(), measured, floor });
    }

    /// Everything, in the form that is written.
    pub(crate) fn document(self) -> Document {
        let mut figures: Vec<Figure> = self.entries.into_iter().filter_map(Entry::figure).collect();
        let floors: Vec<(String, Vec<Round>)> =
            figures.iter().map(|figure| (figure.id.clone(), figure.rounds.clone())).collect();
        for figure in &mut figures {
            let Some(floor) = &figure.floor else { continue };
            let Some((_, floor)) = floors.iter().find(|(id, _)| id == floor) else { continue };
            figure.ratio = ratio(&figure.rounds, floor, Stat::P50);
            figure.ratio_p999 =
                if figure.is_latency() { ratio(&figure.rounds, floor, Stat::P999) } else { None };
        }
        Document {
            v: VERSION,
            command: self.command.to_owned(),
            arguments: std::env::args().skip(1).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("HALYARD_COMMIT").map(str::to_owned),
            optimised: !cfg!(debug_assertions),
            taken_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            machine: self.machine,
            about: self.about,
            figures,
            details: self.details,
        }
    }
}

/// Both sides of a ratio ran within the same second: it is taken round by round, so that a machine that changes its
/// pace between rounds does not change it.
fn ratio(own: &[Round], floor: &[Round], stat: Stat) -> Option<Spread> {
    let pairs = own.iter().zip(floor);
    Spread::over(
        pairs.filter(|(_, floor)| floor.get(stat) > 0.0).map(|(own, floor)| own.get(stat) / floor.get(stat)),
    )
}

impl Entry {
    fn figure(self) -> Option<Figure> {
        let circumstance = matches!(&self.measured, Measured::Quantity(quantity) if quantity.circumstance);
        let (id, label, unit, rounds, histogram) = match self.measured {
            Measured::Latency(series) => {
                let rounds: Vec<Round> = series.rounds.iter().map(latency).collect();
                (series.id, series.label, Unit::Ns, rounds, Some(together(&series.rounds)))
            }
            Measured::Quantity(quantity) => {
                let rounds = quantity.rounds.iter().map(|&value| Round::Value { value }).collect();
                (quantity.id, quantity.label, quantity.unit, rounds, None)
            }
        };
        let over = |stat| Spread::over(rounds.iter().map(|round| round.get(stat)));
        let value = over(Stat::P50)?;
        let percentiles = match histogram {
            Some(_) => Some(Percentiles {
                p50: value,
                p90: over(Stat::P90)?,
                p99: over(Stat::P99)?,
                p999: over(Stat::P999)?,
                max: over(Stat::Max)?,
            }),
            None => None,
        };
        Some(Figure {
            id,
            label,
            section: self.section,
            unit,
            value,
            percentiles,
            floor: self.floor,
            ratio: None,
            ratio_p999: None,
            circumstance,
            rounds,
            histogram: histogram.map(|histogram| figures::encode(&histogram)),
        })
    }
}

fn latency(histogram: &Histogram<u64>) -> Round {
    Round::Latency {
        count: histogram.len(),
        mean: histogram.mean(),
        min: histogram.min(),
        p50: Stat::P50.of(histogram),
        p90: Stat::P90.of(histogram),
        p99: Stat::P99.of(histogram),
        p999: Stat::P999.of(histogram),
        max: Stat::Max.of(histogram),
    }
}

fn together(rounds: &[Histogram<u64>]) -> Histogram<u64> {
    let mut all = figures::histogram();
    for round in rounds {
        // All have the bounds of `figures::histogram`.
        let _ = all.add(round);
    }
    all
}

/// Made-up results for tests.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::figures::histogram;

    /// A latency whose rounds have these medians, and a tail.
    pub(crate) fn series(id: &str, medians: &[u64]) -> Series {
        let mut series = Series::new(id, format!("the {id}"));
        for &median in medians {
            let mut round = histogram();
            round.record_n(median, 990).unwrap();
            round.record_n(median * 10, 10).unwrap();
            series.rounds.push(round);
        }
        series
    }

    pub(crate) fn quantity(id: &str, rounds: &[f64]) -> Quantity {
        let mut quantity = Quantity::new(id, format!("the {id}"), Unit::PerSecond);
        quantity.rounds.extend(rounds);
        quantity
    }

    /// A floor of 100 ns and a hop of 125 ns over a machine that changes its pace.
    pub(crate) fn hop() -> Results {
        let mut results = Results::new("hop", vec!["One against the other.".to_owned()]);
        results.add_alone(series("floor", &[100, 200, 100]));
        results.add(series("hop", &[125, 250, 125]), "floor");
        results
    }

    pub(crate) fn rates() -> Results {
        let mut results = Results::new("throughput", vec!["Rates.".to_owned()]);
        results.section("One");
        results.add_alone(quantity("raw", &[200e6, 210e6, 190e6]));
        results.add(quantity("ring", &[100e6, 105e6, 95e6]), "raw");
        results.section("Two");
        results.add(quantity("half", &[50e6, 52.5e6, 47.5e6]), "ring");
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine is twice as slow in the second round; the ratio is the same.
        let hop = samples::hop().document();
        assert_eq!(hop.figure("hop").unwrap().ratio, Some(Spread { median: 1.25, min: 1.25, max: 1.25 }));
        assert_eq!(hop.figure("floor").unwrap().ratio, None);
        let rates = samples::rates().document();
        assert_eq!(rates.figure("ring").unwrap().ratio.unwrap().median, 0.5);
        assert_eq!(rates.figure("ring").unwrap().ratio_p999, None);
    }

    #[test]
    fn the_rounds_histograms_are_added_up() {
        let document = samples::hop().document();
        let text = document.figures[1].histogram.as_deref().unwrap();
        assert!(text.starts_with("HISTF"), "what other HdrHistogram tools read: {text}");
        let histogram = figures::decode(text).unwrap();
        assert_eq!((histogram.len(), Stat::P50.of(&histogram)), (3000, 125));
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let mut results = Results::new("floor", Vec::new());
        results.add(Series::new("none", "None"), "floor");
        assert!(results.document().figures.is_empty());
    }
}
