//! Processes, processors and clocks: who an owner is, whether it lives, where a thread runs, what time it is.
#![expect(unsafe_code, reason = "pidfd_open and clock_gettime go through libc")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::remembered::Remembered;

/// Bits of a pid on Linux: `PID_MAX_LIMIT` is 2^22.
const PID_BITS: u32 = 22;
const START_MASK: u64 = (1 << 41) - 1;
/// Set in an owner entry while a reaper works on it.
const REAPING: u64 = 1 << 63;

/// A process, told apart from a later one of the same pid by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    pid: u32,
    /// Clock ticks after boot, as field 22 of `/proc/<pid>/stat` has it; 0 if it could not be read.
    start: u64,
}

impl ProcessId {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        static CURRENT: Remembered = Remembered::new();
        let current = Self::from_word(CURRENT.get(|| Self::look_up_current().to_word()));
        // After a fork the child is somebody else.
        current.filter(|process| process.pid == std::process::id()).unwrap_or_else(Self::look_up_current)
    }

    fn look_up_current() -> Self {
        let pid = std::process::id();
        Self { pid, start: Stat::read(pid).map_or(0, |stat| stat.start & START_MASK) }
    }

    /// The process that has this pid now, if there is one.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Stat::read(pid).ok().map(|stat| Self { pid, start: stat.start & START_MASK })
    }

    /// The process id.
    #[must_use]
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether the process can still run: its pid exists, started when this one did, and is no zombie.
    ///
    /// Where that cannot be found out (no `/proc`, another user's process hidden) the answer is true, so that
    /// nothing is taken from the living. A pid means nothing in another pid namespace.
    #[must_use]
    pub fn is_alive(self) -> bool {
        match Stat::read(self.pid) {
            Ok(stat) => (self.start == 0 || stat.start & START_MASK == self.start) && !stat.is_over(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Either it is gone or /proc does not show it: the kernel decides.
                let exists = nix::sys::signal::kill(Pid::from_raw(self.pid as i32), None);
                exists != Err(nix::errno::Errno::ESRCH)
            }
            Err(_) => true,
        }
    }

    /// Whether the process lives and stands still: stopped by a signal (SIGSTOP, Ctrl-Z), or in a debugger's hand. False
    /// where that cannot be found out.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        Stat::read(self.pid).is_ok_and(|stat| {
            (self.start == 0 || stat.start & START_MASK == self.start) && matches!(stat.state, b'T' | b't')
        })
    }

    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.pid) | (self.start & START_MASK) << PID_BITS
    }

    /// The process in an owner or creator word; `None` for 0.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        let word = word & !REAPING;
        let pid = (word & ((1 << PID_BITS) - 1)) as u32;
        (pid != 0).then_some(Self { pid, start: word >> PID_BITS })
    }

    /// The word that this process writes into the entry of a dead owner while it frees what that one held.
    pub(crate) fn to_reaping_word(self) -> u64 {
        self.to_word() | REAPING
    }
}

/// What `/proc/<pid>/stat` says of a process.
struct Stat {
    state: u8,
    threads: u64,
    start: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let text = match fs::read(format!("/proc/{pid}/stat")) {
            // The process ended between open and read.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                return Err(io::Error::from(io::ErrorKind::NotFound));
            }
            other => other?,
        };
        Self::parse(&text).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// The command name in parentheses may hold anything: fields count from the last closing one.
    fn parse(text: &[u8]) -> Option<Self> {
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let mut fields = core::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let threads = fields.nth(16)?.parse().ok()?;
        let start = fields.nth(1)?.parse().ok()?;
        Some(Self { state, threads, start })
    }

    /// Dead, or a zombie with no other thread left (a zombie's leader may be survived by its threads).
    fn is_over(&self) -> bool {
        matches!(self.state, b'X' | b'x') || (self.state == b'Z' && self.threads <= 1)
    }
}

/// A handle on a process that says within microseconds of its end, by becoming readable for `poll`.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// Opens a handle on a process that is certain to be this one and not a later one of the same pid.
    ///
    /// # Errors
    /// `NotFound` if it has ended; otherwise what `pidfd_open` says (no such system call before Linux 5.3).
    pub fn open(process: ProcessId) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process.pid, 0) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(if error.raw_os_error() == Some(libc::ESRCH) { gone() } else { error });
        }
        // SAFETY: the system call returned a new descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        // Looked up after opening: if the start time is right now, the descriptor is of that process too.
        match Stat::read(process.pid) {
            Ok(stat) if process.start == 0 || stat.start & START_MASK == process.start => Ok(Self(fd)),
            _ => Err(gone()),
        }
    }

    /// The raw descriptor, for `epoll`.
    #[must_use]
    pub fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Whether the process has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(n) if n > 0)
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The inode that names this process's pid namespace; 0 where it cannot be read.
pub(crate) fn pid_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    static NAMESPACE: Remembered = Remembered::new();
    NAMESPACE.get(|| fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino()))
}

/// The processors that this thread may run on.
#[must_use]
pub fn cpus() -> Vec<usize> {
    match sched_getaffinity(Pid::from_raw(0)) {
        Ok(set) => (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).collect(),
        Err(_) => vec![0],
    }
}

/// Binds this thread to one processor.
///
/// # Errors
/// If there is no such processor, or this process may not use it.
pub fn pin_to(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

fn monotonic() -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a place for a timespec; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now
}

/// Nanoseconds of CLOCK_MONOTONIC: the same clock for every process of the machine.
#[inline]
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = monotonic();
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

pub(crate) fn timespec_after(timeout: Duration) -> libc::timespec {
    let now = monotonic();
    let nanos = now.tv_nsec as u64 + u64::from(timeout.subsec_nanos());
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX / 2);
    libc::timespec {
        tv_sec: now.tv_sec.saturating_add(seconds).saturating_add((nanos / 1_000_000_000) as i64),
        tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_apart_from_a_later_one_of_its_pid() {
        let me = ProcessId::current();
        assert!(me.is_alive());
        let later = ProcessId { start: me.start + 1, ..me };
        assert!(!later.is_alive());
        assert!(Pidfd::open(later).is_err());
        assert!(!Pidfd::open(me).unwrap().has_ended());
        assert_eq!(ProcessId::from_word(me.to_word()), Some(me));
        assert_eq!(ProcessId::from_word(me.to_reaping_word()), Some(me));
    }

    #[test]
    fn a_killed_child_is_dead_before_it_is_reaped() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        let handle = Pidfd::open(process).unwrap();
        assert!(process.is_alive() && !handle.has_ended());
        child.kill().unwrap();
        while !handle.has_ended() {
            std::thread::yield_now();
        }
        assert!(!process.is_alive(), "a zombie writes nothing any more");
        child.wait().unwrap();
        assert!(!process.is_alive());
    }

    #[test]
    fn a_command_name_with_parentheses_is_no_trap() {
        let mut line = b"7 (a) Z (b) S".to_vec();
        line.extend((4..=19).flat_map(|n| format!(" {n}").into_bytes()));
        line.extend(b" 3 0 4242 99");
        let stat = Stat::parse(&line).unwrap();
        assert_eq!((stat.state, stat.threads, stat.start), (b'S', 3, 4242));
    }
}
