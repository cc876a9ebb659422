//! The segment's layout: header, owner table, slots. `docs/protocol.md` has the same numbers.
//!
//! Words that different threads write stand 128 bytes apart, since processors fetch cache lines in pairs.

use crate::options::{Mode, RingKind, RingOptions};
use crate::sync::{AtomicU32, AtomicU64, QuietU32, QuietU64};

/// First eight bytes of every segment.
pub const MAGIC: [u8; 8] = *b"HALYARD\0";
/// Version of this layout.
pub const LAYOUT_VERSION: u32 = 1;
/// A slot is a whole number of these.
pub const CACHE_LINE: usize = 64;
/// Bytes of a slot before the record: its state word.
pub const SLOT_HEAD: usize = 8;

/// Value of [`Identity::status`] while the creator fills the segment.
pub(crate) const STATUS_MAKING: u32 = 0;
/// Value of [`Identity::status`] when the segment may be used: "REDY" as bytes.
pub(crate) const STATUS_READY: u32 = u32::from_le_bytes(*b"REDY");

/// A group of words that have a pair of cache lines to themselves.
#[repr(C, align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> core::ops::Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Written once by the creator, before `status` becomes READY.
#[repr(C)]
pub(crate) struct Identity {
    pub(crate) magic: QuietU64,
    pub(crate) layout_version: QuietU32,
    pub(crate) status: QuietU32,
    pub(crate) kind: QuietU32,
    pub(crate) mode: QuietU32,
    pub(crate) capacity: QuietU32,
    pub(crate) record_size: QuietU32,
    pub(crate) stride: QuietU32,
    pub(crate) owners: QuietU32,
    pub(crate) schema: QuietU64,
    pub(crate) epoch: QuietU64,
    pub(crate) creator: QuietU64,
    pub(crate) created_unix_ns: QuietU64,
    pub(crate) total_size: QuietU64,
    pub(crate) grace_ns: QuietU64,
    pub(crate) slots_offset: QuietU64,
    /// Inode of the creator's pid namespace, 0 if unknown: pids mean nothing across namespaces.
    pub(crate) pid_namespace: QuietU64,
    /// 1 if publishers use no fence and sleepers call `membarrier` instead: see `barrier.rs`.
    pub(crate) asymmetric: QuietU32,
    /// How often its creator has made it anew, because another process had damaged it.
    pub(crate) renewals: QuietU32,
}

/// Written by the consumer alone.
#[repr(C)]
pub(crate) struct ConsumerWords {
    /// The next position to read.
    pub(crate) head: AtomicU64,
    pub(crate) consumed: QuietU64,
    /// Claims that this consumer passed over after the grace.
    pub(crate) voids: QuietU64,
    /// Positions that carried no record: voided, carried or abandoned.
    pub(crate) holes: QuietU64,
    pub(crate) parks: QuietU64,
    pub(crate) space_posts: QuietU64,
    /// Slots that held an impossible state.
    pub(crate) damaged: QuietU64,
}

/// What every producer reads when it publishes; written when a consumer goes to sleep, and at the end.
#[repr(C)]
pub(crate) struct ReaderWords {
    /// Lowest bit: the consumer sleeps, or is about to, on `ready`. The others count its sleeps, over all consumers, so
    /// that no announcement is taken for another.
    pub(crate) waiting: AtomicU32,
    /// 1 when the ring is closed.
    pub(crate) closed: AtomicU32,
    /// Counts [`nudges`](crate::Ring::nudge).
    pub(crate) nudges: AtomicU32,
}

/// What the consumer reads when it frees slots; written when a producer goes to sleep.
#[repr(C)]
pub(crate) struct WriterWords {
    /// How many producers sleep, or are about to, on `space`.
    pub(crate) waiting: AtomicU32,
}

/// Rarely written, by anyone.
#[repr(C)]
pub(crate) struct ColdWords {
    /// Slots in quarantine now. A hint: a process that dies between a slot and this word leaves it off by one.
    pub(crate) quarantined: QuietU64,
    /// What producers that have left had counted in their owner entries.
    pub(crate) published: QuietU64,
    pub(crate) full_events: QuietU64,
    pub(crate) parks: QuietU64,
    pub(crate) ready_posts: QuietU64,
    /// Where the next producer starts to look for a free owner entry.
    pub(crate) owner_hint: QuietU64,
}

/// The creator's heartbeat, nanoseconds of CLOCK_MONOTONIC; 0 before the first.
#[repr(C)]
pub(crate) struct BeatWord {
    pub(crate) at_ns: QuietU64,
}

/// What the process at the other end writes for the creator.
#[repr(C)]
pub(crate) struct PeerWords {
    /// Its heartbeat, nanoseconds of CLOCK_MONOTONIC; 0 before the first.
    pub(crate) at_ns: QuietU64,
    /// See [`Ring::note`](crate::Ring::note).
    pub(crate) note: QuietU64,
}

/// The start of every segment.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) identity: Apart<Identity>,
    pub(crate) consumer: Apart<ConsumerWords>,
    pub(crate) reader: Apart<ReaderWords>,
    pub(crate) writers: Apart<WriterWords>,
    pub(crate) cold: Apart<ColdWords>,
    pub(crate) creator_beat: Apart<BeatWord>,
    pub(crate) peer: Apart<PeerWords>,
}

/// One entry of the owner table. Entry 0 is the consumer's.
#[repr(C, align(64))]
pub(crate) struct Owner {
    /// 0, or pid, start time and a flag: see `ProcessId::to_word`.
    pub(crate) identity: QuietU64,
    /// The counters below are written by the owner alone.
    pub(crate) published: QuietU64,
    pub(crate) full_events: QuietU64,
    pub(crate) parks: QuietU64,
    pub(crate) ready_posts: QuietU64,
    /// Claims of this owner that were voided and that it found so itself.
    pub(crate) returned: QuietU64,
}

/// Offset of the owner table.
pub(crate) const OWNERS_OFFSET: usize = 1024;
pub(crate) const OWNER_SIZE: usize = 64;
/// Words of an entry that are in use. The others are zero and stay zero.
#[cfg(not(loom))]
pub(crate) const OWNER_WORDS_USED: usize = core::mem::offset_of!(Owner, returned) / 8 + 1;
/// The header in words of 8 bytes.
#[cfg(not(loom))]
pub(crate) const HEADER_WORDS: usize = OWNERS_OFFSET / 8;

#[cfg(not(loom))]
const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Header>() <= OWNERS_OFFSET);
    assert!(size_of::<Owner>() == OWNER_SIZE);
    assert!(offset_of!(Identity, status) == 12 && offset_of!(Identity, schema) == 40);
    assert!(offset_of!(Identity, creator) == 56 && offset_of!(Identity, slots_offset) == 88);
    assert!(offset_of!(Identity, renewals) == 108);
    assert!(offset_of!(Header, consumer) == 128 && offset_of!(Header, reader) == 256);
    assert!(offset_of!(Header, writers) == 384 && offset_of!(Header, cold) == 512);
    assert!(offset_of!(Header, creator_beat) == 640 && offset_of!(Header, peer) == 768);
    assert!(offset_of!(PeerWords, note) == 8);
};

/// Sizes and offsets of one ring, worked out from what it is made of and never read again from shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: RingKind,
    pub(crate) mode: Mode,
    pub(crate) capacity: u32,
    pub(crate) owners: u32,
    pub(crate) record_size: usize,
    pub(crate) stride: usize,
    pub(crate) slots_offset: usize,
    pub(crate) total: usize,
}

impl Shape {
    pub(crate) fn new(options: &RingOptions, record_size: usize) -> Self {
        let stride = (SLOT_HEAD + record_size).next_multiple_of(CACHE_LINE);
        // The consumer's entry comes before the producers'. Slots begin on a page of their own.
        let table = OWNER_SIZE * (options.owners as usize + 1);
        let slots_offset = (OWNERS_OFFSET + table).next_multiple_of(4096);
        Self {
            kind: options.kind,
            mode: options.mode,
            capacity: options.capacity,
            owners: options.owners,
            record_size,
            stride,
            slots_offset,
            total: slots_offset + stride * options.capacity as usize,
        }
    }
}
