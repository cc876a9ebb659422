//! The world of real processes, as one of them sees it.
#![expect(unsafe_code, reason = "robust mutexes lie in the mapping")]

use std::io;
use std::sync::atomic::{AtomicI32, Ordering, fence};
use std::thread;
use std::time::Duration;

use halyard_ring::Semaphore;

use super::names::Names;
use super::region::{ITEMS_MAX, Region};
use super::robust::RobustMutex;
use crate::machine::{Fault, Locked, World};
use crate::script::{Memory, MutexKind, Program, item_parts};

/// What a process is doing, for those who want to know whether all are stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Running,
    Ended,
    Faulty,
    /// It went round and round until its steps were used up.
    Spent,
    Semaphore(u32),
    Mutex(u32),
    Cell(u32),
    Asleep,
    Death,
}

impl Doing {
    pub(crate) fn to_word(self) -> u32 {
        match self {
            Self::Running => 0,
            Self::Ended => 1,
            Self::Faulty => 2,
            Self::Spent => 3,
            Self::Asleep => 4,
            Self::Death => 5,
            Self::Semaphore(index) => 0x1_0000 + index,
            Self::Mutex(index) => 0x2_0000 + index,
            Self::Cell(index) => 0x3_0000 + index,
        }
    }

    pub(crate) fn from_word(word: u32) -> Self {
        match (word >> 16, word & 0xffff) {
            (0, 1) => Self::Ended,
            (0, 2) => Self::Faulty,
            (0, 3) => Self::Spent,
            (0, 4) => Self::Asleep,
            (0, 5) => Self::Death,
            (1, index) => Self::Semaphore(index),
            (2, index) => Self::Mutex(index),
            (3, index) => Self::Cell(index),
            _ => Self::Running,
        }
    }
}

/// The semaphores and mutexes of a run, opened by name.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) semaphores: Vec<Semaphore>,
    /// A plain mutex is a semaphore with one token.
    pub(crate) mutexes: Vec<Semaphore>,
    /// What each thread sleeps on.
    pub(crate) beds: Vec<Semaphore>,
    pub(crate) death: Semaphore,
    /// Posted by each process that has come as far as the start.
    pub(crate) ready: Semaphore,
    /// Posted once for each process when all are ready.
    pub(crate) go: Semaphore,
}

impl Tools {
    /// Every semaphore of a run: what it is called and what it starts with.
    fn list(program: &Program) -> Vec<(String, u32)> {
        let mut list: Vec<(String, u32)> = Vec::new();
        list.extend(program.semaphores.iter().enumerate().map(|(i, s)| (format!("s{i}"), s.initial as u32)));
        list.extend((0..program.mutexes.len()).map(|i| (format!("m{i}"), 1)));
        list.extend((0..program.threads.len()).map(|i| (format!("z{i}"), 0)));
        list.extend(["death", "ready", "go"].map(|name| (name.to_owned(), 0)));
        list
    }

    fn with(program: &Program, mut each: impl FnMut(&str, u32) -> io::Result<Semaphore>) -> io::Result<Self> {
        let mut all = Vec::new();
        for (which, value) in Self::list(program) {
            all.push(each(&which, value)?);
        }
        let mut all = all.into_iter();
        let mut next = |count: usize| all.by_ref().take(count).collect::<Vec<_>>();
        let semaphores = next(program.semaphores.len());
        let mutexes = next(program.mutexes.len());
        let beds = next(program.threads.len());
        let mut last = next(3).into_iter();
        let mut one = || last.next().expect("three at the end of the list");
        Ok(Self { semaphores, mutexes, beds, death: one(), ready: one(), go: one() })
    }

    pub(crate) fn create(program: &Program, names: &Names) -> io::Result<Self> {
        Self::with(program, |which, value| Semaphore::create(&names.semaphore(which), 0o600, value))
    }

    pub(crate) fn open(program: &Program, names: &Names) -> io::Result<Self> {
        Self::with(program, |which, _| Semaphore::open(&names.semaphore(which)))
    }

    pub(crate) fn unlink(program: &Program, names: &Names) {
        for (which, _) in Self::list(program) {
            // One that was never made is as good as removed.
            let _ = Semaphore::unlink(&names.semaphore(&which));
        }
    }
}

/// The world.
pub(crate) struct Real<'a> {
    pub(crate) program: &'a Program,
    pub(crate) region: &'a Region,
    pub(crate) tools: &'a Tools,
    /// What was read, written or taken last, and where.
    pub(crate) seen: (u32, i32),
}

impl Real<'_> {
    fn doing(&self, who: usize, doing: Doing) {
        self.region.status(who).doing.store(doing.to_word(), Ordering::SeqCst);
    }

    /// Takes a token, and says so while it sleeps for it.
    fn sleep_on(&self, who: usize, semaphore: &Semaphore, doing: Doing) {
        if !semaphore.try_wait() {
            self.doing(who, doing);
            semaphore.wait();
            self.doing(who, Doing::Running);
        }
    }

    /// Under `memory buffered` loads and stores are what x86 gives them: acquire and release.
    fn orderings(&self) -> (Ordering, Ordering) {
        match self.program.memory {
            Memory::Sequential => (Ordering::SeqCst, Ordering::SeqCst),
            Memory::Buffered => (Ordering::Acquire, Ordering::Release),
        }
    }

    fn cell(&self, cell: usize) -> &AtomicI32 {
        self.region.cell(cell)
    }

    fn robust(&self, mutex: usize) -> RobustMutex {
        // SAFETY: a place in the mapping, which outlives the value; the parent initialised it before the start.
        unsafe { RobustMutex::at(self.region.mutex(mutex)) }
    }

    fn must_hold(&self, who: usize, mutex: usize) -> Result<(), Fault> {
        let holder = self.region.holder(mutex).load(Ordering::SeqCst) as usize;
        if holder == who + 1 {
            return Ok(());
        }
        let holder = self.program.threads.get(holder.wrapping_sub(1)).map(|thread| thread.name.clone());
        Err(Fault::NotHolder { mutex: self.program.mutexes[mutex].name.clone(), holder })
    }
}

impl World for Real<'_> {
    fn load(&mut self, _: usize, cell: usize) -> i32 {
        let value = self.cell(cell).load(self.orderings().0);
        self.seen = (cell as u32, value);
        value
    }

    fn store(&mut self, who: usize, cell: usize, value: i32) {
        if cell == Program::TAIL {
            let status = self.region.status(who);
            status.published.store(status.put.load(Ordering::Relaxed), Ordering::SeqCst);
        }
        self.seen = (cell as u32, value);
        self.cell(cell).store(value, self.orderings().1);
    }

    fn fence(&mut self, _: usize) {
        fence(Ordering::SeqCst);
    }

    fn fill(&mut self, who: usize, cell: usize, item: i32) {
        self.region.status(who).put.fetch_add(1, Ordering::Relaxed);
        self.seen = (cell as u32, item);
        self.cell(cell).store(item, self.orderings().1);
    }

    fn drain(&mut self, _: usize, cell: usize) -> Result<i32, Fault> {
        let item = self.cell(cell).load(self.orderings().0);
        self.seen = (cell as u32, item);
        let taken = item_parts(item).and_then(|(thread, nth)| self.region.taken(thread, nth));
        match taken {
            Some(times) => {
                times.fetch_add(1, Ordering::SeqCst);
                Ok(item)
            }
            None => Err(Fault::NoItem { cell: self.program.cells[cell].name.clone() }),
        }
    }

    fn wait(&mut self, who: usize, semaphore: usize) -> bool {
        self.sleep_on(who, &self.tools.semaphores[semaphore], Doing::Semaphore(semaphore as u32));
        true
    }

    fn post(&mut self, _: usize, semaphore: usize) {
        self.tools.semaphores[semaphore].post();
    }

    fn value(&mut self, _: usize, semaphore: usize) -> i32 {
        i32::try_from(self.tools.semaphores[semaphore].value()).unwrap_or(i32::MAX)
    }

    fn lock(&mut self, who: usize, mutex: usize) -> Result<Locked, Fault> {
        if self.must_hold(who, mutex).is_ok() {
            return Err(Fault::Twice { mutex: self.program.mutexes[mutex].name.clone() });
        }
        let locked = if self.program.mutexes[mutex].kind == MutexKind::Robust {
            self.doing(who, Doing::Mutex(mutex as u32));
            let locked = self.robust(mutex).lock();
            self.doing(who, Doing::Running);
            locked
        } else {
            self.sleep_on(who, &self.tools.mutexes[mutex], Doing::Mutex(mutex as u32));
            Locked::Taken
        };
        if locked != Locked::Unrecoverable {
            self.region.holder(mutex).store(who as u32 + 1, Ordering::SeqCst);
        }
        Ok(locked)
    }

    fn unlock(&mut self, who: usize, mutex: usize) -> Result<(), Fault> {
        self.must_hold(who, mutex)?;
        self.region.holder(mutex).store(0, Ordering::SeqCst);
        if self.program.mutexes[mutex].kind == MutexKind::Robust {
            self.robust(mutex).unlock();
        } else {
            self.tools.mutexes[mutex].post();
        }
        Ok(())
    }

    fn consistent(&mut self, who: usize, mutex: usize) -> Result<(), Fault> {
        self.must_hold(who, mutex)?;
        self.robust(mutex).consistent();
        Ok(())
    }

    fn claim(&mut self, who: usize, cell: usize) -> bool {
        let word = self.cell(cell);
        let own = who as i32 + 1;
        while word.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            self.doing(who, Doing::Cell(cell as u32));
            thread::sleep(Duration::from_micros(50));
        }
        self.doing(who, Doing::Running);
        true
    }

    fn sleep(&mut self, who: usize) {
        self.region.status(who).asleep.store(1, Ordering::SeqCst);
    }

    fn asleep(&mut self, who: usize) -> bool {
        // Whoever takes the mark posts, so there is one token for each sleep.
        self.sleep_on(who, &self.tools.beds[who], Doing::Asleep);
        false
    }

    fn wake(&mut self, _: usize, whom: usize) {
        if self.region.status(whom).asleep.swap(0, Ordering::SeqCst) == 1 {
            self.tools.beds[whom].post();
        }
    }

    fn nap(&mut self, _: usize, length: u32) {
        thread::sleep(Duration::from_micros(200 * u64::from(length.min(1000))));
    }

    fn is_dead(&mut self, _: usize, number: i32) -> bool {
        let who = usize::try_from(number - 1).ok().filter(|who| *who < self.program.threads.len());
        who.is_some_and(|who| self.region.status(who).dead.load(Ordering::SeqCst) == 1)
    }

    fn any_dead(&mut self, who: usize) -> bool {
        self.sleep_on(who, &self.tools.death, Doing::Death);
        true
    }
}

const _: () = assert!(ITEMS_MAX <= crate::script::ITEMS_PER_THREAD as usize);
