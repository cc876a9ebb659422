//! [`Semaphore`]: the word behind one, wherever it lies.
#![expect(unsafe_code, reason = "nix wraps no sem_* calls; they go through libc here")]

use std::ffi::CString;
use std::io::{self, Read};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memmap2::MmapRaw;
use nix::libc;

use super::named::{self, SemaphoreFile};
use crate::access::Group;
use crate::process::timespec_after;
use crate::sigbus::{Fill, Watch};
use crate::tokens::{self, Scope};

/// Whether a semaphore is the word that `tokens` knows.
const KNOWN: bool = cfg!(all(target_env = "gnu", target_pointer_width = "64"));

/// A POSIX semaphore: named and shared between processes, as `sem_open` has it, or unnamed inside one (`sem_init`).
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
    home: Home,
}

/// Where a semaphore lies.
#[derive(Debug)]
enum Home {
    /// In a box, to be freed when it is dropped.
    Box,
    /// In a file.
    File {
        /// Others may truncate it. Dropped first: what is watched must be there.
        watch: Watch,
        _map: MmapRaw,
        file: SemaphoreFile,
    },
}

// SAFETY: POSIX semaphores may be used by any thread at once; `raw` stays valid until drop.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Creates a named semaphore (`O_CREAT | O_EXCL`) with permission bits `mode`. Others may open it with `sem_open`.
    ///
    /// It has its name as soon as it is whole, and not before: who is killed here leaves nothing, or all of it.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, `InvalidInput` if it can be none or if the value is over `SEM_VALUE_MAX`
    /// (2^31 - 1); otherwise what the system says.
    pub fn create(name: &str, mode: u32, value: u32) -> io::Result<Self> {
        Self::create_for(name, mode, value, None)
    }

    /// [`create`](Self::create) for a group, if there is one: it belongs to it before it has a name.
    pub(crate) fn create_for(name: &str, mode: u32, value: u32, group: Option<Group>) -> io::Result<Self> {
        let init = |map: &MmapRaw| {
            // SAFETY: a mapping begins at a page and this one has the bytes of a sem_t, all zero, which nobody else uses
            // yet: their file has no name.
            match unsafe { libc::sem_init(map.as_mut_ptr().cast(), 1, value) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        match named::create(name, mode, group, init)? {
            Some(made) => Ok(Self::mapped(made)),
            None => {
                Self::create_by_library(name, mode, value)?;
                named::share(name, group).and_then(|()| Self::open(name)).inspect_err(|_| {
                    let _ = named::unlink(name);
                })
            }
        }
    }

    /// For systems without files that have no name: the C library makes one with a name of its own first.
    fn create_by_library(name: &str, mode: u32, value: u32) -> io::Result<()> {
        let name = CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: a valid C string, and the two variadic arguments that O_CREAT asks for.
        let raw = unsafe { libc::sem_open(name.as_ptr(), libc::O_CREAT | libc::O_EXCL, mode, value) };
        if raw == libc::SEM_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, and known to nobody else in this process.
        unsafe { libc::sem_close(raw) };
        Ok(())
    }

    /// Opens a named semaphore that exists, whoever made it.
    ///
    /// # Errors
    /// `NotFound` if there is none of that name, `InvalidData` if something else has it; otherwise what the system says.
    pub fn open(name: &str) -> io::Result<Self> {
        named::open(name).map(Self::mapped)
    }

    fn mapped((map, file): (MmapRaw, SemaphoreFile)) -> Self {
        let raw = NonNull::new(map.as_mut_ptr()).expect("a mapping is not at address zero").cast();
        let watch = Watch::new(map.as_ptr(), size_of::<libc::sem_t>(), Fill::Zeros);
        Self { raw, home: Home::File { watch, _map: map, file } }
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
        Self { raw: NonNull::new(raw).expect("a box is not null"), home: Home::Box }
    }

    /// Removes the name; those who have it open keep it.
    ///
    /// # Errors
    /// `NotFound` if there is none; otherwise what the system says.
    pub fn unlink(name: &str) -> io::Result<()> {
        named::unlink(name)
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
        match self.home {
            Home::Box => Scope::Private,
            Home::File { .. } => Scope::Shared,
        }
    }

    /// Whether the file behind a named semaphore was truncated, as far as this process has noticed: nobody else's
    /// tokens come here any more.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        match &self.home {
            Home::Box => false,
            Home::File { watch, .. } => watch.is_broken(),
        }
    }

    /// The file behind this one; `None` if it has no name.
    pub(crate) fn own_file(&self) -> Option<SemaphoreFile> {
        match self.home {
            Home::Box => None,
            Home::File { file, .. } => Some(file),
        }
    }

    /// The file behind a named semaphore now; `None` where there is none.
    #[must_use]
    pub fn file(name: &str) -> Option<SemaphoreFile> {
        named::file(name)
    }

    /// Value and waiters of a named semaphore, read from its file without opening it as a semaphore, so that
    /// looking cannot disturb it (glibc on 64-bit machines; `None` elsewhere or where there is none).
    #[must_use]
    pub fn peek(name: &str) -> Option<(u32, u32)> {
        if !KNOWN {
            return None;
        }
        let mut word = [0; 8];
        named::open_to_look(name).ok()?.read_exact(&mut word).ok()?;
        let word = u64::from_ne_bytes(word);
        Some((word as u32, waiters_in(word)))
    }
}

fn waiters_in(word: u64) -> u32 {
    (word >> 32) as u32
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        // One in a file stays as it is for the others; its mapping goes with its home.
        if matches!(self.home, Home::Box) {
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

    /// A semaphore as the C library opens it.
    struct Theirs(*mut libc::sem_t);

    // SAFETY: as `Semaphore`.
    unsafe impl Sync for Theirs {}

    impl Theirs {
        fn open(name: &str, flags: libc::c_int) -> Self {
            let name = CString::new(name).unwrap();
            // SAFETY: a valid C string, and the two variadic arguments that O_CREAT asks for.
            let raw =
                unsafe { libc::sem_open(name.as_ptr(), flags, 0o600 as libc::c_uint, 0 as libc::c_uint) };
            assert!(raw != libc::SEM_FAILED, "{}", io::Error::last_os_error());
            Self(raw)
        }

        fn wait(&self) {
            // SAFETY: opened, and not closed before the drop.
            assert_eq!(unsafe { libc::sem_wait(self.0) }, 0);
        }

        fn post(&self) {
            // SAFETY: as above.
            assert_eq!(unsafe { libc::sem_post(self.0) }, 0);
        }

        fn value(&self) -> libc::c_int {
            let mut value = -1;
            // SAFETY: as above, and a place for an int.
            assert_eq!(unsafe { libc::sem_getvalue(self.0, &mut value) }, 0);
            value
        }
    }

    impl Drop for Theirs {
        fn drop(&mut self) {
            // SAFETY: opened, and nobody can use it any more.
            unsafe { libc::sem_close(self.0) };
        }
    }

    /// Each puts the other to sleep and wakes it, and both see the same tokens.
    fn both_ways(ours: &Semaphore, theirs: &Theirs) {
        let slept = |ours: &Semaphore| ours.waiters().is_none_or(|waiters| waiters == 1);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| theirs.wait());
            while !slept(ours) {
                std::thread::yield_now();
            }
            ours.post();
            sleeper.join().unwrap();
            let sleeper = scope.spawn(|| assert!(ours.wait_timeout(Duration::from_secs(20))));
            while !slept(ours) {
                std::thread::yield_now();
            }
            theirs.post();
            sleeper.join().unwrap();
        });
        (0..3).for_each(|_| theirs.post());
        assert_eq!((ours.value(), theirs.value()), (3, 3));
        assert!(ours.try_wait());
        assert_eq!((ours.value(), theirs.value()), (2, 2));
    }

    #[test]
    fn the_c_library_opens_what_was_made_here_and_the_other_way_round() {
        let name = format!("/halyard.test-both-{}", std::process::id());
        let ours = Semaphore::create(&name, 0o600, 0).unwrap();
        both_ways(&ours, &Theirs::open(&name, 0));
        Semaphore::unlink(&name).unwrap();
        let theirs = Theirs::open(&name, libc::O_CREAT | libc::O_EXCL);
        both_ways(&Semaphore::open(&name).unwrap(), &theirs);
        Semaphore::unlink(&name).unwrap();
        // What is made where files without a name are not to be had.
        Semaphore::create_by_library(&name, 0o600, 0).unwrap();
        assert_eq!(
            Semaphore::create_by_library(&name, 0o600, 0).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        named::share(&name, None).unwrap();
        both_ways(&Semaphore::open(&name).unwrap(), &Theirs::open(&name, 0));
        Semaphore::unlink(&name).unwrap();
    }

    #[test]
    fn what_is_no_semaphore_is_refused() {
        let name = format!("/halyard.test-no-sem-{}", std::process::id());
        let path = named::file_path(&name);
        let refused = || Semaphore::open(&name).unwrap_err();
        std::fs::write(&path, [0; 31]).unwrap();
        assert_eq!(refused().kind(), io::ErrorKind::InvalidData);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(refused().raw_os_error(), Some(libc::EISDIR));
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(refused().raw_os_error(), Some(libc::ELOOP));
        std::fs::remove_file(&path).unwrap();
        let over = Semaphore::create(&name, 0o600, u32::MAX).unwrap_err();
        assert_eq!(over.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(Semaphore::file(&name), None);
    }
}
