//! A script as it was written.

use super::error::Pos;

/// How stores become visible to the other threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// At once, for everyone: sequential consistency.
    #[default]
    Sequential,
    /// Through a store buffer for each processor, as on x86 (TSO): a thread sees its own stores at once, the others
    /// see them later, in order.
    Buffered,
}

/// What a mutex does beyond excluding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutexKind {
    /// Nothing: a holder that dies keeps it.
    Plain,
    /// The next locker learns that the holder died (`PTHREAD_MUTEX_ROBUST`).
    Robust,
    /// The holder runs at the priority of whoever waits for it (`PTHREAD_PRIO_INHERIT`).
    Inherit,
}

/// Something that the threads share, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) at: Pos,
    pub(crate) kind: Shared,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    Variable(Expr),
    Semaphore(Expr),
    Mutex(MutexKind),
}

/// A thread or a process: what it is called, how many there are of it, what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) at: Pos,
    pub(crate) copies: u32,
    /// It serves the others and may be waiting when all is over.
    pub(crate) service: bool,
    pub(crate) priority: u8,
    pub(crate) body: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) at: Pos,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Wait(String),
    Post(String),
    Lock(Option<String>),
    Unlock(Option<String>),
    Consistent(Option<String>),
    Claim(String),
    Put,
    Take,
    Fill(Expr),
    Drain(Expr),
    Assign(String, Expr),
    Sleep,
    Wake(String),
    Fence,
    Nap(Expr),
    AwaitDeath,
    Repeat(Expr, Vec<Statement>),
    While(Expr, Vec<Statement>),
    Loop(Vec<Statement>),
    If(Expr, Vec<Statement>, Vec<Statement>),
    Break,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expr {
    pub(crate) at: Pos,
    pub(crate) kind: ExprKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExprKind {
    Number(i32),
    Name(String),
    /// `me`: the number of this thread, from 1.
    Me,
    /// `ownerdead`: 1 if the last lock came from a holder that died.
    OwnerDead,
    /// `dead(e)`: 1 if thread number `e` was killed.
    Dead(Box<Expr>),
    /// `value(s)`: the value of a semaphore at this moment.
    Value(String),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Pair(Operator, Box<Expr>, Box<Expr>),
}

/// What joins two numbers; a comparison gives 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what it says")]
pub enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Plus,
    Minus,
    Times,
    Over,
    Rest,
}

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) capacity: u32,
    pub(crate) memory: Memory,
    pub(crate) declarations: Vec<Declaration>,
    pub(crate) actors: Vec<Actor>,
}
