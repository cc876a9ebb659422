//! Numbers for people.

use std::time::Duration;

/// A count with a comma after every three digits.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes with a binary unit.
pub(crate) fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "KiB", "MiB"] {
        if scaled < 1023.5 {
            let digits = usize::from(unit != "B" && scaled < 9.95);
            return format!("{scaled:.digits$} {unit}");
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} GiB")
}

/// A span as people say it: the two largest units, tenths below ten seconds.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", (span.as_secs_f64() * 10.0).floor() / 10.0),
        10..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", count(seconds / 86_400), seconds / 3600 % 24),
    }
}

/// A short time with three significant digits, for latencies.
pub(crate) fn latency(ns: u64) -> String {
    let (value, unit) = match ns {
        0..=999 => return format!("{ns} ns"),
        1_000..=999_499 => (ns as f64 / 1e3, "µs"),
        999_500..=999_499_999 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// `1 ring`, `2 rings`.
pub(crate) fn plural(number: usize, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {one}{s}", count(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        let shown: Vec<String> = [0, 7, 999, 1_000, 65_536, 1_234_567].map(count).into();
        assert_eq!(shown, ["0", "7", "999", "1,000", "65,536", "1,234,567"]);
        assert_eq!([0, 1, 2].map(|n| plural(n, "ring")), ["0 rings", "1 ring", "2 rings"]);
    }

    #[test]
    fn bytes_have_a_unit_that_fits() {
        let shown: Vec<String> = [0, 1_000, 1_024, 69_632, 1_048_575, 1 << 20, 3 << 30].map(bytes).into();
        assert_eq!(shown, ["0 B", "1000 B", "1.0 KiB", "68 KiB", "1.0 MiB", "1.0 MiB", "3.0 GiB"]);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let shown = |ms| span(Duration::from_millis(ms));
        assert_eq!([0, 990, 9_999, 59_999].map(shown), ["0.0 s", "0.9 s", "9.9 s", "59 s"]);
        assert_eq!([192_000, 7_500_000, 273_600_000].map(shown), ["3 m 12 s", "2 h 5 m", "3 d 4 h"]);
        assert_eq!(span(Duration::from_nanos(u64::MAX)), "213,503 d 23 h");
    }

    #[test]
    fn latencies_have_three_digits() {
        let shown: Vec<String> = [7, 1_234, 61_040, 999_600, 2_500_000_000].map(latency).into();
        assert_eq!(shown, ["7 ns", "1.23 µs", "61.0 µs", "1.00 ms", "2.50 s"]);
    }
}
