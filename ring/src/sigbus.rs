//! What keeps a truncated file from killing this process.
//!
//! Who may write a file may shorten it, and an access to a page that the file no longer has is a SIGBUS, whose default
//! action is death. So one handler for the whole process knows every mapping that this crate made. When one of them
//! breaks, it puts fresh pages in the place of all of it, marks it broken, and lets the access happen again. What was
//! in the ring is gone; the ring sees that at its next look and says so (`Truncated`).
//!
//! - Rings get pages full of ones: a slot's word then is VOID of an owner that cannot be, and `closed` is set, so
//!   every path of the algorithm runs into what it refuses anyway, and no fast path pays for a check.
//! - Semaphores get pages full of zeros: no tokens, so that whoever sleeps there sleeps out its bounded time.
//!
//! Everything else that raises SIGBUS goes to the handler that was there before, and ends the process as it should.
//!
//! The handler only reads atomics and makes system calls. Entries are never freed, only used again; a version number
//! tells one that changes while the handler reads it, which cannot be the one that broke, since somebody is using that.
#![expect(unsafe_code, reason = "a signal handler, and pages put in the place of broken ones")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use nix::libc;

use crate::guards::{self, Guard};

/// What a broken mapping is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fill {
    Zeros = 0x00,
    Ones = 0xff,
}

/// The file is as long as it was, as far as this process has noticed.
const WHOLE: u8 = 0;
/// A thread is putting fresh pages there; others try their access again.
const MENDING: u8 = 1;
/// Fresh pages are there.
const BROKEN: u8 = 2;
/// The system had no fresh pages to give.
const LOST: u8 = 3;

/// One mapping that may break.
struct Entry {
    /// Odd while the entry changes.
    version: AtomicU32,
    start: AtomicUsize,
    /// 0 while the entry is not in use.
    len: AtomicUsize,
    fill: AtomicU8,
    state: AtomicU8,
}

impl Entry {
    const fn new() -> Self {
        Self {
            version: AtomicU32::new(0),
            start: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            fill: AtomicU8::new(0),
            state: AtomicU8::new(WHOLE),
        }
    }

    /// Only whoever took the entry off the list of free ones, or gives it back, calls this.
    fn set(&self, start: usize, len: usize, fill: Fill) {
        self.version.fetch_add(1, Ordering::AcqRel);
        self.start.store(start, Ordering::Release);
        self.len.store(len, Ordering::Release);
        self.fill.store(fill as u8, Ordering::Release);
        self.state.store(WHOLE, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Start and length, if the address lies in this mapping.
    fn covers(&self, address: usize) -> Option<(usize, usize)> {
        let version = self.version.load(Ordering::Acquire);
        let (start, len) = (self.start.load(Ordering::Acquire), self.len.load(Ordering::Acquire));
        let steady = version & 1 == 0 && self.version.load(Ordering::Acquire) == version;
        (steady && address.wrapping_sub(start) < len).then_some((start, len))
    }
}

const CHUNK: usize = 128;

struct Chunk {
    entries: [Entry; CHUNK],
    next: AtomicPtr<Chunk>,
}

impl Chunk {
    const fn new() -> Self {
        Self { entries: [const { Entry::new() }; CHUNK], next: AtomicPtr::new(ptr::null_mut()) }
    }
}

/// All entries, for the handler. Chunks are never freed.
static CHUNKS: AtomicPtr<Chunk> = AtomicPtr::new(ptr::null_mut());

/// Entries not in use. The handler does not look here.
static FREE: Mutex<Vec<&'static Entry>> = Mutex::new(Vec::new());

/// What SIGBUS did before.
static FORMER: OnceLock<libc::sigaction> = OnceLock::new();

/// A mapping under watch, until this is dropped. That must happen before the mapping is unmapped.
pub(crate) struct Watch(&'static Entry);

impl Watch {
    /// Watches the pages of `len` bytes at `start`. The mapping is this process's alone to unmap, and is not yet
    /// accessed.
    pub(crate) fn new(start: *const u8, len: usize, fill: Fill) -> Self {
        install();
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.is_empty() {
            let chunk: &'static mut Chunk = Box::leak(Box::new(Chunk::new()));
            chunk.next = AtomicPtr::new(CHUNKS.load(Ordering::Relaxed));
            let chunk: &'static Chunk = chunk;
            free.extend(chunk.entries.iter());
            // Release: the handler sees the chunk whole. Under the lock there is no other writer.
            CHUNKS.store(ptr::from_ref(chunk).cast_mut(), Ordering::Release);
        }
        let entry = free.pop().expect("a chunk was just added");
        drop(free);
        let page = page_size();
        let begin = start.addr() / page * page;
        entry.set(begin, (start.addr() + len).next_multiple_of(page) - begin, fill);
        Self(entry)
    }

    /// Whether the mapping broke: its pages are this process's own now, and what they held is gone.
    pub(crate) fn is_broken(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) != WHOLE
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.set(0, 0, Fill::Zeros);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

impl core::fmt::Debug for Watch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Watch").field("broken", &self.is_broken()).finish()
    }
}

fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: no memory is passed.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
    })
}

/// Puts the handler in place, once for the process.
fn install() {
    static ONCE: Once = Once::new();
    if !guards::is_in(Guard::Sigbus) {
        return;
    }
    ONCE.call_once(|| {
        // SAFETY: an all-zero sigaction is a valid one (the default action, no flags, an empty mask).
        let mut former: libc::sigaction = unsafe { core::mem::zeroed() };
        // SAFETY: `former` is a place for a sigaction; nothing is changed.
        if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &mut former) } != 0 {
            return;
        }
        // Known before the handler can run.
        let _ = FORMER.set(former);
        // SAFETY: as above.
        let mut ours: libc::sigaction = unsafe { core::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
        ours.sa_sigaction = handler as *const () as libc::sighandler_t;
        // On the alternative stack, where there is one: the handler that was there may need it.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: `ours` has a handler of the form that SA_SIGINFO asks for, and the handler does nothing that a
        // signal handler must not do.
        unsafe { libc::sigaction(libc::SIGBUS, &ours, ptr::null_mut()) };
    });
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the location of this thread's errno, which the interrupted code may be about to read.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let kept = unsafe { *errno };
    // SAFETY: with SA_SIGINFO the kernel hands over a valid siginfo_t.
    let code = unsafe { (*info).si_code };
    // SAFETY: as above; SIGBUS with this code has an address.
    let mended = code == libc::BUS_ADRERR && mend(unsafe { (*info).si_addr() }.addr());
    if !mended {
        pass_on(signal, code, info, context);
    }
    // SAFETY: as above.
    unsafe { *errno = kept };
}

/// Puts fresh pages in the place of the mapping at this address. True if the access is worth another try.
fn mend(address: usize) -> bool {
    let mut mended = None;
    let mut chunk = CHUNKS.load(Ordering::Acquire);
    // SAFETY: the pointer is null or a chunk that is never freed.
    while let Some(entries) = unsafe { chunk.as_ref() } {
        for entry in &entries.entries {
            let Some((start, len)) = entry.covers(address) else { continue };
            if mended.is_some() {
                // The same mapping under watch twice: a semaphore that was opened twice.
                entry.state.store(BROKEN, Ordering::Relaxed);
                continue;
            }
            let state = &entry.state;
            match state.compare_exchange(WHOLE, MENDING, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    let done = replace(start, len, entry.fill.load(Ordering::Acquire));
                    state.store(if done { BROKEN } else { LOST }, Ordering::Release);
                    mended = Some(done);
                }
                // Another thread is at it, or was done between this thread's access and here.
                Err(MENDING | BROKEN) => return true,
                Err(_) => return false,
            }
        }
        chunk = entries.next.load(Ordering::Acquire);
    }
    mended.unwrap_or(false)
}

/// Replaces `len` bytes of mapping at `start`, all at once: no thread sees pages that are not filled yet.
fn replace(start: usize, len: usize, fill: u8) -> bool {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
    let fresh = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if fresh == libc::MAP_FAILED {
        return false;
    }
    if fill != 0 {
        // SAFETY: `fresh` is `len` bytes that nobody else knows.
        unsafe { ptr::write_bytes(fresh.cast::<u8>(), fill, len) };
    }
    let place = ptr::without_provenance_mut::<libc::c_void>(start);
    // SAFETY: `start` and `len` are those of a mapping that this crate made and that is not unmapped yet, since a
    // thread has just accessed it. All access to it is atomic or a raw copy, so its bytes may change at any time.
    let moved = unsafe { libc::mremap(fresh, len, len, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, place) };
    moved == place
}

/// Does what would have been done without this handler.
fn pass_on(signal: libc::c_int, code: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let former = FORMER.get();
    let action = former.map_or(libc::SIG_DFL, |former| former.sa_sigaction);
    let was_sent = code <= 0;
    match action {
        libc::SIG_IGN if was_sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: an all-zero sigaction is the default action.
            let default: libc::sigaction = unsafe { core::mem::zeroed() };
            // SAFETY: `default` is valid. The access that failed fails again, and then ends the process.
            unsafe { libc::sigaction(signal, &default, ptr::null_mut()) };
            if was_sent {
                // SAFETY: no memory is passed. It is delivered when this handler returns.
                unsafe { libc::raise(signal) };
            }
        }
        handler if former.is_some_and(|former| former.sa_flags & libc::SA_SIGINFO != 0) => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the action was neither default nor ignore and was installed with SA_SIGINFO, so it is a function
            // of this type; it is called as the kernel would have called it.
            let handler = unsafe { core::mem::transmute::<libc::sighandler_t, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            type Handler = extern "C" fn(libc::c_int);
            // SAFETY: as above, without SA_SIGINFO.
            let handler = unsafe { core::mem::transmute::<libc::sighandler_t, Handler>(handler) };
            handler(signal);
        }
    }
}
