//! Every atomic of this crate is named here, so that `--cfg loom` swaps the whole crate at once.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Bugs that the loom models must catch. Outside loom [`planted`] is a constant `false` and costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Publish with Relaxed: the reader may see READY before the record's bytes.
    RelaxedPublish,
    /// Load a slot's state with Relaxed on the reader's side.
    RelaxedRead,
    /// Free a slot with Relaxed: the next producer may write while the reader still copies.
    RelaxedFree,
    /// No fence between publishing and looking for a sleeper.
    NoPublishFence,
    /// No fence between announcing a sleeper and looking again.
    NoParkFence,
    /// The reader sleeps without looking again.
    NoReaderRecheck,
    /// The writer sleeps without looking again.
    NoWriterRecheck,
    /// The reader never tells sleeping writers of freed slots when it finds the ring empty.
    NoSpaceWake,
    /// Publish with a plain store where a compare-and-swap is due: a voided slot is published all the same.
    StorePublish,
    /// A voided slot is freed by the reader at once, although its owner may still write.
    NoQuarantine,
    /// A voided slot is not carried to the next lap: producers stop in front of it.
    NoCarry,
    /// An owner that comes back leaves its voided slot in quarantine for ever.
    NoReturn,
    /// Abandoning a claim does not tell a sleeping reader.
    SilentAbandon,
    /// A claim is taken with a load and a store instead of a compare-and-swap.
    StoreClaim,
}

#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn planted(_: Mutant) -> bool {
    false
}

#[cfg(loom)]
std::thread_local! {
    static PLANTED: core::cell::Cell<Option<Mutant>> = const { core::cell::Cell::new(None) };
}

/// Whether the model that runs on this thread has this bug planted (loom runs all of a model's threads on one).
#[cfg(loom)]
pub(crate) fn planted(mutant: Mutant) -> bool {
    PLANTED.with(|cell| cell.get() == Some(mutant))
}

#[cfg(all(test, loom))]
pub(crate) fn plant(mutant: Option<Mutant>) {
    PLANTED.with(|cell| cell.set(mutant));
}
