//! Servers that are killed and come back, clients that are stopped.

use std::time::Duration;

use halyard_server::Config;
use nix::sys::signal::Signal;

use crate::util::{Place, Running, untimed};

fn server(place: &Place) -> Running {
    let mut server = place.start(&["server"]);
    server.err.await_line("serving");
    server
}

#[test]
fn a_tail_and_a_chat_outlive_a_server_that_is_killed() {
    let place = Place::empty();
    let first = server(&place);
    let mut tail = place.start(&["tail", "-r", "lobby", "--json", "--nick", "tess"]);
    tail.err.await_line("follows lobby");
    let mut chat = place.start(&["chat", "--nick", "ann"]);
    chat.err.await_line("you are ann in lobby");
    first.signal(Signal::SIGKILL);
    drop(first);
    tail.err.await_line("the server's process is gone");
    chat.err.await_line("the server's process is gone");
    // Typed while there is no server: sent when there is one.
    chat.type_line("anyone there?");
    chat.err.await_line("no server now");
    let second = server(&place);
    chat.err.await_line("connected again as ann, in lobby");
    tail.err.await_line("connected again as tess, in lobby");
    assert_eq!(untimed(&chat.out.await_line("anyone")), "<ann> anyone there?");
    chat.type_line("together again");
    tail.out.await_line("together again");
    tail.signal(Signal::SIGINT);
    let lines = tail.end().with(130).out;
    assert!(
        lines.contains(r#""type":"disconnected""#) && lines.contains(r#""type":"reconnected""#),
        "{lines}"
    );
    chat.close();
    chat.end().with(0);
    second.signal(Signal::SIGTERM);
    second.end().with(0);
}

#[test]
fn a_pipe_into_say_survives_a_restart() {
    let place = Place::empty();
    let first = server(&place);
    let mut say = place.start(&["say", "-r", "lobby"]);
    let mut tail = place.start(&["tail", "-r", "lobby"]);
    tail.err.await_line("follows lobby");
    say.type_line("before");
    tail.out.await_line("before");
    first.signal(Signal::SIGKILL);
    drop(first);
    tail.err.await_line("gone");
    let second = server(&place);
    tail.err.await_line("connected again");
    say.type_line("after");
    tail.out.await_line("after");
    say.close();
    say.end().with(0);
    second.signal(Signal::SIGTERM);
    second.end().with(0);
}

#[test]
fn messages_that_nobody_confirms_are_75() {
    let place = Place::empty();
    let first = server(&place);
    let mut tail = place.start(&["tail", "-r", "lobby"]);
    tail.err.await_line("follows lobby");
    let mut say = place.start(&["say", "-r", "lobby", "--timeout", "0.5"]);
    say.type_line("one");
    tail.out.await_line("one");
    first.signal(Signal::SIGKILL);
    drop(first);
    say.type_line("two");
    say.close();
    let ended = say.end().with(75);
    assert!(ended.err.contains("did not confirm"), "{ended:?}");
    drop(tail);
    // The next server cleans up after the dead one.
    let next = server(&place);
    next.signal(Signal::SIGTERM);
    next.end().with(0);
}

#[test]
fn a_client_that_was_stopped_for_too_long_comes_back() {
    let place = Place::served_with(Config {
        heartbeat: Duration::from_millis(100),
        hang: Duration::from_millis(600),
        ..Config::default()
    });
    let mut watcher = place.start(&["tail", "-r", "lobby", "--all", "--nick", "wat"]);
    watcher.err.await_line("follows lobby");
    let mut tail = place.start(&["tail", "-r", "lobby", "--nick", "tess"]);
    tail.err.await_line("follows lobby");
    tail.signal(Signal::SIGSTOP);
    assert_eq!(watcher.out.await_line("gone"), "-- tess is gone: its process hangs (1 here)");
    tail.signal(Signal::SIGCONT);
    tail.err.await_line("took this client for hung");
    tail.err.await_line("connected again as tess, in lobby");
    place.run(&["say", "-r", "lobby", "hello"], "").with(0);
    tail.out.await_line("hello");
}
