//! Words that lie, one kind after the other: each is read once, checked, and answered with a refusal; every loop over
//! them ends.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::{
    AttachError, Mender, Mode, OpenError, Phase, PopError, PushError, Ring, RingOptions, RingView, Wait,
    hostile,
};

use crate::child::{LIMIT, Name};
use crate::scribbled::Random;

/// Words of the header: the head, the announcement of a sleeping consumer, how many producers sleep.
const HEAD: usize = 16;
const READER_WAITS: usize = 32;
const WRITERS_WAIT: usize = 48;
/// First word of the owner table.
const OWNERS: usize = 128;

fn lie<R>(ring: &Ring<R>, index: usize, value: u64) {
    hostile::word(ring, index).store(value, Ordering::Relaxed);
}

/// Index of a slot's state word.
fn slot<R>(ring: &Ring<R>, slot: usize) -> usize {
    hostile::words(ring) - ring.capacity() as usize + slot
}

#[test]
fn a_head_that_lies_is_damage_for_whoever_takes_over_and_nobody_walks_after_it() {
    for options in [RingOptions::mpsc(8), RingOptions::spsc(8), RingOptions::mpsc(8).mode(Mode::Counting)] {
        for head in [1, 9, 1 << 20, 1 << 47, (1 << 48) - 1, 1 << 48, u64::MAX - 3, u64::MAX] {
            let ring = Ring::<u64>::heap(&options);
            let mut producer = ring.producer().unwrap();
            for number in 0..3 {
                producer.try_push(number).unwrap();
            }
            lie(&ring, HEAD, head);
            let mut consumer = ring.consumer().unwrap();
            match consumer.try_pop() {
                // Where it seems to be right, but for the bits above a slot's 48, it reads what is there.
                Ok(number) => assert!(number < 3, "{number} at {head:#x}"),
                Err(PopError::Empty | PopError::Corrupt(_)) => {}
                Err(other) => panic!("{other} at {head:#x}"),
            }
            assert!(consumer.position().wrapping_sub(head) <= 9, "walked after {head:#x}");
            assert_eq!(ring.inspect().slots.len(), 8);
        }
    }
}

#[test]
fn an_owner_table_full_of_garbage_refuses_newcomers_or_lets_them_in_and_hurts_nobody_inside() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let ring = Ring::<u64>::heap(&RingOptions::mpsc(8).owners(200));
        let mut inside = ring.producer().unwrap();
        let mut consumer = ring.consumer().unwrap();
        for number in 0..=200 {
            lie(&ring, OWNERS + 8 * number, random.next() | 1);
        }
        match ring.producer() {
            // Garbage mostly looks like processes that are dead, whose places are free.
            Ok(mut newcomer) => newcomer.try_push(1).unwrap(),
            Err(AttachError::OwnersFull { limit }) => assert_eq!(limit, 200),
            Err(other) => panic!("{other} with seed {seed}"),
        }
        assert!(ring.inspect().producers.len() <= 200);
        inside.try_push(7).unwrap();
        while consumer.try_pop() != Ok(7) {}
        assert!(consumer.audit().is_err(), "the consumer's entry is not its own any more");
        let again = ring.reap();
        assert!(again.owners <= 200 && again.slots <= 8, "{again:?}");
    }
}

#[test]
fn announcements_of_more_sleepers_than_there_can_be_cost_no_more_posts_than_there_can_be_sleepers() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(8).owners(5)).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let file = OpenOptions::new().write(true).open(&name.paths()[0]).unwrap();
    for round in 1..=100 {
        file.write_all_at(&u32::MAX.to_ne_bytes(), 8 * WRITERS_WAIT as u64).unwrap();
        file.write_all_at(&u32::MAX.to_ne_bytes(), 8 * READER_WAITS as u64).unwrap();
        producer.try_push(round).unwrap();
        assert_eq!(consumer.try_pop(), Ok(round));
        let seen = ring.inspect();
        assert!(seen.space.unwrap().value <= 5 * round as u32 && seen.ready.unwrap().value <= round as u32);
    }
}

#[test]
fn more_tokens_than_there_are_slots_are_dropped_and_the_ring_goes_on() {
    for mode in [Mode::Counting, Mode::Doorbell] {
        let name = Name::new();
        let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(4).mode(mode)).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.set_wait(Wait::block());
        consumer.set_wait(Wait::block());
        for tokens in [5, i32::MAX as u32 - 1, i32::MAX as u32, u32::MAX] {
            for path in &name.paths()[1..] {
                OpenOptions::new()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .write_all_at(&tokens.to_ne_bytes(), 0)
                    .unwrap();
            }
            for number in 0..4 {
                producer.try_push(number).unwrap();
            }
            // Each sleep finds a token and no slot; the deadline holds.
            let short = Duration::from_millis(5);
            assert_eq!(producer.push_timeout(9, short), Err(PushError::TimedOut(9)));
            for number in 0..4 {
                assert_eq!(consumer.pop(), Ok(number));
            }
            assert_eq!(consumer.pop_timeout(short), Err(PopError::TimedOut));
        }
    }
}

#[test]
fn every_state_word_that_cannot_be_is_refused_by_both_ends_at_every_slot() {
    let phases = [Phase::Free, Phase::Claimed, Phase::Ready, Phase::Void];
    for options in [RingOptions::mpsc(4).owners(3), RingOptions::spsc(4)] {
        for (phase, owner) in
            phases.iter().flat_map(|&phase| [0, 1, 3, 4, 0x3fff].map(|owner| (phase, owner)))
        {
            for away in [-5i64, -4, -1, 1, 4, 5, 1 << 46, -(1 << 46), 1 << 47] {
                let ring = Ring::<u64>::heap(&options.clone().grace(Duration::ZERO));
                let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
                producer.try_push(0).unwrap();
                producer.try_push(1).unwrap();
                assert_eq!(consumer.try_pop(), Ok(0));
                lie(&ring, slot(&ring, 1), hostile::state(1u64.wrapping_add_signed(away), owner, phase));
                // The slot of position 1 is at the head. A void of the lap before looks like one to be carried.
                let looks_carried = phase == Phase::Void && away == -4;
                match consumer.try_pop() {
                    Err(PopError::Corrupt(damage)) => assert_eq!(damage.position, 1),
                    Err(PopError::Empty) if looks_carried => {}
                    other => panic!("{other:?} for {phase:?} of {owner}, {away} away"),
                }
                assert!(consumer.audit().is_err() || looks_carried);
                // The producer comes to it a lap later, if it comes so far.
                for number in 0..6 {
                    match producer.try_push(number) {
                        Ok(()) | Err(PushError::Full(_) | PushError::Corrupt(..)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_huge_file_that_holds_nothing_is_refused_and_costs_nothing() {
    let name = Name::new();
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&name.paths()[0]).unwrap();
    file.set_len(1 << 40).unwrap();
    for opened in [
        Ring::<u64>::open(&name.0).map(drop),
        RingView::open(&name.0).map(drop),
        Mender::open(&name.0).map(drop),
    ] {
        match opened {
            Err(OpenError::Os { source, .. }) => {
                assert!(source.to_string().contains("posix_fallocate"), "{source}")
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()), 0, "nothing was allocated");
}

/// Ends the thread that writes, also if an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A thread writes all over a ring for as long as others use it: no call of theirs is held beyond its time.
#[test]
fn a_ring_that_is_overwritten_all_the_time_holds_nobody() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name.0, &RingOptions::mpsc(16).grace(Duration::from_millis(1))).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let over = AtomicBool::new(false);
    let (mut pushes, mut pops, mut refused) = (0, 0, 0);
    thread::scope(|scope| {
        let (over, [path, ..]) = (&over, name.paths());
        scope.spawn(move || {
            let mut random = Random(5);
            let file = OpenOptions::new().write(true).open(path).unwrap();
            let len = file.metadata().unwrap().len();
            // Not the first group, whose words are private copies, and never enough to end it all: `closed` stays.
            while !over.load(Ordering::Relaxed) {
                let at = 128 + random.next() % (len - 128 - 8);
                if !(256..272).contains(&(at & !7)) {
                    file.write_all_at(&random.next().to_ne_bytes(), at & !7).unwrap();
                }
            }
        });
        let _stop = Stop(over);
        let end = Instant::now() + LIMIT;
        // Every call counts. How many of them succeed is up to what is written when: a ring that is full of nonsense may
        // stay so.
        let mut calls = 0;
        while refused < 50 || calls < 2000 {
            assert!(Instant::now() < end, "{pushes} pushed, {pops} popped, {refused} refused");
            calls += 2;
            let began = Instant::now();
            match producer.push_timeout(pushes, Duration::from_millis(1)) {
                Ok(()) => pushes += 1,
                Err(PushError::TimedOut(_) | PushError::Corrupt(..)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            match consumer.pop_timeout(Duration::from_millis(1)) {
                Ok(_) => pops += 1,
                Err(PopError::TimedOut) => {}
                Err(PopError::Corrupt(_)) => {
                    refused += 1;
                    consumer.skip_damaged();
                }
                Err(other) => panic!("{other}"),
            }
            assert!(
                began.elapsed() < LIMIT,
                "a call with a time-out of a millisecond took {:?}",
                began.elapsed()
            );
            let _ = (ring.reap(), ring.inspect(), consumer.audit());
        }
    });
}
