//! Any records in a client's reply ring: each becomes an event or is passed over; the session stays whole.

use halyard_client::session::hostile;
use halyard_client::{Event, Kind, RecvError};
use halyard_ring::chat::{NAME_MAX, Record, TEXT_MAX};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::input::Input;
use crate::record::every_kind;

/// A byte that says how much of the record is made right, two that say how long it is, the record; and so on.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut session = hostile::session(64);
    let mut number = 2;
    while !input.is_over() {
        let (what, len) = (input.byte(), usize::from(input.short() % 249));
        let mut record = Record::new_zeroed();
        let given = input.take(len);
        record.as_mut_bytes()[..given.len()].copy_from_slice(given);
        if what & 1 == 0 {
            // As a server numbers them; else as the bytes say.
            record.number = number;
        }
        if what & 2 == 0 {
            record.frags = record.frags.max(1);
        }
        number = record.number.saturating_add(1);
        if session.server.try_push(record).is_err() {
            break;
        }
        if what & 4 == 0 {
            hear(&mut session);
        }
    }
    hear(&mut session);
}

/// Takes all there is. A record is one event at most, and two gaps.
fn hear(session: &mut hostile::Session) {
    for _ in 0..=3 * 64 {
        match session.receiver.try_recv() {
            Ok(None) => return,
            Ok(Some(event)) => check(&event),
            Err(RecvError::Over(_)) => return,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("more events than there were records");
}

fn check(event: &Event) {
    match event {
        Event::Message(message) => {
            assert!(message.nick.len() <= NAME_MAX && message.text.len() <= TEXT_MAX);
        }
        Event::Gap(gap) => {
            let told = gap.told.is_some();
            assert!(told || gap.first_number <= gap.last_number && gap.first_seq <= gap.last_seq, "{gap:?}");
        }
        Event::Answer(answer) => {
            if let Ok(ack) = &answer.result {
                assert!(ack.kind.is_command());
            }
        }
        _ => {}
    }
}

/// Every kind, alone and one after the other.
pub fn seeds() -> Vec<Vec<u8>> {
    let entry = |record: &Record| {
        let used = &record.as_bytes()[..record.used()];
        [&[0], &(used.len() as u16).to_le_bytes()[..], used].concat()
    };
    let mut kinds = every_kind();
    kinds.retain(|record| record.kind >= Kind::Welcome.wire());
    let mut seeds: Vec<Vec<u8>> = kinds.iter().map(entry).collect();
    seeds.push(kinds.iter().flat_map(entry).collect());
    let mut halves = Vec::new();
    for frag in 0..3 {
        let mut record =
            Record::new(Kind::Message).with_body(if frag == 0 { "bob" } else { "" }, "half a text");
        (record.frag, record.frags, record.room, record.room_seq, record.command) = (frag, 3, 1, 5, 9);
        record.set_origin(77);
        halves.extend(entry(&record));
    }
    seeds.push([halves.clone(), halves].concat());
    let all = Record::read_from_bytes(&[0xff; size_of::<Record>()]).expect("as many bytes as it has");
    seeds.push([entry(&all), entry(&kinds[0])].concat());
    seeds
}
