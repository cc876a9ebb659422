//! `halyard demo`: it ends by itself with everything delivered, and leaves nothing, however it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::ProcessId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Waiting for something that takes moments, unless this machine is overloaded.
const PATIENCE: Duration = Duration::from_secs(20);

/// What bears a demo's name in /dev/shm.
fn left_by(demo: u32) -> Vec<String> {
    let names = fs::read_dir("/dev/shm")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(&format!("halyard.demo-{demo}."))).collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !holds() {
        assert!(asked.elapsed() < PATIENCE, "still not so: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A demo that is being watched.
struct Demo {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The server's process and the players'.
    parts: Vec<ProcessId>,
}

impl Demo {
    /// Starts a demo and reads until the conversation has begun.
    fn begun() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
        let mut child = command.arg("demo").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("SAY") {
            assert_ne!(output.read_line(&mut text).unwrap(), 0, "it ended early: {text}");
        }
        // "demo-1 is process 2", "its clients: ann 3, bob 4, …"
        let lines: Vec<&str> = text.lines().skip(1).take(2).collect();
        let cast = lines.join(" ");
        let cast = cast.split_once("is process ").unwrap().1;
        let pids = cast.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok());
        let parts: Vec<ProcessId> = pids.map(|pid| ProcessId::of(pid).unwrap()).collect();
        assert_eq!(parts.len(), 6, "{text}");
        Self { child, output, parts }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Exit code and standard error, once it has ended; nothing of it may be there then.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        let _ = self.output.read_to_string(&mut text);
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        let status = self.child.wait().unwrap();
        let demo = self.child.id();
        wait_until("all its processes have ended", || !self.parts.iter().any(|part| part.is_alive()));
        wait_until("its names are gone", || left_by(demo).is_empty());
        (status.code(), errors)
    }
}

#[test]
fn the_demo_shows_all_six_commands_and_leaves_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
    let child = command.arg("demo").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let demo = child.id();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (text, errors) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!((status.code(), &*errors), (Some(0), ""), "{text}");
    assert_eq!(left_by(demo), Vec::<String>::new());
    for part in [
        "JOIN",
        "SAY",
        "DM dan",
        "WHO",
        "LEAVE",
        "QUIT",
        "lobby",
        "engine",
        "ann, bob, cleo",
        "p99.9",
        "exactly once",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'), "no terminal, no colours");
    // 2,000 lines of the burst to two or three receivers, and those of the talk: 3+3+2+2+3.
    assert!(text.contains("5,213 deliveries of 2,005 lines"), "{text}");
    let bars: u64 = text
        .lines()
        .filter(|line| line.contains(" – ") && line.contains(" % "))
        .map(|line| line.rsplit(' ').next().unwrap().replace(',', "").parse::<u64>().unwrap())
        .sum();
    assert_eq!(bars, 5_213, "every delivery is in a bar");
}

#[test]
fn ctrl_c_ends_all_of_it() {
    let demo = Demo::begun();
    demo.signal(Signal::SIGINT);
    assert_eq!(demo.ended().0, Some(130));
}

#[test]
fn nothing_outlives_a_killed_demo() {
    let demo = Demo::begun();
    demo.signal(Signal::SIGKILL);
    assert_eq!(demo.ended().0, None);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let Demo { mut child, output, parts } = Demo::begun();
    drop(output);
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), &*errors), (Some(0), ""));
    assert!(!parts.iter().any(|part| part.is_alive()) && left_by(child.id()).is_empty());
}

#[test]
fn a_player_that_dies_is_a_failure_and_is_named() {
    let demo = Demo::begun();
    let bob = demo.parts[2];
    kill(Pid::from_raw(bob.pid() as i32), Signal::SIGKILL).unwrap();
    let (code, errors) = demo.ended();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("bob"), "{errors}");
}
