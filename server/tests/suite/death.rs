//! Clients that end without a word.

use std::time::{Duration, Instant};

use halyard_ring::chat::{Kind, LeaveReason, Record, control_ring};
use halyard_ring::{Beat, Ring, RingView, list_names};
use halyard_server::Config;
use nix::sys::signal::Signal;

use crate::children::Process;
use crate::restarts::{Starter, await_serving};
use crate::support::{Client, Hello, TestServer, config, eventually, unique_name};

#[test]
fn a_killed_client_leaves_its_room_and_nothing_in_shared_memory() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let child = Process::start(server.name(), "victim", "member");
    let joined = ann.next_of(Kind::Joined);
    let info = server.clients().into_iter().find(|client| client.nick == "victim").unwrap();
    assert_eq!(info.pid, child.pid());
    child.signal(Signal::SIGKILL);
    let left = ann.next_of(Kind::Left);
    assert_eq!((left.client, left.code, left.count), (joined.client, LeaveReason::Died.wire(), 1));
    eventually("reply ring removed", || {
        let reply = format!("{}.reply.{}-", server.name(), child.pid());
        !list_names().unwrap().iter().any(|name| name.as_str().starts_with(&reply))
    });
    eventually("its end counted", || (server.stats().clients, server.stats().died) == (1, 1));
    // The nick is free, and so is the entry in the control ring's owner table.
    server.client("victim");
    eventually("owner entry freed", || {
        let view = RingView::open(&control_ring(server.name())).unwrap().inspect();
        !view.producers.iter().any(|producer| producer.process.pid() == child.pid())
    });
}

#[test]
fn the_nick_of_a_client_that_was_killed_a_moment_ago_can_be_taken_at_once() {
    let server = TestServer::start();
    for _ in 0..5 {
        let child = Process::start(server.name(), "phoenix", "member");
        child.signal(Signal::SIGKILL);
        assert!(!child.join());
        // Whether liveness was faster or not.
        Hello::new(server.name(), "phoenix").try_connect().unwrap().quit();
    }
}

#[test]
fn a_client_whose_heartbeat_stops_is_told_goodbye() {
    let hang = Duration::from_secs(2);
    let server = TestServer::with(Config { heartbeat: Duration::from_millis(100), hang, ..config() });
    let child = Process::start(server.name(), "sleeper", "member");
    child.signal(Signal::SIGSTOP);
    eventually("hung", || server.stats().died == 1);
    eventually("its session ended", || server.clients().is_empty());
    child.signal(Signal::SIGCONT);
    assert!(child.join(), "it reads GOODBYE and finds its ring closed");
}

#[test]
fn the_others_hear_that_a_client_hung_and_it_hears_it_too() {
    let config = Config { heartbeat: Duration::from_millis(50), hang: Duration::from_secs(1), ..config() };
    let server = TestServer::with(config);
    let mut hung = server.client("hung");
    hung.join("lobby");
    let mut ann = server.client("ann");
    ann.join("lobby");
    let left = loop {
        // Reading beats.
        if let Some(record) = ann.read(Duration::from_millis(20))
            && record.kind == Kind::Left.wire()
        {
            break record;
        }
    };
    assert_eq!((left.client, left.code), (hung.id, LeaveReason::Hung.wire()));
    assert_eq!(hung.next_of(Kind::Goodbye).code, LeaveReason::Hung.wire());
}

/// A server process that is stopped for longer than a client may be silent, and its client with it.
#[test]
fn a_server_that_was_stopped_does_not_take_clients_for_hung_that_were_stopped_with_it() {
    let (name, beat, hang) = (unique_name(), Duration::from_millis(20), Duration::from_millis(600));
    let mut server = Starter::with(&name, &["--heartbeat", "20ms", "--hang", "600ms"]);
    await_serving(&name, &mut server);
    let control = Ring::<Record>::open(&control_ring(&name)).unwrap();
    for attempt in 0.. {
        let mut ann = Client::connect(&name, &format!("ann{attempt}"));
        server.signal(Signal::SIGSTOP);
        std::thread::sleep(hang + 2 * beat);
        server.signal(Signal::SIGCONT);
        let back = Instant::now();
        // It stamps its own heartbeat, and then looks at those of the others.
        eventually("goes on", || control.last_beat(Beat::Creator).is_some_and(|age| age < back.elapsed()));
        std::thread::sleep(3 * beat);
        ann.ring.beat(Beat::Creator);
        if back.elapsed() < hang / 2 {
            ann.sync();
            break;
        }
        // This thread came too late to say that it lives: again.
        assert!(attempt < 20, "never in time");
    }
    server.signal(Signal::SIGTERM);
    eventually("it ends", || server.ended().is_some());
}

/// Says things until they come back, and returns the longest time that one took.
fn slowest_of(ann: &mut Client, count: u32) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let began = Instant::now();
        let said = ann.say("tick");
        ann.ok(said);
        ann.hear(Kind::Message);
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

#[test]
fn a_client_stopped_in_the_middle_of_a_command_is_passed_over_and_may_come_back() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let mut child = Process::start(server.name(), "claimant", "claimant");
    // It stopped itself, or is about to, with a claim in hand. The others' commands go past it.
    slowest_of(&mut ann, 20);
    let view = RingView::open(&control_ring(server.name())).unwrap();
    let counters = view.inspect().counters;
    assert_eq!((counters.voids, counters.quarantined), (1, 1));
    ann.seen.clear();
    child.signal(Signal::SIGCONT);
    child.wait_for("published");
    assert_eq!(ann.hear(Kind::Message).text, "from the claimant");
    let counters = view.inspect().counters;
    assert_eq!((counters.voids, counters.quarantined), (1, 0));
}

#[test]
fn a_client_killed_in_the_middle_of_a_command_holds_up_nobody() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    ann.join("lobby");
    let child = Process::start(server.name(), "claimant", "claimant");
    ann.next_of(Kind::Joined);
    child.signal(Signal::SIGKILL);
    slowest_of(&mut ann, 20);
    assert_eq!(ann.next_of(Kind::Left).code, LeaveReason::Died.wire());
    let view = RingView::open(&control_ring(server.name())).unwrap();
    eventually("nothing in quarantine", || view.inspect().counters.quarantined == 0);
    // Once around the ring, over the slot that it held.
    let laps = u64::from(config().control_capacity) + 10;
    for _ in 0..laps {
        ann.sync();
        ann.seen.clear();
    }
}

#[test]
fn a_client_that_closes_its_ring_without_quit_is_gone() {
    let server = TestServer::with(Config { heartbeat: Duration::from_millis(20), ..config() });
    let (mut ann, bob) = (server.client("ann"), server.client("bob"));
    ann.join("lobby");
    drop(bob);
    eventually("noticed", || server.stats().clients == 1);
    assert_eq!(server.stats().died, 1);
}
