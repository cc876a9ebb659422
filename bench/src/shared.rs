#![expect(unsafe_code, reason = "atomics over a mapping that several processes share")]
//! Bare cache lines that several processes share: the raw floor, and the counters that keep a replay's processes in
//! step. No ring, no names: an anonymous memory file that children open through `/proc`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::posix_fallocate;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Bytes from one line to the next: two cache lines, since processors fetch them in pairs.
const STRIDE: usize = 128;

/// A number of cache lines, each holding one counter that starts at 0.
///
/// The mapping is `STRIDE * count` bytes long (I1), lies at a page boundary (I2), and nobody accesses it but through
/// [`Lines::line`] (I3).
#[derive(Debug)]
pub(crate) struct Lines {
    map: MmapRaw,
    file: File,
    count: usize,
}

impl Lines {
    /// New lines, all 0.
    pub(crate) fn create(count: usize) -> io::Result<Self> {
        let file = File::from(memfd_create("halyard-bench", MFdFlags::MFD_CLOEXEC)?);
        let bytes = i64::try_from(count * STRIDE).map_err(io::Error::other)?;
        // Not set_len: a page that cannot be had is an error here instead of a SIGBUS later.
        posix_fallocate(&file, 0, bytes)?;
        Self::map(file, count)
    }

    /// Where another process finds them while this one lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// The lines that another process created.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let bytes = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Self::map(file, bytes / STRIDE)
    }

    fn map(file: File, count: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(count * STRIDE).populate().map_raw(&file)?;
        Ok(Self { map, file, count })
    }

    /// The counter in line `index`.
    ///
    /// # Panics
    /// If there is no such line.
    #[inline]
    pub(crate) fn line(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.count, "line {index} of {}", self.count);
        // SAFETY: inside the mapping (I1 and the check above), aligned to 128 bytes (I2), alive as long as `self`;
        // every access of every process is atomic (I3), and all bits are a valid counter.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(index * STRIDE).cast()) }
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
    #[should_panic(expected = "line 3 of 3")]
    fn there_is_no_line_beyond_the_last() {
        Lines::create(3).unwrap().line(3);
    }
}
