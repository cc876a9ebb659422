//! The abstract machine: one interpreter of a thread's instructions over a [`World`], which is either the simulator's
//! ([`State`]) or shared memory with real semaphores ([`crate::real`]).

mod state;
mod thread;
mod world;

pub use state::{Actor, Blocked, Happened, Holder, Shared, State};
pub use thread::{Stepped, Thread};
pub use world::{Fault, Locked, World};
