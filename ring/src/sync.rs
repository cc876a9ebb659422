//! Every atomic of this crate is named here, so that `--cfg loom` swaps the whole crate at once.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{Ordering, fence};

#[cfg(loom)]
pub(crate) use model::{AtomicU32, AtomicU64};

/// Words that the algorithm decides nothing by: counters, identity. loom need not explore who reads them when.
pub(crate) use core::sync::atomic::{AtomicU32 as QuietU32, AtomicU64 as QuietU64};

/// Makes the enum and the list of all its variants, so that none can be missing from the list.
macro_rules! mutants {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// Bugs that the loom models must catch. Outside loom [`planted`] is a constant `false` and costs nothing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Mutant {
            $($(#[$doc])+ $name,)+
        }

        #[cfg(all(test, loom))]
        impl Mutant {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

mutants! {
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
    /// A claim does not carry on what its owner saw: someone sees it and not the claims before it.
    AcquireClaim,
    /// Void slots are carried on without regard to where the head is.
    CarryAnywhere,
    /// An abandoned slot is free for the next lap at once, wherever the head is.
    FreeAbandon,
    /// Give a slot up with Relaxed: the next producer may write while the last one still does.
    RelaxedAbandon,
    /// End a quarantine with Relaxed: the same.
    RelaxedReturn,
    /// Free a hole with Relaxed: the same, with the consumer in between.
    RelaxedHole,
    /// A newcomer takes the free slot that bisection ends at for a taken one.
    TailPastFree,
    /// No fence between freeing slots and looking for sleeping producers.
    NoFreeFence,
    /// An announcement is taken down before the post that answers it.
    AnswerBeforePost,
    /// A waker takes down whatever announcement it finds, also a later one than it answered.
    AnswerAnyTurn,
    /// Passing a hole does not count as making room.
    SilentHoles,
    /// The reader sleeps although its second look passed holes.
    SleepOnHoles,
    /// An owner that comes back tells nobody that its slot's quarantine is over.
    SilentReturn,
    /// A producer goes to sleep on a ring full of claims beside a consumer that sleeps, too.
    SilentFull,
    /// Closing wakes nobody.
    SilentClose,
    /// A nudge wakes nobody.
    SilentNudge,
    /// Burying a dead owner wakes nobody.
    SilentReap,
    /// The successor of a dead consumer trusts the header's head where the slot knows better.
    TrustHead,
    /// The successor of a dead consumer does not wake whom that one had made room for.
    ForgetSleepers,
    /// A producer looks ahead with Relaxed: the consumer's copies of those slots are not ordered before its writes.
    RelaxedLookAhead,
    /// Counting: who finds no token takes the ring for full, whatever the slots say.
    TrustTokens,
    /// Counting: a producer keeps to itself the token by which it learns that the ring is closed.
    KeepClosing,
    /// Counting: nobody puts back the tokens that died with their holders.
    KeepLostTokens,
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

/// Atomics whose every load loom really reorders against the others' stores.
///
/// To know which accesses to run the other way round, loom 0.7 keeps the last access to a word only. A thread that
/// loads a word and then stores to it, as every claim does, thereby hides the loads that others made before, and whole
/// orders are never explored (tokio-rs/loom issues 166 and 392). So each load here touches a condition variable that
/// nobody waits on: loom orders all touches among each other, and a touch hands on nothing that was written.
#[cfg(loom)]
mod model {
    use core::ops::Deref;
    use loom::sync::Condvar;
    use loom::sync::atomic::Ordering;

    /// A word and what its loads touch.
    #[derive(Debug)]
    pub(crate) struct Touched<A> {
        word: A,
        touch: Condvar,
    }

    pub(crate) type AtomicU32 = Touched<loom::sync::atomic::AtomicU32>;
    pub(crate) type AtomicU64 = Touched<loom::sync::atomic::AtomicU64>;

    impl<A> Deref for Touched<A> {
        type Target = A;

        fn deref(&self) -> &A {
            &self.word
        }
    }

    impl AtomicU32 {
        pub(crate) fn new(value: u32) -> Self {
            Self { word: loom::sync::atomic::AtomicU32::new(value), touch: Condvar::new() }
        }

        /// As a swap: where stores and swaps of a word meet, loom lets a thread see a value that the modification
        /// order rules out (tokio-rs/loom issue 282). No bytes are handed over by these words.
        pub(crate) fn store(&self, value: u32, order: Ordering) {
            self.word.swap(value, order);
        }

        pub(crate) fn load(&self, order: Ordering) -> u32 {
            self.touch.notify_one();
            self.word.load(order)
        }
    }

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self { word: loom::sync::atomic::AtomicU64::new(value), touch: Condvar::new() }
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.touch.notify_one();
            self.word.load(order)
        }
    }
}
