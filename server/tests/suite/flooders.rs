//! Processes that flood the control ring beside honest clients: what is asserted is counted, not timed.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::chat::{
    ErrorCode, Kind, LeaveReason, OverflowPolicy, Record, ServerName, control_ring, reply_ring,
};
use halyard_ring::{Producer, Ring};
use halyard_server::Config;

use crate::children::{Process, announce};
use crate::fairness::{BETWEEN, Enough, HONEST, ask, delays};
use crate::hostile::path;
use crate::support::{Client, Hello, PATIENCE, TestServer, config, eventually};

/// Records that a flooder pushes before it looks at anything else.
const BURST: u32 = 256;
/// Where the control ring's owner table begins, and how large an entry is: docs/protocol.md, section 2.
const OWNERS_OFFSET: u64 = 1024;
const OWNER_SIZE: u64 = 64;

/// Pushes commands as fast as it can and heeds nothing.
fn push_on(control: &mut Producer<Record>, ping: &mut Record) {
    for _ in 0..BURST {
        ping.command += 1;
        let _ = control.try_push_prefix(ping, ping.used());
    }
}

/// In a child: floods until it is thrown out, says when each of its commands that were carried out was, and then that it
/// is not let in, and when it is again.
pub(crate) fn flood(server: &ServerName, nick: &str) {
    let hello = || Hello { capacity: 1 << 15, policy: OverflowPolicy::Drop, ..Hello::new(server, nick) };
    let mut flooder = hello().connect();
    announce("ready");
    let mut ping = flooder.command(Kind::Ping, "", "");
    let mut served = Vec::new();
    let mut is_out = false;
    let end = Instant::now() + PATIENCE;
    while !is_out {
        assert!(Instant::now() < end, "nobody throws it out");
        push_on(&mut flooder.control, &mut ping);
        while let Some(record) = flooder.read(Duration::ZERO) {
            if record.kind == Kind::Ack.wire() {
                served.push(record.routed_ns.to_string());
            }
            is_out |= record.kind == Kind::Goodbye.wire();
            assert!(!is_out || record.code == LeaveReason::Flooded.wire(), "{record:?}");
        }
    }
    announce(&format!("served {}", served.join(" ")));
    let refused = hello().try_connect().err().expect("its process is barred");
    assert_eq!(refused.code, ErrorCode::Barred.wire(), "{refused:?}");
    announce("barred");
    while let Err(refused) = hello().try_connect() {
        assert_eq!(refused.code, ErrorCode::Barred.wire(), "{refused:?}");
        thread::sleep(Duration::from_millis(10));
    }
    announce("let in again");
}

/// In a child: floods in the name of the session whose id and token `whose` says, until it is killed.
pub(crate) fn flood_as(server: &ServerName, whose: &str) {
    let (id, token) = whose.split_once(' ').unwrap();
    let mut control = Ring::<Record>::open(&control_ring(server)).unwrap().producer().unwrap();
    let mut ping = Record::new(Kind::Ping);
    (ping.client, ping.generation) = (id.parse().unwrap(), token.parse().unwrap());
    ping.command = 1000;
    announce("ready");
    loop {
        push_on(&mut control, &mut ping);
    }
}

/// In a child: connects, writes the server's process into its entry of the owner table, and floods until it is killed.
pub(crate) fn flood_under_a_forged_entry(server: &ServerName, nick: &str) {
    let file = OpenOptions::new().read(true).write(true).open(path(&control_ring(server))).unwrap();
    let entry = |number: u64| OWNERS_OFFSET + number * OWNER_SIZE;
    let words = || {
        let word = |number| {
            let mut word = [0; 8];
            file.read_exact_at(&mut word, entry(number)).unwrap();
            word
        };
        (0..=64).map(word).collect::<Vec<[u8; 8]>>()
    };
    let before = words();
    let mut flooder = Client::connect(server, nick);
    let own = (0..).zip(words().iter().zip(&before)).find(|(_, (now, before))| now != before).unwrap().0;
    // Entry 0 is the server's.
    file.write_all_at(&before[0], entry(own)).unwrap();
    announce("ready");
    let mut ping = flooder.command(Kind::Ping, "", "");
    loop {
        push_on(&mut flooder.control, &mut ping);
        while flooder.read(Duration::ZERO).is_some() {}
    }
}

/// In a child: says HELLO as fast as it can, each time for a reply ring that is not there, until it is killed.
pub(crate) fn flood_hellos(server: &ServerName) {
    let mut control = Ring::<Record>::open(&control_ring(server)).unwrap().producer().unwrap();
    announce("ready");
    for n in 0.. {
        let ring = reply_ring(server, &format!("none-{}-{n}", std::process::id())).unwrap();
        let hello = Record::hello("nobody", ring.as_str(), OverflowPolicy::Drop, 0, n);
        let _ = control.try_push_prefix(&hello, hello.used());
    }
}

/// Asks, one question after the other, until told to stop.
fn keep_asking(client: &mut Client, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        client.sync();
        client.seen.clear();
    }
}

#[test]
fn a_flooding_process_has_its_share_until_it_is_thrown_out_and_is_let_in_when_its_time_is_over() {
    let bar = Duration::from_millis(300);
    let server = TestServer::with(Config { broadcasters: 1, window: 8192, bar, ..config() });
    let mut honest: Vec<_> = (0..HONEST).map(|n| server.client(&format!("honest{n}"))).collect();
    let stop = AtomicBool::new(false);
    let (passages, served) = thread::scope(|scope| {
        let _enough = Enough(&stop);
        let stop = &stop;
        let asking: Vec<_> = honest
            .iter_mut()
            .map(|client| {
                scope.spawn(move || {
                    let mut passages = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        passages.extend(ask(client, 1).1);
                        client.seen.clear();
                    }
                    passages
                })
            })
            .collect();
        let mut flooder = Process::start(server.name(), "flooder", "flood");
        let line = flooder.wait_for("served");
        let begun = Instant::now();
        flooder.wait_for("barred");
        flooder.wait_for("let in again");
        // What is too soon is told by the clock; that it is not too late, by that it is there.
        assert!(begun.elapsed() >= bar / 2, "let in after {:?}", begun.elapsed());
        assert!(flooder.join());
        stop.store(true, Ordering::Relaxed);
        let passages: Vec<_> = asking.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let served = line.split_ascii_whitespace().skip(1).map(|ns| ns.parse().unwrap());
        (passages, served.collect::<Vec<u64>>())
    });
    let stats = server.stats();
    assert_eq!(stats.barred, 1);
    assert!(stats.flooded > 64 * 8192, "{stats:?}");
    // Those that lay in the ring while it flooded.
    let (first, last) = (served[0], served[served.len() - 1]);
    let beside: Vec<_> =
        passages.into_iter().filter(|&(pushed, routed)| routed > first && pushed < last).collect();
    let delays = delays(&beside, &served);
    println!("{} of its commands carried out beside {} of the honest", served.len(), beside.len());
    assert!(!delays.is_empty());
    let p98 = delays[delays.len() * 98 / 100];
    assert!(p98 <= BETWEEN, "{p98} of the flooder's commands before an honest one");
}

/// Somebody floods in such a way that the router cannot know who it is; bob asks all the time.
fn flooded_by(server: &TestServer, nick: &str, role: &str) {
    let mut bob = server.client("bob");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _enough = Enough(&stop);
        scope.spawn(|| keep_asking(&mut bob, &stop));
        let flooder = Process::start(server.name(), nick, role);
        // Three times as much as whoever has a name is thrown out for.
        eventually("a flood", || server.stats().flooded > 3 * 64 * 64);
        drop(flooder);
    });
    assert_eq!(server.stats().barred, 0, "nobody knows who it was");
    bob.sync();
}

#[test]
fn whose_id_and_token_another_process_floods_under_is_not_thrown_out_for_it() {
    let server = TestServer::with(Config { broadcasters: 1, window: 64, ..config() });
    let mut ann = Hello { capacity: 1 << 15, ..Hello::new(server.name(), "ann") }.connect();
    flooded_by(&server, &format!("{} {}", ann.id, ann.token), "flood-as");
    // The flooder has used up her numbers.
    ann.next = 1 << 40;
    ann.sync();
}

#[test]
fn a_flooder_that_names_another_process_in_the_owner_table_is_refused_and_nobody_is_thrown_out_for_it() {
    let server = TestServer::with(Config { broadcasters: 1, window: 64, ..config() });
    flooded_by(&server, "flooder", "flood-forged");
    // It was killed, and that is all that ends it.
    eventually("the flooder's end", || server.stats().clients == 1);
}

#[test]
fn processes_that_flood_hellos_keep_nobody_out() {
    let server = TestServer::with(Config { broadcasters: 1, ..config() });
    let flooders: Vec<_> = (0..2).map(|_| Process::start(server.name(), "nobody", "flood-hellos")).collect();
    eventually("a flood", || server.stats().refused > 5000);
    for n in 0..5 {
        let mut honest = server.client(&format!("honest{n}"));
        honest.sync();
        honest.quit();
    }
    drop(flooders);
    assert_eq!(server.stats().connected, 5);
}
