//! Sleep and wake-up: whoever sleeps is woken (I8).

use loom::thread;

use super::Model;
use super::stage::{Grace, mpsc, pop, push, reader, spsc, write, writer};
use crate::sync::Mutant;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "a sleeping consumer is woken by a publish",
        preemptions: 3,
        variants: 1,
        catches: &[
            Mutant::NoPublishFence,
            Mutant::NoParkFence,
            Mutant::NoReaderRecheck,
            Mutant::AnswerAnyTurn,
        ],
        body: consumer_sleeps,
    },
    Model {
        name: "a sleeping producer is woken by freed slots",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::NoParkFence, Mutant::NoWriterRecheck, Mutant::NoSpaceWake, Mutant::NoFreeFence],
        body: producer_sleeps,
    },
    Model {
        name: "a producer is woken before the consumer sleeps, however few slots are free",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::NoSpaceWake],
        body: few_slots,
    },
    Model {
        name: "two producers and the consumer sleep and wake each other",
        preemptions: 1,
        variants: 1,
        catches: &[Mutant::NoWriterRecheck, Mutant::NoSpaceWake, Mutant::NoReaderRecheck],
        body: all_sleep,
    },
    Model {
        name: "a consumer that sleeps in front of a claim is woken by its publish",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::NoPublishFence, Mutant::NoParkFence, Mutant::NoReaderRecheck],
        body: consumer_sleeps_before_claim,
    },
];

fn consumer_sleeps(_: usize) {
    let memory = spsc(4);
    let mut producer = writer(&memory, 1);
    let producing = thread::spawn(move || (1..=2).all(|value| push(&mut producer, value)));
    let mut consumer = reader(&memory);
    assert_eq!([(); 2].map(|()| pop(&mut consumer, Grace::Zero)), [Some(1), Some(2)]);
    assert!(producing.join().unwrap());
}

fn producer_sleeps(_: usize) {
    let memory = spsc(2);
    let mut producer = writer(&memory, 1);
    let mut consumer = reader(&memory);
    assert!(push(&mut producer, 1) && push(&mut producer, 2));
    let producing = thread::spawn(move || push(&mut producer, 3));
    assert_eq!([(); 3].map(|()| pop(&mut consumer, Grace::Zero)), [1, 2, 3].map(Some));
    assert!(producing.join().unwrap());
}

fn few_slots(_: usize) {
    // A quarter of a lap is two slots here: the consumer looks for sleepers without a fence after one, and owes them
    // the certain look when it finds nothing more.
    let memory = spsc(8);
    let mut producer = writer(&memory, 1);
    let mut consumer = reader(&memory);
    assert!((1..=8).all(|value| push(&mut producer, value)));
    assert_eq!([(); 7].map(|()| pop(&mut consumer, Grace::Zero)), [1, 2, 3, 4, 5, 6, 7].map(Some));
    assert!((9..=15).all(|value| push(&mut producer, value)));
    let producing = thread::spawn(move || push(&mut producer, 16) && push(&mut producer, 17));
    for value in 8..=17 {
        assert_eq!(pop(&mut consumer, Grace::Zero), Some(value));
    }
    assert!(producing.join().unwrap());
}

fn all_sleep(_: usize) {
    let memory = mpsc(1, 2);
    let producing = [1, 2].map(|owner: u16| {
        let mut producer = writer(&memory, owner);
        thread::spawn(move || push(&mut producer, u64::from(owner)))
    });
    let mut consumer = reader(&memory);
    let mut got = [(); 2].map(|()| pop(&mut consumer, Grace::Endless));
    assert!(producing.into_iter().all(|thread| thread.join().unwrap()));
    got.sort_unstable();
    assert_eq!(got, [Some(1), Some(2)]);
}

fn consumer_sleeps_before_claim(_: usize) {
    let memory = mpsc(2, 2);
    let (mut slow, mut quick) = (writer(&memory, 1), writer(&memory, 2));
    let claimed = slow.claim().unwrap();
    assert!(push(&mut quick, 2));
    let producing = thread::spawn(move || {
        write(&*slow.memory, claimed, 1);
        slow.publish(claimed).unwrap();
        slow.announce(1);
    });
    let mut consumer = reader(&memory);
    assert_eq!([(); 2].map(|()| pop(&mut consumer, Grace::Endless)), [Some(1), Some(2)]);
    producing.join().unwrap();
}
