//! POSIX semaphores, named and unnamed, behind one small safe type.

#[cfg(loom)]
mod model;
#[cfg(not(loom))]
mod named;
#[cfg(not(loom))]
mod posix;

#[cfg(loom)]
pub(crate) use model::Semaphore;
#[cfg(not(loom))]
pub use named::SemaphoreFile;
#[cfg(not(loom))]
pub(crate) use named::file_path;
#[cfg(not(loom))]
pub use posix::Semaphore;
