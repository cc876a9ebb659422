//! Taking and giving a named semaphore's tokens without trusting its bytes.
//!
//! The semaphores are glibc's, as `sem_open` has them, and anyone may use them with `sem_post` and `sem_wait`. But those
//! functions end the process (`futex_fatal_error`) when the kernel refuses what the semaphore's own bytes made them
//! ask for: a word that says whether its users share memory is part of the system call, and so any process that may
//! write the file could kill all others that use it. The file may also be truncated between the look at the tokens and
//! the sleep, which the kernel answers with EFAULT, and that is fatal there, too.
//!
//! So this does what they do, on the same word, and takes every answer of the kernel for "look again". The word has
//! been the same since glibc 2.21: value in the low half, number of waiters in the high one.
#![expect(unsafe_code, reason = "futex goes through libc")]

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::libc;

use crate::process::monotonic_ns;

/// One waiter in the word's high half.
const WAITER: u64 = 1 << 32;
/// `SEM_VALUE_MAX`. The value has a bit more than that, so many posts at once at the maximum do not reach the waiters.
const VALUE_MAX: u32 = i32::MAX as u32;
/// How often a compare-and-swap is tried again where others can only make it fail now and then: for ever only if somebody
/// writes what no user of a semaphore does.
const PATIENCE: u32 = 1000;

/// Whose threads sleep on the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This process's.
    Private,
    /// Any process's.
    Shared,
}

fn value(word: u64) -> u32 {
    word as u32
}

/// Adds a token and wakes one waiter. At the maximum it only wakes.
#[inline]
pub(crate) fn post(word: &AtomicU64, scope: Scope) {
    // One step, so that nobody who writes here meanwhile can keep us.
    let mut now = word.load(Ordering::Relaxed);
    if value(now) < VALUE_MAX {
        now = word.fetch_add(1, Ordering::Release);
    }
    if now >= WAITER {
        // Refused, there is nobody to wake.
        let _ = futex(word, scope, libc::FUTEX_WAKE, 1, None);
    }
}

/// Takes a token if there is one.
#[inline]
pub(crate) fn try_wait(word: &AtomicU64) -> bool {
    take(word, 1)
}

/// Subtracts `what`, which begins with one token, if there is a token.
fn take(word: &AtomicU64, what: u64) -> bool {
    let mut now = word.load(Ordering::Relaxed);
    for _ in 0..PATIENCE {
        if value(now) == 0 {
            return false;
        }
        let next = now.wrapping_sub(what);
        match word.compare_exchange_weak(now, next, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(other) => now = other,
        }
    }
    false
}

/// Takes a token, sleeping until `until` on CLOCK_MONOTONIC, or for ever. False if there was none by then.
pub(crate) fn wait(word: &AtomicU64, scope: Scope, until: Option<&libc::timespec>) -> bool {
    if try_wait(word) {
        return true;
    }
    word.fetch_add(WAITER, Ordering::Relaxed);
    loop {
        if take(word, WAITER + 1) {
            return true;
        }
        // With a deadline in absolute time: signals and strange answers do not lengthen the wait. Where the word is never
        // what it was a moment ago the kernel does not look at the deadline.
        let timed_out = futex(word, scope, libc::FUTEX_WAIT_BITSET, 0, until) == Err(libc::ETIMEDOUT);
        if timed_out || until.is_some_and(is_over) {
            word.fetch_sub(WAITER, Ordering::Relaxed);
            return false;
        }
    }
}

fn is_over(until: &libc::timespec) -> bool {
    let until = Duration::new(until.tv_sec.max(0) as u64, until.tv_nsec as u32);
    Duration::from_nanos(monotonic_ns()) >= until
}

fn futex(
    word: &AtomicU64,
    scope: Scope,
    command: libc::c_int,
    argument: u32,
    until: Option<&libc::timespec>,
) -> Result<(), libc::c_int> {
    let half = if cfg!(target_endian = "big") { 1 } else { 0 };
    let address = ptr::from_ref(word).cast::<u32>().wrapping_add(half);
    let command = if scope == Scope::Private { command | libc::FUTEX_PRIVATE_FLAG } else { command };
    let until = until.map_or(ptr::null(), ptr::from_ref);
    let all = libc::FUTEX_BITSET_MATCH_ANY;
    // SAFETY: the address is the 4-byte half of a living atomic; `until` is null or a timespec. The kernel checks
    // the address itself.
    let result =
        unsafe { libc::syscall(libc::SYS_futex, address, command, argument, until, ptr::null::<u32>(), all) };
    if result < 0 { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(()) }
}
