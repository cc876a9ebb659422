//! A private copy of what a ring's header should say, and the comparison.

use crate::error::Tampered;
use crate::guards::{self, Guard};
use crate::layout::{HEADER_WORDS, Header, Identity, OWNER_SIZE, OWNER_WORDS_USED, ReaderWords};
use crate::memory::Memory;
use crate::owners::CONSUMER;
use crate::process::ProcessId;
use crate::region::Region;
use crate::sync::{Ordering, QuietU32, QuietU64};

/// Words of the header's first group, which the creator writes once.
const IDENTITY_WORDS: usize = 16;

/// The header's words that change, by index: the consumer's, the announcements, the counters, the heartbeats, the note.
/// Every other word after the first group is a guard word: it is zero and stays zero.
const CHANGING: [core::ops::Range<usize>; 6] = [16..23, 32..34, 48..49, 64..70, 80..81, 96..98];

/// Those of them, by index, of which only the first four bytes are in use: the nudges, and how many producers sleep. The
/// other four are zero and stay zero.
const HALVES: [usize; 2] = [33, 48];
const _: () = {
    let nudges = core::mem::offset_of!(Header, reader) + core::mem::offset_of!(ReaderWords, nudges);
    assert!(nudges == HALVES[0] * 8 && core::mem::offset_of!(Header, writers) == HALVES[1] * 8);
};

/// Where the word is that says whether the ring is closed: 0 or 1.
const CLOSED: usize = core::mem::offset_of!(Header, reader) + core::mem::offset_of!(ReaderWords, closed);

/// What the header has to say.
pub(crate) struct Private {
    identity: [u64; IDENTITY_WORDS],
}

/// Writes a fresh header's first group and keeps what it writes. The creator's copy is made of that and never read back:
/// others may write as soon as the segment has its name, and what they wrote would be taken for the truth.
pub(crate) struct Author<'a> {
    identity: &'a Identity,
    bytes: [u8; IDENTITY_WORDS * 8],
}

impl<'a> Author<'a> {
    pub(crate) fn of(identity: &'a Identity) -> Self {
        Self { identity, bytes: [0; IDENTITY_WORDS * 8] }
    }

    pub(crate) fn store(&mut self, word: &QuietU64, value: u64) {
        word.store(value, Ordering::Relaxed);
        self.keep(core::ptr::from_ref(word).addr(), &value.to_ne_bytes());
    }

    pub(crate) fn store_half(&mut self, word: &QuietU32, value: u32) {
        word.store(value, Ordering::Relaxed);
        self.expect_half(word, value);
    }

    /// Keeps what the word will say when others may look.
    pub(crate) fn expect_half(&mut self, word: &QuietU32, value: u32) {
        self.keep(core::ptr::from_ref(word).addr(), &value.to_ne_bytes());
    }

    fn keep(&mut self, at: usize, value: &[u8]) {
        let offset = at - core::ptr::from_ref(self.identity).addr();
        self.bytes[offset..offset + value.len()].copy_from_slice(value);
    }

    pub(crate) fn finish(self) -> Private {
        let (words, _) = self.bytes.as_chunks::<8>();
        Private { identity: core::array::from_fn(|index| u64::from_ne_bytes(words[index])) }
    }
}

impl Private {
    /// What the header says now: for who finds a ring and has nothing else to go by.
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
            let found = word.load(Ordering::Relaxed);
            let expected = match index {
                0..IDENTITY_WORDS => self.identity[index],
                _ if HALVES.contains(&index) => first_half(found),
                _ if CHANGING.iter().any(|range| range.contains(&index)) => continue,
                _ => 0,
            };
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

/// Looks at the words of every owner's entry that nobody writes: they are zero and stay zero.
pub(crate) fn compare_owners(region: &Region) -> Result<(), Tampered> {
    if !guards::is_in(Guard::Header) {
        return Ok(());
    }
    for number in 0..=region.shape().owners as u16 {
        for (index, word) in region.owner_words(number).iter().enumerate().skip(OWNER_WORDS_USED) {
            let found = word.load(Ordering::Relaxed);
            if found != 0 {
                let offset = HEADER_WORDS * 8 + usize::from(number) * OWNER_SIZE + index * 8;
                return Err(Tampered::Header { offset, expected: 0, found });
            }
        }
    }
    Ok(())
}

/// The word with zeros in the last four of its bytes, as they lie in memory.
fn first_half(word: u64) -> u64 {
    let mut bytes = word.to_ne_bytes();
    bytes[4..].fill(0);
    u64::from_ne_bytes(bytes)
}
