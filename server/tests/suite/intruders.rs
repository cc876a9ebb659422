//! Processes that get in the server's way: one sits where it has to make its next control ring, one begins texts and ends
//! none.

use std::fs::{self, File};
use std::time::Duration;

use halyard_ring::chat::{BODY, FRAGS_MAX, Kind, Record, ServerName, control_ring};
use halyard_ring::{PushError, Ring, RingName, RingOptions, RingView};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::children::{Process, announce};
use crate::hostile::{path, truncate};
use crate::renewal::insist;
use crate::restarts::{Starter, await_serving};
use crate::support::{Client, PATIENCE, TestServer, eventually, unique_name};

/// In a child: takes the name of the server's next control ring, in one way or another, and keeps it.
pub(crate) fn sit(server: &ServerName, how: &str) {
    let next = control_ring(server).next().unwrap();
    let segment = path(&next);
    let semaphore = |which: &str| segment.replace("halyard.", "sem.halyard.") + which;
    let (mut ring, mut lock) = (None, None);
    match how {
        "a ring" => ring = Some(Ring::<Record>::create(&next, &RingOptions::mpsc(16)).unwrap()),
        "a locked file" => {
            let file = File::create_new(&segment).unwrap();
            lock = Some(Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap());
        }
        "a folder" => fs::create_dir(&segment).unwrap(),
        "a pipe" => mkfifo(segment.as_str(), Mode::S_IRWXU).unwrap(),
        "folders for the semaphores" => {
            [".ready", ".space"].iter().for_each(|which| fs::create_dir(semaphore(which)).unwrap());
        }
        how => panic!("how is that: {how}"),
    }
    announce("ready");
    std::thread::sleep(Duration::from_secs(60));
    drop((ring, lock));
}

#[test]
fn whoever_sits_on_the_name_of_the_next_control_ring_the_server_makes_it_all_the_same() {
    let server = TestServer::start();
    let name = server.name().clone();
    let next = control_ring(&name).next().unwrap();
    let mut ann = server.client("ann");
    ann.join("lobby");
    for (round, how) in ["a ring", "a locked file", "a folder", "a pipe", "folders for the semaphores"]
        .into_iter()
        .enumerate()
    {
        let squatter = Process::start(&name, how, "sit");
        truncate(&path(&control_ring(&name)), 0);
        let said = insist(&mut ann, &name, Kind::Say, how);
        assert_eq!(said.kind, Kind::Ack.wire(), "{how}");
        assert_eq!(server.stats().renewed, round as u64 + 1, "{how}");
        if how == "a ring" {
            assert!(RingView::open(&next).is_ok(), "it still has its ring");
        }
        squatter.signal(Signal::SIGKILL);
        squatter.end();
        for left in names_in_the_way(&next) {
            fs::remove_file(&left).or_else(|_| fs::remove_dir(&left)).unwrap();
        }
    }
    assert_eq!((server.stats().connected, server.stats().died), (1, 0));
}

/// What has one of a ring's names.
fn names_in_the_way(ring: &RingName) -> Vec<String> {
    let segment = path(ring);
    let semaphore = segment.replace("halyard.", "sem.halyard.");
    let names = [segment, format!("{semaphore}.ready"), format!("{semaphore}.space")];
    names.into_iter().filter(|path| fs::symlink_metadata(path).is_ok()).collect()
}

/// Records of the flood.
const HALF_TEXTS: usize = 120_000;
/// How much more memory the server may have had at once than before the flood: ten times what a client's window holds of
/// it. All of it is 30 MB.
const MORE_KIB: u64 = 8 * 1024;

/// In a child: begins texts and ends none, sends ends of texts that were never begun, and heeds nothing it is told.
pub(crate) fn flood_with_half_texts(server: &ServerName, nick: &str) {
    let mut client = Client::connect(server, nick);
    client.join("lobby");
    announce("ready");
    let piece = "x".repeat(BODY);
    for number in 0..HALF_TEXTS {
        let mut record = client.command(Kind::Say, "", &piece);
        (record.frag, record.frags) =
            [(0, FRAGS_MAX as u8), (1, FRAGS_MAX as u8), (1, FRAGS_MAX as u8), (1, 2)][number % 4];
        // The first goes on with the text that was begun, the second seems to.
        if record.frags != 2 {
            record.command -= number as u64 % 4;
        }
        match client.control.push_prefix_timeout(&record, record.used(), PATIENCE) {
            Ok(()) => {}
            Err(PushError::Closed(())) => return,
            Err(error) => panic!("{error}"),
        }
    }
    announce("sent all");
    std::thread::sleep(Duration::from_secs(60));
}

/// The most memory that a process has had at once, KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn texts_that_are_begun_and_never_ended_cost_the_server_a_bounded_memory_and_the_others_nothing() {
    let name = unique_name();
    let mut server = Starter::start(&name);
    await_serving(&name, &mut server);
    let (mut ann, mut bob) = (Client::connect(&name, "ann"), Client::connect(&name, "bob"));
    ann.join("lobby");
    bob.join("lobby");
    let before = peak_kib(server.pid());
    let mut flooder = Process::start(&name, "flooder", "half-texts");
    // All of this while it floods.
    for n in 0..200 {
        let text = format!("{n}");
        let said = ann.say(&text);
        ann.ok(said);
        assert_eq!(bob.hear(Kind::Message).text, text);
    }
    flooder.wait_for("sent all");
    bob.sync();
    let more = peak_kib(server.pid()) - before;
    assert!(more < MORE_KIB, "{more} KiB more");
    assert_eq!(bob.count(Kind::Message), 0, "nobody hears half a text");
    flooder.signal(Signal::SIGKILL);
    flooder.end();
    drop((ann, bob));
    server.signal(Signal::SIGTERM);
    eventually("it ends", || server.ended().is_some());
}
