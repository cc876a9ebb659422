//! Producers and consumers that stop after any step, for ever or for a while.

use std::sync::Arc;

use loom::thread;

use super::Model;
use super::mortal::{self, Mortal, POP_STEPS, PUSH_STEPS, live};
use super::stage::{Grace, bury, drain, mpsc, pop, push, reader, spsc, try_push, write, writer};
use crate::memory::Modeled;
use crate::protocol::{Head, Reader, Writer};
use crate::sync::Mutant;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "the steps at which somebody dies are all there are",
        preemptions: 0,
        variants: 1,
        catches: &[],
        body: steps_are_all,
    },
    Model {
        name: "a producer that is killed at any step delays nobody for ever",
        preemptions: 2,
        variants: PUSH_STEPS,
        catches: &[Mutant::NoCarry],
        body: producer_dies,
    },
    Model {
        name: "a producer that is killed while it wakes leaves that to the next",
        preemptions: 2,
        variants: PUSH_STEPS,
        catches: &[Mutant::AnswerBeforePost],
        body: waker_dies,
    },
    Model {
        name: "a producer that comes back late writes into nobody's record",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::NoQuarantine, Mutant::StorePublish, Mutant::RelaxedReturn, Mutant::NoReturn],
        body: producer_comes_back,
    },
    Model {
        name: "a producer whose claim is voided while it writes pushes again",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::StorePublish, Mutant::NoReturn],
        body: producer_is_slow,
    },
    Model {
        name: "a consumer that is killed at any step has a successor",
        preemptions: 2,
        variants: POP_STEPS,
        catches: &[Mutant::AnswerBeforePost, Mutant::ForgetSleepers, Mutant::TrustHead],
        body: consumer_dies,
    },
];

fn steps_are_all(_: usize) {
    mortal::steps_are_all(|| mpsc(2, 2), || spsc(1));
}

fn producer_dies(step: usize) {
    let memory = mpsc(2, 2);
    let mortal = Mortal::new(&memory);
    let mut victim = Writer::new(mortal.clone(), 1);
    mortal.doom(step);
    let dying = thread::spawn(move || live(|| push(&mut victim, 100)));
    let (mut other, mut consumer) = (writer(&memory, 2), reader(&memory));
    let mut got = Vec::new();
    // However far the victim got, there is room for one record at any time.
    for value in 1..=2 {
        assert!(push(&mut other, value));
        while got.last() != Some(&value) {
            got.extend(pop(&mut consumer, Grace::Zero));
        }
    }
    dying.join().unwrap();
    bury(&*memory, 1);
    got.extend(drain(&mut consumer));
    got.retain(|&value| value != 100);
    assert_eq!(got, [1, 2]);
    has_all_its_slots(&memory, &mut consumer);
}

/// Once everybody has come back or was buried, and the consumer has seen all, nothing is lost of the capacity.
fn has_all_its_slots(memory: &Arc<Modeled>, consumer: &mut Reader<Arc<Modeled>>) {
    assert_eq!(consumer.look(), Ok(Head::Empty));
    let mut producer = writer(memory, 2);
    assert!(try_push(&mut producer, 4) && try_push(&mut producer, 5) && !try_push(&mut producer, 6));
    assert_eq!(drain(consumer), [4, 5]);
}

/// The consumer sleeps, or is about to; the victim dies before, while or after it wakes it; then the next record comes.
fn waker_dies(step: usize) {
    let memory = mpsc(2, 2);
    let mortal = Mortal::new(&memory);
    let mut victim = Writer::new(mortal.clone(), 1);
    let mut consumer = reader(&memory);
    let consuming = thread::spawn(move || while pop(&mut consumer, Grace::Zero) != Some(1) {});
    mortal.doom(step);
    let _ = live(|| push(&mut victim, 100));
    assert!(push(&mut writer(&memory, 2), 1));
    consuming.join().unwrap();
}

/// A ring of one slot, taken from its owner before that one writes.
fn producer_comes_back(_: usize) {
    let memory = mpsc(1, 2);
    let [mut late, mut other] = [1, 2].map(|owner| writer(&memory, owner));
    let mut consumer = reader(&memory);
    let claimed = late.claim().unwrap();
    assert!(consumer.look() == Ok(Head::Claimed(1)) && consumer.void(1));
    let returning = thread::spawn(move || {
        write(&*late.memory, claimed, 100);
        late.publish(claimed).is_ok()
    });
    let early = try_push(&mut other, 1);
    assert!(!returning.join().unwrap());
    // Carried in the meantime, it is a hole at the head now.
    assert!(early || (consumer.look() == Ok(Head::Empty) && try_push(&mut other, 1)));
    assert_eq!(drain(&mut consumer), [1]);
    assert!(try_push(&mut other, 2));
    assert_eq!(drain(&mut consumer), [2]);
}

fn producer_is_slow(_: usize) {
    let memory = mpsc(1, 1);
    let mut slow = writer(&memory, 1);
    let producing = thread::spawn(move || push(&mut slow, 1));
    let mut consumer = reader(&memory);
    assert_eq!(pop(&mut consumer, Grace::Zero), Some(1));
    assert!(producing.join().unwrap());
    assert_eq!(consumer.look(), Ok(Head::Empty));
}

fn consumer_dies(step: usize) {
    mortal::consumer_dies(&spsc(1), step);
}
