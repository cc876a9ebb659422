//! Several sessions under one nick: how a client is in several rooms.

use halyard_ring::chat::{ErrorCode, Kind, LeaveReason, OverflowPolicy, Record, SCHEMA, flags};
use halyard_ring::{Ring, RingOptions};

use crate::support::{Client, TestServer, body, eventually, fresh_reply_name, greet};

/// A HELLO for a companion of the session with this id and token.
fn try_companion(
    server: &TestServer,
    nick: &str,
    id: u32,
    token: u32,
) -> Result<Client, (ErrorCode, Box<Record>)> {
    let ring =
        Ring::create(&fresh_reply_name(server.name()), &RingOptions::spsc(256).schema(SCHEMA)).unwrap();
    let mut hello = Record::hello(nick, ring.name().unwrap().as_str(), OverflowPolicy::Drop, 0, 1);
    hello.flags = flags::COMPANION;
    (hello.client, hello.room) = (id, token);
    greet(server.name(), ring, &hello).map_err(|record| (ErrorCode::from_wire(record.code).unwrap(), record))
}

fn companion(server: &TestServer, first: &Client) -> Client {
    try_companion(server, "", first.id, first.token).unwrap_or_else(|refused| panic!("{refused:?}"))
}

#[test]
fn one_nick_is_in_two_rooms_and_each_session_hears_its_own() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let mut second = companion(&server, &ann);
    let mut bob = server.client("bob");
    ann.join("lobby");
    second.join("dev");
    bob.join("dev");
    assert_eq!(body(&second.next_of(Kind::Joined)).0, "bob");
    let said = second.say("from ann");
    second.ok(said);
    let heard = bob.hear(Kind::Message);
    assert_eq!((heard.nick.as_str(), heard.record.client), ("ann", second.id));
    ann.sync();
    assert_eq!(ann.count(Kind::Message) + ann.count(Kind::Joined), 0);
    // The first session is still where it was, and gets what is said to the nick.
    assert_eq!(server.rooms().iter().map(|room| room.members).collect::<Vec<_>>(), [2, 1]);
    let dm = bob.send_to(Kind::Dm, "ann", "psst");
    assert_eq!(bob.ok(dm).client, ann.id);
    assert_eq!(ann.hear(Kind::Direct).text, "psst");
    let dm = second.send_to(Kind::Dm, "bob", "yes?");
    second.ok(dm);
    assert_eq!(bob.hear(Kind::Direct).nick, "ann");
    assert_eq!(server.stats().clients, 3);
}

#[test]
fn a_new_nick_is_every_sessions_whichever_asked() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let mut second = companion(&server, &ann);
    let (mut bob, mut eve) = (server.client("bob"), server.client("eve"));
    ann.join("lobby");
    bob.join("lobby");
    second.join("dev");
    eve.join("dev");
    let command = second.send(Kind::Nick, "anna");
    second.ok(command);
    for other in [&mut bob, &mut eve] {
        assert_eq!(body(&other.next_of(Kind::Renamed)), ("ann", "anna"));
    }
    let dm = bob.send_to(Kind::Dm, "anna", "hi");
    assert_eq!(bob.ok(dm).client, ann.id);
    let command = bob.send(Kind::Nick, "anna");
    assert_eq!(bob.refused(command), ErrorCode::NickTaken);
    // The former one is free.
    server.client("ann").quit();
}

#[test]
fn companions_end_with_their_first_session_and_it_goes_on_without_them() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let (mut one, mut two) = (companion(&server, &ann), companion(&server, &ann));
    let mut bob = server.client("bob");
    bob.join("dev");
    one.join("dev");
    bob.next_of(Kind::Joined);
    let quit = one.send(Kind::Quit, "");
    one.ok(quit);
    assert_eq!(bob.next_of(Kind::Left).code, LeaveReason::Quit.wire());
    ann.sync();
    two.join("dev");
    bob.next_of(Kind::Joined);
    ann.quit();
    assert_eq!(two.next_of(Kind::Goodbye).code, LeaveReason::Quit.wire());
    assert_eq!(bob.next_of(Kind::Left).code, LeaveReason::Quit.wire());
    eventually("they are gone", || server.stats().clients == 1);
    server.client("ann").quit();
}

#[test]
fn a_companion_must_prove_whose_it_is() {
    let server = TestServer::start();
    let ann = server.client("ann");
    let code = |nick: &str, id, token| try_companion(&server, nick, id, token).err().map(|refused| refused.0);
    assert_eq!(code("", ann.id, ann.token.wrapping_add(1)), Some(ErrorCode::StaleGeneration));
    assert_eq!(code("", ann.id + 77, ann.token), Some(ErrorCode::NoSuchClient));
    assert_eq!(code("ann", ann.id, ann.token), Some(ErrorCode::NickInvalid));
    let second = companion(&server, &ann);
    assert_eq!(code("", second.id, second.token), Some(ErrorCode::NoSuchClient));
}
