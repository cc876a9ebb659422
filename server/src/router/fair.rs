//! Fair shares of the router: a client that floods the control ring delays the others by a bounded amount of work.
//!
//! The ring is one queue, so an honest command may lie behind thousands of a flooder's. Those are what costs time: taking
//! a record out of the ring is cheap, carrying it out is not. So the ring is emptied in *rounds*. In a round each client
//! has its first [quantum](crate::Config::quantum) records, and about as many as the others, carried out at once; the rest goes into a
//! backlog of its own. At the end of a round every client with a backlog gets another quantum of it, in turn. Whoever has
//! more commands in its backlog than the [window](crate::Config::window) that WELCOME granted breaks the protocol:
//! while others are served, what it sends beyond that is refused.
//!
//! That bounds how much lies in front of an honest command. It does not keep a flooder from using two processors up, its
//! own and the router's: it is answered as soon as there is nothing else to do, and goes on at once. So a client that sent
//! far more than the others, in a [period](PERIOD_NS) in which others were active, is *paced* in the next one. Its records
//! all go through its backlog, of which it has one turn in a [slice](SLICE_NS) of time: a quantum, or twice what each of
//! the others has if that is more, and a quarter of the router's time at most. If it waits for answers it sleeps meanwhile.
//!
//! While one client alone is active nothing of this happens, and a client that keeps to its share has no record copied.

use std::collections::VecDeque;
use std::time::Duration;

use halyard_ring::chat::{FRAGS_MAX, Record};

/// After two clients were active in one round, they count as competing for so long.
const CONTENDED_NS: u64 = 1_000_000_000;

/// For so long it is counted who sends how much, to judge by it for as long again.
const PERIOD_NS: u64 = 50_000_000;
/// A paced client has one turn in so long.
const SLICE_NS: u64 = 1_000_000;
/// A paced client's turn ends after so long, whatever is left of it, and the next comes three times as long as it took
/// later: commands differ in what they cost.
const TURN_NS: u64 = SLICE_NS / 4;

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
    /// The period that `sent` is of.
    period: u64,
    /// Records taken out of the ring in that period, without those of the round that goes on.
    sent: u64,
    /// Commands that it may have carried out in a slice of time, if it is paced.
    paced: Option<u32>,
    /// When a paced client has its next turn.
    rests_until_ns: u64,
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
    /// When the last record came, or, while somebody waits, the last round ended.
    now_ns: u64,
    /// Number of this period, and when it ends.
    period: u64,
    period_ends_ns: u64,
    /// Records taken out of the ring in this period, and clients that had one of them.
    this: Traffic,
    /// The same of the period before.
    last: Traffic,
    /// Somebody with a backlog has had a turn in this round, and is not done.
    goes_on: bool,
    /// No one is paced any more: the server stops.
    in_haste: bool,
    /// Slots of clients with a backlog, in the order of their turns.
    waiting: VecDeque<u32>,
    window: u32,
    /// Records of a client that are carried out in a round in any case, and of its backlog at the end of one.
    quantum: u32,
}

/// What came out of the ring in a period.
#[derive(Clone, Copy, Default)]
struct Traffic {
    records: u64,
    clients: u64,
}

impl Fair {
    pub(super) fn new(window: u32, quantum: u32) -> Self {
        // A share that has seen no round is of round 0.
        Self { round: 1, period: 1, window, quantum, ..Self::default() }
    }

    /// A record of this client came out of the ring.
    #[inline]
    pub(super) fn arrives(&mut self, share: &mut Share, record: &Record, now_ns: u64) -> Turn {
        self.popped += 1;
        self.now_ns = now_ns;
        if share.round != self.round {
            share.sent += u64::from(share.taken);
            (share.round, share.taken) = (self.round, 0);
            self.active += 1;
            if share.period != self.period {
                self.judge(share);
                self.this.clients += 1;
            }
        }
        share.taken += 1;
        if share.turned_away == Some(record.command) {
            if record.frag != 0 {
                return Turn::Refused;
            }
            // It is sent again.
            share.turned_away = None;
        }
        if share.taken <= self.quantum && share.backlog.is_empty() && share.paced.is_none() {
            return Turn::Now;
        }
        self.arrives_often(share, record)
    }

    #[cold]
    fn arrives_often(&self, share: &mut Share, record: &Record) -> Turn {
        let others = self.popped - u64::from(share.taken);
        let competing = u64::from(self.active.max(self.competing));
        if share.backlog.is_empty() && share.paced.is_none() {
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

    /// The first record of a client in a period: what it sent in the one before says whether it is paced in this.
    #[cold]
    fn judge(&self, share: &mut Share) {
        let sent = if share.period + 1 == self.period { share.sent } else { 0 };
        (share.period, share.sent) = (self.period, 0);
        // Nobody else sent anything: nobody is held up.
        if self.last.clients < 2 || self.in_haste {
            share.paced = None;
            return;
        }
        let others = self.last.records.saturating_sub(sent) / (self.last.clients - 1);
        let most = (2 * others).max(u64::from(self.quantum) * (PERIOD_NS / SLICE_NS));
        // Who is paced sends less for that reason, and not because it wants less.
        let is_much = if share.paced.is_some() { sent > most / 2 } else { sent > most };
        let in_slice = most / (PERIOD_NS / SLICE_NS);
        share.paced = is_much.then(|| u32::try_from(in_slice).unwrap_or(u32::MAX));
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

    /// Whether somebody has a backlog of which more can be carried out now.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// From now on nobody is paced.
    pub(super) fn make_haste(&mut self) {
        self.in_haste = true;
    }

    /// How long the router may sleep that wants to sleep for so long: not longer than whoever is paced.
    pub(super) fn pause(&self, pause: Duration) -> Duration {
        if self.has_waiting() { pause.min(Duration::from_nanos(SLICE_NS)) } else { pause }
    }

    /// The time is another one than that of the last record: for those who wait.
    pub(super) fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// The round is over. Returns how many clients with a backlog have a turn now: see [`next`](Self::next).
    pub(super) fn end_round(&mut self) -> usize {
        let now_ns = self.now_ns;
        self.goes_on = false;
        self.this.records += self.popped;
        if self.active >= 2 || now_ns >= self.until_ns {
            let still = if now_ns < self.until_ns { self.competing } else { 0 };
            self.competing = self.active.max(still);
            self.until_ns = now_ns.saturating_add(CONTENDED_NS);
        }
        self.round += 1;
        (self.popped, self.active) = (0, 0);
        if now_ns >= self.period_ends_ns {
            let is_next = now_ns - self.period_ends_ns < PERIOD_NS;
            self.last = if is_next { self.this } else { Traffic::default() };
            self.this = Traffic::default();
            // What was before the last period is nobody's last period any more.
            self.period += if is_next { 1 } else { 2 };
            self.period_ends_ns = now_ns + PERIOD_NS;
        }
        self.waiting.len()
    }

    /// The next client with a backlog. It has a [turn](Self::turn), and is to come [back](Self::back).
    pub(super) fn next(&mut self) -> Option<u32> {
        self.waiting.pop_front()
    }

    /// How many records a client may [take](Share::next) from its backlog now, and until when.
    pub(super) fn turn(&self, share: &mut Share, now_ns: u64) -> (u32, u64) {
        // Nothing new may have come from it since.
        if self.period - share.period > 1 {
            share.paced = None;
        }
        match share.paced.filter(|_| !self.in_haste) {
            None => (self.quantum, u64::MAX),
            Some(_) if now_ns < share.rests_until_ns => (0, now_ns),
            Some(records) => (records, now_ns + TURN_NS),
        }
    }

    /// This client's turn, which began then, is over; if something is left it has another one.
    pub(super) fn back(&mut self, slot: u32, share: &mut Share, began_ns: u64, ends_ns: u64) {
        let has_rested = began_ns >= share.rests_until_ns;
        if share.paced.is_some() && has_rested {
            share.rests_until_ns = began_ns + SLICE_NS.max(4 * (ends_ns - began_ns));
        }
        if !share.backlog.is_empty() {
            self.waiting.push_back(slot);
            self.goes_on |= share.paced.is_none() || self.in_haste;
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
        /// How long one record of a backlog takes.
        cost_ns: u64,
        command: u64,
        /// Whose records were carried out, in order.
        done: Vec<u32>,
    }

    impl Router {
        fn new(clients: u32) -> Self {
            let shares = (0..clients).map(|_| Share::default()).collect();
            Self {
                fair: Fair::new(WINDOW, QUANTUM),
                shares,
                now_ns: 0,
                cost_ns: 0,
                command: 1,
                done: Vec::new(),
            }
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
            self.fair.at(self.now_ns);
            for _ in 0..self.fair.end_round() {
                let slot = self.fair.next().unwrap();
                let share = &mut self.shares[slot as usize];
                let (began_ns, (records, until_ns)) = (self.now_ns, self.fair.turn(share, self.now_ns));
                for _ in 0..records {
                    if self.now_ns >= until_ns || share.next().is_none() {
                        break;
                    }
                    self.now_ns += self.cost_ns;
                    self.done.push(slot);
                }
                self.fair.back(slot, share, began_ns, self.now_ns);
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

    /// One slice of time: each of the honest asks so many times, and client 0 has `window` commands under way at any time
    /// and sends the next when one is answered. Returns how many of client 0's were carried out, and how many of the honest
    /// ones' were put off.
    fn slice(router: &mut Router, window: usize, honest: u32, asks: u32) -> (usize, usize) {
        let begun = router.done.len();
        let end_ns = router.now_ns + SLICE_NS;
        let (mut put_off, mut under_way) = (0, router.shares[0].backlog.len());
        for ask in 0..asks.max(20) {
            let mut answered = 0;
            while under_way < window && answered < 4 * window {
                match router.takes(0) {
                    Turn::Now => answered += 1,
                    Turn::Later => under_way += 1,
                    Turn::Refused => break,
                }
            }
            if ask < asks {
                put_off += (1..=honest).filter(|&slot| router.takes(slot) != Turn::Now).count();
            }
            router.ends_round();
            under_way = router.shares[0].backlog.len();
        }
        router.now_ns = router.now_ns.max(end_ns);
        (router.done[begun..].iter().filter(|&&slot| slot == 0).count(), put_off)
    }

    #[test]
    fn who_sends_far_more_than_the_others_waits_for_its_next_slice_and_they_for_nothing() {
        for (honest, asks) in [(10, 3), (1, 1), (10, 30)] {
            let mut router = Router::new(11);
            for _ in 0..110 {
                slice(&mut router, 32, honest, asks);
            }
            // Never less than a quantum, nor than twice what each of the others has.
            let share = (QUANTUM as usize).max(2 * asks as usize) + 2;
            for n in 0..500 {
                let (served, put_off) = slice(&mut router, 32, honest, asks);
                assert!(served <= share, "{served} in slice {n} beside {honest} × {asks}");
                assert!(served >= QUANTUM as usize / 2, "{served} in slice {n}: it has a share");
                assert_eq!(put_off, 0);
            }
        }
    }

    #[test]
    fn who_is_paced_is_no_longer_when_the_others_are_silent() {
        let mut router = Router::new(2);
        for _ in 0..200 {
            slice(&mut router, 32, 1, 1);
        }
        assert!(router.shares[0].paced.is_some() && router.shares[1].paced.is_none());
        for _ in 0..120 {
            slice(&mut router, 32, 0, 0);
        }
        assert_eq!(router.shares[0].paced, None);
        let (served, _) = slice(&mut router, 32, 0, 0);
        assert!(served > 10 * QUANTUM as usize, "{served}");
    }

    #[test]
    fn equals_who_send_as_much_as_they_can_are_not_paced() {
        let mut router = Router::new(4);
        for _ in 0..300 {
            for n in 0..4000 {
                assert_eq!(router.takes(n % 4), Turn::Now);
            }
            router.ends_round();
            router.now_ns += SLICE_NS;
        }
    }

    #[test]
    fn a_paced_client_whose_commands_are_dear_has_a_quarter_of_the_time() {
        let mut router = Router::new(11);
        for _ in 0..200 {
            slice(&mut router, 32, 10, 3);
        }
        assert!(router.shares[0].paced.is_some());
        router.cost_ns = 100_000;
        let (begun_ns, begun) = (router.now_ns, router.done.len());
        for _ in 0..200 {
            slice(&mut router, 1000, 10, 1);
        }
        let its_ns = 100_000 * router.done[begun..].iter().filter(|&&slot| slot == 0).count() as u64;
        let all_ns = router.now_ns - begun_ns;
        assert!(its_ns <= all_ns * 3 / 10, "{its_ns} of {all_ns} ns");
        assert!(its_ns >= all_ns / 10, "{its_ns} of {all_ns} ns: it has a share");
    }

    #[test]
    fn nobody_is_paced_when_the_server_stops() {
        let mut router = Router::new(2);
        for _ in 0..200 {
            slice(&mut router, 64, 1, 1);
        }
        assert!(router.fair.has_waiting() && !router.fair.goes_on());
        router.fair.make_haste();
        for _ in 0..4 {
            router.ends_round();
        }
        assert!(!router.fair.has_waiting());
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
