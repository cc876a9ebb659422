//! Servers that start over what a killed one left: many at once, and one after another in a storm.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::chat::{ServerName, control_ring};
use halyard_ring::{Group, RingView};
use halyard_server::{Config, Server, StartError};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid};

use crate::children::Process;
use crate::hostile::{path, truncate};
use crate::support::{A_WHILE, Client, PATIENCE, config, eventually, names_of, unique_name};

/// Servers that race.
const STARTERS: usize = 8;
/// Races in a row, each over the leftovers of the one before.
const RACES: usize = 3;

/// A server in a process of its own. Killed when the test ends.
pub(crate) struct Starter(Child);

impl Starter {
    pub(crate) fn start(name: &ServerName) -> Self {
        Self::with(name, &["--hang", "2m"])
    }

    pub(crate) fn with(name: &ServerName, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_halyard-server"));
        command.args(["--name", name.as_str(), "--log", "error", "--pin", "no", "--broadcasters", "1"]);
        Self(command.args(options).stderr(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, and what it said; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<(Option<i32>, String)> {
        let status = self.0.try_wait().unwrap()?;
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        Some((status.code(), text))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until this very process serves; fails with what it said if it ends instead.
#[track_caller]
pub(crate) fn await_serving(name: &ServerName, starter: &mut Starter) {
    let end = Instant::now() + PATIENCE;
    loop {
        let creator = RingView::open(&control_ring(name)).ok().and_then(|ring| ring.creator());
        if creator.is_some_and(|creator| creator.pid() == starter.0.id()) {
            return;
        }
        if let Some((code, text)) = starter.ended() {
            panic!("the server did not start: {code:?}, {text}");
        }
        assert!(Instant::now() < end, "the server has not started");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn of_many_starters_over_a_dead_servers_leftovers_one_wins_and_the_others_are_told_who() {
    let name = unique_name();
    let mut dead = Starter::start(&name);
    await_serving(&name, &mut dead);
    for race in 0..RACES {
        let client = Process::start(&name, "dead", "member");
        dead.kill();
        client.signal(Signal::SIGKILL);
        client.join();
        assert!(names_of(&name).len() >= 2, "a control ring and a reply ring are left");

        let mut starters: Vec<Starter> = (0..STARTERS).map(|_| Starter::start(&name)).collect();
        let mut refused: Vec<String> = Vec::new();
        eventually("all but one refused", || {
            starters.retain_mut(|starter| {
                let Some((code, text)) = starter.ended() else { return true };
                assert_eq!(code, Some(75), "race {race}: {text}");
                refused.push(text);
                false
            });
            starters.len() <= 1
        });
        let mut winner = starters.pop().expect("one of them has the name");
        await_serving(&name, &mut winner);
        let told = format!("held by process {}:", winner.0.id());
        assert!(refused.iter().all(|text| text.contains(&told)), "race {race}: {told:?}, {refused:#?}");
        // It serves, and nothing of the dead is left beside it.
        let mut ann = Client::connect(&name, "ann");
        ann.join("lobby");
        assert_eq!(names_of(&name).len(), 2, "{:?}", names_of(&name));
        ann.quit();
        dead = winner;
    }
    dead.signal(Signal::SIGTERM);
    eventually("it ends", || dead.ended().is_some_and(|(code, _)| code == Some(0)));
    assert_eq!(names_of(&name), Vec::<String>::new());
}

/// How often the storm restarts: more with `HALYARD_TEST_RESTARTS`.
fn restarts() -> u32 {
    std::env::var("HALYARD_TEST_RESTARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

#[test]
fn a_server_that_is_killed_again_and_again_starts_every_time() {
    let name = unique_name();
    let restarts = restarts();
    let mut served = 0;
    let mut server = Starter::start(&name);
    for restart in 0..restarts {
        // Some are killed while they start, at another moment each time; most when they serve.
        if restart % 4 == 3 {
            thread::sleep(Duration::from_micros(u64::from(restart) * 337 % 10_000));
            assert!(server.ended().is_none(), "restart {restart}: the server ended by itself");
            server.kill();
            server = Starter::start(&name);
        }
        await_serving(&name, &mut server);
        served += 1;
        if restart % 8 == 0 {
            let mut ann = Client::connect(&name, "ann");
            ann.join("lobby");
            ann.quit();
        }
        server.kill();
        server = Starter::start(&name);
    }
    await_serving(&name, &mut server);
    println!("{restarts} restarts: {served} served until they were killed, none failed to start");
    server.signal(Signal::SIGTERM);
    eventually("it ends", || server.ended().is_some_and(|(code, _)| code == Some(0)));
    assert_eq!(names_of(&name), Vec::<String>::new());
}

/// A client of a dead server looks whether that one lives by trying its lock, and has the lock for that instant.
#[test]
fn a_start_over_the_dead_waits_for_whoever_holds_its_lock_to_look_and_not_for_ever() {
    let name = unique_name();
    let mut first = Starter::start(&name);
    eventually("the first server", || {
        RingView::open(&control_ring(&name)).is_ok_and(|ring| ring.creator_is_alive().unwrap())
    });
    first.kill();
    let look = || {
        let file = File::open(format!("/dev/shm{}", control_ring(&name).segment())).unwrap();
        Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap_or_else(|(_, errno)| panic!("{errno}"))
    };
    let start = || Server::start(Config { name: name.clone(), ..config() });
    // Whoever never lets go of it is no longer somebody who looks.
    let kept = look();
    let (end, refused) = mpsc::channel();
    thread::spawn({
        let name = name.clone();
        move || end.send(Server::start(Config { name, ..config() }).is_err_and(is_held))
    });
    assert_eq!(refused.recv_timeout(PATIENCE), Ok(true), "it waits for ever");
    drop(kept);
    let looker = look();
    let second = thread::scope(|scope| {
        let second = scope.spawn(start);
        thread::sleep(Duration::from_millis(50));
        drop(looker);
        second.join().unwrap()
    });
    second.unwrap().stop();
    assert_eq!(names_of(&name), Vec::<String>::new());
}

fn is_held(error: StartError) -> bool {
    matches!(error, StartError::Held { .. })
}

/// A server that a group shares, which is killed, with two clients: one of another process, one of this one.
struct Shared {
    name: ServerName,
    group: Group,
    server: Starter,
    other: Process,
    own: Client,
}

impl Shared {
    fn start() -> Self {
        let name = unique_name();
        let group = Group::from_id(Gid::effective().as_raw());
        let mut server = Starter::with(&name, &["--hang", "2m", "--group", &group.id().to_string()]);
        await_serving(&name, &mut server);
        let other = Process::start(&name, "other", "member");
        let own = Client::connect(&name, "own");
        // As a client of the library does when it is welcomed.
        for reply in names_of(&name).into_iter().filter(|name| name.contains(".reply.")) {
            for file in [
                format!("halyard.{reply}"),
                format!("sem.halyard.{reply}.ready"),
                format!("sem.halyard.{reply}.space"),
            ] {
                fs::remove_file(format!("/dev/shm/{file}")).unwrap();
            }
        }
        Self { name, group, server, other, own }
    }

    /// Somebody truncates the control ring, and the server makes it anew. Nobody comes over.
    fn loses_its_ring(self) -> Self {
        let renewals = || {
            RingView::open(&control_ring(&self.name))
                .map(|ring| ring.inspect())
                .map_or(0, |seen| seen.renewals)
        };
        truncate(&path(&control_ring(&self.name)), 0);
        eventually("made anew", || renewals() == 1);
        self
    }

    /// The server is killed, and the next one lets texts wait for the other process.
    fn has_a_successor(self) {
        let Self { name, group, mut server, other, own } = self;
        server.kill();
        let config =
            Config { name: name.clone(), group: Some(group), rejoin: Duration::from_secs(600), ..config() };
        let second = Server::start(config).unwrap();
        // This process had one session and has one again; the other process is missing.
        let mut ann = Client::connect(&name, "ann");
        ann.join("lobby");
        let said = ann.say("sent again");
        while let Some(record) = ann.read(A_WHILE) {
            assert!(record.command != said, "answered while another process is missing");
        }
        other.signal(Signal::SIGKILL);
        other.join();
        assert_eq!(ann.ok(said).room_seq, 1);
        drop((own, ann));
        second.stop();
        assert_eq!(names_of(&name), Vec::<String>::new());
    }
}

/// The names of rings that a group shares are gone while everybody lives, so a successor asks the dead one's control ring.
#[test]
fn where_a_group_shares_the_rings_texts_wait_for_the_processes_that_were_attached() {
    Shared::start().has_a_successor();
}

#[test]
fn they_wait_also_if_it_is_killed_when_it_has_just_made_its_control_ring_anew() {
    Shared::start().loses_its_ring().has_a_successor();
}
