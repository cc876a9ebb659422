//! Spoiling what a client noted, before it is checked: proof that the check can fail.

use clap::ValueEnum;

use super::check::{Ended, Past};
use super::journal::{Entry, Noted};
use super::message::{Id, Life};

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spoil {
    /// One message is lost
    Loss,
    /// One message comes twice
    Dup,
    /// One message comes after the next
    Reorder,
    /// One message comes with another text
    Change,
    /// One message comes that nobody has sent
    Invent,
    /// One message comes to somebody who has left
    Stray,
    /// One direct message that was acknowledged is lost
    Direct,
}

impl Spoil {
    /// Spoils the notes of one client that lived to the end. False if there is nothing to spoil.
    pub(crate) fn spoil(self, pasts: &mut [Past]) -> bool {
        pasts.iter_mut().filter(|past| past.ended == Ended::Quit).any(|past| self.notes(&mut past.notes))
    }

    fn notes(self, notes: &mut Vec<Noted>) -> bool {
        let heard = |noted: &Noted| matches!(noted.entry, Entry::Heard { .. });
        // From the middle of the notes on; two of a speaker in a row.
        let middle = notes.len() / 2;
        let Some(at) = (middle..notes.len().saturating_sub(1)).find(|&at| match self {
            Self::Direct => matches!(notes[at].entry, Entry::Direct { .. }),
            Self::Stray => matches!(notes[at].entry, Entry::Left { .. }),
            _ => heard(&notes[at]) && heard(&notes[at + 1]),
        }) else {
            return false;
        };
        match self {
            Self::Loss | Self::Direct => _ = notes.remove(at),
            Self::Dup => notes.insert(at, notes[at]),
            Self::Reorder => notes.swap(at, at + 1),
            Self::Change => {
                if let Entry::Heard { whole, .. } = &mut notes[at].entry {
                    *whole = false;
                }
            }
            Self::Invent => {
                if let Entry::Heard { id, .. } = &mut notes[at].entry {
                    *id = Id::new(Life { slot: 9999, life: 1 }, 1, false);
                }
            }
            Self::Stray => {
                let Some(&stray) = notes[..at].iter().rev().find(|noted| heard(noted)) else { return false };
                let Entry::Heard { id, whole, room_id, seq, passed } = stray.entry else { return false };
                notes.insert(
                    at + 1,
                    Noted { entry: Entry::Heard { id, whole, room_id, seq: seq + 1, passed }, ..stray },
                );
            }
        }
        true
    }
}
