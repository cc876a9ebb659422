//! Results as tables for a terminal.

use std::fmt::Write as _;

use crate::document::{Document, Figure};
use crate::figures::{Nanos, Spread, Stat, Unit, times};

/// Width of a column.
const WIDE: usize = 15;

/// Width of the column that counts samples.
const SAMPLES: usize = 9;

/// Stands for a percentile that no round has the samples for.
pub(crate) const TOO_FEW: &str = "–";

/// The run's machine, what it is about, and a table a section.
pub(crate) fn render(document: &Document) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", document.machine);
    if !document.optimised {
        let _ =
            writeln!(text, "Built without optimisation: these figures say nothing. Use cargo run --release.");
    }
    for line in &document.about {
        let _ = writeln!(text, "{line}");
    }
    let rounds = document.figures.first().map_or(0, |figure| figure.rounds.len());
    let _ = writeln!(
        text,
        "Each figure is its own median over {rounds} round{}, its lowest and highest round below it.",
        plural(rounds)
    );
    let scarce = |figure: &Figure| {
        figure.is_latency() && Stat::ALL.iter().any(|stat| figure.percentile(*stat).is_none())
    };
    if document.figures.iter().any(scarce) {
        let _ = writeln!(
            text,
            "{TOO_FEW}: a round has too few samples for this percentile. Samples: of the shortest round."
        );
    }
    text += &tables(document);
    text
}

pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A table a section.
pub(crate) fn tables(document: &Document) -> String {
    let mut text = String::new();
    let wide = document.figures.iter().map(|figure| figure.label.chars().count()).max().unwrap_or(0);
    for (heading, figures) in document.sections() {
        let _ = writeln!(text);
        let (latencies, values): (Vec<&Figure>, Vec<&Figure>) =
            figures.into_iter().partition(|figure| figure.is_latency());
        let mut heading = Some(heading);
        if !latencies.is_empty() {
            latency_table(&mut text, document, heading.take().unwrap_or_default(), &latencies, wide);
        }
        if !values.is_empty() {
            value_table(&mut text, document, heading.take().unwrap_or_default(), &values, wide);
        }
    }
    text
}

fn latency_table(text: &mut String, document: &Document, heading: &str, figures: &[&Figure], wide: usize) {
    let _ = write!(text, "{heading:wide$}");
    for stat in Stat::ALL {
        let _ = write!(text, "  {:>WIDE$}", stat.name());
    }
    let _ = writeln!(text, "  {:>WIDE$}  {:>SAMPLES$}", "p50 / floor", "samples");
    for figure in figures {
        let Some(samples) = figure.samples() else { continue };
        let _ = write!(text, "{:wide$}", figure.label);
        for stat in Stat::ALL {
            let shown = figure.percentile(stat).map(|spread| Nanos(spread.median).to_string());
            let _ = write!(text, "  {:>WIDE$}", shown.as_deref().unwrap_or(TOO_FEW));
        }
        let _ = writeln!(text, "  {:>WIDE$}  {samples:>SAMPLES$}", beside(document, figure));
        if figure.rounds.len() > 1 {
            let _ = write!(text, "{:wide$}", "");
            for stat in Stat::ALL {
                let shown = figure.percentile(stat).map(|spread| range(spread, Unit::Ns));
                let _ = write!(text, "  {:>WIDE$}", shown.unwrap_or_default());
            }
            let _ = writeln!(text, "  {:>WIDE$}", figure.ratio.map_or_else(String::new, ratio_range));
        }
    }
}

fn value_table(text: &mut String, document: &Document, heading: &str, figures: &[&Figure], wide: usize) {
    let _ = writeln!(
        text,
        "{heading:wide$}  {:>WIDE$}  {:>24}  {:>WIDE$}  {:>WIDE$}",
        "median", "lowest–highest", "× floor", "lowest–highest"
    );
    for figure in figures {
        let spread = if figure.rounds.len() > 1 { range(figure.value, figure.unit) } else { String::new() };
        let _ = writeln!(
            text,
            "{:wide$}  {:>WIDE$}  {spread:>24}  {:>WIDE$}  {:>WIDE$}",
            figure.label,
            figure.unit.show(figure.value.median),
            beside(document, figure),
            figure.ratio.filter(|_| figure.rounds.len() > 1).map_or_else(String::new, ratio_range),
        );
    }
}

/// The ratio to the floor, or that it is one.
fn beside(document: &Document, figure: &Figure) -> String {
    match figure.ratio {
        Some(ratio) => times(ratio.median),
        None if document.is_floor(figure) => "floor".to_owned(),
        None => String::new(),
    }
}

fn ratio_range(ratio: Spread) -> String {
    between(&times(ratio.min), &times(ratio.max))
}

/// Both ends of a spread.
pub(crate) fn range(spread: Spread, unit: Unit) -> String {
    between(&unit.show(spread.min), &unit.show(spread.max))
}

/// Two values with their units; that of the first is left out where it is that of the second.
pub(crate) fn between(low: &str, high: &str) -> String {
    let of = |text| str::split_once(text, ' ').map(|(_, unit)| unit);
    let low = if of(low) == of(high) { low.split(' ').next().unwrap_or_default() } else { low };
    format!("{low}–{high}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples::{hop, rates};

    #[test]
    fn the_table_has_the_floor_beside_the_figure() {
        let table = render(&hop().document());
        assert!(table.contains("the hop") && table.contains("125 ns") && table.contains("1.25 ×"), "{table}");
        assert!(table.contains("125–250 ns") && table.contains("1.25–1.25 ×"), "{table}");
        assert!(table.contains("One against the other."), "{table}");
    }

    #[test]
    fn a_percentile_without_the_samples_is_left_out() {
        let mut document = hop().document();
        assert!(!render(&document).contains("too few samples"));
        for round in document.figures.iter_mut().flat_map(|figure| &mut figure.rounds) {
            if let crate::document::Round::Latency { count, .. } = round {
                *count = 999;
            }
        }
        let table = render(&document);
        let line = table.lines().find(|line| line.starts_with("the hop")).unwrap();
        assert!(
            line.contains(" – ") && line.ends_with("999") && table.contains("too few samples"),
            "{table}"
        );
    }

    #[test]
    fn rates_have_their_headings_and_ratios() {
        let table = render(&rates().document());
        let line = table.lines().find(|line| line.starts_with("the ring")).unwrap();
        assert!(line.contains("100 M/s") && line.contains("0.50 ×"), "{table}");
        assert!(table.contains("\nOne  ") && table.contains("\nTwo  "), "{table}");
    }

    #[test]
    fn a_range_names_its_unit_once_if_it_can() {
        let of = |min, max| range(Spread { median: min, min, max }, Unit::Ns);
        assert_eq!(of(1.0, 2.0), "1–2 ns");
        assert_eq!(of(900.0, 1100.0), "900 ns–1.10 µs");
        assert_eq!(range(Spread { median: 2e6, min: 1e6, max: 3e6 }, Unit::PerSecond), "1.00–3.00 M/s");
    }
}
