//! Clients made of the page talk to a real server.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use halyard_ring::RingView;
use halyard_ring::chat::ServerName;
use halyard_server::{Config, Pin, Server};

use super::client::{Client, Hello, ORIGIN, USUAL, get};
use super::page::Page;
use super::slots::Refused;
use super::{LONG, until, unused_name};

/// A server of its own for a test, with two broadcasters so that clients are served by different threads.
pub(super) fn serve() -> (Server, String) {
    let name = unused_name("chat").to_string();
    let config = Config {
        name: ServerName::new(&name).unwrap(),
        broadcasters: 2,
        pin: Pin::No,
        hang: 2 * LONG,
        ..Config::default()
    };
    (Server::start(config).unwrap(), name)
}

pub(super) fn reply_ring(server: &str, id: &str) -> String {
    format!("{server}.reply.{}-{id}", std::process::id())
}

pub(super) fn connect<'p>(page: &'p Page, server: &str, nick: &str) -> Client<'p> {
    let ring = reply_ring(server, nick);
    match Client::connect(page, server, &ring, nick, USUAL) {
        Ok(client) => client,
        Err(refused) => panic!("{nick} refused: {}", refused.text),
    }
}

/// The sender's origin: the eight bytes of `count` and `high`.
fn origin(client: &Client<'_>, message: &super::client::Seen) -> u64 {
    client.get(message, "count") | client.get(message, "high") << 32
}

pub(super) fn nothing_is_left_of(server: &str) {
    let ours = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().contains(server);
    until("the removal of every name", || {
        !std::fs::read_dir("/dev/shm").unwrap().flatten().any(|file| ours(&file))
    });
}

#[test]
fn a_client_made_of_the_page_takes_part() {
    let page = Page::read();
    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let mut bob = connect(&page, &name, "bob");
    let welcomed = |field| get(&page, "Body of WELCOME", field, &ann.welcome);
    assert_eq!(welcomed("text_max"), page.value("Limits", "text"));
    assert_eq!(welcomed("name_max"), page.value("Limits", "name"));
    assert_eq!(welcomed("hang_ns"), 2 * LONG.as_nanos() as u64);
    assert_eq!((welcomed("server_pid"), welcomed("policy_limit")), (u64::from(std::process::id()), 0));
    assert!(welcomed("heartbeat_ns") > 0 && welcomed("retry_ns") > 0);
    assert!(welcomed("clients_max") > 1 && welcomed("rooms_max") > 1 && welcomed("room_members_max") > 1);
    assert!(welcomed("window") >= page.value("Limits", "commands"));
    assert!(ann.id != 0 && ann.id != bob.id);

    // JOIN: the answer, and the word to those who are there.
    let (ack, _) = {
        let join = ann.send("JOIN", "", "lobby", &[]);
        ann.answer(join)
    };
    let room = ann.get(&ack, "room");
    assert_eq!(
        (ack.kind.as_str(), ack.text.as_str(), ann.get(&ack, "code")),
        ("ACK", "lobby", page.value("Kinds", "JOIN"))
    );
    assert_eq!((ann.get(&ack, "count"), ann.get(&ack, "room_seq")), (1, 0));
    let join = bob.send("JOIN", "", "lobby", &[]);
    let (ack, _) = bob.answer(join);
    assert_eq!((bob.get(&ack, "room"), bob.get(&ack, "count")), (room, 2));
    let joined = ann.await_kind("JOINED");
    assert_eq!((joined.nick.as_str(), ann.get(&joined, "client")), ("bob", bob.id));
    assert_eq!((ann.get(&joined, "room"), ann.get(&joined, "count")), (room, 2));

    // SAY: short, an action, and the longest there is. The sender's own comes before the ACK.
    let long = "€".repeat(page.value("Limits", "text") as usize / 3);
    let texts = ["hello", "waves", long.as_str()];
    let action = page.value("Flags", "ACTION");
    for (text, seq) in texts.into_iter().zip(1..) {
        let flags = if text == "waves" { action } else { 0 };
        let say = ann.send("SAY", "", text, &[("flags", flags), ("number", 70 + seq)]);
        let (ack, before) = ann.answer(say);
        assert_eq!((ack.kind.as_str(), ann.get(&ack, "room_seq")), ("ACK", seq));
        assert_eq!(before.len(), 1);
        let heard = bob.await_kind("MESSAGE");
        for (client, message) in [(&ann, &before[0]), (&bob, &heard)] {
            assert_eq!(
                (message.kind.as_str(), message.nick.as_str(), message.text.as_str()),
                ("MESSAGE", "ann", text)
            );
            assert_eq!((client.get(message, "client"), client.get(message, "room")), (ann.id, room));
            assert_eq!((client.get(message, "room_seq"), client.get(message, "flags")), (seq, flags));
            assert_eq!((origin(client, message), client.get(message, "command")), (ORIGIN, 70 + seq));
            let [sent, routed, delivered] =
                ["sent_ns", "routed_ns", "delivered_ns"].map(|at| client.get(message, at));
            assert!(0 < sent && sent <= routed && routed <= delivered);
        }
    }

    // DM, by nick and by id.
    for to in ["bob".to_owned(), bob.id.to_string()] {
        let dm = ann.send("DM", &to, &long[..300], &[("number", 99)]);
        let (ack, _) = ann.answer(dm);
        assert_eq!((ack.kind.as_str(), ack.nick.as_str(), ann.get(&ack, "client")), ("ACK", "bob", bob.id));
        let direct = bob.await_kind("DIRECT");
        assert_eq!((direct.nick.as_str(), direct.text.as_str()), ("ann", &long[..300]));
        assert_eq!(bob.get(&direct, "flags"), page.value("Flags", "DIRECT"));
        assert_eq!((origin(&bob, &direct), bob.get(&direct, "command")), (ORIGIN, 99));
    }

    // WHO and LIST.
    let who = bob.send("WHO", "", "", &[]);
    let (ack, members) = bob.answer(who);
    assert_eq!(bob.get(&ack, "count"), 2);
    let told = |client: &Client<'_>, seen: &super::client::Seen| {
        (seen.kind.clone(), seen.nick.clone(), client.get(seen, "client"), client.get(seen, "room_seq"))
    };
    let members: Vec<_> = members.iter().map(|seen| told(&bob, seen)).collect();
    assert_eq!(
        members,
        [("MEMBER".into(), "ann".into(), ann.id, 1), ("MEMBER".into(), "bob".into(), bob.id, 2)]
    );
    // Of a room by its name, from outside and without entering it; of one that is not there.
    let mut eve = connect(&page, &name, "eve");
    let who = eve.send("WHO", "", "lobby", &[]);
    let (ack, seen) = eve.answer(who);
    assert_eq!((ack.kind.as_str(), eve.get(&ack, "room"), eve.get(&ack, "count")), ("ACK", room, 2));
    assert_eq!(seen.iter().map(|seen| told(&eve, seen)).collect::<Vec<_>>(), members);
    let who = eve.send("WHO", "", "nowhere", &[]);
    let (ack, seen) = eve.answer(who);
    assert_eq!((ack.kind.as_str(), eve.get(&ack, "room"), eve.get(&ack, "count")), ("ACK", 0, 0));
    assert!(seen.is_empty());
    let who = eve.send("WHO", "", "", &[]);
    assert_eq!(eve.answer(who).0.kind, "ERROR", "it has entered none");
    let quit = eve.send("QUIT", "", "", &[]);
    assert_eq!(eve.answer(quit).0.kind, "ACK");
    eve.disappear();
    let list = bob.send("LIST", "", "", &[]);
    let (ack, rooms) = bob.answer(list);
    assert_eq!((bob.get(&ack, "count"), rooms.len()), (1, 1));
    assert_eq!((rooms[0].kind.as_str(), rooms[0].text.as_str()), ("ROOM", "lobby"));
    assert_eq!(
        (bob.get(&rooms[0], "count"), bob.get(&rooms[0], "room"), bob.get(&rooms[0], "client")),
        (2, room, 1)
    );

    // NICK and PING.
    let nick = bob.send("NICK", "", "robert", &[]);
    assert_eq!(bob.answer(nick).0.text, "robert");
    let renamed = ann.await_kind("RENAMED");
    assert_eq!((renamed.nick.as_str(), renamed.text.as_str()), ("bob", "robert"));
    let ping = bob.send("PING", "", "", &[]);
    let (ack, _) = bob.answer(ping);
    assert_eq!((ack.kind.as_str(), bob.get(&ack, "code")), ("ACK", page.value("Kinds", "PING")));

    // LEAVE and QUIT, as the one sees and the other.
    let leave = bob.send("LEAVE", "", "", &[]);
    assert_eq!(bob.answer(leave).0.text, "lobby");
    let left = ann.await_kind("LEFT");
    assert_eq!((left.nick.as_str(), ann.get(&left, "count")), ("robert", 1));
    assert_eq!(ann.get(&left, "code"), page.value("Leave reasons", "Left"));
    let quit = bob.send("QUIT", "", "", &[]);
    let (ack, _) = bob.answer(quit);
    assert_eq!((ack.kind.as_str(), bob.get(&ack, "code")), ("ACK", page.value("Kinds", "QUIT")));
    assert_eq!(bob.next(LONG).err(), Some(Refused::Closed));
    bob.disappear();

    // The server says goodbye.
    server.stop();
    let goodbye = ann.await_kind("GOODBYE");
    assert_eq!(ann.get(&goodbye, "code"), page.value("Leave reasons", "Shutdown"));
    assert_eq!(ann.next(LONG).err(), Some(Refused::Closed));
    ann.disappear();
    nothing_is_left_of(&name);
}

#[test]
fn errors_and_repetitions_are_as_the_page_says() {
    let page = Page::read();
    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let mut fails = |kind: &str, nick: &str, text: &str, code: &str| {
        let number = ann.send(kind, nick, text, &[]);
        let (answer, _) = ann.answer(number);
        assert_eq!(answer.kind, "ERROR", "{kind} {nick:?} {text:?}");
        assert_eq!(ann.get(&answer, "code"), page.value("Error codes", code), "{kind} {nick:?} {text:?}");
    };
    fails("SAY", "", "hello", "NotInRoom");
    fails("WHO", "", "", "NotInRoom");
    fails("LEAVE", "", "", "NotInRoom");
    fails("SAY", "", "", "TextInvalid");
    fails("SAY", "", &"x".repeat(4097), "TextTooLong");
    fails("JOIN", "", "no room", "RoomInvalid");
    fails("NICK", "", "no\tnick", "NickInvalid");
    fails("DM", "nobody", "hello", "NoSuchClient");
    fails("JOIN", "ann", "lobby", "Malformed");
    fails("GOODBYE", "", "", "UnknownKind");

    // A text whose fragments are mixed with something else is given up, and what is left of it passed over.
    let join = ann.send("JOIN", "", "lobby", &[]);
    ann.answer(join);
    let long = "again and ".repeat(40);
    let half = ann.take_number();
    ann.send_fragments(half, "SAY", "", &long, &[], ..2);
    let ping = ann.send("PING", "", "", &[]);
    ann.send_fragments(half, "SAY", "", &long, &[], 2..);
    let (lost, _) = ann.answer(half);
    assert_eq!(ann.get(&lost, "code"), page.value("Error codes", "FragmentLost"));
    assert_eq!(ann.answer(ping).0.kind, "ACK");

    // A token that is not the client's.
    let ping = ann.send("PING", "", "", &[("generation", 0)]);
    let (stale, _) = ann.answer(0);
    assert_eq!(ann.get(&stale, "code"), page.value("Error codes", "StaleGeneration"));
    ann.send_as(ping, "PING", "", "", &[]);
    assert_eq!(ann.answer(ping).0.kind, "ACK", "under the number that was not used up");

    // Every command once, however often it comes; its answer as often as it is asked for.
    let say = ann.send("SAY", "", &long, &[]);
    let (first, before) = ann.answer(say);
    assert_eq!(before.len(), 1);
    ann.send_as(say, "SAY", "", &long, &[("flags", page.value("Flags", "RETRY"))]);
    let (again, before) = ann.answer(say);
    assert!(before.is_empty(), "not said twice");
    assert_eq!((again.kind.as_str(), ann.get(&again, "room_seq")), ("ACK", ann.get(&first, "room_seq")));
    // As many are remembered as the page says, this one among them, and no more.
    let retry = [("flags", page.value("Flags", "RETRY"))];
    let pings: Vec<u64> =
        (1..page.value("Limits", "commands")).map(|_| ann.send("PING", "", "", &[])).collect();
    for ping in pings {
        ann.answer(ping);
    }
    ann.send_as(say, "SAY", "", &long, &retry);
    assert_eq!(ann.answer(say).0.kind, "ACK");
    let ping = ann.send("PING", "", "", &[]);
    ann.answer(ping);
    ann.send_as(say, "SAY", "", &long, &retry);
    let (forgotten, _) = ann.answer(say);
    assert_eq!(ann.get(&forgotten, "code"), page.value("Error codes", "Malformed"));
    server.stop();
    ann.disappear();
    nothing_is_left_of(&name);
}

#[test]
fn who_is_let_in_is_as_the_page_says() {
    let page = Page::read();
    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let least = page.value("Limits", "reply slots") as u32;
    let (block, spill) = (page.value("Overflow policies", "Block"), page.value("Overflow policies", "Spill"));
    let refuses = |id: &str, nick: &str, slots: u32, fields: &[(&str, u64)], code: &str| {
        let ring = reply_ring(&name, id);
        let refused = Client::connect(&page, &name, &ring, nick, Hello { slots, fields }).err();
        let refused = refused.unwrap_or_else(|| panic!("{id} was welcome"));
        assert_eq!(refused.kind, "REFUSED");
        let field = |field| get(&page, "Record", field, &refused.bytes);
        assert_eq!(
            (field("code"), field("command")),
            (page.value("Error codes", code), 1),
            "{id}: {}",
            refused.text
        );
        assert!(!refused.text.is_empty());
    };
    refuses("twice", "ann", 256, &[], "NickTaken");
    refuses("invisible", "a b", 256, &[], "NickInvalid");
    let later = page.value("Limits", "protocol version") + 1;
    refuses("later", "bob", 256, &[("generation", later)], "LayoutDiffers");
    refuses("two", "bob", 256, &[("frags", 2)], "Malformed");
    refuses("long", &"n".repeat(33), 256, &[], "NickInvalid");
    refuses("small", "bob", least / 2, &[], "RingInvalid");
    refuses("what", "bob", 256, &[("code", 9)], "PolicyRefused");
    refuses("patient", "bob", 256, &[("code", block), ("count", u32::MAX.into())], "PolicyRefused");
    // The first of several reasons, in the page's order.
    refuses("all", "a b", least / 2, &[("generation", later), ("code", 9)], "RingInvalid");
    refuses("most", "a b", 256, &[("generation", later), ("code", 9)], "LayoutDiffers");

    let ring = reply_ring(&name, "bob");
    let hello = Hello { slots: least, fields: &[("code", spill), ("count", 100)] };
    let mut bob = Client::connect(&page, &name, &ring, "bob", hello).expect("bob is welcome");
    assert_eq!(get(&page, "Body of WELCOME", "policy_limit", &bob.welcome), 100);
    // The same HELLO again: the same client.
    bob.hello("bob", &ring, &[("code", spill), ("count", 100)]);
    let again = bob.await_kind("WELCOME");
    assert_eq!(
        (bob.get(&again, "client"), bob.get(&again, "number"), bob.get(&again, "code")),
        (bob.id, 2, spill)
    );
    let ping = ann.send("PING", "", "", &[]);
    assert_eq!(ann.answer(ping).0.kind, "ACK");
    server.stop();
    ann.disappear();
    bob.disappear();
    nothing_is_left_of(&name);
}

#[test]
fn what_is_lost_is_told_as_the_page_says() {
    let page = Page::read();
    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let slots = page.value("Limits", "reply slots") as u32;
    let mut bob = Client::connect(&page, &name, &reply_ring(&name, "bob"), "bob", Hello { slots, ..USUAL })
        .expect("bob is welcome");
    let mut room = 0;
    for client in [&mut ann, &mut bob] {
        let join = client.send("JOIN", "", "lobby", &[]);
        let (ack, _) = client.answer(join);
        room = client.get(&ack, "room");
    }
    // Far more than there is room for, some of it in fragments; bob does not read meanwhile.
    let said: Vec<String> =
        (1..=60).map(|n| format!("{n} ").repeat(if n % 7 == 0 { 200 } else { 1 })).collect();
    for text in &said {
        let say = ann.send("SAY", "", text, &[]);
        ann.answer(say);
    }
    let dm = ann.send("DM", "bob", "psst", &[]);
    let (undelivered, _) = ann.answer(dm);
    assert_eq!(ann.get(&undelivered, "code"), page.value("Error codes", "NotDelivered"));

    // Should the server die now, bob would know how much is missing.
    let note = bob.note();
    assert_eq!(ann.note(), 0, "she missed nothing");
    let (mut next, mut lost) = (1, 0);
    // `parse` has checked that no number is missing that LOST does not tell of.
    while lost == 0 || next <= 60 {
        let seen = bob.next(LONG).expect("messages, then LOST");
        if seen.kind == "MESSAGE" {
            assert_eq!(
                (bob.get(&seen, "room_seq"), seen.text.as_str()),
                (next, said[next as usize - 1].as_str())
            );
            next += 1;
            continue;
        }
        assert_eq!(seen.kind, "LOST");
        let body = &seen.bytes[page.field("Record", "body").offset..];
        let field = |field| get(&page, "Body of LOST", field, body);
        assert_eq!(bob.get(&seen, "number"), field("last_number") + 1);
        assert_eq!((bob.get(&seen, "room"), field("first_seq")), (room, next));
        assert_eq!(
            field("messages"),
            field("last_seq") - field("first_seq") + 1,
            "a text in fragments counts once"
        );
        (next, lost) = (field("last_seq") + 1, lost + field("messages"));
        if next > 60 {
            assert_eq!((field("directs"), field("others")), (1, 0));
            assert_eq!(bob.get(&seen, "number"), note);
        }
    }
    // What comes after it is there again.
    let say = ann.send("SAY", "", "still there?", &[]);
    ann.answer(say);
    let heard = bob.await_kind("MESSAGE");
    assert_eq!((bob.get(&heard, "room_seq"), heard.text.as_str()), (61, "still there?"));
    server.stop();
    ann.disappear();
    bob.disappear();
    nothing_is_left_of(&name);
}

#[test]
fn a_client_made_of_the_page_sleeps_until_the_server_wakes_it() {
    let page = Page::read();
    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let join = ann.send("JOIN", "", "lobby", &[]);
    ann.answer(join);
    let (told, tells) = mpsc::channel();
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let page = Page::read();
            let mut bob = connect(&page, &name, "bob");
            let join = bob.send("JOIN", "", "lobby", &[]);
            bob.answer(join);
            // Until here it slept for answers.
            told.send(()).unwrap();
            let woken = bob.sleep();
            bob.disappear();
            woken
        });
        ann.await_kind("JOINED");
        tells.recv_timeout(LONG).unwrap();
        let ring = halyard_ring::RingName::new(&reply_ring(&name, "bob")).unwrap();
        let view = RingView::open(&ring).unwrap();
        until("bob asleep", || {
            let seen = view.inspect();
            // Also on the semaphore itself, where the C library tells.
            seen.consumer_waiting
                && seen.ready.and_then(|ready| ready.waiters).is_none_or(|waiters| waiters == 1)
        });
        ann.send("SAY", "", "wake up", &[]);
        assert!(sleeper.join().unwrap(), "by a token");
    });
    server.stop();
    ann.disappear();
    nothing_is_left_of(&name);
}

#[test]
fn a_client_of_the_page_that_stops_its_heartbeat_is_hung() {
    let page = Page::read();
    let name = unused_name("hang").to_string();
    let config = Config {
        name: ServerName::new(&name).unwrap(),
        broadcasters: 1,
        pin: Pin::No,
        heartbeat: Duration::from_millis(10),
        hang: Duration::from_millis(200),
        ..Config::default()
    };
    let server = Server::start(config).unwrap();
    let mut ann = connect(&page, &name, "ann");
    // Longer than `hang` without a stamp, and the server's word about it is there.
    let goodbye = ann.await_without_beat();
    assert_eq!(goodbye.kind, "GOODBYE");
    assert_eq!(ann.get(&goodbye, "code"), page.value("Leave reasons", "Hung"));
    assert_eq!(ann.next(LONG).err(), Some(Refused::Closed));
    server.stop();
    ann.disappear();
    nothing_is_left_of(&name);
}
