//! What happened in a storm, as it is counted and told.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Something that happened, as it is counted and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Happening {
    Kill,
    KillAtPoint,
    Stop,
    StopAtPoint,
    GoOn,
    Quit,
    Gone,
    Overflow,
    Armed,
    ServerKill,
    ServerKillAtPoint,
    ServerStop,
    ServerGoOn,
    ServerStart,
    Scribble,
    Renewal,
    Calm,
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "is killed",
            Self::KillAtPoint => "is killed at the point",
            Self::Stop => "is stopped",
            Self::StopAtPoint => "stops at the point",
            Self::GoOn => "goes on",
            Self::Quit => "is told to quit",
            Self::Gone => "has quit",
            Self::Overflow => "overflows",
            Self::Armed => "has a point armed",
            Self::ServerKill => "the server is killed",
            Self::ServerKillAtPoint => "the server is killed at the point",
            Self::ServerStop => "the server is stopped",
            Self::ServerGoOn => "the server goes on",
            Self::ServerStart => "a server starts",
            Self::Scribble => "the control ring is damaged",
            Self::Renewal => "there is a new control ring",
            Self::Calm => "the storm is over",
        })
    }
}

/// One line of the timeline.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Moment {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub(crate) at: u64,
    pub(crate) who: Option<String>,
    pub(crate) what: Happening,
    pub(crate) detail: String,
}

/// What was done, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) resumes: u64,
    pub(crate) quits: u64,
    pub(crate) overflows: u64,
    pub(crate) server_kills: u64,
}

impl Tally {
    pub(crate) fn of(counts: &BTreeMap<Happening, u64>) -> Self {
        let count = |of: &[Happening]| of.iter().filter_map(|happening| counts.get(happening)).sum();
        Self {
            kills: count(&[Happening::Kill, Happening::KillAtPoint]),
            stops: count(&[Happening::Stop, Happening::StopAtPoint]),
            resumes: count(&[Happening::GoOn]),
            quits: count(&[Happening::Quit]),
            overflows: count(&[Happening::Overflow]),
            server_kills: count(&[Happening::ServerKill, Happening::ServerKillAtPoint]),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, stops, resumes, quits, overflows, .. } = self;
        write!(f, "{kills} kills, {stops} stops, {resumes} resumes, {quits} quits, {overflows} overflows")
    }
}
