//! Records between living processes, and the race for a name.

use std::time::Duration;

use halyard_ring::{AttachError, Mode, PopError, Ring, RingOptions};

use crate::child::{Child, LIMIT, Name};
use crate::roles::{InOrder, Record, Stage};

fn every_record_arrives_once_and_in_order(options: &RingOptions, producers: u64, count: u64) {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut children: Vec<_> =
        (0..producers).map(|id| Child::start("produce", &[&name, &id, &count])).collect();
    children.iter().for_each(|child| child.expect("attached"));
    children.iter_mut().for_each(|child| child.tell("go"));
    let mut order = InOrder::of(producers as usize);
    for _ in 0..producers * count {
        order.check(consumer.pop_timeout(LIMIT).unwrap());
    }
    children.iter().for_each(|child| child.expect("done"));
    children.into_iter().for_each(Child::finish);
    assert_eq!(consumer.try_pop(), Err(PopError::Empty));
    let seen = ring.inspect();
    assert_eq!(seen.counters.published, producers * count);
    assert_eq!(seen.counters.consumed, producers * count);
    assert_eq!((seen.counters.quarantined, seen.counters.damaged), (0, 0));
    assert_eq!(seen.producers, []);
}

#[test]
fn four_processes_to_one_doorbell() {
    every_record_arrives_once_and_in_order(&RingOptions::mpsc(64), 4, 10_000);
}

#[test]
fn four_processes_to_one_counting() {
    every_record_arrives_once_and_in_order(&RingOptions::mpsc(64).mode(Mode::Counting), 4, 2_000);
}

#[test]
fn four_processes_to_one_with_a_grace_that_voids_often() {
    let options = RingOptions::mpsc(4).grace(Duration::from_micros(1));
    every_record_arrives_once_and_in_order(&options, 4, 1_000);
}

#[test]
fn one_process_to_another_doorbell() {
    every_record_arrives_once_and_in_order(&RingOptions::spsc(64), 1, 50_000);
}

#[test]
fn one_process_to_another_counting() {
    every_record_arrives_once_and_in_order(&RingOptions::spsc(64).mode(Mode::Counting), 1, 10_000);
}

#[test]
fn more_living_producers_than_owners_are_refused() {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(8).owners(3)).unwrap();
    let mut children: Vec<_> =
        (0..3).map(|id| Child::start("claim", &[&name, &id, &format!("{:?}", Stage::Nothing)])).collect();
    children.iter().for_each(|child| child.expect("there"));
    assert_eq!(ring.producer().unwrap_err(), AttachError::OwnersFull { limit: 3 });
    children.pop().unwrap().finish();
    ring.producer().unwrap();
}

#[test]
fn of_processes_that_create_one_name_exactly_one_wins() {
    let mut children: Vec<_> = (0..3).map(|_| Child::start("create", &[])).collect();
    children.iter().for_each(|child| child.expect("ready"));
    for _ in 0..20 {
        let name = Name::new();
        children.iter_mut().for_each(|child| child.tell(name.0.as_str()));
        let said: Vec<_> = children.iter().map(Child::hear).collect();
        let winners: Vec<_> = (0..3).filter(|&child| said[child] == "won").collect();
        let [winner] = winners[..] else { panic!("{said:?}") };
        assert_eq!(said.iter().filter(|said| *said == "exists").count(), 2);
        let ring = Ring::<Record>::open(&name.0).unwrap();
        assert_eq!(ring.creator().map(|process| process.pid()), Some(children[winner].pid()));
        children[winner].tell("next");
    }
    children.into_iter().for_each(Child::finish);
}
