//! POSIX semaphores, named and unnamed, behind one small safe type.
#![cfg_attr(not(loom), expect(unsafe_code, reason = "nix wraps no sem_* calls; they go through libc here"))]

#[cfg(not(loom))]
pub(crate) use posix::file_path;
#[cfg(not(loom))]
pub use posix::{Semaphore, SemaphoreFile};

#[cfg(loom)]
pub(crate) use model::Semaphore;

#[cfg(not(loom))]
mod posix {
    use std::ffi::CString;
    use std::fs;
    use std::io::{self, Read};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use nix::libc;

    use crate::process::timespec_after;
    use crate::sigbus::{Fill, Watch};
    use crate::tokens::{self, Scope};

    /// Whether a semaphore is the word that `tokens` knows.
    const KNOWN: bool = cfg!(all(target_env = "gnu", target_pointer_width = "64"));

    /// A POSIX semaphore: named and shared between processes (`sem_open`), or unnamed inside one (`sem_init`).
    ///
    /// ```
    /// use halyard_ring::Semaphore;
    /// let semaphore = Semaphore::unnamed(1);
    /// assert!(semaphore.try_wait());
    /// assert!(!semaphore.try_wait());
    /// semaphore.post();
    /// assert_eq!(semaphore.value(), 1);
    /// ```
    #[derive(Debug)]
    pub struct Semaphore {
        raw: NonNull<libc::sem_t>,
        /// Of a named one: its file may be truncated by others. Gone before the semaphore is closed.
        watch: Option<Watch>,
    }

    // SAFETY: POSIX semaphores may be used by any thread at once; `raw` stays valid until drop.
    unsafe impl Send for Semaphore {}
    // SAFETY: as above.
    unsafe impl Sync for Semaphore {}

    /// The file behind a named semaphore, by which its creator knows it again.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SemaphoreFile {
        device: u64,
        inode: u64,
    }

    fn c_name(name: &str) -> io::Result<CString> {
        CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
    }

    impl Semaphore {
        /// Creates a named semaphore (`O_CREAT | O_EXCL`) with permission bits `mode`.
        ///
        /// # Errors
        /// `AlreadyExists` if the name is taken; otherwise what `sem_open` says.
        pub fn create(name: &str, mode: u32, value: u32) -> io::Result<Self> {
            let name = c_name(name)?;
            // SAFETY: a valid C string, and the two variadic arguments that O_CREAT asks for.
            let raw = unsafe { libc::sem_open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL, mode, value) };
            Self::from_open(raw)
        }

        /// Opens a named semaphore that exists.
        ///
        /// # Errors
        /// `NotFound` if there is none of that name; otherwise what `sem_open` says.
        pub fn open(name: &str) -> io::Result<Self> {
            let name = c_name(name)?;
            // SAFETY: a valid C string; without O_CREAT nothing else is read.
            Self::from_open(unsafe { libc::sem_open(name.as_ptr(), 0) })
        }

        fn from_open(raw: *mut libc::sem_t) -> io::Result<Self> {
            match NonNull::new(raw) {
                Some(raw) if raw.as_ptr() != libc::SEM_FAILED => {
                    let watch = Watch::new(raw.as_ptr().cast(), size_of::<libc::sem_t>(), Fill::Zeros);
                    Ok(Self { raw, watch: Some(watch) })
                }
                _ => Err(io::Error::last_os_error()),
            }
        }

        /// A semaphore for the threads of this process, with no name.
        ///
        /// # Panics
        /// If `value` is over `SEM_VALUE_MAX` (2^31 - 1).
        #[must_use]
        pub fn unnamed(value: u32) -> Self {
            // SAFETY: an all-zero sem_t is a valid place for sem_init to fill.
            let raw = Box::into_raw(Box::new(unsafe { core::mem::zeroed::<libc::sem_t>() }));
            // SAFETY: `raw` is a fresh allocation that nobody else knows.
            let result = unsafe { libc::sem_init(raw, 0, value) };
            assert_eq!(result, 0, "sem_init: {}", io::Error::last_os_error());
            Self { raw: NonNull::new(raw).expect("a box is not null"), watch: None }
        }

        /// Removes the name; those who have it open keep it.
        ///
        /// # Errors
        /// `NotFound` if there is none; otherwise what `sem_unlink` says.
        pub fn unlink(name: &str) -> io::Result<()> {
            let name = c_name(name)?;
            // SAFETY: a valid C string.
            match unsafe { libc::sem_unlink(name.as_ptr()) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }

        /// Adds a token and wakes one waiter. A semaphore that stands at its maximum stays there: whoever wanted
        /// to wake somebody has done so often enough.
        #[inline]
        pub fn post(&self) {
            if KNOWN {
                return tokens::post(self.word(), self.scope());
            }
            // SAFETY: `raw` is an initialised semaphore. The one possible error, EOVERFLOW, is explained above.
            let _ = unsafe { libc::sem_post(self.raw.as_ptr()) };
        }

        /// Takes a token, sleeping until there is one. Signals do not end the wait.
        pub fn wait(&self) {
            if KNOWN {
                tokens::wait(self.word(), self.scope(), None);
                return;
            }
            // SAFETY: `raw` is an initialised semaphore.
            while unsafe { libc::sem_wait(self.raw.as_ptr()) } != 0 {
                // The only other error, EINVAL, is for what is no semaphore.
                debug_assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EINTR));
            }
        }

        /// Takes a token if there is one.
        #[inline]
        #[must_use]
        pub fn try_wait(&self) -> bool {
            if KNOWN {
                return tokens::try_wait(self.word());
            }
            // SAFETY: `raw` is an initialised semaphore.
            unsafe { libc::sem_trywait(self.raw.as_ptr()) == 0 }
        }

        /// Takes a token, sleeping for at most `timeout` on the monotonic clock. True if it got one.
        #[must_use]
        pub fn wait_timeout(&self, timeout: Duration) -> bool {
            let until = timespec_after(timeout);
            if KNOWN {
                return tokens::wait(self.word(), self.scope(), Some(&until));
            }
            loop {
                // SAFETY: `raw` is an initialised semaphore and `until` a valid timespec; sem_clockwait, not
                // sem_timedwait, whose wall clock jumps.
                match unsafe { sem_clockwait(self.raw.as_ptr(), libc::CLOCK_MONOTONIC, &until) } {
                    0 => return true,
                    _ if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
                    _ => return false,
                }
            }
        }

        /// How many tokens there are now. Never negative on Linux.
        #[must_use]
        pub fn value(&self) -> u32 {
            let mut value = 0;
            // SAFETY: `raw` is an initialised semaphore and `value` a place for an int.
            unsafe { libc::sem_getvalue(self.raw.as_ptr(), &mut value) };
            value.max(0) as u32
        }

        /// How many threads sleep on it, where the C library keeps that number (glibc on 64-bit machines).
        #[must_use]
        pub fn waiters(&self) -> Option<u32> {
            KNOWN.then(|| waiters_in(self.word().load(Ordering::Relaxed)))
        }

        fn word(&self) -> &AtomicU64 {
            const { assert!(!KNOWN || size_of::<libc::sem_t>() >= 8) };
            // SAFETY: glibc's 64-bit sem_t begins with an 8-byte atomic word, 8-byte aligned; nobody else asks.
            unsafe { self.raw.cast::<AtomicU64>().as_ref() }
        }

        fn scope(&self) -> Scope {
            if self.watch.is_some() { Scope::Shared } else { Scope::Private }
        }

        /// Whether the file behind a named semaphore was truncated, as far as this process has noticed: nobody else's
        /// tokens come here any more.
        #[must_use]
        pub fn is_truncated(&self) -> bool {
            self.watch.as_ref().is_some_and(Watch::is_broken)
        }

        /// The file behind a named semaphore now; `None` where there is none.
        #[must_use]
        pub fn file(name: &str) -> Option<SemaphoreFile> {
            let found = fs::symlink_metadata(file_path(name)).ok()?;
            Some(SemaphoreFile { device: found.dev(), inode: found.ino() })
        }

        /// Value and waiters of a named semaphore, read from its file without opening it as a semaphore, so that
        /// looking cannot disturb it (glibc on 64-bit machines; `None` elsewhere or where there is none).
        #[must_use]
        pub fn peek(name: &str) -> Option<(u32, u32)> {
            if !KNOWN {
                return None;
            }
            // Not blocking: it might be a pipe that somebody put there.
            let mut options = fs::OpenOptions::new();
            let mut file = options.read(true).custom_flags(libc::O_NONBLOCK).open(file_path(name)).ok()?;
            let mut word = [0; 8];
            file.read_exact(&mut word).ok()?;
            let word = u64::from_ne_bytes(word);
            Some((word as u32, waiters_in(word)))
        }
    }

    fn waiters_in(word: u64) -> u32 {
        (word >> 32) as u32
    }

    pub(crate) fn file_path(name: &str) -> String {
        format!("/dev/shm/sem.{}", name.trim_start_matches('/'))
    }

    impl Drop for Semaphore {
        fn drop(&mut self) {
            if self.watch.take().is_some() {
                // SAFETY: opened by sem_open, and nobody can use `self` any more.
                unsafe { libc::sem_close(self.raw.as_ptr()) };
            } else {
                // SAFETY: initialised by sem_init in a box of ours; nobody can wait on it any more.
                unsafe {
                    libc::sem_destroy(self.raw.as_ptr());
                    drop(Box::from_raw(self.raw.as_ptr()));
                }
            }
        }
    }

    unsafe extern "C" {
        // In glibc since 2.30; the libc crate does not declare it for every target.
        fn sem_clockwait(
            sem: *mut libc::sem_t,
            clock: libc::clockid_t,
            until: *const libc::timespec,
        ) -> libc::c_int;
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_wait_is_bounded_and_a_token_ends_it() {
            let semaphore = Semaphore::unnamed(0);
            assert!(!semaphore.wait_timeout(Duration::from_millis(1)));
            semaphore.post();
            assert!(semaphore.wait_timeout(Duration::from_secs(20)));
            assert_eq!(semaphore.value(), 0);
        }

        #[test]
        fn a_sleeper_is_counted() {
            let semaphore = Semaphore::unnamed(0);
            std::thread::scope(|scope| {
                let sleeper = scope.spawn(|| semaphore.wait());
                while semaphore.waiters() == Some(0) {
                    std::thread::yield_now();
                }
                semaphore.post();
                sleeper.join().unwrap();
            });
            assert_eq!(semaphore.waiters().unwrap_or(0), 0);
        }

        #[test]
        fn a_named_one_is_found_by_its_name_until_it_is_unlinked() {
            let name = format!("/halyard.test-sem-{}", std::process::id());
            let ours = Semaphore::create(&name, 0o600, 2).unwrap();
            let taken = Semaphore::create(&name, 0o600, 2).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
            let same = Semaphore::open(&name).unwrap();
            assert!(same.try_wait());
            assert_eq!(ours.value(), 1);
            if let Some(seen) = Semaphore::peek(&name) {
                assert_eq!(seen, (1, 0));
            }
            Semaphore::unlink(&name).unwrap();
            assert_eq!(Semaphore::open(&name).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}

#[cfg(loom)]
mod model {
    use core::time::Duration;
    use loom::sync::{Condvar, Mutex};

    /// A semaphore as loom sees it. Waits here have no time-out: a lost wake-up is then a deadlock, which loom
    /// reports, and not something that the next look repairs.
    #[derive(Debug)]
    pub(crate) struct Semaphore {
        tokens: Mutex<u32>,
        changed: Condvar,
    }

    impl Semaphore {
        pub(crate) fn unnamed(value: u32) -> Self {
            Self { tokens: Mutex::new(value), changed: Condvar::new() }
        }

        pub(crate) fn post(&self) {
            *self.tokens.lock().unwrap() += 1;
            self.changed.notify_one();
        }

        pub(crate) fn wait(&self) {
            let mut tokens = self.tokens.lock().unwrap();
            while *tokens == 0 {
                tokens = self.changed.wait(tokens).unwrap();
            }
            *tokens -= 1;
        }

        pub(crate) fn try_wait(&self) -> bool {
            let mut tokens = self.tokens.lock().unwrap();
            let got = *tokens > 0;
            *tokens -= u32::from(got);
            got
        }

        pub(crate) fn value(&self) -> u32 {
            *self.tokens.lock().unwrap()
        }

        pub(crate) fn wait_timeout(&self, _: Duration) -> bool {
            self.wait();
            true
        }
    }
}
