//! Exit codes, and what is said with them.

use std::time::Duration;

use halyard_client::{Client, Event, LeaveReason};
use nix::sys::signal::Signal;

use crate::util::Place;

#[test]
fn without_a_server_every_command_ends_with_69_and_says_how_to_start_one() {
    let place = Place::empty();
    for args in [
        &["say", "-r", "lobby", "hi"][..],
        &["dm", "bob", "hi"],
        &["tail", "-r", "lobby"],
        &["who", "-r", "lobby"],
        &["who"],
        &["rooms"],
        &["run"],
    ] {
        let ended = place.run(args, "").with(69);
        assert!(ended.out.is_empty(), "{args:?}: {ended:?}");
        let hint = format!("halyard --server {} server", place.name);
        assert!(ended.err.starts_with("halyard: no server named") && ended.err.contains(&hint), "{ended:?}");
    }
}

#[test]
fn wrong_usage_is_2() {
    let place = Place::served();
    for args in [
        &["say", "hi"][..],
        &["say", "-r", "two words", "hi"],
        &["tail", "-r", "lobby", "--timeout", "soon"],
        &["tail", "-r", "lobby", "-n", "-1"],
        &["--server", "a/b", "rooms"],
        &["--nick", "ann", "chat"],
        &["say", "-r", "lobby", "--nick", "a b", "hi"],
        &["nonsense"],
        &[],
    ] {
        let ended = place.run(args, "").with(2);
        assert!(ended.out.is_empty() && !ended.err.is_empty(), "{args:?}: {ended:?}");
    }
    let long = "x".repeat(4097);
    let ended = place.run(&["say", "-r", "lobby", &long], "").with(2);
    assert!(ended.err.contains("4097 bytes; at most 4096"), "{ended:?}");
}

#[test]
fn a_negative_result_is_1() {
    let place = Place::served();
    let nobody = place.run(&["who", "-r", "lobby"], "").with(1);
    assert_eq!((nobody.out.as_str(), nobody.err.as_str()), ("", "-- nobody is in lobby\n"));
    place.run(&["who"], "").with(1);
    let unknown = place.run(&["dm", "nobody", "hi"], "").with(1);
    assert!(unknown.err.contains("not sent"), "{unknown:?}");
}

#[test]
fn a_time_out_is_124() {
    let place = Place::served();
    let ended = place.run(&["tail", "-r", "lobby", "--timeout", "0.2"], "").with(124);
    assert!(ended.out.is_empty(), "{ended:?}");
}

#[test]
fn a_nick_that_is_taken_is_75() {
    let place = Place::served();
    let _ann = place.client("ann");
    let ended = place.run(&["say", "-r", "lobby", "--nick", "ann", "hi"], "").with(75);
    assert!(ended.err.contains("\"ann\" is taken"), "{ended:?}");
    // The login name is only a proposal.
    place.run(&["say", "-r", "lobby", "hi"], "").with(0);
}

#[test]
fn a_server_that_is_stopped_is_75_and_is_named() {
    let place = Place::empty();
    let mut server = place.start(&["server"]);
    server.err.await_line("serving");
    server.signal(Signal::SIGSTOP);
    let ended = place.run(&["rooms"], "").with(75);
    assert!(ended.err.contains(&format!("kill -CONT {}", server.pid())), "{ended:?}");
    server.signal(Signal::SIGCONT);
    place.run(&["rooms"], "").with(0);
    server.signal(Signal::SIGTERM);
    server.end().with(0);
}

#[test]
fn a_second_server_of_the_name_is_refused_with_the_holders_pid() {
    let place = Place::served();
    let ended = place.run(&["server"], "").with(75);
    assert!(ended.err.contains(&std::process::id().to_string()), "{ended:?}");
    place.run(&["rooms"], "").with(0);
}

#[test]
fn signals_end_it_cleanly() {
    let place = Place::served();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut tail = place.start(&["tail", "-r", "lobby"]);
        tail.err.await_line("follows lobby");
        tail.signal(signal);
        tail.end().with(code);
        // It has left: not found dead some time later.
        place.run(&["who", "-r", "lobby"], "").with(1);
    }
}

#[test]
fn help_is_complete() {
    let place = Place::empty();
    let help = place.run(&["--help"], "").with(0).out;
    for code in ["0", "1", "2", "69", "74", "75", "124"] {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))),
            "{code}:\n{help}"
        );
    }
    for command in ["chat", "say", "dm", "tail", "who", "rooms", "run", "server"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}:\n{help}");
        let help = place.run(&[command, "--help"], "").with(0).out;
        assert!(help.contains("--server <NAME>"), "{help}");
    }
    let verbs = place.run(&["run", "--help"], "").with(0).out;
    for verb in ["JOIN room", "SAY text", "DM nick text", "WHO", "LEAVE", "QUIT"] {
        assert!(verbs.contains(verb), "{verbs}");
    }
}

/// Why each of the others left, until `nick` has.
fn reasons(watcher: &Client, nick: &str) -> Vec<(String, LeaveReason)> {
    let mut gone = Vec::new();
    loop {
        match watcher.recv_timeout(Duration::from_secs(60)).unwrap().expect("somebody to leave") {
            Event::Left(who, why) => gone.push((who.nick, why)),
            _ => continue,
        }
        if gone.last().is_some_and(|(who, _)| who == nick) {
            return gone;
        }
    }
}

#[test]
fn however_a_command_ends_who_stays_hears_that_it_quit() {
    let place = Place::served();
    let watcher = place.client("watcher");
    watcher.join("lobby").unwrap();
    place.run(&["run", "--nick", "wrong"], "JOIN lobby\nNONSENSE\n").with(2);
    place.run(&["run", "--nick", "refused"], "JOIN lobby\nDM nobody hi\n").with(1);
    place.run(&["tail", "--nick", "late", "-r", "lobby", "--timeout", "0"], "").with(124);
    // Too long a text is seen before anybody is told of anything.
    place.run(&["say", "--nick", "long", "-r", "lobby", &"x".repeat(5000)], "").with(2);
    place.run(&["say", "--nick", "last", "-r", "lobby", "bye"], "").with(0);
    let quit = |nick: &str| (nick.to_owned(), LeaveReason::Quit);
    assert_eq!(reasons(&watcher, "last"), ["wrong", "refused", "late", "last"].map(quit));
}

#[test]
fn of_many_lines_that_cannot_be_sent_the_first_are_named_and_the_rest_counted() {
    let place = Place::served();
    let ended = place.run(&["say", "-r", "lobby"], b"\xff\n".repeat(1000)).with(1);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!((lines.len(), *lines.last().unwrap()), (11, "-- 990 more lines not sent"), "{ended:?}");
    assert!(lines[9].starts_with("-- line 10 not sent: "), "{ended:?}");
}
