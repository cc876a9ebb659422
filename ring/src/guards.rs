//! Guards that a test can take out, to see that something falls without them. Nothing but a test calls this.

use std::sync::atomic::{AtomicU32, Ordering};

/// Something that keeps a hostile or broken peer from hurting this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Guard {
    /// The SIGBUS handler: fresh pages over a mapping whose file was truncated.
    Sigbus = 1,
    /// Comparing the header with the private copies made when the ring was attached.
    Header = 2,
    /// Taking a damaged control ring for a reason to make a new one.
    Renewal = 4,
    /// Removing names as soon as both sides have what stands behind them, where a group shares the rings.
    EarlyUnlink = 8,
    /// `membarrier` between a sleeper's announcement and its second look: the fence that publishers do without.
    SleepersFence = 16,
    /// Taking a control ring whose slots are mostly in quarantine for a damaged one.
    Quarantine = 32,
}

static OUT: AtomicU32 = AtomicU32::new(0);

/// Takes a guard out of this process, for good.
pub fn take_out(guard: Guard) {
    OUT.fetch_or(guard as u32, Ordering::Relaxed);
}

/// Whether the guard is where it belongs.
#[must_use]
pub fn is_in(guard: Guard) -> bool {
    OUT.load(Ordering::Relaxed) & guard as u32 == 0
}
