//! Threads that die at any step, and what every ring must make good when they have.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use loom::thread;

use super::stage::{Grace, pop, push, reader, writer};
use crate::layout::{Header, Owner, Shape};
use crate::memory::{Memory, Modeled};
use crate::protocol::{Reader, Writer};
use crate::semaphore::Semaphore;
use crate::sync::AtomicU64;

/// Accesses to memory in one push that need not wait, and one more: that one survives it. The same in both modes: a
/// fence and a look for the sleeper in one, a token each way in the other.
pub(super) const PUSH_STEPS: usize = 10;
/// The same for one pop that need not wait.
pub(super) const POP_STEPS: usize = 9;

/// A ring's memory as seen by a thread that dies at its `step`-th access. Dying between any two accesses to shared
/// memory is all that a killed process can do that the others could notice.
pub(super) struct Mortal {
    memory: Arc<Modeled>,
    /// Accesses left. Not a loom atomic: nobody else looks at it.
    left: AtomicUsize,
}

/// What a dying thread throws.
struct Death;

impl Mortal {
    pub(super) fn new(memory: &Arc<Modeled>) -> Arc<Self> {
        Arc::new(Self { memory: Arc::clone(memory), left: AtomicUsize::new(usize::MAX) })
    }

    /// From now on `step` accesses are left.
    pub(super) fn doom(&self, step: usize) {
        self.left.store(step, Relaxed);
    }

    fn step(&self) {
        match self.left.load(Relaxed) {
            0 => resume_unwind(Box::new(Death)),
            left => self.left.store(left - 1, Relaxed),
        }
    }
}

/// Lives until the memory says otherwise. `None`: it died.
pub(super) fn live<T>(life: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(result) => Some(result),
        Err(thrown) if thrown.is::<Death>() => None,
        Err(thrown) => resume_unwind(thrown),
    }
}

impl Memory for Mortal {
    fn shape(&self) -> &Shape {
        self.memory.shape()
    }
    fn header(&self) -> &Header {
        self.step();
        self.memory.header()
    }
    fn owner(&self, number: u16) -> &Owner {
        self.step();
        self.memory.owner(number)
    }
    fn state(&self, position: u64) -> &AtomicU64 {
        self.step();
        self.memory.state(position)
    }
    fn read<T>(&self, position: u64, copy: impl FnOnce(*const u8) -> T) -> T {
        self.step();
        self.memory.read(position, copy)
    }
    fn write<T>(&self, position: u64, copy: impl FnOnce(*mut u8) -> T) -> T {
        self.step();
        self.memory.write(position, copy)
    }
    fn publish_fence(&self) {
        self.step();
        self.memory.publish_fence();
    }
    fn sleep_fence(&self) -> bool {
        self.step();
        self.memory.sleep_fence()
    }
    fn ready(&self) -> &Semaphore {
        self.step();
        self.memory.ready()
    }
    fn space(&self) -> &Semaphore {
        self.step();
        self.memory.space()
    }
}

/// The last variant of a model in which somebody dies survives, and the one before does not. `many` is a ring for many
/// producers, `one` one for one.
pub(super) fn steps_are_all(many: impl Fn() -> Arc<Modeled>, one: impl Fn() -> Arc<Modeled>) {
    let push_survives = |&step: &usize| {
        let mortal = Mortal::new(&many());
        let mut victim = Writer::new(mortal.clone(), 1);
        mortal.doom(step);
        live(|| push(&mut victim, 1)).is_some()
    };
    assert_eq!((0..).find(push_survives), Some(PUSH_STEPS - 1));
    let pop_survives = |&step: &usize| {
        let memory = one();
        assert!(push(&mut writer(&memory, 1), 1));
        let mortal = Mortal::new(&memory);
        let mut victim = Reader::new(mortal.clone());
        mortal.doom(step);
        live(|| pop(&mut victim, Grace::Zero)).is_some()
    };
    assert_eq!((0..).find(pop_survives), Some(POP_STEPS - 1));
}

/// The consumer of a ring of one slot dies at `step`, while the ring is full and its producer sleeps or is about to. Its
/// successor gets what is left. Returns that one.
pub(super) fn consumer_dies(memory: &Arc<Modeled>, step: usize) -> Reader<Arc<Modeled>> {
    let mut producer = writer(memory, 1);
    assert!(push(&mut producer, 1));
    let producing = thread::spawn(move || push(&mut producer, 2));
    let mortal = Mortal::new(memory);
    let mut first = Reader::new(mortal.clone());
    mortal.doom(step);
    let got = live(|| pop(&mut first, Grace::Zero));
    let mut successor = reader(memory);
    // What the dead one had copied and freed, but not returned, died with it.
    let next = pop(&mut successor, Grace::Zero).unwrap();
    if next == 1 {
        assert_eq!(got, None);
        assert_eq!(pop(&mut successor, Grace::Zero), Some(2));
    } else {
        assert_eq!(next, 2);
    }
    assert!(producing.join().unwrap());
    successor
}
