//! A value sent back and forth through bare cache lines: the floor of everything between two threads or processes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::failure::{Failure, While as _};
use crate::place::pin;
use crate::shared::Lines;
use crate::timed;

/// The value that ends an echo.
const STOP: u64 = u64::MAX;

/// Waits for another value than `last`. No pause instruction: on many processors that takes longer than the line.
#[inline]
fn spin(line: &AtomicU64, last: u64) -> u64 {
    loop {
        let value = line.load(Ordering::Acquire);
        if value != last {
            return value;
        }
    }
}

/// Measures round trips: a value out through one line and back through another.
pub(crate) fn trips(out: &AtomicU64, back: &AtomicU64, time: Duration) -> Result<Histogram<u64>, Failure> {
    let mut value = back.load(Ordering::Acquire);
    let result = timed::samples(time, || {
        out.store(value + 1, Ordering::Release);
        value = spin(back, value);
        Ok(())
    });
    out.store(STOP, Ordering::Release);
    spin(back, value);
    back.store(0, Ordering::Release);
    out.store(0, Ordering::Release);
    result
}

/// Sends every value of `out` back through `back`, until one is [`STOP`].
pub(crate) fn echo(out: &AtomicU64, back: &AtomicU64) {
    let mut value = 0;
    while value != STOP {
        value = spin(out, value);
        back.store(value, Ordering::Release);
    }
}

/// Measures round trips between two threads, pinned to these processors.
pub(crate) fn between_threads(pair: [usize; 2], time: Duration) -> Result<Histogram<u64>, Failure> {
    let lines = Lines::create(2).doing("mapping two cache lines")?;
    let (out, back) = (lines.line(0), lines.line(1));
    thread::scope(|scope| {
        scope.spawn(|| {
            // If it cannot be pinned, neither can the other, who reports it.
            let _ = pin(&pair, 1);
            echo(out, back);
        });
        let leader = || {
            let pinned = pin(&pair, 0);
            let measured = trips(out, back, if pinned.is_ok() { time } else { Duration::ZERO });
            pinned.and(measured)
        };
        scope.spawn(leader).join().expect("a measurement does not panic")
    })
}
