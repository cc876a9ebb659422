//! Connections through the kernel, each as its manual page would have it: blocking calls, a message a call.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::mqueue::{MQ_OFlag, MqAttr, MqdT, mq_close, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;

use super::trips::{self, BYTES, End, Message, Queues};
use crate::failure::{Failure, While as _};
use crate::shared::Words;

/// An end that is written to and read from.
pub(super) struct Bytes<R, W> {
    input: R,
    output: W,
}

impl<R: Read, W: Write> End for Bytes<R, W> {
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.output.write_all(&to_bytes(&message)).doing("writing a message")
    }

    #[inline]
    fn receive(&mut self) -> Result<Message, Failure> {
        let mut bytes = [0; BYTES];
        self.input.read_exact(&mut bytes).doing("reading a message")?;
        Ok(from_bytes(&bytes))
    }
}

pub(super) fn to_bytes(message: &Message) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(message) {
        *chunk = word.to_ne_bytes();
    }
    bytes
}

pub(super) fn from_bytes(bytes: &[u8; BYTES]) -> Message {
    let mut message = [0; 7];
    for (word, chunk) in message.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_ne_bytes(*chunk);
    }
    message
}

/// Two pipes.
pub(super) fn pipes() -> Result<[Bytes<PipeReader, PipeWriter>; 2], Failure> {
    let connect = || {
        let (far_input, output) = io::pipe()?;
        let (input, far_output) = io::pipe()?;
        Ok::<_, io::Error>([Bytes { input, output }, Bytes { input: far_input, output: far_output }])
    };
    connect().doing("making a pipe")
}

/// A pair of Unix stream sockets.
pub(super) fn unix() -> Result<[Bytes<UnixStream, UnixStream>; 2], Failure> {
    let end = |socket: UnixStream| Ok::<_, io::Error>(Bytes { input: socket.try_clone()?, output: socket });
    let connect = || {
        let (near, far) = UnixStream::pair()?;
        Ok::<_, io::Error>([end(near)?, end(far)?])
    };
    connect().doing("making a pair of Unix sockets")
}

/// A pair of Unix sockets that keep messages apart.
pub(super) fn seqpacket() -> Result<[Bytes<File, File>; 2], Failure> {
    let connect = || {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (near, far) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        let end = |socket: File| Ok::<_, io::Error>(Bytes { input: socket.try_clone()?, output: socket });
        Ok::<_, io::Error>([end(near.into())?, end(far.into())?])
    };
    connect().doing("making a pair of seqpacket sockets")
}

/// A TCP connection over the loopback interface that sends small messages at once.
pub(super) fn tcp() -> Result<[Bytes<TcpStream, TcpStream>; 2], Failure> {
    let end = |socket: TcpStream| {
        socket.set_nodelay(true)?;
        Ok::<_, io::Error>(Bytes { input: socket.try_clone()?, output: socket })
    };
    let connect = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        let (far, from) = listener.accept()?;
        if from != near.local_addr()? {
            return Err(io::Error::other("somebody else connected"));
        }
        Ok([end(near)?, end(far)?])
    };
    connect().doing("connecting over the loopback interface")
}

/// A POSIX message queue without a name.
pub(super) struct Queue(Option<MqdT>);

impl Queue {
    fn create() -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("/halyard.bench-{}.{count}", process::id());
        // Ten messages is what Linux allows everybody.
        let size = BYTES.try_into().expect("a message is short");
        let attributes = MqAttr::new(0, 10, size, 0);
        let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL | MQ_OFlag::O_RDWR | MQ_OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let queue = mq_open(name.as_str(), flags, mode, Some(&attributes));
        let queue = Self(Some(queue.doing("creating a POSIX message queue")?));
        mq_unlink(name.as_str()).doing("unlinking a POSIX message queue")?;
        Ok(queue)
    }

    fn get(&self) -> &MqdT {
        self.0.as_ref().expect("it is closed only when it is dropped")
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            let _ = mq_close(queue);
        }
    }
}

/// Two POSIX message queues.
pub(super) fn queues() -> Result<[Queues<Queue>; 2], Failure> {
    trips::both_ways(Queue::create)
}

impl End for Queues<Queue> {
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        mq_send(self.output.get(), &to_bytes(&message), 0).doing("sending to a message queue")
    }

    #[inline]
    fn receive(&mut self) -> Result<Message, Failure> {
        let mut bytes = [0; BYTES];
        let mut priority = 0;
        match mq_receive(self.input.get(), &mut bytes, &mut priority)
            .doing("receiving from a message queue")?
        {
            BYTES => Ok(from_bytes(&bytes)),
            other => {
                Err(Failure::broke("receiving from a message queue", format_args!("{other} bytes came")))
            }
        }
    }
}

/// An end of shared memory, with an eventfd each way that wakes the other side.
pub(super) struct Woken {
    memory: Arc<Words>,
    /// Where in the memory its messages lie, words.
    out: usize,
    back: usize,
    rings: Arc<EventFd>,
    wakes: Arc<EventFd>,
}

/// Words from one message to the other: two cache lines.
const APART: usize = 16;

/// Shared memory and two eventfds.
pub(super) fn eventfds() -> Result<[Woken; 2], Failure> {
    let memory = Arc::new(Words::create(2 * APART).doing("mapping shared memory")?);
    let eventfd = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map(Arc::new).doing("making an eventfd");
    let (out, back) = (eventfd()?, eventfd()?);
    let far = Woken { memory: memory.clone(), out: APART, back: 0, rings: back.clone(), wakes: out.clone() };
    Ok([Woken { memory, out: 0, back: APART, rings: out, wakes: back }, far])
}

impl End for Woken {
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        trips::lay(|index| self.memory.word(self.out + index), &message);
        self.rings.write(1).map(|_| ()).doing("writing to an eventfd")
    }

    #[inline]
    fn receive(&mut self) -> Result<Message, Failure> {
        self.wakes.read().doing("reading an eventfd")?;
        Ok(trips::pick(|index| self.memory.word(self.back + index)))
    }
}
