#![expect(
    unsafe_code,
    reason = "raw_sync's events and the messages beside them lie at raw places in shared memory"
)]
//! The crates raw_sync and shared_memory: an event each way that wakes the other side, with the messages beside them in
//! the same memory.
//!
//! The memory is `BYTES` bytes long (I1), begins at a page boundary (I2), and its two events are initialised before any
//! end exists (I3). Messages in it are only accessed as atomics (I4).

use std::sync::atomic::AtomicU64;

use raw_sync::Timeout;
use raw_sync::events::{Event, EventImpl, EventInit, EventState};
use shared_memory::{Shmem, ShmemConf};

use super::trips::{self, End, Half, Message};
use crate::failure::{Failure, While as _};

/// Where the two events lie, with more room than either takes, and the two messages.
const EVENTS_AT: [usize; 2] = [0, 512];
const MESSAGES_AT: [usize; 2] = [1024, 1152];
const BYTES: usize = 4096;

/// The memory, whose name goes when this does.
pub(super) struct Owner(Shmem);

/// An end that is not used yet: the memory's name, and which of the two ways goes out.
pub(super) struct Named {
    os_id: String,
    out: usize,
}

/// An end in use.
pub(super) struct Events {
    rings: Box<dyn EventImpl>,
    wakes: Box<dyn EventImpl>,
    memory: Memory,
    out: usize,
}

/// A mapping of one end.
struct Memory(Shmem);

/// Memory with two events that reset themselves.
pub(super) fn events() -> Result<Owner, Failure> {
    let memory = ShmemConf::new().size(BYTES).create().doing("creating memory of shared_memory")?;
    for at in EVENTS_AT {
        // SAFETY: inside the mapping (I1).
        let place = unsafe { memory.as_ptr().add(at) };
        assert!(Event::size_of(Some(place)) <= EVENTS_AT[1], "there is room for an event");
        // SAFETY: the event's bytes lie inside the mapping (the check above, and both places have as much room),
        // aligned (I2), and nobody else has the memory yet.
        unsafe { Event::new(place, true) }.doing("making an event of raw_sync")?;
    }
    Ok(Owner(memory))
}

impl Owner {
    /// Two ends, each of which maps the memory by its name, as two processes would.
    pub(super) fn ends(&self) -> [Named; 2] {
        [0, 1].map(|out| Named { os_id: self.0.get_os_id().to_owned(), out })
    }
}

impl Half for Named {
    type End = Events;

    fn open(self) -> Result<Events, Failure> {
        let memory = ShmemConf::new().os_id(self.os_id).open().doing("opening memory of shared_memory")?;
        let memory = Memory(memory);
        let (rings, wakes) = (memory.event(self.out)?, memory.event(1 - self.out)?);
        Ok(Events { rings, wakes, memory, out: self.out })
    }
}

impl Memory {
    fn event(&self, way: usize) -> Result<Box<dyn EventImpl>, Failure> {
        // SAFETY: an initialised event (I3) inside the mapping (I1), which lives as long as the `Events` that keeps
        // both.
        unsafe { Event::from_existing(self.0.as_ptr().add(EVENTS_AT[way])) }
            .map(|(event, _)| event)
            .doing("opening an event of raw_sync")
    }

    /// A word of the message of one way.
    #[inline]
    fn word(&self, way: usize, index: usize) -> &AtomicU64 {
        assert!(index < size_of::<Message>() / size_of::<u64>());
        // SAFETY: inside the mapping (I1 and the check above), aligned to 8 bytes (I2), alive as long as `self`, only
        // accessed as an atomic (I4).
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().add(MESSAGES_AT[way]).cast::<u64>().add(index)) }
    }
}

impl End for Events {
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        trips::lay(|index| self.memory.word(self.out, index), &message);
        self.rings.set(EventState::Signaled).doing("setting an event of raw_sync")
    }

    #[inline]
    fn receive(&mut self) -> Result<Message, Failure> {
        self.wakes.wait(Timeout::Infinite).doing("waiting for an event of raw_sync")?;
        Ok(trips::pick(|index| self.memory.word(1 - self.out, index)))
    }
}
