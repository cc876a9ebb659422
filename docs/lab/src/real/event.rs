//! What a process tells about its steps in a traced run, through one of Halyard's own rings.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Event {
    /// When it was begun, nanoseconds of CLOCK_MONOTONIC.
    pub began_ns: u64,
    /// When it was done.
    pub ended_ns: u64,
    /// The thread that did it.
    pub who: u32,
    /// The instruction.
    pub at: u32,
    /// What was read, written or taken.
    pub value: i32,
    /// The ring's cell or the shared variable, where it was one.
    pub cell: u32,
}
