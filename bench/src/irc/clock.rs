//! From the times that log lines bear to milliseconds since the first line.
//!
//! Most logs bear hours and minutes only, some on a twelve-hour clock, and some of their lines bear no time. Time is
//! taken to go on: a clock that falls back by more than an hour has passed noon or midnight, one that falls back by
//! less stands still. Lines of the same minute are spread evenly over it.

/// A line's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Seconds since some midnight; with a date, since that of 1970.
    pub(super) seconds: i64,
    /// How exact it is, seconds: 1 or 60.
    pub(super) step: i64,
}

const HOUR: i64 = 3600;

/// Seconds since the first line, as they grow from line to line.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The last line's time as it stood there, and the same with noons and midnights added.
    last: Option<(i64, i64)>,
}

impl Clock {
    pub(super) fn advance(&mut self, seconds: i64) -> i64 {
        let Some((shown, real)) = self.last else {
            self.last = Some((seconds, seconds));
            return seconds;
        };
        let mut passed = seconds - shown;
        while passed < -HOUR {
            passed += 12 * HOUR;
        }
        if passed < 0 {
            // Stands still until the shown time is past the former one again.
            return real;
        }
        self.last = Some((seconds, real + passed));
        real + passed
    }
}

/// Each line's time, milliseconds since the first line that bears one.
pub(super) fn times(stamps: impl Iterator<Item = Option<Stamp>>) -> Vec<u64> {
    let mut clock = Clock::default();
    let mut last = None;
    // A line without a time has that of the line before; the lines before the first time have the first.
    let mut seconds: Vec<Option<(i64, i64)>> = Vec::new();
    for stamp in stamps {
        if let Some(stamp) = stamp {
            last = Some((clock.advance(stamp.seconds), stamp.step));
        }
        seconds.push(last);
    }
    let Some(first) = seconds.iter().flatten().next().copied() else { return vec![0; seconds.len()] };
    let seconds: Vec<(i64, i64)> = seconds.into_iter().map(|time| time.unwrap_or(first)).collect();
    let mut times = Vec::with_capacity(seconds.len());
    let mut runs = seconds.chunk_by(|a, b| a.0 == b.0).peekable();
    while let Some(run) = runs.next() {
        let (start, step) = run[0];
        // Where minutes and seconds are mixed the next line may be nearer than the minute's end.
        let step = runs.peek().map_or(step, |next| step.min(next[0].0 - start));
        for index in 0..run.len() as i64 {
            let ms = (start - first.0) * 1000 + step * 1000 * index / run.len() as i64;
            times.push(u64::try_from(ms).unwrap_or(0));
        }
    }
    times
}

/// `hh:mm` or `hh:mm:ss`, seconds since midnight.
pub(super) fn time_of_day(text: &str) -> Option<Stamp> {
    let mut parts = text.split(':');
    let mut number = |below: i64| -> Option<Option<i64>> {
        let Some(part) = parts.next() else { return Some(None) };
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let value = part.parse().ok().filter(|value| digits && *value < below)?;
        Some(Some(value))
    };
    let (hour, minute, second) = (number(24)??, number(60)??, number(61)?);
    if parts.next().is_some() {
        return None;
    }
    let step = if second.is_some() { 1 } else { 60 };
    Some(Stamp { seconds: hour * HOUR + minute * 60 + second.unwrap_or(0), step })
}

/// `yyyy-mm-dd hh:mm:ss`, seconds since 1970.
pub(super) fn date_and_time(text: &str) -> Option<Stamp> {
    let (date, time) = text.split_once(' ')?;
    let mut parts = date.split('-');
    let mut number = |digits: usize| -> Option<i64> {
        let part = parts.next()?;
        (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let stamp = time_of_day(time)?;
    Some(Stamp { seconds: days(year, month, day) * 24 * HOUR + stamp.seconds, ..stamp })
}

/// Days from 1970-01-01 to this date of the Gregorian calendar. The year is taken to begin in March, so that the
/// leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_leap_years() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1) - days(2000, 2, 28), 2);
        assert_eq!(days(2100, 3, 1) - days(2100, 2, 28), 1);
        // date -u -d 2023-05-01 +%s
        assert_eq!(date_and_time("2023-05-01 00:00:00").unwrap().seconds, 1_682_899_200);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in ["", "8:36", "24:00", "08:60", "08:36:00:00", "+8:36", "08", "08:"] {
            assert_eq!(time_of_day(bad), None, "{bad:?}");
        }
        for bad in [
            "2023-13-01 00:00:00",
            "2023-05-00 00:00:00",
            "23-05-01 00:00:00",
            "2023-05-01",
            "2023-05-01-2 00:00",
        ] {
            assert_eq!(date_and_time(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_clock_passes_noon_and_midnight_and_never_goes_back() {
        let mut clock = Clock::default();
        let mut at = |text: &str| clock.advance(time_of_day(text).unwrap().seconds);
        let start = at("12:59");
        assert_eq!(at("01:00") - start, 60);
        assert_eq!(at("00:59") - start, 60);
        assert_eq!(at("01:01") - start, 120);
        assert_eq!(at("11:59") - start, 60 + 11 * HOUR - 60);
        assert_eq!(at("00:01") - start, 60 + 11 * HOUR + 60);
    }

    #[test]
    fn lines_of_one_minute_are_spread_over_it() {
        let stamp = |text| Some(time_of_day(text).unwrap());
        let stamps = [None, stamp("08:36"), None, stamp("08:36"), stamp("08:37"), stamp("08:39")];
        assert_eq!(times(stamps.into_iter()), [0, 15_000, 30_000, 45_000, 60_000, 180_000]);
        assert_eq!(times([None, None].into_iter()), [0, 0]);
        let mixed = [stamp("08:36"), stamp("08:36"), stamp("08:36:05"), stamp("08:37")];
        assert_eq!(times(mixed.into_iter()), [0, 2_500, 5_000, 60_000]);
    }
}
