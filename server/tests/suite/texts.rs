//! Texts of every length, whole.

use halyard_ring::chat::{ErrorCode, FRAGS_MAX, Kind, TEXT_MAX};

use crate::support::{Hello, TestServer};

#[test]
fn a_text_of_any_length_arrives_byte_for_byte() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("a-nick-that-is-quite-long-indeed"), server.client("b"));
    ann.join("lobby");
    bob.join("lobby");
    // Around every border: one record, nick and text in one record, two records, the limit.
    for len in [1, 135, 136, 137, 167, 168, 169, 303, 304, 305, 336, 337, 4000, TEXT_MAX - 1, TEXT_MAX] {
        for pattern in ["x", "ü", "\u{1f980}"] {
            let text: String = pattern.chars().cycle().take(len / pattern.len()).collect();
            if text.is_empty() {
                continue;
            }
            let command = ann.send(Kind::Say, &text);
            let ack = ann.ok(command);
            let heard = bob.hear(Kind::Message);
            assert_eq!(
                (heard.text.as_str(), heard.nick.len()),
                (text.as_str(), 32),
                "{len} bytes of {pattern}"
            );
            assert_eq!(heard.record.room_seq, ack.room_seq);
            let command = bob.send_to(Kind::Dm, "a-nick-that-is-quite-long-indeed", &text);
            bob.ok(command);
            assert_eq!(ann.hear(Kind::Direct).text, text);
            ann.seen.clear();
            bob.seen.clear();
        }
    }
}

#[test]
fn the_longest_text_fits_the_smallest_ring_that_is_accepted() {
    let server = TestServer::start();
    let mut ann = Hello { capacity: 32, ..Hello::new(server.name(), "ann") }.connect();
    ann.join("lobby");
    let text = "\u{1f980}".repeat(TEXT_MAX / 4);
    let command = ann.send(Kind::Say, &text);
    ann.ok(command);
    assert_eq!(ann.hear(Kind::Message).text, text);
}

/// Sends a text in pieces of 168 bytes, whatever its length.
fn send_pieces(client: &mut crate::support::Client, text: &str) -> u64 {
    let pieces: Vec<_> = text.as_bytes().chunks(168).collect();
    let command = client.next;
    for (index, piece) in pieces.iter().enumerate() {
        let mut record = client.command(Kind::Say, "", std::str::from_utf8(piece).unwrap());
        (record.command, record.frag, record.frags) = (command, index as u8, pieces.len() as u8);
        client.push(&record);
    }
    client.next = command + 1;
    command
}

#[test]
fn a_longer_text_is_refused_with_the_limit_and_once() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    for len in [TEXT_MAX + 1, FRAGS_MAX * 168, FRAGS_MAX * 168 + 1, 40_000] {
        let command = send_pieces(&mut ann, &"x".repeat(len));
        let answer = ann.answer(command);
        assert_eq!(ErrorCode::from_wire(answer.code), Some(ErrorCode::TextTooLong), "{len} bytes");
        assert!(answer.check().unwrap().text.contains("4096"));
        ann.sync();
        assert_eq!((ann.count(Kind::Error), ann.count(Kind::Message)), (0, 0));
    }
}

#[test]
fn missing_fragments_are_noticed_and_harm_nobody_else() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let fragment = |ann: &mut crate::support::Client, command: u64, frag: u8| {
        let mut record = ann.command(Kind::Say, "", "piece");
        (record.command, record.frag, record.frags) = (command, frag, 3);
        ann.push(&record);
    };
    // The middle one is missing.
    let command = ann.next;
    fragment(&mut ann, command, 0);
    fragment(&mut ann, command, 2);
    assert_eq!(ann.refused(command), ErrorCode::FragmentLost);
    // Another command comes before the last one.
    ann.next = command + 1;
    fragment(&mut ann, command + 1, 0);
    let said = ann.say("short");
    assert_eq!(ann.refused(command + 1), ErrorCode::FragmentLost);
    ann.ok(said);
    assert_eq!(ann.hear(Kind::Message).text, "short");
    // The first one is missing.
    let command = ann.next;
    fragment(&mut ann, command, 1);
    fragment(&mut ann, command, 2);
    assert_eq!(ann.refused(command), ErrorCode::FragmentLost);
    ann.sync();
    assert_eq!((ann.count(Kind::Error), ann.count(Kind::Message)), (0, 0));
}

#[test]
fn fragments_of_many_clients_may_cross() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    bob.join("lobby");
    for index in 0..3u8 {
        for client in [&mut ann, &mut bob] {
            let piece = format!("{}{index}", client.id);
            let mut record = client.command(Kind::Say, "", &piece);
            (record.command, record.frag, record.frags) = (50, index, 3);
            client.push(&record);
        }
    }
    ann.ok(50);
    bob.ok(50);
    for id in [ann.id, bob.id] {
        assert_eq!(ann.hear(Kind::Message).text, format!("{id}0{id}1{id}2"));
    }
}
