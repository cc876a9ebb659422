//! A chat that hosts the server, and `halyard server`.

use nix::sys::signal::Signal;

use crate::pty::Terminal;
use crate::util::Place;

#[test]
fn the_first_chat_hosts_and_says_so() {
    let place = Place::empty();
    let mut host = place.start(&["chat", "--nick", "ann"]);
    host.err.await_line("this chat hosts it");
    host.err.await_line("you are ann in lobby");
    let mut bob = place.start(&["chat", "--nick", "bob"]);
    bob.err.await_line("you are bob in lobby (2 here)");
    bob.type_line("hi");
    host.out.await_line("<bob> hi");
    // When the host goes, the others are told; the next chat hosts again and they find it.
    host.type_line("/quit");
    let host = host.end().with(0);
    assert!(host.err.contains("1 other client lost it"), "{host:?}");
    bob.err.await_line("the server has shut down");
    let mut next = place.start(&["chat", "--nick", "cas"]);
    next.err.await_line("this chat hosts it");
    bob.err.await_line("connected again as bob, in lobby");
    next.err.await_line("you are cas in lobby");
    bob.type_line("still here");
    next.out.await_line("<bob> still here");
    bob.close();
    let bob = bob.end().with(0);
    assert!(!bob.err.contains("hosts"), "{bob:?}");
    next.close();
    next.end().with(0);
}

#[test]
fn whoever_is_left_can_host_the_next_server() {
    let place = Place::empty();
    let mut host = place.start(&["chat", "--nick", "ann"]);
    host.err.await_line("you are ann in lobby");
    let mut bob = place.start(&["chat", "--nick", "bob"]);
    bob.err.await_line("you are bob in lobby");
    bob.type_line("/host");
    bob.err.await_line("there is a server");
    let mut cas = Terminal::start(&place, &["chat", "--nick", "cas"], &[]);
    cas.await_text("you are cas in lobby");
    host.type_line("/quit");
    host.end().with(0);
    bob.err.await_line("the server has shut down");
    cas.await_text("(or /host)");
    cas.press("/host\r");
    cas.await_text("this chat hosts it");
    bob.err.await_line("connected again as bob, in lobby");
    // The host's own session comes back when it will, after bob's or before: only members hear what is said.
    cas.await_text("connected again as cas");
    bob.type_line("still here");
    cas.await_text("still here");
    cas.press("/quit\r");
    assert_eq!(cas.end().code(), Some(0));
    // And in line mode.
    bob.err.await_line("the server has shut down");
    bob.type_line("/host");
    bob.err.await_line("this chat hosts it");
    bob.err.await_line("connected again as bob, in lobby");
    bob.close();
    bob.end().with(0);
}

#[test]
fn chats_that_start_at_once_agree_on_one_server() {
    let place = Place::empty();
    let mut chats: Vec<_> = (0..5).map(|n| place.start(&["chat", "--nick", &format!("p{n}")])).collect();
    for (n, chat) in chats.iter_mut().enumerate() {
        chat.err.await_line(&format!("you are p{n} in lobby"));
    }
    assert_eq!(place.run(&["rooms"], "").with(0).out, "lobby\t5\n");
    for chat in &mut chats {
        chat.close();
    }
    let hosts =
        chats.into_iter().map(|chat| chat.end().with(0)).filter(|ended| ended.err.contains("hosts")).count();
    assert_eq!(hosts, 1);
}

#[test]
fn a_server_stops_on_a_signal_and_tells_its_clients() {
    let place = Place::empty();
    let mut server = place.start(&["server", "--log", "error"]);
    server.err.await_line("serving");
    let mut tail = place.start(&["tail", "-r", "lobby"]);
    tail.err.await_line("follows lobby");
    server.signal(Signal::SIGTERM);
    let server = server.end().with(0);
    assert_eq!(server.err.lines().count(), 1, "{server:?}");
    tail.err.await_line("the server has shut down");
    tail.signal(Signal::SIGINT);
    tail.end().with(130);
}

#[test]
fn an_audit_file_tells_who_came_and_went() {
    let place = Place::empty();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut server = place.start(&["server", "--audit", file.path().to_str().unwrap()]);
    server.err.await_line("serving");
    place.run(&["say", "-r", "lobby", "hi"], "").with(0);
    server.signal(Signal::SIGINT);
    server.end().with(0);
    let audit = std::fs::read_to_string(file.path()).unwrap();
    for event in ["connect", "join", "quit"] {
        assert!(audit.contains(&format!("\"{event}\"")), "{event}:\n{audit}");
    }
}
