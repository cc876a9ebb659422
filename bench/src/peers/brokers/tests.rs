//! Both clients against a server in a thread, which behaves or does not. The real ones are in tests/measure.rs.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::Broker;
use super::client::{Address, Connection, Members};
use super::talk::{self, Room, TEXT};
use crate::failure::Failure;
use crate::relay::Waiting;

const TIME: Duration = Duration::from_millis(5);

/// What a server does to the message of this number, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// A byte of its text is another one.
    Garbles(u64),
    /// It hangs up instead.
    HangsUp(u64),
    /// It sends an error instead.
    Complains(u64),
}

/// A server in a thread: it knows what a client says word for word, and hands on what is published in two pieces.
struct Fake {
    address: Address,
    _folder: Option<TempDir>,
}

/// What each is to get. As in a real broker it waits outside the socket where that is full: a publisher that does not read
/// meanwhile must not be held up.
type Subscribers = Arc<Mutex<Vec<Sender<Vec<u8>>>>>;

impl Fake {
    fn start(broker: Broker, fault: Fault) -> Self {
        let subscribers = Subscribers::default();
        match broker {
            Broker::Redis => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("fake.sock");
                let listener = UnixListener::bind(&path).unwrap();
                thread::spawn(move || {
                    for socket in listener.incoming() {
                        let (socket, all) = (socket.unwrap(), Arc::clone(&subscribers));
                        let out = Box::new(socket.try_clone().unwrap());
                        thread::spawn(move || serve(broker, fault, socket, out, &all));
                    }
                });
                Self { address: Address::Socket(path), _folder: Some(folder) }
            }
            Broker::Nats => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let port = listener.local_addr().unwrap().port();
                thread::spawn(move || {
                    for socket in listener.incoming() {
                        let (mut socket, all) = (socket.unwrap(), Arc::clone(&subscribers));
                        socket.write_all(b"INFO {\"max_payload\":1048576}\r\n").unwrap();
                        let out = Box::new(socket.try_clone().unwrap());
                        thread::spawn(move || serve(broker, fault, socket, out, &all));
                    }
                });
                Self { address: Address::Port(port), _folder: None }
            }
        }
    }

    fn connect(&self, broker: Broker) -> Connection {
        Connection::open(broker, &self.address).unwrap()
    }

    fn chat(broker: Broker, fault: Fault) -> Result<(), Failure> {
        let fake = Self::start(broker, fault);
        let subscriber = fake.connect(broker).into_subscriber(TEXT)?;
        let publisher = fake.connect(broker).into_publisher()?;
        let [whole, delivery] = talk::closed_loop(publisher, subscriber, Waiting::Adaptive, TIME)?;
        assert!(!whole.is_empty() && !delivery.is_empty());
        Ok(())
    }

    fn fan_out(broker: Broker, fault: Fault) -> Result<(), Failure> {
        let fake = Self::start(broker, fault);
        let mut members = Members::new()?;
        for _ in 0..3 {
            members.add(fake.connect(broker).into_subscriber(TEXT)?)?;
        }
        let mut room = Room::new(fake.connect(broker).into_publisher()?, members);
        assert!(!room.one_by_one(TIME)?.is_empty());
        assert!(room.stream(TIME)? > 0.0);
        Ok(())
    }
}

/// One connection of a [`Fake`]. It ends when the client or the test's fault does.
fn serve(
    broker: Broker,
    fault: Fault,
    mut input: impl Read,
    mut out: Box<dyn Write + Send>,
    subscribers: &Subscribers,
) {
    let (mut came, mut buffer) = (Vec::new(), [0; 4096]);
    let mut whole = Vec::new();
    broker.publish(&[0; TEXT], &mut whole);
    let (publish, mut messages) = (whole.len(), 0);
    loop {
        match input.read(&mut buffer) {
            Ok(count) if count > 0 => came.extend_from_slice(&buffer[..count]),
            _ => return,
        }
        loop {
            let subscribe = broker.subscribe();
            if came.starts_with(broker.hello()) {
                came.drain(..broker.hello().len());
                out.write_all(broker.welcome()).unwrap();
            } else if came.starts_with(&subscribe) {
                came.drain(..subscribe.len());
                // Whoever has read the answer gets everything from then on.
                let mut all = subscribers.lock().unwrap();
                out.write_all(if broker == Broker::Redis { b"*3\r\n$9\r\n" } else { b"" }).unwrap();
                out.write_all(broker.subscribed()).unwrap();
                // Whoever has subscribed says nothing more but PONG.
                let (queue, pieces) = channel::<Vec<u8>>();
                all.push(queue);
                thread::spawn(move || {
                    for piece in pieces {
                        // The client may have gone.
                        let _ = out.write_all(&piece);
                    }
                });
                return;
            } else if broker == Broker::Redis && came.starts_with(broker.no_answers()) {
                came.drain(..broker.no_answers().len());
            } else if came.len() >= publish {
                let said: Vec<u8> = came.drain(..publish).collect();
                messages += 1;
                let text = &said[publish - TEXT - 2..publish - 2];
                if !deliver(broker, fault, messages, text, &mut subscribers.lock().unwrap()) {
                    return;
                }
            } else {
                break;
            }
        }
    }
}

/// False if it has hung up.
fn deliver(
    broker: Broker,
    fault: Fault,
    number: u64,
    text: &[u8],
    subscribers: &mut Vec<Sender<Vec<u8>>>,
) -> bool {
    let mut frame = match broker {
        Broker::Redis => b"*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$64\r\n".to_vec(),
        // What it asks now and then comes between two messages.
        Broker::Nats => b"PING\r\nMSG bench 1 64\r\n".to_vec(),
    };
    frame.extend_from_slice(text);
    frame.extend_from_slice(b"\r\n");
    match fault {
        Fault::Garbles(at) if at == number => {
            let last = frame.len() - 3;
            frame[last] ^= 1;
        }
        Fault::HangsUp(at) if at == number => {
            subscribers.clear();
            return false;
        }
        Fault::Complains(at) if at == number => frame = b"-ERR slow consumer\r\n".to_vec(),
        _ => {}
    }
    for queue in subscribers {
        let (one, other) = frame.split_at(frame.len() / 2);
        for piece in [one, other] {
            let _ = queue.send(piece.to_vec());
        }
    }
    true
}

#[test]
fn a_chat_and_a_room_go_through_either() {
    for broker in Broker::ALL {
        Fake::chat(broker, Fault::None).unwrap();
        Fake::fan_out(broker, Fault::None).unwrap();
    }
}

#[test]
fn what_a_broker_does_wrong_is_a_failure_that_says_so() {
    let cases = [
        (Fault::Garbles(2), "changed"),
        (Fault::HangsUp(2), "hung up"),
        (Fault::Complains(2), "slow consumer"),
    ];
    for broker in Broker::ALL {
        for (fault, said) in cases {
            for run in [Fake::chat, Fake::fan_out] {
                let why = run(broker, fault).unwrap_err().to_string();
                assert!(why.contains(said), "{broker:?} {fault:?}: {why}");
            }
        }
    }
}

#[test]
fn a_message_that_is_not_the_next_is_noticed() {
    for broker in Broker::ALL {
        let fake = Fake::start(broker, Fault::None);
        let subscriber = fake.connect(broker).into_subscriber(TEXT).unwrap();
        let mut other = fake.connect(broker).into_publisher().unwrap();
        other.publish(&[b'x'; TEXT]);
        other.flush().unwrap();
        let publisher = fake.connect(broker).into_publisher().unwrap();
        let why = talk::closed_loop(publisher, subscriber, Waiting::Adaptive, TIME).unwrap_err().to_string();
        assert!(why.contains("instead of"), "{why}");
    }
}
