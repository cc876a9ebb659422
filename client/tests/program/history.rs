//! What was said before, in every client.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pty::Terminal;
use crate::util::{Place, untimed};

#[test]
fn every_client_shows_what_was_said_before_and_marks_it() {
    let place = Place::served();
    let ann = place.client("zoe");
    ann.join("lobby").unwrap();
    for text in ["one", "two", "three"] {
        ann.say(text).unwrap();
    }
    let earlier = |line: &str| untimed(line.strip_prefix("earlier ").unwrap()).to_owned();
    let mut tail = place.start(&["tail", "-r", "lobby", "-n", "2", "--count", "1"]);
    assert_eq!(earlier(&tail.out.await_line("two")), "<zoe> two");
    assert_eq!(earlier(&tail.out.await_line("three")), "<zoe> three");
    ann.say("now").unwrap();
    assert_eq!(untimed(tail.end().with(0).out_lines().last().unwrap()), "<zoe> now");
    let json = place.start(&["tail", "-r", "lobby", "-n", "1", "--count", "0", "--json"]).end().with(0);
    let line: serde_json::Value = serde_json::from_str(json.out_lines()[0]).unwrap();
    assert_eq!((&line["type"], &line["text"], &line["seq"]), (&"earlier".into(), &"now".into(), &4.into()));
    let script = place.run(&["run"], "JOIN lobby\nHISTORY 2\n").with(0);
    assert_eq!(script.out_lines().into_iter().map(earlier).collect::<Vec<_>>(), ["<zoe> three", "<zoe> now"]);
    let chat = place.run(&["chat", "--nick", "bob"], "/history 1\n").with(0);
    assert!(chat.out_lines().iter().any(|line| line.contains("<zoe> now")), "{chat:?}");
}

#[test]
fn a_chat_that_comes_back_later_than_others_shows_what_they_said_meanwhile_once() {
    let place = Place::empty();
    let mut first = place.start(&["server"]);
    first.err.await_line("serving");
    let mut line = place.start(&["chat", "--nick", "bob"]);
    line.err.await_line("you are bob in lobby");
    let app = Terminal::start(&place, &["chat", "--nick", "cas"], &[]);
    app.await_text("you are cas in lobby (2 here)");
    let zoe = place.client("zoe");
    zoe.join("lobby").unwrap();
    zoe.say("before it went").unwrap();
    line.out.await_line("before it went");
    app.await_text("before it went");
    // Stopped, they come back when the talk goes on already.
    line.signal(Signal::SIGSTOP);
    let app_process = Pid::from_raw(app.child.id() as i32);
    kill(app_process, Signal::SIGSTOP).unwrap();
    first.signal(Signal::SIGKILL);
    drop(first);
    // It does not wait for those who are stopped.
    let mut second = place.start(&["server", "--rejoin", "1ms"]);
    second.err.await_line("serving");
    zoe.say("said meanwhile").unwrap();
    line.signal(Signal::SIGCONT);
    kill(app_process, Signal::SIGCONT).unwrap();
    let missed = line.out.await_line("said meanwhile");
    assert_eq!(untimed(missed.strip_prefix("earlier ").unwrap()), "<zoe> said meanwhile");
    app.await_text("said meanwhile");
    zoe.say("and goes on").unwrap();
    line.out.await_line("and goes on");
    app.await_text("and goes on");
    for text in ["before it went", "said meanwhile", "and goes on"] {
        assert_eq!(app.contents().matches(text).count(), 1, "{text}:\n{}", app.contents());
    }
    line.close();
    let ended = line.end().with(0);
    for text in ["before it went", "said meanwhile", "and goes on"] {
        assert_eq!(ended.out.matches(text).count(), 1, "{text}: {ended:?}");
    }
    drop(app);
    zoe.quit().unwrap();
    second.signal(Signal::SIGTERM);
    second.end().with(0);
}
