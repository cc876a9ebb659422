//! HELLOs that wait until the steward has opened their reply rings: whoever pushes them without end is in its own way
//! only.
//!
//! A HELLO cannot be judged before its ring is open, and opening one takes system calls. So they queue here, a queue for
//! each process that pushed some, as the control ring's owner table has it, and the steward gets one of each queue in
//! turn. When all places are taken the longest queue gives one up; and a process whose HELLO came to nothing waits a
//! moment before its next one is looked at, so that it keeps the steward busy for a small part of the time only.

use std::collections::{HashMap, VecDeque};

use halyard_ring::ProcessId;
use halyard_ring::chat::Record;

/// Rings that the steward is told to open before it has said what came of the first.
const AT_ONCE: u32 = 16;
/// So long a process rests whose HELLO was not let in.
pub(super) const REST_NS: u64 = 1_000_000;

/// Who pushed a HELLO: nobody knows of one that has left the ring since.
pub(super) type Pusher = Option<ProcessId>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<Record>>,
    /// HELLOs of it that are with the steward.
    opening: u32,
    rests_until_ns: u64,
}

impl Queue {
    fn len(&self) -> usize {
        self.waiting.len() + self.opening as usize
    }
}

#[derive(Default)]
pub(super) struct Newcomers {
    /// Processes of which a HELLO waits or is with the steward, or that rest.
    queues: HashMap<Pusher, Queue>,
    /// Those of which one waits, in the order of their turns.
    turns: VecDeque<Pusher>,
    /// HELLOs that wait, and that are with the steward.
    waiting: usize,
    opening: u32,
}

/// What becomes of a HELLO that has come.
pub(super) enum Place {
    /// It waits for its turn.
    Taken,
    /// It waits, and this one does not any more, of the process that had the most.
    InsteadOf(Box<Record>),
    /// There is none for it.
    None,
}

impl Newcomers {
    /// A HELLO has come. There are so many places.
    pub(super) fn arrives(&mut self, from: Pusher, hello: &Record, places: usize) -> Place {
        let mut instead = None;
        if self.waiting + self.opening as usize >= places {
            let own = self.queues.get(&from).map_or(0, Queue::len);
            let longest = self.queues.iter_mut().filter(|(_, queue)| !queue.waiting.is_empty());
            match longest.max_by_key(|(_, queue)| queue.len()) {
                Some((_, queue)) if queue.len() > own + 1 => {
                    instead = queue.waiting.pop_back();
                    self.waiting -= 1;
                }
                _ => return Place::None,
            }
        }
        let queue = self.queues.entry(from).or_default();
        if queue.waiting.is_empty() && !self.turns.contains(&from) {
            self.turns.push_back(from);
        }
        queue.waiting.push_back(Box::new(*hello));
        self.waiting += 1;
        instead.map_or(Place::Taken, Place::InsteadOf)
    }

    /// The next HELLO for the steward, whose it is, and whether it is only to be told that there are too many: there are
    /// more than `places`, and its process has its share of them.
    pub(super) fn next(&mut self, now_ns: u64, places: usize) -> Option<(Pusher, Box<Record>, bool)> {
        if self.opening >= AT_ONCE {
            return None;
        }
        for _ in 0..self.turns.len() {
            let from = self.turns.pop_front()?;
            let processes = self.queues.len();
            let Some(queue) = self.queues.get_mut(&from) else { continue };
            if queue.waiting.is_empty() {
                // It gave its place up.
                continue;
            }
            if now_ns < queue.rests_until_ns {
                self.turns.push_back(from);
                continue;
            }
            let all = self.waiting + self.opening as usize;
            let is_too_many = all > places && queue.len() > places.div_ceil(processes);
            let hello = queue.waiting.pop_front()?;
            queue.opening += 1;
            if !queue.waiting.is_empty() {
                self.turns.push_back(from);
            }
            self.waiting -= 1;
            self.opening += 1;
            return Some((from, hello, is_too_many));
        }
        None
    }

    /// The steward has looked at a HELLO of this process, and it was let in or not.
    pub(super) fn looked_at(&mut self, from: Pusher, is_in: bool, now_ns: u64) {
        self.opening = self.opening.saturating_sub(1);
        if let Some(queue) = self.queues.get_mut(&from) {
            queue.opening = queue.opening.saturating_sub(1);
            if !is_in {
                queue.rests_until_ns = now_ns + REST_NS;
            }
        }
        self.queues.retain(|_, queue| queue.len() > 0 || now_ns < queue.rests_until_ns);
    }

    /// Whether a HELLO waits that nothing but time will bring on.
    pub(super) fn rests(&self) -> bool {
        self.waiting > 0 && self.opening == 0
    }
}

#[cfg(test)]
mod tests {
    use halyard_ring::chat::Kind;

    use super::*;

    fn somebody() -> Pusher {
        Some(ProcessId::current())
    }

    fn hello(n: u64) -> Record {
        let mut hello = Record::new(Kind::Hello);
        hello.number = n;
        hello
    }

    const NOBODY: Pusher = None;

    #[test]
    fn one_process_has_all_places_until_another_comes() {
        let (flooder, honest) = (NOBODY, somebody());
        let mut all = Newcomers::default();
        for n in 0..8 {
            assert!(matches!(all.arrives(flooder, &hello(n), 8), Place::Taken));
        }
        assert!(matches!(all.arrives(flooder, &hello(8), 8), Place::None));
        // The newest of the longest queue gives way.
        let Place::InsteadOf(other) = all.arrives(honest, &hello(100), 8) else { panic!("no place") };
        assert_eq!(other.number, 7);
        // And the next one looked at but one is the honest one's, however long the other queue is.
        let mut turns = || all.next(1, 4).map(|(from, hello, _)| (from, hello.number));
        assert_eq!(turns(), Some((flooder, 0)));
        assert_eq!(turns(), Some((honest, 100)));
        assert_eq!(turns(), Some((flooder, 1)));
    }

    #[test]
    fn who_has_no_more_than_its_share_is_not_told_that_there_are_too_many() {
        let (flooder, honest) = (NOBODY, somebody());
        let mut all = Newcomers::default();
        for n in 0..8 {
            all.arrives(flooder, &hello(n), 8);
        }
        all.arrives(honest, &hello(100), 8);
        let told = |all: &mut Newcomers| all.next(1, 4).map(|(_, _, is_too_many)| is_too_many);
        assert_eq!([told(&mut all), told(&mut all), told(&mut all)], [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn whose_hello_came_to_nothing_rests_and_the_others_do_not() {
        let (flooder, honest) = (NOBODY, somebody());
        let mut all = Newcomers::default();
        all.arrives(flooder, &hello(0), 8);
        all.arrives(flooder, &hello(1), 8);
        assert!(all.next(1, 8).is_some());
        all.looked_at(flooder, false, 1);
        assert!(all.next(2, 8).is_none());
        assert!(all.rests());
        all.arrives(honest, &hello(100), 8);
        assert_eq!(all.next(2, 8).map(|(from, ..)| from), Some(honest));
        all.looked_at(honest, true, 3);
        assert_eq!(all.next(1 + REST_NS, 8).map(|(from, hello, _)| (from, hello.number)), Some((flooder, 1)));
        all.looked_at(flooder, true, 2 + REST_NS);
        assert!(all.queues.is_empty() && all.turns.is_empty() && !all.rests());
    }

    #[test]
    fn the_steward_gets_a_few_at_once() {
        let mut all = Newcomers::default();
        for n in 0..2 * u64::from(AT_ONCE) {
            all.arrives(NOBODY, &hello(n), 1000);
        }
        let mut given = 0;
        while all.next(1, 1000).is_some() {
            given += 1;
        }
        assert_eq!(given, AT_ONCE);
        all.looked_at(NOBODY, true, 1);
        assert!(all.next(1, 1000).is_some());
    }
}
