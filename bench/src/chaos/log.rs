//! Where a client of a storm notes what it does and sees: in a journal for the driver, or in a check of its own that
//! keeps nothing, for storms without an end.

use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::check::Stream;
use super::journal::{Entry, Journal, Noted};
use super::message::Life;
use crate::failure::{DIFFERENT, Failure};
use crate::figures;

/// What a client that checks itself has seen since it was asked the last time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) messages: u64,
    /// From SAY to receipt.
    pub(crate) latency: String,
    /// The first violations, for people.
    pub(crate) violations: Vec<String>,
}

pub(crate) enum Log {
    Journal(Journal),
    Own(Box<Own>),
}

/// A check of its own, and figures.
pub(crate) struct Own {
    stream: Stream,
    messages: u64,
    latency: Histogram<u64>,
}

impl Log {
    /// Into the journal at this path, or into a check of its own.
    pub(crate) fn open(life: Life, journal: Option<&str>) -> Result<Self, Failure> {
        Ok(match journal {
            Some(path) => Self::Journal(Journal::open(path)?),
            None => Self::Own(Box::new(Own {
                stream: Stream::forgetful(life),
                messages: 0,
                latency: figures::histogram(),
            })),
        })
    }

    pub(crate) fn note(&mut self, entry: Entry) -> Result<(), Failure> {
        self.note_at(monotonic_ns(), entry)
    }

    pub(crate) fn note_at(&mut self, at: u64, entry: Entry) -> Result<(), Failure> {
        match self {
            Self::Journal(journal) => journal.note(at, entry),
            Self::Own(own) => {
                if let Entry::Heard { passed, .. } = entry {
                    own.messages += 1;
                    own.latency.saturating_record(at.saturating_sub(passed.sent).max(1));
                }
                own.stream.take(Noted { at, entry });
                Ok(())
            }
        }
    }

    /// What was seen since the last report, as a line.
    pub(crate) fn report(&mut self) -> String {
        let Self::Own(own) = self else { return "{}".to_owned() };
        let report = Report {
            messages: std::mem::take(&mut own.messages),
            latency: figures::encode(&own.latency),
            violations: own.stream.violations().iter().map(ToString::to_string).collect(),
        };
        own.latency.reset();
        serde_json::to_string(&report).expect("a report holds strings and numbers")
    }

    /// At the end: fails if the client's own check has found something.
    pub(crate) fn judge(&self) -> Result<(), Failure> {
        match self {
            Self::Own(own) => match own.stream.violations().first() {
                Some(violation) => Err(Failure::of(DIFFERENT, violation)),
                None => Ok(()),
            },
            Self::Journal(_) => Ok(()),
        }
    }
}
