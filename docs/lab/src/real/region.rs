//! The shared memory of a run: words that all of its processes read and write, and room for its robust mutexes.
#![expect(unsafe_code, reason = "atomics and mutexes are placed in a raw mapping")]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU32};

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, posix_fallocate};
use nix::libc;
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::Mode;

use crate::script::Program;

/// Items of one thread that a run keeps books of.
pub(crate) const ITEMS_MAX: usize = 1024;
/// Bytes of a line: words of different processes do not share one.
const LINE: usize = 64;
/// Bytes of a fault's text.
pub(crate) const TEXT: usize = 256;

/// Where everything lies in the mapping, worked out from the program by each process for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    cells: usize,
    threads: usize,
    taken: usize,
    mutexes: usize,
    total: usize,
    counts: (usize, usize, usize),
}

impl Plan {
    pub(crate) fn new(program: &Program) -> Self {
        let (cells, threads, mutexes) = (program.cells.len(), program.threads.len(), program.mutexes.len());
        let threads_at = cells * LINE;
        let taken_at = threads_at + threads * (LINE + TEXT);
        let mutexes_at = taken_at + threads * ITEMS_MAX * 4;
        Self {
            cells: 0,
            threads: threads_at,
            taken: taken_at,
            mutexes: mutexes_at,
            total: (mutexes_at + mutexes * 2 * LINE).next_multiple_of(4096),
            counts: (cells, threads, mutexes),
        }
    }
}

/// What one process tells the others about itself.
#[repr(C)]
pub(crate) struct Status {
    /// A [`Doing`](super::world::Doing) as a number.
    pub(crate) doing: AtomicU32,
    /// Visible steps done.
    pub(crate) steps: AtomicU32,
    pub(crate) put: AtomicU32,
    pub(crate) published: AtomicU32,
    pub(crate) asleep: AtomicU32,
    pub(crate) dead: AtomicU32,
    /// Bytes of text behind.
    pub(crate) text: AtomicU32,
}

const _: () = assert!(size_of::<Status>() <= LINE && size_of::<libc::pthread_mutex_t>() <= LINE);

/// The mapping.
#[derive(Debug)]
pub(crate) struct Region {
    map: MmapRaw,
    plan: Plan,
    /// Held by the creator for its life.
    _lock: Option<Flock<File>>,
}

impl Region {
    /// Creates the file, all zero.
    pub(crate) fn create(name: &str, program: &Program) -> io::Result<Self> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = File::from(shm_open(name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
        let plan = Plan::new(program);
        // Not ftruncate: on a full /dev/shm that would be a SIGBUS at some later store.
        let made = loop {
            match posix_fallocate(&*lock, 0, plan.total as i64) {
                Err(Errno::EINTR) => {}
                other => break other,
            }
        };
        if let Err(errno) = made {
            let _ = shm_unlink(name);
            return Err(errno.into());
        }
        let map = MmapOptions::new().len(plan.total).map_raw(&*lock)?;
        Ok(Self { map, plan, _lock: Some(lock) })
    }

    /// Opens the file of a run that goes on.
    pub(crate) fn open(name: &str, program: &Program) -> io::Result<Self> {
        let file = File::from(shm_open(name, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?);
        let plan = Plan::new(program);
        if file.metadata()?.len() < plan.total as u64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the shared memory of the run is too small",
            ));
        }
        let map = MmapOptions::new().len(plan.total).map_raw(&file)?;
        Ok(Self { map, plan, _lock: None })
    }

    fn at<T>(&self, offset: usize) -> &T {
        assert!(offset + size_of::<T>() <= self.plan.total && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: within the mapping and aligned (just checked; a mapping begins on a page). Only called with types
        // that are made of atomics, for which every bit pattern is valid and which others may change at any time.
        // The mapping lives as long as `self`.
        unsafe { &*self.map.as_ptr().add(offset).cast::<T>() }
    }

    pub(crate) fn cell(&self, cell: usize) -> &AtomicI32 {
        assert!(cell < self.plan.counts.0);
        self.at(self.plan.cells + cell * LINE)
    }

    pub(crate) fn status(&self, who: usize) -> &Status {
        assert!(who < self.plan.counts.1);
        self.at(self.plan.threads + who * (LINE + TEXT))
    }

    pub(crate) fn taken(&self, thread: usize, nth: usize) -> Option<&AtomicU32> {
        (thread < self.plan.counts.1 && nth < ITEMS_MAX)
            .then(|| self.at(self.plan.taken + (thread * ITEMS_MAX + nth) * 4))
    }

    /// Who holds a mutex: a thread's number from 1, or 0.
    pub(crate) fn holder(&self, mutex: usize) -> &AtomicU32 {
        assert!(mutex < self.plan.counts.2);
        self.at(self.plan.mutexes + mutex * 2 * LINE + LINE)
    }

    /// The place of a mutex's `pthread_mutex_t`.
    pub(crate) fn mutex(&self, mutex: usize) -> *mut libc::pthread_mutex_t {
        assert!(mutex < self.plan.counts.2);
        // SAFETY: within the mapping, by the plan; a line is larger than a pthread_mutex_t and aligned for it.
        unsafe { self.map.as_mut_ptr().add(self.plan.mutexes + mutex * 2 * LINE).cast() }
    }

    /// Leaves a text for the parent. Called by its process alone.
    pub(crate) fn tell(&self, who: usize, text: &str) {
        let bytes = &text.as_bytes()[..text.len().min(TEXT)];
        for (index, byte) in bytes.iter().enumerate() {
            self.text_byte(who, index).store(*byte, std::sync::atomic::Ordering::Relaxed);
        }
        self.status(who).text.store(bytes.len() as u32, std::sync::atomic::Ordering::Release);
    }

    /// The text that a process left.
    pub(crate) fn told(&self, who: usize) -> Option<String> {
        let length = self.status(who).text.load(std::sync::atomic::Ordering::Acquire) as usize;
        let byte = |index| self.text_byte(who, index).load(std::sync::atomic::Ordering::Relaxed);
        let bytes: Vec<u8> = (0..length.min(TEXT)).map(byte).collect();
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn text_byte(&self, who: usize, index: usize) -> &std::sync::atomic::AtomicU8 {
        self.at(self.plan.threads + who * (LINE + TEXT) + LINE + index)
    }
}
