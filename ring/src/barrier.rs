//! The two halves of the fence between "publish, then look for sleepers" and "announce, then look again" (I8).
//!
//! Both sides could use a full fence. But publishing happens millions of times a second and going to sleep a few
//! thousand times, so where the kernel has `membarrier` (Linux 4.16) the sleeper pays for both: it makes every
//! processor that runs a registered process execute a barrier, and the publisher only keeps the compiler from
//! reordering. The creator of a ring decides, since all its users must agree; a publisher that could not register
//! uses the full fence, which is always enough on its side.
#![expect(unsafe_code, reason = "membarrier goes through libc")]

use core::sync::atomic::{Ordering, compiler_fence, fence};

use nix::libc;

use crate::guards::{Guard, is_in};
use crate::remembered::Remembered;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Whether this process takes part in other processes' barriers, so that its publishers go without a fence; registers
/// it when asked first.
#[must_use]
pub fn is_registered() -> bool {
    static REGISTERED: Remembered = Remembered::new();
    REGISTERED.get(|| u64::from(membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED))) != 0
}

/// How this process fences for one ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barriers {
    /// The ring's publishers rely on sleepers to call `membarrier`.
    asymmetric: bool,
    /// This process publishes without a fence: the ring's sleepers see to it, and it is registered for their call.
    light: bool,
}

impl Barriers {
    /// For a ring whose creator decided so.
    pub(crate) fn new(asymmetric: bool) -> Self {
        Self { asymmetric, light: asymmetric && is_registered() }
    }

    /// Between a publisher's store and its look for sleepers.
    #[inline]
    pub(crate) fn publish(self) {
        if self.light {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// Between a sleeper's announcement and its second look. False if the kernel refused what the ring relies on:
    /// then the sleep must be short, as a wake-up may be missed.
    pub(crate) fn sleep(self) -> bool {
        fence(Ordering::SeqCst);
        !self.asymmetric || !is_in(Guard::SleepersFence) || membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
    }
}
