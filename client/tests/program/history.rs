//! What was said before, in every client.

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
