//! A state of everything in the simulator, and what can happen next in it.

use crate::script::{MutexKind, Op, Program};

use super::moves::{Actor, Blocked, Happened};
use super::shared::Shared;
use super::sim::Sim;
use super::thread::{Stepped, Thread};
use super::world::Fault;

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
        Ok(Self { threads: threads.collect::<Result<_, _>>()?, shared: Shared::new(program) })
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
