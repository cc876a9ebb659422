//! Producers that are killed.

use std::time::Duration;

use halyard_ring::{Consumer, Mode, PopError, PushError, Reaped, Ring, RingOptions};

use crate::child::{Child, LIMIT, Name, until};
use crate::roles::{InOrder, Record, Stage, record};

/// What the ring must still be able to do, once nobody else is attached as a producer: be filled to the last slot.
pub(crate) fn has_full_capacity(ring: &Ring<Record>, consumer: &mut Consumer<Record>) {
    let mut producer = ring.producer().unwrap();
    let capacity = u64::from(ring.capacity());
    // Two laps, so that the holes that the dead left are passed.
    for number in 0..2 * capacity {
        producer.push_timeout(record(0, number), LIMIT).unwrap();
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(0, number)));
    }
    for number in 0..capacity {
        assert_eq!(producer.try_push(record(0, number)), Ok(()), "record {number} of {capacity}");
    }
    assert!(matches!(producer.try_push(record(0, capacity)), Err(PushError::Full(_))));
    for number in 0..capacity {
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(0, number)));
    }
}

fn a_producer_is_killed(stage: Stage, mode: Mode) {
    let name = Name::new();
    let options = RingOptions::mpsc(8).mode(mode).owners(4).grace(Duration::from_millis(20));
    let ring = Ring::<Record>::create(&name.0, &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut victim = Child::start("claim", &[&name, &2, &format!("{stage:?}")]);
    victim.expect("there");
    let mut others: Vec<_> = (0..2).map(|id| Child::start("produce", &[&name, &id, &300])).collect();
    others.iter().for_each(|child| child.expect("attached"));
    victim.kill();
    others.iter_mut().for_each(|child| child.tell("go"));
    let mut order = InOrder::of(2);
    for _ in 0..600 {
        order.check(consumer.pop_timeout(LIMIT).unwrap());
    }
    others.iter().for_each(|child| child.expect("done"));
    others.into_iter().for_each(Child::finish);
    if stage == Stage::Nothing {
        // It stands in nobody's way, so nobody has looked for it yet.
        assert_eq!(ring.reap(), Reaped { owners: 1, slots: 0 });
    } else {
        // At least: others that did not get to run for a while may have lost a claim, too.
        assert!(ring.inspect().counters.voids >= 1);
    }
    assert_eq!(ring.inspect().producers, []);
    assert_eq!(ring.inspect().counters.quarantined, 0);
    assert_eq!(ring.reap(), Reaped::default());
    has_full_capacity(&ring, &mut consumer);
}

#[test]
fn a_producer_killed_without_a_claim_leaves_an_entry_that_is_reaped() {
    a_producer_is_killed(Stage::Nothing, Mode::Doorbell);
    a_producer_is_killed(Stage::Nothing, Mode::Counting);
}

#[test]
fn a_producer_killed_after_its_claim_is_passed_over_and_reaped() {
    a_producer_is_killed(Stage::Claimed, Mode::Doorbell);
    a_producer_is_killed(Stage::Claimed, Mode::Counting);
}

#[test]
fn a_producer_killed_half_way_through_its_record_is_passed_over_and_reaped() {
    a_producer_is_killed(Stage::HalfWritten, Mode::Doorbell);
    a_producer_is_killed(Stage::HalfWritten, Mode::Counting);
}

#[test]
fn a_producer_killed_just_before_it_publishes_is_passed_over_and_reaped() {
    a_producer_is_killed(Stage::Written, Mode::Doorbell);
    a_producer_is_killed(Stage::Written, Mode::Counting);
}

#[test]
fn many_killed_with_a_claim_each_leave_a_ring_of_full_capacity() {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(4).owners(4)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut victims: Vec<_> =
        (0..4).map(|id| Child::start("claim", &[&name, &id, &format!("{:?}", Stage::Written)])).collect();
    victims.iter().for_each(|child| child.expect("there"));
    victims.iter_mut().for_each(Child::kill);
    until("four claims to be passed over", || {
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
        ring.inspect().counters.voids == 4
    });
    has_full_capacity(&ring, &mut consumer);
    assert_eq!(ring.inspect().counters.quarantined, 0);
}

#[test]
fn killed_producers_do_not_fill_the_owner_table() {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(8).owners(3)).unwrap();
    for id in 0..10 {
        // A child that finds no free entry ends instead of saying this.
        let mut child = Child::start("claim", &[&name, &id, &format!("{:?}", Stage::Nothing)]);
        child.expect("there");
        child.kill();
        assert!(ring.inspect().producers.len() <= 3);
    }
    let reaped = ring.reap();
    assert!((1..=3).contains(&reaped.owners), "{reaped:?}");
    assert_eq!(ring.inspect().producers, []);
}
