//! A segment by hand: system calls, and atomics at the offsets that the page's tables give. Nothing of Halyard's
//! code.

use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

use nix::libc;

use super::page::{Field, Page};

unsafe extern "C" {
    // In glibc since 2.30; the libc crate does not declare it for every target.
    fn sem_clockwait(
        sem: *mut libc::sem_t,
        clock: libc::clockid_t,
        until: *const libc::timespec,
    ) -> libc::c_int;
}

/// The two semaphores of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bed {
    Ready,
    Space,
}

/// A mapped segment with its semaphores.
pub(crate) struct Segment<'p> {
    pub(crate) page: &'p Page,
    pub(crate) name: String,
    /// Whether the names are ours to remove.
    is_ours: bool,
    base: *mut u8,
    len: usize,
    fd: libc::c_int,
    ready: *mut libc::sem_t,
    space: *mut libc::sem_t,
    /// Private copies of what the header says.
    pub(crate) capacity: u64,
    pub(crate) record: usize,
    pub(crate) owners: u64,
    pub(crate) single: bool,
    stride: usize,
    slots_offset: usize,
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The system names of a ring: segment, `ready`, `space` (section 2).
fn system_names(name: &str) -> [CString; 3] {
    ["", ".ready", ".space"]
        .map(|end| CString::new(format!("/halyard.{name}{end}")).expect("no zero byte in a name"))
}

/// This process's identity word.
pub(crate) fn identity(page: &Page) -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc is there");
    let after = stat.rsplit_once(')').expect("the end of the command name").1;
    // The first field behind the name is number 3.
    let start: u64 = after.split_ascii_whitespace().nth(22 - 3).expect("field 22").parse().expect("a number");
    page.bits("Identity word", "pid").with(u64::from(std::process::id()))
        | page.bits("Identity word", "start").with(start)
}

/// The number of this process's pid namespace.
pub(crate) fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").expect("/proc is there").ino()
}

/// CLOCK_MONOTONIC.
pub(crate) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a place for a timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Stride and offset of the slots (section 3.1).
fn shape(page: &Page, record: usize, owners: u64) -> (usize, usize) {
    let fixed = |name| page.value("Fixed numbers", name) as usize;
    let table = fixed("OWNERS_OFFSET") + fixed("OWNER_SIZE") * (owners as usize + 1);
    ((fixed("SLOT_HEAD") + record).next_multiple_of(64), table.next_multiple_of(4096))
}

fn map(fd: libc::c_int, len: usize) -> io::Result<*mut u8> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of a file, at an address of the system's choice.
    let base = unsafe { libc::mmap(ptr::null_mut(), len, access, libc::MAP_SHARED, fd, 0) };
    if base == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(base.cast()) }
}

fn semaphore(name: &CString, flags: libc::c_int) -> io::Result<*mut libc::sem_t> {
    // SAFETY: a C string; permissions and value are read where the flags ask for creation.
    let raw = unsafe { libc::sem_open(name.as_ptr(), flags, 0o600, 0) };
    if raw == libc::SEM_FAILED { Err(io::Error::last_os_error()) } else { Ok(raw) }
}

impl<'p> Segment<'p> {
    /// Makes an SPSC ring for chat records (section 3.3).
    pub(crate) fn create(page: &'p Page, name: &str, capacity: u32) -> io::Result<Self> {
        let fixed = |name| page.value("Fixed numbers", name);
        let record = fixed("CHAT_RECORD") as usize;
        let (stride, slots_offset) = shape(page, record, 1);
        let len = slots_offset + stride * capacity as usize;
        let names = system_names(name);
        let new = libc::O_CREAT | libc::O_EXCL;
        // SAFETY: a C string.
        let fd = check(unsafe { libc::shm_open(names[0].as_ptr(), new | libc::O_RDWR, 0o600) })?;
        // SAFETY: no memory is passed. The lock lasts until `drop` closes the descriptor.
        check(unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) })?;
        // SAFETY: no memory is passed.
        let refused = unsafe { libc::posix_fallocate(fd, 0, len as libc::off_t) };
        if refused != 0 {
            return Err(io::Error::from_raw_os_error(refused));
        }
        let capacity = u64::from(capacity);
        let segment = Self {
            page,
            name: name.to_owned(),
            is_ours: true,
            base: map(fd, len)?,
            len,
            fd,
            ready: semaphore(&names[1], new)?,
            space: semaphore(&names[2], new)?,
            capacity,
            record,
            owners: 1,
            single: true,
            stride,
            slots_offset,
        };
        let (free, sequence) = (page.value("Phases", "FREE"), page.bits("State word", "sequence"));
        for position in 0..capacity {
            segment.slot(position).store(sequence.with(position) | free, Ordering::Relaxed);
        }
        let settings = [
            ("magic", u64::from_ne_bytes(*b"HALYARD\0")),
            ("layout_version", fixed("LAYOUT_VERSION")),
            ("kind", fixed("SPSC")),
            ("mode", fixed("DOORBELL")),
            ("capacity", capacity),
            ("record_size", record as u64),
            ("stride", stride as u64),
            ("owners", 1),
            ("schema", fixed("CHAT_SCHEMA")),
            ("epoch", now_ns()),
            ("creator", identity(page)),
            ("created_unix_ns", 1),
            ("total_size", len as u64),
            ("grace_ns", 5_000_000),
            ("slots_offset", slots_offset as u64),
            ("pid_namespace", pid_namespace()),
            // Of the two ways of fencing, the one without `membarrier`; the engine's rings have the other.
            ("asymmetric", 0),
        ];
        for (field, value) in settings {
            segment.set(field, value);
        }
        segment.word32("status").store(fixed("STATUS_READY") as u32, Ordering::Release);
        Ok(segment)
    }

    /// Opens a ring (section 3.4). `WouldBlock` while it is not ready.
    ///
    /// # Panics
    /// If the header is not what the page says.
    pub(crate) fn open(page: &'p Page, name: &str) -> io::Result<Self> {
        let fixed = |name| page.value("Fixed numbers", name);
        let names = system_names(name);
        // SAFETY: a C string.
        let fd = check(unsafe { libc::shm_open(names[0].as_ptr(), libc::O_RDWR, 0) })?;
        // SAFETY: no memory is passed; the end of the file is its size.
        let len = unsafe { libc::lseek(fd, 0, libc::SEEK_END) } as usize;
        if len < fixed("OWNERS_OFFSET") as usize {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut segment = Self {
            page,
            name: name.to_owned(),
            is_ours: false,
            base: map(fd, len)?,
            len,
            fd,
            ready: ptr::null_mut(),
            space: ptr::null_mut(),
            capacity: 0,
            record: 0,
            owners: 0,
            single: false,
            stride: 0,
            slots_offset: 0,
        };
        if segment.get("status") != fixed("STATUS_READY") {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        segment.ready = semaphore(&names[1], 0)?;
        segment.space = semaphore(&names[2], 0)?;
        segment.capacity = segment.get("capacity");
        segment.record = segment.get("record_size") as usize;
        segment.owners = segment.get("owners");
        segment.single = segment.get("kind") == fixed("SPSC");
        (segment.stride, segment.slots_offset) = shape(page, segment.record, segment.owners);
        let expected = [
            ("magic", u64::from_ne_bytes(*b"HALYARD\0")),
            ("layout_version", fixed("LAYOUT_VERSION")),
            ("mode", fixed("DOORBELL")),
            ("stride", segment.stride as u64),
            ("slots_offset", segment.slots_offset as u64),
            ("total_size", segment.slots_offset as u64 + segment.stride as u64 * segment.capacity),
            ("total_size", len as u64),
            ("pid_namespace", pid_namespace()),
        ];
        for (field, value) in expected {
            assert_eq!(segment.get(field), value, "{field} of {name}");
        }
        Ok(segment)
    }

    /// Removes the names, the segment's last (section 3.5).
    fn remove(&self) {
        let [segment, ready, space] = system_names(&self.name);
        // SAFETY: C strings.
        unsafe {
            libc::sem_unlink(ready.as_ptr());
            libc::sem_unlink(space.as_ptr());
            libc::shm_unlink(segment.as_ptr());
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word32("reader.closed").load(Ordering::Acquire) != 0
    }

    /// Stamps the heartbeat of the ring's creator.
    pub(crate) fn beat(&self) {
        self.word64("creator_beat").store(now_ns(), Ordering::Release);
    }

    /// Between the announcement of a sleep and the second look (section 4.6).
    pub(crate) fn sleep_fence(&self) {
        fence(Ordering::SeqCst);
        if self.get("asymmetric") != 0 {
            let command = self.page.value("Fixed numbers", "MEMBARRIER_GLOBAL_EXPEDITED");
            // SAFETY: no memory is passed.
            let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
            assert_eq!(result, 0, "the kernel could do it when the ring was made");
        }
    }

    fn semaphore(&self, bed: Bed) -> *mut libc::sem_t {
        if bed == Bed::Ready { self.ready } else { self.space }
    }

    pub(crate) fn post(&self, bed: Bed) {
        // SAFETY: open until `drop`.
        unsafe { libc::sem_post(self.semaphore(bed)) };
    }

    /// Sleeps until a token comes; false after `limit`.
    pub(crate) fn sleep(&self, bed: Bed, limit: Duration) -> bool {
        let until = now_ns() + limit.as_nanos() as u64;
        let until = libc::timespec {
            tv_sec: (until / 1_000_000_000) as libc::time_t,
            tv_nsec: (until % 1_000_000_000) as libc::c_long,
        };
        loop {
            // SAFETY: an open semaphore and a valid time.
            if unsafe { sem_clockwait(self.semaphore(bed), libc::CLOCK_MONOTONIC, &until) } == 0 {
                return true;
            }
            if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                return false;
            }
        }
    }

    /// Writes the first bytes of the record at `position`, whose slot is the caller's.
    pub(crate) fn write(&self, position: u64, record: &[u8]) {
        assert!(record.len() <= self.record);
        // SAFETY: a slot has room for a record behind its state word, and nobody else uses it now.
        unsafe { ptr::copy_nonoverlapping(record.as_ptr(), self.record_at(position), record.len()) };
    }

    /// Copies the record at `position`, whose slot is READY.
    pub(crate) fn read(&self, position: u64) -> Vec<u8> {
        let mut record = vec![0; self.record];
        // SAFETY: a slot has room for a record behind its state word, and nobody writes it while it is READY.
        unsafe { ptr::copy_nonoverlapping(self.record_at(position), record.as_mut_ptr(), record.len()) };
        record
    }

    fn record_at(&self, position: u64) -> *mut u8 {
        let head = self.page.value("Fixed numbers", "SLOT_HEAD") as usize;
        self.base.wrapping_add(self.slot_offset(position) + head)
    }

    fn slot_offset(&self, position: u64) -> usize {
        self.slots_offset + (position % self.capacity) as usize * self.stride
    }

    /// The state word of the slot of `position`.
    pub(crate) fn slot(&self, position: u64) -> &AtomicU64 {
        self.at(self.slot_offset(position))
    }

    /// A word of the owner table.
    pub(crate) fn entry(&self, number: u64, field: &str) -> &AtomicU64 {
        let fixed = |name| self.page.value("Fixed numbers", name) as usize;
        let field = self.page.field("Owner entry", field);
        assert_eq!(field.size, 8);
        self.at(fixed("OWNERS_OFFSET") + fixed("OWNER_SIZE") * number as usize + field.offset)
    }

    fn header(&self, name: &str, size: usize) -> usize {
        let Field { offset, size: found } = self.page.field("Header", name);
        assert_eq!(found, size, "size of {name}");
        offset
    }

    pub(crate) fn word64(&self, name: &str) -> &AtomicU64 {
        self.at(self.header(name, 8))
    }

    pub(crate) fn word32(&self, name: &str) -> &AtomicU32 {
        self.at(self.header(name, 4))
    }

    /// Reads a header field of either size.
    pub(crate) fn get(&self, name: &str) -> u64 {
        match self.page.field("Header", name).size {
            4 => u64::from(self.word32(name).load(Ordering::Acquire)),
            _ => self.word64(name).load(Ordering::Acquire),
        }
    }

    fn set(&self, name: &str, value: u64) {
        match self.page.field("Header", name).size {
            4 => self.word32(name).store(value as u32, Ordering::Relaxed),
            _ => self.word64(name).store(value, Ordering::Relaxed),
        }
    }

    fn at<T>(&self, offset: usize) -> &T {
        assert!(offset + size_of::<T>() <= self.len && offset.is_multiple_of(align_of::<T>()));
        // SAFETY: `T` is AtomicU32 or AtomicU64, for which any bytes do; it lies inside the mapping and is aligned, as
        // asserted.
        unsafe { &*self.base.add(offset).cast::<T>() }
    }
}

impl Drop for Segment<'_> {
    fn drop(&mut self) {
        if self.is_ours {
            self.remove();
        }
        // SAFETY: what `create` or `open` made, and nobody uses it any more.
        unsafe {
            for semaphore in [self.ready, self.space] {
                if !semaphore.is_null() {
                    libc::sem_close(semaphore);
                }
            }
            libc::munmap(self.base.cast(), self.len);
            libc::close(self.fd);
        }
    }
}
