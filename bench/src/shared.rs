#![expect(unsafe_code, reason = "atomics over a mapping that several processes share")]
//! Words and bare cache lines that several processes share: the raw floor, the counters that keep a replay's processes
//! in step, the journals of a storm. No ring, no names: an anonymous memory file that children open through `/proc`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::posix_fallocate;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Memory that several processes map: an anonymous file that children open through `/proc`.
#[derive(Debug)]
pub(crate) struct Shared {
    map: MmapRaw,
    file: File,
}

impl Shared {
    /// New memory, all bytes 0, at a page boundary, with pages behind all of it.
    pub(crate) fn create(bytes: usize) -> io::Result<Self> {
        let file = memory_file()?;
        // Not set_len: a page that cannot be had is an error here instead of a SIGBUS later.
        posix_fallocate(&file, 0, i64::try_from(bytes).map_err(io::Error::other)?)?;
        Self::map(file, bytes, true)
    }

    /// The same with pages only where they are used.
    fn create_sparse(bytes: usize) -> io::Result<Self> {
        let file = memory_file()?;
        file.set_len(bytes as u64)?;
        Self::map(file, bytes, false)
    }

    /// Where another process finds it while this one lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// The memory that another process created.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Self::map(file, bytes, false)
    }

    fn map(file: File, bytes: usize, populate: bool) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.len(bytes);
        if populate {
            options.populate();
        }
        Ok(Self { map: options.map_raw(&file)?, file })
    }

    /// Where it begins in this process.
    pub(crate) fn start(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

/// A number of words that start at 0.
///
/// The mapping is `8 * count` bytes long (I1), lies at a page boundary (I2), and nobody accesses it but through
/// [`Words::word`] (I3).
#[derive(Debug)]
pub(crate) struct Words {
    shared: Shared,
    count: usize,
}

impl Words {
    /// New words, all 0, with memory behind each of them.
    pub(crate) fn create(count: usize) -> io::Result<Self> {
        Ok(Self { shared: Shared::create(count * size_of::<u64>())?, count })
    }

    /// New words, all 0, that take memory only where they are used: for many of which few will be. On a machine that
    /// runs out of memory whoever uses the next one is killed.
    pub(crate) fn create_sparse(count: usize) -> io::Result<Self> {
        Ok(Self { shared: Shared::create_sparse(count * size_of::<u64>())?, count })
    }

    /// Where another process finds them while this one lives.
    pub(crate) fn path(&self) -> String {
        self.shared.path()
    }

    /// The words that another process created.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let shared = Shared::open(path)?;
        let count = shared.len() / size_of::<u64>();
        Ok(Self { shared, count })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The word `index`.
    ///
    /// # Panics
    /// If there is no such word.
    #[inline]
    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.count, "word {index} of {}", self.count);
        // SAFETY: inside the mapping (I1 and the check above), aligned to 8 bytes (I2), alive as long as `self`;
        // every access of every process is atomic (I3), and all bits are a valid word.
        unsafe { AtomicU64::from_ptr(self.shared.start().cast::<u64>().add(index)) }
    }
}

fn memory_file() -> io::Result<File> {
    Ok(File::from(memfd_create("halyard-bench", MFdFlags::MFD_CLOEXEC)?))
}

/// Words from one line to the next: two cache lines, since processors fetch them in pairs.
const STRIDE: usize = 128 / size_of::<u64>();

/// A number of cache lines, each holding one counter that starts at 0.
#[derive(Debug)]
pub(crate) struct Lines(Words);

impl Lines {
    /// New lines, all 0.
    pub(crate) fn create(count: usize) -> io::Result<Self> {
        Words::create(count * STRIDE).map(Self)
    }

    /// Where another process finds them while this one lives.
    pub(crate) fn path(&self) -> String {
        self.0.path()
    }

    /// The lines that another process created.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Words::open(path).map(Self)
    }

    /// The counter in line `index`.
    ///
    /// # Panics
    /// If there is no such line.
    #[inline]
    pub(crate) fn line(&self, index: usize) -> &AtomicU64 {
        self.0.word(index * STRIDE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn what_one_mapping_stores_the_other_reads() {
        let ours = Lines::create(3).unwrap();
        let theirs = Lines::open(Path::new(&ours.path())).unwrap();
        ours.line(2).store(7, Ordering::Release);
        assert_eq!(theirs.line(2).load(Ordering::Acquire), 7);
        assert_eq!(theirs.line(1).load(Ordering::Acquire), 0);
    }

    #[test]
    #[should_panic(expected = "word 48 of 48")]
    fn there_is_no_line_beyond_the_last() {
        Lines::create(3).unwrap().line(3);
    }

    #[test]
    fn words_without_memory_behind_them_can_be_used_all_the_same() {
        let ours = Words::create_sparse(1 << 20).unwrap();
        let theirs = Words::open(Path::new(&ours.path())).unwrap();
        ours.word((1 << 20) - 1).store(7, Ordering::Release);
        assert_eq!((theirs.word((1 << 20) - 1).load(Ordering::Acquire), theirs.count()), (7, 1 << 20));
    }
}
