//! The file in /dev/shm behind a ring: creation, opening, proof that its creator lives, removal.
//!
//! The creator holds an exclusive `flock` on the segment for as long as it lives. The kernel drops it when the
//! process ends, however it ends: who can take the lock has proof that the creator is gone, with no word about
//! pids, their reuse or their namespaces. Making a lock and taking it are two steps, so both sides follow the
//! usual lock-file rule: after locking, look whether the file still has its name.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag, RenameFlags, posix_fallocate, renameat2};
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::Mode;

use crate::access::{self, Belonging, Group, PRIVATE};
use crate::name::RingName;
use crate::sigbus::{Fill, Watch};

/// A mapped segment.
pub(crate) struct Mapping {
    /// Others may truncate the file. Dropped first: what is watched must be there.
    watch: Watch,
    map: MmapRaw,
    file: FileId,
    belonging: Belonging,
    /// Held by the creator for its life.
    _lock: Option<Flock<File>>,
}

/// Which file a name stood for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// Why a segment could not be created.
#[derive(Debug)]
pub(crate) enum MakeError {
    Exists,
    NoSpace,
    Share(io::Error),
    Io(io::Error),
}

impl From<Errno> for MakeError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EEXIST => Self::Exists,
            Errno::ENOSPC => Self::NoSpace,
            other => Self::Io(other.into()),
        }
    }
}

impl Mapping {
    /// Creates a segment of `size` bytes, all of them backed by memory, and locks it. The group may open it, too.
    pub(crate) fn create(name: &RingName, size: usize, group: Option<Group>) -> Result<Self, MakeError> {
        loop {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
            let file = File::from(shm_open(&*name.segment(), flags, Mode::from_bits_truncate(PRIVATE))?);
            #[cfg(feature = "faults")]
            crate::faults::pass(crate::faults::Point::Create);
            let lock = lock_new(file)?;
            // Someone looked between the two steps, found no lock and removed the file as a dead one's: start over.
            if lock.metadata().map_err(MakeError::Io)?.nlink() == 0 {
                continue;
            }
            let shared = access::share(&lock, group).map_err(MakeError::Share);
            return shared.and_then(|()| Self::fill(lock, size)).inspect_err(|_| {
                let _ = shm_unlink(&*name.segment());
            });
        }
    }

    fn fill(lock: Flock<File>, size: usize) -> Result<Self, MakeError> {
        // Not ftruncate: a page without backing on a full /dev/shm would be a SIGBUS at some later store.
        loop {
            match posix_fallocate(&*lock, 0, size as i64) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        }
        let map = MmapOptions::new().len(size).populate().map_raw(&*lock).map_err(MakeError::Io)?;
        let found = lock.metadata().map_err(MakeError::Io)?;
        Ok(Self::new(map, &found, Some(lock)))
    }

    /// Maps an existing segment whole, for reading and writing.
    pub(crate) fn open(name: &RingName) -> io::Result<Self> {
        let file = open_file(name, OFlag::O_RDWR)?;
        let map = options(&file)?.map_raw(&file)?;
        Ok(Self::new(map, &file.metadata()?, None))
    }

    /// Maps an existing segment whole, for reading only.
    pub(crate) fn open_read_only(name: &RingName) -> io::Result<Self> {
        let file = open_file(name, OFlag::O_RDONLY)?;
        let map = options(&file)?.map_raw_read_only(&file)?;
        Ok(Self::new(map, &file.metadata()?, None))
    }

    fn new(map: MmapRaw, found: &Metadata, lock: Option<Flock<File>>) -> Self {
        let (file, belonging) = (FileId::from(found), Belonging::of_file(found));
        Self { watch: Watch::new(map.as_ptr(), map.len(), Fill::Ones), map, file, belonging, _lock: lock }
    }

    /// Whose the file was when it was mapped.
    pub(crate) fn belonging(&self) -> Belonging {
        self.belonging
    }

    /// Whether the file was truncated, as far as this process has noticed by an access.
    pub(crate) fn is_truncated(&self) -> bool {
        self.watch.is_broken()
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether the name still stands for this very file. Asks for no descriptor: the answer must not be "no" where only
    /// those have run out.
    pub(crate) fn is_named(&self, name: &RingName) -> io::Result<bool> {
        match std::fs::symlink_metadata(path(name)) {
            Ok(found) => Ok(FileId::from(&found) == self.file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl FileId {
    fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }
}

impl From<&Metadata> for FileId {
    fn from(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// Locks a file just made. Whoever looks at it at this moment holds the lock only while it looks.
fn lock_new(mut file: File) -> Result<Flock<File>, MakeError> {
    for _ in 0..2000 {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) => file = back,
            Err((_, errno)) => return Err(errno.into()),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(MakeError::Io(io::Error::new(
        io::ErrorKind::TimedOut,
        "another process keeps the new segment locked",
    )))
}

/// Opens what has the name, if it is a plain file. Not blocking: it might be a pipe that somebody put there.
fn open_file(name: &RingName, access: OFlag) -> io::Result<File> {
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let fd: OwnedFd = shm_open(&*name.segment(), flags, Mode::empty())?;
    let file = File::from(fd);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no plain file"));
    }
    Ok(file)
}

/// Refuses to map an empty file: its creator is at work, or died before it gave the file a size.
fn options(file: &File) -> io::Result<MmapOptions> {
    let found = file.metadata()?;
    let len = found.len();
    if len == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Mapping it would allocate the rest, at this process's cost, for whoever can make a huge file that holds nothing.
    if found.blocks().saturating_mul(512) < len {
        let why = "not all of its pages are there: it was made without posix_fallocate, or cut and made longer again";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut options = MmapOptions::new();
    options.len(usize::try_from(len).map_err(|_| io::ErrorKind::InvalidData)?).populate();
    Ok(options)
}

/// How often a name may come or go between two steps.
const SWAPS: u32 = 1000;

/// Two files change names, in one step; if nothing is called `to`, `from` is called so.
pub(crate) fn swap(from: &str, to: &str) -> io::Result<()> {
    for _ in 0..SWAPS {
        match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_EXCHANGE) {
            // One of the two is missing.
            Err(Errno::ENOENT) => {}
            other => return Ok(other?),
        }
        match move_to(from, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(io::Error::other(format!("{to} comes and goes")))
}

/// What is called `from` is called `to`, unless something is called so.
pub(crate) fn move_to(from: &str, to: &str) -> io::Result<()> {
    Ok(renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?)
}

/// Where Linux keeps what `shm_open` opens.
pub(crate) fn path(name: &RingName) -> String {
    format!("/dev/shm{}", name.segment())
}

/// Whether anything has the segment's name.
pub(crate) fn exists(name: &RingName) -> bool {
    std::fs::symlink_metadata(path(name)).is_ok()
}

/// Removes the segment's name.
pub(crate) fn unlink(name: &RingName) -> io::Result<()> {
    Ok(shm_unlink(&*name.segment())?)
}

/// Takes a name that stands for nothing and keeps it, so that no ring can be made under it meanwhile. `None` if
/// somebody was quicker. The caller unlinks it.
pub(crate) fn hold_name(name: &RingName) -> io::Result<Option<Flock<File>>> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let file = match shm_open(&*name.segment(), flags, Mode::from_bits_truncate(PRIVATE)) {
        Err(Errno::EEXIST) => return Ok(None),
        other => File::from(other?),
    };
    match lock_new(file) {
        Ok(lock) => Ok(Some(lock)),
        Err(MakeError::Io(error) | MakeError::Share(error)) => Err(error),
        Err(MakeError::Exists | MakeError::NoSpace) => Ok(None),
    }
}

/// What the lock says of a segment's creator.
pub(crate) enum Creator {
    /// There is no segment of that name.
    NoSegment,
    /// The creator holds its lock.
    Alive,
    /// The creator is gone. While this value is kept nobody else can come to the same conclusion and act on it.
    Dead(Flock<File>),
}

/// Finds out whether a segment's creator lives.
pub(crate) fn creator(name: &RingName) -> io::Result<Creator> {
    let file = match open_file(name, OFlag::O_RDONLY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Creator::NoSegment),
        other => other?,
    };
    let id = FileId::of(&file)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => {
            // Locked a file that lost its name meanwhile: what has the name now is another question.
            let same = open_file(name, OFlag::O_RDONLY).and_then(|now| FileId::of(&now));
            match same {
                Ok(now) if now == id => Ok(Creator::Dead(lock)),
                Ok(_) => Ok(Creator::Alive),
                Err(_) => Ok(Creator::NoSegment),
            }
        }
        Err((_, Errno::EWOULDBLOCK)) => Ok(Creator::Alive),
        Err((_, errno)) => Err(errno.into()),
    }
}
