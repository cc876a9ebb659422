//! Any records in a real server's control ring: the server goes on, and tells its other clients nothing that is wrong.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use halyard_ring::chat::{Kind, OverflowPolicy, Record, SCHEMA, ServerName, control_ring, flags, reply_ring};
use halyard_ring::{Beat, Consumer, PopError, Producer, Ring, RingOptions, monotonic_ns};
use halyard_server::{Config, Pin, Server};
use zerocopy::{FromZeros, IntoBytes};

use crate::input::Input;
use crate::record::every_kind;

/// Far longer than anything takes: a server that has not answered by then has stopped.
const PATIENCE: Duration = Duration::from_secs(20);

/// Beyond this number a client asks nothing more.
const LAST: u64 = u64::MAX - 16;

static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

/// One server for all inputs, a client that sends them, and one that is only there.
struct Stage {
    server: Server,
    sender: Client,
    witness: Client,
    /// Client ids come and go; reply rings are never called the same.
    rings: u32,
}

struct Client {
    control: Producer<Record>,
    ring: Ring<Record>,
    consumer: Consumer<Record>,
    id: u32,
    token: u32,
    command: u64,
    /// The number that the next record must have.
    number: u64,
}

/// A byte that says how much of the record is made right, two that say how long it is, the record; and so on.
pub fn run(bytes: &[u8]) {
    let mut held = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = held.get_or_insert_with(Stage::new);
    let mut input = Input::new(bytes);
    for _ in 0..16 {
        if input.is_over() {
            break;
        }
        let (what, len) = (input.byte(), usize::from(input.short() % 249));
        let mut record = Record::new_zeroed();
        let given = input.take(len);
        record.as_mut_bytes()[..given.len()].copy_from_slice(given);
        stage.sender.make_right(&mut record, what);
        stage.sender.control.push_timeout(record, PATIENCE).expect("the control ring takes what comes");
    }
    stage.settle();
    if stage.sender.command >= LAST {
        // No number is left for the sender: all begins anew.
        held.take().expect("it was there").end();
    }
}

/// Ends the server and removes all names; the next input starts another one.
pub fn stop() {
    if let Some(stage) = STAGE.lock().unwrap_or_else(PoisonError::into_inner).take() {
        stage.end();
    }
}

impl Stage {
    fn end(self) {
        drop((self.sender, self.witness));
        self.server.stop();
    }

    fn new() -> Self {
        let name = ServerName::new(&format!("fuzz-{}", std::process::id())).expect("a name");
        let hang = Duration::from_secs(3600);
        let config = Config { name: name.clone(), broadcasters: 1, pin: Pin::No, hang, ..Config::default() };
        let server = Server::start(config).expect("a server");
        let mut witness = Client::connect(&name, "witness", 0).expect("the first client");
        witness.ask(Kind::Join, "lobby");
        let sender = Client::connect(&name, "sender", 1).expect("the second client");
        Self { server, sender, witness, rings: 2 }
    }

    /// Whatever was sent, both can go on; the sender as somebody new, if it was thrown out or took its leave.
    fn settle(&mut self) {
        assert!(self.server.is_running(), "the server has stopped");
        if self.sender.command < LAST && !self.sender.try_ask(Kind::Ping, "") {
            self.rings += 1;
            let name = self.server.name().clone();
            // What it was called may be what the witness is called now, or it may be gone already.
            let nick = format!("sender{}", self.rings);
            self.sender = Client::connect(&name, &nick, self.rings).expect("a client that comes back");
        }
        self.witness.ask(Kind::Ping, "");
    }
}

impl Client {
    fn connect(server: &ServerName, nick: &str, number: u32) -> Option<Self> {
        let name = reply_ring(server, &format!("{}-{number}", std::process::id())).ok()?;
        let ring = Ring::<Record>::create(&name, &RingOptions::spsc(1024).schema(SCHEMA)).ok()?;
        let mut consumer = ring.consumer().ok()?;
        let mut control = Ring::<Record>::open(&control_ring(server)).ok()?.producer().ok()?;
        let hello = Record::hello(nick, name.as_str(), OverflowPolicy::Drop, 0, u64::from(number) + 1);
        control.try_push(hello).ok()?;
        let welcome = consumer.pop_timeout(PATIENCE).ok()?;
        assert_eq!(welcome.kind, Kind::Welcome.wire(), "{welcome:?}");
        let (id, token) = (welcome.client, welcome.generation);
        Some(Self { control, ring, consumer, id, token, command: 2, number: 2 })
    }

    /// Makes a record from somewhere one of this client's, as far as `what` says.
    fn make_right(&mut self, record: &mut Record, what: u8) {
        if what & 1 == 0 {
            (record.client, record.generation) = (self.id, self.token);
        }
        if what & 2 == 0 {
            record.command = self.command;
            self.command = self.command.saturating_add(u64::from(what & 16 == 0));
        } else if record.client == self.id {
            self.command = self.command.max(record.command.saturating_add(1));
        }
        if what & 4 == 0 {
            record.frags = record.frags.max(1);
        }
        if what & 8 != 0 {
            record.flags |= flags::RETRY;
        }
        if what & 32 != 0
            && let Some(name) = self.ring.name()
        {
            // A HELLO that names the ring of somebody who is there already.
            record.set_body("again", name.as_str());
        }
    }

    /// Sends a command and takes what comes until it is answered. False if the session is over.
    fn try_ask(&mut self, kind: Kind, text: &str) -> bool {
        self.ring.beat(Beat::Creator);
        let mut record = Record::new(kind).with_body("", text);
        // Beyond any number that an input gave.
        self.command += 1;
        (record.client, record.generation, record.command) = (self.id, self.token, self.command);
        record.sent_ns = monotonic_ns();
        if self.control.push_timeout(record, PATIENCE).is_err() {
            return false;
        }
        let command = self.command;
        self.command += 1;
        loop {
            match self.consumer.pop_timeout(PATIENCE) {
                Ok(record) => {
                    self.check(&record);
                    if record.kind == Kind::Goodbye.wire() {
                        return false;
                    }
                    if record.command == command
                        && [Kind::Ack, Kind::Error].iter().any(|kind| kind.wire() == record.kind)
                    {
                        return true;
                    }
                }
                Err(PopError::Closed) => return false,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    fn ask(&mut self, kind: Kind, text: &str) {
        assert!(self.try_ask(kind, text), "a client that did nothing wrong was thrown out");
    }

    /// What a server says is what a server may say, in order.
    fn check(&mut self, record: &Record) {
        let told = record.check().unwrap_or_else(|bad| panic!("the server sent {record:?}: {bad}"));
        assert!(!told.kind.is_command(), "{record:?}");
        assert!(
            record.number == self.number || told.kind == Kind::Lost,
            "{record:?} instead of {}",
            self.number
        );
        self.number = record.number + 1;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.ring.close();
        let _ = self.ring.unlink();
    }
}

/// Every command, alone and one after the other.
pub fn seeds() -> Vec<Vec<u8>> {
    let entry = |record: &Record| {
        let used = &record.as_bytes()[..record.used()];
        [&[0], &(used.len() as u16).to_le_bytes()[..], used].concat()
    };
    let mut kinds = every_kind();
    kinds.retain(|record| record.kind < Kind::Welcome.wire());
    let mut seeds: Vec<Vec<u8>> = kinds.iter().map(entry).collect();
    seeds.push(kinds.iter().flat_map(entry).collect());
    let mut own = entry(&kinds[0]);
    own[0] = 32;
    seeds.push(own);
    seeds
}
