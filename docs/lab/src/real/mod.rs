//! The same programs with real processes: every thread of a script is a process, its semaphores are named POSIX
//! semaphores, its variables and its ring lie in a mapping of a file in /dev/shm.

mod child;
mod event;
mod names;
mod parent;
mod region;
mod robust;
mod world;

pub mod meet;

pub use child::{Part, play};
pub use event::Event;
pub use names::{Leftovers, clean};
pub use parent::{Outcome, RealRun, run};
