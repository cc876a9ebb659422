//! Loom models of the hand-over: every interleaving of the router and a broadcaster's thread, up to a bound of
//! preemptions. Sleeps have no time-out here: what nobody is woken for is a deadlock, which loom reports.
//!
//! Each model must catch the [mutants](super::Mutant) that are named with it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
// Not loom's: that one panics a second time when a deadlock unwinds.
use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::{Handover, Inbox, Mutant, PLANTED, Taken, Tried, Work};

/// A job that leaves something waiting.
const LEAVES: u64 = 100;
/// A job that leaves something waiting for which there is no room when it is looked after for the first time.
const STAYS: u64 = 200;
/// Jobs from this one on are put off.
const LATER: u64 = 300;

#[derive(Default)]
struct Log {
    done: Vec<u64>,
    put_off: Vec<u64>,
    /// How often what waits has to be looked after until it is gone.
    looks: usize,
    /// How many jobs left something that waits.
    left: usize,
    /// Tells the scene of each job of which nothing waits any more.
    looked: Option<Arc<Bell>>,
}

impl Work for Log {
    type Job = u64;

    fn is_of_router(_: &u64) -> bool {
        true
    }

    fn work(&mut self, job: &mut u64) {
        if *job >= LATER {
            return self.put_off.push(*job);
        }
        self.flush();
        self.done.push(*job);
        let looks = match *job {
            LEAVES => 1,
            STAYS => 2,
            _ => return,
        };
        self.looks = self.looks.max(looks);
        self.left += 1;
    }

    fn has_put_off(&self) -> bool {
        !self.put_off.is_empty()
    }

    fn flush(&mut self) {
        self.done.append(&mut self.put_off);
    }

    fn has_waiting(&self) -> bool {
        self.looks > 0
    }

    fn after_jobs(&mut self, jobs: usize, closed: bool) -> Option<bool> {
        self.looks = self.looks.saturating_sub(1);
        if self.looks == 0
            && self.left > 0
            && let Some(bell) = &self.looked
        {
            bell.ring(|looks| looks.nudges += std::mem::take(&mut self.left));
        }
        let waits = self.looks > 0;
        if closed && jobs == 0 && !waits { None } else { Some(waits) }
    }
}

/// What lies in the inbox.
#[derive(Default)]
struct Lying {
    jobs: VecDeque<u64>,
    nudges: usize,
    closed: bool,
}

struct Bell {
    lying: Mutex<Lying>,
    rung: Condvar,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self { lying: Mutex::new(Lying::default()), rung: Condvar::new() })
    }

    fn ring(&self, change: impl FnOnce(&mut Lying)) {
        change(&mut self.lying.lock().unwrap());
        self.rung.notify_one();
    }

    /// Sleeps until somebody rings; takes one nudge.
    fn sleep(&self) {
        let mut lying = self.lying.lock().unwrap();
        while lying.jobs.is_empty() && lying.nudges == 0 && !lying.closed {
            lying = self.rung.wait(lying).unwrap();
        }
        lying.nudges = lying.nudges.saturating_sub(1);
    }
}

struct End(Arc<Bell>);

impl Inbox for End {
    type Job = u64;

    fn take(&mut self, job: &mut u64) -> Taken {
        let mut lying = self.0.lying.lock().unwrap();
        match lying.jobs.pop_front() {
            Some(next) => {
                *job = next;
                Taken::Job
            }
            None if lying.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    fn wait(&mut self, looked_after: bool) {
        // With something to look after the sleep is short, whatever happens.
        if looked_after {
            thread::yield_now();
        } else {
            self.0.sleep();
        }
    }
}

/// The router's side: does each job or sends it; `after` each.
fn route(desk: &Handover<Log>, inbox: &Bell, jobs: &[u64], after: impl Fn()) {
    let mut sent = 0;
    let nudge = || inbox.ring(|lying| lying.nudges += 1);
    for &job in jobs {
        match desk.try_work(&mut job.clone(), sent, nudge) {
            Tried::Done => {}
            Tried::PutOff => desk.flush(nudge),
            Tried::Refused => {
                sent += 1;
                inbox.ring(|lying| lying.jobs.push_back(job));
            }
        }
        after();
    }
    inbox.ring(|lying| lying.closed = true);
}

/// Plays the scene; returns what was done.
fn play(log: Log, jobs: &'static [u64], after: impl Fn()) -> Vec<u64> {
    let (desk, inbox) = (Arc::new(Handover::new(log)), Bell::new());
    let broadcaster = {
        let (desk, inbox) = (Arc::clone(&desk), Arc::clone(&inbox));
        thread::spawn(move || desk.run(&mut End(inbox), &mut 0))
    };
    route(&desk, &inbox, jobs, after);
    broadcaster.join().unwrap();
    let state = desk.state.lock().unwrap();
    state.work.done.clone()
}

/// The same with a first job that is sent in any case. Nobody is nudged.
fn after_one_sent(jobs: &'static [u64]) -> Vec<u64> {
    let (desk, inbox) = (Arc::new(Handover::new(Log::default())), Bell::new());
    let broadcaster = {
        let (desk, inbox) = (Arc::clone(&desk), Arc::clone(&inbox));
        thread::spawn(move || desk.run(&mut End(inbox), &mut 0))
    };
    // As one is that is for more clients than the router delivers to.
    let (&first, rest) = jobs.split_first().unwrap();
    inbox.ring(|lying| lying.jobs.push_back(first));
    let mut sent = 1;
    let mut put_off = false;
    for &job in rest {
        match desk.try_work(&mut job.clone(), sent, || {}) {
            Tried::Done => {}
            Tried::PutOff => put_off = true,
            Tried::Refused => {
                sent += 1;
                inbox.ring(|lying| lying.jobs.push_back(job));
            }
        }
    }
    if put_off {
        desk.flush(|| {});
    }
    inbox.ring(|lying| lying.closed = true);
    broadcaster.join().unwrap();
    let state = desk.state.lock().unwrap();
    state.work.done.clone()
}

/// D2: whoever does them, jobs are done once and in their order.
fn in_order() {
    assert_eq!(play(Log::default(), &[1, 2], || {}), [1, 2]);
}

fn in_order_after_one_that_is_sent() {
    assert_eq!(after_one_sent(&[1, 2, 3]), [1, 2, 3]);
}

/// D4: what a job leaves waiting is looked after without anything else happening, each time.
fn nothing_left_lying() {
    let looked = Bell::new();
    let log = Log { looked: Some(Arc::clone(&looked)), ..Log::default() };
    assert_eq!(play(log, &[LEAVES, LEAVES], || looked.sleep()), [LEAVES, LEAVES]);
}

/// D4 again, for what is still there after the first look: the thread comes back by itself. Meanwhile the router's next
/// job may leave something, too, of which it need tell nobody.
fn nothing_left_lying_for_longer() {
    let looked = Bell::new();
    let log = Log { looked: Some(Arc::clone(&looked)), ..Log::default() };
    let sent = std::cell::Cell::new(0);
    let after = || {
        sent.set(sent.get() + 1);
        if sent.get() == 2 {
            looked.sleep();
            looked.sleep();
        }
    };
    assert_eq!(play(log, &[STAYS, LEAVES], after), [STAYS, LEAVES]);
}

/// D5: what is put off is done in its turn, whoever goes on from there.
fn put_off_and_done() {
    assert_eq!(after_one_sent(&[1, LATER, LATER + 1]), [1, LATER, LATER + 1]);
}

struct Model {
    name: &'static str,
    preemptions: usize,
    body: fn(),
    catches: &'static [Mutant],
}

const MODELS: &[Model] = &[
    Model { name: "jobs are done in order", preemptions: 3, body: in_order, catches: &[] },
    Model {
        name: "jobs are done in order after one that is sent",
        preemptions: 3,
        body: in_order_after_one_that_is_sent,
        catches: &[Mutant::Overtake, Mutant::CountTaken],
    },
    Model {
        name: "what is put off is done",
        preemptions: 3,
        body: put_off_and_done,
        catches: &[Mutant::Overtake, Mutant::LeaveUnflushed],
    },
    Model {
        name: "what a job leaves waiting is looked after",
        preemptions: 3,
        body: nothing_left_lying,
        catches: &[Mutant::SilentRest, Mutant::StayAttended, Mutant::AlwaysAttended],
    },
    Model {
        name: "what stays is looked after again",
        preemptions: 3,
        body: nothing_left_lying_for_longer,
        catches: &[Mutant::SilentRest, Mutant::AlwaysAttended, Mutant::SleepOnIt],
    },
];

fn explore(model: &Model, mutant: Option<Mutant>) {
    PLANTED.with(|cell| cell.set(mutant));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(model.preemptions);
    builder.max_branches = 20_000;
    builder.check(model.body);
}

/// Every model holds, explored to the end, and catches every bug that is planted for it.
#[test]
fn the_handover_holds_and_every_mutant_is_caught() {
    for model in MODELS {
        explore(model, None);
        println!("{}: holds", model.name);
        for &mutant in model.catches {
            // A thread of its own: after a failure loom leaves its thread-local state as it is.
            let found = std::thread::scope(|scope| {
                let run = scope.spawn(|| catch_unwind(AssertUnwindSafe(|| explore(model, Some(mutant)))));
                run.join().unwrap_or_else(Err).err()
            });
            let text = found.map(|found| {
                let text = found.downcast_ref::<String>().cloned();
                text.or_else(|| found.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
            });
            // Running out of room is not a finding.
            let verdict = text.filter(|text| !text.contains("exceeded maximum"));
            let verdict = verdict.unwrap_or_else(|| panic!("{}: {mutant:?} was not caught", model.name));
            println!("{}: catches {mutant:?}: {}", model.name, verdict.lines().next().unwrap_or_default());
        }
    }
}
