//! The labs themselves; here the list of all, and labs 1 to 4.

use super::advice::{self as on, Advice};
use super::shape::{Kind, Shape, posts_of_a_lonely_first};
use super::{Answer, AnswerFile, Lab, ScriptTask};
use crate::rules::{Rule, Violation};
use crate::script::Memory;
use crate::search::Case;

/// A file of a lab, built into the program.
macro_rules! file {
    ($folder:literal, $name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/labs/", $folder, "/", $name))
    };
}

/// A file that a student hands in: its name, which is also its starter's, and how it is judged.
macro_rules! answer {
    ($folder:literal script $name:literal $task:ident $advice:ident) => {
        answer!($folder $name Answer::Script($task), $advice)
    };
    ($folder:literal schedule $name:literal $of:literal $given:ident) => {
        answer!($folder $name Answer::Schedule { of: $of, source: file!($folder, $of), given: $given }, &[])
    };
    ($folder:literal rust $name:literal) => {
        answer!($folder $name Answer::Rust { harness: file!($folder, "harness.rs") }, &[])
    };
    ($folder:literal $name:literal $kind:expr, $advice:expr) => {
        AnswerFile { name: $name, starter: file!($folder, $name), kind: $kind, advice: $advice }
    };
}

/// A lab whose texts and files lie in its folder.
macro_rules! lab {
    ($number:literal, $folder:literal, $title:literal, $($kind:ident $name:literal ($($how:tt)*)),+) => {
        Lab {
            number: $number,
            folder: $folder,
            title: $title,
            task: file!($folder, "task.md"),
            hints: file!($folder, "hints.md"),
            explanation: file!($folder, "explanation.md"),
            files: &[$(answer!($folder $kind $name $($how)*)),+],
        }
    };
}

mod holders;

use holders::{
    CONVOY, CONVOY_ADVICE, CRASH, CRASH_ADVICE, INVERSION, INVERSION_ADVICE, ROBUST, ROBUST_ADVICE,
};

/// All labs, in order.
#[rustfmt::skip]
pub static LABS: &[Lab] = &[
    lab!(1, "01-unguarded-ring", "The unguarded ring", script "ring.lab" (RING RING_ADVICE)),
    lab!(2, "02-bounded-buffer", "The bounded buffer", script "buffer.lab" (BUFFER BUFFER_ADVICE)),
    lab!(3, "03-lost-wakeup", "The lost wake-up",
        script "flag.lab" (FLAG FLAG_ADVICE), script "doorbell.lab" (DOORBELL DOORBELL_ADVICE)),
    lab!(4, "04-wrong-order", "The wrong order",
        schedule "schedule.txt" ("bad.lab" ORDER), script "fix.lab" (FIX ORDER_ADVICE),
        script "posts.lab" (POSTS ORDER_ADVICE)),
    lab!(5, "05-kill-9", "kill -9",
        script "crash.lab" (CRASH CRASH_ADVICE), script "robust.lab" (ROBUST ROBUST_ADVICE)),
    lab!(6, "06-convoy", "Convoy and priority",
        script "convoy.lab" (CONVOY CONVOY_ADVICE), script "inversion.lab" (INVERSION INVERSION_ADVICE)),
    lab!(7, "07-false-sharing", "False sharing", rust "cursors.rs" ()),
    lab!(8, "08-memory-ordering", "Memory ordering", rust "ring.rs" ()),
    lab!(9, "09-backpressure", "Backpressure", rust "sender.rs" ()),
    lab!(10, "10-tails", "Tails", rust "tails.rs" ()),
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

/// What most scripts are made of: a ring of some cells, and nothing that must be locked.
const PLAIN: Shape = Shape { capacity: 8, kinds: &[], memory: Memory::Sequential, locks: false };

/// What holds for most scripts: nobody is killed, and real processes can run them.
const SCRIPT: ScriptTask = ScriptTask {
    given: &[],
    given_real: &[],
    shape: PLAIN,
    rules: SAFE,
    victim: None,
    extra: None,
    real: true,
};

const SAFE: &[Rule] = &[Rule::NoLoss, Rule::NoDouble, Rule::InBounds, Rule::AllArrive];

const RING: ScriptTask = ScriptTask {
    given: &[("items", 2), ("total", 4)],
    given_real: &[("items", 4), ("total", 8)],
    shape: Shape { capacity: 8, kinds: &[kind("producer", 2, 2), kind("consumer", 1, 0)], ..PLAIN },
    ..SCRIPT
};

const RING_ADVICE: &[Advice] = &[
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
];

const TOKENS: &[Rule] =
    &[Rule::HonestTokens, Rule::Sum, Rule::InBounds, Rule::NoLoss, Rule::NoDouble, Rule::AllArrive];

const BUFFER: ScriptTask = ScriptTask {
    given: &[("items", 2), ("total", 4)],
    given_real: &[("items", 500), ("total", 1000)],
    shape: Shape { capacity: 3, kinds: &[kind("producer", 2, 2), kind("consumer", 1, 0)], ..PLAIN },
    rules: TOKENS,
    ..SCRIPT
};

const BUFFER_ADVICE: &[Advice] = &[
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
];

const FLAG: ScriptTask = ScriptTask {
    given: &[("items", 3), ("total", 3)],
    given_real: &[("items", 8), ("total", 8)],
    shape: Shape { capacity: 8, kinds: &[kind("producer", 1, 3), service("consumer")], ..PLAIN },
    ..SCRIPT
};

const FLAG_ADVICE: &[Advice] = &[
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
];

const DOORBELL: ScriptTask = ScriptTask {
    given: &[("items", 2), ("total", 2)],
    given_real: &[("items", 8), ("total", 8)],
    shape: Shape {
        capacity: 8,
        kinds: &[kind("producer", 1, 2), service("consumer")],
        memory: Memory::Buffered,
        ..PLAIN
    },
    extra: Some(quiet_doorbell),
    ..SCRIPT
};

const DOORBELL_ADVICE: &[Advice] = &[
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
];

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

const FIX: ScriptTask =
    ScriptTask { given: ORDER, given_real: ORDER_REAL, shape: ORDER_SHAPE, rules: TOKENS, ..SCRIPT };

/// The same as `fix.lab`, but for the place of the posts.
const POSTS: ScriptTask = ScriptTask {
    given: ORDER,
    given_real: ORDER_REAL,
    shape: ORDER_SHAPE,
    rules: &[Rule::PostsInside, Rule::InBounds, Rule::NoLoss, Rule::NoDouble, Rule::AllArrive],
    ..SCRIPT
};
