//! What is measured in several rounds, and the figures that are read off it.
//!
//! A figure is never one number: every round gives its own percentile or rate, and what is printed is the median over
//! the rounds with the lowest and the highest beside it. A ratio is taken within each round and then treated the same
//! way.

use std::fmt;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Longest time that is told apart, nanoseconds: a minute. Longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;

/// An empty histogram of nanoseconds with three significant digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are in order")
}

/// What is read off a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stat {
    P50,
    P90,
    P99,
    P999,
    Max,
}

impl Stat {
    pub(crate) const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::Max];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
        }
    }

    /// How many samples it takes until one lies beyond this percentile; with fewer it is the maximum under another
    /// name.
    pub(crate) fn samples_needed(self) -> u64 {
        match self {
            Self::P50 | Self::Max => 1,
            Self::P90 => 10,
            Self::P99 => 100,
            Self::P999 => 1000,
        }
    }

    /// The value in this histogram, nanoseconds.
    pub(crate) fn of(self, histogram: &Histogram<u64>) -> u64 {
        match self {
            Self::P50 => histogram.value_at_quantile(0.5),
            Self::P90 => histogram.value_at_quantile(0.9),
            Self::P99 => histogram.value_at_quantile(0.99),
            Self::P999 => histogram.value_at_quantile(0.999),
            Self::Max => histogram.max(),
        }
    }
}

/// A figure over several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there is no value.
    pub(crate) fn over(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max })
    }
}

/// Latencies measured under one name: a histogram a round.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// For programs: lower case, dots between the parts.
    pub(crate) id: String,
    /// For people.
    pub(crate) label: String,
    pub(crate) rounds: Vec<Histogram<u64>>,
}

impl Series {
    pub(crate) fn new(id: impl Into<String>, label: impl Into<String>) -> Self {
        Self { id: id.into(), label: label.into(), rounds: Vec::new() }
    }
}

/// What was measured under one name and is no histogram of times: a rate, a size, a share. One value a round.
#[derive(Clone, Debug)]
pub(crate) struct Quantity {
    /// For programs: lower case, dots between the parts.
    pub(crate) id: String,
    /// For people.
    pub(crate) label: String,
    pub(crate) unit: Unit,
    /// What the run was under, or what came of it: neither more of it is better nor less.
    pub(crate) circumstance: bool,
    pub(crate) rounds: Vec<f64>,
}

impl Quantity {
    pub(crate) fn new(id: impl Into<String>, label: impl Into<String>, unit: Unit) -> Self {
        Self { id: id.into(), label: label.into(), unit, circumstance: false, rounds: Vec::new() }
    }

    /// The same, as something that is neither better nor worse when it changes.
    pub(crate) fn circumstance(self) -> Self {
        Self { circumstance: true, ..self }
    }
}

/// What a figure is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// Nanoseconds; of latencies, and of what is computed instead of sampled.
    #[serde(rename = "ns")]
    Ns,
    /// How often in a second.
    #[serde(rename = "/s")]
    PerSecond,
    #[serde(rename = "bytes")]
    Bytes,
    /// Percent of one processor: 100 is one that is busy all the time.
    #[serde(rename = "% of a core")]
    PercentOfCore,
    /// How many.
    #[serde(rename = "count")]
    Count,
    /// How many times something else, in the same round.
    #[serde(rename = "×")]
    Times,
}

impl Unit {
    /// Whether more of it is better; of the others, less is.
    pub(crate) fn higher_is_better(self) -> bool {
        self == Self::PerSecond
    }

    /// A value for people: three significant digits and the unit.
    pub(crate) fn show(self, value: f64) -> String {
        let scaled = |units: [&str; 4], step: f64| {
            let mut value = value;
            let mut at = 0;
            while value.abs() >= step * 0.9995 && at + 1 < units.len() {
                value /= step;
                at += 1;
            }
            if at == 0 && value == value.trunc() {
                return format!("{value:.0} {}", units[at]);
            }
            format!("{} {}", three_digits(value), units[at])
        };
        match self {
            Self::Ns if value < 99.95 && value != value.trunc() => format!("{value:.1} ns"),
            Self::Ns => Nanos(value).to_string(),
            Self::PerSecond => scaled(["/s", "k/s", "M/s", "G/s"], 1000.0),
            Self::Bytes => scaled(["B", "KiB", "MiB", "GiB"], 1024.0),
            Self::PercentOfCore => format!("{value:.2} %"),
            Self::Count => format!("{value:.0}"),
            Self::Times => times(value),
        }
    }
}

fn three_digits(value: f64) -> String {
    let digits = match value.abs() {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A histogram as text: HdrHistogram's compressed V2 encoding in base64.
pub(crate) fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("a vector takes any number of bytes");
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The histogram that [`encode`] wrote, or `None` if the text is something else.
pub(crate) fn decode(text: &str) -> Option<Histogram<u64>> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    hdrhistogram::serialization::Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

/// Nanoseconds for people: three significant digits and a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nanos(pub(crate) f64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            ns if ns < 999.5 => return f.pad(&format!("{ns:.0} ns")),
            ns if ns < 999_500.0 => (ns / 1e3, "µs"),
            ns if ns < 999_500_000.0 => (ns / 1e6, "ms"),
            ns => (ns / 1e9, "s"),
        };
        f.pad(&format!("{} {unit}", three_digits(value)))
    }
}

/// A ratio for people.
pub(crate) fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.0995 => format!("{ratio:.3} ×"),
        ratio if ratio < 9.995 => format!("{ratio:.2} ×"),
        ratio if ratio < 99.95 => format!("{ratio:.1} ×"),
        ratio => format!("{ratio:.0} ×"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_the_rounds_with_its_spread() {
        let spread = Spread::over([300.0, 100.0, 200.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (200.0, 100.0, 300.0));
        assert_eq!(Spread::over([4.0, 1.0, 2.0, 8.0]).unwrap().median, 3.0);
        assert_eq!(Spread::over([]), None);
    }

    #[test]
    fn quantities_are_shown_in_their_unit() {
        assert_eq!(Unit::PerSecond.show(123.0), "123 /s");
        assert_eq!(Unit::PerSecond.show(51_234_000.0), "51.2 M/s");
        assert_eq!(Unit::Bytes.show(24.0 * 1024.0), "24.0 KiB");
        assert_eq!(Unit::Bytes.show(512.0), "512 B");
        assert_eq!(Unit::Ns.show(19.94), "19.9 ns");
        assert_eq!(Unit::Ns.show(1500.0), "1.50 µs");
        assert_eq!(Unit::PercentOfCore.show(0.456), "0.46 %");
    }

    #[test]
    fn a_histogram_travels_as_text() {
        let mut histogram = histogram();
        for value in [1, 250, 1_000_000, LONGEST_NS] {
            histogram.record(value).unwrap();
        }
        assert_eq!(decode(&encode(&histogram)).as_ref(), Some(&histogram));
        assert_eq!(decode("no histogram"), None);
    }

    #[test]
    fn times_have_three_digits() {
        let shown = |ns: f64| Nanos(ns).to_string();
        assert_eq!(shown(7.0), "7 ns");
        assert_eq!(shown(999.6), "1.00 µs");
        assert_eq!(shown(1234.0), "1.23 µs");
        assert_eq!(shown(61_040.0), "61.0 µs");
        assert_eq!(shown(999_600.0), "1.00 ms");
        assert_eq!(shown(2.5e9), "2.50 s");
    }
}
