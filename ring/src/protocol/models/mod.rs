//! Loom models of the algorithm: every interleaving of a few threads, up to a bound of preemptions, with all that the
//! memory model allows each load to see.
//!
//! Sleeps have no time-out here ([`crate::semaphore`] under loom): a lost wake-up is a deadlock, which loom reports.
//! The consumer has no clock either: it passes over a claim as soon as it sees it, so every claim is one that the
//! grace may end at any moment.
//!
//! A model proves little until it has caught a bug. Each therefore names [mutants](crate::sync::Mutant) that must make
//! it fail, and [`models_hold_and_every_mutant_is_caught`] sees to it that none is left out. The bound on preemptions is 3 unless the
//! model says otherwise; which is enough is shown by the mutants.

mod crash;
mod end;
mod handover;
mod hole;
mod park;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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

const MODELS: &[&[Model]] = &[handover::MODELS, park::MODELS, hole::MODELS, crash::MODELS, end::MODELS];

/// How long one exploration may take, seconds: `HALYARD_LOOM_SECONDS`, 3 by default; three times that with a
/// planted bug. What is meant to hold is explored as far as the time goes, and says if that was not to the end.
fn limit() -> Duration {
    let seconds = std::env::var("HALYARD_LOOM_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

impl Model {
    /// Explores the model with a bug planted, or none. Panics with what loom found.
    fn explore(&self, mutant: Option<Mutant>) {
        plant(mutant);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(self.preemptions);
        builder.max_branches = 20_000;
        builder.max_duration = Some(if mutant.is_some() { 3 * limit() } else { limit() });
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

    /// Explores the model as it is, which must hold, and with each of its planted bugs. Returns those that it caught.
    fn hold_and_catch(&self) -> Vec<Mutant> {
        let since = std::time::Instant::now();
        self.explore(None);
        let cut = if since.elapsed() >= limit() { ", some of it cut off by the limit" } else { "" };
        println!("{}: holds ({:.1?}{cut})", self.name, since.elapsed());
        let mut caught = Vec::new();
        for &mutant in self.catches {
            let since = std::time::Instant::now();
            // Running out of room is not a finding.
            let verdict = self.verdict(mutant).filter(|verdict| !verdict.contains("exceeded maximum"));
            let Some(verdict) = verdict else {
                println!("{}: {mutant:?} not caught within the limit ({:.1?})", self.name, since.elapsed());
                continue;
            };
            let verdict = verdict.lines().next().unwrap_or_default();
            println!("{}: catches {mutant:?} ({:.1?}): {verdict}", self.name, since.elapsed());
            caught.push(mutant);
        }
        caught
    }
}

/// Planted bugs that no model is known to catch within the time that a run has. Open work, and named as such.
const OPEN: &[Mutant] = &[
    Mutant::NoSpaceWake,
    Mutant::NoQuarantine,
    Mutant::RelaxedAbandon,
    Mutant::RelaxedReturn,
    Mutant::RelaxedHole,
    Mutant::TrustHead,
    Mutant::ForgetSleepers,
];

/// Every model holds, and every planted bug but the [`OPEN`] ones is caught by a model.
#[test]
fn models_hold_and_every_mutant_is_caught() {
    let (next, caught) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let models: Vec<&Model> = MODELS.iter().copied().flatten().collect();
    // loom keeps to one thread: two explorations side by side are two threads that share nothing.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(model) = models.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = model.hold_and_catch();
                    caught.lock().unwrap().extend(found);
                }
            });
        }
    });
    let caught = caught.into_inner().unwrap();
    let missed: Vec<_> = Mutant::ALL.iter().filter(|mutant| !caught.contains(mutant)).collect();
    println!("{} models, {} planted bugs, {missed:?} not caught", models.len(), Mutant::ALL.len());
    let missed: Vec<_> = missed.into_iter().filter(|mutant| !OPEN.contains(mutant)).collect();
    assert!(missed.is_empty(), "no model catches {missed:?}");
}
