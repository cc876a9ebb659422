//! HELLO, and every reason to refuse one.

use halyard_ring::chat::{ErrorCode, Kind, OverflowPolicy, PROTOCOL, Record, SCHEMA, ServerName};
use halyard_ring::{Beat, Ring, RingOptions};
use halyard_server::Config;

use crate::support::{
    A_WHILE, Client, Hello, PATIENCE, TestServer, config, eventually, fresh_reply_name, greet,
};

fn code(refused: Result<Client, Box<Record>>) -> ErrorCode {
    let record = refused.err().expect("a refusal");
    assert_eq!((record.kind, record.command), (Kind::Refused.wire(), 1));
    assert!(!record.check().unwrap().text.is_empty());
    ErrorCode::from_wire(record.code).unwrap()
}

#[test]
fn welcome_tells_the_limits() {
    let config = config();
    let server = TestServer::with(config.clone());
    let hello = Hello { policy: OverflowPolicy::Spill, limit: 50, ..Hello::new(server.name(), "ann") };
    let mut ann = hello.connect();
    let welcome = ann.next_of(Kind::Welcome);
    let body = welcome.welcome();
    assert_eq!((welcome.client, welcome.generation), (ann.id, ann.token));
    assert_eq!(u128::from(body.heartbeat_ns), config.heartbeat.as_nanos());
    assert_eq!(u128::from(body.hang_ns), config.hang.as_nanos());
    assert_eq!(u128::from(body.retry_ns), config.retry.as_nanos());
    assert_eq!((body.text_max, body.name_max), (4096, 32));
    assert_eq!((body.clients_max, body.rooms_max), (config.clients_max, config.rooms_max));
    assert_eq!((body.policy_limit, body.server_pid), (50, std::process::id()));
    let info = &server.clients()[0];
    assert_eq!((info.id, info.nick.as_str(), info.pid), (ann.id, "ann", std::process::id()));
}

#[test]
fn a_nick_belongs_to_one_client_at_a_time() {
    let server = TestServer::start();
    let ann = server.client("ann");
    assert_eq!(code(Hello::new(server.name(), "ann").try_connect()), ErrorCode::NickTaken);
    assert_eq!(server.stats().refused, 1);
    let id = ann.id;
    ann.quit();
    let again = server.client("ann");
    assert_ne!(again.id, id);
}

#[test]
fn a_nick_must_be_visible() {
    let server = TestServer::start();
    for bad in ["", "a b", "a\u{7}", "\u{200b}"] {
        assert_eq!(code(Hello::new(server.name(), bad).try_connect()), ErrorCode::NickInvalid, "{bad:?}");
    }
}

#[test]
fn a_nick_that_is_no_name_at_all_is_refused_in_words_too() {
    let server = TestServer::start();
    let hello_with = |spoil: &dyn Fn(&mut Record)| {
        let options = RingOptions::spsc(64).schema(SCHEMA);
        let ring = Ring::<Record>::create(&fresh_reply_name(server.name()), &options).unwrap();
        let name = ring.name().unwrap().as_str().to_owned();
        let mut hello = Record::hello("ann", &name, OverflowPolicy::Drop, 0, 1);
        spoil(&mut hello);
        code(greet(server.name(), ring, &hello))
    };
    let longer = |hello: &mut Record| {
        let ring = hello.check().unwrap().text.to_owned();
        let body = format!("{}{ring}", "n".repeat(33));
        hello.body[..body.len()].copy_from_slice(body.as_bytes());
        (hello.len, hello.nick_len) = (body.len() as u16, 33);
    };
    assert_eq!(hello_with(&longer), ErrorCode::NickInvalid);
    assert_eq!(hello_with(&|hello| hello.body[1] = 0xff), ErrorCode::NickInvalid);
    assert_eq!(hello_with(&|hello| hello.frags = 2), ErrorCode::Malformed);
    assert_eq!(hello_with(&|hello| (hello.frag, hello.frags) = (9, 0)), ErrorCode::Malformed);
    // Another version may have another idea of everything else.
    assert_eq!(hello_with(&|hello| (hello.generation, hello.frags) = (9, 9)), ErrorCode::LayoutDiffers);
    assert_eq!(server.stats().refused, 5);
}

#[test]
fn another_protocol_version_is_told_so() {
    let server = TestServer::start();
    let ring =
        Ring::<Record>::create(&fresh_reply_name(server.name()), &RingOptions::spsc(64).schema(SCHEMA))
            .unwrap();
    let name = ring.name().unwrap().as_str().to_owned();
    let mut hello = Record::hello("ann", &name, OverflowPolicy::Drop, 0, 1);
    hello.generation = PROTOCOL + 1;
    assert_eq!(code(greet(server.name(), ring, &hello)), ErrorCode::LayoutDiffers);
}

#[test]
fn a_full_server_says_so_and_takes_the_next_when_one_goes() {
    let server = TestServer::with(Config { clients_max: 2, ..config() });
    let (ann, _bob) = (server.client("ann"), server.client("bob"));
    assert_eq!(code(Hello::new(server.name(), "cat").try_connect()), ErrorCode::ServerFull);
    ann.quit();
    server.client("cat");
}

#[test]
fn a_policy_beyond_the_limits_is_refused_and_zero_asks_for_the_most() {
    let config = config();
    let server = TestServer::with(config.clone());
    let try_with = |policy, limit| Hello { policy, limit, ..Hello::new(server.name(), "ann") }.try_connect();
    let block_max = config.block_max.as_millis() as u32;
    assert_eq!(code(try_with(OverflowPolicy::Block, block_max + 1)), ErrorCode::PolicyRefused);
    assert_eq!(code(try_with(OverflowPolicy::Spill, config.spill_max + 1)), ErrorCode::PolicyRefused);
    for (policy, most) in [
        (OverflowPolicy::Drop, 0),
        (OverflowPolicy::Block, block_max),
        (OverflowPolicy::Spill, config.spill_max),
    ] {
        let mut client = try_with(policy, 0).unwrap();
        assert_eq!(client.next_of(Kind::Welcome).welcome().policy_limit, most);
        client.quit();
    }
    let ring =
        Ring::<Record>::create(&fresh_reply_name(server.name()), &RingOptions::spsc(64).schema(SCHEMA))
            .unwrap();
    let mut hello = Record::hello("ann", ring.name().unwrap().as_str(), OverflowPolicy::Drop, 0, 1);
    hello.code = 99;
    assert_eq!(code(greet(server.name(), ring, &hello)), ErrorCode::PolicyRefused);
}

#[test]
fn a_reply_ring_of_another_schema_or_too_small_is_refused_in_words() {
    let server = TestServer::start();
    let next_version = SCHEMA + (1 << 56);
    for (options, expected) in [
        (RingOptions::spsc(64).schema(SCHEMA + 1), ErrorCode::RingInvalid),
        (RingOptions::spsc(64).schema(next_version), ErrorCode::LayoutDiffers),
        (RingOptions::spsc(16).schema(SCHEMA), ErrorCode::RingInvalid),
    ] {
        let ring = Ring::<Record>::create(&fresh_reply_name(server.name()), &options).unwrap();
        let hello = Record::hello("ann", ring.name().unwrap().as_str(), OverflowPolicy::Drop, 0, 1);
        assert_eq!(code(greet(server.name(), ring, &hello)), expected);
    }
}

#[test]
fn a_reply_ring_that_cannot_be_written_is_counted_and_nothing_else() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let mpsc =
        Ring::<Record>::create(&fresh_reply_name(server.name()), &RingOptions::mpsc(64).schema(SCHEMA))
            .unwrap();
    let small =
        Ring::<u64>::create(&fresh_reply_name(server.name()), &RingOptions::spsc(64).schema(SCHEMA)).unwrap();
    let names = [
        "".to_owned(),
        "../../etc/passwd".to_owned(),
        format!("{}.control", server.name()),
        format!("{}.reply.missing", server.name()),
        "another-server.reply.1".to_owned(),
        ann.ring.name().unwrap().as_str().to_owned(),
        mpsc.name().unwrap().as_str().to_owned(),
        small.name().unwrap().as_str().to_owned(),
    ];
    for (nonce, name) in names.iter().enumerate() {
        let hello = Record::hello("bob", name, OverflowPolicy::Drop, 0, nonce as u64 + 10);
        ann.push(&hello);
    }
    eventually("all refused", || server.stats().refused == names.len() as u64);
    ann.sync();
    assert_eq!(server.stats().clients, 1);
    mpsc.unlink().unwrap();
    small.unlink().unwrap();
}

#[test]
fn hello_sent_again_is_welcomed_again_as_the_same_client() {
    let server = TestServer::start();
    let mut ann = server.client("ann");
    let first = ann.next_of(Kind::Welcome);
    let hello = Record::hello("ann", ann.ring.name().unwrap().as_str(), OverflowPolicy::Drop, 0, 1);
    ann.push(&hello);
    ann.push(&hello);
    for number in [2, 3] {
        let again = ann.next_of(Kind::Welcome);
        assert_eq!((again.client, again.generation), (first.client, first.generation));
        assert_eq!(again.number, number);
    }
    assert_eq!(server.stats().clients, 1);
}

#[test]
fn many_hellos_at_once_make_one_client() {
    let server = TestServer::start();
    let ring =
        Ring::<Record>::create(&fresh_reply_name(server.name()), &RingOptions::spsc(64).schema(SCHEMA))
            .unwrap();
    let hello = Record::hello("ann", ring.name().unwrap().as_str(), OverflowPolicy::Drop, 0, 1);
    let mut other = server.client("other");
    for _ in 0..20 {
        other.push(&hello);
    }
    ring.beat(Beat::Creator);
    let mut consumer = ring.consumer().unwrap();
    let first = consumer.pop_timeout(PATIENCE).unwrap();
    while let Ok(again) = consumer.pop_timeout(A_WHILE) {
        assert_eq!((again.kind, again.client), (Kind::Welcome.wire(), first.client));
    }
    assert_eq!(server.stats().clients, 2);
    ring.unlink().unwrap();
}

#[test]
fn a_reply_ring_may_be_used_again_after_a_refusal() {
    let server = TestServer::start();
    let _ann = server.client("ann");
    let ring =
        Ring::<Record>::create(&fresh_reply_name(server.name()), &RingOptions::spsc(64).schema(SCHEMA))
            .unwrap();
    let name = ring.name().unwrap().as_str().to_owned();
    let hello = |nick, nonce| Record::hello(nick, &name, OverflowPolicy::Drop, 0, nonce);
    let mut other = server.client("other");
    let mut consumer = ring.consumer().unwrap();
    other.push(&hello("ann", 1));
    assert_eq!(consumer.pop_timeout(PATIENCE).unwrap().kind, Kind::Refused.wire());
    other.push(&hello("bob", 2));
    assert_eq!(consumer.pop_timeout(PATIENCE).unwrap().kind, Kind::Welcome.wire());
    ring.unlink().unwrap();
}

#[test]
fn names_of_other_servers_are_not_touched() {
    let server = TestServer::start();
    let stranger = ServerName::new(&format!("{}-x", server.name())).unwrap();
    let ring =
        Ring::<Record>::create(&fresh_reply_name(&stranger), &RingOptions::spsc(64).schema(SCHEMA)).unwrap();
    let mut ann = server.client("ann");
    ann.push(&Record::hello("bob", ring.name().unwrap().as_str(), OverflowPolicy::Drop, 0, 5));
    eventually("refused", || server.stats().refused == 1);
    assert_eq!(ring.inspect().counters.published, 0);
    ring.unlink().unwrap();
}
