//! The check: what every client of a storm has noted, against what was promised.
//!
//! Of one client alone ([`Stream`]): it hears only the room that it is in, every text whole, in the room's order and in
//! its speaker's, each once; whatever is missing was announced. Of all together ([`across`]): what was heard was said;
//! a room has one order; nobody who was there misses anything that somebody else heard or that was acknowledged; a
//! direct message that was acknowledged has come. And [`late`]: nobody waited for a peer that was dead or stopped.
//! And [`silence`]: a server that is stopped is noticed by all.

mod across;
mod late;
mod silence;
mod stream;

use std::fmt;

use serde::Serialize;

pub(crate) use across::{Ended, Past, across};
pub(crate) use late::{Fault, Latencies, Waits, late};
pub(crate) use silence::silence;
pub(crate) use stream::Stream;

use super::message::Life;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// When it was noticed, nanoseconds of CLOCK_MONOTONIC; 0 if that says nothing.
    pub(crate) at: u64,
    pub(crate) wrong: Wrong,
    pub(crate) text: String,
}

/// Which promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wrong {
    /// A text came changed, or nobody has said it.
    Changed,
    /// It came twice.
    Doubled,
    /// It came before something that stands in front of it.
    Disorder,
    /// It came to somebody who was not there.
    Foreign,
    /// It did not come, and nobody said that it would not.
    Missing,
    /// A record came that a server never sends.
    Unusable,
    /// A command was never answered.
    Unanswered,
    /// A message waited for somebody who was dead or stopped.
    Late,
    /// A server was stopped, and a client did not say so.
    Silence,
    /// The control ring was damaged, and no new one was made.
    Renewal,
    /// Something stayed behind at the end.
    Leftover,
    /// A process ended that should not have, or did not come to its end.
    Process,
}

impl Violation {
    pub(crate) fn new(at: u64, wrong: Wrong, life: Life, text: impl fmt::Display) -> Self {
        Self { at, wrong, text: format!("{life}: {text}") }
    }

    /// Of no client in particular.
    pub(crate) fn general(at: u64, wrong: Wrong, text: impl fmt::Display) -> Self {
        Self { at, wrong, text: text.to_string() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = match self.wrong {
            Wrong::Changed => "changed",
            Wrong::Doubled => "twice",
            Wrong::Disorder => "out of order",
            Wrong::Foreign => "not for it",
            Wrong::Missing => "missing",
            Wrong::Unusable => "unusable",
            Wrong::Unanswered => "unanswered",
            Wrong::Late => "late",
            Wrong::Silence => "not noticed",
            Wrong::Renewal => "not made anew",
            Wrong::Leftover => "left behind",
            Wrong::Process => "ended",
        };
        write!(f, "{wrong}: {}", self.text)
    }
}
