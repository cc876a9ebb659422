//! Positions without a record: abandoned, given back, buried.

use loom::thread;

use super::Model;
use super::stage::{Grace, bury, claim, drain, mpsc, pop, push, reader, try_push, write, writer};
use crate::memory::Memory;
use crate::protocol::{Head, Reserve};
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
        catches: &[Mutant::RelaxedAbandon],
        body: bytes_of_abandoned,
    },
    Model {
        name: "so are they where a consumer of its own stands in between",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::RelaxedHole, Mutant::RelaxedAbandon],
        body: bytes_of_passed,
    },
    Model {
        name: "a ring full of quarantine goes on when an owner comes back",
        preemptions: 1,
        variants: 1,
        catches: &[Mutant::SilentReturn, Mutant::NoReturn],
        body: all_in_quarantine,
    },
    Model {
        name: "a ring full of quarantine goes on when an owner is buried",
        preemptions: 1,
        variants: 1,
        catches: &[Mutant::SilentReap],
        body: buried,
    },
    Model {
        name: "a ring that fills with claims while the consumer sleeps is passed over",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::SilentFull, Mutant::NoCarry],
        body: full_of_claims,
    },
];

fn abandons(_: usize) {
    let memory = mpsc(1, 1);
    let mut producer = writer(&memory, 1);
    let producing = thread::spawn(move || {
        for _ in 0..2 {
            let claimed = claim(&mut producer).unwrap();
            producer.abandon(claimed);
        }
        push(&mut producer, 1)
    });
    let mut consumer = reader(&memory);
    assert_eq!(pop(&mut consumer, Grace::Endless), Some(1));
    assert!(producing.join().unwrap());
    assert_eq!(consumer.head(), 3);
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

/// The ring has one slot: whoever comes next writes where the one before has written.
fn bytes_of_abandoned(_: usize) {
    let memory = mpsc(1, 2);
    let [mut first, mut second] = [1, 2].map(|owner| writer(&memory, owner));
    let claimed = first.claim().unwrap();
    let abandoning = thread::spawn(move || {
        write(&*first.memory, claimed, 1);
        first.abandon(claimed);
    });
    let mut consumer = reader(&memory);
    let _ = consumer.look();
    let pushed = try_push(&mut second, 2);
    abandoning.join().unwrap();
    assert_eq!(drain(&mut consumer), if pushed { vec![2] } else { vec![] });
}

fn bytes_of_passed(_: usize) {
    let memory = mpsc(1, 2);
    let [mut first, mut second] = [1, 2].map(|owner| writer(&memory, owner));
    let claimed = first.claim().unwrap();
    let abandoning = thread::spawn(move || {
        write(&*first.memory, claimed, 1);
        first.abandon(claimed);
    });
    let mut consumer = reader(&memory);
    let consuming = thread::spawn(move || {
        let _ = consumer.look();
        consumer
    });
    let pushed = try_push(&mut second, 2);
    abandoning.join().unwrap();
    let mut consumer = consuming.join().unwrap();
    assert_eq!(drain(&mut consumer), if pushed { vec![2] } else { vec![] });
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
    let burying = thread::spawn(move || bury(&*grave, 1) + bury(&*grave, 2));
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
