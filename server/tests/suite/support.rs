//! A server under a name of its own, and a client that speaks the records raw.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use halyard_ring::chat::{
    BODY, ErrorCode, Kind, OverflowPolicy, Reassembly, Record, SCHEMA, ServerName, control_ring, flags,
    fragments, reply_ring,
};
use halyard_ring::{Beat, Consumer, PopError, Producer, Ring, RingOptions, list_names, monotonic_ns};
use halyard_server::{Config, Pin, Server};

/// Far more than anything takes: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough to see that something does not come.
pub(crate) const A_WHILE: Duration = Duration::from_millis(50);

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) fn unique_name() -> ServerName {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    ServerName::new(&format!("test-{}-{count}", std::process::id())).unwrap()
}

/// A configuration for tests: two broadcasters, and nobody counts as hung on a busy machine.
pub(crate) fn config() -> Config {
    Config {
        name: unique_name(),
        broadcasters: 2,
        pin: Pin::No,
        hang: Duration::from_secs(120),
        ..Config::default()
    }
}

/// A server that is stopped, and checked to leave nothing, when the test ends.
pub(crate) struct TestServer(Option<Server>);

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self(Some(Server::start(config).unwrap()))
    }

    pub(crate) fn client(&self, nick: &str) -> Client {
        Client::connect(self.name(), nick)
    }

    pub(crate) fn stop(mut self) {
        self.0.take().unwrap().stop();
    }
}

impl std::ops::Deref for TestServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.0.as_ref().unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(server) = self.0.take() else { return };
        let name = server.name().clone();
        server.stop();
        if !std::thread::panicking() {
            assert!(
                !names_of(&name).iter().any(|left| left.ends_with(".control")),
                "control ring left behind"
            );
        }
    }
}

/// What is in /dev/shm of this server and its clients.
pub(crate) fn names_of(server: &ServerName) -> Vec<String> {
    let prefix = format!("{server}.");
    let names = list_names().unwrap();
    names.iter().map(|name| name.as_str().to_owned()).filter(|name| name.starts_with(&prefix)).collect()
}

/// Waits until it is true.
pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One client, raw.
pub(crate) struct Client {
    pub(crate) control: Producer<Record>,
    pub(crate) ring: Ring<Record>,
    pub(crate) consumer: Consumer<Record>,
    pub(crate) id: u32,
    pub(crate) token: u32,
    pub(crate) next: u64,
    /// Records that were read while looking for others.
    pub(crate) seen: VecDeque<Record>,
    /// The number that the next record must have.
    expected: u64,
}

/// A text that came in one or several records.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) nick: String,
    pub(crate) text: String,
    pub(crate) record: Record,
}

/// How to say HELLO.
pub(crate) struct Hello<'a> {
    pub(crate) server: &'a ServerName,
    pub(crate) nick: &'a str,
    pub(crate) capacity: u32,
    pub(crate) policy: OverflowPolicy,
    pub(crate) limit: u32,
}

impl Hello<'_> {
    pub(crate) fn new<'a>(server: &'a ServerName, nick: &'a str) -> Hello<'a> {
        Hello { server, nick, capacity: 256, policy: OverflowPolicy::Drop, limit: 0 }
    }

    pub(crate) fn connect(self) -> Client {
        let nick = self.nick.to_owned();
        self.try_connect().unwrap_or_else(|refused| panic!("{nick} was refused: {refused:?}"))
    }

    pub(crate) fn try_connect(self) -> Result<Client, Box<Record>> {
        self.greet_with(0)
    }

    pub(crate) fn with_origin(self, origin: u64) -> Client {
        self.greet_with(origin).unwrap()
    }

    fn greet_with(self, origin: u64) -> Result<Client, Box<Record>> {
        let options = RingOptions::spsc(self.capacity).schema(SCHEMA);
        let ring = Ring::create(&fresh_reply_name(self.server), &options).unwrap();
        let mut hello = Record::hello(self.nick, ring.name().unwrap().as_str(), self.policy, self.limit, 1);
        hello.room_seq = origin;
        greet(self.server, ring, &hello)
    }
}

pub(crate) fn fresh_reply_name(server: &ServerName) -> halyard_ring::RingName {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    reply_ring(server, &format!("{}-{count}", std::process::id())).unwrap()
}

/// Sends a HELLO and reads the answer. The names of a refused client's ring are removed.
pub(crate) fn greet(server: &ServerName, ring: Ring<Record>, hello: &Record) -> Result<Client, Box<Record>> {
    let mut control = Ring::<Record>::open(&control_ring(server)).unwrap().producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    ring.beat(Beat::Creator);
    // The ring may be full of what a flooder sent that is gone already.
    control.push_prefix_timeout(hello, hello.used(), PATIENCE).unwrap();
    let answer = consumer.pop_timeout(PATIENCE).unwrap();
    if answer.kind != Kind::Welcome.wire() {
        ring.unlink().unwrap();
        return Err(Box::new(answer));
    }
    assert_eq!((answer.number, answer.command), (1, 1));
    let (id, token) = (answer.client, answer.generation);
    let seen = VecDeque::from([answer]);
    Ok(Client { control, ring, consumer, id, token, next: 2, seen, expected: 2 })
}

impl Client {
    pub(crate) fn connect(server: &ServerName, nick: &str) -> Self {
        Hello::new(server, nick).connect()
    }

    /// A command of one record, ready to be sent.
    pub(crate) fn command(&mut self, kind: Kind, nick: &str, text: &str) -> Record {
        let mut record = Record::new(kind).with_body(nick, text);
        (record.client, record.generation) = (self.id, self.token);
        (record.command, record.sent_ns) = (self.next, monotonic_ns());
        self.next += 1;
        record
    }

    pub(crate) fn push(&mut self, record: &Record) {
        self.ring.beat(Beat::Creator);
        self.control.push_prefix_timeout(record, record.used(), PATIENCE).unwrap();
    }

    pub(crate) fn send(&mut self, kind: Kind, text: &str) -> u64 {
        self.send_to(kind, "", text)
    }

    /// Sends a command in as many records as it takes; returns its number.
    pub(crate) fn send_to(&mut self, kind: Kind, nick: &str, text: &str) -> u64 {
        if nick.len() + text.len() <= BODY {
            let record = self.command(kind, nick, text);
            self.push(&record);
            return record.command;
        }
        let frags = fragments(nick.len(), text).count() as u8;
        let command = self.next;
        for (frag, piece) in (0..frags).zip(fragments(nick.len(), text)) {
            let mut record = self.command(kind, if frag == 0 { nick } else { "" }, piece);
            (record.frag, record.frags, record.command, record.sent_ns) = (frag, frags, command, 1);
            self.push(&record);
        }
        self.next = command + 1;
        command
    }

    /// Reads one record that was not read yet.
    pub(crate) fn read(&mut self, timeout: Duration) -> Option<Record> {
        self.ring.beat(Beat::Creator);
        match self.consumer.pop_timeout(timeout) {
            Ok(record) => {
                record.check().unwrap();
                let told =
                    if record.kind == Kind::Lost.wire() { record.lost().first_number } else { record.number };
                assert_eq!(told, self.expected, "a record is missing: {record:?}");
                self.expected = record.number + 1;
                Some(record)
            }
            Err(PopError::TimedOut | PopError::Closed) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The first record, among those seen and those to come, for which `is_it` says so.
    pub(crate) fn find(&mut self, what: &str, is_it: impl Fn(&Record) -> bool) -> Record {
        if let Some(index) = self.seen.iter().position(&is_it) {
            return self.seen.remove(index).unwrap();
        }
        let end = Instant::now() + PATIENCE;
        while let Some(record) = self.read(end.saturating_duration_since(Instant::now())) {
            if is_it(&record) {
                return record;
            }
            self.seen.push_back(record);
        }
        panic!("no {what}; seen: {:#?}", self.seen);
    }

    pub(crate) fn next_of(&mut self, kind: Kind) -> Record {
        self.find(&format!("{kind:?}"), |record| record.kind == kind.wire())
    }

    /// The ACK or ERROR for a command.
    pub(crate) fn answer(&mut self, command: u64) -> Record {
        let answers = [Kind::Ack.wire(), Kind::Error.wire()];
        self.find("answer", |record| record.command == command && answers.contains(&record.kind))
    }

    #[track_caller]
    pub(crate) fn ok(&mut self, command: u64) -> Record {
        let answer = self.answer(command);
        assert_eq!(answer.kind, Kind::Ack.wire(), "{answer:?}");
        answer
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, command: u64) -> ErrorCode {
        let answer = self.answer(command);
        assert_eq!(answer.kind, Kind::Error.wire(), "{answer:?}");
        assert!(!answer.check().unwrap().text.is_empty());
        ErrorCode::from_wire(answer.code).unwrap()
    }

    pub(crate) fn join(&mut self, room: &str) -> Record {
        let command = self.send(Kind::Join, room);
        self.ok(command)
    }

    pub(crate) fn say(&mut self, text: &str) -> u64 {
        self.send(Kind::Say, text)
    }

    /// The next text of this kind, joined.
    pub(crate) fn hear(&mut self, kind: Kind) -> Heard {
        let (mut nick, mut whole) = (String::new(), Reassembly::default());
        loop {
            let record = self.next_of(kind);
            let message = record.check().unwrap();
            if record.frag == 0 {
                nick = message.nick.to_owned();
            }
            if let Some(text) = whole.add(record.frag, record.frags, message.text).unwrap() {
                return Heard { nick, text: text.to_owned(), record };
            }
        }
    }

    /// A question and its answer: everything that the server had sent before is read when this returns.
    pub(crate) fn sync(&mut self) {
        let ping = self.send(Kind::Ping, "");
        self.ok(ping);
    }

    /// How many records of a kind were seen so far.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.seen.iter().filter(|record| record.kind == kind.wire()).count()
    }

    /// Sends the same record again, marked as a retry.
    pub(crate) fn retry(&mut self, mut record: Record) {
        record.flags |= flags::RETRY;
        self.push(&record);
    }

    pub(crate) fn quit(mut self) {
        let quit = self.send(Kind::Quit, "");
        self.ok(quit);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ring.close();
        let _ = self.ring.unlink();
    }
}

/// Nick and text of a record.
pub(crate) fn body(record: &Record) -> (&str, &str) {
    let message = record.check().unwrap();
    (message.nick, message.text)
}
