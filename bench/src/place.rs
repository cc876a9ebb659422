//! Which thread runs on which processor.

use std::thread;

use halyard_ring::pin_to;

use crate::failure::{Failure, While as _};

/// Pins the calling thread to its place in `pins`, if there are any.
pub(crate) fn pin(pins: &[usize], thread: usize) -> Result<(), Failure> {
    match pins.len() {
        0 => Ok(()),
        len => {
            let cpu = pins[thread % len];
            pin_to(cpu).doing(format_args!("pinning a thread to processor {cpu}"))
        }
    }
}

/// Checks that this process may use these processors.
pub(crate) fn check_pins(pins: &[usize], cpus: &[usize]) -> Result<(), Failure> {
    match pins.iter().find(|cpu| !cpus.contains(cpu)) {
        Some(cpu) => Err(Failure::usage(format_args!("processor {cpu}: this process may use {cpus:?}"))),
        None => Ok(()),
    }
}

/// Two different processors, if there are two.
pub(crate) fn other_core(cpus: &[usize]) -> Option<[usize; 2]> {
    Some([*cpus.first()?, *cpus.get(1)?])
}

/// Runs `work` on a thread pinned to the first of `pins`, if there are any, so that the calling thread stays where the
/// scheduler wants it.
pub(crate) fn on_own_thread<T: Send>(
    pins: &[usize],
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let worker = move || pin(pins, 0).and_then(|()| work());
    thread::scope(|scope| scope.spawn(worker).join().expect("a measurement does not panic"))
}
