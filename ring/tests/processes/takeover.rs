//! A killed consumer, or the killed producer of a single-producer ring, is taken over; a living one is not.

use std::time::Duration;

use halyard_ring::{AttachError, Mode, PopError, Ring, RingOptions};

use crate::child::{Child, LIMIT, Name};
use crate::roles::{Record, record};

const COUNT: u64 = 20_000;

/// The consumer is killed while it pops; the next one goes on at the very next record.
fn a_consumer_is_killed_at_work(options: &RingOptions) {
    let name = Name::new();
    // No claim is ever passed over, so that a record's number is its position.
    let options = options.clone().grace(Duration::from_secs(3600));
    let ring = Ring::<Record>::create(&name.0, &options).unwrap();
    let mut writer = Child::start("produce", &[&name, &0, &COUNT]);
    writer.expect("attached");
    // It stops half-way, so that something is left however late it is killed.
    let mut reader = Child::start("swallow", &[&name, &100, &(COUNT / 2)]);
    reader.expect("attached");
    writer.tell("go");
    reader.expect("busy");
    let Err(AttachError::ConsumerTaken { by }) = ring.consumer() else { panic!("two consumers") };
    assert_eq!(by.pid(), reader.pid());
    reader.kill();
    let mut consumer = ring.consumer().unwrap();
    let first = consumer.position();
    assert!((101..=COUNT / 2 + 1).contains(&first), "{first}");
    for number in first..COUNT {
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(0, number)));
    }
    writer.expect("done");
    assert_eq!(consumer.try_pop(), Err(PopError::Empty));
}

#[test]
fn a_consumer_killed_at_work_is_taken_over_without_loss_mpsc() {
    a_consumer_is_killed_at_work(&RingOptions::mpsc(64));
}

#[test]
fn a_consumer_killed_at_work_is_taken_over_without_loss_spsc() {
    a_consumer_is_killed_at_work(&RingOptions::spsc(64));
}

/// Killed between two records: also the tokens of counting mode are all there.
fn a_consumer_is_killed_at_rest(options: &RingOptions) {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, options).unwrap();
    let mut producer = ring.producer().unwrap();
    for (number, last) in [(0, 4_u64), (1, 2), (2, 0)] {
        // The child expects records from 0 on.
        for number in 0..=last {
            producer.push(record(0, number)).unwrap();
        }
        producer.push(record(1, number)).unwrap();
        let mut reader = Child::start("swallow", &[&name, &last, &last]);
        reader.expect("attached");
        reader.expect("busy");
        reader.expect("over");
        reader.kill();
        let mut consumer = ring.consumer().unwrap();
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(1, number)));
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
    }
    for number in 0..u64::from(ring.capacity()) {
        producer.try_push(record(0, number)).unwrap();
    }
    producer.try_push(record(0, 0)).unwrap_err();
}

#[test]
fn a_consumer_killed_between_two_records_is_taken_over_without_loss() {
    for mode in [Mode::Doorbell, Mode::Counting] {
        a_consumer_is_killed_at_rest(&RingOptions::mpsc(8).mode(mode));
        a_consumer_is_killed_at_rest(&RingOptions::spsc(8).mode(mode));
    }
}

#[test]
fn a_killed_single_producer_is_taken_over_and_its_records_stay() {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, &RingOptions::spsc(64)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut writer = Child::start("produce", &[&name, &0, &u64::MAX]);
    writer.expect("attached");
    let Err(AttachError::ProducerTaken { by }) = ring.producer() else { panic!("two producers") };
    assert_eq!(by.pid(), writer.pid());
    writer.tell("go");
    let mut next = 0;
    while next < 1000 {
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(0, next)));
        next += 1;
    }
    writer.kill();
    let mut producer = ring.producer().unwrap();
    // What it had published is still there, then comes the new one's.
    let pushed = (0..).take_while(|&number| producer.try_push(record(1, number)).is_ok()).count();
    while ring.inspect().counters.consumed < ring.inspect().tail {
        let got = consumer.pop_timeout(LIMIT).unwrap();
        if got[0] == 1 {
            assert_eq!(got, record(1, 0));
            break;
        }
        assert_eq!(got, record(0, next));
        next += 1;
    }
    for number in 1..pushed as u64 {
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(1, number)));
    }
    assert_eq!(consumer.try_pop(), Err(PopError::Empty));
    for number in 0..64 {
        producer.try_push(record(1, number)).unwrap();
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(1, number)));
    }
}
