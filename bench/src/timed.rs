//! Taking samples: how often, and what is inside one.

use std::time::Duration;

use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::{figures, interrupt};

/// How many samples are kept before they go into the histogram. Recording into a histogram between two round trips
/// would make the next one longer; a store into an array that lies in the cache does not.
const BATCH: usize = 1024;

/// Repeats `step` for a quarter of `time` without recording and for `time` with it. One sample is one `step` and
/// one reading of the clock.
///
/// # Errors
/// What `step` returns; or the interruption by a signal.
pub(crate) fn samples(
    time: Duration,
    step: impl FnMut() -> Result<(), Failure>,
) -> Result<Histogram<u64>, Failure> {
    samples_from(time, |_| (), step)
}

/// Like [`samples`]; tells `started` when the warm-up is over, nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn samples_from(
    time: Duration,
    started: impl FnOnce(u64),
    mut step: impl FnMut() -> Result<(), Failure>,
) -> Result<Histogram<u64>, Failure> {
    let time = time.as_nanos() as u64;
    let start = monotonic_ns();
    while monotonic_ns() - start < time / 4 {
        step()?;
    }
    let mut histogram = figures::histogram();
    let mut batch = [0u64; BATCH];
    let start = monotonic_ns();
    started(start);
    loop {
        interrupt::check()?;
        let mut last = monotonic_ns();
        let mut taken = 0;
        while taken < BATCH && last - start < time {
            step()?;
            let now = monotonic_ns();
            batch[taken] = now - last;
            taken += 1;
            last = now;
        }
        for &sample in &batch[..taken] {
            histogram.saturating_record(sample.max(1));
        }
        if taken < BATCH {
            return Ok(histogram);
        }
    }
}

/// Repeats `step`, which returns how many records it took, for a quarter of `time` without counting and for `time`
/// with it, longer only until the first record has come. Returns records a second.
///
/// # Errors
/// What `step` returns; or the interruption by a signal.
pub(crate) fn rate(time: Duration, mut step: impl FnMut() -> Result<u64, Failure>) -> Result<f64, Failure> {
    let time = time.as_nanos() as u64;
    let start = monotonic_ns();
    while monotonic_ns() - start < time / 4 {
        interrupt::check()?;
        step()?;
    }
    let mut count = 0;
    let start = monotonic_ns();
    loop {
        count += step()?;
        let spent = monotonic_ns() - start;
        // Where nothing came in time, because others have the processors, the first records end it.
        if spent >= time && count > 0 {
            return Ok(count as f64 * 1e9 / spent.max(1) as f64);
        }
        interrupt::check()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_after_the_warm_up_is_one_sample() {
        let mut steps = 0;
        let histogram = samples(Duration::from_millis(2), || {
            steps += 1;
            Ok(())
        })
        .unwrap();
        assert!(!histogram.is_empty() && histogram.len() <= steps);
    }

    #[test]
    fn a_rate_counts_what_the_steps_took() {
        let (mut steps, begun) = (0u64, std::time::Instant::now());
        let rate = rate(Duration::from_millis(4), || {
            steps += 1;
            Ok(10)
        })
        .unwrap();
        // Less than what all steps took in the time of the recorded part alone, and not nothing.
        assert!(rate > 0.0 && rate <= steps as f64 * 10.0 / 0.004, "{rate}");
        assert!(begun.elapsed() >= Duration::from_millis(5));
    }

    #[test]
    fn a_step_that_fails_ends_it() {
        assert!(samples(Duration::from_secs(60), || Err(Failure::usage("no"))).is_err());
    }
}
