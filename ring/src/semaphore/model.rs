//! The semaphore of the models.

use core::time::Duration;
use loom::sync::{Condvar, Mutex};

/// A semaphore as loom sees it. Waits here have no time-out: a lost wake-up is then a deadlock, which loom
/// reports, and not something that the next look repairs.
#[derive(Debug)]
pub(crate) struct Semaphore {
    tokens: Mutex<u32>,
    changed: Condvar,
}

impl Semaphore {
    pub(crate) fn unnamed(value: u32) -> Self {
        Self { tokens: Mutex::new(value), changed: Condvar::new() }
    }

    pub(crate) fn post(&self) {
        *self.tokens.lock().unwrap() += 1;
        self.changed.notify_one();
    }

    pub(crate) fn wait(&self) {
        let mut tokens = self.tokens.lock().unwrap();
        while *tokens == 0 {
            tokens = self.changed.wait(tokens).unwrap();
        }
        *tokens -= 1;
    }

    pub(crate) fn try_wait(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap();
        let got = *tokens > 0;
        *tokens -= u32::from(got);
        got
    }

    pub(crate) fn value(&self) -> u32 {
        *self.tokens.lock().unwrap()
    }

    pub(crate) fn wait_timeout(&self, _: Duration) -> bool {
        self.wait();
        true
    }
}
