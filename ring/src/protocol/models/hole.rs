//! Positions without a record: abandoned, given back, buried.

use loom::thread;

use super::Model;
use super::stage::{Grace, claim, counting, drain, mpsc, pop, push, reader, write, writer};
use crate::memory::Memory;
use crate::protocol::{Head, Reserve, free_slots_of};
use crate::sync::Mutant;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "a producer that abandons claim after claim does not lap the head",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::FreeAbandon, Mutant::CarryAnywhere, Mutant::SilentHoles, Mutant::SleepOnHoles],
        body: abandons,
    },
    Model {
        name: "counting: a ring full of abandoned claims goes on",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::SilentAbandon],
        body: abandons_counting,
    },
    Model {
        name: "a consumer that sleeps in front of a claim is woken when it is abandoned",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::SilentAbandon],
        body: abandoned_before_consumer,
    },
    Model {
        name: "the bytes of an abandoned slot are its next writer's alone",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::RelaxedAbandon, Mutant::RelaxedHole],
        body: bytes_of_abandoned,
    },
    Model {
        name: "a ring full of quarantine goes on when an owner comes back",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::SilentReturn, Mutant::NoReturn],
        body: all_in_quarantine,
    },
    Model {
        name: "a ring full of quarantine goes on when an owner is buried",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::SilentReap],
        body: buried,
    },
    Model {
        name: "a ring that fills with claims while the consumer sleeps is passed over",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::SilentFull, Mutant::NoCarry],
        body: full_of_claims,
    },
];

fn abandons(_: usize) {
    let memory = mpsc(2, 1);
    let mut producer = writer(&memory, 1);
    let producing = thread::spawn(move || {
        for _ in 0..3 {
            let claimed = claim(&mut producer).unwrap();
            producer.abandon(claimed);
        }
        push(&mut producer, 1)
    });
    let mut consumer = reader(&memory);
    assert_eq!(pop(&mut consumer, Grace::Endless), Some(1));
    assert!(producing.join().unwrap());
    assert_eq!(consumer.head(), 4);
}

fn abandons_counting(_: usize) {
    let memory = counting(2, 1);
    let mut producer = writer(&memory, 1);
    let producing = thread::spawn(move || {
        for value in 0..4 {
            producer.memory.space().wait();
            // The token may be here before the consumer is past the hole.
            let claimed = loop {
                match producer.claim() {
                    Ok(claimed) => break claimed,
                    Err(_) => thread::yield_now(),
                }
            };
            if value < 3 {
                producer.abandon(claimed);
                continue;
            }
            write(&*producer.memory, claimed, value);
            producer.publish(claimed).unwrap();
            producer.announce(1);
        }
    });
    let mut consumer = reader(&memory);
    loop {
        memory.ready().wait();
        if consumer.look() == Ok(Head::Ready) {
            break;
        }
    }
    assert_eq!(drain(&mut consumer), [3]);
    producing.join().unwrap();
}

fn abandoned_before_consumer(_: usize) {
    let memory = mpsc(2, 2);
    let (mut first, mut second) = (writer(&memory, 1), writer(&memory, 2));
    let claimed = first.claim().unwrap();
    assert!(push(&mut second, 2));
    let abandoning = thread::spawn(move || first.abandon(claimed));
    let mut consumer = reader(&memory);
    assert_eq!(pop(&mut consumer, Grace::Endless), Some(2));
    abandoning.join().unwrap();
}

fn bytes_of_abandoned(_: usize) {
    let memory = mpsc(2, 2);
    let (mut first, mut second) = (writer(&memory, 1), writer(&memory, 2));
    let claimed = first.claim().unwrap();
    let abandoning = thread::spawn(move || {
        write(&*first.memory, claimed, 1);
        first.abandon(claimed);
    });
    let producing = thread::spawn(move || push(&mut second, 2) && push(&mut second, 3));
    let mut consumer = reader(&memory);
    assert_eq!([(); 2].map(|()| pop(&mut consumer, Grace::Endless)), [Some(2), Some(3)]);
    abandoning.join().unwrap();
    assert!(producing.join().unwrap());
}

fn all_in_quarantine(_: usize) {
    let memory = mpsc(2, 3);
    let (mut first, mut second) = (writer(&memory, 1), writer(&memory, 2));
    let claimed = [first.claim().unwrap(), second.claim().unwrap()];
    let mut consumer = reader(&memory);
    assert!(consumer.look() == Ok(Head::Claimed(1)) && consumer.void(1));
    assert!(consumer.look() == Ok(Head::Claimed(2)) && consumer.void(2));
    let returning = thread::spawn(move || first.publish(claimed[0]).is_err());
    let mut third = writer(&memory, 3);
    let producing = thread::spawn(move || push(&mut third, 3));
    assert_eq!(pop(&mut consumer, Grace::Zero), Some(3));
    assert!(returning.join().unwrap() && producing.join().unwrap());
    // Only the one that never came back is missing.
    let mut third = writer(&memory, 3);
    assert!(push(&mut third, 4));
    assert_eq!(third.claim(), Err(Reserve::Full));
    assert_eq!(pop(&mut consumer, Grace::Zero), Some(4));
}

fn buried(_: usize) {
    let memory = mpsc(2, 3);
    let (mut first, mut second) = (writer(&memory, 1), writer(&memory, 2));
    assert!(first.claim().is_ok() && second.claim().is_ok());
    let mut consumer = reader(&memory);
    assert!(consumer.look() == Ok(Head::Claimed(1)) && consumer.void(1));
    let grave = memory.clone();
    let burying = thread::spawn(move || free_slots_of(&*grave, 1) + free_slots_of(&*grave, 2));
    let mut third = writer(&memory, 3);
    let producing = thread::spawn(move || push(&mut third, 3));
    assert_eq!(pop(&mut consumer, Grace::Endless), Some(3));
    assert_eq!(burying.join().unwrap(), 2);
    assert!(producing.join().unwrap());
    assert_eq!(memory.header().cold.quarantined.load(crate::sync::Ordering::Relaxed), 0);
}

fn full_of_claims(_: usize) {
    let memory = mpsc(2, 3);
    let [mut dead, mut stopped, mut third] = [1, 2, 3].map(|owner| writer(&memory, owner));
    let producing = thread::spawn(move || {
        assert!(dead.claim().is_ok() && stopped.claim().is_ok());
        push(&mut third, 3)
    });
    let mut consumer = reader(&memory);
    assert_eq!(pop(&mut consumer, Grace::Dead(1)), Some(3));
    assert!(producing.join().unwrap());
}
