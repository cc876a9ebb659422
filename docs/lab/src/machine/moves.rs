//! The words for what goes on: who moves, what a move did, why somebody cannot move.

use std::fmt;

/// Who moves: the choice that a scheduler has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A thread does its next instruction.
    Step(usize),
    /// The oldest store in a thread's buffer reaches memory.
    Flush(usize),
    /// A thread is killed where it stands.
    Kill(usize),
    /// Nobody can run: time passes for those who nap.
    Tick,
}

impl Actor {
    /// The thread that it is about.
    #[must_use]
    pub fn thread(self) -> Option<usize> {
        match self {
            Self::Step(thread) | Self::Flush(thread) | Self::Kill(thread) => Some(thread),
            Self::Tick => None,
        }
    }
}

/// What a step did, as far as others can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are indices, values and items")]
pub enum Happened {
    Nothing,
    Read {
        cell: usize,
        value: i32,
    },
    Wrote {
        cell: usize,
        value: i32,
    },
    /// An item was written; `over` is what the cell held before.
    Filled {
        cell: usize,
        item: i32,
        over: i32,
    },
    /// An item was taken, for the `times`th time.
    Drained {
        cell: usize,
        item: i32,
        times: u8,
    },
    Waited(usize),
    Posted(usize),
    Locked {
        mutex: usize,
        owner_died: bool,
    },
    Unlocked(usize),
    Claimed(usize),
    Slept,
    Awoke,
    /// `awake` if it slept, so that the wake-up was not lost.
    Woke {
        whom: usize,
        awake: bool,
    },
    Fenced,
    Napped(u32),
    Flushed {
        cell: usize,
        value: i32,
    },
    Killed,
    Ticked,
}

/// Why a thread cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is what it says, with its index")]
pub enum Blocked {
    Semaphore(usize),
    Mutex(usize),
    Cell(usize),
    Asleep,
    Death,
    Nap(u32),
    /// It could go on, but a thread of a higher priority runs.
    Priority,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Semaphore(_) => "waits for a token",
            Self::Mutex(_) => "waits for a mutex",
            Self::Cell(_) => "waits to claim",
            Self::Asleep => "sleeps",
            Self::Death => "waits for a death",
            Self::Nap(_) => "naps",
            Self::Priority => "waits for its turn",
        })
    }
}
