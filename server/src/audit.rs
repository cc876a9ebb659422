//! Audit lines: who came and went, as JSON Lines.

use std::sync::mpsc::Sender;
use std::time::{SystemTime, UNIX_EPOCH};

use halyard_ring::chat::LeaveReason;
use serde::Serialize;

use crate::steward::Chore;

/// What one line says. Fields that mean nothing for an event are left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nick: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<&'a str>,
    /// The former nick, for a rename.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) old_nick: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    /// Records lost, for an overflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost: Option<u64>,
}

#[derive(Serialize)]
struct Stamped<'a> {
    v: u32,
    time: String,
    #[serde(flatten)]
    line: Line<'a>,
}

/// Where audit lines go; cheap to have and to call when there is no audit file.
#[derive(Clone)]
pub(crate) struct Auditor {
    to: Option<Sender<Chore>>,
}

impl Auditor {
    pub(crate) fn new(to: Option<Sender<Chore>>) -> Self {
        Self { to }
    }

    pub(crate) fn write(&self, line: Line<'_>) {
        if let Some(to) = &self.to {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let line = Stamped { v: 1, time: rfc3339(since.as_millis() as u64), line };
            let text = serde_json::to_string(&line).expect("strings and numbers become JSON");
            // The steward outlives everyone who writes; without it there is nobody to tell.
            let _ = to.send(Chore::Audit(text));
        }
    }
}

/// The word for a reason, as it stands in audit lines and logs.
pub(crate) fn reason_word(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "left",
        LeaveReason::Moved => "moved",
        LeaveReason::Quit => "quit",
        LeaveReason::Died => "died",
        LeaveReason::Hung => "hung",
        LeaveReason::Misbehaved => "misbehaved",
        LeaveReason::Shutdown => "shutdown",
        LeaveReason::Flooded => "flooded",
        _ => "other",
    }
}

/// A point in time, milliseconds after 1970 UTC, as `2026-01-31T12:00:00.000Z`.
fn rfc3339(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days: counted from 1 March of the year 0, in eras of 400 years (146,097 days), so that the
    // leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        // As `date -u -d @SECONDS` has them.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1000), text);
        }
        assert_eq!(rfc3339(7), "1970-01-01T00:00:00.007Z");
    }

    #[test]
    fn a_line_has_only_what_it_says() {
        let (to, lines) = std::sync::mpsc::channel();
        Auditor::new(Some(to)).write(Line { event: "join", nick: Some("a\"b"), ..Line::default() });
        let Ok(Chore::Audit(text)) = lines.recv() else { panic!("no line") };
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["event"], "join");
        assert_eq!(value["nick"], "a\"b");
        assert_eq!(value.as_object().unwrap().len(), 4);
    }
}
