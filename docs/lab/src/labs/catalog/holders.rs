//! Labs 5 and 6: who holds a lock and dies, sleeps or does not get to run.

use super::{PLAIN, SCRIPT, advice, kind, on, service};
use crate::labs::shape::{Kind, Shape, in_turns, shape_violation};
use crate::labs::{Advice, ScriptTask};
use crate::machine::Happened;
use crate::rules::{Rule, Violation};
use crate::search::Case;

pub(super) const CRASH: ScriptTask = ScriptTask {
    given: &[("items", 1), ("total", 3)],
    given_real: &[("items", 50), ("total", 150)],
    shape: Shape {
        capacity: 2,
        kinds: &[kind("producer", 3, 1), service("consumer"), service("keeper")],
        ..PLAIN
    },
    victim: Some("producer.1"),
    ..SCRIPT
};

pub(super) const CRASH_ADVICE: &[Advice] = &[
    advice(
        &["deadlock", "all-arrive", "livelock"],
        on::signs_afterwards,
        "between taking the lock and writing its name down, a process can die, and then nobody knows who held it. \
             The name must be written in the step that takes the lock: `claim owner`.",
    ),
    advice(
        &["deadlock", "all-arrive"],
        |program, violation| !on::has_claims(program, violation) && program.cell("owner").is_none(),
        "a semaphore does not know who holds it, so nobody can tell whether the dead one did. Take the lock with \
             `claim owner`, and let the keeper ask `dead(owner)`.",
    ),
    advice(
        &["no-loss", "no-double", "in-bounds", "fault"],
        on::never_asks_who_died,
        "the keeper breaks the lock whoever has it: here it belonged to a living owner, who was in the middle of \
             its steps. Ask `dead(owner)` first.",
    ),
    advice(
        &["deadlock", "all-arrive"],
        on::waits_for_claim,
        "the lock still has the dead one's number: the keeper must give it back (owner = 0) if `dead(owner)`.",
    ),
    advice(
        &["deadlock", "all-arrive"],
        on::keeper_never_posts,
        "the dead one took a token along: after `wait empty` a free cell has no token, and after moving tail, \
             before `post full`, an item has none. The keeper must post for it.",
    ),
    advice(
        &["fault", "in-bounds", "no-double", "no-loss"],
        on::keeper_posts,
        "the keeper cannot know whether the token was lost, so one may be too many. Whoever waited must look at \
             head and tail afterwards, and go back to waiting if it was nothing.",
    ),
    advice(
        &["deadlock", "all-arrive"],
        on::always,
        "some token is still missing after a death: go through the producer's steps, and ask for each what is \
             gone if it dies just after it.",
    ),
];

pub(super) const ROBUST: ScriptTask = ScriptTask {
    given: &[("items", 1), ("total", 2)],
    given_real: &[("items", 4), ("total", 8)],
    shape: Shape {
        capacity: 8,
        kinds: &[kind("producer", 2, 1), service("consumer"), service("keeper")],
        ..PLAIN
    },
    victim: Some("producer.1"),
    ..SCRIPT
};

pub(super) const ROBUST_ADVICE: &[Advice] = &[
    advice(
        &[],
        on::a_plain_mutex,
        "a plain mutex stays locked when its holder dies, for ever: declare it robust (mutex m robust), and the \
             next locker is told.",
    ),
    advice(
        &["fault", "deadlock", "all-arrive"],
        on::never_consistent,
        "who is told of a death (`ownerdead`) must put the state right and say `consistent m` before it unlocks; \
             otherwise nobody can lock it again (ENOTRECOVERABLE).",
    ),
    advice(
        &["all-arrive"],
        on::always,
        "a tail that has moved may lack its post: whoever finds `ownerdead` posts `full` once more, which does no \
             harm where it was not needed; and the keeper must lock once, in case nobody else does.",
    ),
];

pub(super) const CONVOY: ScriptTask = ScriptTask {
    given: &[("items", 1), ("total", 3)],
    given_real: &[("items", 2), ("total", 6)],
    shape: Shape { capacity: 8, kinds: &[kind("producer", 3, 1), kind("consumer", 1, 0)], ..PLAIN },
    rules: &[Rule::AwakeHolder, Rule::NoLoss, Rule::NoDouble, Rule::InBounds, Rule::AllArrive],
    extra: Some(all_nap),
    ..SCRIPT
};

pub(super) const CONVOY_ADVICE: &[Advice] = &[
    advice(
        &["awake-holder"],
        on::always,
        "what takes long must not be done with the lock held: the others queue up behind it, and go on in step \
             long after. Do it before the lock, where it keeps nobody waiting.",
    ),
    advice(
        &["naps"],
        on::always,
        "each producer must still nap 4 for each item: the work stays, only its place may change.",
    ),
    advice(
        &["no-loss", "no-double", "all-arrive", "fault"],
        on::always,
        "the three steps of `put` belong together, and only the mutex keeps the other producers out.",
    ),
];

/// Every producer naps 4 for each item.
fn all_nap(case: &Case<'_>) -> Option<Violation> {
    let mut naps = vec![0; case.program.threads.len()];
    in_turns(case, |_, actor, happened| {
        if let (Some(who), Happened::Napped(length)) = (actor.thread(), happened) {
            naps[who] += length;
        }
    });
    let lazy = |who: &usize| case.program.threads[*who].kind == "producer" && naps[*who] != 4;
    (0..naps.len()).find(lazy).map(|who| Violation {
        rule: "naps",
        what: format!(
            "{} napped for {} steps for its item, not 4",
            case.program.threads[who].name, naps[who]
        ),
        line: None,
        thread: Some(who),
    })
}

pub(super) const INVERSION: ScriptTask = ScriptTask {
    given: &[],
    given_real: &[],
    shape: Shape {
        capacity: 8,
        kinds: &[
            Kind { name: "low", copies: 1, service: false, priority: 1, items: 1 },
            Kind { name: "middle", copies: 1, service: false, priority: 2, items: 0 },
            Kind { name: "high", copies: 1, service: false, priority: 3, items: 1 },
        ],
        ..PLAIN
    },
    rules: &[Rule::NoInversion, Rule::NoLoss, Rule::InBounds],
    extra: Some(middle_works),
    real: false,
    ..SCRIPT
};

pub(super) const INVERSION_ADVICE: &[Advice] = &[
    advice(
        &["no-inversion"],
        on::no_mutex,
        "a semaphore has no owner, so the system cannot know whose priority to raise: this is what a mutex has \
             and a semaphore has not. (mutex m inherit)",
    ),
    advice(
        &["no-inversion"],
        on::always,
        "`low` holds the mutex and does not get to run, because `middle` is more urgent. The mutex must lend the \
             waiter's priority to its holder: mutex m inherit (PTHREAD_PRIO_INHERIT).",
    ),
    advice(
        &["shape", "middle"],
        on::always,
        "the threads, their priorities and their work must stay as they are: only the mutex may change.",
    ),
    advice(&["no-loss"], on::always, "`low` and `high` both put: the mutex must guard both."),
];

/// The mutex is one, and `middle` does its work: two naps and four rounds.
fn middle_works(case: &Case<'_>) -> Option<Violation> {
    if case.program.mutexes.is_empty() {
        let what = "there is no mutex: whoever waits for `m` waits on something that nobody owns".to_owned();
        return Some(Violation { rule: "no-inversion", what, line: None, thread: None });
    }
    let work = case.program.cell("work");
    let mut done = 0;
    let mut naps = 0;
    in_turns(case, |state, _, happened| {
        done = work.map_or(0, |cell| state.shared.cells[cell]);
        naps += usize::from(happened == Happened::Napped(2));
    });
    (done != 4 || naps != 2).then(|| {
        let violation =
            shape_violation(format!("`middle` counted `work` to {done}, not 4, or a nap of 2 is gone"));
        Violation { rule: "middle", ..violation }
    })
}
