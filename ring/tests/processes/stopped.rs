//! A producer that is stopped in the middle of a claim, and goes on much later.

use halyard_ring::{Consumer, Mode, Phase, Producer, Ring, RingOptions};

use crate::child::{Child, LIMIT, Name};
use crate::death::has_full_capacity;
use crate::roles::{Record, Stage, record};

const CAPACITY: u64 = 8;

/// Passes one record after another through the ring.
struct Pump {
    producer: Producer<Record>,
    consumer: Consumer<Record>,
    number: u64,
}

impl Pump {
    fn lap(&mut self) {
        for _ in 0..CAPACITY {
            self.producer.push_timeout(record(1, self.number), LIMIT).unwrap();
            assert_eq!(self.consumer.pop_timeout(LIMIT), Ok(record(1, self.number)));
            self.number += 1;
        }
    }
}

fn a_producer_is_stopped(stage: Stage, mode: Mode) {
    let name = Name::new();
    let options = RingOptions::mpsc(CAPACITY as u32).mode(mode);
    let ring = Ring::<Record>::create(&name.0, &options).unwrap();
    let mut pump = Pump { producer: ring.producer().unwrap(), consumer: ring.consumer().unwrap(), number: 0 };
    pump.lap();
    let mut victim = Child::start("claim", &[&name, &7, &format!("{stage:?}")]);
    victim.expect("there");
    victim.stop();
    let in_quarantine = || {
        let slots = ring.inspect().slots;
        let void: Vec<_> =
            (0..slots.len()).filter(|&slot| slots[slot].state.phase() == Phase::Void).collect();
        for &slot in &void {
            assert_eq!(slots[slot].owner.map(|process| process.pid()), Some(victim.pid()));
        }
        void
    };
    assert_eq!(in_quarantine(), []);
    pump.lap();
    let void = in_quarantine();
    assert_eq!(void.len(), 1);
    // Nobody else attached writes for long, so this is the only claim that can have been passed over.
    assert!(ring.inspect().counters.voids >= 1);
    for _ in 0..10 {
        pump.lap();
        assert_eq!(in_quarantine(), void, "the same slot, not used by others");
    }
    assert_eq!(ring.reap().owners, 0, "a stopped process lives");

    victim.tell("go on");
    victim.go_on();
    // Its late writes go on while others use the slots around it.
    let said = loop {
        pump.lap();
        if let Some(said) = victim.heard() {
            break said;
        }
        assert!(pump.number < 100_000_000, "the child says nothing");
    };
    assert_eq!(said, "voided");
    assert_eq!(ring.inspect().counters.quarantined, 0);
    pump.lap();
    victim.tell("push");
    victim.expect("pushed");
    assert_eq!(pump.consumer.pop_timeout(LIMIT), Ok(record(7, 0)));
    victim.finish();
    let Pump { producer, mut consumer, .. } = pump;
    drop(producer);
    has_full_capacity(&ring, &mut consumer);
}

#[test]
fn a_producer_stopped_in_mid_claim_harms_no_record_when_it_goes_on_doorbell() {
    Stage::CLAIMING.into_iter().for_each(|stage| a_producer_is_stopped(stage, Mode::Doorbell));
}

#[test]
fn a_producer_stopped_in_mid_claim_harms_no_record_when_it_goes_on_counting() {
    Stage::CLAIMING.into_iter().for_each(|stage| a_producer_is_stopped(stage, Mode::Counting));
}

#[test]
fn a_producer_killed_while_its_slot_is_in_quarantine_is_reaped() {
    let name = Name::new();
    let ring = Ring::<Record>::create(&name.0, &RingOptions::mpsc(CAPACITY as u32)).unwrap();
    let mut pump = Pump { producer: ring.producer().unwrap(), consumer: ring.consumer().unwrap(), number: 0 };
    let mut victim = Child::start("claim", &[&name, &7, &"HalfWritten"]);
    victim.expect("there");
    victim.stop();
    for _ in 0..3 {
        pump.lap();
    }
    assert_eq!(ring.inspect().counters.quarantined, 1);
    victim.kill();
    let reaped = ring.reap();
    assert_eq!((reaped.owners, reaped.slots), (1, 1));
    assert_eq!(ring.inspect().counters.quarantined, 0);
    let Pump { producer, mut consumer, .. } = pump;
    drop(producer);
    has_full_capacity(&ring, &mut consumer);
}
