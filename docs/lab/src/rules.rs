//! What a lab promises about a run, checked after every step and at the end. The student's script states none of it.

use crate::machine::{Actor, Blocked, Happened, State};
use crate::script::{Op, Pos, Program, item_name};

/// A promise. Deadlock, and what a thread must never do (a [`Fault`](crate::machine::Fault)), are checked always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// No item is written over before it was taken.
    NoLoss,
    /// No item is taken twice.
    NoDouble,
    /// Between head and tail lie no fewer than 0 and no more than `capacity` items.
    InBounds,
    /// `full` promises no item that is not there, `empty` no cell that is not free.
    HonestTokens,
    /// empty + full + tokens in hand = capacity, with no token in hand before the start and after the end.
    Sum,
    /// In the end every item was taken, once: all of those who lived, and of the dead those below a tail they moved.
    AllArrive,
    /// Nobody naps with a mutex locked.
    AwakeHolder,
    /// While a thread waits for a mutex, nobody of a lower priority runs but the holder.
    NoInversion,
    /// Every post is done with the mutex locked.
    PostsInside,
}

impl Rule {
    /// The name that graders see.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::NoLoss => "no-loss",
            Self::NoDouble => "no-double",
            Self::InBounds => "in-bounds",
            Self::HonestTokens => "honest-tokens",
            Self::Sum => "sum",
            Self::AllArrive => "all-arrive",
            Self::AwakeHolder => "awake-holder",
            Self::NoInversion => "no-inversion",
            Self::PostsInside => "posts-inside",
        }
    }

    /// The promise, in words.
    #[must_use]
    pub fn promise(self) -> &'static str {
        match self {
            Self::NoLoss => "no item is written over before it was taken",
            Self::NoDouble => "no item is taken twice",
            Self::InBounds => "0 <= tail - head <= capacity, at every step",
            Self::HonestTokens => "full <= items in the ring, and empty <= free cells, at every step",
            Self::Sum => {
                "empty + full + tokens in hand = capacity, at every step; none in hand at start and end"
            }
            Self::AllArrive => "in the end every item has arrived, once",
            Self::AwakeHolder => "nobody naps while it holds the mutex",
            Self::NoInversion => "while a thread waits for the mutex, nobody less urgent runs but its holder",
            Self::PostsInside => "every post is done before the unlock",
        }
    }

    fn broken(self, at: Option<(Pos, usize)>, what: String) -> Violation {
        Violation { rule: self.id(), what, line: at.map(|(pos, _)| pos.line), thread: at.map(|(_, who)| who) }
    }
}

/// What was violated, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name, or `deadlock`, `livelock`, `fault`, `shape`.
    pub rule: &'static str,
    /// What happened, in a sentence.
    pub what: String,
    /// The line of the script that did it, if one did.
    pub line: Option<u32>,
    /// The thread that did it, if one did.
    pub thread: Option<usize>,
}

/// Checks the state that all start from.
#[must_use]
pub fn at_start(program: &Program, rules: &[Rule], state: &State) -> Option<Violation> {
    rules.iter().find_map(|rule| match rule {
        Rule::Sum => tokens(program, state).and_then(|(empty, full)| {
            let capacity = program.capacity as i32;
            (empty + full != capacity).then(|| {
                let what = format!(
                    "at the start nobody has a token in hand, but empty + full = {empty} + {full} = {}, \
                     and the ring has {capacity} cells",
                    empty + full
                );
                rule.broken(None, what)
            })
        }),
        Rule::InBounds | Rule::HonestTokens => rule.in_state(program, state, None),
        _ => None,
    })
}

/// Checks a step and the state that it led to.
#[must_use]
pub fn at_step(
    program: &Program,
    rules: &[Rule],
    state: &State,
    at: Option<(Pos, usize)>,
    happened: Happened,
) -> Option<Violation> {
    rules.iter().find_map(|rule| rule.at_step(program, state, at, happened))
}

/// Checks a state in which nothing can happen any more: how it all ended.
#[must_use]
pub fn at_end(program: &Program, rules: &[Rule], state: &State) -> Option<Violation> {
    if !state.is_over(program) {
        return Some(Violation { rule: "deadlock", what: stuck(program, state), line: None, thread: None });
    }
    rules.iter().find_map(|rule| match rule {
        Rule::AllArrive => missing(program, state).map(|what| rule.broken(None, what)),
        Rule::Sum => tokens(program, state).and_then(|(empty, full)| {
            let hand = program.capacity as i32 - empty - full;
            (hand != 0).then(|| {
                let what = format!(
                    "all have ended, but empty + full = {empty} + {full}, and the ring has {} cells: \
                     {} tokens were taken and never given back",
                    program.capacity, hand
                );
                rule.broken(None, what)
            })
        }),
        _ => None,
    })
}

impl Rule {
    fn at_step(
        self,
        program: &Program,
        state: &State,
        at: Option<(Pos, usize)>,
        happened: Happened,
    ) -> Option<Violation> {
        let name = |who: usize| program.threads[who].name.as_str();
        match (self, happened) {
            (Self::NoLoss, Happened::Filled { cell, item, over }) => {
                let (victim, nth) = crate::script::item_parts(over)?;
                let gone = state.is_dead(victim) && nth >= state.shared.published[victim] as usize;
                if state.shared.times_taken(over) > 0 || gone {
                    return None;
                }
                let (_, who) = at?;
                let what = format!(
                    "{} writes {} over {} in {}, which nobody has taken: {} is lost",
                    name(who),
                    item_name(item),
                    item_name(over),
                    program.cells[cell].name,
                    item_name(over)
                );
                Some(self.broken(at, what))
            }
            (Self::NoDouble, Happened::Drained { cell, item, times }) if times > 1 => {
                let what = format!(
                    "{} takes {} out of {} for the second time",
                    name(at?.1),
                    item_name(item),
                    program.cells[cell].name
                );
                Some(self.broken(at, what))
            }
            (Self::AwakeHolder, Happened::Napped(length)) => {
                let (_, who) = at?;
                let held = state.shared.mutexes.iter().position(|holder| holder.thread == Some(who as u8))?;
                let what = format!(
                    "{} naps for {length} steps with {} locked; everyone else must wait for it",
                    name(who),
                    program.mutexes[held].name
                );
                Some(self.broken(at, what))
            }
            (Self::PostsInside, Happened::Posted(semaphore)) => {
                let (_, who) = at?;
                let inside = state.shared.mutexes.iter().any(|holder| holder.thread == Some(who as u8));
                (!inside).then(|| {
                    let what = format!(
                        "{} posts {} with no mutex locked; in this file the posts come before the unlock",
                        name(who),
                        program.semaphores[semaphore].name
                    );
                    self.broken(at, what)
                })
            }
            (Self::NoInversion, _) => {
                let (_, who) = at?;
                let own = program.threads[who].priority;
                (0..program.threads.len()).find_map(|waiter| {
                    let Some(Blocked::Mutex(mutex)) = state.blocked(program, waiter) else { return None };
                    let holder = state.shared.mutexes[mutex].thread? as usize;
                    let urgent = program.threads[waiter].priority;
                    (urgent > own && holder != who).then(|| {
                        let what = format!(
                            "{} (priority {own}) runs, while {} (priority {urgent}) waits for {}, which {} holds and \
                             cannot give back, because {} is in its way",
                            name(who),
                            name(waiter),
                            program.mutexes[mutex].name,
                            name(holder),
                            name(who)
                        );
                        self.broken(at, what)
                    })
                })
            }
            (Self::InBounds | Self::HonestTokens | Self::Sum, _) => self.in_state(program, state, at),
            _ => None,
        }
    }

    /// Rules about a state, whatever led to it.
    fn in_state(self, program: &Program, state: &State, at: Option<(Pos, usize)>) -> Option<Violation> {
        let capacity = program.capacity as i32;
        let held = items_held(state);
        match self {
            Self::InBounds if held < 0 => {
                let what = format!(
                    "head is {} and tail is {}: more was taken than was put",
                    state.shared.cells[Program::HEAD],
                    state.shared.cells[Program::TAIL]
                );
                Some(self.broken(at, what))
            }
            Self::InBounds if held > capacity => {
                let what = format!("{held} items are in a ring of {capacity} cells");
                Some(self.broken(at, what))
            }
            Self::HonestTokens => {
                let (empty, full) = tokens(program, state)?;
                let free = capacity - held;
                if full > held {
                    let what = format!("full = {full} promises {full} items, but {held} are in the ring");
                    return Some(self.broken(at, what));
                }
                (empty > free).then(|| {
                    let what = format!("empty = {empty} promises {empty} free cells, but {free} are free");
                    self.broken(at, what)
                })
            }
            Self::Sum => {
                let (empty, full) = tokens(program, state)?;
                (empty + full > capacity).then(|| {
                    let what = format!(
                        "empty + full = {empty} + {full} = {}, but the ring has {capacity} cells: a token came from \
                         nowhere",
                        empty + full
                    );
                    self.broken(at, what)
                })
            }
            _ => None,
        }
    }
}

/// Items between head and tail, as memory has them.
#[must_use]
pub fn items_held(state: &State) -> i32 {
    state.shared.cells[Program::TAIL].wrapping_sub(state.shared.cells[Program::HEAD])
}

/// The values of the semaphores `empty` and `full`, where the script has both.
fn tokens(program: &Program, state: &State) -> Option<(i32, i32)> {
    let value = |name| program.semaphore(name).map(|index| state.shared.semaphores[index]);
    Some((value("empty")?, value("full")?))
}

/// Which items have not arrived as they should, if any.
fn missing(program: &Program, state: &State) -> Option<String> {
    let mut lost = Vec::new();
    let mut doubled = Vec::new();
    for (who, thread) in state.threads.iter().enumerate() {
        let due = if state.is_dead(who) { state.shared.published[who] as usize } else { thread.items_put() };
        for nth in 0..thread.items_put() {
            let item = crate::script::item(who, nth);
            match state.shared.times_taken(item) {
                0 if nth < due => lost.push(item_name(item)),
                0 | 1 => {}
                times => doubled.push(format!("{} came {times} times", item_name(item))),
            }
        }
    }
    let held = items_held(state);
    if lost.is_empty() && doubled.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    if !lost.is_empty() {
        let count = if lost.len() == 1 { "1 item".to_owned() } else { format!("{} items", lost.len()) };
        parts.push(format!("{count} never arrived: {}", lost.join(", ")));
        if held > 0 {
            parts.push(format!(
                "head is {held} behind tail, so {held} still {} in the ring",
                if held == 1 { "lies" } else { "lie" }
            ));
            let sleepers = waiting_services(program, state);
            if !sleepers.is_empty() {
                parts.push(format!("{} beside it", sleepers.join(" and ")));
            }
        }
    }
    parts.extend(doubled);
    Some(parts.join("; "))
}

fn waiting_services(program: &Program, state: &State) -> Vec<String> {
    (0..program.threads.len())
        .filter(|who| program.threads[*who].service)
        .filter_map(|who| state.blocked(program, who).map(|blocked| waits(program, state, who, blocked)))
        .collect()
}

/// What each thread that has not ended waits for.
#[must_use]
pub fn stuck(program: &Program, state: &State) -> String {
    let waiting: Vec<String> = (0..program.threads.len())
        .filter_map(|who| state.blocked(program, who).map(|blocked| waits(program, state, who, blocked)))
        .collect();
    format!("nobody can go on: {}", waiting.join("; "))
}

/// What one thread waits for, in words.
#[must_use]
pub fn waits(program: &Program, state: &State, who: usize, blocked: Blocked) -> String {
    let name = |who: usize| program.threads[who].name.clone();
    let holding: Vec<String> = program
        .mutexes
        .iter()
        .zip(&state.shared.mutexes)
        .filter(|(_, holder)| holder.thread == Some(who as u8))
        .map(|(mutex, _)| mutex.name.clone())
        .collect();
    let held = if holding.is_empty() { String::new() } else { format!(" and holds {}", holding.join(", ")) };
    let rest = match blocked {
        Blocked::Semaphore(index) => {
            format!("waits for a post on {} (value 0)", program.semaphores[index].name)
        }
        Blocked::Mutex(index) => {
            let holder = state.shared.mutexes[index].thread.map(usize::from);
            let holder = holder.map_or_else(String::new, |holder| {
                let dead = if state.is_dead(holder) { ", which is dead," } else { "" };
                let ended = if state.has_ended(program, holder) { ", which has ended," } else { "" };
                format!(", which {}{dead}{ended} holds", name(holder))
            });
            format!("waits for {}{holder}", program.mutexes[index].name)
        }
        Blocked::Cell(cell) => {
            let owner = state.shared.cells[cell];
            let owner = usize::try_from(owner - 1).ok().filter(|owner| *owner < program.threads.len());
            let owner = owner.map_or_else(String::new, |owner| {
                let dead = if state.is_dead(owner) { ", which is dead" } else { "" };
                format!(", which has {}'s number{dead}", name(owner))
            });
            format!("waits for {} to become 0{owner}", program.cells[cell].name)
        }
        Blocked::Asleep => "sleeps until somebody wakes it".to_owned(),
        Blocked::Death => "waits for a death".to_owned(),
        Blocked::Nap(left) => format!("naps for {left} more steps"),
        Blocked::Priority => "waits for its turn".to_owned(),
    };
    format!("{} {rest}{held}", name(who))
}

/// Where the thread of an actor stands: the statement that it does next.
#[must_use]
pub fn place(program: &Program, state: &State, actor: Actor) -> Option<(Pos, usize)> {
    let Actor::Step(who) = actor else { return None };
    let instruction = &program.code(who).instructions[state.threads[who].at()];
    (instruction.op != Op::End).then_some((instruction.at, who))
}
