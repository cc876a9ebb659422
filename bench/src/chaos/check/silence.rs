//! A server that is stopped is not a dead one: its clients stay, say that it is silent, and later that it is back.

use super::across::Past;
use super::late::Fault;
use super::{Violation, Wrong};
use crate::chaos::journal::Entry;
use crate::chaos::plan::SILENCE_MS;

/// Whether every client that ran and was connected all the while noticed each long stop of the server, and whether
/// everyone who said that it is silent said that it is back before anything else came from it.
pub(crate) fn silence(pasts: &[Past], faults: &[Fault]) -> Vec<Violation> {
    let is_long = |fault: &&Fault| {
        // A stop that the end of the storm cut short is none.
        fault.slot.is_none() && !fault.dead && fault.until - fault.at >= u64::from(SILENCE_MS) * 1_000_000
    };
    let mut violations = Vec::new();
    for stop in faults.iter().filter(is_long) {
        for past in pasts.iter().filter(|past| past.ran_through(stop)) {
            let noticed = past.notes.iter().any(|noted| {
                matches!(noted.entry, Entry::Silence { begins: true })
                    && (stop.at..=stop.until).contains(&noted.at)
            });
            if !noticed {
                let text = "the server was stopped, and it has not noticed";
                violations.push(Violation::new(stop.until, Wrong::Silence, past.life, text));
            }
        }
    }
    for past in pasts {
        let mut silent = false;
        for noted in &past.notes {
            match noted.entry {
                Entry::Silence { begins } => silent = begins,
                Entry::Disconnected { .. } => silent = false,
                Entry::Heard { .. } | Entry::Direct { .. } | Entry::Said { .. } | Entry::Barrier
                    if silent =>
                {
                    let text = "it hears a server that is silent: it has not said that it is back";
                    violations.push(Violation::new(noted.at, Wrong::Silence, past.life, text));
                    break;
                }
                _ => {}
            }
        }
    }
    violations
}

impl Past {
    /// Whether it was connected from before this until after it, and was not stopped itself.
    fn ran_through(&self, stop: &Fault) -> bool {
        let mut connected_since = None;
        for noted in self.notes.iter().take_while(|noted| noted.at < stop.until) {
            match noted.entry {
                Entry::Connected { .. } | Entry::Reconnected { .. } => connected_since = Some(noted.at),
                Entry::Disconnected { .. } | Entry::Quit => connected_since = None,
                _ => {}
            }
        }
        connected_since.is_some_and(|since| since < stop.at)
            && self.notes.last().is_some_and(|last| last.at >= stop.until)
            && !self.was_stopped(stop.at, stop.until)
    }
}

#[cfg(test)]
mod tests {
    use super::super::across::Ended;
    use super::*;
    use crate::chaos::journal::Noted;
    use crate::chaos::message::Life;

    const SECOND: u64 = 1_000_000_000;
    const STOP: (u64, u64) = (10 * SECOND, 14 * SECOND);

    fn judged(entries: &[(u64, Entry)], stops: Vec<(u64, u64)>) -> usize {
        let notes = entries.iter().map(|&(at, entry)| Noted { at: at * SECOND, entry }).collect();
        let life = Life { slot: 0, life: 1 };
        let fault = Fault { at: STOP.0, until: STOP.1, dead: false, slot: None };
        silence(&[Past { life, ended: Ended::Quit, stops, notes }], &[fault]).len()
    }

    #[test]
    fn who_was_there_all_the_while_must_say_so_and_say_when_it_ended() {
        let (begins, ends) = (Entry::Silence { begins: true }, Entry::Silence { begins: false });
        let (comes, goes) = (Entry::Connected { server: 1 }, Entry::Quit);
        let loses = Entry::Disconnected { server_died: true };
        assert_eq!(judged(&[(1, comes), (13, begins), (15, ends), (16, goes)], vec![]), 0);
        assert_eq!(judged(&[(1, comes), (16, goes)], vec![]), 1);
        assert_eq!(judged(&[(1, comes), (15, begins), (15, ends), (16, goes)], vec![]), 1, "too late");
        let hears = Entry::Barrier;
        assert_eq!(judged(&[(1, comes), (13, begins), (15, ends), (15, hears), (16, goes)], vec![]), 0);
        assert_eq!(judged(&[(1, comes), (13, begins), (15, hears), (16, goes)], vec![]), 1, "it is not back");
        assert_eq!(judged(&[(1, comes), (13, begins), (16, goes)], vec![]), 0, "it never came back");
        assert_eq!(judged(&[(1, comes), (13, begins), (15, loses), (16, goes)], vec![]), 0);
        // Not there all the while, or stopped itself.
        assert_eq!(judged(&[(11, comes), (16, goes)], vec![]), 0);
        assert_eq!(judged(&[(1, comes), (13, goes)], vec![]), 0);
        assert_eq!(judged(&[(1, comes), (12, loses), (16, goes)], vec![]), 0);
        assert_eq!(judged(&[(1, comes), (16, goes)], vec![(11 * SECOND, 12 * SECOND)]), 0);
    }
}
