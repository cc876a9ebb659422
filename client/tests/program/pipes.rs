//! `say`, `dm`, `tail`, `who` and `rooms` in pipes.

use std::process::Stdio;

use serde_json::Value;

use crate::util::{Place, Running, untimed};

fn tail(place: &Place, args: &[&str]) -> Running {
    let mut tail = place.start(&[&["tail", "-r", "lobby"], args].concat());
    tail.err.await_line("follows lobby");
    tail
}

#[test]
fn every_line_is_a_message() {
    let place = Place::served();
    let tail = tail(&place, &["-c", "3"]);
    place.run(&["say", "-r", "lobby"], "one\n\ntwo\r\nthree").with(0);
    let ended = tail.end().with(0);
    let lines: Vec<_> = ended.out_lines().into_iter().map(untimed).collect();
    assert_eq!(lines, ["<ann> one", "<ann> two", "<ann> three"]);
}

#[test]
fn words_are_one_message() {
    let place = Place::served();
    let tail = tail(&place, &["-c", "1"]);
    place.run(&["say", "-r", "lobby", "--nick", "zoë", "hello", "there"], "").with(0);
    assert_eq!(untimed(tail.end().with(0).out.trim_end()), "<zoë> hello there");
}

#[test]
fn thousands_of_lines_come_whole_and_in_order() {
    const LINES: usize = 3000;
    let place = Place::served();
    let tail = tail(&place, &["--json", "-c", &LINES.to_string()]);
    let text = |n: usize| format!("line {n} {}", "x".repeat(n % 700));
    let input: String = (0..LINES).map(|n| text(n) + "\n").collect();
    place.run(&["say", "-r", "lobby"], input).with(0);
    let ended = tail.end().with(0);
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), LINES);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!((line["seq"].as_u64(), line["text"].as_str()), (Some(n as u64 + 1), Some(&*text(n))));
    }
}

#[test]
fn json_is_exact_and_text_is_safe() {
    let place = Place::served();
    let text = "\u{1b}[31mred\u{7} \"quoted\" \u{202e}back";
    let (json, plain) = (tail(&place, &["--json", "-c", "1"]), tail(&place, &["-c", "1"]));
    place.run(&["say", "-r", "lobby"], text).with(0);
    let line: Value = serde_json::from_str(json.end().with(0).out.trim_end()).unwrap();
    assert_eq!(line["text"], text);
    assert_eq!((&line["v"], &line["type"], &line["room"]), (&1.into(), &"message".into(), &"lobby".into()));
    let times = ["sent_ns", "routed_ns", "delivered_ns", "recv_ns"].map(|key| line[key].as_u64().unwrap());
    assert!(times.is_sorted() && times[0] > 0, "{line}");
    let shown = plain.end().with(0).out;
    assert_eq!(untimed(shown.trim_end()), "<ann> ␛[31mred␇ \"quoted\" <U+202E>back");
}

#[test]
fn lines_that_cannot_be_sent_are_named_and_the_others_are_sent() {
    let place = Place::served();
    let tail = tail(&place, &["-c", "3"]);
    let mut input = b"first\n\xff\xfe\n".to_vec();
    input.extend(format!("{}\n{}\nlast\n", "x".repeat(4097), "y".repeat(4096)).into_bytes());
    let ended = place.run(&["say", "-r", "lobby"], input).with(1);
    assert!(ended.err.contains("line 2 not sent: the line is not UTF-8"), "{ended:?}");
    assert!(ended.err.contains("line 3 not sent: the text has 4097 bytes; at most 4096"), "{ended:?}");
    let out = tail.end().with(0).out;
    let lines: Vec<_> = out.lines().map(untimed).collect();
    assert_eq!(lines, ["<ann> first", &format!("<ann> {}", "y".repeat(4096)), "<ann> last"]);
}

#[test]
fn presence_is_shown_on_demand() {
    let place = Place::served();
    let mut tail = tail(&place, &["--all"]);
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    assert_eq!(tail.out.await_line("bob"), "-- bob joined lobby (2 here)");
    bob.rename("rob").unwrap();
    assert_eq!(tail.out.await_line("rob"), "-- bob is now rob");
    bob.leave().unwrap();
    assert_eq!(tail.out.await_line("rob"), "-- rob left lobby (1 here)");
    let mut json = place.start(&["tail", "-r", "lobby", "--all", "--json", "-N", "jay"]);
    json.err.await_line("follows lobby");
    bob.join("lobby").unwrap();
    bob.quit().unwrap();
    let joined: Value = serde_json::from_str(&json.out.await_line("joined")).unwrap();
    assert_eq!((&joined["nick"], &joined["members"]), (&"rob".into(), &3.into()));
    let left: Value = serde_json::from_str(&json.out.await_line("left")).unwrap();
    assert_eq!((&left["nick"], &left["reason"]), (&"rob".into(), &"quit".into()));
}

#[test]
fn who_looks_without_entering() {
    let place = Place::served();
    let mut tail = tail(&place, &["--all", "-N", "tess"]);
    let bob = place.client("bob");
    bob.join("dev").unwrap();
    assert_eq!(place.run(&["who", "-r", "lobby"], "").with(0).out, "tess\n");
    let all = place.run(&["who"], "").with(0).out;
    assert_eq!(all, "dev\tbob\nlobby\ttess\n");
    assert_eq!(place.run(&["rooms"], "").with(0).out, "dev\t1\nlobby\t1\n");
    let json = place.run(&["who", "-r", "dev", "--json"], "").with(0).out;
    let member: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&member["type"], &member["room"], &member["nick"]),
        (&"member".into(), &"dev".into(), &"bob".into())
    );
    let json = place.run(&["rooms", "--json"], "").with(0).out;
    let rooms: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rooms[1]["room"], &rooms[1]["members"]), (&"lobby".into(), &1.into()));
    // Nobody saw the lookers come or go: the next thing to be heard is bob.
    bob.join("lobby").unwrap();
    assert_eq!(tail.out.await_line(""), "-- bob joined lobby (2 here)");
}

#[test]
fn a_room_with_more_members_than_the_ring_has_slots_is_listed_whole() {
    let place = Place::served();
    let crowd: Vec<_> = (0..300)
        .map(|n| {
            let options = halyard_client::ClientOptions::new(place.name.clone(), format!("m{n:03}"));
            let (mut sender, receiver) =
                halyard_client::session::connect(&options.ring_capacity(32)).unwrap();
            sender.join("lobby").unwrap();
            (sender, receiver)
        })
        .collect();
    let names = place.run(&["who", "-r", "lobby"], "").with(0).out;
    let expected: String = (0..300).map(|n| format!("m{n:03}\n")).collect();
    assert_eq!(names, expected);
    drop(crowd);
}

#[test]
fn a_direct_message_reaches_one_person() {
    let place = Place::served();
    let bob = place.client("bob");
    place.run(&["dm", "bob", "psst"], "").with(0);
    let heard = bob.events().find_map(|event| match event {
        halyard_client::Event::Direct(direct) => Some((direct.nick, direct.text)),
        _ => None,
    });
    assert_eq!(heard, Some(("ann".to_owned(), "psst".to_owned())));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let place = Place::served();
    // While something is written.
    let mut tail = place.command(["tail", "-r", "lobby"]);
    let mut tail = tail.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(tail.stdout.take());
    let status = tail.wait().unwrap();
    assert_eq!(status.code(), Some(0), "also while the room is quiet");
    let output = tail.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err.lines().count(), 1, "only the note at the start: {err}");

    // When a command has all of its output at once.
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    for args in [&["rooms"][..], &["who"], &["--help"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    }
}
