//! `halyard ls`, `inspect` and `clean`, on rings of the living, of the killed, and on what is no ring at all.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use halyard_client::{Client, ClientOptions, ServerName};
use halyard_ring::chat::control_ring;
use halyard_ring::{ProcessId, Ring, RingName, RingOptions};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

/// A name that no other test and no other process uses. What bears it is removed when the test ends, however it does.
struct Name(String);

impl Name {
    fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self(format!("tools-{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    fn ring(&self, suffix: &str) -> RingName {
        RingName::new(&format!("{}{suffix}", self.0)).unwrap()
    }

    fn server(&self) -> ServerName {
        ServerName::new(&self.0).unwrap()
    }

    fn left(&self) -> Vec<PathBuf> {
        let ours = [format!("halyard.{}", self.0), format!("sem.halyard.{}", self.0)];
        let files = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap());
        files
            .filter(|file| ours.iter().any(|ours| file.file_name().to_string_lossy().starts_with(ours)))
            .map(|file| file.path())
            .collect()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        for path in self.left() {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        }
    }
}

fn halyard(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_halyard")).args(args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The lines of `ls --json` that are about this name.
fn listed(name: &Name) -> Vec<Value> {
    let output = halyard(&["ls", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let lines = stdout(&output).lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["name"].as_str().unwrap().starts_with(&name.0)).collect()
}

/// What `inspect --json` says.
fn inspected(args: &[&str]) -> Value {
    let output = halyard(&[&["inspect", "--json"], args].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(stdout(&output)).unwrap()
}

/// Another process: a server, or this test program in another role. Killed when the test ends.
struct Process(Child);

impl Process {
    /// A server of this name.
    fn server(name: &Name) -> Self {
        let program = env!("CARGO_BIN_EXE_halyard");
        let mut command = Command::new(program);
        let process = command.args(["part-of-demo", &name.0]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(process.spawn().unwrap()).once_it_says("ready")
    }

    /// A process that creates a ring of this name with one published record and one claim, and then waits.
    fn maker(name: &RingName) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let process = command
            .args(["--exact", "role_of_the_maker", "--nocapture"])
            .env("HALYARD_TEST_RING", name.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self(process.spawn().unwrap()).once_it_says("made it")
    }

    fn once_it_says(mut self, what: &str) -> Self {
        let mut lines = BufReader::new(self.0.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(what)), "the process ended before it said {what:?}");
        self
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    fn killed(mut self) -> u32 {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        self.pid()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No test of its own: `Process::maker` runs it in another process.
#[test]
fn role_of_the_maker() {
    let Ok(name) = std::env::var("HALYARD_TEST_RING") else { return };
    let ring = Ring::<u64>::create(&RingName::new(&name).unwrap(), &RingOptions::mpsc(16)).unwrap();
    let (mut quick, mut slow) = (ring.producer().unwrap(), ring.producer().unwrap());
    quick.push(7).unwrap();
    let claim = slow.try_claim().unwrap();
    println!("made it");
    // Until it is killed, or the test is.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    claim.abandon();
}

#[test]
fn a_server_is_shown_while_it_lives_and_after_it_was_killed() {
    let name = Name::new("server");
    let server = Process::server(&name);
    let pid = server.pid();
    // It keeps its ring for as long as it looks for another server.
    let client = Client::connect(&ClientOptions::new(name.server(), "ann")).unwrap();
    client.join("lobby").unwrap();

    let lines = listed(&name);
    assert_eq!(lines.len(), 3, "the server, its control ring, one reply ring: {lines:#?}");
    let (shown, control, reply) = (&lines[0], &lines[1], &lines[2]);
    assert_eq!((&shown["type"], &shown["state"]), (&"server".into(), &"alive".into()));
    assert_eq!((&shown["pid"], &shown["reply_rings"]), (&pid.into(), &1.into()));
    assert!(shown["command"].as_str().unwrap().starts_with("halyard") && shown["uptime_ns"].is_u64());
    assert_eq!(
        (&control["role"], &control["kind"], &control["record_size"]),
        (&"control".into(), &"mpsc".into(), &248.into())
    );
    assert_eq!((&reply["role"], &reply["kind"]), (&"reply".into(), &"spsc".into()));
    assert_eq!(reply["owner"]["pid"], std::process::id());
    assert!(control["heartbeat_age_ns"].is_u64() && reply["heartbeat_age_ns"].is_u64(), "{lines:#?}");

    let text = halyard(&["ls"]);
    let text = stdout(&text);
    assert!(text.contains(&format!("server {} · alive · pid {pid} halyard", name.0)), "{text}");

    let seen = inspected(&[&name.0]);
    assert_eq!(seen["consumer"]["pid"], pid, "the server reads its control ring");
    assert_eq!(seen["producers"][0]["pid"], std::process::id(), "this process writes to it");
    // HELLO and JOIN.
    assert!(seen["counters"]["published"].as_u64().unwrap() >= 2);
    assert_eq!(seen["counters"]["published"], seen["counters"]["consumed"]);
    let id = reply["name"].as_str().unwrap().strip_prefix(&format!("{}.", name.0)).unwrap().to_owned();
    for way in [
        vec![&*name.0, &*id],
        vec![reply["name"].as_str().unwrap()],
        vec!["elsewhere", reply["name"].as_str().unwrap()],
    ] {
        assert_eq!(inspected(&way)["name"], reply["name"], "{way:?}");
    }
    let by_option = halyard(&["--server", &name.0, "inspect", "--json"]);
    assert!(stdout(&by_option).contains(".control"), "{by_option:?}");
    let drawn = halyard(&["inspect", &name.0]);
    let drawn = stdout(&drawn);
    for part in [
        "mpsc · doorbell · chat records · open · alive",
        "head = tail: empty",
        "more rows like this",
        "SEMAPHORE",
        "PUBLISHED",
    ] {
        assert!(drawn.contains(part), "{part:?} is not in\n{drawn}");
    }

    server.killed();
    let lines = listed(&name);
    assert_eq!((&lines[0]["state"], &lines[0]["uptime_ns"]), (&"dead".into(), &Value::Null));
    assert_eq!((&lines[1]["state"], &lines[1]["owner"]["alive"]), (&"dead".into(), &false.into()));
    assert_eq!(lines[2]["state"], "alive", "the client's own ring");
    let drawn = halyard(&["inspect", &name.0]);
    assert!(stdout(&drawn).lines().next().unwrap().ends_with("· dead"), "{drawn:?}");

    let cleaned = halyard(&["clean", &name.0]);
    assert!(cleaned.status.success());
    let text = stdout(&cleaned);
    assert!(
        text.contains(&format!("its creator is gone: pid {pid}"))
            && text.contains("removed 1 ring, kept 1 ring"),
        "{text}"
    );
    drop(client);
    assert_eq!(name.left(), Vec::<PathBuf>::new(), "the client removed its own");
    let gone = halyard(&["inspect", &name.0]);
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
}

#[test]
fn clean_removes_what_the_killed_left_and_nothing_else() {
    let name = Name::new("clean");
    let living = Ring::<u64>::create(&name.ring(".living"), &RingOptions::spsc(4)).unwrap();
    let dead = name.ring(".dead");
    let killed = Process::maker(&dead).killed();
    // Semaphores of which the segment is gone.
    fs::write(format!("/dev/shm/sem.halyard.{}.lonely.space", name.0), []).unwrap();
    let before = name.left().len();
    assert_eq!(before, 7, "two rings and a semaphore");

    let dry = halyard(&["clean", "--dry-run", "--json", &name.0]);
    assert!(dry.status.success());
    assert_eq!(name.left().len(), before, "a dry run removes nothing");
    let lines: Vec<Value> = stdout(&dry).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<(&str, &str)> =
        lines.iter().filter_map(|line| Some((line["name"].as_str()?, line["action"].as_str()?))).collect();
    let expected = [".dead", ".living", ".lonely"].map(|suffix| format!("{}{suffix}", name.0));
    assert_eq!(
        actions,
        [(&*expected[0], "would_remove"), (&*expected[1], "kept"), (&*expected[2], "would_remove")]
    );
    assert_eq!(lines[0]["pid"], killed);
    let summary = &lines[3];
    assert_eq!((&summary["type"], &summary["dry_run"]), (&"summary".into(), &true.into()));
    assert_eq!(
        (&summary["would_remove"], &summary["kept"], &summary["removed"]),
        (&2.into(), &1.into(), &0.into())
    );

    let real = halyard(&["clean", &name.0]);
    assert!(real.status.success());
    let text = stdout(&real);
    assert!(text.contains(&format!("its creator is gone: pid {killed}")), "{text}");
    assert!(text.contains("semaphores without a ring"), "{text}");
    let me = ProcessId::current().pid();
    assert!(text.contains(&format!("its creator lives: {me} ")), "{text}");
    assert!(text.ends_with("removed 2 rings, kept 1 ring\n"), "{text}");
    assert_eq!(name.left().len(), 3, "the living one's segment and semaphores");

    let again = halyard(&["clean", &name.0]);
    assert_eq!(
        (again.status.code(), stdout(&again).lines().last()),
        (Some(0), Some("nothing to remove, 1 ring kept"))
    );
    living.unlink().unwrap();
    let nothing = halyard(&["clean", &name.0]);
    assert_eq!(nothing.status.code(), Some(0));
    assert!(stdout(&nothing).starts_with("nothing here"), "{nothing:?}");
}

/// The names that a server makes its control ring anew under.
#[test]
fn what_a_server_left_that_was_killed_amid_a_renewal_is_removed_by_clean_and_by_doctor() {
    let name = Name::new("next");
    let next = control_ring(&name.server()).next().unwrap();
    let guessed = RingName::new(&format!("{next}.0123456789abcdef")).unwrap();
    // One that is at it right now keeps its own.
    let at_work = name.ring(".control.next.fedcba9876543210");
    let living = Ring::<u64>::create(&at_work, &RingOptions::spsc(4)).unwrap();
    for tool in [&["clean"][..], &["doctor", "--fix"]] {
        for left in [&next, &guessed] {
            Process::maker(left).killed();
        }
        assert_eq!(name.left().len(), 9, "three rings");
        let done = halyard(&[tool, &[&name.0]].concat());
        assert!(done.status.success(), "{done:?}");
        let text = stdout(&done);
        assert!(text.contains(next.as_str()) && text.contains(guessed.as_str()), "{text}");
        assert_eq!(name.left().len(), 3, "{tool:?} leaves the living one's segment and semaphores");
    }
    living.unlink().unwrap();
}

#[test]
fn what_cannot_be_removed_is_said_and_counts() {
    let name = Name::new("refused");
    fs::create_dir(format!("/dev/shm/halyard.{}.dir", name.0)).unwrap();
    mkfifo(&*format!("/dev/shm/halyard.{}.pipe", name.0), Mode::S_IRWXU).unwrap();
    let output = halyard(&["clean", &name.0]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = stdout(&output);
    assert!(
        text.lines().take(2).all(|line| line.starts_with("not removed") && line.ends_with("no regular file")),
        "{text}"
    );
    assert!(text.ends_with("could not remove 2 rings\n"), "{text}");
    assert_eq!(name.left().len(), 2);
}

#[test]
fn what_is_no_ring_is_shown_with_the_reason() {
    let name = Name::new("broken");
    let put = |suffix: &str, bytes: &[u8]| {
        fs::write(format!("/dev/shm/halyard.{}.{suffix}", name.0), bytes).unwrap()
    };
    put("short", b"hello");
    put("empty", b"");
    put("junk", &[0x5a; 70_000]);
    fs::write(format!("/dev/shm/sem.halyard.{}.lonely.ready", name.0), []).unwrap();
    fs::create_dir(format!("/dev/shm/halyard.{}.dir", name.0)).unwrap();
    // Opened, it would wait for a writer.
    mkfifo(&*format!("/dev/shm/sem.halyard.{}.pipe.ready", name.0), Mode::S_IRWXU).unwrap();
    // A ring of which half is missing.
    let cut = name.ring(".cut");
    let ring = Ring::<u64>::create(&cut, &RingOptions::spsc(64)).unwrap();
    let bytes = fs::read(format!("/dev/shm/halyard.{cut}")).unwrap();
    put("cut", &bytes[..bytes.len() / 2]);
    drop(ring);

    let lines = listed(&name);
    let reasons: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| {
            assert_eq!((&line["type"], &line["server"]), (&"ring".into(), &Value::Null));
            let known = !line["error"].as_str().unwrap().contains("no regular file");
            assert_eq!(line["state"], if known { "dead" } else { "unknown" });
            assert_eq!(line["capacity"], Value::Null);
            (line["name"].as_str().unwrap().rsplit('.').next().unwrap(), line["error"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("cut", "not a ring of this version: file size"),
        ("dir", "no regular file"),
        ("empty", "no ring, or one that was never finished"),
        ("junk", "no ring, or one that was never finished"),
        ("lonely", "only its semaphores are left"),
        ("pipe", "no regular file"),
        ("short", "not a ring of this version: file size 5"),
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:#?}");
    for ((ring, reason), (expected_ring, expected)) in reasons.iter().zip(expected) {
        assert!(*ring == expected_ring && reason.contains(expected), "{ring}: {reason}");
    }
    let text = halyard(&["ls"]);
    assert!(text.status.success());
    for (_, reason) in expected {
        assert!(stdout(&text).contains(reason), "{reason:?} is not in\n{}", stdout(&text));
    }
    let drawn = halyard(&["inspect", &format!("{}.cut", name.0)]);
    assert_eq!((drawn.status.code(), stdout(&drawn)), (Some(1), ""));
    assert!(stderr(&drawn).contains("cannot be drawn (dead): not a ring of this version"), "{drawn:?}");
}

#[test]
fn a_claim_is_shown_with_its_owner_and_whether_that_lives() {
    let name = Name::new("claim");
    let ring = name.ring(".ring");
    let maker = Process::maker(&ring);
    let pid = maker.pid();
    let claim = |alive| {
        let seen = inspected(&[ring.as_str()]);
        assert_eq!(
            (&seen["v"], &seen["type"], &seen["state"]),
            (&1.into(), &"ring".into(), &if alive { "alive" } else { "dead" }.into())
        );
        assert_eq!(seen["phases"], serde_json::json!({ "ready": 1, "claimed": 1, "void": 0, "free": 14 }));
        let held = &seen["held"][0];
        assert_eq!(
            (&held["slot"], &held["phase"], &held["owner"]),
            (&1.into(), &"claimed".into(), &seen["producers"][1]["owner"])
        );
        assert_eq!((&held["process"]["pid"], &held["process"]["alive"]), (&pid.into(), &alive.into()));
        let drawn = halyard(&["inspect", ring.as_str()]);
        stdout(&drawn).to_owned()
    };
    let drawn = claim(true);
    assert!(drawn.contains("#w··············"), "{drawn}");
    assert!(drawn.contains("slot 1 claimed at position 1") && drawn.contains(&format!("{pid} ")), "{drawn}");
    assert!(drawn.contains("2 producers of 64 possible"), "{drawn}");
    maker.killed();
    let drawn = claim(false);
    assert!(drawn.contains(&format!("{pid} · dead")), "{drawn}");
}

#[test]
fn what_is_not_there_has_an_exit_code_and_a_hint() {
    let name = Name::new("absent");
    let ring = Ring::<u64>::create(&name.ring(".control"), &RingOptions::spsc(4)).unwrap();
    let says = |args: &[&str], code: i32, part: &str| {
        let output = halyard(&[&["inspect"], args].concat());
        assert_eq!((output.status.code(), stdout(&output)), (Some(code), ""), "{output:?}");
        assert!(stderr(&output).contains(part), "{output:?}");
    };
    says(&[&format!("{}-not", name.0)], 69, "`halyard ls`");
    says(&[&name.0, "reply.1-0"], 1, "it has control");
    says(&["../../etc/passwd"], 2, "no such ring");
    says(&[&name.0, "--watch", "0"], 2, "0.05");
    ring.unlink().unwrap();
}

#[test]
fn watch_looks_again_until_ctrl_c_or_until_the_ring_is_gone() {
    let name = Name::new("watch");
    let ring = Ring::<u64>::create(&name.ring(".ring"), &RingOptions::spsc(8)).unwrap();
    let mut producer = ring.producer().unwrap();
    let watch = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
        let ring = format!("{}.ring", name.0);
        let process = command.args(["inspect", &ring, "--watch", "0.05"]).args(args).stdin(Stdio::null());
        Process(process.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    };
    let mut process = watch(&["--json"]);
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    for published in 0..3 {
        // The picture after the push comes sooner or later.
        let mut counts = lines.by_ref().map(|line| {
            let seen: Value = serde_json::from_str(&line.unwrap()).unwrap();
            seen["counters"]["published"].as_u64().unwrap()
        });
        assert!(counts.any(|count| count == published));
        producer.push(published).unwrap();
    }
    process.signal(Signal::SIGINT);
    assert_eq!(process.0.wait().unwrap().code(), Some(0), "Ctrl-C is how a watch is meant to end");

    let mut process = watch(&[]);
    let mut output = BufReader::new(process.0.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert!(first.contains(".ring · spsc"), "{first:?}");
    ring.unlink().unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains('\x1b'), "no terminal, no control sequences");
    assert_eq!(process.0.wait().unwrap().code(), Some(0));

    let ring = Ring::<u64>::create(&name.ring(".ring"), &RingOptions::spsc(8)).unwrap();
    let mut process = watch(&[]);
    drop(process.0.stdout.take());
    assert_eq!(process.0.wait().unwrap().code(), Some(0), "a closed pipe ends it quietly");
    ring.unlink().unwrap();
}
