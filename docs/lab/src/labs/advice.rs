//! What to say to answers that are often given, so that the message points the right way.

use crate::rules::Violation;
use crate::script::{MutexKind, Op, Program};

/// A sentence for violations of some kind, in scripts of some kind.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// The rules that it is for; empty: any.
    pub rules: &'static [&'static str],
    /// Whether it fits this script and this violation.
    pub fits: fn(&Program, &Violation) -> bool,
    /// What to say.
    pub text: &'static str,
}

impl Advice {
    /// The first that fits.
    #[must_use]
    pub fn of(advice: &'static [Self], program: &Program, violation: &Violation) -> &'static str {
        let fits = |advice: &&Self| {
            (advice.rules.is_empty() || advice.rules.contains(&violation.rule))
                && (advice.fits)(program, violation)
        };
        advice.iter().find(fits).map_or("", |advice| advice.text)
    }
}

pub(super) fn always(_: &Program, _: &Violation) -> bool {
    true
}

fn any_op(program: &Program, test: impl Fn(&Op) -> bool) -> bool {
    program.codes.iter().any(|code| code.instructions.iter().any(|instruction| test(&instruction.op)))
}

pub(super) fn several_mutexes(program: &Program, _: &Violation) -> bool {
    program.mutexes.len() > 1
}

pub(super) fn one_mutex(program: &Program, _: &Violation) -> bool {
    program.mutexes.len() == 1
}

pub(super) fn a_flag(program: &Program, _: &Violation) -> bool {
    program.mutexes.is_empty() && program.cells.len() > 2 + program.capacity
}

pub(super) fn nothing_guards(program: &Program, _: &Violation) -> bool {
    program.mutexes.is_empty() && !any_op(program, |op| matches!(op, Op::Wait(_)))
}

pub(super) fn holds(_: &Program, violation: &Violation) -> bool {
    violation.what.contains("holds")
}

/// The first value of a semaphore, or -1.
fn initial(program: &Program, name: &str) -> i32 {
    program.semaphore(name).map_or(-1, |index| program.semaphores[index].initial)
}

pub(super) fn full_from_nothing(program: &Program, _: &Violation) -> bool {
    initial(program, "full") > 0
}

pub(super) fn too_few_tokens(program: &Program, _: &Violation) -> bool {
    initial(program, "empty") + initial(program, "full") < program.capacity as i32
}

pub(super) fn too_many_tokens(program: &Program, _: &Violation) -> bool {
    initial(program, "empty") + initial(program, "full") > program.capacity as i32
}

pub(super) fn nobody_posts_empty(program: &Program, _: &Violation) -> bool {
    program.semaphore("empty").is_some_and(|empty| !any_op(program, |op| *op == Op::Post(empty)))
}

pub(super) fn sleeps(program: &Program, _: &Violation) -> bool {
    any_op(program, |op| *op == Op::Sleep)
}

pub(super) fn no_wait(program: &Program, _: &Violation) -> bool {
    !any_op(program, |op| matches!(op, Op::Wait(_) | Op::Asleep))
}

/// How many kinds of threads have a fence.
fn fences(program: &Program) -> usize {
    let fenced = |code: &&crate::script::Code| code.instructions.iter().any(|i| i.op == Op::Fence);
    program.codes.iter().filter(fenced).count()
}

pub(super) fn no_fence(program: &Program, _: &Violation) -> bool {
    fences(program) == 0
}

pub(super) fn one_fence(program: &Program, _: &Violation) -> bool {
    fences(program) == 1
}

pub(super) fn a_plain_mutex(program: &Program, _: &Violation) -> bool {
    program.mutexes.iter().any(|mutex| mutex.kind == MutexKind::Plain)
}

pub(super) fn signs_afterwards(program: &Program, _: &Violation) -> bool {
    program.cell("owner").is_some() && !any_op(program, |op| matches!(op, Op::Claim(_)))
}

pub(super) fn has_claims(program: &Program, _: &Violation) -> bool {
    any_op(program, |op| matches!(op, Op::Claim(_)))
}

pub(super) fn asks_who_died(program: &Program, _: &Violation) -> bool {
    any_op(program, |op| matches!(op, Op::Dead(..)))
}

pub(super) fn never_asks_who_died(program: &Program, violation: &Violation) -> bool {
    has_claims(program, violation) && !asks_who_died(program, violation)
}

pub(super) fn waits_for_claim(_: &Program, violation: &Violation) -> bool {
    violation.what.contains("to become 0")
}

pub(super) fn keeper_posts(program: &Program, _: &Violation) -> bool {
    let keeper = program.threads.iter().find(|thread| thread.kind == "keeper");
    keeper.is_some_and(|keeper| {
        program.codes[keeper.code]
            .instructions
            .iter()
            .any(|instruction| matches!(instruction.op, Op::Post(_)))
    })
}

pub(super) fn keeper_never_posts(program: &Program, violation: &Violation) -> bool {
    !keeper_posts(program, violation)
}

pub(super) fn never_consistent(program: &Program, _: &Violation) -> bool {
    !any_op(program, |op| matches!(op, Op::Consistent(_)))
}

pub(super) fn no_mutex(program: &Program, _: &Violation) -> bool {
    program.mutexes.is_empty()
}
