//! The bare relay: a token that goes round a ring of threads through cache lines, each thread waiting for it in the
//! way that is being measured. No ring buffer, no records, no server: the least that a chain of that many threads
//! which wait like this can take on this machine, and so the floor under a chat message's way.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use crossbeam_utils::CachePadded;
use halyard_ring::{Semaphore, Wait, cpus};
use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::place::pin;
use crate::timed;

/// How a thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Waiting {
    /// Look again at once, without a pause
    Spin,
    /// sched_yield
    Yield,
    /// Sleep on a semaphore at once
    Block,
    /// Spin where cores are to spare, yield for 50 µs, then sleep
    Adaptive,
}

impl Waiting {
    pub(crate) const ALL: [Self; 4] = [Self::Spin, Self::Yield, Self::Block, Self::Adaptive];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Yield => "yield",
            Self::Block => "block",
            Self::Adaptive => "adaptive",
        }
    }

    /// The same strategy of our rings.
    pub(crate) fn wait(self) -> Wait {
        match self {
            Self::Spin => Wait::spin(),
            Self::Yield => Wait::yielding(),
            Self::Block => Wait::block(),
            Self::Adaptive => Wait::adaptive(),
        }
    }
}

/// How long the adaptive relay yields before it sleeps: what [`Wait::adaptive`] does by default.
const YIELD_FOR: Duration = Duration::from_micros(50);
/// With this many processors the adaptive relay pauses for a moment before it yields, as [`Wait::adaptive`] does.
const CORES_TO_SPARE: usize = 4;
const SPINS: u32 = 256;

/// The token that ends a relay.
const STOP: u64 = u64::MAX;

/// Where one thread waits for the token.
#[derive(Debug)]
pub(crate) struct Station {
    token: CachePadded<AtomicU64>,
    sleeping: CachePadded<AtomicU32>,
    bell: Semaphore,
    waiting: Waiting,
    spins: u32,
}

impl Station {
    pub(crate) fn new(waiting: Waiting) -> Self {
        let spare = cpus().len() >= CORES_TO_SPARE;
        Self {
            token: CachePadded::new(AtomicU64::new(0)),
            sleeping: CachePadded::new(AtomicU32::new(0)),
            bell: Semaphore::unnamed(0),
            waiting,
            spins: if spare && waiting == Waiting::Adaptive { SPINS } else { 0 },
        }
    }

    /// Lays the token here and wakes the thread if it sleeps.
    #[inline]
    pub(crate) fn pass(&self, token: u64) {
        // Release: meets the Acquire in `look`, so that what the token stands for is seen with it.
        self.token.store(token, Ordering::Release);
        if matches!(self.waiting, Waiting::Block | Waiting::Adaptive) {
            // Pairs with the fence in `sleep`: either this thread sees the announcement or that one sees the token.
            fence(Ordering::SeqCst);
            if self.sleeping.load(Ordering::Relaxed) != 0 && self.sleeping.swap(0, Ordering::Relaxed) != 0 {
                self.bell.post();
            }
        }
    }

    fn look(&self, last: u64) -> Option<u64> {
        let token = self.token.load(Ordering::Acquire);
        (token != last).then_some(token)
    }

    /// Waits until another token than `last` lies here.
    #[inline]
    pub(crate) fn wait(&self, last: u64) -> u64 {
        let mut looks = 0u32;
        let mut since = None;
        loop {
            if let Some(token) = self.look(last) {
                return token;
            }
            looks += 1;
            match self.waiting {
                Waiting::Spin => std::hint::spin_loop(),
                Waiting::Yield => thread::yield_now(),
                Waiting::Block => self.sleep(last),
                Waiting::Adaptive if looks <= self.spins => std::hint::spin_loop(),
                Waiting::Adaptive => {
                    // The clock is read once in eight yields: reading it is not part of what is measured.
                    if looks.is_multiple_of(8)
                        && since.get_or_insert_with(Instant::now).elapsed() >= YIELD_FOR
                    {
                        self.sleep(last);
                    }
                    thread::yield_now();
                }
            }
        }
    }

    /// Announces that this thread sleeps, looks again, sleeps.
    fn sleep(&self, last: u64) {
        self.sleeping.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.look(last).is_none() {
            self.bell.wait();
        } else if self.sleeping.swap(0, Ordering::Relaxed) == 0 {
            // The other side was quicker and has posted: take the token, or the next sleep ends at once.
            self.bell.wait();
        }
    }
}

/// Measures whole rounds of a token through `threads` threads, thread `i` pinned to `pins[i % len]` (or not pinned,
/// if there are no pins).
pub(crate) fn measure(
    threads: usize,
    waiting: Waiting,
    pins: &[usize],
    time: Duration,
) -> Result<Histogram<u64>, Failure> {
    let stations: Vec<Station> = (0..threads).map(|_| Station::new(waiting)).collect();
    let stations = &stations;
    thread::scope(|scope| {
        for own in 1..threads {
            scope.spawn(move || {
                // A processor that is not there is found by the leader, whose errors are reported.
                let _ = pin(pins, own);
                let (mut token, next) = (0, &stations[(own + 1) % threads]);
                while token != STOP {
                    token = stations[own].wait(token);
                    next.pass(token);
                }
            });
        }
        let leader = scope.spawn(move || {
            let mut token = 0;
            let result = pin(pins, 0).and_then(|()| {
                timed::samples(time, || {
                    token += 1;
                    stations[1].pass(token);
                    stations[0].wait(token - 1);
                    Ok(())
                })
            });
            stations[1].pass(STOP);
            result
        });
        leader.join().expect("the leader does not panic")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_comes_round_under_every_strategy() {
        for waiting in Waiting::ALL {
            for threads in [2, 3] {
                let histogram = measure(threads, waiting, &[], Duration::from_millis(3)).unwrap();
                assert!(!histogram.is_empty(), "{waiting:?}");
                assert_eq!(waiting.wait().to_string(), waiting.name());
            }
        }
    }

    #[test]
    fn a_processor_that_is_not_there_is_an_error() {
        assert!(measure(2, Waiting::Yield, &[100_000], Duration::from_millis(1)).is_err());
    }
}
