//! The labs themselves.

use super::advice::{self as on, Advice};
use super::shape::{Kind, Shape, in_turns, posts_of_a_lonely_first, shape_violation};
use super::{Answer, AnswerFile, Lab, ScriptTask};
use crate::machine::Happened;
use crate::rules::{Rule, Violation};
use crate::script::Memory;
use crate::search::Case;

/// A file of a lab, built into the program.
macro_rules! file {
    ($folder:literal, $name:literal) => {
        include_str!(concat!("../../labs/", $folder, "/", $name))
    };
}

/// A lab whose texts lie in its folder.
macro_rules! lab {
    ($number:literal, $folder:literal, $title:literal, $files:expr) => {
        Lab {
            number: $number,
            folder: $folder,
            title: $title,
            task: file!($folder, "task.md"),
            hints: file!($folder, "hints.md"),
            explanation: file!($folder, "explanation.md"),
            files: $files,
        }
    };
}

/// All labs, in order.
pub static LABS: &[Lab] = &[
    lab!(1, "01-unguarded-ring", "The unguarded ring", &[RING]),
    lab!(2, "02-bounded-buffer", "The bounded buffer", &[BUFFER]),
    lab!(3, "03-lost-wakeup", "The lost wake-up", &[FLAG, DOORBELL]),
    lab!(4, "04-wrong-order", "The wrong order", &[SCHEDULE, FIX, POSTS]),
    lab!(5, "05-kill-9", "kill -9", &[CRASH, ROBUST]),
    lab!(6, "06-convoy", "Convoy and priority", &[CONVOY, INVERSION]),
    lab!(7, "07-false-sharing", "False sharing", &[CURSORS]),
    lab!(8, "08-memory-ordering", "Memory ordering", &[ORDERED]),
    lab!(9, "09-backpressure", "Backpressure", &[SENDER]),
    lab!(10, "10-tails", "Tails", &[TAILS]),
];

/// The lab of that number.
#[must_use]
pub fn find(number: usize) -> Option<&'static Lab> {
    LABS.iter().find(|lab| lab.number == number)
}

const fn kind(name: &'static str, copies: usize, items: u16) -> Kind {
    Kind { name, copies, service: false, priority: 0, items }
}

const fn service(name: &'static str) -> Kind {
    Kind { name, copies: 1, service: true, priority: 0, items: 0 }
}

const fn advice(
    rules: &'static [&'static str],
    fits: fn(&crate::script::Program, &Violation) -> bool,
    text: &'static str,
) -> Advice {
    Advice { rules, fits, text }
}

const SAFE: &[Rule] = &[Rule::NoLoss, Rule::NoDouble, Rule::InBounds, Rule::AllArrive];

const RING: AnswerFile = AnswerFile {
    name: "ring.lab",
    starter: file!("01-unguarded-ring", "ring.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[("items", 2), ("total", 4)],
        given_real: &[("items", 4), ("total", 8)],
        shape: Shape {
            capacity: 8,
            kinds: &[kind("producer", 2, 2), kind("consumer", 1, 0)],
            memory: Memory::Sequential,
            locks: false,
        },
        rules: SAFE,
        victim: None,
        extra: None,
        real: true,
    }),
    advice: &[
        advice(
            &["deadlock", "livelock"],
            |program, violation| on::several_mutexes(program, violation) || on::one_mutex(program, violation),
            "every lock needs its unlock, on every way out: follow one producer line by line and see whether it still \
             holds the mutex when the other wants it, or when it ends.",
        ),
        advice(
            &[],
            on::several_mutexes,
            "a lock of one's own excludes nobody: both producers must lock the same mutex.",
        ),
        advice(
            &[],
            on::a_flag,
            "between seeing the flag down and raising it, the other producer can see it down as well: looking and \
             setting must be one step, and that is what a mutex is for.",
        ),
        advice(
            &["no-loss", "no-double", "all-arrive", "in-bounds"],
            on::one_mutex,
            "somebody let go of the lock in the middle, or never took it: reading tail, writing the cell and moving \
             tail belong together, in one lock ... unlock, for every producer.",
        ),
        advice(
            &[],
            on::nothing_guards,
            "two producers read the same tail, so they write the same cell: nothing keeps the second out while the \
             first is inside `put`.",
        ),
    ],
};

const TOKENS: &[Rule] =
    &[Rule::HonestTokens, Rule::Sum, Rule::InBounds, Rule::NoLoss, Rule::NoDouble, Rule::AllArrive];

const BUFFER: AnswerFile = AnswerFile {
    name: "buffer.lab",
    starter: file!("02-bounded-buffer", "buffer.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[("items", 2), ("total", 4)],
        given_real: &[("items", 500), ("total", 1000)],
        shape: Shape {
            capacity: 3,
            kinds: &[kind("producer", 2, 2), kind("consumer", 1, 0)],
            memory: Memory::Sequential,
            locks: false,
        },
        rules: TOKENS,
        victim: None,
        extra: None,
        real: true,
    }),
    advice: &[
        advice(
            &[],
            on::full_from_nothing,
            "`full` counts items, and at the start nothing has been put yet: the consumer would take from cells that \
             hold nothing.",
        ),
        advice(
            &[],
            on::too_many_tokens,
            "there are more tokens than cells: a producer would be let in while the ring is full, and write over an \
             item that nobody has taken.",
        ),
        advice(
            &[],
            on::too_few_tokens,
            "with fewer tokens than cells there are cells that nobody ever uses, and with none at all nobody can \
             begin. How many cells are free before anybody has put anything?",
        ),
        advice(
            &["deadlock", "sum"],
            on::nobody_posts_empty,
            "who takes an item out has freed a cell, and must give a token back for it: nobody posts `empty`, so \
             producers use their tokens up and stand.",
        ),
        advice(
            &["honest-tokens", "fault", "in-bounds"],
            on::always,
            "a token is a promise: post only after what it promises is there. `full` comes after the put, `empty` \
             after the take.",
        ),
        advice(
            &["deadlock"],
            on::always,
            "every `wait` takes a token that some other thread must give back: go through the pairs wait empty / post \
             empty and wait full / post full, and lock / unlock.",
        ),
        advice(
            &["no-loss", "no-double"],
            on::always,
            "the tokens keep producers from a full ring, but not from one another: the three steps of `put` still \
             need the mutex.",
        ),
    ],
};

const FLAG: AnswerFile = AnswerFile {
    name: "flag.lab",
    starter: file!("03-lost-wakeup", "flag.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[("items", 3), ("total", 3)],
        given_real: &[("items", 8), ("total", 8)],
        shape: Shape {
            capacity: 8,
            kinds: &[kind("producer", 1, 3), service("consumer")],
            memory: Memory::Sequential,
            locks: false,
        },
        rules: SAFE,
        victim: None,
        extra: None,
        real: true,
    }),
    advice: &[
        advice(
            &[],
            on::sleeps,
            "a wake that comes before the sleep is forgotten, and between the look and the sleep there is always room \
             for one. You need something that remembers: a semaphore counts its posts until somebody waits.",
        ),
        advice(
            &["livelock"],
            on::always,
            "the consumer never rests: it looks again and again, and burns a processor for it. It must wait for \
             something when nothing is there.",
        ),
        advice(
            &["fault", "in-bounds"],
            on::always,
            "post only after the item is there: a token that comes early lets the consumer take what was never put.",
        ),
        advice(
            &["all-arrive", "deadlock"],
            on::always,
            "every put needs its post, or the consumer sleeps beside it.",
        ),
    ],
};

const DOORBELL: AnswerFile = AnswerFile {
    name: "doorbell.lab",
    starter: file!("03-lost-wakeup", "doorbell.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[("items", 2), ("total", 2)],
        given_real: &[("items", 8), ("total", 8)],
        shape: Shape {
            capacity: 8,
            kinds: &[kind("producer", 1, 2), service("consumer")],
            memory: Memory::Buffered,
            locks: false,
        },
        rules: SAFE,
        victim: None,
        extra: Some(quiet_doorbell),
        real: true,
    }),
    advice: &[
        advice(
            &["doorbell"],
            on::always,
            "the producer posts although nobody waits. That is right, but not cheap: each post is a system call. Look \
             at `waiting` first, behind a fence.",
        ),
        advice(
            &["livelock"],
            on::no_wait,
            "the consumer never rests: it must wait on `ready` when it finds nothing.",
        ),
        advice(
            &["all-arrive"],
            on::one_fence,
            "both sides need a fence between their store and their look: producer: put, fence, look at waiting; \
             consumer: waiting = 1, fence, look at the ring. With one of them missing, that side looks before its \
             store has arrived, and both miss each other.",
        ),
        advice(
            &["all-arrive"],
            on::no_fence,
            "each side stores and then looks, and its store may still be in its buffer while it looks. Besides, an \
             item may come between the consumer's look and its announcement.",
        ),
        advice(
            &["all-arrive"],
            on::always,
            "look again after the announcement: an item that came between the first look and `waiting = 1` found \
             nobody waiting, so nobody posted.",
        ),
    ],
};

/// A producer that runs while nobody sleeps must not post.
fn quiet_doorbell(case: &Case<'_>) -> Option<Violation> {
    let posts = posts_of_a_lonely_first(case);
    (posts > 0).then(|| Violation {
        rule: "doorbell",
        what: format!(
            "the producer ran before the consumer had taken a single step, and posted {posts} times"
        ),
        line: None,
        thread: Some(0),
    })
}

const ORDER: &[(&str, i32)] = &[("items", 2), ("total", 2)];
const ORDER_REAL: &[(&str, i32)] = &[("items", 500), ("total", 500)];
const ORDER_SHAPE: Shape = Shape {
    capacity: 1,
    kinds: &[kind("producer", 1, 2), kind("consumer", 1, 0)],
    memory: Memory::Sequential,
    locks: true,
};

const SCHEDULE: AnswerFile = AnswerFile {
    name: "schedule.txt",
    starter: file!("04-wrong-order", "schedule.txt"),
    kind: Answer::Schedule { of: "bad.lab", source: file!("04-wrong-order", "bad.lab"), given: ORDER },
    advice: &[],
};

const ORDER_ADVICE: &[Advice] = &[
    advice(
        &["deadlock"],
        on::holds,
        "somebody waits for a token with the mutex in its hands, and the one who would post that token waits for the \
         mutex. Wait first, lock then: in both the producer and the consumer.",
    ),
    advice(
        &["shape"],
        |_, violation| violation.what.contains("mutex"),
        "with one producer and one consumer it would do without; this lab is about the order, so keep the mutex.",
    ),
    advice(
        &["posts-inside"],
        on::always,
        "in this file each post stands before the unlock: that is what you are to find out about.",
    ),
];

const FIX: AnswerFile = AnswerFile {
    name: "fix.lab",
    starter: file!("04-wrong-order", "fix.lab"),
    kind: Answer::Script(ScriptTask {
        given: ORDER,
        given_real: ORDER_REAL,
        shape: ORDER_SHAPE,
        rules: TOKENS,
        victim: None,
        extra: None,
        real: true,
    }),
    advice: ORDER_ADVICE,
};

const POSTS: AnswerFile = AnswerFile {
    name: "posts.lab",
    starter: file!("04-wrong-order", "posts.lab"),
    kind: Answer::Script(ScriptTask {
        given: ORDER,
        given_real: ORDER_REAL,
        shape: ORDER_SHAPE,
        rules: &[Rule::PostsInside, Rule::InBounds, Rule::NoLoss, Rule::NoDouble, Rule::AllArrive],
        victim: None,
        extra: None,
        real: true,
    }),
    advice: ORDER_ADVICE,
};

const CRASH: AnswerFile = AnswerFile {
    name: "crash.lab",
    starter: file!("05-kill-9", "crash.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[("items", 1), ("total", 3)],
        given_real: &[("items", 50), ("total", 150)],
        shape: Shape {
            capacity: 2,
            kinds: &[kind("producer", 3, 1), service("consumer"), service("keeper")],
            memory: Memory::Sequential,
            locks: false,
        },
        rules: SAFE,
        victim: Some("producer.1"),
        extra: None,
        real: true,
    }),
    advice: &[
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
    ],
};

const ROBUST: AnswerFile = AnswerFile {
    name: "robust.lab",
    starter: file!("05-kill-9", "robust.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[("items", 1), ("total", 2)],
        given_real: &[("items", 4), ("total", 8)],
        shape: Shape {
            capacity: 8,
            kinds: &[kind("producer", 2, 1), service("consumer"), service("keeper")],
            memory: Memory::Sequential,
            locks: false,
        },
        rules: SAFE,
        victim: Some("producer.1"),
        extra: None,
        real: true,
    }),
    advice: &[
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
    ],
};

const CONVOY: AnswerFile = AnswerFile {
    name: "convoy.lab",
    starter: file!("06-convoy", "convoy.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[("items", 1), ("total", 3)],
        given_real: &[("items", 2), ("total", 6)],
        shape: Shape {
            capacity: 8,
            kinds: &[kind("producer", 3, 1), kind("consumer", 1, 0)],
            memory: Memory::Sequential,
            locks: false,
        },
        rules: &[Rule::AwakeHolder, Rule::NoLoss, Rule::NoDouble, Rule::InBounds, Rule::AllArrive],
        victim: None,
        extra: Some(all_nap),
        real: true,
    }),
    advice: &[
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
    ],
};

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

const INVERSION: AnswerFile = AnswerFile {
    name: "inversion.lab",
    starter: file!("06-convoy", "inversion.lab"),
    kind: Answer::Script(ScriptTask {
        given: &[],
        given_real: &[],
        shape: Shape {
            capacity: 8,
            kinds: &[
                Kind { name: "low", copies: 1, service: false, priority: 1, items: 1 },
                Kind { name: "middle", copies: 1, service: false, priority: 2, items: 0 },
                Kind { name: "high", copies: 1, service: false, priority: 3, items: 1 },
            ],
            memory: Memory::Sequential,
            locks: false,
        },
        rules: &[Rule::NoInversion, Rule::NoLoss, Rule::InBounds],
        victim: None,
        extra: Some(middle_works),
        real: false,
    }),
    advice: &[
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
    ],
};

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

const CURSORS: AnswerFile = AnswerFile {
    name: "cursors.rs",
    starter: file!("07-false-sharing", "cursors.rs"),
    kind: Answer::Rust { harness: file!("07-false-sharing", "harness.rs") },
    advice: &[],
};

const ORDERED: AnswerFile = AnswerFile {
    name: "ring.rs",
    starter: file!("08-memory-ordering", "ring.rs"),
    kind: Answer::Rust { harness: file!("08-memory-ordering", "harness.rs") },
    advice: &[],
};

const SENDER: AnswerFile = AnswerFile {
    name: "sender.rs",
    starter: file!("09-backpressure", "sender.rs"),
    kind: Answer::Rust { harness: file!("09-backpressure", "harness.rs") },
    advice: &[],
};

const TAILS: AnswerFile = AnswerFile {
    name: "tails.rs",
    starter: file!("10-tails", "tails.rs"),
    kind: Answer::Rust { harness: file!("10-tails", "harness.rs") },
    advice: &[],
};
