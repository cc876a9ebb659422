//! The file behind a named semaphore: `/dev/shm/sem.NAME`, as long as a `sem_t`, with one in it that processes share. That
//! is what glibc's `sem_open` makes and opens, and it may be used by one side while the other uses this.
//!
//! Not `sem_open` itself, for two reasons. It makes the file under a name of its own first (`sem.` and six random
//! characters), which stays for ever if the process is killed before the file gets the right one. Here the file has no
//! name until it is whole: a kill leaves nothing or all of it. And `sem_close` walks all semaphores that the process has
//! open to find the one that is meant, so closing ten thousand took as long as a hundred million steps do.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, posix_fallocate};
use nix::libc;
use nix::unistd::linkat;

use crate::access::{self, Group};

const FOLDER: &str = "/dev/shm";

/// Bytes of the file.
const SIZE: usize = size_of::<libc::sem_t>();

/// The file behind a named semaphore, by which its creator knows it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreFile {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for SemaphoreFile {
    fn from(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// Where a semaphore of that name lies. Leading slashes do not count, as for `sem_open`.
pub(crate) fn file_path(name: &str) -> String {
    format!("{FOLDER}/sem.{}", name.trim_start_matches('/'))
}

/// [`file_path`] of a name that a semaphore may have.
fn checked_path(name: &str) -> io::Result<String> {
    let rest = name.trim_start_matches('/');
    if rest.is_empty() || rest.contains(['/', '\0']) {
        let why = format!("{name:?} is no semaphore's name: a slash, and then no other one and no zero byte");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(file_path(name))
}

/// What has the semaphore's name now.
pub(super) fn file(name: &str) -> Option<SemaphoreFile> {
    fs::symlink_metadata(file_path(name)).ok().map(|found| SemaphoreFile::from(&found))
}

/// Removes the semaphore's name.
pub(super) fn unlink(name: &str) -> io::Result<()> {
    fs::remove_file(checked_path(name)?)
}

/// Opens the file of a semaphore for reading its word, without waiting: it might be a pipe that somebody put there.
pub(super) fn open_to_look(name: &str) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(checked_path(name)?)
}

/// Maps the file of a semaphore that exists.
pub(super) fn open(name: &str) -> io::Result<(MmapRaw, SemaphoreFile)> {
    let path = checked_path(name)?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    let wrong = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if !found.is_file() {
        return wrong("it is no plain file".to_owned());
    }
    if found.len() < SIZE as u64 {
        return wrong(format!("it has {} bytes, and a semaphore {SIZE}", found.len()));
    }
    Ok((map(&file)?, SemaphoreFile::from(&found)))
}

fn map(file: &File) -> io::Result<MmapRaw> {
    MmapOptions::new().len(SIZE).map_raw(file)
}

/// Gives a semaphore that the C library has just made to the group. In a sticky folder nobody but its user can have put
/// something else under its name.
pub(super) fn share(name: &str, group: Option<Group>) -> io::Result<()> {
    let options = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).clone();
    access::share(&options.open(checked_path(name)?)?, group)
}

/// Makes a semaphore's file, for the group if there is one, has `init` make a semaphore of its bytes, and gives it the
/// name: only then can anybody else see it. `None` if this system has no files without a name, or no way to give them one.
pub(super) fn create(
    name: &str,
    mode: u32,
    group: Option<Group>,
    init: impl FnOnce(&MmapRaw) -> io::Result<()>,
) -> io::Result<Option<(MmapRaw, SemaphoreFile)>> {
    let path = checked_path(name)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_TMPFILE).mode(mode);
    let file = match options.open(FOLDER) {
        // A file system that has none; a kernel that does not know the flag takes the folder for what is to be opened.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {
            return Ok(None);
        }
        other => other?,
    };
    // Not ftruncate: without a page behind it, on a full /dev/shm, the first access would be a SIGBUS.
    loop {
        match posix_fallocate(&file, 0, SIZE as i64) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    }
    let map = map(&file)?;
    init(&map)?;
    access::share(&file, group)?;
    #[cfg(feature = "faults")]
    crate::faults::pass(crate::faults::Point::Unnamed);
    let made = SemaphoreFile::from(&file.metadata()?);
    Ok(give_name(&file, &path)?.then_some((map, made)))
}

/// Gives an open file that has no name this one, unless something has it. False if this system gives none to such files.
fn give_name(file: &File, path: &str) -> io::Result<bool> {
    match link_from_proc(file, path) {
        Ok(()) => return Ok(true),
        Err(errno) if says_why(errno) => return Err(errno.into()),
        // There is no /proc here, or not one of Linux.
        Err(_) => {}
    }
    match link_from_descriptor(file, path) {
        Ok(()) => Ok(true),
        Err(errno) if says_why(errno) => Err(errno.into()),
        // Before Linux 6.10 that is for the superuser.
        Err(_) => Ok(false),
    }
}

/// Whether it is about the name that was to be given, so that no other way helps.
fn says_why(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EEXIST | Errno::ENOSPC | Errno::EDQUOT | Errno::ENAMETOOLONG | Errno::ENOMEM | Errno::EROFS
    )
}

fn link_from_proc(file: &File, path: &str) -> Result<(), Errno> {
    let from = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    linkat(AT_FDCWD, &from, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)
}

fn link_from_descriptor(file: &File, path: &str) -> Result<(), Errno> {
    linkat(file, "", AT_FDCWD, path, AtFlags::AT_EMPTY_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that goes with the test.
    struct Path(String);

    impl Path {
        fn new(what: &str) -> Self {
            Self(file_path(&format!("/halyard.test-{what}-{}", std::process::id())))
        }
    }

    impl Drop for Path {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn unnamed() -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(FOLDER).unwrap()
    }

    #[test]
    fn a_file_without_a_name_gets_one_that_nothing_has() {
        let (path, file) = (Path::new("linked"), unnamed());
        assert_eq!(file.metadata().unwrap().nlink(), 0);
        assert!(give_name(&file, &path.0).unwrap());
        let found = fs::metadata(&path.0).unwrap();
        assert_eq!((found.ino(), found.nlink()), (file.metadata().unwrap().ino(), 1));
        let taken = give_name(&unnamed(), &path.0).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn where_there_is_no_proc_the_descriptor_itself_is_named_or_it_is_said_that_it_cannot_be() {
        let (path, file) = (Path::new("bare"), unnamed());
        match link_from_descriptor(&file, &path.0) {
            Ok(()) => assert_eq!(fs::metadata(&path.0).unwrap().ino(), file.metadata().unwrap().ino()),
            Err(errno) => {
                assert!(!says_why(errno), "{errno}");
                assert!(fs::metadata(&path.0).is_err());
            }
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        for name in ["", "/", "//", "/a/b", "a/", "a\0b"] {
            let error = checked_path(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
        assert_eq!(checked_path("x").unwrap(), "/dev/shm/sem.x");
        assert_eq!(checked_path("//x").unwrap(), "/dev/shm/sem.x");
    }
}
