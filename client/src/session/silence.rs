//! Whether a server that lives as a process gives signs of life.

use std::time::{Duration, Instant};

/// A server's heartbeat is late when it is this old, or four of its beats if that is more.
const SILENT: Duration = Duration::from_secs(2);

/// Whether the server's heartbeat has stopped although its process lives: it is stopped, or hangs.
#[derive(Default)]
pub(super) struct Silence {
    is_silent: bool,
    /// Since when, by this receiver's own clock, every look found it late. If this process was stopped itself, its
    /// first look says nothing yet.
    late_since: Option<Instant>,
}

impl Silence {
    /// Tells of a change.
    pub(super) fn look(&mut self, age: Duration, heartbeat: Duration) -> Option<bool> {
        if age < (4 * heartbeat).max(SILENT) {
            self.late_since = None;
            return std::mem::take(&mut self.is_silent).then_some(false);
        }
        let late_since = *self.late_since.get_or_insert_with(Instant::now);
        let turns = !self.is_silent && late_since.elapsed() >= 2 * heartbeat;
        self.is_silent |= turns;
        turns.then_some(true)
    }

    /// Whether it is, as far as was told.
    #[inline]
    pub(super) fn is_told(&self) -> bool {
        self.is_silent
    }

    /// A record came: whoever was silent is not. The ring was empty when the silence was noticed, so this is a new one.
    /// True if that is a change; while records come without a pause nobody looks at the heartbeat.
    pub(super) fn heard(&mut self) -> bool {
        self.late_since = None;
        std::mem::take(&mut self.is_silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_heartbeat_is_told_when_it_stays_late_and_again_when_it_is_back() {
        let (beat, mut silence) = (Duration::from_millis(5), Silence::default());
        assert_eq!(silence.look(SILENT / 2, beat), None);
        // The first late look says nothing: it may be this process that was stopped.
        assert_eq!(silence.look(SILENT, beat), None);
        assert_eq!(silence.look(Duration::ZERO, beat), None);
        assert_eq!(silence.look(SILENT, beat), None);
        std::thread::sleep(2 * beat);
        assert_eq!(silence.look(SILENT, beat), Some(true));
        assert_eq!(silence.look(2 * SILENT, beat), None, "once");
        assert!(silence.heard() && !silence.heard());
        assert_eq!(silence.look(2 * SILENT, beat), None, "late, but heard just now");
        std::thread::sleep(2 * beat);
        assert_eq!(silence.look(2 * SILENT, beat), Some(true));
        assert_eq!(silence.look(Duration::ZERO, beat), Some(false));
        assert_eq!(silence.look(Duration::ZERO, beat), None);
    }
}
