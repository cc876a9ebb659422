//! A private copy of what a ring's header should say, and the comparison.

use crate::error::Tampered;
use crate::guards::{self, Guard};
use crate::layout::{HEADER_WORDS, Header, ReaderWords};
use crate::memory::Memory;
use crate::owners::CONSUMER;
use crate::process::ProcessId;
use crate::region::Region;
use crate::sync::Ordering;

/// Words of the header's first group, which the creator writes once.
const IDENTITY_WORDS: usize = 16;

/// The header's words that change, by index: the consumer's, the announcements, the counters, the heartbeats, the note.
/// Every other word after the first group is a guard word: it is zero and stays zero.
const CHANGING: [core::ops::Range<usize>; 6] = [16..23, 32..34, 48..49, 64..70, 80..81, 96..98];

/// Where the word is that says whether the ring is closed: 0 or 1.
const CLOSED: usize = core::mem::offset_of!(Header, reader) + core::mem::offset_of!(ReaderWords, closed);

/// What the header said when this process attached.
pub(crate) struct Private {
    identity: [u64; IDENTITY_WORDS],
}

impl Private {
    pub(crate) fn of(region: &Region) -> Self {
        let words = region.header_words();
        Self { identity: core::array::from_fn(|index| words[index].load(Ordering::Relaxed)) }
    }

    /// Compares the header with the copy, and the consumer's entry with this process.
    pub(crate) fn compare(&self, region: &Region) -> Result<(), Tampered> {
        self.compare_header(region)?;
        let entry = region.owner(CONSUMER).identity.load(Ordering::Relaxed);
        let ours = ProcessId::current().to_word();
        if entry != ours && guards::is_in(Guard::Header) {
            return Err(Tampered::Header { offset: HEADER_WORDS * 8, expected: ours, found: entry });
        }
        Ok(())
    }

    /// Compares the header with the copy.
    pub(crate) fn compare_header(&self, region: &Region) -> Result<(), Tampered> {
        if !guards::is_in(Guard::Header) {
            return Ok(());
        }
        let words = region.header_words();
        for (index, word) in words.iter().enumerate() {
            let expected = match index {
                0..IDENTITY_WORDS => self.identity[index],
                _ if CHANGING.iter().any(|range| range.contains(&index)) => continue,
                _ => 0,
            };
            let found = word.load(Ordering::Relaxed);
            if found != expected {
                return Err(Tampered::Header { offset: index * 8, expected, found });
            }
        }
        let closed = region.header().reader.closed.load(Ordering::Relaxed);
        if closed > 1 {
            return Err(Tampered::Header { offset: CLOSED, expected: 1, found: u64::from(closed) });
        }
        Ok(())
    }
}
