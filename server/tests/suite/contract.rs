//! The delivery contract: every member exactly once, in the room's order, and nobody else, under concurrency.

use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;

use halyard_ring::chat::{Kind, OverflowPolicy, Record};

use crate::support::{Client, Hello, PATIENCE, TestServer, body};

/// A client that never loses anything for want of space.
fn patient(server: &TestServer, nick: &str) -> Client {
    Hello { capacity: 1024, policy: OverflowPolicy::Spill, ..Hello::new(server.name(), nick) }.connect()
}

/// (sequence number, sender, text) of each message seen.
fn messages(client: &mut Client) -> Vec<(u64, u32, String)> {
    let said = |record: &Record| (record.room_seq, record.client, body(record).1.to_owned());
    client.seen.iter().filter(|record| record.kind == Kind::Message.wire()).map(said).collect()
}

#[test]
fn all_members_hear_all_messages_once_in_one_order() {
    const CLIENTS: usize = 6;
    const EACH: usize = 500;
    let server = TestServer::start();
    let mut clients: Vec<_> = (0..CLIENTS).map(|n| patient(&server, &format!("n{n}"))).collect();
    for client in &mut clients {
        client.join("lobby");
    }
    assert!(server.stats().broadcasters.iter().all(|broadcaster| broadcaster.clients == 3));
    let start = Barrier::new(CLIENTS);
    let heard: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for n in 0..EACH {
                        client.say(&format!("{n}"));
                    }
                    while client.count(Kind::Message) < CLIENTS * EACH {
                        let record = client.read(PATIENCE).expect("a message is missing");
                        client.seen.push_back(record);
                    }
                    client.sync();
                    messages(client)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let order = &heard[0];
    assert_eq!(order.len(), CLIENTS * EACH);
    let mut next: HashMap<u32, usize> = HashMap::new();
    for (index, (seq, sender, text)) in order.iter().enumerate() {
        assert_eq!(*seq, index as u64 + 1, "numbered without holes");
        let next = next.entry(*sender).or_default();
        assert_eq!(*text, next.to_string(), "each sender's messages in its own order");
        *next += 1;
    }
    assert!(heard.iter().all(|other| other == order), "every member hears the same");
}

#[test]
fn a_member_hears_exactly_what_was_sequenced_while_it_was_one() {
    const ROUNDS: usize = 60;
    let server = TestServer::start();
    let mut talkers = [patient(&server, "t0"), patient(&server, "t1")];
    let mut movers = [patient(&server, "m0"), patient(&server, "m1")];
    for talker in &mut talkers {
        talker.join("lobby");
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for talker in &mut talkers {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let said = talker.say("tick");
                    talker.ok(said);
                    talker.seen.clear();
                }
            });
        }
        let threads: Vec<_> = movers
            .iter_mut()
            .map(|mover| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        mover.seen.clear();
                        let joined = mover.join("lobby");
                        for _ in 0..round % 4 {
                            let said = mover.say("move");
                            mover.ok(said);
                        }
                        let left = mover.send(Kind::Leave, "");
                        mover.ok(left);
                        mover.sync();
                        // From the message after its JOIN to the last before its LEAVE, each once, in order.
                        let heard: Vec<_> = messages(mover).iter().map(|message| message.0).collect();
                        let first = joined.room_seq + 1;
                        assert_eq!(heard, (first..first + heard.len() as u64).collect::<Vec<_>>());
                        let own = mover.id;
                        let mine = messages(mover).iter().filter(|message| message.1 == own).count();
                        assert_eq!(mine, round % 4);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn rooms_do_not_hear_each_other() {
    let server = TestServer::start();
    let mut clients: Vec<_> = (0..8).map(|n| patient(&server, &format!("n{n}"))).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.join(&format!("room{}", index % 4));
    }
    for _ in 0..50 {
        for (index, client) in clients.iter_mut().enumerate() {
            client.say(&format!("room{}", index % 4));
        }
    }
    for client in &mut clients {
        client.sync();
    }
    for (index, client) in clients.iter_mut().enumerate() {
        // What others said before their own sync is on its way at most to the inbox in front of this one.
        client.sync();
        let heard = messages(client);
        assert_eq!(heard.len(), 100);
        assert!(heard.iter().all(|(_, _, text)| *text == format!("room{}", index % 4)));
    }
}

#[test]
fn the_others_hear_of_coming_and_going_between_the_right_messages() {
    let server = TestServer::start();
    let (mut ann, mut bob) = (patient(&server, "ann"), patient(&server, "bob"));
    ann.join("lobby");
    for _ in 0..20 {
        bob.join("lobby");
        let said = bob.say("hi");
        bob.ok(said);
        let left = bob.send(Kind::Leave, "");
        bob.ok(left);
    }
    ann.sync();
    let kinds: Vec<_> =
        ann.seen.iter().filter(|record| record.client == bob.id).map(|record| record.kind).collect();
    let round = [Kind::Joined, Kind::Message, Kind::Left].map(Kind::wire);
    assert_eq!(kinds, round.repeat(20));
}

#[test]
fn what_is_acknowledged_lies_in_every_members_ring() {
    let server = TestServer::with(halyard_server::Config { broadcasters: 4, ..crate::support::config() });
    let mut members: Vec<_> = (0..8).map(|n| patient(&server, &format!("n{n}"))).collect();
    members.iter_mut().for_each(|member| {
        member.join("lobby");
    });
    let (talker, others) = members.split_first_mut().unwrap();
    others.iter_mut().for_each(Client::sync);
    for n in 1..=2000 {
        let text = if n % 8 == 0 { "y".repeat(400) } else { n.to_string() };
        let said = talker.say(&text);
        assert_eq!(talker.ok(said).room_seq, n);
        talker.seen.clear();
        for member in &mut *others {
            // Not a moment later: a server that is killed now takes nothing away that it has acknowledged.
            while let Some(record) = member.read(std::time::Duration::ZERO) {
                member.seen.push_back(record);
            }
            let there =
                member.seen.iter().filter(|record| record.room_seq == n && record.frag + 1 == record.frags);
            assert_eq!(there.count(), 1, "message {n} was acknowledged and is not in every ring");
            member.seen.clear();
        }
    }
}
