//! The simulator's world: what each step of a thread does to what they share.

use crate::script::{Memory, MutexKind, Program, item_parts};

use super::moves::Happened;
use super::shared::Shared;
use super::world::{Fault, Locked, World};

/// Stores that a thread's buffer holds; one more pushes the oldest out.
const BUFFER_MAX: usize = 4;

/// The simulator's world while one thread moves.
pub(super) struct Sim<'a> {
    pub(super) program: &'a Program,
    pub(super) shared: &'a mut Shared,
    /// Items that the thread had put before this step.
    pub(super) put: u16,
    pub(super) happened: Happened,
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
