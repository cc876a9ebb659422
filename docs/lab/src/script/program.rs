//! A script as instructions. Each instruction that can be told apart from outside touches one shared thing once:
//! the simulator may let another thread run between any two of them, and nowhere else.

use super::ast::{Memory, MutexKind, Operator};
use super::error::Pos;

/// A place for a number that is a thread's own.
pub type Register = u16;

/// A calculation with a thread's own numbers alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what it says")]
pub enum Calc {
    Number(i32),
    Register(Register),
    Me,
    OwnerDead,
    Minus(Box<Calc>),
    Not(Box<Calc>),
    Pair(Operator, Box<Calc>, Box<Calc>),
}

/// What one instruction does. Cells, semaphores, mutexes and threads go by their index in the [`Program`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads a cell into a register.
    Load(Register, usize),
    /// Writes a cell.
    Store(usize, Calc),
    /// Reads a semaphore's value into a register.
    Value(Register, usize),
    /// Asks whether a thread, by its number from 1, was killed.
    Dead(Register, Calc),
    /// `wait` on a semaphore.
    Wait(usize),
    /// `post` on a semaphore.
    Post(usize),
    /// Takes a mutex.
    Lock(usize),
    /// Gives a mutex back.
    Unlock(usize),
    /// Declares what a robust mutex guards to be in order again.
    Consistent(usize),
    /// Waits until a cell is 0 and makes it the thread's number, in one step.
    Claim(usize),
    /// Writes the thread's next item into the cell of this index.
    Fill(Calc),
    /// Takes the item out of the cell of this index.
    Drain(Calc),
    /// Goes to sleep.
    Sleep,
    /// Sleeps on, until somebody wakes it.
    Asleep,
    /// Wakes a thread if it sleeps.
    Wake(usize),
    /// Waits until its own stores are visible to everyone.
    Fence,
    /// Does something else for so many steps of the others.
    Nap(Calc),
    /// Waits until some thread was killed.
    AwaitDeath,
    /// Sets a register. Not visible from outside, as all below.
    Set(Register, Calc),
    /// Forgets registers from the first up to the second.
    Clear(Register, Register),
    /// Goes on elsewhere.
    Jump(usize),
    /// Goes on elsewhere if the calculation gives 0.
    Unless(Calc, usize),
    /// The end of the thread.
    End,
}

impl Op {
    /// Whether others can tell that it was done.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        !matches!(self, Self::Set(..) | Self::Clear(..) | Self::Jump(_) | Self::Unless(..) | Self::End)
    }
}

/// One instruction and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub op: Op,
    /// The statement that it is a part of.
    pub at: Pos,
    /// What it does, in a few words.
    pub note: String,
    /// `put` or `take`, if it is one of the steps that these consist of.
    pub part_of: Option<&'static str>,
}

/// The instructions of a kind of thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// In order; the last is [`Op::End`].
    pub instructions: Vec<Instruction>,
    /// How many registers it needs.
    pub registers: usize,
    /// The thread's own variables and their registers.
    pub locals: Vec<(String, Register)>,
}

/// A shared number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// `head`, `tail`, `ring[0]` and so on, or a shared variable's name.
    pub name: String,
    /// The value that it starts with.
    pub initial: i32,
}

/// A semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semaphore {
    /// Its name in the script.
    pub name: String,
    /// Its value at the start.
    pub initial: i32,
}

/// A mutex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutex {
    /// Its name in the script.
    pub name: String,
    /// What it does when its holder dies, or when others wait.
    pub kind: MutexKind,
}

/// One thread of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// The name of its kind, with a number where there are several.
    pub name: String,
    /// The name of its kind.
    pub kind: String,
    /// Index of its code.
    pub code: usize,
    /// It serves the others and may be waiting when all is over.
    pub service: bool,
    /// Higher goes first; 0 everywhere means that there are no priorities.
    pub priority: u8,
}

/// A script that can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Cells of the ring.
    pub capacity: usize,
    /// How stores become visible.
    pub memory: Memory,
    /// `head`, `tail`, the ring, the shared variables.
    pub cells: Vec<Cell>,
    /// In the order of their declarations.
    pub semaphores: Vec<Semaphore>,
    /// In the order of their declarations.
    pub mutexes: Vec<Mutex>,
    /// In the order of their declarations, copies beside one another.
    pub threads: Vec<ThreadInfo>,
    /// The threads' code.
    pub codes: Vec<Code>,
}

impl Program {
    /// Index of the cell `head`: the position that is taken next.
    pub const HEAD: usize = 0;
    /// Index of the cell `tail`: the position that is filled next.
    pub const TAIL: usize = 1;
    /// Index of the ring's first cell.
    pub const RING: usize = 2;

    /// The cell of the ring at `index`, which goes round.
    #[must_use]
    pub fn ring_cell(&self, index: i32) -> usize {
        Self::RING + index.rem_euclid(self.capacity as i32) as usize
    }

    /// The instructions of a thread.
    #[must_use]
    pub fn code(&self, thread: usize) -> &Code {
        &self.codes[self.threads[thread].code]
    }

    /// Whether any thread has a priority.
    #[must_use]
    pub fn has_priorities(&self) -> bool {
        self.threads.iter().any(|thread| thread.priority > 0)
    }

    /// Index of the semaphore of that name.
    #[must_use]
    pub fn semaphore(&self, name: &str) -> Option<usize> {
        self.semaphores.iter().position(|semaphore| semaphore.name == name)
    }

    /// Index of the shared variable of that name.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<usize> {
        self.cells.iter().position(|cell| cell.name == name)
    }
}

/// Items of one thread before those of the next one.
pub(crate) const ITEMS_PER_THREAD: i32 = 10_000;

/// The number that stands for a thread's `nth` item (from 0) in a cell. 0 is no item.
pub(crate) fn item(thread: usize, nth: usize) -> i32 {
    thread as i32 * ITEMS_PER_THREAD + nth as i32 + 1
}

/// Thread and number of an item; `None` for what is none.
pub(crate) fn item_parts(item: i32) -> Option<(usize, usize)> {
    let index = item.checked_sub(1).filter(|index| *index >= 0)?;
    Some(((index / ITEMS_PER_THREAD) as usize, (index % ITEMS_PER_THREAD) as usize))
}

/// How an item is written for people: the first item of the first thread is `a1`.
#[must_use]
pub fn item_name(item: i32) -> String {
    match item_parts(item) {
        None if item == 0 => "nothing".to_owned(),
        Some((thread, nth)) if thread < 26 => format!("{}{}", (b'a' + thread as u8) as char, nth + 1),
        _ => format!("?{item}"),
    }
}
