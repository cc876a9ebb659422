//! The simulator's world: one state of everything, and what can happen next in it.

use std::collections::VecDeque;
use std::fmt;

use crate::script::{Memory, MutexKind, Op, Program, item_parts};

use super::thread::{Stepped, Thread};
use super::world::{Fault, Locked, World};

/// Stores that a thread's buffer holds; one more pushes the oldest out.
const BUFFER_MAX: usize = 4;

/// Who moves: the choice that a scheduler has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A thread does its next instruction.
    Step(usize),
    /// The oldest store in a thread's buffer reaches memory.
    Flush(usize),
    /// A thread is killed where it stands.
    Kill(usize),
    /// Nobody can run: time passes for those who nap.
    Tick,
}

impl Actor {
    /// The thread that it is about.
    #[must_use]
    pub fn thread(self) -> Option<usize> {
        match self {
            Self::Step(thread) | Self::Flush(thread) | Self::Kill(thread) => Some(thread),
            Self::Tick => None,
        }
    }
}

/// What a step did, as far as others can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are indices, values and items")]
pub enum Happened {
    Nothing,
    Read {
        cell: usize,
        value: i32,
    },
    Wrote {
        cell: usize,
        value: i32,
    },
    /// An item was written; `over` is what the cell held before.
    Filled {
        cell: usize,
        item: i32,
        over: i32,
    },
    /// An item was taken, for the `times`th time.
    Drained {
        cell: usize,
        item: i32,
        times: u8,
    },
    Waited(usize),
    Posted(usize),
    Locked {
        mutex: usize,
        owner_died: bool,
    },
    Unlocked(usize),
    Claimed(usize),
    Slept,
    Awoke,
    /// `awake` if it slept, so that the wake-up was not lost.
    Woke {
        whom: usize,
        awake: bool,
    },
    Fenced,
    Napped(u32),
    Flushed {
        cell: usize,
        value: i32,
    },
    Killed,
    Ticked,
}

/// Why a thread cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is what it says, with its index")]
pub enum Blocked {
    Semaphore(usize),
    Mutex(usize),
    Cell(usize),
    Asleep,
    Death,
    Nap(u32),
    /// It could go on, but a thread of a higher priority runs.
    Priority,
}

/// Who has a mutex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The thread that holds it.
    pub thread: Option<u8>,
    /// It came from a holder that died, and was not made consistent yet.
    pub inconsistent: bool,
    /// It can never be locked again.
    pub lost: bool,
}

/// All that the threads share, and the books that the simulator keeps about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shared {
    /// What memory holds.
    pub cells: Vec<i32>,
    /// The semaphores' values.
    pub semaphores: Vec<i32>,
    /// The mutexes' holders.
    pub mutexes: Vec<Holder>,
    /// Stores of each thread that have not reached memory, oldest first.
    pub buffers: Vec<VecDeque<(usize, i32)>>,
    /// How often each item of each thread was taken.
    pub taken: Vec<Vec<u8>>,
    /// How many items of each thread lay below a tail that it had moved.
    pub published: Vec<u16>,
    naps: Vec<u32>,
    asleep: u16,
    dead: u16,
}

/// A state of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The threads.
    pub threads: Vec<Thread>,
    /// What they share.
    pub shared: Shared,
}

impl State {
    /// The state before anybody has moved.
    ///
    /// # Errors
    /// The thread that does something wrong before its first visible step, and what.
    pub fn new(program: &Program) -> Result<Self, (usize, Fault)> {
        let count = program.threads.len();
        let threads = (0..count).map(|who| Thread::new(program, who).map_err(|fault| (who, fault)));
        Ok(Self {
            threads: threads.collect::<Result<_, _>>()?,
            shared: Shared {
                cells: program.cells.iter().map(|cell| cell.initial).collect(),
                semaphores: program.semaphores.iter().map(|semaphore| semaphore.initial).collect(),
                mutexes: vec![Holder::default(); program.mutexes.len()],
                buffers: vec![VecDeque::new(); count],
                taken: vec![Vec::new(); count],
                published: vec![0; count],
                naps: vec![0; count],
                asleep: 0,
                dead: 0,
            },
        })
    }

    /// The instruction that a thread does next; `None` if it has ended or was killed.
    #[must_use]
    pub fn next_op<'p>(&self, program: &'p Program, who: usize) -> Option<&'p Op> {
        let op = &program.code(who).instructions[self.threads[who].at()].op;
        (*op != Op::End && !self.is_dead(who)).then_some(op)
    }

    /// Whether a thread was killed.
    #[must_use]
    pub fn is_dead(&self, who: usize) -> bool {
        self.shared.dead & 1 << who != 0
    }

    /// Whether a thread has come to its end.
    #[must_use]
    pub fn has_ended(&self, program: &Program, who: usize) -> bool {
        self.threads[who].has_ended(program, who)
    }

    /// What keeps a thread from its next instruction, priorities aside.
    #[must_use]
    pub fn blocked(&self, program: &Program, who: usize) -> Option<Blocked> {
        let op = self.next_op(program, who)?;
        if self.shared.naps[who] > 0 {
            return Some(Blocked::Nap(self.shared.naps[who]));
        }
        match *op {
            Op::Wait(semaphore) if self.shared.semaphores[semaphore] == 0 => {
                Some(Blocked::Semaphore(semaphore))
            }
            Op::Lock(mutex) => {
                let holder = self.shared.mutexes[mutex].thread?;
                let robust = program.mutexes[mutex].kind == MutexKind::Robust;
                let free = holder as usize == who || robust && self.is_dead(holder as usize);
                (!free).then_some(Blocked::Mutex(mutex))
            }
            Op::Claim(cell) => (self.shared.seen(who, cell) != 0).then_some(Blocked::Cell(cell)),
            Op::Asleep if self.shared.asleep & 1 << who != 0 => Some(Blocked::Asleep),
            Op::AwaitDeath if self.shared.dead == 0 => Some(Blocked::Death),
            _ => None,
        }
    }

    /// The priority that a thread runs at: its own, or that of whoever waits for a mutex that it holds, if the mutex
    /// hands priorities on.
    #[must_use]
    pub fn priority(&self, program: &Program, who: usize) -> u8 {
        // One round for each thread: priorities are handed on along chains.
        let mut priorities: Vec<u8> = program.threads.iter().map(|thread| thread.priority).collect();
        for _ in 0..priorities.len() {
            for waiter in 0..priorities.len() {
                let Some(Blocked::Mutex(mutex)) = self.blocked(program, waiter) else { continue };
                if program.mutexes[mutex].kind != MutexKind::Inherit {
                    continue;
                }
                if let Some(holder) = self.shared.mutexes[mutex].thread {
                    let holder = &mut priorities[holder as usize];
                    *holder = (*holder).max(program.threads[waiter].priority);
                }
            }
        }
        priorities[who]
    }

    /// Who can move now. `victim` may be killed, once.
    #[must_use]
    pub fn choices(&self, program: &Program, victim: Option<usize>) -> Vec<Actor> {
        let mut choices = Vec::new();
        let all = 0..program.threads.len();
        choices.extend(
            all.clone()
                .filter(|who| self.next_op(program, *who).is_some() && self.blocked(program, *who).is_none())
                .map(Actor::Step),
        );
        if program.has_priorities() {
            let priority = |actor: &Actor| actor.thread().map_or(0, |who| self.priority(program, who));
            let highest = choices.iter().map(priority).max().unwrap_or(0);
            choices.retain(|actor| priority(actor) == highest);
        }
        if choices.is_empty() && all.clone().any(|who| self.shared.naps[who] > 0 && !self.is_dead(who)) {
            choices.push(Actor::Tick);
        }
        choices.extend(all.filter(|who| !self.shared.buffers[*who].is_empty()).map(Actor::Flush));
        if let Some(victim) =
            victim.filter(|victim| self.shared.dead == 0 && self.next_op(program, *victim).is_some())
        {
            choices.push(Actor::Kill(victim));
        }
        choices
    }

    /// What keeps a thread from moving now, priorities included.
    #[must_use]
    pub fn held_back(&self, program: &Program, who: usize) -> Option<Blocked> {
        self.next_op(program, who)?;
        self.blocked(program, who).or_else(|| {
            let waits = program.has_priorities() && !self.choices(program, None).contains(&Actor::Step(who));
            waits.then_some(Blocked::Priority)
        })
    }

    /// Lets `actor` move.
    ///
    /// # Errors
    /// What the thread did wrong.
    pub fn apply(&mut self, program: &Program, actor: Actor) -> Result<Happened, Fault> {
        match actor {
            Actor::Step(who) => {
                let mut sim = Sim { program, shared: &mut self.shared, put: 0, happened: Happened::Nothing };
                sim.put = self.threads[who].put;
                let stepped = self.threads[who].step(program, who, &mut sim)?;
                let happened = sim.happened;
                if stepped == Stepped::Done {
                    self.shared.pass_time(Some(who));
                }
                Ok(happened)
            }
            Actor::Flush(who) => Ok(match self.shared.flush_one(who) {
                Some((cell, value)) => Happened::Flushed { cell, value },
                None => Happened::Nothing,
            }),
            Actor::Kill(who) => {
                self.shared.dead |= 1 << who;
                Ok(Happened::Killed)
            }
            Actor::Tick => {
                self.shared.pass_time(None);
                Ok(Happened::Ticked)
            }
        }
    }

    /// Whether all who must have come to their end have.
    #[must_use]
    pub fn is_over(&self, program: &Program) -> bool {
        (0..program.threads.len())
            .all(|who| program.threads[who].service || self.is_dead(who) || self.has_ended(program, who))
    }

    /// The threads that wait on a semaphore.
    #[must_use]
    pub fn waiters(&self, program: &Program, semaphore: usize) -> Vec<usize> {
        let waits = |who: &usize| self.blocked(program, *who) == Some(Blocked::Semaphore(semaphore));
        (0..program.threads.len()).filter(waits).collect()
    }
}

impl Shared {
    /// What a thread sees in a cell: its own last store, or what memory holds.
    #[must_use]
    pub fn seen(&self, who: usize, cell: usize) -> i32 {
        let own = self.buffers[who].iter().rev().find(|(stored, _)| *stored == cell);
        own.map_or(self.cells[cell], |(_, value)| *value)
    }

    fn flush_one(&mut self, who: usize) -> Option<(usize, i32)> {
        let (cell, value) = self.buffers[who].pop_front()?;
        self.cells[cell] = value;
        Some((cell, value))
    }

    fn flush(&mut self, who: usize) {
        while self.flush_one(who).is_some() {}
    }

    fn pass_time(&mut self, who: Option<usize>) {
        for (napper, nap) in self.naps.iter_mut().enumerate() {
            if Some(napper) != who {
                *nap = nap.saturating_sub(1);
            }
        }
    }

    /// How often an item was taken.
    #[must_use]
    pub fn times_taken(&self, item: i32) -> u8 {
        let Some((thread, nth)) = item_parts(item) else { return 0 };
        self.taken.get(thread).and_then(|items| items.get(nth)).copied().unwrap_or(0)
    }
}

/// The simulator's world while one thread moves.
struct Sim<'a> {
    program: &'a Program,
    shared: &'a mut Shared,
    /// Items that the thread had put before this step.
    put: u16,
    happened: Happened,
}

impl Sim<'_> {
    fn keep(&mut self, who: usize, cell: usize, value: i32) {
        if self.program.memory == Memory::Sequential {
            self.shared.cells[cell] = value;
            return;
        }
        self.shared.buffers[who].push_back((cell, value));
        if self.shared.buffers[who].len() > BUFFER_MAX {
            self.shared.flush_one(who);
        }
    }

    fn holder_name(&self, mutex: usize) -> Option<String> {
        let holder = self.shared.mutexes[mutex].thread?;
        Some(self.program.threads[holder as usize].name.clone())
    }

    fn must_hold(&self, who: usize, mutex: usize) -> Result<(), Fault> {
        if self.shared.mutexes[mutex].thread == Some(who as u8) {
            return Ok(());
        }
        let name = self.program.mutexes[mutex].name.clone();
        Err(Fault::NotHolder { mutex: name, holder: self.holder_name(mutex) })
    }
}

impl World for Sim<'_> {
    fn load(&mut self, who: usize, cell: usize) -> i32 {
        let value = self.shared.seen(who, cell);
        self.happened = Happened::Read { cell, value };
        value
    }

    fn store(&mut self, who: usize, cell: usize, value: i32) {
        if cell == Program::TAIL {
            self.shared.published[who] = self.put;
        }
        self.happened = Happened::Wrote { cell, value };
        self.keep(who, cell, value);
    }

    fn fence(&mut self, who: usize) {
        self.shared.flush(who);
        self.happened = Happened::Fenced;
    }

    fn fill(&mut self, who: usize, cell: usize, item: i32) {
        self.happened = Happened::Filled { cell, item, over: self.shared.seen(who, cell) };
        self.shared.taken[who].push(0);
        self.keep(who, cell, item);
    }

    fn drain(&mut self, who: usize, cell: usize) -> Result<i32, Fault> {
        let item = self.shared.seen(who, cell);
        let times = item_parts(item)
            .and_then(|(thread, nth)| self.shared.taken.get_mut(thread)?.get_mut(nth))
            .map(|times| {
                *times = times.saturating_add(1);
                *times
            })
            .ok_or_else(|| Fault::NoItem { cell: self.program.cells[cell].name.clone() })?;
        self.happened = Happened::Drained { cell, item, times };
        Ok(item)
    }

    fn wait(&mut self, who: usize, semaphore: usize) -> bool {
        if self.shared.semaphores[semaphore] == 0 {
            return false;
        }
        self.shared.flush(who);
        self.shared.semaphores[semaphore] -= 1;
        self.happened = Happened::Waited(semaphore);
        true
    }

    fn post(&mut self, who: usize, semaphore: usize) {
        self.shared.flush(who);
        self.shared.semaphores[semaphore] += 1;
        self.happened = Happened::Posted(semaphore);
    }

    fn value(&mut self, _: usize, semaphore: usize) -> i32 {
        self.shared.semaphores[semaphore]
    }

    fn lock(&mut self, who: usize, mutex: usize) -> Result<Locked, Fault> {
        let dead = self.shared.dead;
        let robust = self.program.mutexes[mutex].kind == MutexKind::Robust;
        let holder = &mut self.shared.mutexes[mutex];
        if holder.lost {
            return Ok(Locked::Unrecoverable);
        }
        let owner_died = match holder.thread {
            None => false,
            Some(own) if own as usize == who => {
                return Err(Fault::Twice { mutex: self.program.mutexes[mutex].name.clone() });
            }
            Some(other) if robust && dead & 1 << other != 0 => true,
            Some(_) => return Ok(Locked::Busy),
        };
        holder.thread = Some(who as u8);
        holder.inconsistent |= owner_died;
        self.shared.flush(who);
        self.happened = Happened::Locked { mutex, owner_died };
        Ok(if owner_died { Locked::OwnerDied } else { Locked::Taken })
    }

    fn unlock(&mut self, who: usize, mutex: usize) -> Result<(), Fault> {
        self.must_hold(who, mutex)?;
        self.shared.flush(who);
        let holder = &mut self.shared.mutexes[mutex];
        holder.thread = None;
        holder.lost = holder.inconsistent;
        self.happened = Happened::Unlocked(mutex);
        Ok(())
    }

    fn consistent(&mut self, who: usize, mutex: usize) -> Result<(), Fault> {
        self.must_hold(who, mutex)?;
        self.shared.mutexes[mutex].inconsistent = false;
        Ok(())
    }

    fn claim(&mut self, who: usize, cell: usize) -> bool {
        if self.shared.seen(who, cell) != 0 {
            return false;
        }
        self.shared.flush(who);
        self.shared.cells[cell] = who as i32 + 1;
        self.happened = Happened::Claimed(cell);
        true
    }

    fn sleep(&mut self, who: usize) {
        self.shared.flush(who);
        self.shared.asleep |= 1 << who;
        self.happened = Happened::Slept;
    }

    fn asleep(&mut self, who: usize) -> bool {
        self.happened = Happened::Awoke;
        self.shared.asleep & 1 << who != 0
    }

    fn wake(&mut self, who: usize, whom: usize) {
        self.shared.flush(who);
        let awake = self.shared.asleep & 1 << whom != 0;
        self.shared.asleep &= !(1 << whom);
        self.happened = Happened::Woke { whom, awake };
    }

    fn nap(&mut self, who: usize, length: u32) {
        self.shared.naps[who] = length;
        self.happened = Happened::Napped(length);
    }

    fn is_dead(&mut self, _: usize, number: i32) -> bool {
        (1..=16).contains(&number) && self.shared.dead & 1 << (number - 1) != 0
    }

    fn any_dead(&mut self, _: usize) -> bool {
        self.shared.dead != 0
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Semaphore(_) => "waits for a token",
            Self::Mutex(_) => "waits for a mutex",
            Self::Cell(_) => "waits to claim",
            Self::Asleep => "sleeps",
            Self::Death => "waits for a death",
            Self::Nap(_) => "naps",
            Self::Priority => "waits for its turn",
        })
    }
}
