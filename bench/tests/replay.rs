//! The replay: it holds on the logs in the repository, it can fail, and it leaves nothing behind.

mod common;

use std::process::Stdio;

use common::{Guard, bench, json, names_of, run, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LOGS: [&str; 3] = ["data/harbour.log", "data/market.log", "data/night.log"];

fn replay(more: &[&str]) -> Vec<String> {
    let words = ["replay"].iter().chain(&LOGS).chain(more);
    words.map(ToString::to_string).collect()
}

fn words(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

#[test]
fn every_delivery_is_as_the_logs_say_with_any_number_of_processes() {
    for processes in ["1", "2", "5"] {
        let (output, left) = run(&words(&replay(&["--processes", processes, "--json"])));
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
        let json = json(&output);
        assert_eq!(json["holds"], true);
        assert_eq!(
            (&json["messages"], &json["deliveries"], &json["notices"]),
            (&36.into(), &161.into(), &104.into())
        );
        assert_eq!(json["clients"], 15);
        assert_eq!(json["figures"][0]["rounds"][0]["count"], 161);
        let formats: Vec<_> = json["files"].as_array().unwrap().iter().map(|file| &file["format"]).collect();
        assert_eq!(formats, ["ubuntu", "irssi", "weechat"]);
        assert_eq!(left, Vec::<String>::new());
    }
}

#[test]
fn small_rings_and_the_logs_own_pace_change_nothing() {
    let (output, _) = run(&words(&replay(&["--capacity", "64", "--speed", "1e6", "--wait", "block"])));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("161 deliveries"), "{}", text(&output.stdout));
}

#[test]
fn a_lost_doubled_late_or_changed_message_is_found() {
    for (spoil, kind) in [("loss", "missing"), ("dup", "doubled"), ("reorder", "late"), ("change", "changed")]
    {
        let (output, left) = run(&words(&replay(&["--spoil", spoil, "--json"])));
        assert_eq!(output.status.code(), Some(1), "{spoil}: {output:?}");
        let json = json(&output);
        assert_eq!((&json["holds"], &json["different"]), (&false.into(), &1.into()), "{spoil}");
        let difference = &json["differences"][0];
        assert_eq!(difference["kind"], kind);
        assert!(difference["file"].as_str().is_some_and(|file| LOGS.contains(&file)), "{difference}");
        assert!(difference["line"].as_u64().is_some_and(|line| line > 0), "{difference}");
        assert_eq!(left, Vec::<String>::new());

        let (output, _) = run(&words(&replay(&["--spoil", spoil])));
        assert!(text(&output.stdout).contains(&format!(": {kind} for ")), "{}", text(&output.stdout));
        assert!(!text(&output.stdout).contains("holds"));
    }
}

#[test]
fn a_file_that_is_no_log_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "[08:00] <ann> a\n\nnot a line of chat\n").unwrap();
    let file = path.to_str().unwrap();
    let (output, _) = run(&["replay", LOGS[0], file]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("{file}:3:")) && said.contains("not a line of chat"), "{said}");
    let (output, _) = run(&["replay", "data/no-such-file.log"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no-such-file.log"));
}

#[test]
fn an_empty_file_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.log");
    std::fs::write(&path, "").unwrap();
    let file = path.to_str().unwrap();
    let (output, _) = run(&["replay", file, "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!((&json(&output)["messages"], &json(&output)["holds"]), (&0.into(), &true.into()));
    let (output, _) = run(&["replay", file, LOGS[2]]);
    assert!(output.status.success(), "{output:?}");
}

/// Starts a replay that takes hours, and waits until its clients are there.
fn long_replay() -> (Guard, u32) {
    let args = replay(&["--speed", "0.5"]);
    let child = bench(&words(&args)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    let guard = Guard(child);
    until("all clients have a reply ring", || {
        names_of(pid).iter().filter(|name| name.starts_with("halyard.") && name.contains(".reply.")).count()
            == 15
    });
    (guard, pid)
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    let (mut guard, pid) = long_replay();
    kill(Pid::from_raw(pid as i32), Signal::SIGINT).unwrap();
    let mut status = None;
    until("the replay has ended", || {
        status = guard.0.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    assert_eq!(names_of(pid), Vec::<String>::new());
}

#[test]
fn a_killed_replay_takes_its_server_and_its_names_with_it() {
    let (mut guard, pid) = long_replay();
    guard.0.kill().unwrap();
    guard.0.wait().unwrap();
    until("all names are gone", || names_of(pid).is_empty());
}
