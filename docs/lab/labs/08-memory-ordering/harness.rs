extern crate loom;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize as Count, Ordering::Relaxed};
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
mod model {
    pub use loom::sync::atomic::{AtomicUsize, Ordering, fence};

    use super::{IN_READ, IN_WRITE, WHERE};

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
            WHERE.store(IN_WRITE, std::sync::atomic::Ordering::Relaxed);
            // SAFETY: loom has just found no other access to be under way.
            self.0.with_mut(|cell| unsafe { *cell = item });
            WHERE.store(0, std::sync::atomic::Ordering::Relaxed);
        }
        pub fn read(&self) -> u64 {
            WHERE.store(IN_READ, std::sync::atomic::Ordering::Relaxed);
            // SAFETY: as in `write`.
            let item = self.0.with(|cell| unsafe { *cell });
            WHERE.store(0, std::sync::atomic::Ordering::Relaxed);
            item
        }
    }

    #[path = "{ANSWER}"]
    pub mod answer;
}

const IN_READ: usize = 1;
const IN_WRITE: usize = 2;
/// Which access to a slot is under way.
static WHERE: Count = Count::new(0);
static EXECUTIONS: AtomicU64 = AtomicU64::new(0);

fn fail(rule: &str, what: &str, advice: &str) -> ! {
    println!("FAIL\t{rule}\t{what}\t{advice}");
    std::process::exit(0)
}

/// Real threads, for information: what they do not show is the point of this lab.
fn on_this_machine() {
    const ITEMS: u64 = 200_000;
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
    println!("NOTE\treal threads on this {} machine: {taken} items taken, {wrong} wrong (for information; not judged)", std::env::consts::ARCH);
}

/// The item that was taken, if it is the one after `last`.
fn follows(last: u64, item: u64) -> u64 {
    if item != last + 1 {
        fail("order", &format!("in the model, item {item} was taken after item {last}"), "each item is taken once, in the order in which it was put: look at what head and tail count");
    }
    item
}

fn in_the_model() {
    const ITEMS: u64 = 3;
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 10_000;
    builder.check(|| {
        EXECUTIONS.fetch_add(1, Relaxed);
        let ring = loom::sync::Arc::new(model::answer::Ring::new());
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
        if put < model::answer::CAPACITY as u64 || last != put {
            fail("loss", &format!("in the model, {put} items were put and {last} were taken"), "push says true for what it has put, and refuses only when all slots are taken; pop says None only when there is nothing");
        }
    });
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

fn main() {
    on_this_machine();
    std::panic::set_hook(Box::new(|info| explain(info)));
    in_the_model();
    println!("NOTE\tloom: {} executions, all that the memory model allows for 3 items through 2 slots", EXECUTIONS.load(Relaxed));
    println!("PASS");
}
