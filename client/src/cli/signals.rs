//! Ctrl-C and SIGTERM.

use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit::{Failure, Result};

/// Calls `first` on a thread of its own with the first signal that asks the program to end. The second one ends it
/// at once.
pub(crate) fn on_end(first: impl FnOnce(i32) + Send + 'static) -> Result<()> {
    let failed = |error: io::Error| Failure::Io("watch for signals", error);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
    let watch = move || {
        let mut first = Some(first);
        for signal in signals.forever() {
            match first.take() {
                Some(first) => {
                    // On a thread of its own, so that a second signal is seen while it works.
                    let _ = thread::Builder::new().spawn(move || first(signal));
                }
                None => std::process::exit(128 + signal),
            }
        }
    };
    thread::Builder::new().name("halyard-signals".to_owned()).spawn(watch).map_err(failed)?;
    Ok(())
}
