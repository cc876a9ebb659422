//! Every command, what it answers and whom it tells.

use halyard_ring::chat::{ErrorCode, Kind, LeaveReason, Record, flags};
use halyard_server::Config;

use crate::support::{Client, Hello, PATIENCE, TestServer, body, config, eventually};

/// Members of the caller's room, or rooms, as the series tells them.
fn series(client: &mut Client, kind: Kind, entry: Kind) -> (Vec<Record>, Record) {
    let command = client.send(kind, "");
    let ack = client.ok(command);
    let mut entries: Vec<Record> = Vec::new();
    while client.seen.iter().any(|record| record.kind == entry.wire() && record.command == command) {
        entries.push(client.next_of(entry));
    }
    for (index, record) in entries.iter().enumerate() {
        assert_eq!(record.room_seq, index as u64 + 1);
    }
    assert_eq!(entries.len() as u32, ack.count);
    (entries, ack)
}

#[test]
fn join_creates_a_room_and_tells_the_others() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    let first = ann.join("lobby");
    assert_eq!((body(&first).1, first.count, first.room_seq), ("lobby", 1, 0));
    let said = ann.say("hello");
    assert_eq!(ann.ok(said).room_seq, 1);
    let second = bob.join("lobby");
    assert_eq!((second.room, second.count, second.room_seq), (first.room, 2, 1));
    let joined = ann.next_of(Kind::Joined);
    assert_eq!((joined.client, body(&joined).0, joined.room, joined.count), (bob.id, "bob", first.room, 2));
    bob.sync();
    assert_eq!(bob.count(Kind::Joined) + bob.count(Kind::Message), 0);
    let rooms = server.rooms();
    assert_eq!((rooms[0].name.as_str(), rooms[0].members, rooms[0].messages), ("lobby", 2, 1));
}

#[test]
fn join_of_another_room_moves_out_of_the_former_first() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    let lobby = ann.join("lobby").room;
    bob.join("lobby");
    let den = bob.join("den");
    assert_eq!(den.count, 1);
    let left = ann.next_of(Kind::Left);
    assert_eq!(
        (left.client, left.room, left.code, left.count),
        (bob.id, lobby, LeaveReason::Moved.wire(), 1)
    );
    let said = ann.say("anyone?");
    ann.ok(said);
    bob.sync();
    assert_eq!(bob.count(Kind::Message), 0);
}

#[test]
fn join_of_the_same_room_is_confirmed_and_told_to_nobody() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    let room = ann.join("lobby").room;
    bob.join("lobby");
    ann.next_of(Kind::Joined);
    let again = bob.join("lobby");
    assert_eq!((again.room, again.count), (room, 2));
    ann.sync();
    assert_eq!(ann.count(Kind::Joined) + ann.count(Kind::Left), 0);
}

#[test]
fn room_names_follow_the_rules_for_names() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    for bad in ["", "a b", "x\n", &"x".repeat(33)] {
        let command = ann.send(Kind::Join, bad);
        assert_eq!(ann.refused(command), ErrorCode::RoomInvalid, "{bad:?}");
    }
    ann.join(&"ü".repeat(16));
}

#[test]
fn rooms_run_out_but_the_last_member_may_swap() {
    let server = TestServer::with(Config { rooms_max: 1, ..config() });
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    let command = bob.send(Kind::Join, "den");
    assert_eq!(bob.refused(command), ErrorCode::TooManyRooms);
    // Refused, it stays where it was: nowhere.
    let said = bob.say("x");
    assert_eq!(bob.refused(said), ErrorCode::NotInRoom);
    let den = ann.join("den");
    assert_eq!((body(&den).1, den.count), ("den", 1));
    assert_eq!(server.rooms().len(), 1);
}

#[test]
fn say_reaches_every_member_stamped_and_numbered() {
    let server = TestServer::start();
    let (mut ann, mut bob, mut cat) = (server.client("ann"), server.client("bob"), server.client("cat"));
    let room = ann.join("lobby").room;
    bob.join("lobby");
    cat.join("den");
    let command = ann.say("hello, wörld");
    let ack = ann.ok(command);
    assert_eq!((ack.code, ack.room, ack.room_seq), (Kind::Say.wire(), room, 1));
    for member in [&mut ann, &mut bob] {
        let heard = member.hear(Kind::Message);
        let record = heard.record;
        assert_eq!((heard.nick.as_str(), heard.text.as_str()), ("ann", "hello, wörld"));
        assert_eq!((record.room, record.room_seq, record.command), (room, 1, 0));
        assert!(
            record.sent_ns > 0
                && record.sent_ns <= record.routed_ns
                && record.routed_ns <= record.delivered_ns
        );
    }
    let sender = ann.id;
    let mut action = ann.command(Kind::Say, "", "waves");
    action.flags = flags::ACTION;
    ann.push(&action);
    let heard = bob.hear(Kind::Message);
    assert_eq!((heard.record.client, heard.record.flags, heard.record.room_seq), (sender, flags::ACTION, 2));
    cat.sync();
    assert_eq!(cat.count(Kind::Message), 0);
}

#[test]
fn say_needs_a_room_and_a_text() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let command = ann.say("hello");
    assert_eq!(ann.refused(command), ErrorCode::NotInRoom);
    ann.join("lobby");
    let command = ann.say("");
    assert_eq!(ann.refused(command), ErrorCode::TextInvalid);
}

#[test]
fn dm_goes_to_one_by_nick_or_id_and_is_confirmed() {
    let server = TestServer::start();
    let (mut ann, mut bob, mut cat) = (server.client("ann"), server.client("bob"), server.client("cat"));
    for to in ["bob".to_owned(), bob.id.to_string()] {
        let command = ann.send_to(Kind::Dm, &to, "psst");
        let ack = ann.ok(command);
        assert_eq!((ack.code, ack.client, body(&ack).0), (Kind::Dm.wire(), bob.id, "bob"));
        let heard = bob.hear(Kind::Direct);
        assert_eq!((heard.nick.as_str(), heard.text.as_str()), ("ann", "psst"));
        assert_eq!(
            (heard.record.client, heard.record.flags, heard.record.command),
            (ann.id, flags::DIRECT, 0)
        );
    }
    // To oneself, and across broadcasters the other way.
    let command = cat.send_to(Kind::Dm, "cat", "note");
    cat.ok(command);
    assert_eq!(cat.hear(Kind::Direct).text, "note");
    let command = bob.send_to(Kind::Dm, "ann", "yes?");
    bob.ok(command);
    assert_eq!(ann.hear(Kind::Direct).text, "yes?");
    for nobody in ["dan", "0", "4000000000", "-1", ""] {
        let command = ann.send_to(Kind::Dm, nobody, "psst");
        assert_eq!(ann.refused(command), ErrorCode::NoSuchClient, "{nobody:?}");
    }
    let command = ann.send_to(Kind::Dm, "bob", "");
    assert_eq!(ann.refused(command), ErrorCode::TextInvalid);
    assert_eq!(cat.count(Kind::Direct), 0);
}

#[test]
fn a_nick_of_digits_goes_before_an_id() {
    let server = TestServer::start();
    let (mut ann, bob) = (server.client("ann"), server.client("bob"));
    let mut digits = server.client(&bob.id.to_string());
    let command = ann.send_to(Kind::Dm, &bob.id.to_string(), "psst");
    assert_eq!(ann.ok(command).client, digits.id);
    digits.hear(Kind::Direct);
}

#[test]
fn who_lists_the_room_in_the_order_of_joining() {
    let server = TestServer::start();
    let mut clients: Vec<_> = ["ann", "bob", "cat"].map(|nick| server.client(nick)).into();
    let command = clients[0].send(Kind::Who, "");
    assert_eq!(clients[0].refused(command), ErrorCode::NotInRoom);
    for index in [2, 0, 1] {
        clients[index].join("lobby");
    }
    let ids: Vec<_> = [2, 0, 1].map(|index: usize| clients[index].id).into();
    let (members, ack) = series(&mut clients[1], Kind::Who, Kind::Member);
    assert_eq!(ack.count, 3);
    assert_eq!(members.iter().map(|record| record.client).collect::<Vec<_>>(), ids);
    assert_eq!(members.iter().map(|record| body(record).0).collect::<Vec<_>>(), ["cat", "ann", "bob"]);
    assert!(members.iter().all(|record| record.count == 3));
}

#[test]
fn who_is_whole_however_small_the_ring() {
    let server = TestServer::start();
    let mut asker = Hello { capacity: 32, ..Hello::new(server.name(), "asker") }.connect();
    asker.join("lobby");
    let mut others: Vec<_> = (0..150).map(|n| server.client(&format!("n{n}"))).collect();
    for other in &mut others {
        other.join("lobby");
        asker.next_of(Kind::Joined);
    }
    let (members, _) = series(&mut asker, Kind::Who, Kind::Member);
    assert_eq!(members.len(), 151);
    assert_eq!(asker.count(Kind::Lost), 0);
}

#[test]
fn list_names_the_rooms_with_their_members() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    assert_eq!(series(&mut ann, Kind::List, Kind::Room).1.count, 0);
    ann.join("lobby");
    bob.join("den");
    let mut cat = server.client("cat");
    cat.join("lobby");
    let (rooms, _) = series(&mut ann, Kind::List, Kind::Room);
    let told: Vec<_> = rooms.iter().map(|room| (body(room).1, room.count, room.client)).collect();
    assert_eq!(told, [("den", 1, 2), ("lobby", 2, 2)]);
}

#[test]
fn leave_tells_the_others_and_the_last_one_closes_the_room() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    let command = ann.send(Kind::Leave, "");
    assert_eq!(ann.refused(command), ErrorCode::NotInRoom);
    let room = ann.join("lobby").room;
    bob.join("lobby");
    let command = bob.send(Kind::Leave, "");
    let ack = bob.ok(command);
    assert_eq!((body(&ack).1, ack.room), ("lobby", room));
    let left = ann.next_of(Kind::Left);
    assert_eq!((left.client, body(&left).0, left.code), (bob.id, "bob", LeaveReason::Left.wire()));
    let command = ann.send(Kind::Leave, "");
    ann.ok(command);
    assert!(server.rooms().is_empty());
    // A new room of the old name is a new room.
    let again = ann.join("lobby");
    assert_ne!(again.room, room);
    assert_eq!(again.room_seq, 0);
}

#[test]
fn quit_is_confirmed_last_and_then_the_ring_is_closed_and_gone() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    bob.join("lobby");
    let quit = bob.send(Kind::Quit, "");
    bob.ok(quit);
    assert_eq!(bob.consumer.pop_timeout(PATIENCE).err(), Some(halyard_ring::PopError::Closed));
    let left = ann.next_of(Kind::Left);
    assert_eq!((left.client, left.code), (bob.id, LeaveReason::Quit.wire()));
    let name = bob.ring.name().unwrap().clone();
    eventually("reply ring unlinked", || !halyard_ring::list_names().unwrap().contains(&name));
    assert_eq!(server.stats().clients, 1);
    let command = ann.send_to(Kind::Dm, "bob", "still there?");
    assert_eq!(ann.refused(command), ErrorCode::NoSuchClient);
}

#[test]
fn nick_renames_and_tells_the_room() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    bob.join("lobby");
    let command = ann.send(Kind::Nick, "bob");
    assert_eq!(ann.refused(command), ErrorCode::NickTaken);
    let command = ann.send(Kind::Nick, "a b");
    assert_eq!(ann.refused(command), ErrorCode::NickInvalid);
    let command = ann.send(Kind::Nick, "zoë");
    assert_eq!(body(&ann.ok(command)), ("", "zoë"));
    let renamed = bob.next_of(Kind::Renamed);
    assert_eq!((renamed.client, body(&renamed)), (ann.id, ("ann", "zoë")));
    let command = ann.say("it is me");
    ann.ok(command);
    assert_eq!(bob.hear(Kind::Message).nick, "zoë");
    let command = bob.send_to(Kind::Dm, "zoë", "hi");
    assert_eq!(body(&bob.ok(command)).0, "zoë");
    // The old nick is free, the own one no conflict.
    server.client("ann").quit();
    let command = ann.send(Kind::Nick, "zoë");
    ann.ok(command);
    ann.sync();
    bob.sync();
    assert_eq!(bob.count(Kind::Renamed), 0);
}

#[test]
fn ping_is_answered() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let command = ann.send(Kind::Ping, "");
    assert_eq!(ann.ok(command).code, Kind::Ping.wire());
    assert_eq!(server.stats().commands, 1);
}
