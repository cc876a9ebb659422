#[cfg(judged)]
extern crate loom;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The answer on this machine's own atomics.
mod real {
    pub use std::sync::atomic::{AtomicUsize, Ordering, fence};

    /// Plain memory, as far as this processor is concerned: a relaxed atomic of 8 bytes is an ordinary move there.
    pub struct Slot(std::sync::atomic::AtomicU64);

    impl Slot {
        pub fn new() -> Self {
            Self(std::sync::atomic::AtomicU64::new(0))
        }
        pub fn write(&self, item: u64) {
            self.0.store(item, Ordering::Relaxed);
        }
        pub fn read(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[path = "{ANSWER}"]
    pub mod answer;
}

/// The same file on loom's.
#[cfg(judged)]
mod model {
    pub use loom::sync::atomic::{AtomicUsize, Ordering, fence};

    use std::sync::atomic::{AtomicU64, AtomicUsize as Count, Ordering::Relaxed};

    use super::fail;

    const IN_READ: usize = 1;
    const IN_WRITE: usize = 2;
    /// Which access to a slot is under way.
    static WHERE: Count = Count::new(0);
    static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

    /// Plain memory whose accesses loom watches.
    pub struct Slot(loom::cell::UnsafeCell<u64>);

    // SAFETY: loom lets one thread run at a time and panics before an access that nothing orders after the last one.
    unsafe impl Sync for Slot {}
    // SAFETY: as above.
    unsafe impl Send for Slot {}

    impl Slot {
        pub fn new() -> Self {
            Self(loom::cell::UnsafeCell::new(0))
        }
        pub fn write(&self, item: u64) {
            WHERE.store(IN_WRITE, Relaxed);
            // SAFETY: loom has just found no other access to be under way.
            self.0.with_mut(|cell| unsafe { *cell = item });
            WHERE.store(0, Relaxed);
        }
        pub fn read(&self) -> u64 {
            WHERE.store(IN_READ, Relaxed);
            // SAFETY: as in `write`.
            let item = self.0.with(|cell| unsafe { *cell });
            WHERE.store(0, Relaxed);
            item
        }
    }

    #[path = "{ANSWER}"]
    pub mod answer;

    /// The item that was taken, if it is the one after `last`.
    fn follows(last: u64, item: u64) -> u64 {
        if item != last + 1 {
            fail("order", &format!("in the model, item {item} was taken after item {last}"), "each item is taken once, in the order in which it was put: look at what head and tail count");
        }
        item
    }

    /// Every execution of a small program.
    pub fn check() {
        const ITEMS: u64 = 3;
        std::panic::set_hook(Box::new(|info| explain(info)));
        let mut builder = loom::model::Builder::new();
        builder.max_branches = 10_000;
        builder.check(|| {
            EXECUTIONS.fetch_add(1, Relaxed);
            let ring = loom::sync::Arc::new(answer::Ring::new());
            let at = ring.clone();
            let producer = loom::thread::spawn(move || (1..=ITEMS).take_while(|item| at.push(*item)).count() as u64);
            let from = ring.clone();
            let consumer = loom::thread::spawn(move || {
                let mut last = 0;
                for _ in 0..ITEMS {
                    match from.pop() {
                        Some(item) => last = follows(last, item),
                        // Nothing there: the producer's turn.
                        None => loom::thread::yield_now(),
                    }
                }
                last
            });
            let put = producer.join().expect("loom stops before a thread is lost");
            let mut last = consumer.join().expect("loom stops before a thread is lost");
            while let Some(item) = ring.pop() {
                last = follows(last, item);
            }
            if put < answer::CAPACITY as u64 || last != put {
                fail("loss", &format!("in the model, {put} items were put and {last} were taken"), "push says true for what it has put, and refuses only when all slots are taken; pop says None only when there is nothing");
            }
        });
        println!("NOTE\tloom: {} executions, all that the memory model allows for 3 items through 2 slots", EXECUTIONS.load(Relaxed));
    }

    /// loom says what is wrong by a panic.
    fn explain(info: &std::panic::PanicHookInfo<'_>) {
        let text = info.payload_as_str().unwrap_or("a panic").lines().next().unwrap_or("").trim_end_matches('.').replace('\t', " ");
        let after = format!("loom, in execution {}: {text}", EXECUTIONS.load(Relaxed));
        let causal = text.contains("ausality violation");
        match WHERE.load(Relaxed) {
            IN_READ if causal => fail("publish", &format!("{after}. The consumer saw the new tail and read the slot, but nothing orders the read after the producer's write: it may find the old bytes"), "publishing takes two: the store of tail must be a Release (or follow a release fence), and the consumer's load of tail an Acquire (or be followed by an acquire fence). One of them alone orders nothing. And the write must come before the store, the read after the load"),
            IN_WRITE if causal => fail("free", &format!("{after}. The producer saw the new head and wrote into the slot, but nothing orders the write after the consumer's read: it may change under the reader's hands"), "freeing a slot is a publication too, the other way round: the consumer stores head with Release after it has read, and the producer loads head with Acquire before it writes"),
            _ if text.contains("exceeded maximum number of branches") => fail("endless", &after, "push and pop must not wait in a loop: they say false or None, and the caller waits"),
            _ => fail("model", &after, "the file panicked in the model: look for an index, an overflow or an unwrap"),
        }
    }
}

#[cfg(judged)]
fn fail(rule: &str, what: &str, advice: &str) -> ! {
    println!("FAIL\t{rule}\t{what}\t{advice}");
    std::process::exit(0)
}

/// A note of `check` takes few; a run many.
const ITEMS: u64 = if cfg!(judged) { 20_000 } else { 200_000 };

/// Sends items from one real thread to another: how many arrived, and how many of them were not the next one.
fn on_this_machine() -> (u64, u64) {
    let ring = real::answer::Ring::new();
    let until = Instant::now() + Duration::from_secs(5);
    let over = AtomicBool::new(false);
    let (mut taken, mut wrong) = (0u64, 0u64);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for item in 1..=ITEMS {
                while !ring.push(item) {
                    if over.load(Relaxed) {
                        return;
                    }
                    std::thread::yield_now();
                }
            }
        });
        while taken < ITEMS && Instant::now() < until {
            match ring.pop() {
                Some(item) => {
                    taken += 1;
                    wrong += u64::from(item != taken);
                }
                None => std::thread::yield_now(),
            }
        }
        over.store(true, Relaxed);
    });
    (taken, wrong)
}

#[cfg(judged)]
fn main() {
    let (taken, wrong) = on_this_machine();
    println!("NOTE\treal threads on this {} machine: {taken} items taken, {wrong} wrong (for information; not judged)", std::env::consts::ARCH);
    model::check();
    println!("PASS");
}

/// `run`: real threads alone. What they do not show is the point of this lab.
#[cfg(not(judged))]
fn main() {
    println!("Two real threads on this {} machine, {ITEMS} items a round through a ring of {} slots:", std::env::consts::ARCH, real::answer::CAPACITY);
    let (mut taken, mut wrong) = (0, 0);
    for round in 1..=5 {
        let begun = Instant::now();
        let (here, bad) = on_this_machine();
        println!("  round {round}: {here} items taken, {bad} wrong, {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
        taken += here;
        wrong += bad;
    }
    if wrong == 0 && taken == 5 * ITEMS {
        println!("Nothing wrong: that is what this processor and this compiler did today. It proves nothing about what they may do.");
    } else {
        println!("{wrong} items came out wrong, and {} never came: even this machine shows it.", 5 * ITEMS - taken);
    }
}
