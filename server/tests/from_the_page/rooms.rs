//! Several rooms at once, and what was said before (section 6.6 of the page).

use super::chat::{connect, reply_ring, serve};
use super::client::{Client, Hello, Seen};
use super::page::Page;

fn companion<'p>(page: &'p Page, server: &str, of: &Client<'_>, token: u64) -> Result<Client<'p>, Seen> {
    let fields = [("flags", page.value("Flags", "COMPANION")), ("client", of.id), ("room", token)];
    let hello = Hello { slots: 256, fields: &fields };
    Client::connect(page, server, &reply_ring(server, "companion"), "", hello)
}

#[test]
fn a_companion_is_in_a_second_room_under_the_same_nick() {
    let page = Page::read();
    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let mut bob = connect(&page, &name, "bob");
    let refused = companion(&page, &name, &ann, ann.token + 1).err().expect("a refusal");
    assert_eq!(ann.get(&refused, "code"), page.value("Error codes", "StaleGeneration"));
    let mut second = companion(&page, &name, &ann, ann.token).unwrap_or_else(|seen| panic!("{seen:?}"));
    assert_ne!(second.id, ann.id);
    for (client, room) in [(&mut ann, "lobby"), (&mut second, "dev"), (&mut bob, "dev")] {
        let join = client.send("JOIN", "", room, &[]);
        assert_eq!(client.answer(join).0.text, room);
    }
    let say = second.send("SAY", "", "hello", &[]);
    second.answer(say);
    let heard = bob.await_kind("MESSAGE");
    assert_eq!((heard.nick.as_str(), bob.get(&heard, "client")), ("ann", second.id));
    let dm = bob.send("DM", "ann", "psst", &[]);
    bob.answer(dm);
    assert_eq!(ann.await_kind("DIRECT").text, "psst", "the nick leads to the first session");
    let rename = ann.send("NICK", "", "anna", &[]);
    assert_eq!(ann.answer(rename).0.text, "anna");
    assert_eq!(bob.await_kind("RENAMED").text, "anna");
    let quit = ann.send("QUIT", "", "", &[]);
    ann.answer(quit);
    let goodbye = second.await_kind("GOODBYE");
    assert_eq!(second.get(&goodbye, "code"), page.value("Leave reasons", "Quit"));
    bob.await_kind("LEFT");
    for client in [ann, bob, second] {
        client.disappear();
    }
    server.stop();
}

#[test]
fn history_tells_what_was_said_and_fills_a_gap_exactly() {
    let page = Page::read();
    let (server, name) = serve();
    let mut ann = connect(&page, &name, "ann");
    let join = ann.send("JOIN", "", "lobby", &[]);
    let joined = ann.answer(join).0;
    let room = ann.get(&joined, "room");
    let long = "€".repeat(400);
    for text in ["one", "two", long.as_str(), "four"] {
        let say = ann.send("SAY", "", text, &[]);
        ann.answer(say);
    }
    let mut bob = connect(&page, &name, "bob");
    let join = bob.send("JOIN", "", "lobby", &[]);
    let joined = bob.answer(join).0;
    let before = bob.get(&joined, "room_seq");
    let ask = |bob: &mut Client<'_>, fields: &[(&str, u64)]| {
        let command = bob.send("HISTORY", "", "", fields);
        let (ack, entries) = bob.answer(command);
        assert_eq!(bob.get(&ack, "code"), page.value("Kinds", "HISTORY"));
        assert_eq!((bob.get(&ack, "room"), bob.get(&ack, "count")), (room, entries.len() as u64));
        for (entry, index) in entries.iter().zip(1..) {
            assert_eq!((entry.kind.as_str(), entry.nick.as_str()), ("EARLIER", "ann"));
            assert_eq!((bob.get(entry, "generation"), bob.get(entry, "command")), (index, command));
            assert_eq!((bob.get(entry, "room"), bob.get(entry, "client")), (room, ann.id));
            assert!(
                0 < bob.get(entry, "sent_ns") && bob.get(entry, "sent_ns") <= bob.get(entry, "routed_ns")
            );
        }
        entries.into_iter().map(|seen| (bob.get(&seen, "room_seq"), seen.text)).collect::<Vec<_>>()
    };
    let all = [(1, "one"), (2, "two"), (3, long.as_str()), (4, "four")].map(|(n, text)| (n, text.to_owned()));
    assert_eq!(ask(&mut bob, &[("room_seq", before + 1)]), all);
    assert_eq!(ask(&mut bob, &[]), all);
    // The gap from 2 to 3.
    assert_eq!(ask(&mut bob, &[("room_seq", 4), ("count", 2)]), all[1..3]);
    for client in [ann, bob] {
        client.disappear();
    }
    server.stop();
}
