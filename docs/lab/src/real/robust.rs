//! Robust mutexes of POSIX threads, shared between processes.
#![expect(unsafe_code, reason = "nix wraps no pthread mutexes; they go through libc here")]

use std::io;

use nix::libc;

use crate::machine::Locked;

/// A process-shared robust mutex at a fixed place in memory that the processes share.
#[derive(Debug)]
pub(crate) struct RobustMutex {
    raw: *mut libc::pthread_mutex_t,
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

impl RobustMutex {
    /// The mutex at `raw`, made there with [`RobustMutex::init`].
    ///
    /// # Safety
    /// `raw` must be valid for as long as the value lives, and a `pthread_mutex_t` that was initialised as process-shared
    /// and robust, or that [`RobustMutex::init`] is about to initialise before anybody locks it.
    pub(crate) unsafe fn at(raw: *mut libc::pthread_mutex_t) -> Self {
        Self { raw }
    }

    /// Makes it a robust, process-shared mutex. Once, before others know it.
    pub(crate) fn init(&self) -> io::Result<()> {
        let mut attributes = core::mem::MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let raw = attributes.as_mut_ptr();
        // SAFETY: `raw` is a place for attributes, initialised by the first call and used by the others; `self.raw` is
        // valid by the contract of `at`.
        unsafe {
            check(libc::pthread_mutexattr_init(raw))?;
            let made = check(libc::pthread_mutexattr_setpshared(raw, libc::PTHREAD_PROCESS_SHARED))
                .and_then(|()| check(libc::pthread_mutexattr_setrobust(raw, libc::PTHREAD_MUTEX_ROBUST)))
                .and_then(|()| check(libc::pthread_mutex_init(self.raw, raw)));
            libc::pthread_mutexattr_destroy(raw);
            made
        }
    }

    /// Locks it, sleeping until it is free.
    pub(crate) fn lock(&self) -> Locked {
        // SAFETY: initialised, by the contract of `at`.
        match unsafe { libc::pthread_mutex_lock(self.raw) } {
            0 => Locked::Taken,
            libc::EOWNERDEAD => Locked::OwnerDied,
            _ => Locked::Unrecoverable,
        }
    }

    /// Marks what it guards as in order. The caller holds it.
    pub(crate) fn consistent(&self) {
        // SAFETY: initialised, by the contract of `at`; where the caller does not hold it, it returns EINVAL.
        unsafe { libc::pthread_mutex_consistent(self.raw) };
    }

    /// Unlocks it. The caller holds it; a robust mutex refuses others (EPERM).
    pub(crate) fn unlock(&self) {
        // SAFETY: initialised, by the contract of `at`.
        unsafe { libc::pthread_mutex_unlock(self.raw) };
    }
}
