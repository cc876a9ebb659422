//! What a process uses: processor time and memory.

use std::fs;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::failure::{Failure, While as _};

/// Processor time that all threads of a process have used, those that ended included: the kernel's own clock of the
/// process, in nanoseconds, not the ticks of `/proc/PID/stat`.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Failure> {
    let id = i32::try_from(pid).doing("reading a process's clock")?;
    let clock = clock_getcpuclockid(Pid::from_raw(id)).doing("reading a process's clock")?;
    let now = clock.now().doing("reading a process's clock")?;
    Ok(Duration::from(now))
}

/// Percent of one processor that `used` is of `time`.
pub(crate) fn percent(used: Duration, time: Duration) -> f64 {
    used.as_secs_f64() / time.as_secs_f64() * 100.0
}

/// Resident memory of a process that no other shares, bytes: `RssAnon` of `/proc/PID/status`.
pub(crate) fn private_bytes(pid: u32) -> Result<f64, Failure> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).doing(format_args!("reading {path}"))?;
    anonymous(&status).ok_or_else(|| Failure::broke(format_args!("reading {path}"), "it has no RssAnon"))
}

fn anonymous(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// Bytes in use in /dev/shm, by anyone.
pub(crate) fn shm_bytes() -> Result<f64, Failure> {
    let found = statvfs("/dev/shm").doing("looking at /dev/shm")?;
    Ok((found.blocks() - found.blocks_free()) as f64 * found.fragment_size() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let own = std::process::id();
        let before = cpu(own).unwrap();
        while cpu(own).unwrap() == before {
            std::hint::black_box(shm_bytes().unwrap());
        }
        assert!(private_bytes(own).unwrap() > 0.0);
        assert!(cpu(u32::MAX).is_err());
        assert_eq!(percent(Duration::from_millis(5), Duration::from_secs(1)), 0.5);
    }

    #[test]
    fn private_memory_is_read_off_its_line() {
        assert_eq!(anonymous("VmRSS:\t 9 kB\nRssAnon:\t   12 kB\n"), Some(12288.0));
        assert_eq!(anonymous("VmRSS:\t 9 kB\n"), None);
    }
}
