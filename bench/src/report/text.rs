//! Percentile plots in a terminal: a letter a curve.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::{decades, nines, percentile_name, quantile};
use crate::document::{Document, Figure};
use crate::figures::Nanos;
use crate::table;

const COLUMNS: usize = 72;
const ROWS: usize = 18;

/// The plots and the tables of a run.
pub(super) fn render(document: &Document) -> String {
    let mut text = format!("$ {}\n", document.command_line());
    for (heading, figures) in document.sections() {
        text += &plot(heading, &figures);
    }
    text + &table::render(document)
}

fn plot(heading: &str, figures: &[&Figure]) -> String {
    // As many as there are letters.
    let curves: Vec<(char, &Figure, Histogram<u64>)> = ('a'..='z')
        .zip(
            figures
                .iter()
                .filter_map(|figure| super::histogram(figure).map(|histogram| (*figure, histogram))),
        )
        .map(|(letter, (figure, histogram))| (letter, figure, histogram))
        .collect();
    if curves.is_empty() {
        return String::new();
    }
    let histograms: Vec<Histogram<u64>> = curves.iter().map(|(_, _, histogram)| histogram.clone()).collect();
    let (across, (low, high)) = (nines(&histograms), decades(&histograms));
    let mut cells = vec![[' '; COLUMNS]; ROWS];
    for (letter, _, histogram) in &curves {
        let height = |column: usize| {
            let value = histogram.value_at_quantile(quantile(across * column as f64 / (COLUMNS - 1) as f64));
            let part = ((value.max(1) as f64).log10() - f64::from(low)) / f64::from(high - low);
            (part.clamp(0.0, 1.0) * (ROWS - 1) as f64).round() as usize
        };
        for (column, up) in (0..COLUMNS).map(height).enumerate() {
            let cell = &mut cells[ROWS - 1 - up][column];
            *cell = if *cell == ' ' { *letter } else { '*' };
        }
    }
    let row_of = |decade: i32| {
        let part = f64::from(decade - low) / f64::from(high - low);
        ROWS - 1 - (part * (ROWS - 1) as f64).round() as usize
    };
    let labels: BTreeMap<usize, i32> = (low..=high).map(|decade| (row_of(decade), decade)).collect();
    let mut text = format!("\n{heading}\n");
    for (row, cells) in cells.iter().enumerate() {
        let label =
            labels.get(&row).map_or_else(String::new, |decade| Nanos(10f64.powi(*decade)).to_string());
        let line: String = cells.iter().collect();
        let _ = writeln!(text, "{label:>9} │{}", line.trim_end());
    }
    let mut axis = vec![' '; COLUMNS + 10];
    for nine in 0..=across.floor() as u32 {
        let at = (f64::from(nine) / across * (COLUMNS - 1) as f64) as usize;
        for (offset, c) in percentile_name(nine).chars().enumerate() {
            if let Some(cell) = axis.get_mut(at + offset) {
                *cell = c;
            }
        }
    }
    let axis: String = axis.iter().collect();
    let _ = writeln!(text, "{:>9} └{}\n{:>11}{}", "", "─".repeat(COLUMNS), "", axis.trim_end());
    for (letter, figure, _) in &curves {
        let _ = writeln!(text, "{letter:>11} {}", figure.label.trim());
    }
    if curves.len() > 1 {
        let _ = writeln!(text, "{:>11} where curves meet", '*');
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples::{hop, rates};

    #[test]
    fn a_plot_has_its_curves_and_axes() {
        let text = render(&hop().document());
        assert!(text.contains("aaa") && text.contains("bbb") && text.contains("b the hop"), "{text}");
        assert!(text.contains("90 %") && text.contains("99.9 %") && text.contains("100 ns"), "{text}");
    }

    #[test]
    fn rates_have_no_percentiles_to_plot() {
        let text = render(&rates().document());
        assert!(!text.contains('│') && text.contains("the ring"), "{text}");
    }
}
