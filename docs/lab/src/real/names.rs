//! The names that a run has on the system, and how to be rid of them.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use halyard_ring::{Removal, RingName, Semaphore, remove_dead};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::mman::shm_unlink;
use serde::Serialize;

/// Every name begins so, and none of a Halyard ring does.
pub(crate) const PREFIX: &str = "halyard-lab.";

/// The names of one run.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    run: String,
}

impl Names {
    /// Names that no other run has: process and a count.
    pub(crate) fn fresh() -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let count = RUNS.fetch_add(1, Ordering::Relaxed);
        Self { run: format!("{}-{count}", std::process::id()) }
    }

    pub(crate) fn of(run: &str) -> Self {
        Self { run: run.to_owned() }
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    pub(crate) fn region(&self) -> String {
        format!("/{PREFIX}{}", self.run)
    }

    /// A semaphore of this run: `s0` the first of the script, `m0` its first mutex, and so on.
    pub(crate) fn semaphore(&self, which: &str) -> String {
        format!("/{PREFIX}{}.{which}", self.run)
    }

    /// The ring that carries the events of a traced run.
    pub(crate) fn events(&self) -> RingName {
        RingName::new(&format!("lab-{}", self.run)).expect("short, of letters, digits and -")
    }
}

/// What [`clean`] found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Leftovers {
    /// Names that it removed.
    pub removed: Vec<String>,
    /// Names of runs that still go on.
    pub in_use: Vec<String>,
}

/// Removes what runs that were killed left in /dev/shm. A run holds a lock on its region for life, which the kernel
/// releases however it ends; without that proof nothing is touched.
///
/// # Errors
/// If /dev/shm cannot be read.
pub fn clean() -> io::Result<Leftovers> {
    let mut found = Leftovers::default();
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir("/dev/shm")? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    let regions = names.iter().filter(|name| name.strip_prefix(PREFIX).is_some_and(is_run));
    for region in regions {
        if !is_abandoned(region)? {
            found.in_use.push(region.clone());
            continue;
        }
        let semaphores = format!("sem.{region}.");
        for name in names.iter().filter(|name| name.starts_with(&semaphores)) {
            if Semaphore::unlink(&format!("/{}", &name["sem.".len()..])).is_ok() {
                found.removed.push(name.clone());
            }
        }
        let events = Names::of(&region[PREFIX.len()..]).events();
        if matches!(remove_dead(&events), Ok(Removal::Removed)) {
            found.removed.push(events.as_str().to_owned());
        }
        match shm_unlink(&*format!("/{region}")) {
            Ok(()) => found.removed.push(region.clone()),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(found)
}

/// `123-4`: a process and a count.
fn is_run(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(process, count)| digits(process) && digits(count))
}

fn is_abandoned(region: &str) -> io::Result<bool> {
    let file = match File::open(Path::new("/dev/shm").join(region)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // Another user's: not ours to remove.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok())
}
