//! What is varied: one case is one ring under one load.

use clap::ValueEnum;
use halyard_ring::Mode;

use crate::record::STATE;
use crate::relay::Waiting;

/// Who pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One producer into a ring for one.
    Spsc,
    /// So many into a ring for many.
    Mpsc(u16),
}

/// What the ring's semaphores mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bells {
    /// Threads sleep on them, nothing else
    Doorbell,
    /// A token per record on both, as in the textbook
    Counting,
}

impl Bells {
    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Doorbell => Mode::Doorbell,
            Self::Counting => Mode::Counting,
        }
    }
}

/// Where the ring lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backing {
    /// In shared memory, between processes
    Shared,
    /// On the heap, between threads of one process
    Heap,
}

/// One ring under one load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    /// Of a record.
    pub(crate) bytes: usize,
    pub(crate) batch: usize,
    pub(crate) wait: Waiting,
    pub(crate) mode: Bells,
    pub(crate) backing: Backing,
    pub(crate) capacity: u32,
}

/// Slots of a ring unless something else is asked for.
pub(crate) const CAPACITY: u32 = 1024;
/// Records of a batch unless something else is asked for.
pub(crate) const BATCH: usize = 64;

impl Case {
    /// What everything else is varied from.
    pub(crate) const BASE: Self = Self {
        kind: Kind::Spsc,
        bytes: 56,
        batch: 1,
        wait: Waiting::Spin,
        mode: Bells::Doorbell,
        backing: Backing::Shared,
        capacity: CAPACITY,
    };

    pub(crate) fn producers(&self) -> usize {
        match self.kind {
            Kind::Spsc => 1,
            Kind::Mpsc(count) => usize::from(count),
        }
    }

    /// Bytes of a slot: the record and its state word.
    pub(crate) fn slot(&self) -> usize {
        self.bytes + STATE
    }

    pub(crate) fn id(&self) -> String {
        let kind = match self.kind {
            Kind::Spsc => "spsc".to_owned(),
            Kind::Mpsc(count) => format!("mpsc{count}"),
        };
        let batch = match self.batch {
            1 => "single".to_owned(),
            batch => format!("batch{batch}"),
        };
        let mut id = format!("throughput.{kind}.{}.{batch}.{}", self.slot(), self.wait.name());
        if self.mode == Bells::Counting {
            id += ".counting";
        }
        if self.backing == Backing::Heap {
            id += ".heap";
        }
        if self.capacity != CAPACITY {
            id += &format!(".capacity{}", self.capacity);
        }
        id
    }

    pub(crate) fn label(&self) -> String {
        let mut parts = vec![match self.kind {
            Kind::Spsc => "one producer".to_owned(),
            Kind::Mpsc(1) => "many-producer ring, 1".to_owned(),
            Kind::Mpsc(count) => format!("{count} producers"),
        }];
        parts.push(format!("{}-byte slots", self.slot()));
        parts.push(if self.batch == 1 { "single".to_owned() } else { format!("{} at a time", self.batch) });
        parts.push(self.wait.name().to_owned());
        if self.mode == Bells::Counting {
            parts.push("counting".to_owned());
        }
        if self.backing == Backing::Heap {
            parts.push("heap".to_owned());
        }
        if self.capacity != CAPACITY {
            parts.push(format!("capacity {}", self.capacity));
        }
        parts.join(", ")
    }

    /// The bare loop that this ring is measured against.
    pub(crate) fn floor(&self) -> Floor {
        Floor { bytes: self.bytes, batch: self.batch, capacity: self.capacity }
    }
}

/// A bare loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    pub(crate) bytes: usize,
    pub(crate) batch: usize,
    pub(crate) capacity: u32,
}

impl Floor {
    pub(crate) fn id(&self) -> String {
        let slot = self.bytes + STATE;
        let mut id = match self.batch {
            1 => format!("raw.slot.{slot}"),
            BATCH => format!("raw.cursor.{slot}"),
            batch => format!("raw.cursor.{slot}.batch{batch}"),
        };
        if self.capacity != CAPACITY {
            id += &format!(".capacity{}", self.capacity);
        }
        id
    }

    pub(crate) fn label(&self) -> String {
        let slot = self.bytes + STATE;
        let capacity =
            if self.capacity == CAPACITY { String::new() } else { format!(", capacity {}", self.capacity) };
        match self.batch {
            1 => format!("bare loop, sequence in the slot, {slot}-byte slots{capacity}"),
            batch => format!("bare loop, cursor per {batch}, {slot}-byte slots{capacity}"),
        }
    }
}
