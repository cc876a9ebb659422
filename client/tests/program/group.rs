//! `--group`: a server and clients of different users, who may not remove each other's names from a sticky /dev/shm. Only
//! root can be several users.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::{Client, ClientOptions, Event, Group, ServerName};
use halyard_ring::chat::{Record, control_ring};
use halyard_ring::guards::{Guard, take_out};
use halyard_ring::{Ring, RingName, RingView, list_names};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::util::{LONG, Place, Running};

/// Users and a group that need no entry anywhere.
const SERVER: u32 = 61_002;
const CLIENT: u32 = 61_001;
const OTHER: u32 = 61_004;
const GROUP: u32 = 61_010;
const OUTSIDE: u32 = 61_003;

/// A place, and the program where every user may run it.
struct Users {
    place: Place,
    folder: tempfile::TempDir,
}

impl Users {
    /// `None`, and a word why, if this is not root.
    fn new() -> Option<Self> {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root can run programs as several users");
            return None;
        }
        let everyone = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(everyone).tempdir().unwrap();
        fs::copy(env!("CARGO_BIN_EXE_halyard"), folder.path().join("halyard")).unwrap();
        Some(Self { place: Place::empty(), folder })
    }

    fn command(&self, uid: u32, gid: u32, args: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("halyard"));
        command.args(args).env("HALYARD_SERVER", self.place.name.as_str()).env_remove("HALYARD_GROUP");
        command.env("USER", format!("u{uid}")).current_dir("/").uid(uid).gid(gid);
        command
    }

    /// Starts the program as a member of the group, with `--group`.
    fn member(&self, uid: u32, args: &[&str]) -> Running {
        let group = GROUP.to_string();
        let args: Vec<&str> = ["--group", &group].into_iter().chain(args.iter().copied()).collect();
        Running::start(self.command(uid, GROUP, &args))
    }

    fn server(&self, uid: u32) -> Running {
        let mut server = self.member(uid, &["server"]);
        server.err.await_line("serving");
        server
    }

    /// The names of reply rings.
    fn replies(&self) -> Vec<String> {
        let prefix = format!("{}.reply.", self.place.name);
        let names = list_names().unwrap().into_iter().map(|name| name.to_string());
        names.filter(|name| name.starts_with(&prefix)).collect()
    }

    /// Another process of this test, which becomes the user [`CLIENT`] and connects twice: see [`plays_the_member`].
    fn library(&self, guarded: bool) -> Running {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "group::plays_the_member", "--nocapture"]);
        command.env("GROUP_TEST", format!("{} {guarded}", self.place.name));
        let mut client = Running::start(command);
        client.out.await_line("connected");
        client
    }
}

#[test]
fn plays_the_member() {
    // Only where another test starts this program again.
    let Ok(order) = std::env::var("GROUP_TEST") else { return };
    let (name, guarded) = order.split_once(' ').unwrap();
    setgroups(&[Gid::from_raw(GROUP)]).unwrap();
    setgid(Gid::from_raw(CLIENT)).unwrap();
    setuid(Uid::from_raw(CLIENT)).unwrap();
    if guarded == "false" {
        take_out(Guard::EarlyUnlink);
    }
    let options = ClientOptions::new(ServerName::new(name).unwrap(), "lib").group(Group::from_id(GROUP));
    let client = Client::connect(&options).unwrap();
    client.join("lobby").unwrap();
    let companion = client.companion().unwrap();
    companion.join("annex").unwrap();
    println!("\nconnected");
    for event in client.events() {
        match event {
            Event::Message(message) => println!("{}: {}", message.nick, message.text),
            Event::Reconnected { room: Some(room), .. } => println!("back in {room}"),
            _ => {}
        }
    }
}

#[test]
fn a_killed_client_of_another_user_leaves_nothing() {
    let Some(users) = Users::new() else { return };
    let server = users.server(SERVER);
    let client = users.library(true);
    let mut tail = users.member(OTHER, &["tail", "-r", "lobby", "--all"]);
    tail.err.await_line("follows");
    assert_eq!(users.replies(), Vec::<String>::new(), "the names go while everybody lives");
    client.signal(Signal::SIGKILL);
    assert_eq!(client.end().code, None);
    tail.out.await_line("lib is gone");
    tail.signal(Signal::SIGKILL);
    tail.end();
    assert_eq!(users.replies(), Vec::<String>::new());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().code, Some(0));
    users.place.await_clean();
}

#[test]
fn without_the_guard_it_leaves_its_rings_which_its_next_client_removes() {
    let Some(users) = Users::new() else { return };
    let server = users.server(SERVER);
    let client = users.library(false);
    client.signal(Signal::SIGKILL);
    client.end();
    assert_eq!(users.replies().len(), 2);
    let said = users.member(OTHER, &["say", "-r", "lobby", "hi"]);
    assert_eq!(said.end().code, Some(0));
    assert_eq!(users.replies().len(), 2, "a third user may not remove them");
    let again = users.member(CLIENT, &["say", "-r", "lobby", "hi"]);
    assert_eq!(again.end().code, Some(0));
    assert_eq!(users.replies(), Vec::<String>::new());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().code, Some(0));
    users.place.await_clean();
}

#[test]
fn sessions_outlive_the_server_and_its_control_ring() {
    let Some(users) = Users::new() else { return };
    let first = users.server(SERVER);
    let mut client = users.library(true);
    // Somebody ruins the control ring.
    Ring::<Record>::open(&control_ring(&users.place.name)).unwrap().close();
    let say = |text| assert_eq!(users.member(OTHER, &["say", "-r", "lobby", text]).end().code, Some(0));
    say("through the new ring");
    client.out.await_line("through the new ring");
    first.signal(Signal::SIGKILL);
    first.end();
    let refused = users.member(OTHER, &["server"]).end();
    assert_eq!(refused.code, Some(77), "{}", refused.err);
    assert!(refused.err.contains(&format!("a dead server of user {SERVER}")), "{}", refused.err);
    let cleaned = Running::start(users.command(OTHER, GROUP, &["clean", users.place.name.as_str()])).end();
    assert!(cleaned.out.contains(&format!("user {SERVER}")), "{}", cleaned.out);
    let second = users.server(SERVER);
    client.out.await_line("back in lobby");
    say("through the next server");
    client.out.await_line("through the next server");
    assert_eq!(users.replies(), Vec::<String>::new());
    client.signal(Signal::SIGKILL);
    client.end();
    second.signal(Signal::SIGTERM);
    assert_eq!(second.end().code, Some(0));
    users.place.await_clean();
}

/// A group of one's own will do for this, and needs no other user.
#[test]
fn a_hello_that_went_down_with_the_control_ring_is_said_again() {
    let place = Place::empty();
    let group = Group::from_id(Gid::effective().as_raw());
    let mut server = place.start(&["--group", &group.id().to_string(), "server"]);
    server.err.await_line("serving");
    let control = control_ring(&place.name);
    let process = RingView::open(&control).unwrap().creator().unwrap();
    server.signal(Signal::SIGSTOP);
    await_true(|| process.is_stopped());
    let options = ClientOptions::new(place.name.clone(), "ann").group(group).connect_timeout(LONG / 3);
    let client = thread::spawn(move || Client::connect(&options));
    // Its HELLO lies there, and nobody takes it.
    await_true(|| RingView::open(&control).unwrap().inspect().counters.published == 1);
    fs::OpenOptions::new()
        .write(true)
        .open(format!("/dev/shm{}", control.segment()))
        .unwrap()
        .set_len(0)
        .unwrap();
    server.signal(Signal::SIGCONT);
    let client = client.join().unwrap().unwrap();
    assert_eq!(RingView::open(&control).unwrap().inspect().renewals, 1);
    client.join("lobby").unwrap();
    let is_reply = |name: &RingName| name.as_str().starts_with(&format!("{}.reply.", place.name));
    assert!(!list_names().unwrap().iter().any(is_reply), "the names go when it is let in, and not before");
    assert_eq!(client.who().unwrap().len(), 1, "one session");
    drop(client);
    server.signal(Signal::SIGTERM);
    server.end().with(0);
}

fn await_true(is_true: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !is_true() {
        assert!(Instant::now() < end, "not within {LONG:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn who_is_not_in_the_group_or_does_not_name_it_is_refused_in_words() {
    let Some(users) = Users::new() else { return };
    let server = users.server(SERVER);
    let refused = |uid, gid, args: &[&str], words: &[&str]| {
        let ended = Running::start(users.command(uid, gid, args)).end();
        assert_eq!(ended.code, Some(77), "{}{}", ended.out, ended.err);
        for word in words {
            assert!(ended.err.contains(word), "no {word:?} in {}", ended.err);
        }
    };
    let (group, other) = (GROUP.to_string(), CLIENT.to_string());
    let owner = format!("user {SERVER}");
    refused(OUTSIDE, OUTSIDE, &["who"], &[&owner, &group, "not a member"]);
    refused(OUTSIDE, OUTSIDE, &["--group", &group, "who"], &[&group, "not a member"]);
    refused(CLIENT, GROUP, &["who"], &[&owner, &format!("--group {group}"), "trust"]);
    refused(CLIENT, CLIENT, &["--group", &other, "who"], &[&owner, &group]);
    refused(OUTSIDE, OUTSIDE, &["server"], &[&owner, "choose another name"]);
    // Its own user needs no --group, and may not be told something else than there is.
    let own = Running::start(users.command(SERVER, GROUP, &["rooms"])).end();
    assert_eq!(own.code, Some(0), "{}", own.err);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.end().code, Some(0));
    let mut private = Running::start(users.command(SERVER, GROUP, &["server"]));
    private.err.await_line("serving");
    refused(CLIENT, GROUP, &["--group", &group, "who"], &[&owner, "alone"]);
    refused(SERVER, GROUP, &["--group", &group, "who"], &["yours alone"]);
    private.signal(Signal::SIGTERM);
    private.end();
    users.place.await_clean();
}
