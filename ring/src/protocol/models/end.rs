//! Close and nudge: they wake whom they concern, and what was pushed before is read. Variant 0 is doorbell mode, 1 is
//! counting mode.

use loom::thread;

use super::Model;
use super::stage::{Grace, counting, counting_spsc, mpsc, pop, push, reader, spsc, writer};
use crate::protocol::{Head, close, nudge};
use crate::sync::Mutant;

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "a close wakes the consumer, after what was pushed before",
        preemptions: 3,
        variants: 2,
        catches: &[Mutant::SilentClose, Mutant::NoParkFence, Mutant::NoReaderRecheck],
        body: close_wakes_consumer,
    },
    Model {
        name: "a close wakes every sleeping producer",
        preemptions: 2,
        variants: 2,
        catches: &[Mutant::SilentClose, Mutant::NoParkFence, Mutant::NoWriterRecheck, Mutant::KeepClosing],
        body: close_wakes_producers,
    },
    Model {
        name: "a nudge ends a sleep",
        preemptions: 3,
        variants: 2,
        catches: &[Mutant::SilentNudge, Mutant::NoParkFence, Mutant::NoReaderRecheck],
        body: nudge_wakes,
    },
];

fn close_wakes_consumer(mode: usize) {
    let memory = if mode == 0 { spsc(2) } else { counting_spsc(2) };
    let mut producer = writer(&memory, 1);
    let closing = thread::spawn(move || {
        assert!(push(&mut producer, 1));
        close(&*producer.memory);
        assert!(!push(&mut producer, 2));
    });
    let mut consumer = reader(&memory);
    assert_eq!([(); 2].map(|()| pop(&mut consumer, Grace::Zero)), [Some(1), None]);
    closing.join().unwrap();
}

fn close_wakes_producers(mode: usize) {
    let memory = if mode == 0 { mpsc(2, 2) } else { counting(2, 2) };
    let (mut first, mut second) = (writer(&memory, 1), writer(&memory, 2));
    assert!(push(&mut first, 1) && push(&mut second, 2));
    let producing = [first, second].map(|mut producer| thread::spawn(move || push(&mut producer, 3)));
    close(&*memory);
    assert_eq!(producing.map(|thread| thread.join().unwrap()), [false, false]);
}

fn nudge_wakes(mode: usize) {
    let memory = if mode == 0 { spsc(2) } else { counting_spsc(2) };
    let mut consumer = reader(&memory);
    let before = consumer.nudges();
    let nudging = thread::spawn(move || nudge(&*memory));
    while consumer.nudges() == before {
        consumer.park(Head::Empty, before, core::time::Duration::MAX);
    }
    nudging.join().unwrap();
}
