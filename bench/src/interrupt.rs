//! SIGINT and SIGTERM end a measurement between two round trips instead of killing the process, so that names in
//! /dev/shm and /dev/shm/sem.* go with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::Failure;

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on the two signals only set a flag. A second one of the same kind kills the process: a way out if
/// something hangs.
pub(crate) fn install() {
    let flag = FLAG.get_or_init(|| Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        // Order matters: the conditional shutdown looks at the flag that an earlier signal has set.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(flag));
        let _ = signal_hook::flag::register(signal, Arc::clone(flag));
    }
}

/// Whether one of them came.
pub(crate) fn requested() -> bool {
    FLAG.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Fails if one of them came.
pub(crate) fn check() -> Result<(), Failure> {
    if requested() { Err(Failure::interrupted()) } else { Ok(()) }
}
