//! A producer that dies or stops at each named point of a push, and what the others see of it.

use std::time::Duration;

use halyard_ring::faults::{self, Action, Order, Point};
use halyard_ring::{CreateError, OpenError, PopError, Removal, Ring, RingOptions, list_names, remove_dead};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::child::{Child, LIMIT, Name, hear, say};
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
    let points = [(Point::Create, 1), (Point::HalfCreated, 1), (Point::Unnamed, 1), (Point::Unnamed, 2)];
    for (point, nth) in points {
        let name = Name::new();
        let order = Order { point, action: Action::Kill, nth };
        let victim = Child::start("make", &[&name, &order]);
        wait_for(&victim, |status| matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)));
        assert!(Ring::<Record>::create(&name.0, &RingOptions::mpsc(16)).is_err(), "{}", point.name());
        assert_eq!(remove_dead(&name.0).unwrap(), Removal::Removed);
        let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(16)).unwrap();
        ring.unlink().unwrap();
    }
}

/// The child: is hit while it makes a ring.
pub(crate) fn make(name: &halyard_ring::RingName, order: &str) {
    faults::arm(order.parse().unwrap());
    let _ = Ring::<Record>::create(name, &RingOptions::mpsc(16));
}

/// The points of a renewal in their order, and whether the name stands for the new ring, which is not READY, by then.
const RENEWAL: [(Point, bool); 5] = [
    (Point::Create, false),
    (Point::HalfCreated, false),
    (Point::Renewing, false),
    (Point::HalfRenewed, true),
    (Point::Renewed, true),
];

/// The child: makes a ring, and is hit while it makes it anew.
pub(crate) fn renew(name: &halyard_ring::RingName, order: &str) {
    let ring = Ring::<Record>::create(name, &RingOptions::mpsc(16)).unwrap();
    faults::arm(order.parse().unwrap());
    match ring.renew(&RingOptions::mpsc(16)) {
        Ok(new) => {
            assert!(new.is_current().unwrap() && !ring.is_current().unwrap());
            say("renewed");
        }
        Err(CreateError::Exists { name: taken }) => {
            assert_eq!(taken, name.segment());
            say("lost");
        }
        Err(error) => panic!("{error}"),
    }
    hear();
}

/// The names that begin like this one.
fn names_like(name: &Name) -> Vec<String> {
    let names = list_names().unwrap();
    names.iter().map(|it| it.as_str().to_owned()).filter(|it| it.starts_with(name.0.as_str())).collect()
}

#[test]
fn what_dies_while_it_makes_a_ring_anew_leaves_a_name_that_the_next_can_take() {
    for (point, is_new) in RENEWAL {
        let name = Name::new();
        let victim = Child::start("renew", &[&name, &Order { point, action: Action::Kill, nth: 1 }]);
        // Its first ring is made before the point is armed.
        wait_for(&victim, |status| matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _)));
        let found = Ring::<Record>::open(&name.0);
        let is_as_expected = if is_new {
            matches!(found, Err(OpenError::NotReady { .. }))
        } else {
            found.as_ref().is_ok_and(|ring| ring.inspect().renewals == 0)
        };
        assert!(is_as_expected, "{}: {found:?}", point.name());
        assert_eq!(names_like(&name).len(), 2, "{}", point.name());
        for left in [&name.0, &name.0.next().unwrap()] {
            assert_eq!(remove_dead(left).unwrap(), Removal::Removed, "{}", point.name());
        }
        assert_eq!(names_like(&name), Vec::<String>::new());
        let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(16)).unwrap();
        ring.unlink().unwrap();
    }
}

#[test]
fn what_is_stopped_while_it_makes_a_ring_anew_makes_it_all_the_same_once_it_goes_on() {
    for (point, is_new) in RENEWAL {
        let name = Name::new();
        let child = Child::start("renew", &[&name, &Order { point, action: Action::Stop, nth: 1 }]);
        wait_for(&child, |status| matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)));
        assert_eq!(remove_dead(&name.0).unwrap(), Removal::Alive, "{}", point.name());
        assert_eq!(Ring::<Record>::open(&name.0).is_err(), is_new, "{}", point.name());
        child.go_on();
        child.expect("renewed");
        assert_eq!(names_like(&name), [name.0.as_str()], "{}", point.name());
        let ring = Ring::<Record>::open(&name.0).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.push(record(0, 0)).unwrap();
        assert_eq!(consumer.pop_timeout(LIMIT), Ok(record(0, 0)));
        child.finish();
    }
}

/// Somebody removes the ring by hand, and another process makes one of that name, at every moment of a renewal.
#[test]
fn who_takes_the_name_in_the_middle_of_a_renewal_has_it_and_loses_nothing() {
    for (point, _) in RENEWAL {
        let name = Name::new();
        let child = Child::start("renew", &[&name, &Order { point, action: Action::Stop, nth: 1 }]);
        wait_for(&child, |status| matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)));
        name.remove();
        let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(32)).unwrap();
        let files = name.paths().map(|path| inode(&path));
        child.go_on();
        child.expect("lost");
        assert!(ring.is_current().unwrap(), "{}", point.name());
        assert_eq!(name.paths().map(|path| inode(&path)), files, "{}", point.name());
        assert_eq!(names_like(&name), [name.0.as_str()], "{}: nothing is left of the other", point.name());
        // Who opens it finds this one whole.
        let mut producer = Ring::<Record>::open(&name.0).unwrap().producer().unwrap();
        producer.push(record(0, 0)).unwrap();
        assert_eq!(ring.consumer().unwrap().pop_timeout(LIMIT), Ok(record(0, 0)));
        child.finish();
    }
}

fn inode(path: &str) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap())
}
