//! A command sent again is acted on once and answered again.

use halyard_ring::chat::{ErrorCode, Kind, OverflowPolicy, flags};

use crate::support::{A_WHILE, Hello, TestServer, body};

#[test]
fn say_join_nick_and_errors_are_answered_again_and_done_once() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    bob.join("lobby");
    let join = ann.command(Kind::Join, "", "lobby");
    ann.push(&join);
    let first = ann.ok(join.command);
    let say = ann.command(Kind::Say, "", "once");
    ann.push(&say);
    let said = ann.ok(say.command);
    let nick = ann.command(Kind::Nick, "", "anna");
    ann.push(&nick);
    ann.ok(nick.command);
    let taken = ann.command(Kind::Nick, "", "bob");
    ann.push(&taken);
    ann.refused(taken.command);
    for _ in 0..3 {
        ann.retry(join);
        let again = ann.ok(join.command);
        assert_eq!((again.room, again.count, body(&again)), (first.room, first.count, body(&first)));
        ann.retry(say);
        let again = ann.ok(say.command);
        assert_eq!((again.code, again.room, again.room_seq), (said.code, said.room, said.room_seq));
        ann.retry(nick);
        assert_eq!(body(&ann.ok(nick.command)).1, "anna");
        ann.retry(taken);
        assert_eq!(ann.refused(taken.command), ErrorCode::NickTaken);
    }
    bob.sync();
    assert_eq!((bob.count(Kind::Joined), bob.count(Kind::Message), bob.count(Kind::Renamed)), (1, 1, 1));
    assert_eq!(server.stats().repeated, 12);
}

#[test]
fn without_the_retry_mark_a_repetition_is_ignored() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let say = ann.command(Kind::Say, "", "once");
    ann.push(&say);
    ann.push(&say);
    ann.ok(say.command);
    ann.sync();
    assert_eq!((ann.count(Kind::Message), ann.count(Kind::Ack)), (1, 0));
}

#[test]
fn questions_are_answered_as_things_are_now() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    let who = ann.command(Kind::Who, "", "");
    ann.push(&who);
    assert_eq!(ann.ok(who.command).count, 1);
    bob.join("lobby");
    ann.retry(who);
    assert_eq!(ann.ok(who.command).count, 2);
}

#[test]
fn a_direct_message_whose_fate_is_open_is_not_sent_twice() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let slow = Hello { capacity: 32, policy: OverflowPolicy::Spill, ..Hello::new(server.name(), "slow") };
    let mut slow = slow.connect();
    for _ in 0..40 {
        ann.send_to(Kind::Dm, "slow", "fill");
    }
    let dm = ann.command(Kind::Dm, "slow", "waits");
    ann.push(&dm);
    ann.retry(dm);
    ann.sync();
    // The confirmations of the messages before it come; its own does not.
    while let Some(record) = ann.read(A_WHILE) {
        ann.seen.push_back(record);
    }
    assert!(
        !ann.seen.iter().any(|record| record.command == dm.command),
        "confirmed before it lay in the ring"
    );
    for _ in 0..41 {
        slow.hear(Kind::Direct);
    }
    ann.ok(dm.command);
    ann.retry(dm);
    ann.ok(dm.command);
    slow.sync();
    assert_eq!(slow.count(Kind::Direct), 0);
}

#[test]
fn a_command_that_never_arrived_is_carried_out_when_it_is_retried_late() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let lost = ann.command(Kind::Say, "", "late");
    let later = ann.say("later");
    ann.ok(later);
    ann.retry(lost);
    assert_eq!(ann.ok(lost.command).room_seq, 2);
    ann.retry(lost);
    assert_eq!(ann.ok(lost.command).room_seq, 2);
    ann.sync();
    assert_eq!(ann.count(Kind::Message), 2);
}

#[test]
fn an_answer_of_long_ago_is_not_made_up() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let say = ann.command(Kind::Say, "", "once");
    ann.push(&say);
    ann.ok(say.command);
    for _ in 0..70 {
        ann.sync();
    }
    ann.retry(say);
    assert_eq!(ann.refused(say.command), ErrorCode::Malformed);
    assert_eq!(ann.count(Kind::Message), 1);
}

#[test]
fn a_long_text_sent_again_is_said_once() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let text = "0123456789".repeat(100);
    let command = ann.send_to(Kind::Say, "", &text);
    ann.ok(command);
    // The same records once more, as a client does that heard nothing.
    ann.next = command;
    let pieces: Vec<_> = halyard_ring::chat::fragments(0, &text).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let mut record = ann.command(Kind::Say, "", piece);
        (record.command, record.frag, record.frags) = (command, index as u8, pieces.len() as u8);
        record.flags = flags::RETRY;
        ann.push(&record);
    }
    ann.next = command + 1;
    ann.ok(command);
    assert_eq!(ann.hear(Kind::Message).text, text);
    ann.sync();
    assert_eq!((ann.count(Kind::Message), ann.count(Kind::Ack)), (0, 0));
}
