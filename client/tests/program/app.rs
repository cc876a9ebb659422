//! The application on a pseudo-terminal: the real program, its screen and the terminal's modes afterwards.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pty::Terminal;
use crate::util::Place;

fn chat(place: &Place, nick: &str) -> Terminal {
    let terminal = Terminal::start(place, &["chat", "--nick", nick], &[]);
    terminal.await_text(&format!("you are {nick} in lobby"));
    terminal
}

#[test]
fn two_people_talk_and_one_is_killed() {
    let place = Place::served();
    let began = Instant::now();
    let mut ann = chat(&place, "ann");
    println!("start to first room: {:?}", began.elapsed());
    let bob = chat(&place, "bob");
    ann.await_text("bob joined");
    let began = Instant::now();
    ann.press("x");
    ann.await_text("> x");
    println!("key to echo, polled every 2 ms: {:?}", began.elapsed());
    ann.press("\u{15}hello bob\r");
    bob.await_text("hello bob");
    kill(Pid::from_raw(bob.child.id() as i32), Signal::SIGKILL).unwrap();
    ann.await_text("bob gone: the process ended");
    ann.press("/quit\r");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn several_rooms_in_one_window() {
    let place = Place::served();
    let bob = place.client("bob");
    bob.join("dev").unwrap();
    bob.say("said before").unwrap();
    let mut ann = chat(&place, "ann");
    ann.press("/join dev\r");
    ann.await_text("you are ann in dev (2 here)");
    ann.await_text("said before");
    bob.say("ann: in dev").unwrap();
    ann.await_text("ann: in dev");
    ann.press("\u{1b}2");
    ann.await_text("2:lobby (1)");
    bob.say("while away").unwrap();
    ann.await_text("[3:dev]");
    ann.press("\u{1b}a");
    ann.await_text("while away");
    ann.press("\u{4}");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn a_paste_is_confirmed_and_one_without_end_hangs_nothing() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    ann.press("\u{1b}[200~one\rtwo\u{1b}[201~");
    ann.await_text("paste 2 lines?");
    ann.press("\r");
    ann.await_text("two");
    ann.press("\u{1b}[200~no end");
    ann.await_text("> no end");
    ann.press("!");
    ann.await_text("> no end!");
    ann.press("\u{15}/quit\r");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn a_resize_and_a_hostile_message_leave_a_sane_screen() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    bob.say("\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[?1049l\u{202e}evil").unwrap();
    ann.await_text("␛]0;owned");
    assert!(ann.screen.lock().unwrap().screen().alternate_screen());
    ann.resize(10, 40);
    ann.press("narrow\r");
    ann.await_text("ann: narrow");
    ann.press("/quit\r");
    assert_eq!(ann.end().code(), Some(0));
}

#[test]
fn the_terminal_is_put_back_after_signals_and_panics() {
    let place = Place::served();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let ann = chat(&place, "ann");
        kill(Pid::from_raw(ann.child.id() as i32), signal).unwrap();
        assert_eq!(ann.end().code(), Some(0), "{signal}");
    }
    let mut ann = chat(&place, "pat");
    ann.press("/panic\r");
    ann.await_text("asked for by /panic");
    assert!(!ann.end().success());
    // As with `panic = "abort"`: nothing is dropped after the hook.
    let mut ann = Terminal::start(&place, &["chat", "--nick", "abe"], &[("HALYARD_TEST_ABORT", "1")]);
    ann.await_text("you are abe in lobby");
    ann.press("/panic\r");
    ann.await_text("asked for by /panic");
    assert_eq!(ann.end().code(), None, "ended by SIGABRT");
}

#[test]
fn a_server_that_comes_back_gets_what_was_typed_meanwhile() {
    let place = Place::empty();
    let mut first = place.start(&["server"]);
    first.err.await_line("serving");
    let mut ann = chat(&place, "ann");
    first.signal(Signal::SIGKILL);
    drop(first);
    ann.await_text("no server, looking for it");
    ann.press("anyone there?\r");
    ann.await_text("… anyone there?");
    let mut second = place.start(&["server"]);
    second.err.await_line("serving");
    ann.await_text("connected again as ann");
    ann.await_text("ann: anyone there?");
    ann.press("/quit\r");
    assert_eq!(ann.end().code(), Some(0));
    second.signal(Signal::SIGTERM);
    second.end().with(0);
}

#[test]
fn rings_are_drawn_live_with_their_rates_while_messages_come() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    ann.press("/ring\r");
    ann.await_text("a second  published 0 · consumed 0");
    // Without a pause: what lives must not wait for one.
    let (said, over) = channel::<()>();
    thread::scope(|scope| {
        let bob = &bob;
        scope.spawn(move || {
            while over.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout) {
                bob.say("tick").unwrap();
            }
        });
        ann.await_until(|screen| {
            let rates = screen.lines().find_map(|line| line.split_once("a second  published "));
            rates.is_some_and(|(_, rest)| !rest.starts_with("0 "))
        });
        drop(said);
    });
    // Typing closes the picture.
    ann.press("/quit\r");
    assert_eq!(ann.end().code(), Some(0));
}
