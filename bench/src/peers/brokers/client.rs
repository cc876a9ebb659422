//! Connections to a broker: one that publishes or waits for one message, and many that one thread reads.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::Broker;
use super::wire::{Frame, Look, PONG};
use crate::failure::{Failure, While as _};
use crate::interrupt;

/// How long nothing may come before a broker counts as stuck.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that are read at a time.
const BUFFER: usize = 32 * 1024;

/// Where a broker listens.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Socket(PathBuf),
    /// On the loopback interface.
    Port(u16),
}

/// A connection that has said hello.
#[derive(Debug)]
pub(super) struct Connection {
    broker: Broker,
    socket: File,
}

impl Connection {
    pub(super) fn open(broker: Broker, address: &Address) -> Result<Self, Failure> {
        let connect = || {
            Ok::<OwnedFd, io::Error>(match address {
                Address::Socket(path) => {
                    let socket = UnixStream::connect(path)?;
                    socket.set_read_timeout(Some(PATIENCE))?;
                    socket.into()
                }
                Address::Port(port) => {
                    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
                    socket.set_nodelay(true)?;
                    socket.set_read_timeout(Some(PATIENCE))?;
                    socket.into()
                }
            })
        };
        let socket = connect().doing(format_args!("connecting to {}", broker.name()))?;
        let mut connection = Self { broker, socket: socket.into() };
        connection.ask(broker.hello(), broker.welcome())?;
        Ok(connection)
    }

    /// Sends `question`, and reads until what came ends with `answer`.
    fn ask(&mut self, question: &[u8], answer: &[u8]) -> Result<(), Failure> {
        let doing = format!("talking to {}", self.broker.name());
        self.socket.write_all(question).doing(&doing)?;
        let mut came = Vec::new();
        while !came.ends_with(answer) {
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(Failure::broke(doing, said("it hung up", &came))),
                Ok(count) => came.extend_from_slice(&buffer[..count]),
                Err(why) if why.kind() == ErrorKind::Interrupted => interrupt::check()?,
                Err(why) => return Err(Failure::broke(doing, said(&why.to_string(), &came))),
            }
        }
        Ok(())
    }

    pub(super) fn into_publisher(mut self) -> Result<Publisher, Failure> {
        self.write(self.broker.no_answers())?;
        Ok(Publisher { connection: self, out: Vec::new() })
    }

    /// A subscriber of texts of `text` bytes.
    pub(super) fn into_subscriber(mut self, text: usize) -> Result<Subscriber, Failure> {
        self.ask(&self.broker.subscribe(), self.broker.subscribed())?;
        let frame = Frame::new(self.broker, text);
        Ok(Subscriber { connection: self, frame, buffer: vec![0; BUFFER].into(), from: 0, to: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.socket.write_all(bytes).doing(format_args!("writing to {}", self.broker.name()))
    }
}

/// What went wrong, and what had been said until then.
fn said(what: &str, came: &[u8]) -> String {
    let start = &came[..came.len().min(200)];
    if came.is_empty() {
        what.to_owned()
    } else {
        format!("{what} after {:?}", String::from_utf8_lossy(start))
    }
}

/// A connection that publishes.
#[derive(Debug)]
pub(super) struct Publisher {
    connection: Connection,
    out: Vec<u8>,
}

impl Publisher {
    /// Adds a message to those that [`flush`](Self::flush) sends.
    #[inline]
    pub(super) fn publish(&mut self, text: &[u8]) {
        self.connection.broker.publish(text, &mut self.out);
    }

    #[inline]
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let sent = self.connection.socket.write_all(&self.out);
        self.out.clear();
        sent.doing(format_args!("publishing through {}", self.connection.broker.name()))
    }
}

/// A connection that has subscribed.
#[derive(Debug)]
pub(super) struct Subscriber {
    connection: Connection,
    frame: Frame,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Subscriber {
    /// Reads once. False if there was nothing, which a connection that does not block finds at once.
    #[inline]
    fn read(&mut self) -> Result<bool, Failure> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let doing = || format!("reading from {}", self.connection.broker.name());
        loop {
            match self.connection.socket.read(&mut self.buffer[self.to..]) {
                Ok(0) => return Err(Failure::broke(doing(), "it hung up")),
                // It had not read all that was sent to it.
                Err(why) if why.kind() == ErrorKind::ConnectionReset => {
                    return Err(Failure::broke(doing(), "it hung up"));
                }
                Ok(count) => {
                    self.to += count;
                    return Ok(true);
                }
                Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(why) if why.kind() == ErrorKind::Interrupted => interrupt::check()?,
                Err(why) => return Err(Failure::broke(doing(), why)),
            }
        }
    }

    /// Calls `each` with the texts of all whole messages that have been read. Returns how many those were.
    #[inline]
    fn take(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<u64, Failure> {
        let mut count = 0;
        loop {
            let bytes = &self.buffer[self.from..self.to];
            match self.frame.look(bytes) {
                Look::Message { text, len } => {
                    each(text)?;
                    self.from += len;
                    count += 1;
                }
                Look::Ping { len } => {
                    self.from += len;
                    self.connection.write(PONG)?;
                }
                Look::More => return Ok(count),
                Look::Strange => {
                    let what = format!("reading from {}", self.connection.broker.name());
                    return Err(Failure::broke(what, said("no message", bytes)));
                }
            }
        }
    }

    /// Waits for the next messages, at least one.
    #[inline]
    pub(super) fn receive(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            if !self.read()? {
                let what = format!("waiting for a message through {}", self.connection.broker.name());
                return Err(Failure::broke(what, "none came"));
            }
            if self.take(&mut each)? > 0 {
                return Ok(());
            }
        }
    }
}

/// Many subscribers, read by one thread.
pub(super) struct Members {
    members: Vec<Subscriber>,
    /// Messages that each has received so far.
    heard: Vec<u64>,
    epoll: Epoll,
    ready: Vec<EpollEvent>,
}

impl Members {
    pub(super) fn new() -> Result<Self, Failure> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).doing("making an epoll")?;
        Ok(Self { members: Vec::new(), heard: Vec::new(), epoll, ready: vec![EpollEvent::empty(); 256] })
    }

    pub(super) fn add(&mut self, member: Subscriber) -> Result<(), Failure> {
        let socket = &member.connection.socket;
        fcntl(socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing("making a socket non-blocking")?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.members.len() as u64);
        self.epoll.add(socket, event).doing("watching a socket")?;
        self.members.push(member);
        self.heard.push(0);
        Ok(())
    }

    /// Messages that everybody has received.
    pub(super) fn slowest(&self) -> u64 {
        self.heard.iter().copied().min().unwrap_or(0)
    }

    /// Waits until something has come for some, and takes it; all of it is `text`. Returns how many messages that was.
    pub(super) fn drain(&mut self, text: &[u8]) -> Result<u64, Failure> {
        let timeout = EpollTimeout::try_from(PATIENCE).expect("some seconds fit");
        let ready = match self.epoll.wait(&mut self.ready, timeout) {
            Err(nix::errno::Errno::EINTR) => return interrupt::check().map(|()| 0),
            ready => ready.doing("waiting for sockets")?,
        };
        if ready == 0 {
            return Err(Failure::broke("waiting for messages", "none came"));
        }
        let mut all = 0;
        for event in &self.ready[..ready] {
            let index = event.data() as usize;
            let member = &mut self.members[index];
            if member.read()? {
                let count = member.take(|came| {
                    if came == text { Ok(()) } else { Err(Failure::broke("a message", "came changed")) }
                })?;
                self.heard[index] += count;
                all += count;
            }
        }
        Ok(all)
    }
}
