//! The router delivers by itself while a broadcaster is idle: nobody can tell from what arrives.

use halyard_ring::chat::{Kind, OverflowPolicy};
use halyard_server::Config;

use crate::support::{Client, Hello, TestServer, body, config, eventually};

/// (kind, text) of what a client has seen about the one with this id, as it came.
fn about(client: &Client, id: u32) -> Vec<(u16, String)> {
    let of = client.seen.iter().filter(|record| record.client == id && record.kind != Kind::Ack.wire());
    of.map(|record| (record.kind, body(record).1.to_owned())).collect()
}

/// What a server did by way of its router (`true`) or its broadcasters' threads.
fn jobs(server: &TestServer, direct: bool) -> u64 {
    server.stats().broadcasters.iter().map(|b| if direct { b.direct } else { b.jobs }).sum()
}

/// A client enters, says things, long ones too, and leaves, all without waiting; everybody must get all of it in this
/// order. With a limit of 1 the answers and memberships go the one way and the messages the other.
///
/// In a room of 8 members and more its messages are delivered together, where they come together.
fn comes_and_goes(direct: u32, anchors: usize) -> (u64, u64) {
    let server = TestServer::with(Config { direct, ..config() });
    let patient = |nick: &str| {
        Hello { capacity: 512, policy: OverflowPolicy::Spill, ..Hello::new(server.name(), nick) }.connect()
    };
    let mut anchors: Vec<_> = (0..anchors).map(|n| patient(&format!("a{n}"))).collect();
    for anchor in &mut anchors {
        anchor.join("lobby");
    }
    let mut mover = patient("mover");
    let long = "y".repeat(400);
    for round in 0..150 {
        mover.seen.clear();
        let joined = mover.send(Kind::Join, "lobby");
        for n in 0..4 {
            mover.say(&format!("{round}.{n}"));
        }
        mover.say(&long);
        let left = mover.send(Kind::Leave, "");
        mover.ok(left);
        mover.ok(joined);
        let messages = mover.seen.iter().filter(|record| record.kind == Kind::Message.wire());
        let texts: Vec<String> = messages.map(|record| body(record).1.to_owned()).collect();
        assert_eq!(texts[..4], [0, 1, 2, 3].map(|n| format!("{round}.{n}")), "round {round}");
        assert_eq!(texts[4..].concat(), long, "round {round}");
        for anchor in &mut anchors {
            anchor.seen.clear();
            let told = anchor.next_of(Kind::Left);
            let seen = about(anchor, mover.id);
            assert_eq!(told.client, mover.id);
            assert_eq!(seen[0].0, Kind::Joined.wire(), "round {round}");
            let said: Vec<&str> = seen[1..].iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(said[..4], texts[..4], "round {round}");
            assert_eq!(said[4..].concat(), long, "round {round}");
        }
    }
    (jobs(&server, true), jobs(&server, false))
}

#[test]
fn the_order_is_the_same_whoever_delivers() {
    for anchors in [4, 12] {
        let (direct, _) = comes_and_goes(u32::MAX, anchors);
        assert!(direct > 0, "an idle broadcaster's work is done by the router");
        let (direct, queued) = comes_and_goes(1, anchors);
        assert!(direct > 0 && queued > 0, "{direct} and {queued}: both ways");
        let (direct, queued) = comes_and_goes(0, anchors);
        assert!(direct == 0 && queued > 0, "{direct} and {queued}");
    }
}

#[test]
fn who_has_no_room_for_all_of_a_burst_gets_the_rest_later_and_the_others_all_of_it_at_once() {
    for direct in [u32::MAX, 0] {
        let server = TestServer::with(Config { broadcasters: 1, direct, ..config() });
        let with_ring = |nick: &str, capacity: u32| {
            let hello = Hello { capacity, policy: OverflowPolicy::Spill, ..Hello::new(server.name(), nick) };
            hello.connect()
        };
        let mut ann = with_ring("ann", 1024);
        ann.join("lobby");
        // Every third has a ring that is full in the middle of it.
        let mut others: Vec<_> =
            (0..12).map(|n| with_ring(&format!("m{n}"), if n % 3 == 0 { 32 } else { 256 })).collect();
        for other in &mut others {
            other.join("lobby");
        }
        let said: Vec<u64> = (0..100).map(|n| ann.say(&n.to_string())).collect();
        for (n, command) in said.into_iter().enumerate() {
            let answer = ann.ok(command);
            let own = ann.seen.iter().filter(|record| record.kind == Kind::Message.wire());
            assert!(own.count() > n, "a message is delivered before it is answered");
            assert_eq!(answer.room_seq, n as u64 + 1);
        }
        for other in &mut others {
            let heard: Vec<String> = (0..100).map(|_| other.hear(Kind::Message).text).collect();
            assert_eq!(heard, (0..100).map(|n| n.to_string()).collect::<Vec<_>>(), "direct {direct}");
        }
    }
}

#[test]
fn what_a_slow_client_leaves_to_the_router_is_looked_after() {
    let server = TestServer::with(Config { broadcasters: 1, direct: u32::MAX, ..config() });
    let mut ann = server.client("ann");
    let slow = Hello { capacity: 32, policy: OverflowPolicy::Spill, ..Hello::new(server.name(), "slow") };
    let mut slow = slow.connect();
    ann.join("lobby");
    slow.join("lobby");
    for n in 0..100 {
        let said = ann.say(&n.to_string());
        ann.ok(said);
        ann.seen.clear();
    }
    eventually("the thread has been told", || server.stats().broadcasters[0].lagging == 1);
    // Nothing more is sent: only the broadcaster's thread can bring the rest.
    let heard: Vec<String> = (0..100).map(|_| slow.hear(Kind::Message).text).collect();
    assert_eq!(heard, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(server.stats().broadcasters[0].direct > 100);
}
