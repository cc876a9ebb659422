//! What `top` knows: the rows of the last sample, what came of the former ones, and what the keys chose.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use super::look::{Look, Sample, Seen, State};
use crate::cli::chat::app::keys::{Code, Key};

/// Records that wait this long while the reader does not move: it is slow.
const STILL_NS: u64 = 1_000_000_000;
/// A ring at least this full, per mille, for this long has a slow reader, though it reads.
const HIGH_PERMILLE: u64 = 750;
const HIGH_NS: u64 = 2_000_000_000;
/// A second, between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) published: u64,
    pub(super) consumed: u64,
    pub(super) wakes: u64,
}

impl Rates {
    /// `None` if the two are not of one ring, or were taken at once.
    fn between(old: &Seen, new: &Seen) -> Option<Self> {
        let span = new.at_ns.saturating_sub(old.at_ns) as f64 / 1e9;
        // A producer that leaves between two reads may be counted twice in the first: a sum can fall a little.
        let rate = |old: u64, new: u64| (new.saturating_sub(old) as f64 / span).round() as u64;
        (old.epoch == new.epoch && span > 0.0).then(|| Self {
            published: rate(old.published, new.published),
            consumed: rate(old.consumed, new.consumed),
            wakes: rate(old.wakes, new.wakes),
        })
    }
}

/// Why a ring's owner counts as slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slow {
    NotReading,
    StaysFull,
    NoHeartbeat,
}

impl Slow {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotReading => "not reading",
            Self::StaysFull => "stays full",
            Self::NoHeartbeat => "no beat",
        }
    }
}

/// A ring with what two looks at it tell.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) look: Look,
    pub(super) rates: Option<Rates>,
    pub(super) slow: Option<Slow>,
}

impl Row {
    pub(super) fn seen(&self) -> Option<&Seen> {
        self.look.seen.as_ref().ok()
    }

    /// What is the matter, in a word or two; "ok" if nothing is.
    pub(super) fn status(&self) -> String {
        match (self.look.state, &self.look.seen, self.slow) {
            (State::Dead, ..) => "dead".to_owned(),
            (_, Err(why), _) => why.clone(),
            (_, Ok(_), Some(slow)) => slow.word().to_owned(),
            (_, Ok(seen), None) if seen.quarantined > 0 => "quarantined".to_owned(),
            (_, Ok(seen), None) if seen.closed => "closed".to_owned(),
            (State::Unknown, ..) => "unknown".to_owned(),
            _ => "ok".to_owned(),
        }
    }
}

/// What the rows are sorted by; the largest first, names from a to z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Fill,
    In,
    Out,
    Wakes,
    Name,
}

impl Sort {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::In => "in",
            Self::Out => "out",
            Self::Wakes => "wakes",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Fill => Self::In,
            Self::In => Self::Out,
            Self::Out => Self::Wakes,
            Self::Wakes => Self::Name,
            Self::Name => Self::Fill,
        }
    }

    fn apply(self, rows: &mut [Row]) {
        let rate = |row: &Row, of: fn(Rates) -> u64| row.rates.map_or(0, of);
        rows.sort_by_cached_key(|row| {
            let key = match self {
                Self::Fill => row.seen().map_or(0, Seen::permille),
                Self::In => rate(row, |rates| rates.published),
                Self::Out => rate(row, |rates| rates.consumed),
                Self::Wakes => rate(row, |rates| rates.wakes),
                Self::Name => 0,
            };
            // Equal ones keep their places from sample to sample.
            (Reverse(key), row.look.name.clone())
        });
    }
}

/// Whether the server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Not since `top` began.
    Unseen,
    There,
    Gone {
        since_ns: u64,
    },
    /// It went away and another one came.
    Back {
        at_ns: u64,
        times: u32,
    },
}

/// Sums over all rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) rings: usize,
    pub(super) slow: usize,
    pub(super) dead: usize,
    pub(super) quarantined: u64,
    pub(super) voids: u64,
    pub(super) full_events: u64,
    pub(super) fill: u64,
    pub(super) capacity: u64,
    pub(super) rates: Rates,
}

/// What is remembered of a ring from sample to sample.
struct Track {
    seen: Seen,
    still_since_ns: Option<u64>,
    high_since_ns: Option<u64>,
}

/// What a key asks of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Quit,
    Redraw,
    Suspend,
}

pub(super) struct Top {
    pub(super) server: String,
    pub(super) every: Duration,
    /// A heartbeat older than this is none.
    silent: Duration,
    /// In the order of `sort`.
    rows: Vec<Row>,
    pub(super) sort: Sort,
    pub(super) paused: bool,
    /// Whether reply rings are shown.
    pub(super) replies: bool,
    pub(super) help: bool,
    /// Rows above the first one shown.
    pub(super) scroll: usize,
    pub(super) presence: Presence,
    /// When the last sample was taken.
    pub(super) at_ns: u64,
    returns: u32,
    control_epoch: Option<u64>,
    /// How often the control ring was made anew.
    pub(super) renewals: u32,
    tracks: HashMap<String, Track>,
}

impl Top {
    pub(super) fn new(server: &str, every: Duration, silent: Duration) -> Self {
        Self {
            server: server.to_owned(),
            every,
            silent,
            rows: Vec::new(),
            sort: Sort::default(),
            paused: false,
            replies: true,
            help: false,
            scroll: 0,
            presence: Presence::Unseen,
            at_ns: 0,
            returns: 0,
            control_epoch: None,
            renewals: 0,
            tracks: HashMap::new(),
        }
    }

    /// Takes in how the rings are now.
    pub(super) fn take(&mut self, sample: Sample) {
        self.at_ns = sample.at_ns;
        self.note_presence(&sample);
        let mut before = std::mem::take(&mut self.tracks);
        self.rows = sample
            .looks
            .into_iter()
            .map(|look| {
                let Ok(seen) = &look.seen else { return Row { look, rates: None, slow: None } };
                let track = Track::after(before.remove(&look.name), seen.clone());
                let row = Row {
                    rates: track.1,
                    slow: track.0.slow(self.silent).filter(|_| look.state == State::Alive),
                    look,
                };
                self.tracks.insert(row.look.name.clone(), track.0);
                row
            })
            .collect();
        self.sort.apply(&mut self.rows);
    }

    fn note_presence(&mut self, sample: &Sample) {
        let control = sample.looks.iter().find(|look| look.is_control && look.state == State::Alive);
        let seen = control.and_then(|look| look.seen.as_ref().ok());
        let epoch = seen.map(|seen| seen.epoch);
        // A server that makes its control ring anew has not been away.
        let is_renewed = seen.is_some_and(|seen| seen.renewals > self.renewals);
        self.renewals = seen.map_or(self.renewals, |seen| seen.renewals);
        let now = sample.at_ns;
        match (self.presence, control) {
            (Presence::Unseen, Some(_)) => self.presence = Presence::There,
            (Presence::There | Presence::Back { .. }, None) => {
                self.presence = Presence::Gone { since_ns: now };
            }
            (Presence::Gone { .. }, Some(_)) => self.is_back(now),
            // It ended and another came between two looks.
            (Presence::There | Presence::Back { .. }, Some(_))
                if !is_renewed
                    && epoch.is_some()
                    && self.control_epoch.is_some()
                    && epoch != self.control_epoch =>
            {
                self.is_back(now);
            }
            _ => {}
        }
        self.control_epoch = epoch.or(self.control_epoch);
    }

    fn is_back(&mut self, at_ns: u64) {
        self.returns += 1;
        self.presence = Presence::Back { at_ns, times: self.returns };
    }

    /// The rows that are to be shown.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| self.replies || row.look.is_control)
    }

    /// The server's own ring.
    pub(super) fn control(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.look.is_control)
    }

    /// Over all rings, also those not shown.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals { rings: self.rows.len(), ..Totals::default() };
        for row in &self.rows {
            totals.slow += usize::from(row.slow.is_some());
            totals.dead += usize::from(row.look.state == State::Dead);
            if let Some(seen) = row.seen() {
                totals.quarantined += u64::from(seen.quarantined);
                totals.voids = totals.voids.saturating_add(seen.voids);
                totals.full_events = totals.full_events.saturating_add(seen.full_events);
                totals.fill += seen.fill;
                totals.capacity += u64::from(seen.capacity);
            }
            let rates = row.rates.unwrap_or_default();
            totals.rates.published = totals.rates.published.saturating_add(rates.published);
            totals.rates.consumed = totals.rates.consumed.saturating_add(rates.consumed);
            totals.rates.wakes = totals.rates.wakes.saturating_add(rates.wakes);
        }
        totals
    }

    /// Does what a key asks for. `page` is how many rows are shown at once.
    pub(super) fn key(&mut self, key: Key, page: usize) -> Asked {
        let end = self.rows().count().saturating_sub(page);
        // A scroll that a shorter list has left behind begins where the screen shows it.
        self.scroll = self.scroll.min(end);
        if std::mem::take(&mut self.help) && key != Key::ctrl('c') && key.code != Code::Char('q') {
            return Asked::Nothing;
        }
        if key.ctrl {
            return match key.code {
                Code::Char('c') => Asked::Quit,
                Code::Char('l') => Asked::Redraw,
                Code::Char('z') => Asked::Suspend,
                _ => Asked::Nothing,
            };
        }
        match key.code {
            Code::Char('q') => return Asked::Quit,
            Code::Char('s') => {
                self.sort = self.sort.next();
                self.sort.apply(&mut self.rows);
                self.scroll = 0;
            }
            Code::Char(' ') => {
                self.paused = !self.paused;
                // A rate over the pause would be of no moment in particular, and nobody looked who stood still.
                self.tracks.clear();
            }
            Code::Char('r') => {
                self.replies = !self.replies;
                self.scroll = 0;
            }
            Code::Char('?' | 'h') | Code::F(1) => self.help = true,
            Code::Up | Code::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            Code::Down | Code::Char('j') => self.scroll = (self.scroll + 1).min(end),
            Code::PageUp => self.scroll = self.scroll.saturating_sub(page),
            Code::PageDown => self.scroll = (self.scroll + page).min(end),
            Code::Home => self.scroll = 0,
            Code::End => self.scroll = end,
            _ => {}
        }
        Asked::Nothing
    }
}

impl Track {
    /// What is known after another look, and the rates between the two.
    fn after(before: Option<Self>, seen: Seen) -> (Self, Option<Rates>) {
        let before = before.filter(|before| before.seen.epoch == seen.epoch);
        let rates = before.as_ref().and_then(|before| Rates::between(&before.seen, &seen));
        let stood = before
            .as_ref()
            .filter(|before| before.seen.fill > 0 && seen.fill > 0 && before.seen.head == seen.head);
        let still_since_ns = stood.map(|before| before.still_since_ns.unwrap_or(before.seen.at_ns));
        let high_since_ns = (seen.permille() >= HIGH_PERMILLE)
            .then(|| before.as_ref().and_then(|before| before.high_since_ns).unwrap_or(seen.at_ns));
        (Self { seen, still_since_ns, high_since_ns }, rates)
    }

    fn slow(&self, silent: Duration) -> Option<Slow> {
        let lasts = |since: Option<u64>, least| {
            since.is_some_and(|since| self.seen.at_ns.saturating_sub(since) >= least)
        };
        if lasts(self.still_since_ns, STILL_NS) {
            Some(Slow::NotReading)
        } else if lasts(self.high_since_ns, HIGH_NS) {
            Some(Slow::StaysFull)
        } else if self.seen.beat_age.is_some_and(|age| age > silent) {
            Some(Slow::NoHeartbeat)
        } else {
            None
        }
    }
}
