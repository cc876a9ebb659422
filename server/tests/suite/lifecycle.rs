//! Starting, stopping, being killed, and the program `halyard-server`.

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use halyard_ring::chat::{Kind, LeaveReason, OverflowPolicy, Record, ServerName, control_ring};
use halyard_ring::{PopError, Removal, Ring, RingName, RingOptions, list_names, remove_dead};
use halyard_server::{Config, Server, StartError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::children::Process;
use crate::support::{
    A_WHILE, Client, Hello, TestServer, config, eventually, fresh_reply_name, names_of, unique_name,
};

/// The program, running.
struct Program(Option<Child>);

impl Program {
    fn start(name: &ServerName, more: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_halyard-server"))
            .args(["--name", name.as_str(), "--log", "warn", "--pin", "no", "--hang", "2m"])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let program = Self(Some(child));
        eventually("server started", || Ring::<Record>::open(&control_ring(name)).is_ok());
        program
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.as_ref().unwrap().id() as i32), signal).unwrap();
    }

    fn end(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn stop_carries_out_what_was_accepted_and_says_goodbye_last() {
    let server = TestServer::start();
    let name = server.name().clone();
    let patient = |nick| Hello { policy: OverflowPolicy::Spill, ..Hello::new(&name, nick) }.connect();
    let (mut ann, mut bob) = (patient("ann"), patient("bob"));
    ann.join("lobby");
    bob.join("lobby");
    let mut last = 0;
    for n in 0..100 {
        last = ann.say(&format!("{n}"));
    }
    let dm = ann.send_to(Kind::Dm, "bob", "farewell");
    server.stop();
    ann.ok(last);
    ann.ok(dm);
    for n in 0..100 {
        assert_eq!(bob.hear(Kind::Message).text, format!("{n}"));
    }
    assert_eq!(bob.hear(Kind::Direct).text, "farewell");
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.next_of(Kind::Goodbye).code, LeaveReason::Shutdown.wire());
        assert_eq!(client.consumer.try_pop().err(), Some(PopError::Closed));
        assert!(client.control.try_push(Record::new(Kind::Ping)).is_err());
    }
    assert_eq!(names_of(&name), Vec::<String>::new());
}

#[test]
fn stop_does_not_wait_for_a_client_that_does_not_read() {
    let server = TestServer::start();
    let name = server.name().clone();
    let mut ann = Hello { capacity: 32, policy: OverflowPolicy::Spill, ..Hello::new(&name, "ann") }.connect();
    ann.join("lobby");
    for n in 0..200 {
        ann.say(&format!("{n}"));
    }
    server.stop();
    assert!(ann.ring.is_closed());
    assert_eq!(names_of(&name), Vec::<String>::new());
}

#[test]
fn dropping_a_server_stops_it() {
    let config = config();
    let name = config.name.clone();
    drop(Server::start(config).unwrap());
    assert_eq!(names_of(&name), Vec::<String>::new());
}

#[test]
fn a_second_server_of_the_name_is_refused_with_the_holders_pid() {
    let server = TestServer::start();
    let second = Server::start(Config { name: server.name().clone(), ..config() });
    match second {
        Err(StartError::Held { name, pid }) => {
            assert_eq!((&name, pid), (server.name(), Some(std::process::id())));
        }
        other => panic!("{other:?}"),
    }
    server.client("ann").quit();
}

#[test]
fn a_wrong_configuration_leaves_nothing() {
    let name = unique_name();
    let refused = Server::start(Config { name: name.clone(), broadcasters: 0, ..config() });
    assert!(matches!(refused, Err(StartError::Config(_))));
    let audit = Some("/nonexistent/audit".into());
    let refused = Server::start(Config { name: name.clone(), audit, ..config() });
    assert!(matches!(refused, Err(StartError::Audit { .. })));
    assert_eq!(names_of(&name), Vec::<String>::new());
}

#[test]
fn the_program_ends_well_on_each_signal_and_leaves_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let name = unique_name();
        let program = Program::start(&name, &[]);
        let mut ann = Client::connect(&name, "ann");
        ann.join("lobby");
        program.signal(signal);
        assert_eq!(ann.next_of(Kind::Goodbye).code, LeaveReason::Shutdown.wire());
        let output = program.end();
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr)),
            (Some(0), "".into()),
            "{signal}"
        );
        assert_eq!(names_of(&name), Vec::<String>::new());
    }
}

#[test]
fn the_program_says_who_holds_the_name() {
    let name = unique_name();
    let program = Program::start(&name, &[]);
    let second =
        Command::new(env!("CARGO_BIN_EXE_halyard-server")).args(["--name", name.as_str()]).output().unwrap();
    assert_eq!(second.status.code(), Some(75));
    let says = String::from_utf8(second.stderr).unwrap();
    assert!(says.contains(&program.0.as_ref().unwrap().id().to_string()), "{says}");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.end().status.code(), Some(0));
}

#[test]
fn the_program_refuses_what_it_cannot_use() {
    for args in [
        &["--broadcasters", "0"][..],
        &["--capacity", "100"],
        &["--name", "a.b"],
        &["--wait", "sleep"],
        &["--pin", "99999"],
        &["--hang", "1"],
        &["--log", "x=y=z"],
        &["--frobnicate"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_halyard-server")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_halyard-server")).arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for option in
        ["--name", "--broadcasters", "--pin", "--clients", "--rooms", "--audit", "--wait", "Exit codes"]
    {
        assert!(text.contains(option), "{option}");
    }
}

#[test]
fn the_leftovers_of_a_killed_server_are_taken_over() {
    let name = unique_name();
    let program = Program::start(&name, &[]);
    let mut ann = Client::connect(&name, "ann");
    ann.join("lobby");
    let dead = Process::start(&name, "dead", "member");
    program.signal(Signal::SIGKILL);
    program.end();
    dead.signal(Signal::SIGKILL);
    assert!(!dead.join());
    assert!(names_of(&name).len() >= 3, "control ring and two reply rings are left");
    let server = TestServer::with(Config { name: name.clone(), ..config() });
    let mut living: Vec<String> =
        vec![format!("{name}.control"), ann.ring.name().unwrap().as_str().to_owned()];
    living.sort();
    assert_eq!(names_of(&name), living, "the dead client's ring is gone, the living one's is not");
    // The same process connects again, under the same nick.
    let mut ann = server.client("ann");
    assert_eq!(ann.join("lobby").count, 1);
}

#[test]
fn what_a_client_leaves_that_dies_before_its_hello_goes_with_the_server() {
    let name = unique_name();
    let program = Program::start(&name, &[]);
    let dead = Process::start(&name, "dead", "stillborn");
    let living = Process::start(&name, "living", "stillborn");
    dead.signal(Signal::SIGKILL);
    assert!(!dead.join());
    program.signal(Signal::SIGTERM);
    assert!(program.end().status.success());
    assert_eq!(names_of(&name), [format!("{name}.reply.living")], "only what the living one has made");
    drop(living);
    for ring in
        list_names().unwrap().iter().filter(|ring| names_of(&name).contains(&ring.as_str().to_owned()))
    {
        assert_eq!(remove_dead(ring).unwrap(), Removal::Removed);
    }
}

#[test]
fn a_server_killed_while_it_was_starting_is_taken_over() {
    let name = unique_name();
    // What is left of a segment whose creator died before it was ready: an empty file.
    let file = format!("/dev/shm/halyard.{name}.control");
    fs::write(&file, b"").unwrap();
    let server = TestServer::with(Config { name, ..config() });
    server.client("ann").quit();
}

#[test]
fn rings_of_the_living_and_of_others_survive_a_takeover() {
    let name = unique_name();
    let reply = Ring::<u64>::create(&fresh_reply_name(&name), &RingOptions::spsc(2)).unwrap();
    let other = RingName::new(&format!("{name}x.reply.1")).unwrap();
    let other = Ring::<u64>::create(&other, &RingOptions::spsc(2)).unwrap();
    let server = TestServer::with(Config { name: name.clone(), ..config() });
    assert_eq!(names_of(&name).len(), 2);
    assert_eq!(names_of(&ServerName::new(&format!("{name}x")).unwrap()).len(), 1);
    reply.unlink().unwrap();
    other.unlink().unwrap();
    drop(server);
}

#[test]
fn many_servers_at_once_make_one() {
    let name = unique_name();
    let started: Vec<_> = thread::scope(|scope| {
        let start = || Server::start(Config { name: name.clone(), ..config() });
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(started.iter().filter(|server| server.is_ok()).count(), 1);
    assert!(
        started.iter().flat_map(|server| server.as_ref().err()).all(|e| matches!(e, StartError::Held { .. }))
    );
    drop(started);
    assert_eq!(names_of(&name), Vec::<String>::new());
}

#[test]
fn the_audit_file_tells_who_came_and_went() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let server = TestServer::with(Config { audit: Some(file.path().to_owned()), ..config() });
    let name = server.name().clone();
    let mut ann = server.client("ann");
    ann.join("lobby");
    assert!(Hello::new(&name, "ann").try_connect().is_err());
    let child = Process::start(&name, "victim", "member");
    let victim = child.pid();
    ann.next_of(Kind::Joined);
    child.signal(Signal::SIGKILL);
    ann.next_of(Kind::Left);
    let nick = ann.send(Kind::Nick, "anna");
    ann.ok(nick);
    let leave = ann.send(Kind::Leave, "");
    ann.ok(leave);
    let mut slow = Hello { capacity: 32, ..Hello::new(&name, "slow") }.connect();
    slow.join("den");
    for _ in 0..100 {
        slow.say("to myself");
    }
    eventually("losses", || server.stats().dropped > 0);
    ann.quit();
    server.stop();

    let text = fs::read_to_string(file.path()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["v"] == 1 && line["time"].as_str().unwrap().ends_with('Z')));
    let find = |event: &str, nick: &str| {
        let is_it = |line: &&Value| line["event"] == event && line["nick"] == nick;
        lines.iter().find(is_it).unwrap_or_else(|| panic!("no {event} of {nick} in\n{text}"))
    };
    assert_eq!(lines.first().unwrap()["event"], "start");
    assert_eq!(lines.last().unwrap()["event"], "shutdown");
    assert_eq!(find("connect", "ann")["pid"], std::process::id());
    assert!(find("refuse", "ann")["reason"].as_str().unwrap().contains("nick"));
    assert_eq!(find("join", "ann")["room"], "lobby");
    assert_eq!(find("connect", "victim")["pid"], victim);
    assert_eq!(find("death", "victim")["reason"], "died");
    assert_eq!(find("leave", "victim")["reason"], "died");
    assert_eq!(find("rename", "anna")["old_nick"], "ann");
    assert_eq!(find("leave", "anna")["reason"], "left");
    assert_eq!(find("quit", "anna")["client"], find("connect", "ann")["client"]);
    assert!(find("overflow", "slow")["lost"].as_u64().unwrap() > 0);
}

#[test]
fn an_idle_server_sleeps() {
    let name = unique_name();
    let program = Program::start(&name, &[]);
    let mut ann = Client::connect(&name, "ann");
    ann.join("lobby");
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", program.0.as_ref().unwrap().id())).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split_ascii_whitespace().collect();
        fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap()
    };
    // The first moments after some work are spent yielding.
    thread::sleep(Duration::from_millis(200));
    let before = ticks();
    thread::sleep(Duration::from_secs(1));
    // A busy thread has 100 ticks in a second; this leaves room for one that is only slow to fall asleep.
    assert!(ticks() - before < 50, "{} ticks in a second", ticks() - before);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.end().status.code(), Some(0));
}

#[test]
fn texts_wait_until_the_clients_of_a_dead_server_are_back() {
    let name = unique_name();
    // What a client keeps that lost its server and is not back yet.
    let former = Ring::<Record>::create(&fresh_reply_name(&name), &RingOptions::spsc(32)).unwrap();
    let config = Config { name, rejoin: Duration::from_secs(600), ..config() };
    let server = TestServer::with(config);
    let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    let said = ann.say("sent again");
    // What comes behind it waits, too; others' questions do not.
    let who = ann.send(Kind::Who, "");
    bob.sync();
    while let Some(record) = ann.read(A_WHILE) {
        assert!(record.command != said && record.command != who, "answered while others are missing");
    }
    bob.join("lobby");
    former.unlink().unwrap();
    assert_eq!(ann.ok(said).room_seq, 1);
    assert_eq!(ann.ok(who).count, 2, "bob was quick enough");
    assert_eq!(bob.hear(Kind::Message).text, "sent again");
    let said = bob.say("now nothing waits");
    bob.ok(said);
}

#[test]
fn a_client_of_a_dead_server_that_does_not_come_back_is_not_waited_for_long() {
    let name = unique_name();
    let former = Ring::<Record>::create(&fresh_reply_name(&name), &RingOptions::spsc(32)).unwrap();
    let config = Config { name, rejoin: Duration::from_millis(50), ..config() };
    let server = TestServer::with(config);
    let mut ann = server.client("ann");
    ann.join("lobby");
    let said = ann.say("is anybody missing?");
    ann.ok(said);
    former.unlink().unwrap();
}

#[test]
fn a_server_that_is_stopped_while_texts_wait_says_them_first() {
    let name = unique_name();
    let former = Ring::<Record>::create(&fresh_reply_name(&name), &RingOptions::spsc(32)).unwrap();
    let server = TestServer::with(Config { name, rejoin: Duration::from_secs(600), ..config() });
    let mut ann = server.client("ann");
    ann.join("lobby");
    let said = ann.say("last words");
    server.stop();
    ann.ok(said);
    former.unlink().unwrap();
}
