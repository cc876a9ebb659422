//! `halyard chat` without a terminal.

use nix::sys::signal::Signal;

use crate::util::{Place, Running, untimed};

fn chat(place: &Place, nick: &str) -> Running {
    let mut chat = place.start(&["chat", "--nick", nick]);
    chat.err.await_line(&format!("you are {nick} in lobby"));
    chat
}

#[test]
fn two_people_talk() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    let mut bob = chat(&place, "bob");
    assert_eq!(bob.err.await_line("in lobby:"), "-- 2 in lobby: ann, bob");
    assert_eq!(ann.out.await_line("bob"), "-- bob joined lobby (2 here)");
    ann.type_line("hello");
    for chat in [&mut ann, &mut bob] {
        assert_eq!(untimed(&chat.out.await_line("hello")), "<ann> hello");
    }
    bob.type_line("/me waves");
    assert_eq!(untimed(&ann.out.await_line("waves")), "* bob waves");
    bob.type_line("//not a command");
    assert_eq!(untimed(&ann.out.await_line("command")), "<bob> /not a command");
    ann.type_line("/dm bob psst");
    assert_eq!(untimed(&bob.out.await_line("psst")), "<ann → you> psst");
    assert_eq!(untimed(&ann.out.await_line("psst")), "<you → bob> psst");
    bob.type_line("/nick rob");
    bob.err.await_line("you are rob now");
    assert_eq!(ann.out.await_line("rob"), "-- bob is now rob");
    bob.type_line("/join dev");
    assert_eq!(bob.err.await_line("in dev"), "-- you are rob in dev (1 here)");
    assert_eq!(ann.out.await_line("rob"), "-- rob went to another room (1 here)");
    ann.type_line("/list");
    assert_eq!(ann.err.await_line("rooms"), "-- 2 rooms: dev (1), lobby (1)");
    ann.type_line("/who dev");
    assert_eq!(ann.err.await_line("in dev"), "-- 1 in dev: rob");
    ann.type_line("/msg nobody hi");
    ann.err.await_line("not sent: ");
    ann.type_line("/leave");
    ann.err.await_line("you left lobby");
    ann.type_line("lost words");
    assert!(ann.err.await_line("not sent").ends_with("lost words"));
    ann.type_line("/jion dev");
    ann.err.await_line("no command /jion");
    ann.type_line("/ping");
    ann.err.await_line("the server answered within");
    ann.type_line("/quit");
    ann.end().with(0);
    bob.close();
    bob.end().with(0);
}

#[test]
fn the_end_of_input_waits_until_everything_is_said() {
    let place = Place::served();
    let mut tail = place.start(&["tail", "-r", "lobby", "-c", "500"]);
    tail.err.await_line("follows lobby");
    let input: String = (0..500).map(|n| format!("message {n}\n")).collect();
    let ended = place.run(&["chat"], input).with(0);
    assert_eq!(ended.out_lines().iter().filter(|line| line.contains("<ann> message")).count(), 500);
    let heard = tail.end().with(0);
    let texts: Vec<_> = heard.out_lines().into_iter().map(untimed).collect();
    let expected: Vec<_> = (0..500).map(|n| format!("<ann> message {n}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn a_login_name_that_is_taken_gets_a_number_and_a_chosen_nick_does_not() {
    let place = Place::served();
    let _ann = chat(&place, "ann");
    let mut other = place.start(&["chat"]);
    assert!(other.err.await_line("taken").contains("you are ann-2"), "said so");
    other.err.await_line("you are ann-2 in lobby");
    let ended = place.run(&["chat", "--nick", "ann"], "").with(75);
    assert!(ended.err.contains("\"ann\" is taken"), "{ended:?}");
}

#[test]
fn escape_sequences_are_shown_and_not_sent_to_the_terminal() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    bob.say("\u{1b}]0;title\u{7}\u{9b}2J").unwrap();
    assert_eq!(untimed(&ann.out.await_line("title")), "<bob> ␛]0;title␇<U+009B>2J");
}

#[test]
fn ctrl_c_leaves_cleanly() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    let bob = chat(&place, "bob");
    bob.signal(Signal::SIGINT);
    bob.end().with(0);
    assert_eq!(ann.out.await_line("quit"), "-- bob quit (1 here)");
}

#[test]
fn a_chat_that_is_killed_is_seen_to_be_gone() {
    let place = Place::served();
    let mut ann = chat(&place, "ann");
    let bob = chat(&place, "bob");
    bob.signal(Signal::SIGKILL);
    assert_eq!(ann.out.await_line("gone"), "-- bob is gone: its process ended (1 here)");
}

#[test]
fn input_without_an_end_of_line_and_nonsense_do_no_harm() {
    let place = Place::served();
    let ended = place.run(&["chat"], b"\n   \n\xff\xff\nlast words").with(0);
    assert!(ended.err.contains("not sent: the line is not UTF-8"), "{ended:?}");
    assert!(untimed(ended.out_lines()[0]).ends_with("<ann> last words"), "{ended:?}");
}
