//! The short way of a message, each of its conditions unfulfilled in turn: then it goes the long way, and nothing is shown,
//! passed over or counted that should not be.

use halyard_ring::chat::{BODY, Kind, NAME_MAX, Record};

use super::{Server, next, session};

/// A message that is the next one in every respect.
fn fifth() -> Record {
    let mut record = Record::new(Kind::Message).with_body("bob", "hi");
    (record.room, record.room_seq, record.client) = (1, 5, 8);
    record
}

/// What a client in the room lobby, with four messages behind it, sees of that message after `spoil` had it, and of the sixth.
fn seen(spoil: impl FnOnce(&mut Server, &mut Record)) -> Vec<String> {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 4);
    assert_eq!(next(&mut receiver), "answer 2 true");
    let mut record = fifth();
    spoil(&mut server, &mut record);
    server.send(record);
    server.say(6, "and on", |_| true);
    let events = std::iter::repeat_with(|| next(&mut receiver));
    // Of what says nothing by itself there is one at most.
    events.take(6).filter(|event| event != "nothing").collect()
}

const FIFTH: &str = "lobby 5 bob 2";
const SIXTH: &str = "lobby 6 bob 6";
/// In front of the sixth, when the fifth was no message.
const MISSING: &str = "gap 0-0 seq 5-5 told false";

#[test]
fn the_next_message_of_one_record_is_shown() {
    assert_eq!(seen(|_, _| {}), [FIFTH, SIXTH]);
}

#[test]
fn another_kind_is_no_message() {
    let direct = seen(|_, record| record.kind = Kind::Direct.wire());
    assert_eq!(direct, ["direct bob 2", MISSING, SIXTH]);
    let unknown = seen(|_, record| record.kind = 77);
    assert_eq!(unknown, ["unusable 3 Bad(Kind(77))", MISSING, SIXTH]);
}

#[test]
fn a_part_of_a_text_is_not_shown() {
    assert_eq!(seen(|_, record| record.frags = 2), [SIXTH]);
    assert_eq!(
        seen(|_, record| (record.frag, record.frags) = (1, 2)),
        ["unusable 3 Fragment", MISSING, SIXTH]
    );
}

#[test]
fn a_record_that_is_not_the_next_is_told_apart() {
    assert_eq!(seen(|server, _| server.next += 1), ["gap 3-3 seq 0-0 told false", FIFTH, SIXTH]);
    assert_eq!(seen(|server, _| server.next -= 1), ["unusable 2 Repeated", MISSING, SIXTH]);
}

#[test]
fn a_message_that_is_not_the_rooms_next_is_told_apart() {
    assert_eq!(seen(|_, record| record.room_seq = 6), [MISSING, "lobby 6 bob 2", "unusable 4 Repeated"]);
    assert_eq!(seen(|_, record| record.room_seq = 4), ["unusable 3 Repeated", MISSING, SIXTH]);
    assert_eq!(seen(|_, record| record.room = 2), [" 5 bob 2", " 6 bob 6"]);
}

#[test]
fn what_lies_about_itself_is_named_and_nothing_of_it_is_shown() {
    type Spoil = fn(&mut Record);
    let cases: [(Spoil, &str); 7] = [
        (|record| record.len = BODY as u16 + 1, "Length(169)"),
        (|record| record.nick_len = 6, "NickLength(6)"),
        (|record| (record.nick_len, record.len) = (NAME_MAX as u8 + 1, BODY as u16), "NickLength(33)"),
        (|record| record.frag = 1, "Fragment(1, 1)"),
        (|record| record.body[0] = 0xff, "Utf8"),
        (|record| record.body[4] = 0xc3, "Utf8"),
        // Where the nick ends, a character goes on.
        (|record| record.body[2..4].copy_from_slice("\u{e9}".as_bytes()), "Utf8"),
    ];
    for (spoil, what) in cases {
        let bad = format!("unusable 3 Bad({what})");
        assert_eq!(seen(|_, record| spoil(record)), [&bad, MISSING, SIXTH], "{what}");
    }
}

#[test]
fn a_silent_servers_return_is_told_first() {
    let (mut server, _sender, mut receiver) = session();
    server.joined(2, 1, "lobby", 4);
    assert_eq!(next(&mut receiver), "answer 2 true");
    receiver.takes_the_server_for_silent();
    server.send(fifth());
    assert_eq!([(); 3].map(|()| next(&mut receiver)), ["ServerBack", FIFTH, "nothing"]);
}
