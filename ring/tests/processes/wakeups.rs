//! Sleepers of other processes: each is woken when it must be, also after others were killed in their sleep.

use halyard_ring::{Consumer, Mode, Ring, RingOptions};

use crate::child::{Child, LIMIT, Name, sleepers, until};
use crate::roles::{Record, record};

const MODES: [Mode; 2] = [Mode::Doorbell, Mode::Counting];

fn new_ring(options: &RingOptions) -> (Name, Ring<Record>) {
    let name = Name::new();
    let ring = Ring::create(&name.0, options).unwrap();
    (name, ring)
}

/// Starts a consumer and waits until it sleeps. One that was killed in its sleep stays counted by the C library.
fn sleeping_reader(name: &Name, ring: &Ring<Record>, role: &str, killed: u32) -> Child {
    let child = Child::start(role, &[name]);
    child.expect("attached");
    until("a sleeping consumer", || sleepers(&ring.inspect()).0 > killed);
    child
}

#[test]
fn a_consumer_killed_in_its_sleep_takes_no_wake_up_with_it() {
    for mode in MODES {
        for options in [RingOptions::spsc(8), RingOptions::mpsc(8)] {
            let (name, ring) = new_ring(&options.mode(mode));
            let mut producer = ring.producer().unwrap();
            for killed in 0..3 {
                sleeping_reader(&name, &ring, "pop", killed).kill();
            }
            let mut next = sleeping_reader(&name, &ring, "pop", 3);
            for number in 0..20 {
                producer.push_timeout(record(0, number), LIMIT).unwrap();
                next.expect(&number.to_string());
            }
            next.kill();
            // Pushed while nobody is there, and the announcement of the dead one still stands.
            producer.push_timeout(record(0, 20), LIMIT).unwrap();
            let next = Child::start("pop", &[&name]);
            next.expect("attached");
            next.expect("20");
            for number in 21..40 {
                producer.push_timeout(record(0, number), LIMIT).unwrap();
                next.expect(&number.to_string());
            }
        }
    }
}

fn pop_one(consumer: &mut Consumer<Record>, counts: &mut [u64]) {
    let got = consumer.pop_timeout(LIMIT).unwrap();
    let next = &mut counts[got[0] as usize];
    assert_eq!(got, record(got[0], *next));
    *next += 1;
}

#[test]
fn a_producer_killed_in_its_sleep_takes_no_wake_up_with_it() {
    for mode in MODES {
        let (name, ring) = new_ring(&RingOptions::mpsc(2).mode(mode).owners(4));
        let mut consumer = ring.consumer().unwrap();
        let mut counts = [0; 4];
        let mut first = Child::start("push", &[&name, &0]);
        for line in ["attached", "0", "1"] {
            first.expect(line);
        }
        let mut second = Child::start("push", &[&name, &1]);
        let third = Child::start("push", &[&name, &2]);
        second.expect("attached");
        third.expect("attached");
        until("three sleeping producers", || sleepers(&ring.inspect()).1 == 3);
        first.kill();
        second.kill();
        for number in 0..20 {
            // Two to free both slots; the one sleeper that lives must use each slot that is freed.
            pop_one(&mut consumer, &mut counts);
            third.expect(&number.to_string());
        }
        drop(third);
        let last = Child::start("push", &[&name, &3]);
        last.expect("attached");
        for number in 0..20 {
            pop_one(&mut consumer, &mut counts);
            last.expect(&number.to_string());
        }
        assert_eq!(counts[1], 0);
    }
}

#[test]
fn a_single_producer_killed_in_its_sleep_takes_no_wake_up_with_it() {
    for mode in MODES {
        let (name, ring) = new_ring(&RingOptions::spsc(2).mode(mode));
        let mut consumer = ring.consumer().unwrap();
        let mut counts = [0; 2];
        let mut first = Child::start("push", &[&name, &0]);
        for line in ["attached", "0", "1"] {
            first.expect(line);
        }
        until("a sleeping producer", || sleepers(&ring.inspect()).1 == 1);
        first.kill();
        let next = Child::start("push", &[&name, &1]);
        next.expect("attached");
        for number in 0..20 {
            pop_one(&mut consumer, &mut counts);
            next.expect(&number.to_string());
        }
    }
}

#[test]
fn close_wakes_sleepers_of_other_processes() {
    for mode in MODES {
        let (name, ring) = new_ring(&RingOptions::mpsc(2).mode(mode));
        let reader = sleeping_reader(&name, &ring, "pop", 0);
        ring.close();
        reader.expect("closed");
        reader.finish();

        let (name, ring) = new_ring(&RingOptions::mpsc(2).mode(mode));
        ring.producer().unwrap().push_batch(&[record(9, 0), record(9, 1)]).unwrap();
        let writers: Vec<_> = (0..2).map(|id| Child::start("push", &[&name, &id])).collect();
        writers.iter().for_each(|child| child.expect("attached"));
        until("two sleeping producers", || sleepers(&ring.inspect()).1 == 2);
        ring.close();
        writers.iter().for_each(|child| child.expect("closed"));
        writers.into_iter().for_each(Child::finish);
    }
}

#[test]
fn a_nudge_ends_a_wait_of_another_process() {
    for mode in MODES {
        let (name, ring) = new_ring(&RingOptions::mpsc(2).mode(mode));
        let reader = sleeping_reader(&name, &ring, "wait", 0);
        ring.nudge();
        reader.expect("Ok(false)");
        reader.finish();
        let reader = sleeping_reader(&name, &ring, "wait", 0);
        ring.producer().unwrap().push(record(0, 0)).unwrap();
        reader.expect("Ok(true)");
        reader.finish();
    }
}
