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
/// But no later than this: a turn in which the router had to wait for a processor seems long, and cost nobody anything.
const REST_MAX_NS: u64 = 16 * SLICE_NS;

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
            share.rests_until_ns = began_ns + (4 * (ends_ns - began_ns)).clamp(SLICE_NS, REST_MAX_NS);
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
mod tests;
