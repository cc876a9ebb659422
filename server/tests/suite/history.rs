//! HISTORY: what was said before, for those who come later.

use halyard_ring::chat::{ErrorCode, Kind, Record};
use halyard_server::Config;

use crate::support::{Client, TestServer, body, config};

fn ask(client: &mut Client, room: &str, count: u32, before: u64) -> (Vec<Record>, Record) {
    let mut record = client.command(Kind::History, "", room);
    (record.count, record.room_seq) = (count, before);
    client.push(&record);
    let ack = client.ok(record.command);
    let is_entry = |seen: &Record| seen.kind == Kind::Earlier.wire() && seen.command == record.command;
    let mut entries = Vec::new();
    while client.seen.iter().any(is_entry) {
        entries.push(client.next_of(Kind::Earlier));
    }
    assert_eq!(ack.code, Kind::History.wire());
    assert_eq!(ack.count, entries.last().map_or(0, |last| last.generation));
    (entries, ack)
}

fn texts(entries: &[Record]) -> Vec<&str> {
    entries.iter().map(|entry| body(entry).1).collect()
}

#[test]
fn who_comes_later_is_told_what_was_said_and_who_does_not_ask_is_not() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let room = ann.join("lobby").room;
    let mut said = Vec::new();
    for text in ["one", "two", "three"] {
        let command = ann.say(text);
        said.push(ann.ok(command));
    }
    let mut bob = server.client("bob");
    bob.join("lobby");
    bob.sync();
    assert_eq!(bob.count(Kind::Earlier) + bob.count(Kind::Message), 0);
    let (entries, ack) = ask(&mut bob, "", 2, 0);
    assert_eq!((texts(&entries), ack.room), (vec!["two", "three"], room));
    for (entry, said) in entries.iter().zip(&said[1..]) {
        assert_eq!((entry.room, entry.room_seq, entry.client), (room, said.room_seq, ann.id));
        assert_eq!((entry.sent_ns, entry.routed_ns), (said.sent_ns, said.routed_ns));
        assert_eq!((body(entry).0, entry.count), ("ann", 2));
    }
    // Without entering, and a gap exactly.
    let mut eve = server.client("eve");
    assert_eq!(texts(&ask(&mut eve, "lobby", 1, 3).0), ["two"]);
    let command = eve.send(Kind::History, "");
    assert_eq!(eve.refused(command), ErrorCode::NotInRoom);
    assert_eq!(ask(&mut eve, "nowhere", 0, 0).1.room, 0);
}

#[test]
fn what_was_said_outlives_the_last_member() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let command = ann.say("bye");
    ann.ok(command);
    ann.quit();
    let mut bob = server.client("bob");
    let (entries, ack) = ask(&mut bob, "lobby", 0, 0);
    assert_eq!((texts(&entries), ack.room), (vec!["bye"], 0));
    let joined = bob.join("lobby");
    assert_eq!(joined.room_seq, 0);
    let (entries, _) = ask(&mut bob, "", 0, 0);
    assert_eq!(texts(&entries), ["bye"]);
    assert_ne!(entries[0].room, joined.room);
    // It is none of the room's present numbers.
    assert!(ask(&mut bob, "", 0, 2).0.is_empty());
}

#[test]
fn only_the_last_messages_are_kept_and_long_ones_come_whole() {
    let server = TestServer::with(Config { history: 2, ..config() });
    let mut ann = server.client("ann");
    ann.join("lobby");
    let long = "grüße ".repeat(300);
    for text in ["one", "two", long.as_str()] {
        let command = ann.say(text);
        ann.ok(command);
    }
    let (entries, _) = ask(&mut ann, "", 0, 0);
    assert_eq!(body(&entries[0]).1, "two");
    let whole: String = entries[1..].iter().map(|entry| body(entry).1).collect();
    assert_eq!(whole, long);
    assert!(entries[1..].iter().all(|entry| usize::from(entry.frags) == entries.len() - 1));
}

#[test]
fn a_server_without_history_has_none() {
    let server = TestServer::with(Config { history: 0, ..config() });
    let mut ann = server.client("ann");
    ann.join("lobby");
    let command = ann.say("one");
    ann.ok(command);
    assert!(ask(&mut ann, "", 0, 0).0.is_empty());
}
