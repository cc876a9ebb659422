//! Every limit is refused in words that name the option which raises it.

use std::process::{Command, Stdio};
use std::time::Instant;

use halyard_ring::chat::{ErrorCode, Kind, OverflowPolicy, Record, SCHEMA, control_ring};
use halyard_ring::{Beat, Ring, RingOptions};
use halyard_server::Config;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Hello, PATIENCE, TestServer, config, eventually, fresh_reply_name, unique_name};

#[test]
fn a_room_takes_only_so_many_members() {
    let server = TestServer::with(Config { room_members_max: 2, ..config() });
    let mut clients: Vec<_> = ["ann", "bob", "cat"].map(|nick| server.client(nick)).into();
    assert_eq!(clients[0].next_of(Kind::Welcome).welcome().room_members_max, 2);
    clients[0].join("lobby");
    clients[1].join("lobby");
    clients[2].join("dev");
    let late = clients[2].send(Kind::Join, "lobby");
    let answer = clients[2].answer(late);
    assert_eq!(answer.code, ErrorCode::RoomFull.wire());
    assert!(answer.check().unwrap().text.contains("--room-members"));
    // It stays where it was; and who is in may say so again.
    assert_eq!(server.rooms().len(), 2);
    clients[0].join("lobby");
    let leave = clients[1].send(Kind::Leave, "");
    clients[1].ok(leave);
    assert_eq!(clients[2].join("lobby").count, 2);
}

#[test]
fn what_waits_for_slow_clients_is_bounded_in_total() {
    let records = 40;
    let server = TestServer::with(Config { spill_total: records * size_of::<Record>() as u64, ..config() });
    let slow = |nick| {
        Hello { capacity: 32, policy: OverflowPolicy::Spill, ..Hello::new(server.name(), nick) }.connect()
    };
    let (mut ann, mut one, mut two) = (server.client("ann"), slow("one"), slow("two"));
    // Their rings take 32 each, and then there is room for 40 between them.
    let sent: Vec<u64> =
        (0..120).map(|n| ann.send_to(Kind::Dm, if n % 2 == 0 { "one" } else { "two" }, "x")).collect();
    ann.sync();
    eventually("refusals", || {
        ann.sync();
        ann.count(Kind::Error) >= 10
    });
    let refused = ann.seen.iter().filter(|record| record.kind == Kind::Error.wire());
    for record in refused {
        assert_eq!(record.code, ErrorCode::SpillFull.wire());
        assert!(record.check().unwrap().text.contains("--spill-total"));
    }
    // All that was not refused arrives once there is room, and is confirmed.
    let refused = ann.count(Kind::Error);
    assert_eq!(
        sent.len() - refused,
        32 + 32 + records as usize,
        "in the rings, and in the memory for what waits"
    );
    for client in [&mut one, &mut two] {
        client.sync();
    }
    let heard = one.count(Kind::Direct) + two.count(Kind::Direct);
    assert_eq!(heard, sent.len() - refused);
}

#[test]
fn clients_that_all_connect_at_one_moment_are_told_to_try_again() {
    let server = TestServer::with(Config { hellos_max: 1, ..config() });
    let mut control = Ring::<Record>::open(&control_ring(server.name())).unwrap().producer().unwrap();
    let end = Instant::now() + PATIENCE;
    let mut round = 0;
    loop {
        round += 1;
        let rings: Vec<_> = (0..8)
            .map(|_| {
                let options = RingOptions::spsc(64).schema(SCHEMA);
                let ring = Ring::<Record>::create(&fresh_reply_name(server.name()), &options).unwrap();
                ring.beat(Beat::Creator);
                ring
            })
            .collect();
        let hello = |(n, ring): (usize, &Ring<Record>)| {
            Record::hello(&format!("n{round}-{n}"), ring.name().unwrap().as_str(), OverflowPolicy::Drop, 0, 1)
        };
        let hellos: Vec<_> = rings.iter().enumerate().map(hello).collect();
        assert_eq!(control.push_batch(&hellos), Ok(hellos.len()));
        let answered = || rings.iter().filter(|ring| ring.inspect().counters.published > 0).count();
        eventually("an answer", || answered() > 0);
        let mut told = Vec::new();
        for ring in &rings {
            if let Ok(answer) = ring.consumer().unwrap().pop_timeout(crate::support::A_WHILE)
                && answer.kind == Kind::Refused.wire()
            {
                told.push((answer.code, answer.check().unwrap().text.contains("--hellos")));
            }
            ring.close();
            ring.unlink().unwrap();
        }
        if !told.is_empty() {
            assert!(told.iter().all(|told| *told == (ErrorCode::TooManyHellos.wire(), true)), "{told:?}");
            break;
        }
        assert!(Instant::now() < end, "never too many at once");
    }
    // Who comes alone is welcome.
    Hello::new(server.name(), "ann").connect().quit();
}

#[test]
fn a_server_that_has_hardly_any_descriptors_left_says_so_and_goes_on() {
    let name = unique_name();
    let program = env!("CARGO_BIN_EXE_halyard-server");
    let command = format!("ulimit -n 60; exec {program} --name {name} --log error --pin no --hang 2m");
    let mut server = Command::new("sh").args(["-c", &command]).stderr(Stdio::inherit()).spawn().unwrap();
    eventually("server started", || Ring::<Record>::open(&control_ring(&name)).is_ok());
    let mut clients = Vec::new();
    let refused = loop {
        assert!(clients.len() < 60, "a client has to cost something");
        match Hello::new(&name, &format!("n{}", clients.len())).try_connect() {
            Ok(client) => clients.push(client),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code, ErrorCode::DescriptorsLow.wire());
    assert!(refused.check().unwrap().text.contains("ulimit -n"));
    assert!(!clients.is_empty());
    // Those who are there are served, and when one goes there is room for another.
    for client in &mut clients {
        client.join("lobby");
    }
    clients.pop().unwrap().quit();
    eventually("room for one more", || match Hello::new(&name, "late").try_connect() {
        Ok(client) => {
            clients.push(client);
            true
        }
        Err(_) => false,
    });
    drop(clients);
    kill(Pid::from_raw(server.id() as i32), Signal::SIGTERM).unwrap();
    assert!(server.wait().unwrap().success());
}
