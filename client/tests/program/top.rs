//! `halyard top` on living servers: the table, JSON Lines, and the view on a pseudo-terminal.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pty::Terminal;
use crate::util::Place;

#[test]
fn once_prints_the_rings_of_a_living_server() {
    let place = Place::served();
    let ann = place.client("ann");
    ann.join("lobby").unwrap();
    ann.say("hi").unwrap();
    // Standard output is a pipe, which is enough.
    let table = place.run(&["top", "--interval", "0.1"], "").with(0);
    let lines = table.out_lines();
    assert!(lines[0].starts_with("RING"), "{table:?}");
    assert_eq!(lines.len(), 4, "titles, two rings, the sum: {table:?}");
    let control = lines.iter().find(|line| line.starts_with("control")).unwrap();
    assert!(control.contains(&std::process::id().to_string()), "the owner: {control}");
    assert!(lines.iter().any(|line| line.starts_with("reply.")), "{table:?}");
    assert!(lines[3].starts_with("2 rings: "), "{table:?}");
    assert!(!table.out.contains('\u{1b}'), "{table:?}");
    // The rings are as they were.
    ann.say("still works").unwrap();

    let json = place.run(&["top", place.name.as_str(), "--json", "--interval", "0.1"], "").with(0);
    let lines: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let control = lines.iter().find(|line| line["role"] == "control").unwrap();
    assert_eq!((&control["name"], &control["state"]), (&"control".into(), &"alive".into()));
    assert!(control["published_per_s"].is_u64() && control["ready"]["value"].is_u64(), "{control}");
    let totals = lines.last().unwrap();
    assert_eq!(
        (&totals["type"], &totals["rings"], &totals["alive"]),
        (&"totals".into(), &2.into(), &true.into())
    );
}

#[test]
fn once_without_a_server_says_so() {
    let place = Place::empty();
    let ended = place.run(&["top", "--once"], "").with(69);
    assert!(ended.out.is_empty() && ended.err.contains("no server"), "{ended:?}");
    let ended = place.run(&["top", "--once", "--interval", "0"], "").with(2);
    assert!(ended.err.contains("0.05"), "{ended:?}");
}

#[test]
fn the_view_shows_rings_and_leaves_the_terminal_as_it_was() {
    let place = Place::served();
    let _ann = place.client("ann");
    let mut top = Terminal::start(&place, &["top", "--interval", "0.1"], &[]);
    top.await_text("control");
    top.await_text("reply.");
    assert!(top.screen.lock().unwrap().screen().alternate_screen());
    top.press("r");
    top.await_text("reply rings hidden");
    top.press("?");
    top.await_text("semaphore of the reader");
    top.press("x ");
    top.await_text("PAUSED");
    top.press("q");
    assert_eq!(top.end().code(), Some(0));

    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 0)] {
        let top = Terminal::start(&place, &["top"], &[("NO_COLOR", "1")]);
        top.await_text("control");
        kill(Pid::from_raw(top.child.id() as i32), signal).unwrap();
        assert_eq!(top.end().code(), Some(code), "{signal}");
    }
}

#[test]
fn another_size_is_drawn_at_once() {
    let place = Place::served();
    let _ann = place.client("ann");
    // Without the signal it would be drawn anew in an hour.
    let mut top = Terminal::start(&place, &["top", "--interval", "3600"], &[]);
    top.await_text("q quit");
    assert!(top.contents().contains("STATE") && !top.contents().contains("QUAR"), "{}", top.contents());
    top.resize(12, 140);
    top.await_text("VOIDS QUAR OWNER");
    assert!(top.contents().lines().last().unwrap().contains("q quit"), "{}", top.contents());
    top.resize(6, 40);
    top.await_until(|screen| screen.contains("q quit") && !screen.contains("QUAR"));
    assert_eq!(top.contents().lines().count(), 6, "{}", top.contents());
    top.press("q");
    assert_eq!(top.end().code(), Some(0));
}

#[test]
fn a_server_that_is_killed_and_comes_back_is_shown() {
    let place = Place::empty();
    let mut top = Terminal::start(&place, &["top", "--interval", "0.1"], &[]);
    top.await_text("no server, looking for it");
    let mut first = place.start(&["server"]);
    first.err.await_line("serving");
    top.await_text("alive");
    first.signal(Signal::SIGKILL);
    drop(first);
    top.await_text("gone for");
    top.await_text("dead");
    let mut second = place.start(&["server"]);
    second.err.await_line("serving");
    top.await_text("came back");
    top.press("\u{3}");
    assert_eq!(top.end().code(), Some(0));
    second.signal(Signal::SIGTERM);
    second.end().with(0);
}
