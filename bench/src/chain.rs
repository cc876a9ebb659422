//! A paced chain of bare semaphores: a thread that wakes by the clock, and threads of which each sleeps until the one
//! before it wakes it. No rings, no records: the least that as many sleeps can take on this machine, and so the floor
//! under a message that finds everybody asleep.

use std::thread;
use std::time::Duration;

use halyard_ring::{Semaphore, monotonic_ns};
use hdrhistogram::Histogram;
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use crate::failure::Failure;
use crate::{figures, interrupt};

/// When each message of an open loop is due. Latencies count from there, not from when the sender got round to it: a
/// pause that keeps the sender from sending shows in every message that it delays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start_ns: u64,
    interval_ns: u64,
    /// Messages in all, and how many of them only warm up.
    pub(crate) messages: u64,
    pub(crate) warm_up: u64,
}

/// Nearer than this, a pacer yields instead of sleeping: the timer is not so precise.
const NEAR: u64 = 150_000;

impl Pace {
    /// `rate` messages a second for `time`, but at least `least`, and a quarter more in front to warm up. Begins soon.
    pub(crate) fn new(rate: u32, time: Duration, least: u64) -> Self {
        let measured = ((f64::from(rate) * time.as_secs_f64()) as u64).max(least);
        let warm_up = measured / 4;
        Self {
            start_ns: monotonic_ns() + 2_000_000,
            interval_ns: 1_000_000_000 / u64::from(rate.max(1)),
            messages: warm_up + measured,
            warm_up,
        }
    }

    /// The same, but all of it so much later.
    pub(crate) fn later(self, by: Duration) -> Self {
        Self { start_ns: self.start_ns + by.as_nanos() as u64, ..self }
    }

    /// When message `index` (from 0) is due, nanoseconds of CLOCK_MONOTONIC.
    pub(crate) fn due(&self, index: u64) -> u64 {
        self.start_ns + index * self.interval_ns
    }

    /// Sleeps until message `index` is due; not at all if it is late.
    pub(crate) fn sleep_until(&self, index: u64) {
        let due = self.due(index);
        loop {
            let now = monotonic_ns();
            if now >= due {
                return;
            }
            if due - now < NEAR && self.interval_ns < 2 * NEAR {
                thread::yield_now();
            } else {
                let until = TimeSpec::from(Duration::from_nanos(due));
                // An interrupted sleep is a short one.
                let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until);
            }
        }
    }
}

/// Lets the calling thread's timers be as precise as they can.
pub(crate) fn precise_timers() {
    // Where it cannot be had, all that are compared have the same slack.
    let _ = set_timerslack(1);
}

/// Measures a chain in which `sleeps` threads are woken one after the other, from when the first was due to be woken.
pub(crate) fn measure(sleeps: usize, pace: Pace) -> Histogram<u64> {
    let bells: Vec<Semaphore> = (0..sleeps).map(|_| Semaphore::unnamed(0)).collect();
    let bells = &bells;
    thread::scope(|scope| {
        for own in 0..sleeps - 1 {
            scope.spawn(move || {
                for _ in 0..pace.messages {
                    bells[own].wait();
                    bells[own + 1].post();
                }
            });
        }
        let end = scope.spawn(move || {
            let mut histogram = figures::histogram();
            for index in 0..pace.messages {
                bells[sleeps - 1].wait();
                let now = monotonic_ns();
                if index >= pace.warm_up {
                    histogram.saturating_record(now.saturating_sub(pace.due(index)).max(1));
                }
            }
            histogram
        });
        scope.spawn(move || {
            precise_timers();
            for index in 0..pace.messages {
                // After a signal the rest goes through at once: every thread has its number of them to pass on.
                if !interrupt::requested() {
                    pace.sleep_until(index);
                }
                bells[0].post();
            }
        });
        end.join().expect("a measurement does not panic")
    })
}

/// [`measure`], or the interruption by a signal.
pub(crate) fn checked(sleeps: usize, pace: Pace) -> Result<Histogram<u64>, Failure> {
    let histogram = measure(sleeps, pace);
    interrupt::check().map(|()| histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_but_the_warm_up_comes_through() {
        for sleeps in [1, 3] {
            let pace = Pace::new(2000, Duration::from_millis(10), 20);
            assert_eq!((pace.messages, pace.warm_up), (25, 5));
            assert_eq!(measure(sleeps, pace).len(), 20);
        }
    }

    #[test]
    fn nothing_is_sent_before_it_is_due() {
        let pace = Pace::new(1000, Duration::ZERO, 4);
        pace.sleep_until(3);
        assert!(monotonic_ns() >= pace.due(3));
        assert_eq!(pace.due(3) - pace.due(0), 3_000_000);
    }
}
