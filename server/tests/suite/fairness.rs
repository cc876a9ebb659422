//! One client floods the control ring, ten honest ones share the server with it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::chat::{ErrorCode, Kind, LeaveReason, OverflowPolicy};
use halyard_ring::monotonic_ns;
use halyard_server::Config;

use crate::support::{Client, Hello, TestServer, config, eventually};

pub(crate) const HONEST: usize = 10;
/// Commands of each honest client, one after the other.
const EACH: usize = 300;
/// How many of the flooder's commands may be carried out while an honest one lies in the ring: about two rounds' worth
/// of its share. Without shares it is as many as the ring holds, 4,096.
pub(crate) const BETWEEN: usize = 512;

/// One honest command: when it lay in the ring, and when the router took it.
pub(crate) type Passage = (u64, u64);

/// Asks again and again and waits for each answer: how long each took, and its passage.
pub(crate) fn ask(client: &mut Client, each: usize) -> (Vec<Duration>, Vec<Passage>) {
    let mut all = (Vec::new(), Vec::new());
    for _ in 0..each {
        let began = Instant::now();
        let ping = client.send(Kind::Ping, "");
        let pushed_ns = monotonic_ns();
        let answer = client.ok(ping);
        all.0.push(began.elapsed());
        all.1.push((pushed_ns, answer.routed_ns));
    }
    all
}

fn ask_all(clients: &mut [Client], each: usize) -> (Vec<Duration>, Vec<Passage>) {
    thread::scope(|scope| {
        let threads: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(move || ask(client, each))).collect();
        let mut all = (Vec::new(), Vec::new());
        for thread in threads {
            let (took, passages) = thread.join().unwrap();
            all.0.extend(took);
            all.1.extend(passages);
        }
        all.0.sort_unstable();
        all
    })
}

/// Pushes as fast as it can and obeys no window, and begins again when it is thrown out. Notes when each of its
/// commands that was carried out was.
fn flood(server: &TestServer, stop: &AtomicBool, handled_ns: &Mutex<Vec<u64>>) -> u64 {
    let mut thrown_out = 0;
    while !stop.load(Ordering::Relaxed) {
        let hello =
            Hello { capacity: 1 << 15, policy: OverflowPolicy::Drop, ..Hello::new(server.name(), "flooder") };
        let Ok(mut flooder) = hello.try_connect() else {
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let Client { id, token, .. } = flooder;
        let (ring, over) = (flooder.ring.clone(), AtomicBool::new(false));
        let mut control = halyard_ring::Ring::<halyard_ring::chat::Record>::open(
            &halyard_ring::chat::control_ring(server.name()),
        )
        .unwrap()
        .producer()
        .unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut ping = halyard_ring::chat::Record::new(Kind::Ping);
                (ping.client, ping.generation) = (id, token);
                for command in 2.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    ping.command = command;
                    let _ = control.try_push_prefix(&ping, ping.used());
                }
            });
            while !ring.is_closed() && !stop.load(Ordering::Relaxed) {
                if let Some(record) = flooder.read(Duration::from_millis(1)) {
                    note(&record, handled_ns);
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        while let Some(record) = flooder.read(Duration::ZERO) {
            note(&record, handled_ns);
            let flooded = record.kind == Kind::Goodbye.wire() && record.code == LeaveReason::Flooded.wire();
            thrown_out += u64::from(flooded);
        }
    }
    thrown_out
}

fn note(record: &halyard_ring::chat::Record, handled_ns: &Mutex<Vec<u64>>) {
    if record.kind == Kind::Ack.wire() {
        handled_ns.lock().unwrap().push(record.routed_ns);
    }
}

/// How many of a flooder's commands were carried out while each honest one lay in the ring, from fewest to most.
/// `handled_ns`: when each of the flooder's was, in order.
pub(crate) fn delays(passages: &[Passage], handled_ns: &[u64]) -> Vec<usize> {
    let before = |at: u64| handled_ns.partition_point(|&handled| handled < at);
    let between = |&(pushed, routed): &Passage| before(routed).saturating_sub(before(pushed));
    let mut delays: Vec<usize> = passages.iter().map(between).collect();
    delays.sort_unstable();
    delays
}

/// Whatever happens, the flood ends.
pub(crate) struct Enough<'a>(pub(crate) &'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

#[test]
fn a_flooder_takes_no_more_than_its_share() {
    let server = TestServer::with(Config { broadcasters: 1, ..config() });
    let mut honest: Vec<_> = (0..HONEST).map(|n| server.client(&format!("honest{n}"))).collect();
    let (alone, _) = ask_all(&mut honest, EACH);
    // What the flooder takes besides its share of the server is a processor, like any other busy program.
    let over = AtomicBool::new(false);
    let (busy, _) = thread::scope(|scope| {
        let _enough = Enough(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        ask_all(&mut honest, EACH)
    });
    let (stop, handled_ns) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (flooded, passages, thrown_out) = thread::scope(|scope| {
        let flooder = scope.spawn(|| flood(&server, &stop, &handled_ns));
        let _enough = Enough(&stop);
        let before = server.stats().received;
        eventually("a flood", || server.stats().received > before + 10_000);
        let (took, passages) = ask_all(&mut honest, EACH);
        stop.store(true, Ordering::Relaxed);
        (took, passages, flooder.join().unwrap())
    });
    let handled_ns = handled_ns.into_inner().unwrap();
    let delays = delays(&passages, &handled_ns);
    let stats = server.stats();
    println!(
        "honest p99: {:?} alone, {:?} beside a busy thread, {:?} beside a flooder; the flooder's commands carried out while an honest one waited: \
         p50 {}, p99 {}, most {}; {} carried out in all, {} refused, thrown out {thrown_out} times",
        p99(&alone),
        p99(&busy),
        p99(&flooded),
        delays[delays.len() / 2],
        delays[delays.len() * 99 / 100],
        delays[delays.len() - 1],
        handled_ns.len(),
        stats.flooded
    );
    assert_eq!(passages.len(), HONEST * EACH, "everybody was served");
    // A few may be more: if this machine stops all of the honest for a second, the flooder counts as alone.
    let p98 = delays[delays.len() * 98 / 100];
    assert!(p98 <= BETWEEN, "{p98} of the flooder's commands before an honest one");
    assert!(stats.flooded > 0);
}

/// Obeys the window of the client library, 32 commands, and has all of it under way at any time. Returns how many were
/// answered.
fn press(client: &mut Client, stop: &AtomicBool) -> u64 {
    let (mut answered, mut sent) = (0, 0);
    while !stop.load(Ordering::Relaxed) || answered < sent {
        while sent < answered + 32 && !stop.load(Ordering::Relaxed) {
            client.send(Kind::Ping, "");
            sent += 1;
        }
        let answer = client.read(Duration::from_secs(20)).expect("every command is answered");
        answered += u64::from(answer.kind == Kind::Ack.wire());
    }
    answered
}

#[test]
fn who_always_has_a_window_under_way_is_paced_while_others_ask_and_every_command_is_answered() {
    let rounds = std::env::var("HALYARD_FLOOD_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap());
    // A measurement takes some more.
    let each = if rounds > 1 { 10 * EACH } else { EACH };
    let server = TestServer::with(Config { broadcasters: 1, ..config() });
    let mut honest: Vec<_> = (0..HONEST).map(|n| server.client(&format!("honest{n}"))).collect();
    let mut flooder = server.client("flooder");
    for round in 0..rounds {
        // Alternately, so that what else the machine does meets both.
        let (alone, _) = ask_all(&mut honest, each);
        let (stop, before, begun) = (AtomicBool::new(false), server.stats().paced, Instant::now());
        let (flooded, answered) = thread::scope(|scope| {
            let flooder = scope.spawn(|| press(&mut flooder, &stop));
            let _enough = Enough(&stop);
            let mut flooded = Vec::new();
            // Judged by a period in which others were there: a machine that is too busy for that gets some more.
            let end = begun + Duration::from_secs(20);
            while server.stats().paced == before {
                assert!(Instant::now() < end, "nobody was paced");
                flooded = ask_all(&mut honest, EACH).0;
            }
            if rounds > 1 {
                flooded = ask_all(&mut honest, each).0;
            }
            stop.store(true, Ordering::Relaxed);
            (flooded, flooder.join().unwrap())
        });
        let (p50, stats) = (|sorted: &[Duration]| sorted[sorted.len() / 2], server.stats());
        println!(
            "round {round}: honest p50 {:?} alone, {:?} beside a flooder; p99 {:?}, {:?}; the flooder had {answered} answers in {:?}, in {} turns",
            p50(&alone),
            p50(&flooded),
            p99(&alone),
            p99(&flooded),
            begun.elapsed(),
            stats.paced - before
        );
        assert_eq!(stats.flooded, 0, "it kept to its window");
    }
}

#[test]
fn whoever_floods_without_end_is_thrown_out_and_the_others_hear_why() {
    let server = TestServer::with(Config { broadcasters: 1, window: 64, ..config() });
    let (mut ann, mut flooder) = (server.client("ann"), server.client("flooder"));
    ann.join("lobby");
    flooder.join("lobby");
    let left = thread::scope(|scope| {
        let (control, ring) = (&mut flooder.control, &flooder.ring);
        let mut ping = halyard_ring::chat::Record::new(Kind::Ping);
        (ping.client, ping.generation) = (flooder.id, flooder.token);
        scope.spawn(move || {
            for command in 10.. {
                if ring.is_closed() {
                    return;
                }
                ping.command = command;
                let _ = control.try_push_prefix(&ping, ping.used());
            }
        });
        loop {
            // The honest one's commands are what makes it a flood.
            ann.sync();
            if let Some(index) = ann.seen.iter().position(|record| record.kind == Kind::Left.wire()) {
                break ann.seen.remove(index).unwrap();
            }
            ann.seen.clear();
        }
    });
    assert_eq!((left.client, left.code), (flooder.id, LeaveReason::Flooded.wire()));
    assert!(server.stats().flooded > 0);
    assert_eq!(server.stats().barred, 1);
    ann.sync();
    // Its process is not let in again at once, and is told for how long; those who are there stay.
    let refused = Hello::new(server.name(), "flooder").try_connect().err().expect("barred");
    assert_eq!(refused.code, ErrorCode::Barred.wire());
    assert!(refused.check().unwrap().text.contains("thrown out for flooding"));
    ann.sync();
}
