//! How the measured times are shown.

use hdrhistogram::Histogram;

use crate::cli::ls::paint::{Paint, Style};
use crate::cli::ls::units::{count, latency};

/// Longest time that is told apart, nanoseconds: a minute. Longer ones count as this.
const LONGEST_NS: u64 = 60_000_000_000;
/// Cells of the longest bar.
const BAR: usize = 40;

/// A histogram of these times, nanoseconds, with three significant digits.
pub(super) fn of(times: impl Iterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are in order");
    for time in times {
        histogram.saturating_record(time);
    }
    histogram
}

/// The percentiles on one line, then a bar for every doubling of the time.
pub(crate) fn draw(histogram: &Histogram<u64>, paint: &Paint) -> Vec<String> {
    let figures = [
        ("p50", histogram.value_at_quantile(0.5)),
        ("p90", histogram.value_at_quantile(0.9)),
        ("p99", histogram.value_at_quantile(0.99)),
        ("p99.9", histogram.value_at_quantile(0.999)),
        ("max", histogram.max()),
    ];
    let figures: Vec<String> = figures
        .iter()
        .map(|(name, ns)| format!("{name} {}", paint.apply(Style::Bold, &latency(*ns))))
        .collect();
    let mut lines = vec![format!("  {}", figures.join("   ")), String::new()];
    let buckets = buckets(histogram);
    let most = buckets.iter().map(|(_, number)| *number).max().unwrap_or(0);
    for (from, number) in buckets {
        let bar = bar(number, most);
        let fill = " ".repeat(BAR - bar.chars().count());
        let share = number as f64 * 100.0 / histogram.len() as f64;
        let range = format!("{:>7} – {:<7}", latency(from), latency(from * 2));
        lines.push(format!(
            "  {range} {}{fill} {share:>5.1} % {:>7}",
            paint.apply(Style::Colour(5), &bar),
            count(number)
        ));
    }
    lines
}

/// Lower bound and content of every power-of-two bucket of microseconds, from the first that is not empty to the
/// last. All that is under 1 µs is in one.
fn buckets(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let bounds = std::iter::successors(Some(500_u64), |from| (*from < LONGEST_NS).then(|| from * 2));
    let all: Vec<(u64, u64)> = bounds
        .map(|from| {
            let low = if from == 500 { 0 } else { from };
            (from, histogram.count_between(low, from * 2 - 1))
        })
        .collect();
    let first = all.iter().position(|(_, number)| *number > 0).unwrap_or(0);
    let last = all.iter().rposition(|(_, number)| *number > 0).map_or(0, |last| last + 1);
    all[first.min(last)..last].to_vec()
}

/// A bar of eighths of a cell. What is not nothing is never shown as nothing.
fn bar(number: u64, most: u64) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    if number == 0 || most == 0 {
        return String::new();
    }
    let eighths = ((number as f64 / most as f64 * (BAR * 8) as f64).round() as usize).clamp(1, BAR * 8);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push(EIGHTHS[rest]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delivery_is_in_a_bar() {
        let times = [100, 900, 1_500, 31_000, 33_000, 33_000, 40_000_000];
        let histogram = of(times.into_iter());
        let buckets = buckets(&histogram);
        assert_eq!(buckets.iter().map(|(_, number)| number).sum::<u64>(), times.len() as u64);
        assert_eq!((buckets[0], buckets[1]), ((500, 2), (1_000, 1)));
        assert_eq!(buckets.last(), Some(&(32_768_000, 1)));
    }

    #[test]
    fn percentiles_and_bars_are_drawn() {
        let histogram = of(std::iter::repeat_n(20_000, 998).chain([70_000, 70_000]));
        let lines = draw(&histogram, &Paint::plain(None));
        assert!(lines[0].starts_with("  p50 20.0 µs   p90 20.0 µs   p99 20.0 µs   p99.9 70"), "{}", lines[0]);
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(lines[2].contains(&"█".repeat(BAR)) && lines[2].contains("99.8 %"));
        assert!(lines[3].contains("0.0 %") && !lines[3].contains('█'));
        assert!(lines[4].contains('▏') && lines[4].ends_with('2'));
        assert!(draw(&of(std::iter::empty()), &Paint::plain(None))[0].contains("p50"));
    }
}
