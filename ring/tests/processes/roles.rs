//! What the children do.

use std::time::Duration;

use halyard_ring::{CreateError, PopError, PushError, Ring, RingName, RingOptions, Wait};

use crate::child::{hear, say};

/// A record whose parts must fit together: torn or stale bytes show.
pub(crate) type Record = [u64; 4];

pub(crate) fn record(producer: u64, number: u64) -> Record {
    [producer, number, !number, producer.rotate_left(40) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)]
}

/// Checks that every producer's records come whole, once and in order.
pub(crate) struct InOrder(pub(crate) Vec<u64>);

impl InOrder {
    pub(crate) fn of(producers: usize) -> Self {
        Self(vec![0; producers])
    }

    pub(crate) fn check(&mut self, got: Record) {
        let next = &mut self.0[got[0] as usize];
        assert_eq!(got, record(got[0], *next));
        *next += 1;
    }
}

/// How far a producer gets with its claim before it is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Nothing,
    Claimed,
    HalfWritten,
    Written,
}

impl Stage {
    pub(crate) const CLAIMING: [Self; 3] = [Self::Claimed, Self::HalfWritten, Self::Written];
}

/// Sleeps at once, and for longer than any test lasts: a wake-up that is lost is not made good by a later look.
pub(crate) fn deep_sleep() -> Wait {
    Wait::block().recheck(Duration::from_secs(3600))
}

pub(crate) fn play(role: &str, words: &[String]) {
    let number = |index: usize| words[index].parse::<u64>().unwrap();
    if role == "create" {
        return create();
    }
    let name = RingName::new(&words[0]).unwrap();
    if role == "doze" {
        return crate::barrier::doze(&name, &words[1]);
    }
    #[cfg(feature = "faults")]
    if role == "make" {
        return crate::faults::make(&name, &words[1]);
    }
    #[cfg(feature = "faults")]
    if role == "renew" {
        return crate::faults::renew(&name, &words[1]);
    }
    let ring = Ring::<Record>::open(&name).unwrap();
    match role {
        #[cfg(feature = "faults")]
        "faulty" => crate::faults::play(&ring, &words[1], number(2)),
        "produce" => produce(&ring, number(1), number(2)),
        "claim" => claim(&ring, number(1), &words[2]),
        "swallow" => swallow(&ring, number(1), number(2)),
        "pop" => pop(&ring),
        "push" => push(&ring, number(1)),
        "wait" => wait(&ring),
        "step" => crate::steps::step(&ring, &words[1]),
        _ => panic!("no role {role}"),
    }
}

/// Pushes `count` records in the ways there are.
fn produce(ring: &Ring<Record>, id: u64, count: u64) {
    let mut producer = ring.producer().unwrap();
    say("attached");
    if hear().is_none() {
        return;
    }
    for number in 0..count {
        if number % 3 != 0 {
            producer.push(record(id, number)).unwrap();
            continue;
        }
        loop {
            let mut claim = producer.claim().unwrap();
            claim.write(&record(id, number));
            // Voided if this process did not get to run for longer than the grace.
            if claim.publish().is_ok() {
                break;
            }
        }
    }
    drop(producer);
    say("done");
    hear();
}

/// Claims a slot and waits, at some stage of writing the record. Told to go on, it writes, publishes, and pushes.
fn claim(ring: &Ring<Record>, id: u64, stage: &str) {
    let mut producer = ring.producer().unwrap();
    if stage == "Nothing" {
        say("there");
        hear();
        return;
    }
    let mut claim = producer.claim().unwrap();
    match stage {
        "HalfWritten" => claim.write_at(0, &[0xee; 17]),
        "Written" => claim.write(&record(id, 0)),
        _ => {}
    }
    say("there");
    if hear().is_none() {
        return;
    }
    // Long enough to meet whoever would use the slot now.
    for _ in 0..100_000 {
        claim.write(&[0xeeee_eeee; 4]);
    }
    claim.write(&record(id, 0));
    say(if claim.publish().is_ok() { "published" } else { "voided" });
    if hear().is_none() {
        return;
    }
    producer.push(record(id, 0)).unwrap();
    say("pushed");
    hear();
}

/// Pops records of producer 0 up to number `last`, says so at number `busy`, and then holds on to the ring.
fn swallow(ring: &Ring<Record>, busy: u64, last: u64) {
    let mut consumer = ring.consumer().unwrap();
    say("attached");
    for number in 0..=last {
        assert_eq!(consumer.pop().unwrap(), record(0, number));
        if number == busy {
            say("busy");
        }
    }
    say("over");
    hear();
}

/// Pops in deep sleep and says each record's number.
fn pop(ring: &Ring<Record>) {
    let mut consumer = ring.consumer().unwrap();
    consumer.set_wait(deep_sleep());
    say("attached");
    loop {
        match consumer.pop() {
            Ok(record) => say(&record[1].to_string()),
            Err(PopError::Closed) => return say("closed"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Pushes records in deep sleep and says each one's number; the first that finds the ring full says so before.
fn push(ring: &Ring<Record>, id: u64) {
    let mut producer = ring.producer().unwrap();
    producer.set_wait(deep_sleep());
    say("attached");
    for number in 0.. {
        match producer.push(record(id, number)) {
            Ok(()) => say(&number.to_string()),
            Err(PushError::Closed(_)) => return say("closed"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits for a record or a nudge.
fn wait(ring: &Ring<Record>) {
    let mut consumer = ring.consumer().unwrap();
    consumer.set_wait(deep_sleep());
    say("attached");
    say(&format!("{:?}", consumer.wait(Duration::from_secs(3600))));
    hear();
}

/// Creates each ring that it is told the name of, and keeps it until told the next.
fn create() {
    say("ready");
    while let Some(name) = hear() {
        let name = RingName::new(&name).unwrap();
        let _ring = match Ring::<Record>::create(&name, &RingOptions::mpsc(8)) {
            Ok(ring) => {
                say("won");
                ring
            }
            Err(CreateError::Exists { .. }) => {
                say("exists");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        hear();
    }
}
