//! Producers and consumers that stop after any step, for ever or for a while.

use std::sync::Arc;

use loom::thread;

use super::Model;
use super::stage::{
    Grace, Mortal, claim, drain, live, mpsc, pop, push, reader, spsc, try_push, write, writer,
};
use crate::memory::Modeled;
use crate::protocol::{Head, Reader, Writer, free_slots_of};
use crate::sync::Mutant;

/// Accesses to memory in one push, and one more: that one survives it.
const PUSH_STEPS: usize = 11;
/// The same for two pops.
const POP_STEPS: usize = 24;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "a producer that is killed at any step delays nobody for ever",
        preemptions: 2,
        variants: PUSH_STEPS,
        catches: &[Mutant::AnswerBeforePost, Mutant::NoCarry],
        body: producer_dies,
    },
    Model {
        name: "a producer that comes back late writes into nobody's record",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::NoQuarantine, Mutant::StorePublish, Mutant::RelaxedReturn, Mutant::NoReturn],
        body: producer_comes_back,
    },
    Model {
        name: "producers whose claims are voided push again",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::NoQuarantine, Mutant::StorePublish],
        body: producers_are_slow,
    },
    Model {
        name: "a consumer that is killed at any step has a successor",
        preemptions: 2,
        variants: POP_STEPS,
        catches: &[Mutant::AnswerBeforePost, Mutant::ForgetSleepers, Mutant::TrustHead],
        body: consumer_dies,
    },
];

fn producer_dies(step: usize) {
    let memory = mpsc(2, 2);
    let mortal = Mortal::new(&memory);
    let mut victim = Writer::new(mortal.clone(), 1);
    mortal.doom(step);
    let dying = thread::spawn(move || live(|| push(&mut victim, 100)));
    let mut other = writer(&memory, 2);
    let producing = thread::spawn(move || (1..=3).all(|value| push(&mut other, value)));
    let mut consumer = reader(&memory);
    let mut got = Vec::new();
    while got.last() != Some(&3) {
        got.extend(pop(&mut consumer, Grace::Zero));
    }
    dying.join().unwrap();
    assert!(producing.join().unwrap());
    free_slots_of(&*memory, 1);
    got.extend(drain(&mut consumer));
    got.retain(|&value| value != 100);
    assert_eq!(got, [1, 2, 3]);
    has_all_its_slots(&memory, &mut consumer);
}

/// Once everybody has come back or was buried, and the consumer has seen all, nothing is lost of the capacity.
fn has_all_its_slots(memory: &Arc<Modeled>, consumer: &mut Reader<Modeled>) {
    assert_eq!(consumer.look(), Ok(Head::Empty));
    let mut producer = writer(memory, 2);
    assert!(try_push(&mut producer, 4) && try_push(&mut producer, 5) && !try_push(&mut producer, 6));
    assert_eq!(drain(consumer), [4, 5]);
}

fn producer_comes_back(_: usize) {
    let memory = mpsc(2, 2);
    let (mut late, mut other) = (writer(&memory, 1), writer(&memory, 2));
    let returning = thread::spawn(move || {
        let claimed = claim(&mut late).unwrap();
        write(&*late.memory, claimed, 100);
        let published = late.publish(claimed).is_ok();
        late.announce(usize::from(published));
        published
    });
    let producing = thread::spawn(move || (1..=3).all(|value| push(&mut other, value)));
    let mut consumer = reader(&memory);
    let mut got = Vec::new();
    while got.last() != Some(&3) {
        got.extend(pop(&mut consumer, Grace::Zero));
    }
    let published = returning.join().unwrap();
    assert!(producing.join().unwrap());
    got.extend(drain(&mut consumer));
    assert_eq!(got.contains(&100), published);
    got.retain(|&value| value != 100);
    assert_eq!(got, [1, 2, 3]);
    has_all_its_slots(&memory, &mut consumer);
}

fn producers_are_slow(_: usize) {
    let memory = mpsc(2, 2);
    let producing = [1, 2].map(|owner: u16| {
        let mut producer = writer(&memory, owner);
        thread::spawn(move || push(&mut producer, u64::from(owner)))
    });
    let mut consumer = reader(&memory);
    let mut got = [(); 2].map(|()| pop(&mut consumer, Grace::Zero));
    assert!(producing.into_iter().all(|thread| thread.join().unwrap()));
    got.sort_unstable();
    assert_eq!(got, [Some(1), Some(2)]);
    has_all_its_slots(&memory, &mut consumer);
}

fn consumer_dies(step: usize) {
    let memory = spsc(2);
    let mut producer = writer(&memory, 1);
    let producing = thread::spawn(move || (1..=4).all(|value| push(&mut producer, value)));
    let mortal = Mortal::new(&memory);
    let mut first = Reader::new(mortal.clone());
    mortal.doom(step);
    let dying = thread::spawn(move || {
        let mut got = Vec::new();
        let lived = live(|| (0..2).for_each(|_| got.extend(pop(&mut first, Grace::Zero)))).is_some();
        (got, lived)
    });
    let (mut got, lived) = dying.join().unwrap();
    let mut successor = reader(&memory);
    // What the dead one had copied and freed, but not returned, died with it.
    let next = pop(&mut successor, Grace::Zero).unwrap();
    let last = got.len() as u64;
    assert!(next == last + 1 || (next == last + 2 && !lived), "{next} after {got:?}");
    got.push(next);
    while got.last() != Some(&4) {
        got.extend(pop(&mut successor, Grace::Zero));
    }
    assert!(got.is_sorted() && got.len() >= 3);
    assert!(producing.join().unwrap());
}
