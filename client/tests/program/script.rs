//! `halyard run`.

use serde_json::Value;

use crate::util::{Place, untimed};

#[test]
fn the_six_verbs() {
    let place = Place::served();
    let bob = place.client("bob");
    bob.join("lobby").unwrap();
    let script = "\
# a comment
JOIN lobby
SAY hello
DM bob hi there

WHO
LEAVE
QUIT
SAY never
";
    let ended = place.run(&["run"], script).with(0);
    let lines = ended.out_lines();
    assert_eq!(untimed(lines[0]), "<ann> hello");
    assert_eq!(lines[1..], ["-- 2 in lobby: bob, ann"]);
    assert!(ended.err.is_empty(), "{ended:?}");
    let heard: Vec<String> = std::iter::from_fn(|| bob.try_recv().unwrap())
        .map(|event| match event {
            halyard_client::Event::Message(message) => message.text,
            halyard_client::Event::Direct(direct) => format!("dm {}", direct.text),
            halyard_client::Event::Joined(who) => format!("{} joined", who.nick),
            halyard_client::Event::Left(who, _) => format!("{} left", who.nick),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(heard, ["ann joined", "hello", "dm hi there", "ann left"]);
}

#[test]
fn the_other_verbs() {
    let place = Place::served();
    let script = "JOIN lobby\nME waves\nNICK zoe\nSAY x\nLIST\nSLEEP 1\nPING\n";
    let ended = place.run(&["run"], script).with(0);
    let lines = ended.out_lines();
    assert_eq!((untimed(lines[0]), untimed(lines[1])), ("* ann waves", "<zoe> x"));
    assert_eq!(lines[2], "-- 1 room: lobby (1)");
    assert!(lines[3].starts_with("-- the server answered within"), "{ended:?}");
}

#[test]
fn refused_commands_name_their_line_and_the_script_goes_on() {
    let place = Place::served();
    let ended = place.run(&["run"], "SAY too early\nJOIN lobby\nDM nobody hi\nSAY in time\n").with(1);
    let errors: Vec<_> = ended.err.lines().collect();
    assert!(
        errors[0].starts_with("-- line 1: SAY: ") && errors[1].starts_with("-- line 3: DM: "),
        "{ended:?}"
    );
    assert_eq!(untimed(ended.out.trim_end()), "<ann> in time");
}

#[test]
fn a_line_that_is_no_command_ends_it_and_is_named() {
    let place = Place::served();
    let ended = place.run(&["run"], "JOIN lobby\nSAY one\nSHOUT two\nSAY three\n").with(2);
    assert!(ended.err.contains("halyard: line 3: no verb \"SHOUT\""), "{ended:?}");
    assert_eq!(untimed(ended.out.trim_end()), "<ann> one");
    let ended = place.run(&["run"], b"JOIN \xff\n").with(2);
    assert!(ended.err.contains("line 1: the line is not UTF-8"), "{ended:?}");
}

#[test]
fn another_program_can_drive_it() {
    let place = Place::served();
    let parse = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    let mut ann = place.start(&["run", "--json"]);
    let mut bob = place.start(&["run", "--json", "--nick", "bob"]);
    for run in [&mut ann, &mut bob] {
        run.type_line("JOIN lobby");
        let ack = parse(run.out.await_line("\"ack\""));
        assert_eq!((&ack["line"], &ack["verb"]), (&1.into(), &"JOIN".into()));
    }
    ann.type_line("SAY hi");
    ann.out.await_line("\"verb\":\"SAY\"");
    // What it hears, it tells with the next answer, or while it sleeps.
    bob.type_line("SLEEP 200");
    assert_eq!(parse(bob.out.await_line("message"))["text"], "hi");
    bob.type_line("DM ann got it");
    bob.out.await_line("\"verb\":\"DM\"");
    bob.type_line("DM nobody x");
    let error = parse(bob.out.await_line("error"));
    assert_eq!((&error["line"], &error["verb"]), (&4.into(), &"DM".into()));
    ann.type_line("PING");
    assert_eq!(parse(ann.out.await_line("direct"))["text"], "got it");
    ann.close();
    ann.end().with(0);
    bob.close();
    bob.end().with(1);
}
