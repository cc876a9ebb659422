//! Shared-memory ring buffers for Linux, with named process-shared semaphores.
//!
//! A [`Ring`] carries fixed-size records of one type from one producer ([`RingOptions::spsc`]) or many
//! ([`RingOptions::mpsc`]) to one consumer, between processes through `/dev/shm` or inside one process over plain
//! heap. A push or pop that need not wait makes no system call. A producer that is killed or stopped half-way
//! through a record never blocks the others.
//!
//! ```
//! use halyard_ring::{Ring, RingName, RingOptions};
//! use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
//! #[repr(C)]
//! struct Sample { at_ns: u64, value: f64 }
//!
//! let name = RingName::new(&format!("doc-{}", std::process::id()))?;
//! // One process creates the ring and reads ...
//! let ring = Ring::<Sample>::create(&name, &RingOptions::spsc(1024))?;
//! let mut consumer = ring.consumer()?;
//! // ... another opens it by name and writes.
//! let mut producer = Ring::<Sample>::open(&name)?.producer()?;
//! producer.push(Sample { at_ns: 1, value: 0.5 })?;
//! assert_eq!(consumer.pop()?.value, 0.5);
//! ring.unlink()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Signals
//!
//! Any process that may write a segment may also truncate its file, and touching what is gone is a SIGBUS. The first
//! ring or named semaphore that a process maps installs a handler for SIGBUS which survives that for this crate's
//! mappings (see [`PopError::Truncated`]) and passes everything else on to the handler that was there before. A
//! program that installs a SIGBUS handler of its own later should call the one it replaces for addresses that are
//! not its own.
//!
//! The design is in `docs/design.md`, the bytes of a segment in `docs/protocol.md`; the algorithm with its
//! invariants in `protocol/mod.rs`. The chat's record format is in [`chat`], which the engine never imports.

pub mod chat;
#[cfg_attr(loom, allow(dead_code, reason = "loom runs the algorithm, not the ring around it"))]
mod layout;
mod memory;
mod name;
#[cfg_attr(loom, allow(dead_code, reason = "loom runs the algorithm, not the ring around it"))]
mod options;
#[cfg_attr(loom, allow(dead_code, reason = "loom runs the algorithm, not the ring around it"))]
mod protocol;
#[cfg_attr(loom, allow(dead_code, reason = "loom runs the algorithm, not the ring around it"))]
mod semaphore;
mod state;
mod sync;

#[cfg(not(loom))]
mod access;
#[cfg(not(loom))]
mod barrier;
#[cfg(not(loom))]
mod consumer;
#[cfg(not(loom))]
mod error;
#[cfg(all(feature = "faults", not(loom)))]
pub mod faults;
#[doc(hidden)]
pub mod guards;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod hostile;
#[cfg(not(loom))]
mod inspect;
#[cfg(not(loom))]
mod list;
#[cfg(not(loom))]
mod mend;
#[cfg(not(loom))]
mod owners;
#[cfg(not(loom))]
mod private;
#[cfg(not(loom))]
mod process;
#[cfg(not(loom))]
mod producer;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod remembered;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
mod sigbus;
#[cfg(not(loom))]
mod slot;
#[cfg(not(loom))]
mod tokens;
#[cfg(not(loom))]
mod typed;
#[cfg(not(loom))]
mod view;
#[cfg(not(loom))]
mod wait;

pub use layout::{CACHE_LINE, LAYOUT_VERSION, MAGIC, SLOT_HEAD};
pub use name::{BadRingName, PREFIX, RING_NAME_MAX, RingName};
pub use options::{CAPACITY_MAX, Mode, RingKind, RingOptions};
pub use protocol::Damage;
pub use state::{OWNERS_MAX, Phase, State};

#[cfg(not(loom))]
pub use {
    access::{Belonging, Group, GroupError},
    consumer::Consumer,
    error::{AttachError, CreateError, OpenError, PopError, PushError, Tampered, Voided},
    inspect::{Counters, OwnerSnapshot, SemaphoreSnapshot, SlotSnapshot, Snapshot},
    list::{Removal, creator_lives, list_names, remove_dead},
    mend::Mender,
    owners::{Expected, Reaped},
    process::{Pidfd, ProcessId, cpus, monotonic_ns, pin_to},
    producer::{Claim, Producer},
    ring::{Beat, Ring},
    semaphore::{Semaphore, SemaphoreFile},
    view::RingView,
    wait::{UnknownWait, Wait},
};

#[cfg(not(loom))]
#[doc(hidden)]
pub use barrier::is_registered as has_membarrier;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a ring can carry: any plain type without padding, pointers or forbidden bit patterns.
///
/// Implemented for every type that has the four zerocopy traits; derive those.
pub trait Record: FromBytes + IntoBytes + Immutable + KnownLayout + Send + Sync + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Send + Sync + 'static> Record for T {}
