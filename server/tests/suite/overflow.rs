//! Reply rings that are full.

use std::time::Duration;

use halyard_ring::chat::{ErrorCode, Kind, OverflowPolicy, Record};

use halyard_server::Config;

use crate::support::{A_WHILE, Client, Hello, TestServer, config, eventually};

/// With one broadcaster, whoever has an answer knows that what came before it was offered to the slow one, too.
fn one_broadcaster() -> TestServer {
    TestServer::with(Config { broadcasters: 1, ..config() })
}

fn slow(server: &TestServer, policy: OverflowPolicy, limit: u32) -> Client {
    let mut slow = Hello { capacity: 32, policy, limit, ..Hello::new(server.name(), "slow") }.connect();
    slow.join("lobby");
    slow.sync();
    slow.seen.clear();
    slow
}

fn talk(talker: &mut Client, count: u64) {
    for n in 0..count {
        let said = talker.say(&format!("{n}"));
        talker.ok(said);
        talker.seen.clear();
    }
}

/// Everything that comes until nothing more comes, and how many messages were heard and lost.
fn drain(client: &mut Client) -> (Vec<Record>, u64, u64) {
    // A question behind everything: its answer is the last to come, though it may be lost itself.
    client.send(Kind::Ping, "");
    let mut records: Vec<Record> = client.seen.drain(..).collect();
    while let Some(record) = client.read(Duration::from_millis(300)) {
        records.push(record);
    }
    let heard = records.iter().filter(|record| record.kind == Kind::Message.wire()).count() as u64;
    let is_lost = |record: &&Record| record.kind == Kind::Lost.wire();
    let lost = records.iter().filter(is_lost).map(|record| u64::from(record.lost().messages)).sum();
    (records, heard, lost)
}

/// Every message number of the room from 1 on is there or told to be lost.
fn assert_accounted_for(records: &[Record], last: u64) {
    let mut next = 1;
    for record in records {
        match Kind::from_wire(record.kind) {
            Some(Kind::Message) => {
                assert_eq!(record.room_seq, next);
                next += 1;
            }
            Some(Kind::Lost) if record.lost().messages > 0 => {
                let lost = record.lost();
                assert_eq!(lost.first_seq, next);
                assert_eq!(lost.last_seq - lost.first_seq + 1, u64::from(lost.messages));
                next = lost.last_seq + 1;
            }
            _ => {}
        }
    }
    assert_eq!(next, last + 1);
}

#[test]
fn drop_loses_the_newest_and_says_which() {
    let server = one_broadcaster();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Drop, 0), server.client("ann"));
    ann.join("lobby");
    talk(&mut ann, 200);
    eventually("losses counted", || server.stats().dropped > 0);
    let (records, heard, lost) = drain(&mut slow);
    assert!((20..=32).contains(&heard), "{heard}");
    assert_eq!(heard + lost, 200);
    assert_accounted_for(&records, 200);
    // From now on everything comes again.
    talk(&mut ann, 5);
    for _ in 0..5 {
        slow.next_of(Kind::Message);
    }
}

#[test]
fn a_client_that_reads_now_and_then_can_account_for_everything() {
    let server = TestServer::start();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Drop, 0), server.client("ann"));
    ann.join("lobby");
    let mut records = Vec::new();
    for round in 0..50 {
        talk(&mut ann, 20);
        for _ in 0..round % 30 {
            records.extend(slow.read(Duration::ZERO));
        }
    }
    records.extend(drain(&mut slow).0);
    assert_accounted_for(&records, 1000);
}

#[test]
fn block_waits_for_a_reader_that_comes_back_in_time() {
    let server = one_broadcaster();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Block, 5000), server.client("ann"));
    ann.join("lobby");
    talk(&mut ann, 300);
    let (records, heard, lost) = drain(&mut slow);
    assert_eq!((heard, lost), (300, 0));
    assert_accounted_for(&records, 300);
}

#[test]
fn block_counts_as_drop_when_the_time_is_over() {
    let server = one_broadcaster();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Block, 50), server.client("ann"));
    ann.join("lobby");
    talk(&mut ann, 300);
    eventually("all that waited is lost", || {
        let stats = server.stats();
        stats.dropped > 200 && stats.broadcasters.iter().all(|broadcaster| broadcaster.lagging <= 1)
    });
    std::thread::sleep(2 * A_WHILE);
    let (records, heard, lost) = drain(&mut slow);
    assert!(heard <= 32, "{heard}");
    assert_eq!(heard + lost, 300);
    assert_accounted_for(&records, 300);
}

#[test]
fn spill_keeps_as_many_as_agreed_and_then_drops() {
    let server = one_broadcaster();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Spill, 100), server.client("ann"));
    ann.join("lobby");
    talk(&mut ann, 300);
    let (records, heard, lost) = drain(&mut slow);
    assert!((120..=132).contains(&heard), "{heard}");
    assert_eq!(heard + lost, 300);
    assert_accounted_for(&records, 300);
}

#[test]
fn a_slow_client_does_not_delay_those_of_its_broadcaster() {
    for policy in [OverflowPolicy::Drop, OverflowPolicy::Block, OverflowPolicy::Spill] {
        let server = one_broadcaster();
        let _slow = slow(&server, policy, 0);
        let (mut ann, mut bob) = (server.client("ann"), server.client("bob"));
        ann.join("lobby");
        bob.join("lobby");
        // Were one of them to wait for the slow one, the ACKs and messages would not come.
        for n in 0..500 {
            let said = ann.say(&format!("{n}"));
            ann.ok(said);
            assert_eq!(bob.hear(Kind::Message).text, format!("{n}"));
            ann.seen.clear();
        }
    }
}

#[test]
fn a_direct_message_that_finds_no_room_is_reported_to_its_sender() {
    let server = one_broadcaster();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Drop, 0), server.client("ann"));
    ann.join("lobby");
    talk(&mut ann, 50);
    let command = ann.send_to(Kind::Dm, "slow", "psst");
    assert_eq!(ann.refused(command), ErrorCode::NotDelivered);
    let (records, ..) = drain(&mut slow);
    let lost: u32 = records.iter().filter(|r| r.kind == Kind::Lost.wire()).map(|r| r.lost().directs).sum();
    assert_eq!(lost, 1);
}

#[test]
fn a_direct_message_that_waits_is_confirmed_when_it_arrives_or_refused_when_its_reader_goes() {
    let server = one_broadcaster();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Spill, 0), server.client("ann"));
    ann.join("lobby");
    talk(&mut ann, 50);
    let first = ann.send_to(Kind::Dm, "slow", "psst");
    ann.sync();
    assert!(ann.read(A_WHILE).is_none());
    assert_eq!(slow.hear(Kind::Direct).text, "psst");
    ann.ok(first);
    talk(&mut ann, 50);
    let second = ann.send_to(Kind::Dm, "slow", "psst");
    ann.sync();
    slow.ring.close();
    // The next delivery finds out; the waiting message is settled with its recipient.
    ann.say("anyone?");
    assert_eq!(ann.refused(second), ErrorCode::NoSuchClient);
}

#[test]
fn answers_that_were_lost_come_again_on_a_retry() {
    let server = one_broadcaster();
    let (mut slow, mut ann) = (slow(&server, OverflowPolicy::Drop, 0), server.client("ann"));
    ann.join("lobby");
    talk(&mut ann, 50);
    let say = slow.command(Kind::Say, "", "from afar");
    slow.push(&say);
    assert_eq!(ann.hear(Kind::Message).text, "from afar");
    ann.sync();
    let (records, ..) = drain(&mut slow);
    assert!(records.iter().all(|record| record.command != say.command), "the ACK was lost");
    slow.retry(say);
    assert_eq!(slow.ok(say.command).room_seq, 51);
}
