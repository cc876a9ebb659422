//! Backing memory: where a ring's words and records lie.
//!
//! The algorithm ([`crate::protocol`]) runs over this trait. [`Region`](crate::region::Region) is one stretch of
//! bytes, shared mapping or plain heap, and [`Typed`](crate::typed::Typed) the way to it that a producer or consumer
//! keeps; [`Modeled`] is what loom explores, since loom's atomics cannot lie in a mapping.

use crate::layout::{Header, Owner, Shape};
use crate::semaphore::Semaphore;
use crate::sync::AtomicU64;

/// Memory that holds one ring. Positions are taken modulo the capacity, owners must be in the table.
pub(crate) trait Memory: Send + Sync + 'static {
    fn shape(&self) -> &Shape;
    fn header(&self) -> &Header;
    /// The entry of owner `number` (0 is the consumer's).
    ///
    /// # Panics
    /// If the number is not in the table.
    fn owner(&self, number: u16) -> &Owner;
    fn state(&self, position: u64) -> &AtomicU64;
    /// Hands out the record's bytes for copying out. They stay valid for `record_size` bytes during the call.
    fn read<T>(&self, position: u64, copy: impl FnOnce(*const u8) -> T) -> T;
    /// Hands out the record's bytes for copying in.
    fn write<T>(&self, position: u64, copy: impl FnOnce(*mut u8) -> T) -> T;
    /// Fetches the slot's first cache line, to be written soon, while other things are done. Changes nothing.
    fn prefetch_for_write(&self, _position: u64) {}
    /// The same for all cache lines of a slot that a record's first `bytes` bytes reach.
    fn prefetch_record_for_write(&self, _position: u64, _bytes: usize) {}
    /// The fence between a publisher's store and its look for sleepers (I8).
    fn publish_fence(&self);
    /// The fence between a sleeper's announcement and its second look (I8). False if a wake-up may be missed all the
    /// same, so that the sleep must be short.
    fn sleep_fence(&self) -> bool;
    /// Where the consumer sleeps.
    fn ready(&self) -> &Semaphore;
    /// Where producers sleep.
    fn space(&self) -> &Semaphore;
}

#[cfg(all(test, loom))]
impl<M: Memory> Memory for std::sync::Arc<M> {
    fn shape(&self) -> &Shape {
        (**self).shape()
    }
    fn header(&self) -> &Header {
        (**self).header()
    }
    fn owner(&self, number: u16) -> &Owner {
        (**self).owner(number)
    }
    fn state(&self, position: u64) -> &AtomicU64 {
        (**self).state(position)
    }
    fn read<T>(&self, position: u64, copy: impl FnOnce(*const u8) -> T) -> T {
        (**self).read(position, copy)
    }
    fn write<T>(&self, position: u64, copy: impl FnOnce(*mut u8) -> T) -> T {
        (**self).write(position, copy)
    }
    fn publish_fence(&self) {
        (**self).publish_fence();
    }
    fn sleep_fence(&self) -> bool {
        (**self).sleep_fence()
    }
    fn ready(&self) -> &Semaphore {
        (**self).ready()
    }
    fn space(&self) -> &Semaphore {
        (**self).space()
    }
}

#[cfg(all(test, loom))]
pub(crate) use modeled::Modeled;

#[cfg(all(test, loom))]
#[expect(unsafe_code, reason = "loom's cells are not Sync; it checks itself how they are reached")]
mod modeled {
    use super::*;
    use crate::layout::{
        Apart, BeatWord, ColdWords, ConsumerWords, Identity, PeerWords, ReaderWords, WriterWords,
    };
    use crate::options::RingOptions;
    use crate::state::State;
    use crate::sync::{AtomicU32, Ordering, QuietU32, QuietU64, fence};
    use loom::cell::UnsafeCell;

    /// A ring of 8-byte records made of loom's own cells: loom reports any access to a record's bytes that is not
    /// ordered against another.
    pub(crate) struct Modeled {
        shape: Shape,
        header: Header,
        owners: Vec<Owner>,
        slots: Vec<(AtomicU64, UnsafeCell<[u8; 8]>)>,
        ready: Semaphore,
        space: Semaphore,
    }

    // SAFETY: the cells are reached only through `UnsafeCell::with`, which loom itself checks for races.
    unsafe impl Sync for Modeled {}
    // SAFETY: as above.
    unsafe impl Send for Modeled {}

    impl Modeled {
        pub(crate) fn new(options: &RingOptions) -> Self {
            let shape = Shape::new(options, 8);
            let header = Header {
                identity: Apart(Identity {
                    magic: QuietU64::new(0),
                    layout_version: QuietU32::new(0),
                    status: QuietU32::new(0),
                    kind: QuietU32::new(0),
                    mode: QuietU32::new(0),
                    capacity: QuietU32::new(0),
                    record_size: QuietU32::new(0),
                    stride: QuietU32::new(0),
                    owners: QuietU32::new(0),
                    schema: QuietU64::new(0),
                    epoch: QuietU64::new(0),
                    creator: QuietU64::new(0),
                    created_unix_ns: QuietU64::new(0),
                    total_size: QuietU64::new(0),
                    grace_ns: QuietU64::new(0),
                    slots_offset: QuietU64::new(0),
                    pid_namespace: QuietU64::new(0),
                    asymmetric: QuietU32::new(0),
                    renewals: QuietU32::new(0),
                }),
                consumer: Apart(ConsumerWords {
                    head: AtomicU64::new(0),
                    consumed: QuietU64::new(0),
                    voids: QuietU64::new(0),
                    holes: QuietU64::new(0),
                    parks: QuietU64::new(0),
                    space_posts: QuietU64::new(0),
                    damaged: QuietU64::new(0),
                }),
                reader: Apart(ReaderWords {
                    waiting: AtomicU32::new(0),
                    closed: AtomicU32::new(0),
                    nudges: AtomicU32::new(0),
                }),
                writers: Apart(WriterWords { waiting: AtomicU32::new(0) }),
                cold: Apart(ColdWords {
                    quarantined: QuietU64::new(0),
                    published: QuietU64::new(0),
                    full_events: QuietU64::new(0),
                    parks: QuietU64::new(0),
                    ready_posts: QuietU64::new(0),
                    owner_hint: QuietU64::new(0),
                }),
                creator_beat: Apart(BeatWord { at_ns: QuietU64::new(0) }),
                peer: Apart(PeerWords { at_ns: QuietU64::new(0), note: QuietU64::new(0) }),
            };
            let owner = |_| Owner {
                identity: QuietU64::new(0),
                published: QuietU64::new(0),
                full_events: QuietU64::new(0),
                parks: QuietU64::new(0),
                ready_posts: QuietU64::new(0),
                returned: QuietU64::new(0),
            };
            let slot = |i: u32| (AtomicU64::new(State::free(u64::from(i)).0), UnsafeCell::new([0; 8]));
            Self {
                shape,
                header,
                owners: (0..=shape.owners).map(owner).collect(),
                slots: (0..shape.capacity).map(slot).collect(),
                ready: Semaphore::unnamed(0),
                space: Semaphore::unnamed(0),
            }
        }

        fn slot(&self, position: u64) -> &(AtomicU64, UnsafeCell<[u8; 8]>) {
            &self.slots[position as usize & (self.slots.len() - 1)]
        }
    }

    impl Memory for Modeled {
        fn shape(&self) -> &Shape {
            &self.shape
        }
        fn header(&self) -> &Header {
            &self.header
        }
        fn owner(&self, number: u16) -> &Owner {
            &self.owners[usize::from(number)]
        }
        fn state(&self, position: u64) -> &AtomicU64 {
            &self.slot(position).0
        }
        fn read<T>(&self, position: u64, copy: impl FnOnce(*const u8) -> T) -> T {
            self.slot(position).1.with(|bytes| copy(bytes.cast()))
        }
        fn write<T>(&self, position: u64, copy: impl FnOnce(*mut u8) -> T) -> T {
            self.slot(position).1.with_mut(|bytes| copy(bytes.cast()))
        }
        // loom knows no membarrier: the models run with the full fence on both sides.
        fn publish_fence(&self) {
            fence(Ordering::SeqCst);
        }
        fn sleep_fence(&self) -> bool {
            fence(Ordering::SeqCst);
            true
        }
        fn ready(&self) -> &Semaphore {
            &self.ready
        }
        fn space(&self) -> &Semaphore {
            &self.space
        }
    }
}
