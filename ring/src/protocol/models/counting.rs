//! Counting mode: a token a record on both semaphores, also where tokens die with their holders (I10).

use std::sync::Arc;

use loom::thread;

use super::Model;
use super::mortal::{self, Mortal, POP_STEPS, PUSH_STEPS, live};
use super::stage::{Grace, claim, counting, counting_spsc, drain, pop, push, reader, writer};
use crate::memory::{Memory, Modeled};
use crate::protocol::{Head, Reader, Reserve, Writer, free_slots_of};
use crate::sync::Mutant;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "counting: the steps at which somebody dies are all there are",
        preemptions: 0,
        variants: 1,
        catches: &[],
        body: steps_are_all,
    },
    Model {
        name: "counting: producer and consumer sleep and wake each other",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::RelaxedFree, Mutant::RelaxedPublish],
        body: hands_over,
    },
    Model {
        name: "counting: two producers hand over",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::StoreClaim],
        body: two_hand_over,
    },
    Model {
        name: "counting: abandoned claims cost neither a slot nor a token",
        preemptions: 3,
        variants: 1,
        catches: &[Mutant::SilentAbandon],
        body: abandons,
    },
    Model {
        name: "counting: a quarantine that ends wakes a producer",
        preemptions: 2,
        variants: 1,
        catches: &[Mutant::SilentReturn, Mutant::NoReturn],
        body: comes_back,
    },
    Model {
        name: "counting: a producer that is killed at any step costs neither a slot nor a token",
        preemptions: 2,
        variants: PUSH_STEPS,
        catches: &[Mutant::TrustTokens],
        body: producer_dies,
    },
    Model {
        name: "counting: a consumer that is killed at any step has a successor",
        preemptions: 2,
        variants: POP_STEPS,
        catches: &[Mutant::KeepLostTokens],
        body: consumer_dies,
    },
];

/// With the ring empty and nobody at work: every slot can be filled, and then no token is left; every record can be
/// taken, and then as many tokens are there as slots.
fn all_is_there(memory: &Arc<Modeled>, consumer: &mut Reader<Arc<Modeled>>, owner: u16) {
    let capacity = memory.shape().capacity;
    assert_eq!(consumer.look(), Ok(Head::Empty));
    let mut producer = writer(memory, owner);
    for value in 0..capacity {
        assert!(push(&mut producer, u64::from(value)));
    }
    assert_eq!(producer.claim(), Err(Reserve::Full));
    assert_eq!(memory.space().value(), 0, "no token is left over");
    assert_eq!(drain(consumer).len(), capacity as usize);
    assert_eq!(memory.space().value(), capacity);
}

fn steps_are_all(_: usize) {
    mortal::steps_are_all(|| counting(1, 2), || counting_spsc(1));
}

fn hands_over(_: usize) {
    let memory = counting_spsc(1);
    let mut producer = writer(&memory, 1);
    let producing = thread::spawn(move || (1..=2).all(|value| push(&mut producer, value)));
    let mut consumer = reader(&memory);
    assert_eq!([(); 2].map(|()| pop(&mut consumer, Grace::Zero)), [Some(1), Some(2)]);
    assert!(producing.join().unwrap());
    all_is_there(&memory, &mut consumer, 1);
}

fn two_hand_over(_: usize) {
    let memory = counting(1, 2);
    let producing = [1, 2].map(|owner: u16| {
        let mut producer = writer(&memory, owner);
        thread::spawn(move || push(&mut producer, u64::from(owner)))
    });
    let mut consumer = reader(&memory);
    let mut got = [(); 2].map(|()| pop(&mut consumer, Grace::Endless));
    assert!(producing.into_iter().all(|thread| thread.join().unwrap()));
    got.sort_unstable();
    assert_eq!(got, [Some(1), Some(2)]);
    all_is_there(&memory, &mut consumer, 1);
}

fn abandons(_: usize) {
    let memory = counting(1, 1);
    let mut producer = writer(&memory, 1);
    let producing = thread::spawn(move || {
        let claimed = claim(&mut producer).unwrap();
        producer.abandon(claimed);
        push(&mut producer, 1)
    });
    let mut consumer = reader(&memory);
    assert_eq!(pop(&mut consumer, Grace::Endless), Some(1));
    assert!(producing.join().unwrap());
    all_is_there(&memory, &mut consumer, 1);
}

/// The only slot is in quarantine when the second producer wants it.
fn comes_back(_: usize) {
    let memory = counting(1, 2);
    let [mut late, mut other] = [1, 2].map(|owner| writer(&memory, owner));
    let mut consumer = reader(&memory);
    let claimed = claim(&mut late).unwrap();
    assert!(consumer.look() == Ok(Head::Claimed(1)) && consumer.void(1));
    let returning = thread::spawn(move || late.publish(claimed).is_err());
    let producing = thread::spawn(move || push(&mut other, 1));
    assert_eq!(pop(&mut consumer, Grace::Endless), Some(1));
    assert!(returning.join().unwrap() && producing.join().unwrap());
    all_is_there(&memory, &mut consumer, 1);
}

/// Nobody buries the victim before all is over, so its token, if it died with one, is gone.
fn producer_dies(step: usize) {
    let memory = counting(1, 2);
    let mortal = Mortal::new(&memory);
    let mut victim = Writer::new(mortal.clone(), 1);
    mortal.doom(step);
    let dying = thread::spawn(move || live(|| push(&mut victim, 100)));
    let mut consumer = reader(&memory);
    // The consumer passes over the victim's claim, if it left one, and buries it.
    let mut other = writer(&memory, 2);
    let lived = dying.join().unwrap();
    let mut got = Vec::new();
    let mut claimed = other.claim();
    // The first look at the slot may find the victim's record or claim, the second the hole that the claim left.
    for _ in 0..2 {
        if claimed.is_err() {
            got.extend(drain(&mut consumer));
            if let Ok(Head::Claimed(owner)) = consumer.look()
                && consumer.void(owner)
            {
                // It frees the slot, and gives back no token that is in nobody's claim.
                free_slots_of(&*memory, owner);
            }
            let _ = consumer.look();
            claimed = other.claim();
        }
    }
    other.abandon(claimed.unwrap());
    got.extend(drain(&mut consumer));
    assert!(got == [100] || (got.is_empty() && lived.is_none()), "{got:?}");
    all_is_there(&memory, &mut consumer, 2);
}

fn consumer_dies(step: usize) {
    let memory = counting_spsc(1);
    let mut successor = mortal::consumer_dies(&memory, step);
    all_is_there(&memory, &mut successor, 1);
}
