//! The fence that sleepers pay for: a publisher has none of its own, so a sleeper that announces itself and looks again
//! must make the publisher's processor show what it has stored. Without that a wake-up is lost now and then, and a
//! sleeper that never looks by itself lies beside its record for ever.

use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::guards::{self, Guard};
use halyard_ring::{PopError, Producer, Ring, RingName, RingOptions, Wait, cpus, has_membarrier, pin_to};

use crate::child::{Child, LIMIT, Name, say, sleepers};
use crate::roles::deep_sleep;

/// A record of many cache lines, all of which the consumer has read. So for a while after its publisher is done with it
/// the bytes and, behind them, the word that says that they are there are on their way out, and the publisher's look for
/// sleepers is long over: that is when a wake-up could be lost.
type Wide = [u64; 256];

const ROUNDS: u64 = 20_000;
/// Enough for as many rounds on a busy machine as show anything.
const TIME: Duration = Duration::from_secs(2);

/// The child: takes records in deep sleep, `guard` in place or not.
pub(crate) fn doze(name: &RingName, guard: &str) {
    if guard == "out" {
        guards::take_out(Guard::SleepersFence);
    }
    apart(1);
    let ring = Ring::<Wide>::open(name).unwrap();
    let mut consumer = ring.consumer().unwrap();
    consumer.set_wait(deep_sleep());
    say("attached");
    for number in 0.. {
        match consumer.pop() {
            Ok(record) => assert!(record.iter().all(|&word| word == number)),
            Err(PopError::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Puts this thread on a processor of its own, where there are two: the kernel likes to wake a sleeper beside its waker,
/// and those two would never run at the same moment.
fn apart(index: usize) {
    if let [first, second, ..] = cpus()[..] {
        pin_to([first, second][index]).unwrap();
    }
}

/// Whether the consumer sleeps beside a record, and nothing is under way that would wake it. `push` has returned.
fn is_lost(ring: &Ring<Wide>) -> bool {
    (0..200).all(|_| {
        thread::sleep(Duration::from_millis(1));
        let seen = ring.inspect();
        sleepers(&seen).0 == 1 && seen.ready.is_some_and(|ready| ready.value == 0) && seen.head < seen.tail
    })
}

/// Publishes a record just when the consumer goes to sleep after the one before, give or take a microsecond, round by
/// round until one is not taken or `over`. True if a wake-up was lost.
fn publish_beside_the_sleeper(ring: &Ring<Wide>, mut over: impl FnMut(u64) -> bool) -> bool {
    let mut producer = ring.producer().unwrap();
    producer.set_wait(Wait::spin());
    apart(0);
    let mut random = 1_u64;
    for number in 0.. {
        producer.push([number; 256]).unwrap();
        if !is_taken(&producer, ring) && is_lost(ring) {
            return true;
        }
        if over(number) {
            return false;
        }
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (0..random >> 57).for_each(|_| std::hint::spin_loop());
    }
    unreachable!("there are enough numbers")
}

/// Watches until the consumer has taken all there was; false if that takes longer than any wake-up should.
fn is_taken(producer: &Producer<Wide>, ring: &Ring<Wide>) -> bool {
    let start = Instant::now();
    while !producer.free_slots_at_least(ring.capacity()) {
        if start.elapsed() > Duration::from_millis(100) {
            return false;
        }
    }
    true
}

fn with_a_sleeper(options: &RingOptions, guard: &str, over: impl FnMut(u64) -> bool + Send) -> bool {
    let name = Name::new();
    let ring = Ring::<Wide>::create(&name.0, options).unwrap();
    let child = Child::start("doze", &[&name, &guard]);
    child.expect("attached");
    // A thread of its own, which is pinned, and not the test's, whose next child would be pinned with it.
    let lost = thread::scope(|scope| {
        scope.spawn(|| publish_beside_the_sleeper(&ring, over)).join().expect("publishing does not panic")
    });
    // Reads to the end, and checks that all has come.
    ring.close();
    child.finish();
    lost
}

#[test]
fn a_sleeper_misses_no_record_of_a_publisher_without_a_fence() {
    for options in [RingOptions::spsc(2), RingOptions::mpsc(2)] {
        let start = Instant::now();
        let enough = |number| number == ROUNDS || start.elapsed() > TIME;
        // One that is only slow to wake is not lost: it is waited for.
        assert!(!with_a_sleeper(&options, "in", enough));
    }
}

#[test]
fn without_the_fence_that_sleepers_pay_for_a_wake_up_is_lost() {
    if cpus().len() < 2 || !has_membarrier() {
        eprintln!("not tested: it takes two processors and membarrier");
        return;
    }
    let start = Instant::now();
    assert!(with_a_sleeper(&RingOptions::spsc(2), "out", |_| start.elapsed() > 6 * LIMIT));
}
