//! Copying records into and out of slots: the only places where a record's bytes are touched.
#![expect(unsafe_code, reason = "raw copies between private memory and a slot")]

use core::mem::MaybeUninit;
use core::ptr;

use crate::Record;
use crate::memory::Memory;
use crate::typed::Typed;

/// Copies a whole record to `position`. The caller owns the slot (I1).
#[inline(always)]
pub(crate) fn copy_record_in<R: Record>(memory: &Typed<R>, position: u64, record: &R) {
    memory.write(position, |slot| {
        // SAFETY: `slot` is valid for `size_of::<R>()` bytes, aligned to a word as the record follows the state word, and
        // ours to write (I1); it is shared memory, and so not where a `&R` of ours points.
        unsafe { copy_words(ptr::from_ref(record).cast(), slot, size_of::<R>()) };
    });
}

/// Copies `bytes` into the record at `position`, `offset` bytes in. The caller owns the slot (I1).
///
/// # Panics
/// If the bytes do not fit a record.
#[inline]
pub(crate) fn copy_in<R: Record>(memory: &Typed<R>, position: u64, offset: usize, bytes: &[u8]) {
    let size = size_of::<R>();
    assert!(offset <= size && bytes.len() <= size - offset, "{} bytes at {offset} of {size}", bytes.len());
    memory.write(position, |record| {
        // SAFETY: `record` is valid for `size_of::<R>()` bytes, in which `offset + bytes.len()` lies; it is shared
        // memory and so cannot overlap a `&[u8]` of ours. The slot is ours to write (I1).
        unsafe {
            let to = record.add(offset);
            if offset.is_multiple_of(WORD) {
                copy_words(bytes.as_ptr(), to, bytes.len());
            } else {
                ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            }
        }
    });
}

/// Records of up to this many bytes are copied in word by word.
const WORDWISE: usize = 128;
const WORD: usize = size_of::<u64>();

/// Copies `size` bytes to `to`: a short record, whose length the compiler knows, word by word.
///
/// What is pushed was often written a moment ago, in words, and is still on its way to the cache. A processor hands a
/// store on to a later load if that load lies inside it; a load of 16 or 32 bytes over several stores has to wait until
/// all of them are in the cache, and so is every store before them: that which freed a slot, for instance, whose line
/// is still at the other side. And a record that was popped a moment ago need not be in memory at all: its words go
/// from slot to slot through registers.
///
/// # Safety
/// `from` is valid for reading and `to` for writing `size` bytes, they do not overlap, and `to` is aligned to a word.
#[inline(always)]
unsafe fn copy_words(from: *const u8, to: *mut u8, size: usize) {
    if size > WORDWISE || !size.is_multiple_of(WORD) {
        // SAFETY: the caller's promise.
        return unsafe { ptr::copy_nonoverlapping(from, to, size) };
    }
    for at in (0..size).step_by(WORD) {
        // SAFETY: a whole word lies at `at` on both sides, as the size is a multiple of it; `to` is aligned. Volatile on
        // the shared side, so that the compiler does not put words together again.
        unsafe { to.add(at).cast::<u64>().write_volatile(from.add(at).cast::<u64>().read_unaligned()) };
    }
}

/// Copies a whole record out of what `source` points to.
///
/// `source` must be valid for `size_of::<R>()` bytes, as [`Memory::read`] has it for a ring of `R`.
#[inline]
pub(crate) fn copy_out<R: Record>(source: *const u8) -> R {
    let mut record = MaybeUninit::<R>::uninit();
    // SAFETY: valid for reading by the contract above and for writing as a local; every bit pattern is an `R`
    // (FromBytes), also one that a hostile peer changes while we copy.
    unsafe {
        ptr::copy_nonoverlapping(source, record.as_mut_ptr().cast::<u8>(), size_of::<R>());
        record.assume_init()
    }
}

/// Bytes that [`copy_out_used`] copies before it asks how many there are: what a slot has in its first cache line.
pub(crate) const PREFIX: usize = 56;

/// Copies the first bytes of a record, asks `used` how many count, and copies those; the rest of `record` keeps what
/// it had. Never more than a record, whatever `used` answers.
///
/// `source`: as for [`copy_out`].
#[inline]
pub(crate) fn copy_out_used<R: Record>(source: *const u8, record: &mut R, used: fn(&[u8]) -> usize) {
    let size = size_of::<R>();
    let bytes = record.as_mut_bytes();
    let prefix = PREFIX.min(size);
    // SAFETY: `prefix` is at most a record's size, for which `source` is valid and as long as `bytes`.
    unsafe { ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), prefix) };
    let used = used(&bytes[..prefix]).min(size);
    if used > prefix {
        // SAFETY: as above, from `prefix` to `used`, which is at most a record's size.
        unsafe {
            ptr::copy_nonoverlapping(source.add(prefix), bytes.as_mut_ptr().add(prefix), used - prefix)
        };
    }
}
