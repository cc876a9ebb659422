//! What a storm is made of, and what all of its parts write down.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use halyard_client::ServerName;
use halyard_ring::monotonic_ns;

use super::check::{Fault, Past, Violation};
use super::happening::{Happening, Moment};
use super::message::Life;
use super::plan::{Birth, Passage};
use super::worker::Job;
use crate::shared::{Lines, Words};

/// What a storm is made of.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) clients: u16,
    pub(crate) rooms: u16,
    pub(crate) broadcasters: usize,
    /// Commands of a client in a second.
    pub(crate) rate: u32,
    /// After how long without a sign of life the server drops a client.
    pub(crate) hang: Duration,
    /// Entries of each client's journal; `None`: clients check what they see themselves.
    pub(crate) journal_entries: Option<usize>,
}

/// What all clients' places share.
pub(crate) struct Field<'a> {
    pub(crate) options: &'a Options,
    pub(super) server: &'a ServerName,
    pub(super) board: &'a Lines,
    /// When it began.
    pub(crate) start: u64,
    /// How long a round of looks takes at most, as seen lately.
    pub(crate) tick_ns: u64,
    pub(crate) journal_entries: Option<usize>,
    /// Nobody comes any more.
    pub(crate) is_over: bool,
    pub(crate) pasts: Vec<Past>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) timeline: Vec<Moment>,
    pub(crate) counts: BTreeMap<Happening, u64>,
    pub(crate) violations: Vec<Violation>,
}

impl<'a> Field<'a> {
    /// Nothing has happened yet.
    pub(super) fn new(options: &'a Options, server: &'a ServerName, board: &'a Lines) -> Self {
        Self {
            options,
            server,
            board,
            start: monotonic_ns(),
            tick_ns: 0,
            journal_entries: options.journal_entries,
            is_over: false,
            pasts: Vec::new(),
            faults: Vec::new(),
            timeline: Vec::new(),
            counts: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) -> usize {
        self.faults.push(fault);
        self.faults.len() - 1
    }

    pub(crate) fn happens(&mut self, who: Option<Life>, what: Happening, detail: impl fmt::Display) {
        *self.counts.entry(what).or_default() += 1;
        let (who, detail) = (who.map(|life| life.to_string()), detail.to_string());
        self.timeline.push(Moment { at: monotonic_ns(), who, what, detail });
    }

    pub(crate) fn arms(&mut self, who: Option<Life>, at: Passage) {
        self.happens(who, Happening::Armed, at);
    }

    /// What a client is told to do. Its ring and what becomes of records that it does not take differ from life to
    /// life, as the seed says.
    pub(crate) fn job(&self, life: Life, journal: Option<&Words>, birth: Option<Birth>) -> Job {
        let mut rng = fastrand::Rng::with_seed(
            self.options.seed.rotate_left(17) ^ u64::from(life.slot) << 16 ^ u64::from(life.life),
        );
        let policy = ["drop", "block:100", "spill:200"][rng.usize(0..3)].to_owned();
        Job {
            server: self.server.to_string(),
            slot: life.slot,
            life: life.life,
            seed: self.options.seed,
            journal: journal.map(Words::path),
            board: self.board.path(),
            ring_capacity: [32, 64, 256, 1024][rng.usize(0..4)],
            policy,
            clients: self.options.clients,
            rooms: self.options.rooms,
            rate: self.options.rate,
            birth: birth.map(|Birth { at, stop_ms }| {
                format!("{}:{}@{}", at.point, if stop_ms.is_some() { "stop" } else { "kill" }, at.nth)
            }),
        }
    }
}
