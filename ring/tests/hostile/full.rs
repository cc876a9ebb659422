//! A /dev/shm that is full: whatever does not fit is refused in words, and nothing is left of it.
//!
//! And what is left of a ring whose creator is killed while it makes it.
//!
//! The tests give a child a /dev/shm of its own, a few pages large, in a mount namespace of its own.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

use halyard_ring::{CreateError, Removal, Ring, RingName, RingOptions, Semaphore, remove_dead};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, gettid};

use crate::child::{Child, hear, say};

const PAGE: usize = 4096;

/// In the child: fills a small /dev/shm page by page from either end and creates rings all the while.
pub(crate) fn play(words: &[String]) {
    let pages: usize = words[0].parse().unwrap();
    let free = || {
        let found = nix::sys::statvfs::statvfs("/dev/shm").unwrap();
        found.blocks_free() as usize
    };
    assert_eq!(free(), pages, "this is no /dev/shm of our own");
    // Header and owners, 64 slots of 64 bytes, and a page for each semaphore.
    let need = 2 + 1 + 2;
    let options = RingOptions::mpsc(64);
    let name = RingName::new("full").unwrap();
    let ballast = "/dev/shm/ballast";
    let mut made = 0;
    for left in 0..=need + 1 {
        let mut file = File::create(ballast).unwrap();
        file.write_all(&vec![1; (pages - left) * PAGE]).unwrap();
        assert_eq!(free(), left);
        match Ring::<u64>::create(&name, &options) {
            Ok(ring) => {
                // Every page is there: no later access can fail.
                let mut producer = ring.producer().unwrap();
                let mut consumer = ring.consumer().unwrap();
                for number in 0..1000 {
                    producer.try_push(number).unwrap();
                    assert_eq!(consumer.try_pop(), Ok(number));
                }
                ring.unlink().unwrap();
                assert!(!ring.is_truncated());
                made += 1;
            }
            Err(error @ CreateError::NoSpace { .. }) => {
                assert!(left < need, "refused with {left} pages free");
                assert!(error.to_string().contains("make the file system larger"), "{error}");
            }
            Err(other) => panic!("with {left} pages free: {other}"),
        }
        let names: Vec<_> =
            fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["ballast"], "with {left} pages free something is left behind");
        fs::remove_file(ballast).unwrap();
        drop(file);
        assert_eq!(free(), pages, "with {left} pages free");
    }
    assert_eq!(made, 2, "with {need} pages or more there is room");
    // A semaphore alone.
    let mut file = File::create(ballast).unwrap();
    file.write_all(&vec![1; pages * PAGE]).unwrap();
    let error = Semaphore::create("/full-alone", 0o600, 0).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    say("as promised");
    hear();
}

#[test]
fn on_a_full_dev_shm_creating_fails_in_words_and_leaves_nothing() {
    alone("full");
}

#[test]
fn a_creator_that_is_killed_at_any_system_call_leaves_no_name_but_the_ring_s_own() {
    alone("sweep");
}

/// Has a child play a role with a /dev/shm of its own.
fn alone(role: &str) {
    let pages = 32;
    if !has_own_shm(pages) {
        println!("skipped: this user may not mount a file system in a namespace of its own");
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child_entry", "--exact", "--nocapture"])
        .env("HALYARD_TEST_ROLE", format!("{role} {pages}"));
    with_own_shm(&mut command, pages);
    let output = command.output().unwrap();
    let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("@as promised"), "{said}{why}");
}

/// In the child: has one process after the other create a ring, and kills each one system call later than the last.
pub(crate) fn sweep() {
    let own = ["halyard.swept", "sem.halyard.swept.ready", "sem.halyard.swept.space"];
    let name = RingName::new("swept").unwrap();
    for calls in 0.. {
        assert!(calls < 500, "it never ends");
        let mut victim = Child::start("swept", &[]);
        let tid = Pid::from_raw(victim.hear().parse().unwrap());
        match ptrace::attach(tid) {
            Err(Errno::EPERM) => {
                eprintln!("not tested: this system forbids to trace one's own child");
                break;
            }
            attached => attached.unwrap(),
        }
        let wait = || waitpid(tid, Some(WaitPidFlag::__WALL)).unwrap();
        wait();
        victim.tell("go");
        // From the victim's own stop on; before, it only hears that it may go on.
        while !matches!(wait_after(|| ptrace::cont(tid, None), wait), WaitStatus::Stopped(_, Signal::SIGSTOP))
        {
        }
        let reached = (0..calls).all(|_| {
            let status = wait_after(|| ptrace::syscall(tid, None), wait);
            matches!(status, WaitStatus::Stopped(_, Signal::SIGTRAP))
        });
        ptrace::kill(tid).unwrap();
        if tid.as_raw() as u32 != victim.pid() {
            wait();
        }
        victim.kill();
        let left = names();
        assert!(left.iter().all(|file| own.contains(&file.as_str())), "after {calls} stops: {left:?}");
        let removed = remove_dead(&name).unwrap();
        assert_eq!(removed == Removal::Removed, !left.is_empty(), "after {calls} stops: {left:?}");
        assert!(names().is_empty(), "after {calls} stops: {:?}", names());
        if !reached {
            // Each call stops it twice: the segment's, and those of two semaphores.
            assert!(calls > 20, "only {calls} stops were seen");
            assert_eq!(left.len(), own.len(), "nothing was made");
            break;
        }
    }
    say("as promised");
    hear();
}

fn wait_after(go: impl Fn() -> nix::Result<()>, wait: impl Fn() -> WaitStatus) -> WaitStatus {
    go().unwrap();
    wait()
}

fn names() -> Vec<String> {
    let entries = fs::read_dir("/dev/shm").unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// In the victim: creates a ring between two stops.
pub(crate) fn swept() {
    say(&gettid().to_string());
    hear();
    raise(Signal::SIGSTOP).unwrap();
    let ring = Ring::<u64>::create(&RingName::new("swept").unwrap(), &RingOptions::mpsc(64)).unwrap();
    raise(Signal::SIGSTOP).unwrap();
    drop(ring);
}

/// Whether a child can have a /dev/shm of its own.
fn has_own_shm(pages: usize) -> bool {
    let mut command = Command::new("true");
    with_own_shm(&mut command, pages);
    command.status().is_ok_and(|status| status.success())
}

/// Gives the child a small /dev/shm of its own.
#[expect(unsafe_code, reason = "between fork and exec the child mounts its own file system")]
fn with_own_shm(command: &mut Command, pages: usize) {
    let options = CString::new(format!("size={},mode=1777", pages * PAGE)).unwrap();
    let become_alone = move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let (private, none) = (libc::MS_REC | libc::MS_PRIVATE, std::ptr::null());
        // SAFETY: C strings, and null where the call allows it.
        Errno::result(unsafe { libc::mount(none, c"/".as_ptr(), none, private, none.cast()) })?;
        let (tmpfs, shm) = (c"tmpfs".as_ptr(), c"/dev/shm".as_ptr());
        // SAFETY: as above.
        Errno::result(unsafe { libc::mount(tmpfs, shm, tmpfs, 0, options.as_ptr().cast()) })?;
        Ok(())
    };
    // SAFETY: only system calls are made between fork and exec.
    unsafe { command.pre_exec(become_alone) };
}
