//! `halyard doctor`, on the sound, on what the dead left, and on rings with something wrong inside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use halyard_client::{Client, ClientOptions, ServerName};
use halyard_ring::{Mode, PopError, Ring, RingName, RingOptions, Semaphore};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// A name that no other test uses. What bears it is removed when the test ends, however it does.
struct Name(String);

impl Name {
    fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self(format!("doctor-{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    fn ring(&self) -> RingName {
        RingName::new(&format!("{}.ring", self.0)).unwrap()
    }

    fn left(&self) -> Vec<PathBuf> {
        let ours = [format!("halyard.{}", self.0), format!("sem.halyard.{}", self.0)];
        let files = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap());
        files
            .filter(|file| ours.iter().any(|ours| file.file_name().to_string_lossy().starts_with(ours)))
            .map(|file| file.path())
            .collect()
    }

    /// The segment's file, to write what no program of ours would.
    fn file(&self) -> File {
        File::options().read(true).write(true).open(format!("/dev/shm/halyard.{}", self.ring())).unwrap()
    }

    /// Runs the doctor for this name.
    fn doctor(&self, more: &[&str]) -> Seen {
        Seen::of(halyard(&[&["doctor", "--json", &self.0], more].concat()))
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
    Command::new(env!("CARGO_BIN_EXE_halyard")).args(args).env_remove("HALYARD_SERVER").output().unwrap()
}

/// What a doctor's visit said.
#[derive(Debug)]
struct Seen {
    code: Option<i32>,
    findings: Vec<Value>,
    summary: Value,
}

impl Seen {
    fn of(output: Output) -> Self {
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let summary = lines.pop().unwrap();
        assert_eq!(summary["type"], "summary");
        assert!(lines.iter().all(|line| line["v"] == 1 && line["type"] == "finding"), "{lines:#?}");
        let system = ["space", "descriptors", "mappings"];
        let findings = lines.into_iter().filter(|line| !system.contains(&line["check"].as_str().unwrap()));
        Self { code: output.status.code(), findings: findings.collect(), summary }
    }

    /// The checks that found something, each with what was done.
    fn checks(&self) -> Vec<(&str, &str, &str)> {
        let mut checks: Vec<_> = self
            .findings
            .iter()
            .map(|found| {
                let word = |key: &str| found[key].as_str().unwrap();
                (word("severity"), word("check"), word("action"))
            })
            .collect();
        checks.sort_unstable();
        checks
    }

    #[track_caller]
    fn expect(&self, code: i32, checks: &[(&str, &str, &str)]) -> &Self {
        assert_eq!((self.code, &*self.checks()), (Some(code), checks), "{self:#?}");
        self
    }
}

/// Another process. Killed when the test ends.
struct Process(Child);

impl Process {
    fn spawn(mut command: Command, ready: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let process = lines.any(|line| line.unwrap().contains(ready));
        assert!(process, "the process ended before it said {ready:?}");
        Self(child)
    }

    fn server(name: &Name) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard"));
        command.args(["part-of-demo", &name.0]);
        Self::spawn(command, "ready")
    }

    /// A process that claims a slot of a ring, publishes into the next, and waits.
    fn claimer(name: &RingName) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "role_of_the_claimer", "--nocapture"]);
        command.env("HALYARD_TEST_RING", name.as_str());
        Self::spawn(command, "claimed")
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No test of its own: `Process::claimer` runs it in another process.
#[test]
fn role_of_the_claimer() {
    let Ok(name) = std::env::var("HALYARD_TEST_RING") else { return };
    let ring = Ring::<u64>::open(&RingName::new(&name).unwrap()).unwrap();
    let (mut slow, mut quick) = (ring.producer().unwrap(), ring.producer().unwrap());
    let claim = slow.try_claim().unwrap();
    quick.push(7).unwrap();
    println!("claimed");
    // Until it is killed, or the test is.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    claim.abandon();
}

#[test]
fn where_nothing_is_nothing_is_wrong() {
    let name = Name::new("nothing");
    let seen = name.doctor(&[]);
    seen.expect(0, &[]);
    assert_eq!(
        (&seen.summary["errors"], &seen.summary["left"], &seen.summary["fix"]),
        (&0.into(), &0.into(), &false.into())
    );
    let text = halyard(&["doctor", &name.0]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in ["/dev/shm: ", "RLIMIT_NOFILE: ", "vm.max_map_count: "] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.ends_with("nothing is wrong\n"), "{text}");
}

#[test]
fn a_living_server_is_left_alone_and_a_killed_ones_leftovers_go() {
    let name = Name::new("server");
    let mut server = Process::server(&name);
    let client = Client::connect(&ClientOptions::new(ServerName::new(&name.0).unwrap(), "ann")).unwrap();
    client.join("lobby").unwrap();
    let well = [("ok", "ring", "none"), ("ok", "ring", "none")];
    let seen = name.doctor(&["--fix"]);
    seen.expect(0, &well);
    assert_eq!(seen.findings[0]["pid"], server.0.id(), "whose it is is said");
    // By the option, too.
    Seen::of(halyard(&["--server", &name.0, "doctor", "--json"])).expect(0, &well);
    client.say("still here").unwrap();
    assert_eq!(client.who().unwrap().len(), 1);
    drop(client);

    server.kill();
    let seen = name.doctor(&[]);
    seen.expect(1, &[("warning", "left_by_the_dead", "would_fix")]);
    assert_eq!(seen.findings[0]["subject"], format!("{}.control", name.0));
    assert_eq!(seen.findings[0]["pid"], server.0.id());
    assert_eq!(name.left().len(), 3, "looking removes nothing");
    name.doctor(&["--fix"]).expect(0, &[("warning", "left_by_the_dead", "fixed")]);
    assert_eq!(name.left(), Vec::<PathBuf>::new());
    name.doctor(&["--fix"]).expect(0, &[]);
}

#[test]
fn a_stopped_server_is_said_to_be_and_left_alone() {
    let name = Name::new("stopped");
    let server = Process::server(&name);
    let pid = nix::unistd::Pid::from_raw(server.0.id() as i32);
    let stopped = || halyard_ring::ProcessId::of(server.0.id()).unwrap().is_stopped();
    assert!(!stopped());
    kill(pid, Signal::SIGSTOP).unwrap();
    while !stopped() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let seen = name.doctor(&["--fix"]);
    seen.expect(1, &[("warning", "stopped_owner", "none")]);
    assert_eq!(seen.findings[0]["pid"], server.0.id());
    kill(pid, Signal::SIGCONT).unwrap();
    while stopped() {
        std::thread::sleep(Duration::from_millis(1));
    }
    name.doctor(&["--fix"]).expect(0, &[("ok", "ring", "none")]);
}

/// The program where any user may run it, and a user that is not this one; `None`, and a word why, if this is not root.
fn as_nobody() -> Option<(tempfile::TempDir, Command)> {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can run a program as another user");
        return None;
    }
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let program = folder.path().join("halyard");
    fs::copy(env!("CARGO_BIN_EXE_halyard"), &program).unwrap();
    let mut command = Command::new(program);
    command.uid(65534).gid(65534).env_remove("HALYARD_SERVER").current_dir("/");
    Some((folder, command))
}

#[test]
fn another_users_ring_is_named_as_such_and_never_touched() {
    let Some((_folder, mut command)) = as_nobody() else { return };
    let name = Name::new("other");
    let mut ring = Some(Ring::<u64>::create(&name.ring(), &RingOptions::mpsc(8)).unwrap());
    command.args(["doctor", "--fix", "--json", &name.0]);
    for alive in [true, false] {
        let seen = Seen::of(command.output().unwrap());
        seen.expect(0, &[("note", "other_user", "none")]);
        let text = seen.findings[0]["text"].as_str().unwrap();
        assert!(text.contains("root"), "whose it is is said: {text}");
        assert_eq!(name.left().len(), 3, "alive: {alive}");
        assert!(Ring::<u64>::open(&name.ring()).is_ok());
        // Its creator lets go of it.
        ring.take();
    }
}

#[test]
fn root_puts_right_what_another_users_dead_server_left() {
    let Some((_folder, mut command)) = as_nobody() else { return };
    let name = Name::new("theirs");
    command.args(["part-of-demo", &name.0]);
    let mut server = Process::spawn(command, "ready");
    name.doctor(&["--fix"]).expect(0, &[("ok", "ring", "none")]);
    server.kill();
    name.doctor(&["--fix"]).expect(0, &[("warning", "left_by_the_dead", "fixed")]);
    assert_eq!(name.left(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_no_ring_is_told_apart_and_removed_if_it_is_nobodys() {
    let name = Name::new("broken");
    let put = |file: &str, bytes: &[u8]| fs::write(format!("/dev/shm/{file}"), bytes).unwrap();
    put(&format!("halyard.{}.garbage", name.0), &[0x5a; 70_000]);
    put(&format!("sem.halyard.{}.lonely.ready", name.0), &[]);
    put(&format!("sem.halyard.{}.nothing", name.0), &[]);
    fs::create_dir(format!("/dev/shm/halyard.{}.folder", name.0)).unwrap();
    let ring = Ring::<u64>::create(&name.ring(), &RingOptions::spsc(8)).unwrap();
    let mut old = fs::read(format!("/dev/shm/halyard.{}", name.ring())).unwrap();
    old[8..12].copy_from_slice(&77_u32.to_ne_bytes());
    ring.unlink().unwrap();
    put(&format!("halyard.{}.old", name.0), &old);

    let expected = |action: &'static str| {
        [
            ("error", "damaged_header", action),
            ("error", "obstacle", "none"),
            ("warning", "orphaned_semaphores", action),
            ("warning", "other_version", action),
            ("warning", "stranger", "none"),
        ]
    };
    name.doctor(&[]).expect(1, &expected("would_fix"));
    assert_eq!(name.left().len(), 5);
    let seen = name.doctor(&["--fix"]);
    seen.expect(1, &expected("fixed"));
    assert_eq!((&seen.summary["fixed"], &seen.summary["left"]), (&3.into(), &2.into()));
    name.doctor(&[]).expect(1, &[("error", "obstacle", "none"), ("warning", "stranger", "none")]);
}

#[test]
fn a_dead_producers_slot_comes_back_out_of_quarantine() {
    let name = Name::new("quarantine");
    let options = RingOptions::mpsc(4).grace(Duration::ZERO);
    let ring = Ring::<u64>::create(&name.ring(), &options).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let mut claimer = Process::claimer(&name.ring());
    assert_eq!(consumer.try_pop(), Ok(7), "the claim in front of it is passed over");
    // Its owner lives: that is its own affair.
    name.doctor(&["--fix"]).expect(0, &[("note", "quarantine", "none")]);
    assert_eq!(ring.inspect().counters.quarantined, 1);
    claimer.kill();
    let expected = |action: &'static str| {
        [
            ("warning", "dead_producer", action),
            ("warning", "dead_producer", action),
            ("warning", "quarantine", action),
        ]
    };
    let seen = name.doctor(&[]);
    seen.expect(1, &expected("would_fix"));
    assert!(seen.findings.iter().all(|found| found["pid"] == claimer.0.id()));
    assert_eq!(ring.inspect().counters.quarantined, 1, "looking changes nothing");
    name.doctor(&["--fix"]).expect(0, &expected("fixed"));
    assert_eq!((ring.inspect().counters.quarantined, ring.inspect().producers.len()), (0, 0));
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    // All four slots are there again.
    let mut producer = ring.producer().unwrap();
    assert_eq!(producer.push_batch(&[1, 2, 3, 4]), Ok(4));
    assert_eq!(consumer.try_pop(), Ok(1));
    ring.unlink().unwrap();
}

#[test]
fn a_dead_producers_claim_is_freed_and_a_living_ones_kept() {
    let name = Name::new("claim");
    let ring = Ring::<u64>::create(&name.ring(), &RingOptions::mpsc(4)).unwrap();
    let mut claimer = Process::claimer(&name.ring());
    name.doctor(&["--fix"]).expect(0, &[("note", "stuck_claim", "none")]);
    assert_eq!(ring.inspect().producers.len(), 2, "it is still attached");
    claimer.kill();
    let seen = name.doctor(&["--fix"]);
    assert!(seen.checks().contains(&("warning", "stuck_claim", "fixed")), "{seen:#?}");
    assert_eq!(seen.code, Some(0));
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(7), "what it had published is there");
    ring.unlink().unwrap();
}

/// The word of a slot that says READY for position 0, published by owner 1.
const READY_AT_ZERO: u64 = 1 << 2 | 2;

#[test]
fn a_sleeper_that_nobody_would_wake_is_woken() {
    let name = Name::new("deaf");
    let ring = Ring::<u64>::create(&name.ring(), &RingOptions::mpsc(4)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let _producer = ring.producer().unwrap();
    // As if a producer had been killed between its publish and its post.
    let file = name.file();
    let slots = fs::metadata(format!("/dev/shm/halyard.{}", name.ring())).unwrap().len() - 4 * 64;
    file.write_all_at(&1_u32.to_ne_bytes(), 256).unwrap();
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    file.write_all_at(&READY_AT_ZERO.to_ne_bytes(), slots).unwrap();
    name.doctor(&[]).expect(1, &[("error", "deaf_consumer", "would_fix")]);
    assert_eq!(ring.inspect().ready.unwrap().value, 0);
    name.doctor(&["--fix"]).expect(0, &[("error", "deaf_consumer", "fixed")]);
    let now = ring.inspect();
    assert!(now.ready.unwrap().value > 0 && !now.consumer_waiting, "{now:?}");
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    assert_eq!(consumer.try_pop(), Ok(0));

    // And a producer that waits for room where there is some.
    file.write_all_at(&1_u32.to_ne_bytes(), 384).unwrap();
    name.doctor(&["--fix"]).expect(0, &[("error", "deaf_producers", "fixed")]);
    assert_eq!((ring.inspect().producers_waiting, ring.inspect().space.unwrap().value), (0, 1));
    ring.unlink().unwrap();
}

#[test]
fn tokens_that_are_missing_are_put_back_and_surplus_ones_are_no_fault() {
    let name = Name::new("tokens");
    let ring = Ring::<u64>::create(&name.ring(), &RingOptions::mpsc(4).mode(Mode::Counting)).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push(1).unwrap();
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    let [ready, space] =
        [name.ring().ready(), name.ring().space()].map(|name| Semaphore::open(&name).unwrap());
    assert!(space.try_wait() && ready.try_wait());
    name.doctor(&["--fix"]).expect(0, &[("warning", "missing_tokens", "fixed")]);
    assert!(space.value() >= 3 && ready.value() >= 1);
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    space.post();
    name.doctor(&["--verbose"]).expect(0, &[("note", "surplus_tokens", "none")]);
    ring.unlink().unwrap();

    let ring = Ring::<u64>::create(&name.ring(), &RingOptions::spsc(4)).unwrap();
    Semaphore::open(&name.ring().ready()).unwrap().post();
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    name.doctor(&["--verbose", "--fix"]).expect(0, &[("note", "surplus_tokens", "none")]);
    assert_eq!(ring.inspect().ready.unwrap().value, 1);
    ring.unlink().unwrap();
}

#[test]
fn damage_in_a_living_ring_is_said_and_left_alone() {
    let name = Name::new("damage");
    let _ring = Ring::<u64>::create(&name.ring(), &RingOptions::mpsc(4)).unwrap();
    let file = name.file();
    let slots = file.metadata().unwrap().len() - 4 * 64;
    // Slot 1 speaks of position 2.
    file.write_all_at(&(2_u64 << 16).to_ne_bytes(), slots + 64).unwrap();
    name.doctor(&["--fix"]).expect(1, &[("error", "damaged_slots", "none")]);
    file.write_all_at(&(1_u64 << 16).to_ne_bytes(), slots + 64).unwrap();
    file.write_all_at(&3_u64.to_ne_bytes(), 176).unwrap();
    name.doctor(&["--fix"]).expect(1, &[("warning", "damage_met", "none")]);
    file.write_all_at(&0_u64.to_ne_bytes(), 176).unwrap();
    // A claim of an owner that is not attached.
    file.write_all_at(&(3_u64 << 2 | 1).to_ne_bytes(), slots).unwrap();
    name.doctor(&["--fix"]).expect(1, &[("error", "stuck_claim", "none")]);
    file.write_all_at(&0_u64.to_ne_bytes(), slots).unwrap();
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);
    // A header that another process wrote over.
    file.write_all_at(&9_u32.to_ne_bytes(), 24).unwrap();
    name.doctor(&["--fix"]).expect(1, &[("error", "damaged_header", "none")]);
    file.write_all_at(&4_u32.to_ne_bytes(), 24).unwrap();
    file.write_all_at(&0_u32.to_ne_bytes(), 12).unwrap();
    name.doctor(&["--fix"]).expect(1, &[("warning", "unfinished", "none")]);
    assert_eq!(name.left().len(), 3, "its owner lives");
}

#[test]
fn rings_that_cannot_be_joined_or_judged_are_named() {
    let name = Name::new("foreign");
    let ring = Ring::<u64>::create(&name.ring(), &RingOptions::mpsc(4)).unwrap();
    let file = name.file();
    let mut namespace = [0; 8];
    file.read_exact_at(&mut namespace, 96).unwrap();
    let mut claimer = Process::claimer(&name.ring());
    claimer.kill();
    file.write_all_at(&7_u64.to_ne_bytes(), 96).unwrap();
    // The pids in it are those of other processes there.
    name.doctor(&["--fix"]).expect(0, &[("note", "other_namespace", "none")]);
    assert_eq!(ring.inspect().producers.len(), 2);
    file.write_all_at(&namespace, 96).unwrap();
    assert_eq!(ring.reap().owners, 2);

    // Its consumer is dead: the entry names a process that started at another time.
    let word: u64 = u64::from(std::process::id()) | 1 << 22;
    file.write_all_at(&word.to_ne_bytes(), 1024).unwrap();
    name.doctor(&["--fix"]).expect(1, &[("warning", "dead_consumer", "none")]);
    let mut consumer = ring.consumer().unwrap();
    while consumer.try_pop() != Err(PopError::Empty) {}
    name.doctor(&[]).expect(0, &[("ok", "ring", "none")]);

    fs::remove_file(format!("/dev/shm/sem.{}", &name.ring().space()[1..])).unwrap();
    name.doctor(&["--fix"]).expect(1, &[("error", "missing_semaphore", "none")]);
    ring.unlink().unwrap();
}

#[test]
fn people_and_programs_are_told_the_same() {
    let name = Name::new("shape");
    fs::write(format!("/dev/shm/sem.halyard.{}.lonely.ready", name.0), []).unwrap();
    let seen = name.doctor(&[]);
    let found = seen.findings[0].as_object().unwrap();
    let mut keys: Vec<&str> = found.keys().map(String::as_str).collect();
    let mut expected =
        ["v", "type", "severity", "check", "subject", "text", "pid", "remedy", "action", "error"];
    expected.sort_unstable();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(seen.summary["warnings"], 1);
    let said = |args: &[&str], code: i32| {
        let output = halyard(&[&["doctor", &name.0], args].concat());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = said(&[], 1);
    assert!(text.contains(&format!("warning  {}.lonely: semaphores without a ring", name.0)), "{text}");
    assert!(text.contains("--fix would remove it from /dev/shm\n"), "{text}");
    assert!(text.ends_with("1 finding; `halyard doctor --fix` can put right 1\n"), "{text}");
    let text = said(&["--fix"], 0);
    assert!(text.contains("fixed: remove it from /dev/shm\n"), "{text}");
    assert!(text.ends_with("1 finding fixed, nothing is wrong now\n"), "{text}");
    assert!(said(&["--fix"], 0).ends_with("nothing is wrong\n"));
}
