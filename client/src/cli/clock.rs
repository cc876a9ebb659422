//! Time for people: the rings carry CLOCK_MONOTONIC, people read the time of day.

use std::time::Duration;

use halyard_ring::monotonic_ns;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Turns nanoseconds of CLOCK_MONOTONIC into the local time of day.
pub(crate) struct Clock {
    zone: TimeZone,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { zone: TimeZone::system() }
    }

    /// `12:01` for this moment. One that lies ahead, which no server sends, counts as now.
    pub(crate) fn hour_minute(&self, monotonic: u64) -> String {
        self.format(Timestamp::now(), monotonic_ns(), monotonic)
    }

    /// This moment, 0 for now, as strftime writes it; nothing if the format cannot be written.
    pub(crate) fn format_as(&self, format: &str, monotonic: u64) -> String {
        let now_ns = monotonic_ns();
        let then_ns = if monotonic == 0 { now_ns } else { monotonic };
        let age = SignedDuration::try_from(Duration::from_nanos(now_ns.saturating_sub(then_ns)));
        let now = Timestamp::now();
        let then = age.ok().and_then(|age| now.checked_sub(age).ok()).unwrap_or(now);
        jiff::fmt::strtime::format(format, &then.to_zoned_datetime(self.zone.clone())).unwrap_or_default()
    }

    fn format(&self, now: Timestamp, now_ns: u64, then_ns: u64) -> String {
        let age = SignedDuration::try_from(Duration::from_nanos(now_ns.saturating_sub(then_ns)));
        let then = age.ok().and_then(|age| now.checked_sub(age).ok()).unwrap_or(now);
        then.to_zoned_datetime(self.zone.clone()).strftime("%H:%M").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_the_time_of_day() {
        let clock = Clock { zone: TimeZone::UTC };
        let now: Timestamp = "2026-11-24T12:01:30Z".parse().unwrap();
        let second = 1_000_000_000;
        assert_eq!(clock.format(now, 100 * second, 100 * second), "12:01");
        assert_eq!(clock.format(now, 100 * second, 69 * second), "12:00");
        assert_eq!(clock.format(now, 100 * second, 200 * second), "12:01");
        assert_eq!(clock.format(now, u64::MAX, 0).len(), 5);
    }
}
