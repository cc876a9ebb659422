//! Fair shares of the router: a client that floods the control ring delays the others by a bounded amount of work.
//!
//! The ring is one queue, so an honest command may lie behind thousands of a flooder's. Those are what costs time: taking
//! a record out of the ring is cheap, carrying it out is not. So the ring is emptied in *rounds*. In a round each client
//! has its first [quantum](crate::Config::quantum) records, and about as many as the others, carried out at once; the rest goes into a
//! backlog of its own. At the end of a round every client with a backlog gets another quantum of it, in turn. Whoever has
//! more commands in its backlog than the [window](crate::Config::window) that WELCOME granted breaks the protocol:
//! while others are served, what it sends beyond that is refused.
//!
//! While one client alone is active nothing of this happens, and a client that keeps to its share has no record copied.

use std::collections::VecDeque;

use halyard_ring::chat::{FRAGS_MAX, Record};

/// After two clients were active in one round, they count as competing for so long.
const CONTENDED_NS: u64 = 1_000_000_000;

/// One client's part: kept with its session.
#[derive(Default)]
pub(super) struct Share {
    /// The round that `taken` is of.
    round: u64,
    /// Records taken out of the ring in that round.
    taken: u32,
    backlog: VecDeque<Record>,
    /// Commands in the backlog: fragments of one text that follow each other count once.
    commands: u32,
    /// The last command that was refused: the rest of its text is refused, too, also if there is room again by then.
    turned_away: Option<u64>,
    /// Records refused since the session began.
    pub(super) refused: u64,
}

/// What to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Carry it out.
    Now,
    /// [Put it off](Fair::put_off).
    Later,
    /// Its sender has more under way than it may.
    Refused,
}

/// The router's part.
#[derive(Default)]
pub(super) struct Fair {
    round: u64,
    /// Records taken out of the ring in this round.
    popped: u64,
    /// Clients that had one of them.
    active: u32,
    /// The most that were active in one round lately, and until when that is lately.
    competing: u32,
    until_ns: u64,
    /// When the last record came.
    now_ns: u64,
    /// Slots of clients with a backlog, in the order of their turns.
    waiting: VecDeque<u32>,
    window: u32,
    /// Records of a client that are carried out in a round in any case, and of its backlog at the end of one.
    quantum: u32,
}

impl Fair {
    pub(super) fn new(window: u32, quantum: u32) -> Self {
        // A share that has seen no round is of round 0.
        Self { round: 1, window, quantum, ..Self::default() }
    }

    /// A record of this client came out of the ring.
    #[inline]
    pub(super) fn arrives(&mut self, share: &mut Share, record: &Record, now_ns: u64) -> Turn {
        self.popped += 1;
        self.now_ns = now_ns;
        if share.round != self.round {
            (share.round, share.taken) = (self.round, 0);
            self.active += 1;
        }
        share.taken += 1;
        if share.turned_away == Some(record.command) {
            if record.frag != 0 {
                return Turn::Refused;
            }
            // It is sent again.
            share.turned_away = None;
        }
        if share.taken <= self.quantum && share.backlog.is_empty() {
            return Turn::Now;
        }
        self.arrives_often(share, record)
    }

    #[cold]
    fn arrives_often(&self, share: &mut Share, record: &Record) -> Turn {
        let others = self.popped - u64::from(share.taken);
        let competing = u64::from(self.active.max(self.competing));
        if share.backlog.is_empty() {
            let is_alone = competing < 2;
            if is_alone || u64::from(share.taken) <= u64::from(self.quantum) + 2 * others / (competing - 1) {
                return Turn::Now;
            }
        }
        // The rest of a text whose beginning waits is no new command; what only says that it is one is.
        if share.commands >= self.window && !share.goes_on_with(record) {
            share.turned_away = Some(record.command);
            return Turn::Refused;
        }
        Turn::Later
    }

    /// Puts a record into its sender's backlog.
    pub(super) fn put_off(&mut self, slot: u32, share: &mut Share, record: &Record) {
        if share.backlog.is_empty() {
            self.waiting.push_back(slot);
        }
        share.commands += u32::from(!share.goes_on_with(record));
        share.backlog.push_back(*record);
    }

    /// Whether somebody has a backlog.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The round is over. Returns how many clients with a backlog have a turn now: see [`next`](Self::next).
    pub(super) fn end_round(&mut self) -> usize {
        let now_ns = self.now_ns;
        if self.active >= 2 || now_ns >= self.until_ns {
            let still = if now_ns < self.until_ns { self.competing } else { 0 };
            self.competing = self.active.max(still);
            self.until_ns = now_ns.saturating_add(CONTENDED_NS);
        }
        self.round += 1;
        (self.popped, self.active) = (0, 0);
        self.waiting.len()
    }

    /// The next client that has a turn. It is to [take](Share::next) at most a quantum, and to come
    /// [back](Self::back).
    pub(super) fn next(&mut self) -> Option<u32> {
        self.waiting.pop_front()
    }

    /// This client's turn is over; if something is left it has another one.
    pub(super) fn back(&mut self, slot: u32, share: &Share) {
        if !share.backlog.is_empty() {
            self.waiting.push_back(slot);
        }
    }

    /// A client is gone, and its backlog with it.
    pub(super) fn forget(&mut self, slot: u32) {
        self.waiting.retain(|&waiting| waiting != slot);
    }
}

/// Whether a record is the fragment that comes directly after another one.
fn follows(before: &Record, record: &Record) -> bool {
    (before.kind, before.command, before.frags) == (record.kind, record.command, record.frags)
        && before.frag.checked_add(1) == Some(record.frag)
        && record.frag < record.frags
        && usize::from(record.frag) < FRAGS_MAX
}

impl Share {
    /// Whether a record is the next fragment of the text that the backlog ends with.
    fn goes_on_with(&self, record: &Record) -> bool {
        self.backlog.back().is_some_and(|last| follows(last, record))
    }

    /// Whether records of the client wait for their turn.
    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The next record of the backlog.
    pub(super) fn next(&mut self) -> Option<Record> {
        let record = self.backlog.pop_front()?;
        let goes_on = self.backlog.front().is_some_and(|next| follows(&record, next));
        self.commands -= u32::from(!goes_on);
        if self.backlog.is_empty() {
            self.backlog = VecDeque::new();
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halyard_ring::chat::Kind;

    const WINDOW: u32 = 100;
    const QUANTUM: u32 = 32;

    /// A router that only counts: records come in and are carried out.
    struct Router {
        fair: Fair,
        shares: Vec<Share>,
        now_ns: u64,
        command: u64,
        /// Whose records were carried out, in order.
        done: Vec<u32>,
    }

    impl Router {
        fn new(clients: u32) -> Self {
            let shares = (0..clients).map(|_| Share::default()).collect();
            Self { fair: Fair::new(WINDOW, QUANTUM), shares, now_ns: 0, command: 1, done: Vec::new() }
        }

        /// A new command of one record.
        fn takes(&mut self, slot: u32) -> Turn {
            self.command += 1;
            self.takes_one(slot, self.command, 0, 1)
        }

        fn takes_one(&mut self, slot: u32, command: u64, frag: u8, frags: u8) -> Turn {
            let share = &mut self.shares[slot as usize];
            let mut record = Record::new(Kind::Say);
            (record.command, record.frag, record.frags) = (command, frag, frags);
            let turn = self.fair.arrives(share, &record, self.now_ns);
            match turn {
                Turn::Now => self.done.push(slot),
                Turn::Later => self.fair.put_off(slot, share, &record),
                Turn::Refused => share.refused += 1,
            }
            turn
        }

        fn ends_round(&mut self) {
            self.now_ns += 1000;
            for _ in 0..self.fair.end_round() {
                let slot = self.fair.next().unwrap();
                for _ in 0..QUANTUM {
                    if self.shares[slot as usize].next().is_none() {
                        break;
                    }
                    self.done.push(slot);
                }
                self.fair.back(slot, &self.shares[slot as usize]);
            }
        }
    }

    #[test]
    fn who_is_alone_is_served_without_end_and_without_a_copy() {
        let mut router = Router::new(1);
        for _ in 0..10_000 {
            assert_eq!(router.takes(0), Turn::Now);
        }
        router.ends_round();
        assert_eq!(router.done.len(), 10_000);
    }

    #[test]
    fn equals_are_served_in_the_order_in_which_they_come() {
        let mut router = Router::new(4);
        for _ in 0..3 {
            for n in 0..4000 {
                assert_eq!(router.takes(n % 4), Turn::Now);
            }
            router.ends_round();
        }
    }

    #[test]
    fn a_flooder_delays_the_others_by_a_bounded_number_of_records() {
        let mut router = Router::new(11);
        // The ring is full of the flooder's records; the honest ones' lie between and behind them.
        let mut worst = 0;
        for round in 0..20 {
            for honest in 1..=10 {
                let before = router.done.len();
                for _ in 0..400 {
                    router.takes(0);
                }
                assert_eq!(router.takes(honest), Turn::Now);
                if round > 0 {
                    worst = worst.max(router.done.len() - before);
                }
            }
            router.ends_round();
        }
        assert!(worst <= QUANTUM as usize + 22, "{worst} of the flooder's in front of one");
        let flooders = router.done.iter().filter(|&&slot| slot == 0).count();
        assert!(flooders < 20 * 3 * QUANTUM as usize + 400, "{flooders}");
        assert!(router.shares[0].refused > 70_000, "{}", router.shares[0].refused);
        assert!(router.shares[0].backlog.len() <= WINDOW as usize);
    }

    #[test]
    fn who_competed_a_moment_ago_still_does_and_later_does_not() {
        let mut router = Router::new(2);
        router.takes(0);
        router.takes(1);
        router.ends_round();
        let served = |router: &mut Router| (0..1000).filter(|_| router.takes(0) == Turn::Now).count();
        assert_eq!(served(&mut router), QUANTUM as usize);
        while router.fair.has_waiting() {
            router.ends_round();
        }
        router.now_ns += CONTENDED_NS;
        router.takes(0);
        router.ends_round();
        assert_eq!(served(&mut router), 1000);
    }

    /// Client 1 has competed, its quantum is used up, and its window is full.
    fn with_a_full_window() -> Router {
        let mut router = Router::new(2);
        router.takes(1);
        router.ends_round();
        router.takes(0);
        for n in 0..QUANTUM + WINDOW + 1 {
            let turn = router.takes(1);
            let expected = if n < QUANTUM + 2 { Turn::Now } else { Turn::Later };
            assert!(turn == expected || n > QUANTUM + WINDOW, "{n}: {turn:?}");
        }
        while router.takes(1) != Turn::Refused {}
        router
    }

    #[test]
    fn what_is_put_off_stays_in_order_and_a_text_stays_whole() {
        let mut router = with_a_full_window();
        router.ends_round();
        assert_eq!(router.takes(1), Turn::Later, "behind what waits, although its quantum is not used up");
        // The last command that the window takes is a text: the rest of it is no new one.
        while router.shares[1].commands < WINDOW - 1 {
            router.takes(1);
        }
        for frag in 0..FRAGS_MAX as u8 {
            assert_eq!(router.takes_one(1, 100_000, frag, FRAGS_MAX as u8), Turn::Later, "{frag}");
        }
        assert_eq!(router.takes(1), Turn::Refused);
        router.fair.forget(1);
        assert!(!router.fair.has_waiting());
    }

    #[test]
    fn a_text_that_was_refused_is_refused_whole_and_may_be_sent_again() {
        let mut router = with_a_full_window();
        assert_eq!(router.takes_one(1, 5000, 0, 3), Turn::Refused);
        assert_eq!(router.takes_one(1, 5000, 1, 3), Turn::Refused);
        // There is room again, and what is left of the text would come without its beginning.
        while router.fair.has_waiting() {
            router.ends_round();
        }
        assert_eq!(router.takes_one(1, 5000, 2, 3), Turn::Refused);
        for frag in 0..3 {
            assert_eq!(router.takes_one(1, 5000, frag, 3), Turn::Now, "{frag}");
        }
    }

    #[test]
    fn what_goes_on_with_no_text_that_waits_is_a_command_like_any_other() {
        let mut router = with_a_full_window();
        let full = router.shares[1].backlog.len();
        for command in 10_000..20_000 {
            // A second half without a first, and the fragment after the last of which a text may have.
            assert_eq!(router.takes_one(1, command, 1, 2), Turn::Refused);
            assert_eq!(router.takes_one(1, command, FRAGS_MAX as u8, u8::MAX), Turn::Refused);
        }
        assert_eq!(router.shares[1].backlog.len(), full);
        // Also while the window is not full: then they fill it.
        while router.fair.has_waiting() {
            router.ends_round();
        }
        router.takes(0);
        for command in 20_000..30_000 {
            router.takes_one(1, command, 1, 2);
            assert!(router.shares[1].backlog.len() <= WINDOW as usize);
        }
        assert_eq!(router.shares[1].commands, WINDOW);
        while router.fair.has_waiting() {
            router.ends_round();
        }
        assert_eq!(router.shares[1].commands, 0);
    }
}
