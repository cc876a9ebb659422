//! A producer that dies or stops at each named point of a push, and what the others see of it.

use std::time::Duration;

use halyard_ring::faults::{self, Action, Order, Point};
use halyard_ring::{PopError, Ring, RingOptions};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::child::{Child, LIMIT, Name, say};
use crate::roles::{InOrder, Record, record};

/// The points of a push in their order, and whether the record is there for the consumer when a process ends there.
const PUSH: [(Point, bool); 4] = [
    (Point::AfterClaim, false),
    (Point::HalfWritten, false),
    (Point::BeforePublish, false),
    (Point::BeforeWake, true),
];

/// The passage at which it happens: some records go through before.
const NTH: u32 = 4;

/// The child: pushes `count` records and is hit on the way as `order` says.
pub(crate) fn play(ring: &Ring<Record>, order: &str, count: u64) {
    faults::arm(order.parse().unwrap());
    let mut producer = ring.producer().unwrap();
    for number in 0..count {
        producer.push(record(0, number)).unwrap();
    }
    say("done");
}

fn wait_for(child: &Child, expected: impl Fn(WaitStatus) -> bool) {
    let status = waitpid(Pid::from_raw(child.pid() as i32), Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert!(expected(status), "{status:?}");
}

#[test]
fn orders_are_written_as_they_are_read() {
    for text in ["half-written:kill@3", "attach:stop@1", "before-wake:sleep=20@7"] {
        assert_eq!(text.parse::<Order>().map(|order| order.to_string()), Ok(text.to_owned()));
    }
    assert_eq!("attach:kill".parse::<Order>().map(|order| order.nth), Ok(1));
    for bad in
        ["", "attach", "nowhere:kill", "attach:die", "attach:kill@0", "attach:sleep=x", "attach:stop=3"]
    {
        assert!(bad.parse::<Order>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_point_acts_at_the_passage_that_was_ordered_and_once() {
    // A point that nothing in this test program passes.
    let point = Point::SessionEnd;
    faults::arm(Order { point, action: Action::Sleep(Duration::from_millis(1)), nth: 3 });
    faults::pass(point);
    faults::pass(point);
    assert!(faults::is_armed(point));
    faults::pass(point);
    assert!(!faults::is_armed(point));
}

#[test]
fn a_producer_that_is_killed_at_any_point_of_a_push_takes_at_most_its_own_record_with_it() {
    for (point, is_there) in PUSH {
        let name = Name::new();
        let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(16)).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let victim = Child::start("faulty", &[&name, &Order { point, action: Action::Kill, nth: NTH }, &8]);
        wait_for(&victim, |status| matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)));
        producer.push(record(1, 0)).unwrap();
        let (mut check, mut got) = (InOrder::of(2), 0);
        while check.0[1] == 0 {
            check.check(consumer.pop_timeout(LIMIT).unwrap());
            got += 1;
        }
        assert_eq!(check.0[0], u64::from(NTH - 1) + u64::from(is_there), "{}", point.name());
        assert_eq!(got, check.0[0] + 1);
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
        ring.reap();
        for number in 1..=32 {
            producer.push_timeout(record(1, number), LIMIT).unwrap();
            check.check(consumer.pop_timeout(LIMIT).unwrap());
        }
    }
}

#[test]
fn a_producer_that_is_stopped_at_any_point_of_a_push_delivers_all_its_records_once_it_goes_on() {
    for (point, _) in PUSH {
        let name = Name::new();
        let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(16)).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let victim = Child::start("faulty", &[&name, &Order { point, action: Action::Stop, nth: NTH }, &8]);
        wait_for(&victim, |status| matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)));
        let mut check = InOrder::of(2);
        for number in 0..32 {
            producer.push_timeout(record(1, number), LIMIT).unwrap();
            check.check(consumer.pop_timeout(LIMIT).unwrap());
        }
        victim.go_on();
        while check.0 != [8, 32] {
            check.check(consumer.pop_timeout(LIMIT).unwrap());
        }
        victim.expect("done");
    }
}

#[test]
fn what_dies_while_it_makes_a_segment_leaves_a_name_that_the_next_can_take() {
    for point in [Point::Create, Point::HalfCreated] {
        let name = Name::new();
        let order = Order { point, action: Action::Kill, nth: 1 };
        let victim = Child::start("make", &[&name, &order]);
        wait_for(&victim, |status| matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)));
        assert!(Ring::<Record>::create(&name.0, &RingOptions::mpsc(16)).is_err(), "{}", point.name());
        assert_eq!(halyard_ring::remove_dead(&name.0).unwrap(), halyard_ring::Removal::Removed);
        let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(16)).unwrap();
        ring.unlink().unwrap();
    }
}

/// The child: is hit while it makes a ring.
pub(crate) fn make(name: &halyard_ring::RingName, order: &str) {
    faults::arm(order.parse().unwrap());
    let _ = Ring::<Record>::create(name, &RingOptions::mpsc(16));
}
