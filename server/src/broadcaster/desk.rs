//! [`Desk`]: a broadcaster behind the [`Handover`] between its thread and the router.

use std::sync::Arc;

use halyard_ring::{Consumer, PopError, Ring};

use super::{Broadcaster, IDLE, POLL};
use crate::handover::{Handover, Inbox, Taken, Tried, Work};
use crate::job::{Job, Op};

/// One broadcaster's desk.
pub(crate) struct Desk {
    work: Handover<Broadcaster>,
    inbox: Ring<Job>,
}

/// Closes the inbox when the thread ends, however it ends: the router must not wait for a dead broadcaster.
struct CloseOnDrop(Ring<Job>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Desk {
    pub(crate) fn new(state: Broadcaster, inbox: Ring<Job>) -> Arc<Self> {
        Arc::new(Self { work: Handover::new(state), inbox })
    }

    /// For the router: does the job now if the broadcaster is idle; `sent` is how many jobs the router has put into the
    /// inbox.
    #[inline]
    pub(crate) fn try_work(&self, job: &mut Job, sent: u64) -> Tried {
        self.work.try_work(job, sent, || self.inbox.nudge())
    }

    /// For the router: does what was put off.
    #[inline]
    pub(crate) fn flush(&self) {
        self.work.flush(|| self.inbox.nudge());
    }

    /// The broadcaster's thread: works until [`Op::Stop`].
    pub(crate) fn run(&self, mut consumer: Consumer<Job>) {
        let _close = CloseOnDrop(self.inbox.clone());
        self.work.run(&mut consumer, &mut Job::empty());
    }
}

impl Inbox for Consumer<Job> {
    type Job = Job;

    fn take(&mut self, job: &mut Job) -> Taken {
        loop {
            match self.try_pop_prefix(job, Job::used_from_prefix) {
                Ok(()) => return Taken::Job,
                Err(PopError::Corrupt(_)) => self.skip_damaged(),
                // The router is gone, with or without a Stop.
                Err(PopError::Closed) => return Taken::Closed,
                Err(_) => return Taken::Nothing,
            }
        }
    }

    fn wait(&mut self, looked_after: bool) {
        let waited = Self::wait(self, if looked_after { POLL } else { IDLE });
        if waited == Err(PopError::Closed) {
            // Only clients that are slow to take their last records are left.
            std::thread::sleep(POLL);
        }
    }
}

impl Work for Broadcaster {
    type Job = Job;

    fn is_of_router(job: &Job) -> bool {
        job.op() != Some(Op::Verdict)
    }

    fn work(&mut self, job: &mut Job) {
        self.carry_out(job);
    }

    fn has_put_off(&self) -> bool {
        !self.batch.is_empty()
    }

    fn flush(&mut self) {
        self.deliver_batch();
    }

    fn has_waiting(&self) -> bool {
        self.has_something_waiting()
    }

    fn after_jobs(&mut self, jobs: usize, closed: bool) -> Option<bool> {
        self.stopping |= closed;
        if jobs > 0 {
            self.counters().jobs.add(jobs as u64);
        }
        let waits = self.look_after_the_waiting(jobs == 0);
        let is_over = self.stopping && jobs == 0 && self.closing.is_empty();
        // One that stops waits for its clients only, and not for long.
        (!is_over).then_some(waits || self.stopping)
    }
}
