//! Processes that are not let in: their sessions were ended for flooding.
//!
//! Nobody but the system can take the control ring from a process that heeds nothing. But a session that it cannot have
//! again is one that nobody has to end again, and what it goes on pushing then belongs to nobody: such a record costs a
//! look at the id that it bears.

use std::collections::HashMap;
use std::time::Duration;

use halyard_ring::ProcessId;

/// Most processes that are barred at once; the one whose time is over soonest gives way.
const BARS_MAX: usize = 1024;

/// The processes that are not let in, and until when.
pub(super) struct Bars {
    /// For how long a process is barred.
    time: Duration,
    until_ns: HashMap<ProcessId, u64>,
}

impl Bars {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, until_ns: HashMap::new() }
    }

    pub(super) fn bar(&mut self, process: ProcessId, now_ns: u64) {
        self.until_ns.retain(|_, until| now_ns < *until);
        if self.until_ns.len() >= BARS_MAX
            && let Some(soonest) =
                self.until_ns.iter().min_by_key(|(_, until)| **until).map(|(process, _)| *process)
        {
            self.until_ns.remove(&soonest);
        }
        let ns = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        self.until_ns.insert(process, now_ns.saturating_add(ns));
    }

    /// For how long this process is still barred.
    pub(super) fn left(&self, process: ProcessId, now_ns: u64) -> Option<Duration> {
        let until = self.until_ns.get(&process)?;
        until.checked_sub(now_ns).filter(|left| *left > 0).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_barred_for_a_while_and_no_other_is() {
        let (one, other) = (ProcessId::current(), ProcessId::of(1).unwrap());
        let time = Duration::from_secs(10);
        let mut bars = Bars::new(time);
        assert_eq!(bars.left(one, 5), None);
        bars.bar(one, 5);
        assert_eq!((bars.left(one, 5), bars.left(other, 5)), (Some(time), None));
        let end = 5 + 10_000_000_000;
        assert_eq!((bars.left(one, end - 1), bars.left(one, end)), (Some(Duration::from_nanos(1)), None));
    }
}
