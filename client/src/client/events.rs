//! The bounded queue between the receiver thread and the program.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::RecvError;
use crate::event::{Event, Loss};

/// Events for the program. A program that does not read them loses the newest and is told how many: the receiver
/// thread itself never waits, since it must go on taking answers.
pub(crate) struct Events {
    inner: Mutex<Inner>,
    ready: Condvar,
    max: usize,
}

struct Inner {
    queue: VecDeque<Event>,
    /// Thrown away since the last event that went in.
    overrun: u64,
    closed: Option<Loss>,
}

impl Events {
    pub(crate) fn new(max: usize) -> Self {
        let inner = Inner { queue: VecDeque::new(), overrun: 0, closed: None };
        Self { inner: Mutex::new(inner), ready: Condvar::new(), max }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, event: Event) {
        let mut inner = self.lock();
        if inner.queue.len() >= self.max {
            inner.overrun += 1;
            return;
        }
        Self::append(&mut inner, event);
        drop(inner);
        self.ready.notify_one();
    }

    /// For what a program must not miss, and of which there is little.
    pub(crate) fn push_always(&self, event: Event) {
        Self::append(&mut self.lock(), event);
        self.ready.notify_one();
    }

    fn append(inner: &mut Inner, event: Event) {
        let overrun = std::mem::take(&mut inner.overrun);
        if overrun > 0 {
            inner.queue.push_back(Event::Overrun(overrun));
        }
        inner.queue.push_back(event);
    }

    /// No event will come any more. What is in the queue is still delivered.
    pub(crate) fn close(&self, loss: Loss) {
        self.lock().closed.get_or_insert(loss);
        self.ready.notify_all();
    }

    pub(crate) fn pop(&self, timeout: Option<Duration>) -> Result<Option<Event>, RecvError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut inner = self.lock();
        loop {
            if let Some(event) = inner.queue.pop_front() {
                return Ok(Some(event));
            }
            if inner.overrun > 0 {
                return Ok(Some(Event::Overrun(std::mem::take(&mut inner.overrun))));
            }
            if let Some(loss) = inner.closed {
                return Err(RecvError::Over(loss));
            }
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            inner = match left {
                Some(Duration::ZERO) => return Ok(None),
                Some(left) => self.ready.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.ready.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_where_it_is_missing() {
        let events = Events::new(2);
        for n in 1..=5 {
            events.push(Event::Overrun(n * 100));
        }
        let pop = || events.pop(Some(Duration::ZERO)).unwrap();
        assert_eq!(pop(), Some(Event::Overrun(100)));
        events.push_always(Event::Disconnected(Loss::Closed));
        assert_eq!(pop(), Some(Event::Overrun(200)));
        assert_eq!(pop(), Some(Event::Overrun(3)));
        assert_eq!(pop(), Some(Event::Disconnected(Loss::Closed)));
        assert_eq!(pop(), None);
        events.close(Loss::Closed);
        assert_eq!(events.pop(None), Err(RecvError::Over(Loss::Closed)));
    }

    #[test]
    fn a_reader_that_sleeps_is_woken() {
        let events = Events::new(2);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (events.pop(None), events.pop(None)));
            events.push(Event::Overrun(1));
            events.close(Loss::ServerDied);
            let (first, second) = reader.join().unwrap();
            assert_eq!(first, Ok(Some(Event::Overrun(1))));
            assert_eq!(second, Err(RecvError::Over(Loss::ServerDied)));
        });
    }
}
