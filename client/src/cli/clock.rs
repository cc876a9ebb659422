//! Time for people: the rings carry CLOCK_MONOTONIC, people read the time of day.

use std::time::Duration;

use halyard_ring::monotonic_ns;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

/// How a time of day is written where nobody has chosen: `12:01`.
pub(crate) const HOUR_MINUTE: &str = "%H:%M";

/// Reads both clocks: the time of day, and nanoseconds of CLOCK_MONOTONIC.
type Reading = fn() -> (Timestamp, u64);

/// Turns nanoseconds of CLOCK_MONOTONIC into local time.
pub(crate) struct Clock {
    zone: TimeZone,
    read: Reading,
}

/// When something happened, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds of CLOCK_MONOTONIC, never ahead of the clock.
    pub(crate) ns: u64,
    /// The time of day.
    pub(crate) time: String,
    pub(crate) day: Date,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { zone: TimeZone::system(), read: || (Timestamp::now(), monotonic_ns()) }
    }

    /// A clock that stands: noon of 24 November 2026, UTC, ten seconds after the machine was started.
    #[cfg(test)]
    pub(crate) fn stopped() -> Self {
        let noon = || (Timestamp::constant(1_795_521_600, 0), 10_000_000_000);
        Self { zone: TimeZone::UTC, read: noon }
    }

    /// This moment; 0 is now, and so is one that lies ahead, which no server sends. Its time of day is empty if
    /// strftime cannot write this format.
    pub(crate) fn moment(&self, format: &str, monotonic: u64) -> Moment {
        let (now, now_ns) = (self.read)();
        let ns = if monotonic == 0 { now_ns } else { monotonic.min(now_ns) };
        let local = self.local(now, now_ns - ns);
        let time = jiff::fmt::strtime::format(format, &local).unwrap_or_default();
        Moment { ns, time, day: local.date() }
    }

    /// The day of today.
    pub(crate) fn today(&self) -> Date {
        self.local((self.read)().0, 0).date()
    }

    fn local(&self, now: Timestamp, age_ns: u64) -> ZonedDateTime {
        let age = SignedDuration::try_from(Duration::from_nanos(age_ns));
        let then = age.ok().and_then(|age| now.checked_sub(age).ok()).unwrap_or(now);
        then.to_zoned_datetime(self.zone.clone())
    }
}

/// `Tuesday, 24 November 2026`.
pub(crate) fn day_in_words(day: Date) -> String {
    day.strftime("%A, %-d %B %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_the_time_of_day() {
        let clock = Clock::stopped();
        let second = 1_000_000_000;
        let at = |ns| clock.moment("%H:%M:%S", ns);
        assert_eq!(at(4 * second).time, "11:59:54");
        assert_eq!((at(0).time.as_str(), at(0).ns), ("12:00:00", 10 * second));
        assert_eq!(at(99 * second), at(0), "one that lies ahead counts as now");
        assert_eq!(clock.moment("", 0).time, "");
        assert_eq!(day_in_words(at(1).day), "Tuesday, 24 November 2026");
        assert_eq!(clock.today(), at(1).day);
    }
}
