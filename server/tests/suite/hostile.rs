//! Processes that truncate what the server reads and writes.

use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use halyard_ring::chat::{Kind, LeaveReason, ServerName, control_ring};
use halyard_ring::guards::{self, Guard};
use halyard_ring::{RingName, remove_dead};
use halyard_server::{Config, Server};
use nix::sys::signal::Signal;

use crate::children::{Process, announce};
use crate::support::{Client, Hello, TestServer, config, eventually, names_of, unique_name};

/// Where a ring's segment lies.
pub(crate) fn path(name: &RingName) -> String {
    format!("/dev/shm{}", name.segment())
}

pub(crate) fn truncate(path: &str, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// In a child: a server that has no handler for SIGBUS.
pub(crate) fn serve_without_the_guard(name: ServerName) {
    guards::take_out(Guard::Sigbus);
    serve(name);
}

/// In a child: a server that does not make its control ring anew.
pub(crate) fn serve_without_renewal(name: ServerName) {
    guards::take_out(Guard::Renewal);
    serve(name);
}

/// In a child: a server, until it is killed.
fn serve(name: ServerName) {
    let server = Server::start(Config { name, ..config() }).unwrap();
    announce("ready");
    thread::sleep(Duration::from_secs(60));
    drop(server);
}

#[test]
fn a_client_whose_reply_ring_is_truncated_is_dropped_and_nobody_else_is() {
    for len in [0, 4096] {
        let server = TestServer::start();
        let mut ann = server.client("ann");
        ann.join("lobby");
        let bob = Process::start(server.name(), "bob", "member");
        ann.next_of(Kind::Joined);
        let own = format!(".reply.{}-", bob.pid());
        let reply = names_of(server.name()).into_iter().find(|name| name.contains(&own)).unwrap();
        truncate(&path(&RingName::new(&reply).unwrap()), len);
        // The broadcaster writes into it.
        for n in 0..50 {
            let said = ann.say(&format!("{n}"));
            ann.ok(said);
        }
        let left = ann.next_of(Kind::Left);
        assert!([LeaveReason::Misbehaved.wire(), LeaveReason::Died.wire()].contains(&left.code), "{left:?}");
        eventually("nothing left of bob", || server.stats().clients == 1);
        assert!(server.is_running());
    }
}

#[test]
fn without_the_guard_a_truncated_reply_ring_ends_the_server() {
    let name = unique_name();
    let server = Process::start(&name, "nobody", "serve-mortal");
    let ann = Client::connect(&name, "ann");
    truncate(&path(ann.ring.name().unwrap()), 0);
    // Liveness looks at its heartbeat.
    assert_eq!(server.end().signal(), Some(Signal::SIGBUS as i32));
    drop(ann);
    for name in names_of(&name) {
        remove_dead(&RingName::new(&name).unwrap()).unwrap();
    }
}

#[test]
fn a_server_stops_although_somebody_never_stops_scribbling_over_the_control_ring() {
    let server = TestServer::start();
    let path = path(&control_ring(server.name()));
    // All the slots: each that the server steps over is garbage again a moment later.
    let slots = 256 * u64::from(Config::default().control_capacity);
    let begin = std::fs::metadata(&path).unwrap().len() - slots;
    let random = RandomState::new();
    let garbage: Vec<u8> = (0..slots / 8).flat_map(|word| random.hash_one(word).to_ne_bytes()).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Whichever has the name: the server makes a new one each time.
                if let Ok(file) = OpenOptions::new().write(true).open(&path) {
                    file.write_all_at(&garbage, begin).unwrap();
                }
            }
        });
        eventually("damage", || server.stats().damaged > 0);
        server.stop();
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_origin_that_another_process_bears_is_not_borne_twice() {
    let server = TestServer::start();
    let mut bob = server.client("bob");
    bob.join("lobby");
    let mut ann = Hello::new(server.name(), "ann").with_origin(77);
    ann.join("lobby");
    let _mallory = Process::start(server.name(), "mallory", "mimic-77");
    let hush = bob.hear(Kind::Message);
    assert_eq!((hush.nick.as_str(), hush.record.origin()), ("mallory", 0), "what ann says next is not old");
    let mut text = ann.command(Kind::Say, "", "still here");
    text.number = 5;
    ann.push(&text);
    let heard = bob.hear(Kind::Message);
    assert_eq!((heard.nick.as_str(), heard.record.origin(), heard.record.command), ("ann", 77, 5));
    // Her own process may bear it again, for instance in the session that follows this one.
    let mut again = Hello::new(server.name(), "ann2").with_origin(77);
    again.join("lobby");
    again.send(Kind::Say, "me, too");
    assert_eq!(bob.hear(Kind::Message).record.origin(), 77);
}
