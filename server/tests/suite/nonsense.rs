//! Records that make no sense: answered where there is someone to answer, counted otherwise, survived always.

use std::hash::{BuildHasher, RandomState};

use halyard_ring::chat::{ErrorCode, Kind, Record, flags};
use zerocopy::{FromBytes, IntoBytes};

use crate::support::{PATIENCE, TestServer, eventually};

/// Makes one thing about a good record wrong.
type Spoil = fn(&mut Record);

#[test]
fn a_malformed_record_of_a_known_client_is_answered_with_what_is_wrong() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let cases: [(Spoil, ErrorCode); 9] = [
        (|r| r.kind = 999, ErrorCode::UnknownKind),
        (|r| r.kind = Kind::Message.wire(), ErrorCode::UnknownKind),
        (|r| r.len = 169, ErrorCode::Malformed),
        (|r| r.len = u16::MAX, ErrorCode::Malformed),
        (|r| r.nick_len = 200, ErrorCode::Malformed),
        (|r| r.nick_len = 1, ErrorCode::Malformed),
        (|r| (r.frag, r.frags) = (2, 2), ErrorCode::Malformed),
        (|r| r.body[1] = 0xff, ErrorCode::TextInvalid),
        (|r| (r.kind, r.frags) = (Kind::Join.wire(), 2), ErrorCode::Malformed),
    ];
    for (index, (spoil, code)) in cases.into_iter().enumerate() {
        let mut record = ann.command(Kind::Say, "", "hello");
        spoil(&mut record);
        ann.push(&record);
        assert_eq!(ann.refused(record.command), code, "case {index}");
    }
    assert_eq!(server.stats().malformed, 9);
    ann.sync();
    assert_eq!(ann.count(Kind::Message), 0);
}

#[test]
fn an_unknown_sender_is_counted_and_nobody_is_told() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    for id in [0, ann.id + 1, ann.id + 1024, u32::MAX] {
        let mut record = ann.command(Kind::Ping, "", "");
        record.client = id;
        ann.push(&record);
    }
    eventually("counted", || server.stats().unknown_sender == 4);
    ann.sync();
    assert_eq!(ann.count(Kind::Error), 0);
}

#[test]
fn a_wrong_token_is_told_to_the_ids_owner_as_no_answer_and_not_in_a_flood() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    for _ in 0..100 {
        let mut forged = bob.command(Kind::Say, "", "I am ann");
        (forged.client, forged.command) = (ann.id, 3);
        bob.push(&forged);
    }
    eventually("counted", || server.stats().stale == 100);
    let told = ann.next_of(Kind::Error);
    assert_eq!((told.code, told.command), (ErrorCode::StaleGeneration.wire(), 0));
    ann.sync();
    assert!(ann.count(Kind::Error) < 10, "a flood");
    assert_eq!(ann.count(Kind::Message), 0);
    let said = ann.say("I am");
    ann.ok(said);
}

#[test]
fn command_numbers_below_two_are_no_commands() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    for number in [0, 1] {
        let mut record = ann.command(Kind::Ping, "", "");
        (record.command, record.flags) = (number, flags::RETRY);
        ann.push(&record);
    }
    assert_eq!(ann.next_of(Kind::Error).command, 0);
    eventually("counted", || server.stats().malformed == 2);
}

#[test]
fn the_highest_command_number_is_a_number_like_others() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    for number in [u64::MAX - 1, u64::MAX] {
        ann.next = number;
        let mut record = Record::new(Kind::Ping);
        (record.client, record.generation, record.command) = (ann.id, ann.token, number);
        ann.push(&record);
        ann.ok(number);
    }
}

#[test]
fn any_bytes_at_all_leave_the_server_working() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    let random = RandomState::new();
    let mut bytes = [0u8; size_of::<Record>()];
    for round in 0..4000u64 {
        for (index, chunk) in bytes.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&random.hash_one((round, index)).to_ne_bytes()[..chunk.len()]);
        }
        let mut record = Record::read_from_bytes(&bytes).unwrap();
        // Ever nearer to something valid.
        if round % 2 == 0 {
            (record.client, record.generation) = (bob.id, bob.token);
            record.command = 2 + round;
        }
        if round % 4 == 0 {
            record.kind = [Kind::Hello, Kind::Join, Kind::Say, Kind::Dm, Kind::Who, Kind::Leave, Kind::Nick]
                [round as usize / 4 % 7]
                .wire();
            record.len %= 300;
            record.nick_len %= 40;
            (record.frag, record.frags) = (record.frag % 3, record.frags % 3);
        }
        if round % 8 == 0 {
            record.body.fill(b'x');
        }
        assert_eq!(record.as_bytes().len(), bytes.len());
        bob.control.push_timeout(record, PATIENCE).unwrap();
        while bob.consumer.try_pop().is_ok() {}
    }
    ann.seen.clear();
    let said = ann.say("still here");
    ann.ok(said);
    let own = ann.id;
    ann.find("own message", |record| record.kind == Kind::Message.wire() && record.client == own);
    assert!(server.is_running());
}
