//! What a script must be made of, so that nobody passes by leaving the work out.

use crate::machine::{Actor, Happened};
use crate::rules::Violation;
use crate::script::{Memory, Op, Program};
use crate::search::Case;

/// A kind of thread that must be there.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// How many of it.
    pub copies: usize,
    /// Whether it is a service.
    pub service: bool,
    /// Its priority.
    pub priority: u8,
    /// Items that each of it puts, if it lives.
    pub items: u16,
}

/// What a script must be made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The ring's capacity.
    pub capacity: usize,
    /// The kinds of threads, in any order, and no others.
    pub kinds: &'static [Kind],
    /// How stores become visible.
    pub memory: Memory,
    /// Whether every thread must lock a mutex.
    pub locks: bool,
}

/// A check of one lab alone.
pub type Extra = fn(&Case<'_>) -> Option<Violation>;

pub(crate) fn shape_violation(what: String) -> Violation {
    Violation { rule: "shape", what, line: None, thread: None }
}

impl Shape {
    /// What is missing or too much.
    #[must_use]
    pub fn check(&self, program: &Program) -> Option<Violation> {
        if program.capacity != self.capacity {
            let (found, wanted) = (program.capacity, self.capacity);
            return Some(shape_violation(format!(
                "the ring has {found} cells; this lab is about one of {wanted}"
            )));
        }
        if program.memory != self.memory {
            let wanted = match self.memory {
                Memory::Sequential => "memory sequential",
                Memory::Buffered => "memory buffered",
            };
            return Some(shape_violation(format!("the memory was changed; this file is about `{wanted}`")));
        }
        for kind in self.kinds {
            let of_kind: Vec<_> = program.threads.iter().filter(|thread| thread.kind == kind.name).collect();
            if of_kind.len() != kind.copies {
                let what =
                    format!("{} threads `{}`, where {} must be", of_kind.len(), kind.name, kind.copies);
                return Some(shape_violation(what));
            }
            if of_kind.iter().any(|thread| thread.service != kind.service) {
                let word = if kind.service { "service" } else { "thread" };
                return Some(shape_violation(format!("`{}` must be a {word}", kind.name)));
            }
            if of_kind.iter().any(|thread| thread.priority != kind.priority) {
                let what = format!(
                    "`{}` must have priority {}: priorities must stay as they are",
                    kind.name, kind.priority
                );
                return Some(shape_violation(what));
            }
        }
        let known =
            |thread: &&crate::script::ThreadInfo| self.kinds.iter().all(|kind| kind.name != thread.kind);
        if let Some(other) = program.threads.iter().find(known) {
            return Some(shape_violation(format!("`{}` is a thread too many", other.name)));
        }
        if self.locks {
            let locks =
                |who: &usize| program.code(*who).instructions.iter().any(|i| matches!(i.op, Op::Lock(_)));
            if let Some(who) = (0..program.threads.len()).find(|who| !locks(who)) {
                let what = format!("{} never locks a mutex; keep the mutex", program.threads[who].name);
                return Some(shape_violation(what));
            }
        }
        None
    }

    /// A thread that ended with fewer or more items put than it must.
    #[must_use]
    pub fn quota(&self, program: &Program, who: usize, put: usize) -> Option<Violation> {
        let kind = self.kinds.iter().find(|kind| kind.name == program.threads[who].kind)?;
        (put != kind.items as usize).then(|| {
            shape_violation(format!(
                "{} put {put} items; its work is to put {}",
                program.threads[who].name, kind.items
            ))
        })
    }
}

/// Runs with all threads taking turns, a step each, and gives what happened to `see` with who did it.
pub(crate) fn in_turns(case: &Case<'_>, mut see: impl FnMut(&crate::machine::State, Actor, Happened)) {
    const STEPS_MAX: usize = 20_000;
    let Ok(mut state) = case.start() else { return };
    let count = case.program.threads.len();
    let mut turn = 0;
    for _ in 0..STEPS_MAX {
        let choices: Vec<Actor> =
            case.choices(&state).into_iter().filter(|actor| !matches!(actor, Actor::Kill(_))).collect();
        let next =
            (0..count).map(|ahead| Actor::Step((turn + ahead) % count)).find(|actor| choices.contains(actor));
        let Some(actor) = next.or_else(|| choices.first().copied()) else { return };
        if let Some(who) = actor.thread() {
            turn = who + 1;
        }
        let Ok(happened) = case.advance(&mut state, actor) else { return };
        see(&state, actor, happened);
    }
}

/// Lets the first thread run alone for as long as it can, and counts its posts.
pub(crate) fn posts_of_a_lonely_first(case: &Case<'_>) -> usize {
    const STEPS_MAX: usize = 20_000;
    let Ok(mut state) = case.start() else { return 0 };
    let mut posts = 0;
    for _ in 0..STEPS_MAX {
        if !case.choices(&state).contains(&Actor::Step(0)) {
            break;
        }
        match case.advance(&mut state, Actor::Step(0)) {
            Ok(Happened::Posted(_)) => posts += 1,
            Ok(_) => {}
            Err(_) => break,
        }
    }
    posts
}
