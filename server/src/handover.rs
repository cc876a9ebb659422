//! [`Handover`]: a broadcaster's work goes back and forth between its own thread and the router.
//!
//! A message on its way from the router to an idle broadcaster waits for one more thread to wake up and take it, which
//! is most of what a lone message costs. So the router may do a broadcaster's work itself, on these conditions:
//!
//! - **D1, one at the desk.** Everything that a broadcaster owns (its clients' reply rings, their outlets, who is in
//!   which room) lies behind one lock. Whoever holds it is the broadcaster. So a reply ring has one writer at any time,
//!   and the lock hands on what the last one wrote.
//! - **D2, nothing overtakes.** The router does a job itself only while every job that it ever put into this inbox is
//!   done: it knows how many it has `sent`, and the thread says how many it has `done`, after the work and before it
//!   leaves the desk. A job that was popped and waits for the desk is not done. Only the router counts `sent`, so
//!   once the two are equal they stay so until the router itself sends again; the order of the router's jobs is the
//!   order in which they are done, whoever does them.
//! - **D3, nobody waits long at the desk.** Work waits for nothing but memory. The router only tries the lock, and queues
//!   the job as before where it does not get it. The thread waits for the job that the router has in hand, and for no
//!   second one when it comes with a job of the router's (D2). When it comes with another broadcaster's answer, or to
//!   look after what waits, the router may be quicker at the lock again, which is not fair: for as long as the router
//!   has one job after the other and the thread, awake, loses every race for it.
//! - **D4, nothing is left lying.** What a slow client did not take is looked after by the thread. When a job that the
//!   router did leaves something of that kind while the thread sleeps, the router nudges it.
//!
//! - **D5, nothing is put off for long.** Work may put a job off, to do it together with those that come next
//!   ([`Work::flush`]). Whoever is at the desk next goes on from there. The thread flushes before it leaves, and before it
//!   says that its jobs are done; the router before it sleeps, unless the thread is at the desk: then it came after the
//!   job that was put off, and flushes.
//!
//! Jobs from other broadcasters are not counted: they are answers, whose order among the router's jobs means nothing.
//!
//! This file is the algorithm alone, over any work and any inbox, so that loom explores it as it is (`models.rs`);
//! [`Desk`](crate::broadcaster::Desk) is it with both in place.

#[cfg(not(loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use std::sync::PoisonError;

use crossbeam_utils::CachePadded;
#[cfg(loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

#[cfg(all(test, loom))]
mod models;

/// What is done at the desk.
pub(crate) trait Work {
    /// What there is to do.
    type Job;

    /// Whether the router sent it (D2).
    fn is_of_router(job: &Self::Job) -> bool;

    /// Does it, after everything that was put off, or puts it off.
    fn work(&mut self, job: &mut Self::Job);

    /// Whether jobs are put off.
    fn has_put_off(&self) -> bool;

    /// Does what was put off.
    fn flush(&mut self);

    /// Whether something waits that the thread has to look after (D4).
    fn has_waiting(&self) -> bool;

    /// Looks after what waits, when the thread has done so many jobs; `closed`: no more will come. True if something
    /// still waits; `None` if this was the end.
    fn after_jobs(&mut self, jobs: usize, closed: bool) -> Option<bool>;
}

/// What became of a job that the router would do itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// Done.
    Done,
    /// Put off: to be [flushed](Handover::flush).
    PutOff,
    /// It has to be sent.
    Refused,
}

/// What came out of an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A job.
    Job,
    /// There is none now.
    Nothing,
    /// There is none and will be none.
    Closed,
}

/// The thread's end of an inbox.
pub(crate) trait Inbox {
    /// What comes.
    type Job;

    /// Takes the next job, if there is one.
    fn take(&mut self, job: &mut Self::Job) -> Taken;

    /// Sleeps until there is a job, a nudge or the end; only for a moment if something is to be `looked_after`.
    fn wait(&mut self, looked_after: bool);
}

/// Jobs done before other things are looked after.
const BATCH: usize = 64;

struct State<W> {
    work: W,
    /// Whether the thread looks after what waits, or has been told that it has to.
    attended: bool,
}

/// Work that two may do, never both at once.
pub(crate) struct Handover<W> {
    state: Mutex<State<W>>,
    /// How many of the router's jobs are done of those that came through the inbox (D2).
    done: CachePadded<AtomicU64>,
}

impl<W: Work> Handover<W> {
    pub(crate) fn new(work: W) -> Self {
        let state = Mutex::new(State { work, attended: false });
        Self { state, done: CachePadded::new(AtomicU64::new(0)) }
    }

    /// For the router: does the job now if that keeps the order (`sent` is how many jobs it has put into the inbox) and
    /// nobody is at the desk. `nudge` wakes the thread.
    #[inline]
    pub(crate) fn try_work(&self, job: &mut W::Job, sent: u64, nudge: impl FnOnce()) -> Tried {
        // Acquire, with the Release in `run`: those jobs' work is before this one's.
        if self.done.load(Ordering::Acquire) != sent && !planted(Mutant::Overtake) {
            return Tried::Refused;
        }
        // Poisoned: its thread has panicked, and closed the inbox, which the router finds when it sends.
        let Ok(mut state) = self.state.try_lock() else { return Tried::Refused };
        state.work.work(job);
        let tried = if state.work.has_put_off() { Tried::PutOff } else { Tried::Done };
        Self::leave(state, nudge);
        tried
    }

    /// For the router: does what was put off (D5). `nudge` wakes the thread.
    #[inline]
    pub(crate) fn flush(&self, nudge: impl FnOnce()) {
        let Ok(mut state) = self.state.try_lock() else { return };
        state.work.flush();
        Self::leave(state, nudge);
    }

    /// The router leaves the desk.
    #[inline]
    fn leave(mut state: MutexGuard<'_, State<W>>, nudge: impl FnOnce()) {
        if state.work.has_waiting() && !state.attended {
            // D4. Until the thread has been here once more, one nudge is enough.
            state.attended = true;
            drop(state);
            if !planted(Mutant::SilentRest) {
                nudge();
            }
        }
    }

    /// The thread's side: works until [`Work::after_jobs`] says that this was the end.
    pub(crate) fn run(&self, inbox: &mut impl Inbox<Job = W::Job>, job: &mut W::Job) {
        let mut of_router = 0;
        loop {
            let mut jobs = 0;
            let mut closed = false;
            // Taken with the first job of a batch, kept to its end.
            let mut state = None;
            while jobs < BATCH {
                match inbox.take(job) {
                    Taken::Job => {}
                    Taken::Nothing => break,
                    Taken::Closed => {
                        closed = true;
                        break;
                    }
                }
                jobs += 1;
                of_router += u64::from(W::is_of_router(job));
                if planted(Mutant::CountTaken) {
                    self.done.store(of_router, Ordering::Release);
                }
                state.get_or_insert_with(|| self.enter()).work.work(job);
            }
            let mut state = state.unwrap_or_else(|| self.enter());
            if !planted(Mutant::LeaveUnflushed) {
                state.work.flush();
            }
            let Some(waits) = state.work.after_jobs(jobs, closed) else { return };
            if !planted(Mutant::StayAttended) {
                state.attended = waits || planted(Mutant::AlwaysAttended);
            }
            // D2: after the work. The router cannot come in between, for the lock is still held.
            self.done.store(of_router, Ordering::Release);
            drop(state);
            if jobs < BATCH {
                inbox.wait(waits && !planted(Mutant::SleepOnIt));
            }
        }
    }

    /// The panic of a router is no reason to stop serving what it had sent.
    fn enter(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bugs that the models must catch. Outside loom [`planted`] is a constant `false` and costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// The router looks only whether the desk is free, not whether what it sent before is done.
    Overtake,
    /// A job counts as done when it is taken out of the inbox.
    CountTaken,
    /// The thread leaves what was put off to the router.
    LeaveUnflushed,
    /// The router tells nobody what its job left waiting.
    SilentRest,
    /// The thread looks after what waits and leaves the mark that it will.
    StayAttended,
    /// The thread says that it looks after what waits although nothing does, and it goes to sleep.
    AlwaysAttended,
    /// The thread sleeps without end although something still waits.
    SleepOnIt,
}

#[cfg(not(loom))]
#[inline(always)]
const fn planted(_: Mutant) -> bool {
    false
}

#[cfg(loom)]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether the model that runs on this thread has this bug planted (loom runs all of a model's threads on one).
#[cfg(loom)]
fn planted(mutant: Mutant) -> bool {
    PLANTED.with(|cell| cell.get() == Some(mutant))
}
