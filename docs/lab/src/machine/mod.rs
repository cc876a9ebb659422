//! The abstract machine: one interpreter of a thread's instructions over a [`World`], which is either the simulator's
//! ([`State`]) or shared memory with real semaphores ([`crate::real`]).

mod moves;
mod shared;
mod sim;
mod state;
mod thread;
mod world;

pub use moves::{Actor, Blocked, Happened};
pub use shared::{Holder, Shared};
pub use state::State;
pub use thread::{Stepped, Thread};
pub use world::{Fault, Locked, World};
