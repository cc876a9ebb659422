//! [`Desk`]: what a broadcaster works on, and who may.
//!
//! A message on its way from the router to an idle broadcaster waits for one more thread to wake up and take it, which
//! is most of what a lone message costs. So the router may do a broadcaster's work itself, on one condition:
//!
//! - **D1, one at the desk.** Everything that a broadcaster owns (its clients' reply rings, their outlets, who is in
//!   which room) lies behind one lock. Whoever holds it is the broadcaster. So a reply ring has one writer at any time,
//!   and the lock hands on what the last one wrote.
//! - **D2, nothing overtakes.** The router does a job itself only while every job that it ever put into this inbox is
//!   done: it knows how many it has `sent`, and the thread says how many it has `done`, after the work and before it
//!   leaves the desk. A job that was popped and waits for the desk is not done. Only the router counts `sent`, so
//!   once the two are equal they stay so until the router itself sends again; the order of the router's jobs is the
//!   order in which they are done, whoever does them.
//! - **D3, nobody waits at the desk.** Work waits for nothing but memory. The router only tries the lock, and queues the
//!   job as before where it does not get it; the thread waits for the router's one job at most.
//! - **D4, nothing is left lying.** What a slow client did not take is looked after by the thread. When a job that the
//!   router did leaves something of that kind while the thread sleeps, the router nudges it.
//!
//! Jobs from other broadcasters are not counted: they are answers, whose order among the router's jobs means nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_utils::CachePadded;
use halyard_ring::{Consumer, PopError, Ring};

use super::{BATCH, Broadcaster, IDLE, POLL};
use crate::job::{Job, Op};

/// One broadcaster's desk.
pub(crate) struct Desk {
    state: Mutex<Broadcaster>,
    /// How many of the router's jobs are done of those that came through the inbox (D2).
    done: CachePadded<AtomicU64>,
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
        Arc::new(Self { state: Mutex::new(state), done: CachePadded::default(), inbox })
    }

    /// For the router: does the job now if that keeps the order (D2: `sent` is how many jobs it has put into the inbox)
    /// and nobody is at the desk. False if it has to be sent.
    pub(crate) fn try_work(&self, job: &mut Job, sent: u64) -> bool {
        // Acquire: the look for the lock comes after.
        if self.done.load(Ordering::Acquire) != sent {
            return false;
        }
        // Poisoned: its thread has panicked, and closed the inbox, which the router finds when it sends.
        let Ok(mut state) = self.state.try_lock() else { return false };
        state.work(job);
        state.counters().direct.add(1);
        if state.has_waiting() && !state.attended {
            // D4. Until the thread has been here once more, one nudge is enough.
            state.attended = true;
            drop(state);
            self.inbox.nudge();
        }
        true
    }

    /// The broadcaster's thread: works until [`Op::Stop`].
    pub(crate) fn run(&self, mut consumer: Consumer<Job>) {
        let _close = CloseOnDrop(self.inbox.clone());
        let mut job = Job::empty();
        let mut of_router = 0;
        loop {
            let mut done = 0;
            let mut closed = false;
            // Taken with the first job of a batch, kept to its end. The panic of a router is no reason to stop serving
            // what it had sent.
            let mut state = None;
            let at_desk = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
            while done < BATCH {
                match consumer.try_pop_prefix(&mut job, Job::used_from_prefix) {
                    Ok(()) => {
                        of_router += u64::from(job.op() != Some(Op::Verdict));
                        state.get_or_insert_with(at_desk).work(&mut job);
                    }
                    Err(PopError::Corrupt(_)) => consumer.skip_damaged(),
                    Err(PopError::Closed) => {
                        // The router is gone, with or without a Stop.
                        closed = true;
                        break;
                    }
                    Err(_) => break,
                }
                done += 1;
            }
            let mut state = state.unwrap_or_else(at_desk);
            state.stopping |= closed;
            if done > 0 {
                state.counters().jobs.add(done as u64);
            }
            let busy = state.look_after_the_waiting(done == 0);
            state.attended = busy;
            let stopping = state.stopping;
            if stopping && done == 0 && state.closing.is_empty() {
                return;
            }
            // D2: after the work. The router cannot come in between, for the lock is still held.
            self.done.store(of_router, Ordering::Release);
            drop(state);
            if done < BATCH {
                let waited = consumer.wait(if busy || stopping { POLL } else { IDLE });
                if waited == Err(PopError::Closed) {
                    // Only clients that are slow to take their last records are left.
                    std::thread::sleep(POLL);
                }
            }
        }
    }
}
