//! Any bytes as chat records: each is checked before anything in it is believed, and what passes is what it seems.

use halyard_ring::chat::{BODY, FRAGS_MAX, HEAD, Kind, LostBody, NAME_MAX, Record, WelcomeBody};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Record after record; what is missing of the last is zero.
pub fn run(bytes: &[u8]) {
    for piece in bytes.chunks(size_of::<Record>()) {
        let mut record = Record::new_zeroed();
        record.as_mut_bytes()[..piece.len()].copy_from_slice(piece);
        one(&record);
    }
}

fn one(record: &Record) {
    let used = record.used();
    assert!((HEAD..=HEAD + BODY).contains(&used));
    for prefix in [0, 7, 8, 48, 56, 248] {
        let told = Record::used_from_prefix(&record.as_bytes()[..prefix]);
        assert!(told == used || prefix < 8 && told == HEAD + BODY);
    }
    assert!(!format!("{record:?}").is_empty());
    let message = match record.check() {
        Ok(message) => message,
        Err(bad) => return assert!(!bad.to_string().is_empty()),
    };
    assert!(message.kind.wire() == record.kind && Kind::from_wire(record.kind) == Some(message.kind));
    assert!(record.frag < record.frags && usize::from(record.frags) <= FRAGS_MAX);
    match message.kind {
        Kind::Welcome => assert_eq!(record.welcome().as_bytes(), &record.body[..size_of::<WelcomeBody>()]),
        Kind::Lost => assert_eq!(record.lost().as_bytes(), &record.body[..size_of::<LostBody>()]),
        _ => {
            let (nick, text) = (message.nick, message.text);
            assert!(nick.len() <= NAME_MAX && nick.len() + text.len() == usize::from(record.len));
            // What was understood can be said, and is understood again.
            let again = Record::new(message.kind).with_body(nick, text);
            let understood = again.check().expect("a record made of what was understood");
            assert_eq!((understood.kind, understood.nick, understood.text), (message.kind, nick, text));
        }
    }
    // Whoever copies only the used part understands the same.
    let mut part = Record::new_zeroed();
    part.as_mut_bytes()[..used].copy_from_slice(&record.as_bytes()[..used]);
    let part = Record::read_from_bytes(part.as_bytes()).expect("a record's bytes");
    assert_eq!(
        part.check().map(|part| (part.kind, part.nick, part.text)),
        Ok((message.kind, message.nick, message.text))
    );
}

/// Every kind there is, as it may be sent.
pub(crate) fn every_kind() -> Vec<Record> {
    let mut records = Vec::new();
    for kind in (0..200).filter_map(Kind::from_wire) {
        let (nick, text) = match kind {
            Kind::Hello => ("ann", "default.reply.1-0"),
            Kind::Join | Kind::Nick | Kind::Room | Kind::History => ("", "lobby"),
            Kind::Who | Kind::Leave | Kind::Quit | Kind::Ping | Kind::List => ("", ""),
            Kind::Say => ("", "hello"),
            Kind::Welcome | Kind::Lost => ("", ""),
            _ => ("bob", "hello"),
        };
        let mut record = Record::new(kind).with_body(nick, text);
        match kind {
            Kind::Hello => record = Record::hello(nick, text, halyard_ring::chat::OverflowPolicy::Drop, 0, 7),
            Kind::Welcome => {
                let body = WelcomeBody::read_from_bytes(&[1; size_of::<WelcomeBody>()]);
                record.set_struct(&body.expect("as many bytes as it has"));
            }
            Kind::Lost => {
                let body = LostBody::read_from_bytes(&[1; size_of::<LostBody>()]);
                record.set_struct(&body.expect("as many bytes as it has"));
            }
            Kind::Ack => record.code = Kind::Join.wire(),
            Kind::Error | Kind::Refused | Kind::Left | Kind::Goodbye => record.code = 1,
            _ => {}
        }
        records.push(record);
    }
    records
}

/// One of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    every_kind().iter().map(|record| record.as_bytes()[..record.used()].to_vec()).collect()
}
