//! The control ring is made anew (section 6.8), and a client made of the page follows.

use std::sync::atomic::Ordering;

use super::chat::{connect, nothing_is_left_of, serve};
use super::page::Page;
use super::segment::Segment;

/// Closes a server's control ring, which only the server may.
pub(super) fn close_control(page: &Page, server: &str) {
    let control = Segment::open(page, &format!("{server}.control")).expect("the control ring");
    control.word32("reader.closed").store(1, Ordering::Release);
}

#[test]
fn a_client_made_of_the_page_goes_on_in_the_new_control_ring() {
    let page = Page::read();
    let (server, name) = serve();
    let (mut ann, mut bob) = (connect(&page, &name, "ann"), connect(&page, &name, "bob"));
    for client in [&mut ann, &mut bob] {
        let join = client.send("JOIN", "", "lobby", &[]);
        assert_eq!(client.answer(join).0.kind, "ACK");
    }
    // The beginning of a text goes down with the ring that it lies in.
    let long = "a text of two records ".repeat(10);
    let text = ann.take_number();
    let fields = [("number", 1)];
    let before = server.stats().received;
    ann.send_fragments(text, "SAY", "", &long, &fields, ..1);
    super::until("the first fragment taken", || server.stats().received > before);
    close_control(&page, &name);
    for client in [&mut ann, &mut bob] {
        client.await_kind("REOPEN");
        client.reopen();
    }
    let retry = page.value("Flags", "RETRY");
    ann.send_as(text, "SAY", "", &long, &[("number", 1), ("flags", retry)]);
    assert_eq!(ann.answer(text).0.kind, "ACK");
    assert_eq!(bob.await_kind("MESSAGE").text, long);
    // Again, and nothing was under way: what was acknowledged is not said twice.
    close_control(&page, &name);
    for client in [&mut ann, &mut bob] {
        client.await_kind("REOPEN");
        client.reopen();
    }
    ann.send_as(text, "SAY", "", &long, &[("number", 1), ("flags", retry)]);
    assert_eq!(ann.answer(text).0.kind, "ACK");
    let say = bob.send("SAY", "", "one of us", &[]);
    let (ack, before) = bob.answer(say);
    assert_eq!(ack.kind, "ACK");
    let heard: Vec<&str> = before.iter().map(|seen| seen.text.as_str()).collect();
    assert_eq!(heard, ["one of us"]);
    assert_eq!(server.stats().renewed, 2);
    assert_eq!(server.rooms()[0].members, 2, "the sessions are what they were");
    server.stop();
    ann.disappear();
    bob.disappear();
    nothing_is_left_of(&name);
}
