//! Publish and consume: what goes in comes out once, in each producer's order, and no byte is raced.

use std::sync::Arc;

use loom::thread;

use super::Model;
use super::stage::{Grace, drain, mpsc, pop, push, reader, spsc, take, try_push, write, writer};
use crate::protocol::{Claimed, Head, Writer};
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
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::AcquireClaim],
        body: claims_in_order,
    },
    Model {
        name: "a run of records is seen with one look, bytes and all",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::RelaxedPublish],
        body: run_of_records,
    },
    Model {
        name: "a burst without a claim for each is handed over as records are",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::RelaxedPublish],
        body: burst,
    },
    Model {
        name: "a burst of claims comes through beside another producer and a consumer that passes over claims",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::StorePublish, Mutant::StoreClaim, Mutant::RelaxedPublish],
        body: burst_of_claims,
    },
    Model {
        name: "a run of free slots is seen with one look, and its copies are done",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::RelaxedLookAhead, Mutant::RelaxedFree],
        body: run_of_slots,
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
            // The first comes twice.
            let first = 10 * u64::from(owner);
            let count = if owner == 1 { 2 } else { 1 };
            thread::spawn(move || {
                (first..first + count).filter(|&value| try_push(&mut producer, value)).collect()
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
    let (mut old, mut consumer) = (writer(&memory, 1), reader(&memory));
    assert!(push(&mut old, 1));
    // The tail moves on while the newcomer looks for it.
    let producing = thread::spawn(move || {
        assert_eq!(pop(&mut consumer, Grace::Endless), Some(1));
        assert!(try_push(&mut old, 2));
        (old, consumer)
    });
    let mut late = Writer::new(Arc::clone(&memory), 2);
    let early = try_push(&mut late, 100);
    let (mut old, mut consumer) = producing.join().unwrap();
    assert!(early || try_push(&mut late, 100));
    assert!(!try_push(&mut late, 101) && !try_push(&mut old, 3));
    let mut got = drain(&mut consumer);
    got.sort_unstable();
    assert_eq!(got, [2, 100]);
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

fn run_of_records(_: usize) {
    // Half of the capacity, two slots, is the longest look ahead here.
    let memory = spsc(4);
    let mut producer = writer(&memory, 1);
    assert!(try_push(&mut producer, 1));
    let producing = thread::spawn(move || (2..=3).all(|value| try_push(&mut producer, value)));
    let mut consumer = reader(&memory);
    let mut got = drain(&mut consumer);
    assert!(producing.join().unwrap());
    got.extend(drain(&mut consumer));
    assert_eq!(got, [1, 2, 3]);
}

fn burst(_: usize) {
    let memory = spsc(4);
    let mut producer = writer(&memory, 1);
    assert!(try_push(&mut producer, 1));
    let producing = thread::spawn(move || {
        // The second look ahead is for two slots.
        assert!(producer.claim().is_ok());
        assert_eq!(producer.known_free(), 2);
        let mut values = 2..=3;
        producer.publish_run(2, |memory, position| write(memory, Claimed(position), values.next().unwrap()));
        assert_eq!(producer.known_free(), 0);
    });
    let mut consumer = reader(&memory);
    let mut got = drain(&mut consumer);
    producing.join().unwrap();
    got.extend(drain(&mut consumer));
    assert_eq!(got, [1, 2, 3]);
}

fn burst_of_claims(_: usize) {
    let memory = mpsc(4, 2);
    let [mut first, mut second] = [writer(&memory, 1), writer(&memory, 2)];
    let bursting = thread::spawn(move || {
        let mut values = 1..=2;
        first.publish_shared(2, |memory, position| write(memory, Claimed(position), values.next().unwrap()))
    });
    let pushing = thread::spawn(move || try_push(&mut second, 10));
    let mut consumer = reader(&memory);
    let mut got = Vec::new();
    match consumer.look() {
        Ok(Head::Ready) => got.push(take(&mut consumer)),
        Ok(Head::Claimed(owner)) => drop(consumer.void(owner)),
        _ => {}
    }
    let (published, pushed) = (bursting.join().unwrap(), pushing.join().unwrap());
    got.extend(drain(&mut consumer));
    let of = |own: bool| got.iter().copied().filter(|&value| (value < 10) == own).collect::<Vec<_>>();
    assert_eq!(of(true), (1..=published).collect::<Vec<_>>());
    assert_eq!(of(false), vec![10; usize::from(pushed)]);
}

fn run_of_slots(_: usize) {
    let memory = spsc(4);
    let mut producer = writer(&memory, 1);
    assert!((1..=4).all(|value| try_push(&mut producer, value)));
    let mut consumer = reader(&memory);
    let consuming = thread::spawn(move || {
        let got = drain(&mut consumer);
        (consumer, got)
    });
    let pushed = (5..=7).take_while(|&value| try_push(&mut producer, value)).count() as u64;
    let (mut consumer, mut got) = consuming.join().unwrap();
    got.extend(drain(&mut consumer));
    assert_eq!(got, (1..=4 + pushed).collect::<Vec<_>>());
}
