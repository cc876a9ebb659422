//! The page's rules at one end of a ring, the engine at the other.

use std::thread;
use std::time::Duration;

use halyard_ring::chat::{Kind, Record};
use halyard_ring::{PopError, PushError, RingOptions, Voided, Wait};
use zerocopy::{FromBytes, IntoBytes};

use super::page::Page;
use super::segment::Segment;
use super::slots::{End, Refused};
use super::{LONG, Made, until, unused_name};

fn numbered(number: u64) -> Record {
    let mut record = Record::new(Kind::Ping);
    record.number = number;
    record
}

fn number_of(bytes: &[u8]) -> u64 {
    Record::read_from_bytes(bytes).unwrap().number
}

#[test]
fn a_producer_of_the_page_fills_the_engines_rings() {
    let page = Page::read();
    for options in [RingOptions::spsc(4), RingOptions::mpsc(4).owners(2)] {
        let name = unused_name("push");
        let ring = Made::new(&name, &options);
        let mut consumer = ring.consumer().unwrap();
        let mut producer = End::producer(Segment::open(&page, name.as_str()).unwrap());
        let mut next = 1;
        for lap in 0..3 {
            for _ in 0..4 {
                producer.push(numbered(next).as_bytes()).unwrap();
                next += 1;
            }
            assert_eq!(producer.push(numbered(0).as_bytes()), Err(Refused::Full));
            for number in lap * 4 + 1..=lap * 4 + 4 {
                assert_eq!(consumer.try_pop().unwrap().number, number);
            }
            assert!(matches!(consumer.try_pop(), Err(PopError::Empty)));
        }
        ring.close();
        assert_eq!(producer.push(numbered(0).as_bytes()), Err(Refused::Closed));
        producer.leave();
        assert_eq!(ring.inspect().producers, []);
    }
}

#[test]
fn each_wakes_the_other() {
    let page = Page::read();
    for options in [RingOptions::spsc(2), RingOptions::mpsc(2)] {
        let name = unused_name("wake");
        let ring = Made::new(&name, &options);
        let asleep = |space: bool| {
            let seen = ring.inspect();
            let semaphore = if space { seen.space } else { seen.ready }.unwrap();
            let announced = if space { seen.producers_waiting == 1 } else { seen.consumer_waiting };
            announced && semaphore.waiters.is_none_or(|waiters| waiters == 1)
        };

        // The engine's consumer sleeps, the page's producer wakes it; then the other way round.
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut consumer = ring.consumer().unwrap();
                // So long that only a token can end it in time.
                consumer.set_wait(Wait::block().recheck(2 * LONG));
                consumer.pop_timeout(LONG).map(|record| record.number)
            });
            until("the engine's consumer asleep", || asleep(false));
            let mut producer = End::producer(Segment::open(&page, name.as_str()).unwrap());
            producer.push(numbered(1).as_bytes()).unwrap();
            assert_eq!(reader.join().unwrap(), Ok(1));
            for number in 2..4 {
                producer.push(numbered(number).as_bytes()).unwrap();
            }
            producer.leave();
        });
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let page = Page::read();
                let mut producer = End::producer(Segment::open(&page, name.as_str()).unwrap());
                let woken = producer.push_sleeping(numbered(4).as_bytes(), LONG);
                producer.leave();
                woken
            });
            until("the page's producer asleep", || asleep(true));
            let mut consumer = ring.consumer().unwrap();
            let got: Vec<u64> = (0..3).map(|_| consumer.pop_timeout(LONG).unwrap().number).collect();
            assert_eq!(got, [2, 3, 4]);
            assert_eq!(writer.join().unwrap(), Ok(true), "by a token, not by the time-out");
        });
        // The page's consumer sleeps, the engine's producer wakes it, then closes the ring.
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let page = Page::read();
                let mut consumer = End::consumer(Segment::open(&page, name.as_str()).unwrap());
                let first = consumer.pop_sleeping(LONG);
                let second = consumer.pop_sleeping(LONG);
                (first.0.map(|record| number_of(&record)), first.1, second)
            });
            until("the page's consumer asleep", || asleep(false));
            ring.producer().unwrap().try_push(numbered(5)).unwrap();
            until("the page's consumer asleep again", || asleep(false));
            ring.close();
            assert_eq!(reader.join().unwrap(), (Ok(5), true, (Err(Refused::Closed), true)));
        });
    }
}

#[test]
fn a_claim_of_the_page_that_took_too_long_is_passed_over_and_given_back() {
    let page = Page::read();
    let name = unused_name("late");
    let ring = Made::new(&name, &RingOptions::mpsc(4).grace(Duration::from_millis(1)));
    let mut consumer = ring.consumer().unwrap();
    let mut other = ring.producer().unwrap();
    let mut late = End::producer(Segment::open(&page, name.as_str()).unwrap());

    let position = late.claim().unwrap();
    other.try_push(numbered(1)).unwrap();
    assert_eq!(consumer.pop_timeout(LONG).unwrap().number, 1, "not held up by the claim in front");
    assert_eq!(late.segment.get("cold.quarantined"), 1);
    // The engine's producer carries the slot on, lap for lap.
    for number in 2..20 {
        other.try_push(numbered(number)).unwrap();
        assert_eq!(consumer.pop_timeout(LONG).unwrap().number, number);
    }
    let seen = ring.inspect();
    assert_eq!((seen.counters.voids, seen.counters.quarantined), (1, 1));

    assert!(!late.publish(position, numbered(99).as_bytes()), "it was passed over, and is a hole now");
    assert_eq!(late.segment.get("cold.quarantined"), 0);
    assert_eq!(ring.inspect().counters.quarantined, 0);
    // All four slots carry records again, those of the late one too.
    for number in 20..24 {
        late.push(numbered(number).as_bytes()).unwrap();
    }
    assert!(matches!(other.try_push(numbered(0)), Err(PushError::Full(_))));
    for number in 20..24 {
        assert_eq!(consumer.try_pop().unwrap().number, number);
    }
}

#[test]
fn a_consumer_of_the_page_passes_over_a_claim_of_the_engine() {
    let page = Page::read();
    let name = unused_name("void");
    let ring = Made::new(&name, &RingOptions::mpsc(4));
    let (mut late, mut other) = (ring.producer().unwrap(), ring.producer().unwrap());
    let owner = u64::from(late.owner());
    let mut consumer = End::consumer(Segment::open(&page, name.as_str()).unwrap());
    assert_eq!(consumer.owner(), 0);

    let claim = late.try_claim().unwrap();
    for number in 1..4 {
        other.try_push(numbered(number)).unwrap();
    }
    assert!(matches!(other.try_push(numbered(0)), Err(PushError::Full(_))));
    assert_eq!(consumer.pop(), Err(Refused::Claimed(owner)));
    assert!(consumer.void(owner));
    for number in 1..4 {
        assert_eq!(consumer.pop().map(|record| number_of(&record)), Ok(number));
    }
    // Round the slot in quarantine, which the engine carries on; then it comes back.
    for number in 4..12 {
        other.try_push(numbered(number)).unwrap();
        assert_eq!(consumer.pop().map(|record| number_of(&record)), Ok(number));
    }
    assert_eq!(claim.publish(), Err(Voided));
    assert_eq!(consumer.segment.get("cold.quarantined"), 0);
    late.try_claim().unwrap().abandon();
    for number in 12..16 {
        other.try_push(numbered(number)).unwrap();
        assert_eq!(consumer.pop().map(|record| number_of(&record)), Ok(number));
    }
}

#[test]
fn what_either_abandons_the_other_gets_past() {
    let page = Page::read();
    // The page's producer abandons, the engine's carries on and reads.
    let name = unused_name("hole");
    let ring = Made::new(&name, &RingOptions::mpsc(4).owners(2));
    let mut consumer = ring.consumer().unwrap();
    let mut other = ring.producer().unwrap();
    let mut producer = End::producer(Segment::open(&page, name.as_str()).unwrap());
    for number in 0..12 {
        let position = producer.claim().unwrap();
        other.try_push(numbered(number)).unwrap();
        producer.abandon(position);
        assert_eq!(consumer.try_pop().unwrap().number, number);
    }
    assert_eq!(producer.segment.get("consumer.holes"), 12);
    // A ring of nothing but holes is full until the consumer has looked.
    for _ in 0..4 {
        let position = producer.claim().unwrap();
        producer.abandon(position);
    }
    assert_eq!(producer.push(numbered(0).as_bytes()), Err(Refused::Full));
    assert!(matches!(other.try_push(numbered(0)), Err(PushError::Full(_))));
    assert!(matches!(consumer.try_pop(), Err(PopError::Empty)));
    producer.push(numbered(12).as_bytes()).unwrap();
    assert_eq!(consumer.try_pop().unwrap().number, 12);
    drop(consumer);

    // The engine's abandons, the page's reads.
    let mut consumer = End::consumer(Segment::open(&page, name.as_str()).unwrap());
    for number in 13..25 {
        let hole = other.try_claim().unwrap();
        producer.push(numbered(number).as_bytes()).unwrap();
        hole.abandon();
        assert_eq!(consumer.pop().map(|record| number_of(&record)), Ok(number));
    }
    for _ in 0..4 {
        other.try_claim().unwrap().abandon();
    }
    assert_eq!(producer.push(numbered(0).as_bytes()), Err(Refused::Full));
    assert_eq!(consumer.pop(), Err(Refused::Empty));
    producer.push(numbered(25).as_bytes()).unwrap();
    assert_eq!(consumer.pop().map(|record| number_of(&record)), Ok(25));
    assert_eq!(ring.inspect().counters.damaged, 0);
}

#[test]
fn a_sleeper_of_the_page_wakes_a_consumer_in_front_of_claims() {
    let page = Page::read();
    let name = unused_name("claims");
    let ring = Made::new(&name, &RingOptions::mpsc(2).owners(3).grace(Duration::from_millis(1)));
    let (mut one, mut two) = (ring.producer().unwrap(), ring.producer().unwrap());
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut consumer = ring.consumer().unwrap();
            consumer.set_wait(Wait::block().recheck(2 * LONG));
            consumer.pop_timeout(LONG).map(|record| record.number)
        });
        until("the consumer asleep", || ring.inspect().consumer_waiting);
        let stopped = (one.try_claim().unwrap(), two.try_claim().unwrap());
        let mut producer = End::producer(Segment::open(&page, name.as_str()).unwrap());
        // Full of claims, then of slots in quarantine: those come back, and there is room.
        let ring = &ring;
        scope.spawn(move || {
            until("both passed over", || ring.inspect().counters.voids == 2);
            drop(stopped);
        });
        producer.push_sleeping(numbered(1).as_bytes(), LONG).unwrap();
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_consumer_of_the_page_goes_on_where_a_dead_one_freed_without_saying_so() {
    let page = Page::read();
    let name = unused_name("takeover");
    let ring = Made::new(&name, &RingOptions::mpsc(2));
    let mut producer = ring.producer().unwrap();
    for number in 0..2 {
        producer.try_push(numbered(number)).unwrap();
    }
    let mut first = ring.consumer().unwrap();
    first.try_pop().unwrap();
    drop(first);
    producer.try_push(numbered(2)).unwrap();
    // As if the first one had died before it wrote the new head.
    let segment = Segment::open(&page, name.as_str()).unwrap();
    segment.word64("consumer.head").store(0, std::sync::atomic::Ordering::Release);
    segment.word64("consumer.consumed").store(0, std::sync::atomic::Ordering::Relaxed);
    let mut consumer = End::consumer(segment);
    assert_eq!(consumer.segment.get("consumer.consumed"), 1);
    for number in 1..3 {
        assert_eq!(consumer.pop().map(|record| number_of(&record)), Ok(number));
    }
}
