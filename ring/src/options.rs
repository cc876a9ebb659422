//! What a ring is made with.

use core::time::Duration;

#[cfg(not(loom))]
use crate::access::Group;
use crate::state::OWNERS_MAX;

/// How many producers a ring takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum RingKind {
    /// Single producer, single consumer: plain stores.
    Spsc = 1,
    /// Many producers, single consumer: a compare-and-swap claims a slot, another publishes it.
    Mpsc = 2,
}

/// What the two semaphores mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Mode {
    /// The semaphores are only where threads sleep; the slots' sequence numbers are the truth. A push or pop that
    /// need not sleep makes no system call and touches no semaphore.
    Doorbell = 1,
    /// The textbook bounded buffer: `space` starts at the capacity, `ready` at 0, one token each per record; so every
    /// push and pop touches both. Only that tokens can die here: a process that is killed with one in hand takes it
    /// along, and others find that out from the slots, which decide. A sleeper may need its
    /// `Wait::recheck` for that.
    Counting = 2,
}

impl RingKind {
    pub(crate) const fn from_wire(value: u32) -> Option<Self> {
        match value {
            1 => Some(Self::Spsc),
            2 => Some(Self::Mpsc),
            _ => None,
        }
    }
}

impl Mode {
    pub(crate) const fn from_wire(value: u32) -> Option<Self> {
        match value {
            1 => Some(Self::Doorbell),
            2 => Some(Self::Counting),
            _ => None,
        }
    }
}

/// What a ring is created with: kind and capacity, and what has a default.
///
/// ```
/// use halyard_ring::{Mode, RingOptions};
/// let options = RingOptions::mpsc(1024).owners(100).mode(Mode::Doorbell);
/// ```
#[derive(Clone, Debug)]
pub struct RingOptions {
    pub(crate) kind: RingKind,
    pub(crate) mode: Mode,
    pub(crate) capacity: u32,
    pub(crate) owners: u32,
    pub(crate) schema: u64,
    pub(crate) grace: Duration,
    pub(crate) first: u64,
    /// How many rings of this name it is the successor of, one after the other.
    pub(crate) renewals: u32,
    #[cfg(not(loom))]
    pub(crate) group: Option<Group>,
}

/// Largest capacity, records.
pub const CAPACITY_MAX: u32 = 1 << 24;

impl RingOptions {
    /// A ring for one producer. `capacity`: records, a power of two from 2 to 2^24.
    #[must_use]
    pub fn spsc(capacity: u32) -> Self {
        Self::new(RingKind::Spsc, capacity, 1)
    }

    /// A ring for many producers, at most 64 at once unless [`owners`](Self::owners) says otherwise.
    #[must_use]
    pub fn mpsc(capacity: u32) -> Self {
        Self::new(RingKind::Mpsc, capacity, 64)
    }

    fn new(kind: RingKind, capacity: u32, owners: u32) -> Self {
        let grace = Duration::from_millis(5);
        Self {
            kind,
            mode: Mode::Doorbell,
            capacity,
            owners,
            schema: 0,
            grace,
            first: 0,
            renewals: 0,
            #[cfg(not(loom))]
            group: None,
        }
    }

    /// What the semaphores mean; [`Mode::Doorbell`] by default.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The most producers attached at once, 1 to 16,382 (a single-producer ring always has 1). 64 bytes each.
    #[must_use]
    pub fn owners(mut self, owners: u32) -> Self {
        if self.kind == RingKind::Mpsc {
            self.owners = owners;
        }
        self
    }

    /// A number that says which record type the ring carries; whoever opens the ring can compare it. 0 by default.
    #[must_use]
    pub fn schema(mut self, schema: u64) -> Self {
        self.schema = schema;
        self
    }

    /// How long the consumer waits for a claimed slot that is not published before it passes over it; 5 ms by
    /// default. Short graces cost a stopped writer's peers less; too short, and a producer that was merely
    /// descheduled has to write its record again (nothing is lost).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Lets the members of this group open the ring, too (mode 0660); by default only its user may (0600). Whoever may open
    /// it may write anything into it.
    #[cfg(not(loom))]
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.group = Some(group);
        self
    }

    /// Starts counting positions here instead of at 0: lets a test see the sequence wrap.
    #[doc(hidden)]
    #[must_use]
    pub fn first_position(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.capacity.is_power_of_two() || !(2..=CAPACITY_MAX).contains(&self.capacity) {
            return Err(format!("capacity {} is not a power of two from 2 to {CAPACITY_MAX}", self.capacity));
        }
        if !(1..=OWNERS_MAX).contains(&self.owners) {
            return Err(format!("{} owners: 1 to {OWNERS_MAX} are possible", self.owners));
        }
        if !self.first.is_multiple_of(u64::from(self.capacity)) {
            return Err(format!("first position {} is not a multiple of the capacity", self.first));
        }
        Ok(())
    }
}
