//! A process that is killed after any of its steps that others can see: the test runs it instruction by instruction,
//! compares the segment and both semaphores after each, and kills it right behind the first, the second, the third
//! change, and so on to the last. In counting mode that is between any token and any slot.

use halyard_ring::{Mode, Ring, RingOptions, SemaphoreSnapshot};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, gettid};

use crate::child::{Child, LIMIT, Name, hear, say, sleepers, until};
use crate::death::has_full_capacity;
use crate::roles::{Record, record};

/// The victim's number; the others are 0 and 1.
const VICTIM: u64 = 2;
const CAPACITY: u32 = 4;

/// The child: one push or one pop between two stops.
pub(crate) fn step(ring: &Ring<Record>, what: &str) {
    let attached = |tid: Pid| {
        say(&tid.to_string());
        hear();
        raise(Signal::SIGSTOP).unwrap();
    };
    if what == "push" {
        let mut producer = ring.producer().unwrap();
        attached(gettid());
        producer.push(record(VICTIM, 0)).unwrap();
    } else {
        let mut consumer = ring.consumer().unwrap();
        attached(gettid());
        consumer.pop().unwrap();
    }
    raise(Signal::SIGSTOP).unwrap();
}

/// A thread of a child that this thread traces.
struct Traced {
    child: Child,
    tid: Pid,
}

impl Traced {
    /// Starts a victim and lets it run until it is about to push or pop. `None` where tracing is forbidden.
    fn start(name: &Name, what: &str) -> Option<Self> {
        let child = Child::start("step", &[name, &what]);
        let tid = Pid::from_raw(child.hear().parse().unwrap());
        match ptrace::attach(tid) {
            Err(Errno::EPERM) => {
                eprintln!("not tested: this system forbids to trace one's own child");
                return None;
            }
            attached => attached.unwrap(),
        }
        let mut traced = Self { child, tid };
        traced.wait();
        traced.child.tell("go");
        loop {
            ptrace::cont(tid, None).unwrap();
            if traced.wait() == Some(Signal::SIGSTOP) {
                return Some(traced);
            }
        }
    }

    /// Waits for the thread's next stop and says by which signal.
    fn wait(&self) -> Option<Signal> {
        match waitpid(self.tid, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::Stopped(_, signal) => Some(signal),
            _ => None,
        }
    }

    /// Runs it until `seen` has changed `changes` times. False if it comes to its end before.
    fn run(&mut self, changes: usize, seen: impl Fn() -> Vec<Vec<u8>>) -> bool {
        let mut last = seen();
        let mut left = changes;
        while left > 0 {
            ptrace::step(self.tid, None).unwrap();
            if self.wait() != Some(Signal::SIGTRAP) {
                return false;
            }
            let now = seen();
            left -= usize::from(now != last);
            last = now;
        }
        true
    }

    fn kill(mut self) {
        ptrace::kill(self.tid).unwrap();
        // A thread that is traced is buried by its tracer, unless it is the process.
        if self.tid.as_raw() as u32 != self.child.pid() {
            let _ = waitpid(self.tid, Some(WaitPidFlag::__WALL));
        }
        self.child.kill();
    }
}

/// What others can see of the ring.
fn shared(name: &Name) -> Vec<Vec<u8>> {
    name.paths().iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A sleeper of another process that reports each record that it has pushed or popped.
fn sleeper(name: &Name, ring: &Ring<Record>, role: &str) -> Child {
    let child = if role == "pop" { Child::start("pop", &[name]) } else { Child::start("push", &[name, &0]) };
    child.expect("attached");
    if role == "push" {
        (0..CAPACITY).for_each(|number| child.expect(&number.to_string()));
        until("a sleeping producer", || sleepers(&ring.inspect()).1 == 1);
    } else {
        until("a sleeping consumer", || sleepers(&ring.inspect()).0 == 1);
    }
    child
}

fn value(semaphore: Option<SemaphoreSnapshot>) -> u32 {
    semaphore.expect("its own semaphores can be read").value
}

/// Everything in its place: no record, no sleeper, and the ring can be filled to the last slot.
fn is_whole(ring: &Ring<Record>) {
    let mut consumer = ring.consumer().unwrap();
    has_full_capacity(ring, &mut consumer);
    let seen = ring.inspect();
    assert_eq!((seen.counters.quarantined, seen.head), (0, seen.tail));
    if seen.mode == Mode::Counting {
        // One too many is dropped when it is met; one too few would be a slot that nobody uses.
        assert!(value(seen.space) >= CAPACITY, "{:?}", seen.space);
    }
}

/// A producer is killed behind its `changes`th step, beside a consumer that sleeps, and is `buried` by somebody who looks
/// for the dead, or only by those who find it in their way. Says whether it got that far.
fn a_producer_dies(options: &RingOptions, buried: bool, changes: usize) -> Option<bool> {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, options).unwrap();
    let reader = sleeper(&name, &ring, "pop");
    let mut victim = Traced::start(&name, "push")?;
    let there = victim.run(changes, || shared(&name));
    victim.kill();
    let is_published = ring.inspect().counters.published;
    if buried {
        ring.reap();
    }
    let mut producer = ring.producer().unwrap();
    // The sleeper is woken for every record, though the dead one may have woken it for nothing, or not at all.
    for number in 10..10 + 3 * u64::from(CAPACITY) {
        producer.push_timeout(record(1, number), LIMIT).unwrap();
        let mut said = reader.hear();
        if number == 10 && said == "0" {
            said = reader.hear();
        } else if number == 10 {
            assert_eq!(is_published, 0, "a published record was lost with its producer, at step {changes}");
        }
        assert_eq!(said, number.to_string(), "step {changes}");
    }
    drop((producer, reader));
    is_whole(&ring);
    Some(there)
}

/// A consumer is killed behind its `changes`th step, beside a producer that sleeps on the full ring.
fn a_consumer_dies(options: &RingOptions, changes: usize) -> Option<bool> {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, options).unwrap();
    let writer = sleeper(&name, &ring, "push");
    let mut victim = Traced::start(&name, "pop")?;
    let there = victim.run(changes, || shared(&name));
    victim.kill();
    let mut consumer = ring.consumer().unwrap();
    let first = consumer.position();
    assert!(first <= 1, "a record was lost that the dead consumer had not taken");
    // The sleeper must use every slot that was freed, also the one that the dead consumer may have kept to itself.
    for number in first..first + 3 * u64::from(CAPACITY) {
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(0, number)), "step {changes}");
    }
    let all = u64::from(CAPACITY)..3 * u64::from(CAPACITY) + first;
    all.for_each(|number| writer.expect(&number.to_string()));
    drop(writer);
    while consumer.try_pop().is_ok() {}
    drop(consumer);
    ring.reap();
    // What the dead writer was about to push is passed over or was never claimed.
    is_whole(&ring);
    Some(there)
}

/// Kills at step after step until the victim gets through, and says how many there were.
fn at_every_step(what: &str, dies: impl Fn(usize) -> Option<bool>) {
    for changes in 0.. {
        match dies(changes) {
            Some(true) => assert!(changes < 200, "it never ends"),
            Some(false) => {
                // The slot, the head or a counter, and with tokens two more.
                assert!(changes > 3, "only {changes} steps were seen of: {what}");

                return;
            }
            None => return,
        }
    }
}

fn kinds() -> [RingOptions; 2] {
    [RingOptions::mpsc(CAPACITY).owners(4), RingOptions::spsc(CAPACITY)]
}

#[test]
fn a_counting_producer_that_is_killed_at_any_step_takes_no_token_of_the_others_with_it() {
    for options in kinds() {
        let options = options.mode(Mode::Counting);
        for buried in [true, false] {
            at_every_step("push", |changes| a_producer_dies(&options, buried, changes));
        }
    }
}

#[test]
fn a_counting_consumer_that_is_killed_at_any_step_takes_no_token_of_the_others_with_it() {
    for options in kinds() {
        let options = options.mode(Mode::Counting);
        at_every_step("pop", |changes| a_consumer_dies(&options, changes));
    }
}

#[test]
fn a_producer_that_is_killed_at_any_step_takes_no_wake_up_with_it() {
    for options in kinds() {
        for buried in [true, false] {
            at_every_step("push", |changes| a_producer_dies(&options, buried, changes));
        }
    }
}

#[test]
fn a_consumer_that_is_killed_at_any_step_takes_no_wake_up_with_it() {
    for options in kinds() {
        at_every_step("pop", |changes| a_consumer_dies(&options, changes));
    }
}
