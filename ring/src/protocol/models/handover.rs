//! Publish and consume: what goes in comes out once, in each producer's order, and no byte is raced.

use std::sync::Arc;

use loom::thread;

use super::Model;
use super::stage::{self, Grace, drain, mpsc, pop, push, reader, spsc, try_push, write, writer};
use crate::memory::Memory;
use crate::protocol::{Head, Writer};
use crate::sync::Mutant;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "one producer hands over in order",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::RelaxedPublish, Mutant::RelaxedRead, Mutant::RelaxedFree],
        body: single,
    },
    Model {
        name: "two producers hand over, each in its order",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::RelaxedPublish, Mutant::RelaxedRead, Mutant::RelaxedFree, Mutant::StoreClaim],
        body: shared,
    },
    Model {
        name: "a newcomer finds the tail amid traffic",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::TailPastFree],
        body: newcomer,
    },
    Model {
        name: "who sees a claim sees the claims before it",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::AcquireClaim],
        body: claims_in_order,
    },
    Model {
        name: "counting: one token a record on both semaphores",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::StoreClaim],
        body: counting,
    },
];

fn single(_: usize) {
    let memory = spsc(2);
    let mut producer = writer(&memory, 1);
    let producing =
        thread::spawn(move || (1..=4).take_while(|&value| try_push(&mut producer, value)).count() as u64);
    let mut consumer = reader(&memory);
    let mut got = Vec::new();
    for _ in 0..2 {
        got.extend(drain(&mut consumer));
    }
    let pushed = producing.join().unwrap();
    got.extend(drain(&mut consumer));
    assert_eq!(got, (1..=pushed).collect::<Vec<_>>());
}

fn shared(_: usize) {
    let memory = mpsc(2, 2);
    let producing: Vec<_> = [1, 2]
        .map(|owner: u16| {
            let mut producer = writer(&memory, owner);
            let first = 10 * u64::from(owner);
            thread::spawn(move || {
                (first..first + 2).filter(|&value| try_push(&mut producer, value)).collect()
            })
        })
        .into();
    let mut consumer = reader(&memory);
    let mut got = drain(&mut consumer);
    let pushed: Vec<Vec<u64>> = producing.into_iter().map(|thread| thread.join().unwrap()).collect();
    got.extend(drain(&mut consumer));
    for (owner, pushed) in (1..).zip(&pushed) {
        let of_this_one: Vec<u64> = got.iter().copied().filter(|value| value / 10 == owner).collect();
        assert_eq!(&of_this_one, pushed);
    }
    assert_eq!(got.len(), pushed.concat().len());
}

fn newcomer(_: usize) {
    let memory = mpsc(2, 2);
    let mut old = writer(&memory, 1);
    let producing = thread::spawn(move || (1..=3).all(|value| push(&mut old, value)));
    let late = Arc::clone(&memory);
    let arriving = thread::spawn(move || push(&mut Writer::new(late, 2), 100));
    let mut consumer = reader(&memory);
    let mut got: Vec<u64> = (0..4).map_while(|_| pop(&mut consumer, Grace::Endless)).collect();
    assert!(producing.join().unwrap() && arriving.join().unwrap());
    got.retain(|&value| value != 100);
    assert_eq!(got, [1, 2, 3]);
}

fn claims_in_order(_: usize) {
    let memory = mpsc(4, 3);
    let mut consumer = reader(&memory);
    let mut first = writer(&memory, 1);
    assert!(push(&mut first, 1) && pop(&mut consumer, Grace::Zero) == Some(1));
    // Positions 1 and 2 are claimed and never published. The newcomer's bisection looks at 2 and not at 1.
    let mut second = writer(&memory, 2);
    let claiming = thread::spawn(move || (first.claim().is_ok(), second.claim().is_ok()));
    let late = Arc::clone(&memory);
    let arriving = thread::spawn(move || push(&mut Writer::new(late, 3), 7));
    assert_eq!(pop(&mut consumer, Grace::Zero), Some(7));
    assert_eq!(claiming.join().unwrap(), (true, true));
    assert!(arriving.join().unwrap());
}

fn counting(_: usize) {
    let memory = stage::counting(2, 2);
    let producing: Vec<_> = [1, 2]
        .map(|owner: u16| {
            let mut producer = writer(&memory, owner);
            thread::spawn(move || {
                for value in 0..2 {
                    producer.memory.space().wait();
                    let claimed = producer.claim().expect("a token is a slot");
                    write(&*producer.memory, claimed, 10 * u64::from(owner) + value);
                    producer.publish(claimed).expect("nobody voids here");
                    producer.announce(1);
                }
            })
        })
        .into();
    let mut consumer = reader(&memory);
    let mut got = Vec::new();
    for _ in 0..4 {
        memory.ready().wait();
        // The token may be of a record behind one that is still being written.
        while consumer.look() != Ok(Head::Ready) {
            thread::yield_now();
        }
        got.push(stage::take(&mut consumer));
    }
    producing.into_iter().for_each(|thread| thread.join().unwrap());
    for owner in [1, 2] {
        let of_this_one: Vec<u64> = got.iter().copied().filter(|value| value / 10 == owner).collect();
        assert_eq!(of_this_one, [10 * owner, 10 * owner + 1]);
    }
    assert!(!memory.ready().try_wait(), "no token is left over");
    assert!(memory.space().try_wait() && memory.space().try_wait() && !memory.space().try_wait());
}
