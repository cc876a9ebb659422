//! Loom models of the algorithm: every interleaving of a few threads, up to a bound of preemptions, with all that the
//! memory model allows each load to see.
//!
//! Sleeps have no time-out here ([`crate::semaphore`] under loom): a lost wake-up is a deadlock, which loom reports.
//! The consumer has no clock either: it passes over a claim as soon as it sees it, so every claim is one that the
//! grace may end at any moment.
//!
//! The asymmetric fence ([`crate::barrier`]) cannot be modelled: it is a compiler fence on the publisher's side and a
//! system call on the sleeper's that makes every other thread execute a full fence at whatever instruction it is at.
//! loom has no action of one thread that takes effect in another, and a compiler fence is nothing to it. The models have
//! the full fence on both sides, so they show where the two fences must stand; that the system call stands in for one of
//! them is the kernel's promise, and is put to the test by threads and by processes that sleep deeply
//! (`tests/stress.rs`, `tests/processes/barrier.rs`).
//!
//! A model proves little until it has caught a bug. Each therefore names [mutants](crate::sync::Mutant) that must make
//! it fail, and [`models_hold_and_every_mutant_is_caught`] sees to it that none is left out: every model is explored to
//! the end within its bound of preemptions, and a planted bug that is not found fails the run. So that this takes
//! seconds, a model is the smallest scene in which its bugs show: one slot or two, two threads where two will do. Which
//! bound is enough is shown by the mutants.

mod counting;
mod crash;
mod end;
mod handover;
mod hole;
mod mortal;
mod park;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::sync::{Mutant, plant};

/// One model and the planted bugs that it must catch.
struct Model {
    name: &'static str,
    preemptions: usize,
    /// How many times it is explored, each time with its number, from 0: the step at which somebody dies.
    variants: usize,
    catches: &'static [Mutant],
    body: fn(usize),
}

const MODELS: &[&[Model]] =
    &[handover::MODELS, park::MODELS, hole::MODELS, crash::MODELS, counting::MODELS, end::MODELS];

impl Model {
    /// Explores the model with a bug planted, or none. Panics with what loom found.
    fn explore(&self, mutant: Option<Mutant>) {
        plant(mutant);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(self.preemptions);
        builder.max_branches = 20_000;
        for variant in 0..self.variants {
            let body = self.body;
            builder.check(move || body(variant));
        }
    }

    /// What loom says to the planted bug; `None` if it finds nothing.
    fn verdict(&self, mutant: Mutant) -> Option<String> {
        // A thread of its own: after a failure loom leaves its thread-local state as it is.
        std::thread::scope(|scope| {
            let run = scope.spawn(|| catch_unwind(AssertUnwindSafe(|| self.explore(Some(mutant)))));
            let found = run.join().unwrap_or_else(Err).err()?;
            let text = found.downcast_ref::<String>().cloned();
            Some(
                text.or_else(|| found.downcast_ref::<&str>().map(|&text| text.to_owned()))
                    .unwrap_or_default(),
            )
        })
    }

    /// Explores the model to the end as it is, which must hold, and with each of its planted bugs. Returns those that it
    /// did not catch.
    fn hold_and_catch(&self) -> Vec<Mutant> {
        let since = Instant::now();
        self.explore(None);
        println!("{}: holds ({:.1?})", self.name, since.elapsed());
        let mut missed = Vec::new();
        for &mutant in self.catches {
            let since = Instant::now();
            // Running out of room is not a finding.
            match self.verdict(mutant).filter(|verdict| !verdict.contains("exceeded maximum")) {
                Some(verdict) => {
                    let verdict = verdict.lines().next().unwrap_or_default();
                    println!("{}: catches {mutant:?} ({:.1?}): {verdict}", self.name, since.elapsed());
                }
                None => missed.push(mutant),
            }
        }
        missed
    }
}

/// Every model holds, explored to the end; each catches every bug that is planted for it, and there is a model for each.
#[test]
fn models_hold_and_every_mutant_is_caught() {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // To work on one of them: HALYARD_LOOM_MODEL is a part of its name.
    let only = std::env::var("HALYARD_LOOM_MODEL").unwrap_or_default();
    let models: Vec<&Model> =
        MODELS.iter().copied().flatten().filter(|model| model.name.contains(&only)).collect();
    let planted: Vec<Mutant> = models.iter().flat_map(|model| model.catches.iter().copied()).collect();
    let nowhere: Vec<_> = Mutant::ALL.iter().filter(|mutant| !planted.contains(mutant)).collect();
    assert!(nowhere.is_empty() || !only.is_empty(), "no model is there for {nowhere:?}");
    // loom keeps to one thread: two explorations side by side are two threads that share nothing.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(model) = models.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = model.hold_and_catch();
                    missed.lock().unwrap().extend(found.into_iter().map(|mutant| (model.name, mutant)));
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    println!("{} models, {} planted bugs, planted {} times", models.len(), Mutant::ALL.len(), planted.len());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
