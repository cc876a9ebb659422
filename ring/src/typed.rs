//! A region as the two ends of a ring reach it, thousands of times a millisecond.
#![expect(unsafe_code, reason = "turns positions into references to atomics and pointers to records")]

use core::marker::PhantomData;
use core::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::Record;
use crate::barrier::Barriers;
use crate::layout::{CACHE_LINE, Header, OWNER_SIZE, OWNERS_OFFSET, Owner, SLOT_HEAD, Shape};
use crate::memory::Memory;
use crate::region::Region;
use crate::semaphore::Semaphore;
use crate::sync::AtomicU64;

/// A [`Region`] that carries records of type `R`: the distance between slots is a constant here, and where they begin
/// and what wraps a position are fields of whoever pushes or pops. So the way to a slot is a mask, a shift and an
/// addition, and nothing has to be read again behind a pointer after each store to shared memory.
pub(crate) struct Typed<R> {
    header: NonNull<u8>,
    slots: NonNull<u8>,
    mask: u64,
    owners: u32,
    barriers: Barriers,
    /// Keeps all of that alive.
    region: Arc<Region>,
    record: PhantomData<fn(R) -> R>,
}

// SAFETY: the pointers lead into the region, which is Send and Sync and lives as long as this; they are used as it
// uses its own. No `R` is in here.
unsafe impl<R> Send for Typed<R> {}
// SAFETY: as above.
unsafe impl<R> Sync for Typed<R> {}

impl<R> Clone for Typed<R> {
    fn clone(&self) -> Self {
        Self { region: Arc::clone(&self.region), ..*self }
    }
}

impl<R> Deref for Typed<R> {
    type Target = Region;

    fn deref(&self) -> &Region {
        &self.region
    }
}

impl<R: Record> Typed<R> {
    const STRIDE: usize = (SLOT_HEAD + size_of::<R>()).next_multiple_of(CACHE_LINE);

    /// # Panics
    /// If the region was made or opened for another size of record.
    pub(crate) fn new(region: Arc<Region>) -> Self {
        let shape = region.shape();
        assert_eq!(
            (shape.record_size, shape.stride),
            (size_of::<R>(), Self::STRIDE),
            "another record's ring"
        );
        let header = NonNull::from(region.header()).cast();
        Self {
            header,
            // SAFETY: `slots_offset` is below `total`, which the region has.
            slots: unsafe { header.add(shape.slots_offset) },
            mask: u64::from(shape.capacity) - 1,
            owners: shape.owners,
            barriers: region.barriers(),
            region,
            record: PhantomData,
        }
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> NonNull<u8> {
        // SAFETY: the masked position is below the capacity and the stride is the region's own, as `new` has seen to:
        // inside the region, and aligned to a cache line.
        unsafe { self.slots.add((position & self.mask) as usize * Self::STRIDE) }
    }
}

#[inline(always)]
fn prefetch_line_for_write(line: *mut u8) {
    // SAFETY: a prefetch accesses nothing and cannot fault; on a processor that does not know it, it is no operation.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = line;
}

#[cold]
#[inline(never)]
fn not_in_the_table(number: u16, owners: u32) -> ! {
    panic!("owner {number} of {owners}")
}

impl<R: Record> Memory for Typed<R> {
    #[inline]
    fn shape(&self) -> &Shape {
        self.region.shape()
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: made of the region's own reference to it.
        unsafe { self.header.cast().as_ref() }
    }

    #[inline(always)]
    fn owner(&self, number: u16) -> &Owner {
        if u32::from(number) > self.owners {
            not_in_the_table(number, self.owners);
        }
        // SAFETY: the table has `owners + 1` entries of OWNER_SIZE at OWNERS_OFFSET, 64-byte aligned, atomics only.
        unsafe { self.header.add(OWNERS_OFFSET + usize::from(number) * OWNER_SIZE).cast().as_ref() }
    }

    #[inline(always)]
    fn state(&self, position: u64) -> &AtomicU64 {
        // SAFETY: a slot begins with its state word and is 64-byte aligned.
        unsafe { self.slot(position).cast().as_ref() }
    }

    #[inline(always)]
    fn read<T>(&self, position: u64, copy: impl FnOnce(*const u8) -> T) -> T {
        // SAFETY: a slot has SLOT_HEAD + size_of::<R>() bytes at least.
        copy(unsafe { self.slot(position).add(SLOT_HEAD) }.as_ptr())
    }

    #[inline(always)]
    fn write<T>(&self, position: u64, copy: impl FnOnce(*mut u8) -> T) -> T {
        // SAFETY: a slot has SLOT_HEAD + size_of::<R>() bytes at least.
        copy(unsafe { self.slot(position).add(SLOT_HEAD) }.as_ptr())
    }

    #[inline(always)]
    fn prefetch_for_write(&self, position: u64) {
        self.prefetch_record_for_write(position, 0);
    }

    #[inline(always)]
    fn prefetch_record_for_write(&self, position: u64, bytes: usize) {
        let slot = self.slot(position).as_ptr();
        for offset in (0..(SLOT_HEAD + bytes).min(Self::STRIDE)).step_by(CACHE_LINE) {
            prefetch_line_for_write(slot.wrapping_add(offset));
        }
    }

    #[inline(always)]
    fn publish_fence(&self) {
        self.barriers.publish();
    }
    fn sleep_fence(&self) -> bool {
        self.barriers.sleep()
    }

    #[inline]
    fn ready(&self) -> &Semaphore {
        self.region.ready()
    }

    #[inline]
    fn space(&self) -> &Semaphore {
        self.region.space()
    }
}
