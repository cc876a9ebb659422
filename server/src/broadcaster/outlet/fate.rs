//! What became of a record, and who is told.

use halyard_ring::chat::Record;

/// The client that a direct message came from, to whom its fate is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) id: u32,
    pub(crate) slot: u32,
    pub(crate) broadcaster: u32,
    /// The number of its command.
    pub(crate) command: u64,
}

/// A direct message's fate, and the record that tells its sender.
pub(crate) struct Settled {
    pub(crate) origin: Origin,
    pub(crate) verdict: Record,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It lies in the reply ring.
    Delivered,
    /// It waits for space.
    Waiting,
    /// It counts as lost.
    Lost,
    /// It counts as lost, because the memory for what waits is used up.
    SpillFull,
    /// The client is gone.
    Gone,
}
