//! What a thread can do to what it shares.

use std::fmt;

/// What became of an attempt to lock a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// It is the thread's now.
    Taken,
    /// It is the thread's now, and its holder before died with it (EOWNERDEAD).
    OwnerDied,
    /// Somebody else has it.
    Busy,
    /// A holder died, and who locked it after that unlocked it without `consistent` (ENOTRECOVERABLE).
    Unrecoverable,
}

/// Something that a thread did and must not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are the names and numbers in the text")]
pub enum Fault {
    /// Unlocked a mutex that it does not hold.
    NotHolder { mutex: String, holder: Option<String> },
    /// Locked a mutex that it holds.
    Twice { mutex: String },
    /// Locked a mutex that cannot be used any more.
    Unrecoverable { mutex: String },
    /// Took from a cell that nothing was ever put into, or what is no item.
    NoItem { cell: String },
    /// Divided by zero.
    Division,
    /// Ran on and on without touching anything shared.
    Runaway,
    /// Slept for a time below zero.
    Nap { length: i32 },
    /// Put more items than there are names for.
    TooMany,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHolder { mutex, holder: None } => write!(f, "unlocks {mutex}, which nobody holds"),
            Self::NotHolder { mutex, holder: Some(holder) } => {
                write!(f, "unlocks {mutex}, which {holder} holds")
            }
            Self::Twice { mutex } => {
                write!(f, "locks {mutex}, which it holds already, and so waits for itself")
            }
            Self::Unrecoverable { mutex } => {
                write!(f, "locks {mutex}, which is lost: it was unlocked after a death without `consistent`")
            }
            Self::NoItem { cell } => write!(f, "takes from {cell}, where nothing was ever put"),
            Self::Division => f.write_str("divides by zero"),
            Self::Runaway => f.write_str("goes round a loop for ever without touching anything shared"),
            Self::Nap { length } => write!(f, "naps for {length} steps, which is less than none"),
            Self::TooMany => f.write_str("puts more items than the lab can tell apart"),
        }
    }
}

/// What is shared, and how to reach it. Each call is one step, and the thread that does it is `who`.
pub trait World {
    /// The value of a cell.
    fn load(&mut self, who: usize, cell: usize) -> i32;
    /// Sets a cell.
    fn store(&mut self, who: usize, cell: usize, value: i32);
    /// Makes the thread's own stores visible to all.
    fn fence(&mut self, who: usize);
    /// Puts an item into a cell of the ring. The world keeps books of what was put and taken.
    fn fill(&mut self, who: usize, cell: usize, item: i32);
    /// Takes what is in a cell of the ring.
    ///
    /// # Errors
    /// [`Fault::NoItem`] if that is no item.
    fn drain(&mut self, who: usize, cell: usize) -> Result<i32, Fault>;
    /// Takes a token; false if there is none now.
    fn wait(&mut self, who: usize, semaphore: usize) -> bool;
    /// Adds a token.
    fn post(&mut self, who: usize, semaphore: usize);
    /// The number of tokens now.
    fn value(&mut self, who: usize, semaphore: usize) -> i32;
    /// Tries to take a mutex.
    ///
    /// # Errors
    /// [`Fault::Twice`] if the thread has it.
    fn lock(&mut self, who: usize, mutex: usize) -> Result<Locked, Fault>;
    /// Gives a mutex back.
    ///
    /// # Errors
    /// [`Fault::NotHolder`].
    fn unlock(&mut self, who: usize, mutex: usize) -> Result<(), Fault>;
    /// Marks a robust mutex as in order.
    ///
    /// # Errors
    /// [`Fault::NotHolder`].
    fn consistent(&mut self, who: usize, mutex: usize) -> Result<(), Fault>;
    /// Makes a cell that is 0 the thread's number, from 1, in one step; false if it is not 0.
    fn claim(&mut self, who: usize, cell: usize) -> bool;
    /// Marks the thread as asleep.
    fn sleep(&mut self, who: usize);
    /// Whether the thread is still asleep. A real world may let it sleep in here.
    fn asleep(&mut self, who: usize) -> bool;
    /// Wakes `whom` if it is asleep, and does nothing if it is not.
    fn wake(&mut self, who: usize, whom: usize);
    /// Does nothing for so many steps of others.
    fn nap(&mut self, who: usize, length: u32);
    /// Whether thread number `number`, from 1, was killed.
    fn is_dead(&mut self, who: usize, number: i32) -> bool;
    /// Whether any thread was killed. A real world may sleep in here until one is.
    fn any_dead(&mut self, who: usize) -> bool;
}
