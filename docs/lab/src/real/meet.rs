//! The crates `shared_memory` and `raw_sync` as one first meets them, and what they do not do; and three locks whose
//! holder is killed.
#![expect(unsafe_code, reason = "raw_sync's locks and a robust mutex lie at raw places in shared memory")]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use halyard_ring::ProcessId;
use nix::sys::signal::{Signal, raise};
use raw_sync::Timeout;
use raw_sync::locks::{LockImpl, LockInit, Mutex};
use serde::Serialize;
use shared_memory::{Shmem, ShmemConf, ShmemError};

use super::robust::RobustMutex;
use crate::machine::Locked;

/// Bytes of the memory that parent and child share.
const SIZE: usize = 4096;
/// Where the three locks lie in it.
const ROBUST_AT: usize = 256;
const OWNER_AT: usize = 512;
/// What one waits for a lock whose holder is dead. Only the raw_sync lock uses it up.
const PATIENCE: Duration = Duration::from_millis(200);

/// One thing that was shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// What was done.
    pub what: String,
    /// What came of it.
    pub result: String,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn name(which: &str) -> String {
    format!("halyard-lab-meet-{}-{which}", std::process::id())
}

fn create(id: &str) -> Result<Shmem, ShmemError> {
    ShmemConf::new().size(SIZE).os_id(id).create()
}

/// Shows everything. `program` is the `halyard-lab` program, which plays the process that is killed.
///
/// # Errors
/// If the system refuses memory or processes.
pub fn show(program: &PathBuf) -> io::Result<Vec<Shown>> {
    let mut shown = Vec::new();
    let mut say = |what: &str, result: String| shown.push(Shown { what: what.to_owned(), result });
    first_meeting(&mut say)?;
    killed_holders(program, &mut say)?;
    Ok(shown)
}

/// Two mappings of one name; what `create` allocates; what `drop` removes.
fn first_meeting(say: &mut impl FnMut(&str, String)) -> io::Result<()> {
    let id = name("a");
    let ours = create(&id).map_err(other)?;
    let theirs = ShmemConf::new().os_id(&id).open().map_err(other)?;
    word(&ours, OWNER_AT).store(42, Ordering::SeqCst);
    let read = word(&theirs, OWNER_AT).load(Ordering::SeqCst);
    say("shared_memory: write 42 through one mapping, read it through another", format!("{read}"));

    let fresh = create(&name("b")).map_err(other)?;
    let file = fs::metadata(Path::new("/dev/shm").join(name("b")))?;
    say(
        "shared_memory: create sizes its file with ftruncate",
        format!(
            "{} bytes, {} blocks behind them: on a full /dev/shm the first store is a SIGBUS (a Halyard ring allocates \
             with posix_fallocate, and is refused in time)",
            file.len(),
            file.blocks()
        ),
    );
    drop(fresh);

    // Somebody tidies up by hand, and somebody else makes a segment of the same name.
    fs::remove_file(Path::new("/dev/shm").join(&id))?;
    let second = create(&id).map_err(other)?;
    drop(ours);
    let there = Path::new("/dev/shm").join(&id).exists();
    say(
        "shared_memory: drop the first owner after its name went to somebody else",
        format!(
            "the other's name is {} (Halyard removes a name only while it still stands for its own file)",
            if there { "still there" } else { "gone: drop removes by name" }
        ),
    );
    drop(theirs);
    drop(second);
    Ok(())
}

fn word(memory: &Shmem, offset: usize) -> &AtomicU32 {
    assert!(offset + 4 <= memory.len() && offset.is_multiple_of(4));
    // SAFETY: within the mapping and aligned, a type for which every bit pattern is valid and which others may change;
    // the mapping lives as long as the borrow.
    unsafe { &*memory.as_ptr().add(offset).cast::<AtomicU32>() }
}

fn robust(memory: &Shmem) -> RobustMutex {
    // SAFETY: within the mapping, aligned to a page and 256, and the callers below keep the memory for longer.
    unsafe { RobustMutex::at(memory.as_ptr().add(ROBUST_AT).cast()) }
}

fn raw_mutex(memory: &Shmem, fresh: bool) -> io::Result<Box<dyn LockImpl>> {
    let at = memory.as_ptr();
    // SAFETY: the memory begins on a page and is larger than the mutex, and its callers keep it for longer; its data is
    // a byte behind it that nobody uses.
    let made =
        unsafe { if fresh { Mutex::new(at, at.add(128)) } else { Mutex::from_existing(at, at.add(128)) } };
    made.map(|(mutex, _)| mutex).map_err(other)
}

/// A child takes a raw_sync mutex, a robust mutex and an owner word, and is killed.
fn killed_holders(program: &PathBuf, say: &mut impl FnMut(&str, String)) -> io::Result<()> {
    let id = name("c");
    let memory = create(&id).map_err(other)?;
    let mutex = raw_mutex(&memory, true)?;
    robust(&memory).init()?;
    let mut child = Command::new(program).arg("part").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(format!("meet {id}\n").as_bytes())?;
    }
    let ended = child.wait()?;
    say("a child takes three locks and then kill -9 ends it", format!("{ended}"));

    let raw = match mutex.try_lock(Timeout::Val(PATIENCE)) {
        Ok(_) => "taken, although nobody gave it back".to_owned(),
        Err(error) => format!("still locked ({error}); whoever waits without a limit waits for ever"),
    };
    say("raw_sync's mutex", raw);
    let first = robust(&memory).lock();
    let text = match first {
        Locked::OwnerDied => "EOWNERDEAD at once: the state must be put right, then pthread_mutex_consistent",
        Locked::Taken => "taken, and nobody was told of the death",
        Locked::Busy | Locked::Unrecoverable => "cannot be locked",
    };
    if first == Locked::OwnerDied {
        robust(&memory).consistent();
    }
    robust(&memory).unlock();
    say("a robust POSIX mutex", text.to_owned());
    let owner = word(&memory, OWNER_AT);
    let pid = owner.load(Ordering::SeqCst);
    let alive = ProcessId::of(pid).is_some_and(ProcessId::is_alive);
    let broken = !alive && owner.compare_exchange(pid, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    say(
        "a word with the owner's number in it",
        format!(
            "process {pid} is {}; {} (by pid alone this is fooled when a pid is used again: Halyard keeps the start \
             time beside it)",
            if alive { "alive" } else { "dead" },
            if broken { "one compare-and-swap takes it back" } else { "it stays" }
        ),
    );
    Ok(())
}

/// The child's part: takes the locks in the memory of that name and dies.
///
/// # Errors
/// If the memory cannot be opened.
pub fn take_and_die(id: &str) -> io::Result<()> {
    let memory = ShmemConf::new().os_id(id).open().map_err(other)?;
    let mutex = raw_mutex(&memory, false)?;
    let _guard = mutex.lock().map_err(other)?;
    let _ = robust(&memory).lock();
    word(&memory, OWNER_AT).store(std::process::id(), Ordering::SeqCst);
    raise(Signal::SIGKILL)?;
    Ok(())
}
