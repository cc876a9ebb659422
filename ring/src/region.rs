//! One stretch of bytes that holds a ring: a shared mapping, or plain heap for use inside one process.
#![expect(unsafe_code, reason = "turns offsets into references to atomics and pointers to records")]

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};

use crate::barrier::Barriers;
use crate::layout::{HEADER_WORDS, Header, Identity, OWNER_SIZE, OWNERS_OFFSET, Owner, SLOT_HEAD, Shape};
use crate::memory::Memory;
use crate::segment::Mapping;
use crate::semaphore::Semaphore;
use crate::state::State;
use crate::sync::{AtomicU64, Ordering};

/// What keeps the bytes alive.
enum Backing {
    Mapping(Mapping),
    Heap(#[expect(dead_code, reason = "frees the bytes when it is dropped")] HeapBytes),
}

/// Heap memory, aligned as a mapping is.
pub(crate) struct HeapBytes {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: owns its memory, as a Box does; it is reached as the Region has it.
unsafe impl Send for HeapBytes {}
// SAFETY: as above.
unsafe impl Sync for HeapBytes {}

impl HeapBytes {
    /// Allocates zeroed memory.
    ///
    /// # Panics
    /// If `len` is 0, or more than there can be.
    fn zeroed(len: usize) -> Self {
        assert!(len > 0, "no bytes");
        let layout = Layout::from_size_align(len, 4096).expect("a ring's size is a valid layout");
        // SAFETY: the layout is not of size zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { alloc::handle_alloc_error(layout) };
        Self { base, layout }
    }

    /// A copy of these bytes and not one more, but of no bytes one zero.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let copy = Self::zeroed(bytes.len().max(1));
        // SAFETY: freshly allocated for so many bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy.base.as_ptr(), bytes.len()) };
        copy
    }

    pub(crate) fn len(&self) -> usize {
        self.layout.size()
    }

    /// The header's first group; `None` if there is no room for a header.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        // SAFETY: page-aligned, long enough, initialised; made of atomics only, for which any bytes do.
        (self.len() >= OWNERS_OFFSET).then(|| unsafe { &*self.base.cast::<Header>().as_ref().identity })
    }
}

impl Drop for HeapBytes {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this very layout, and nobody else knows the address.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// A ring's bytes and its two semaphores.
pub(crate) struct Region {
    base: NonNull<u8>,
    shape: Shape,
    mask: u64,
    barriers: Barriers,
    ready: Semaphore,
    space: Semaphore,
    backing: Backing,
}

// SAFETY: the bytes are reached only as atomics, or as records under the slot protocol, which gives a record's
// bytes to one thread at a time; the mapping or allocation lives as long as the Region.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Takes a mapping whose size and header were checked against `shape`.
    ///
    /// # Panics
    /// If the mapping is smaller than the shape.
    pub(crate) fn mapped(
        mapping: Mapping,
        shape: Shape,
        barriers: Barriers,
        ready: Semaphore,
        space: Semaphore,
    ) -> Self {
        assert!(mapping.len() >= shape.total, "mapping of {} for {}", mapping.len(), shape.total);
        let base = NonNull::new(mapping.base()).expect("a mapping is not at address zero");
        let mask = u64::from(shape.capacity) - 1;
        Self { base, shape, mask, barriers, ready, space, backing: Backing::Mapping(mapping) }
    }

    /// Allocates zeroed heap memory of that shape.
    pub(crate) fn heap(shape: Shape, barriers: Barriers, ready: Semaphore, space: Semaphore) -> Self {
        Self::of_bytes(HeapBytes::zeroed(shape.total), shape, barriers, ready, space)
    }

    /// Takes heap memory whose size and header were checked against `shape`.
    ///
    /// # Panics
    /// If it is smaller than the shape.
    pub(crate) fn of_bytes(
        bytes: HeapBytes,
        shape: Shape,
        barriers: Barriers,
        ready: Semaphore,
        space: Semaphore,
    ) -> Self {
        assert!(bytes.len() >= shape.total, "{} bytes for {}", bytes.len(), shape.total);
        let mask = u64::from(shape.capacity) - 1;
        Self { base: bytes.base, shape, mask, barriers, ready, space, backing: Backing::Heap(bytes) }
    }

    /// How this process fences for the ring.
    pub(crate) fn barriers(&self) -> Barriers {
        self.barriers
    }

    /// The mapping, if there is one.
    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        match &self.backing {
            Backing::Mapping(mapping) => Some(mapping),
            Backing::Heap(_) => None,
        }
    }

    /// Whether the file behind the ring or one of its semaphores was truncated, as far as this process has noticed.
    pub(crate) fn is_truncated(&self) -> bool {
        self.mapping().is_some_and(Mapping::is_truncated)
            || self.ready.is_truncated()
            || self.space.is_truncated()
    }

    /// Makes every slot free for its first position; for the creator, before anyone else can see the ring.
    pub(crate) fn format_slots(&self, first: u64) {
        for offset in 0..u64::from(self.shape.capacity) {
            let position = first.wrapping_add(offset);
            self.state(position).store(State::free(position).0, Ordering::Relaxed);
        }
    }

    /// The header as words.
    pub(crate) fn header_words(&self) -> &[AtomicU64; HEADER_WORDS] {
        // SAFETY: the region is page-aligned and longer than the header, which is made of atomics and of bytes that
        // nobody uses; reading those of 4 bytes in pairs is a read that only tools make, of words that do not change.
        unsafe { self.base.cast().as_ref() }
    }

    /// An owner's entry as words.
    pub(crate) fn owner_words(&self, number: u16) -> &[AtomicU64; OWNER_SIZE / 8] {
        // SAFETY: as `header_words`: an entry is 64 bytes, 64-byte aligned, of atomics and of bytes that nobody uses.
        unsafe { NonNull::from(self.owner(number)).cast().as_ref() }
    }

    #[inline]
    fn slot(&self, position: u64) -> NonNull<u8> {
        let offset = self.shape.slots_offset + (position & self.mask) as usize * self.shape.stride;
        // SAFETY: the masked position is below the capacity, so the offset stays below `shape.total`, which the
        // mapping or allocation has.
        unsafe { self.base.add(offset) }
    }
}

impl Memory for Region {
    #[inline]
    fn shape(&self) -> &Shape {
        &self.shape
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the region begins with a header, is page-aligned, at least `OWNERS_OFFSET` long and initialised
        // (zeroed or filled by the creator); a Header is made of atomics only, so others may write it meanwhile.
        unsafe { self.base.cast().as_ref() }
    }

    #[inline]
    fn owner(&self, number: u16) -> &Owner {
        assert!(u32::from(number) <= self.shape.owners, "owner {number} of {}", self.shape.owners);
        // SAFETY: the table has `owners + 1` entries of OWNER_SIZE at OWNERS_OFFSET, 64-byte aligned, atomics only.
        unsafe { self.base.add(OWNERS_OFFSET + usize::from(number) * OWNER_SIZE).cast().as_ref() }
    }

    #[inline]
    fn state(&self, position: u64) -> &AtomicU64 {
        // SAFETY: a slot begins with its state word and is 64-byte aligned.
        unsafe { self.slot(position).cast().as_ref() }
    }

    #[inline]
    fn read<T>(&self, position: u64, copy: impl FnOnce(*const u8) -> T) -> T {
        // SAFETY: a slot has SLOT_HEAD + record_size bytes at least.
        copy(unsafe { self.slot(position).add(SLOT_HEAD) }.as_ptr())
    }

    #[inline]
    fn write<T>(&self, position: u64, copy: impl FnOnce(*mut u8) -> T) -> T {
        // SAFETY: a slot has SLOT_HEAD + record_size bytes at least.
        copy(unsafe { self.slot(position).add(SLOT_HEAD) }.as_ptr())
    }

    #[inline]
    fn publish_fence(&self) {
        self.barriers.publish();
    }

    fn sleep_fence(&self) -> bool {
        self.barriers.sleep()
    }

    #[inline]
    fn ready(&self) -> &Semaphore {
        &self.ready
    }

    #[inline]
    fn space(&self) -> &Semaphore {
        &self.space
    }
}
