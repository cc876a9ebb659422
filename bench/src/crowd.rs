//! Many clients in one process, on one thread: sessions without threads of their own, each with its reply ring.

use std::thread;
use std::time::{Duration, Instant};

use halyard_client::session::{self, Receiver, Sender};
use halyard_client::{ClientOptions, Event, ServerName};
use halyard_ring::monotonic_ns;

use crate::failure::{Failure, While as _};
use crate::interrupt;

/// How long nothing may come before a client counts as stuck.
const PATIENCE: Duration = Duration::from_secs(20);
/// Records taken from one client before the next one's turn.
const TAKEN: usize = 64;

struct Member {
    sender: Sender,
    receiver: Receiver,
    /// Messages received so far.
    heard: u64,
    /// Answers to commands received so far.
    answered: u64,
    /// The times of the last message.
    times: Stamps,
    /// The times of message number `mark` of this member.
    marked: Stamps,
    mark: u64,
}

/// Times of a message, nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamps {
    pub(crate) sent: u64,
    pub(crate) routed: u64,
    pub(crate) delivered: u64,
}

/// The clients of this process, by their place.
#[derive(Default)]
pub(crate) struct Crowd {
    members: Vec<Member>,
}

impl Crowd {
    /// Connects one more client and returns how long that took.
    pub(crate) fn connect(
        &mut self,
        server: &ServerName,
        nick: &str,
        capacity: u32,
    ) -> Result<Duration, Failure> {
        let options =
            ClientOptions::new(server.clone(), nick).ring_capacity(capacity).connect_timeout(PATIENCE);
        let begun = Instant::now();
        let (sender, receiver) = session::connect(&options).doing(format_args!("connecting {nick}"))?;
        let took = begun.elapsed();
        let times = Stamps::default();
        self.members.push(Member { sender, receiver, heard: 0, answered: 0, times, marked: times, mark: 0 });
        Ok(took)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Puts the members `from..to` into a room, one after the other; those before them hear of it meanwhile.
    pub(crate) fn join(&mut self, from: usize, to: usize, room: &str) -> Result<(), Failure> {
        for index in from..to {
            let member = &mut self.members[index];
            let answers = member.answered + 1;
            member.sender.join(room).doing("joining a room")?;
            self.until(index, |member| member.answered >= answers)?;
            // Their rings are small: what they are told of the newcomer must not pile up.
            for other in from..=index {
                self.drain(other)?;
            }
        }
        Ok(())
    }

    /// The member says something to its room.
    #[inline]
    pub(crate) fn say(&mut self, index: usize, text: &str) -> Result<(), Failure> {
        self.members[index].sender.say(text).map(drop).doing("saying a message")
    }

    /// Messages that the member has received so far.
    #[inline]
    pub(crate) fn heard(&self, index: usize) -> u64 {
        self.members[index].heard
    }

    /// The times of the member's last message.
    pub(crate) fn stamps(&self, index: usize) -> Stamps {
        self.members[index].times
    }

    /// Keeps the times of the member's message number `count` when it comes.
    pub(crate) fn mark(&mut self, index: usize, count: u64) {
        self.members[index].mark = count;
    }

    /// The times of the marked message.
    pub(crate) fn marked(&self, index: usize) -> Stamps {
        self.members[index].marked
    }

    /// Takes what has come for a member. Returns how many messages those were.
    #[inline]
    pub(crate) fn drain(&mut self, index: usize) -> Result<u64, Failure> {
        self.members[index].drain()
    }

    /// Takes what comes for a member until it has received `count` messages in all. Returns the time when it had.
    pub(crate) fn await_message(&mut self, index: usize, count: u64) -> Result<u64, Failure> {
        self.until(index, |member| member.heard >= count)?;
        Ok(monotonic_ns())
    }

    fn until(&mut self, index: usize, done: impl Fn(&Member) -> bool) -> Result<(), Failure> {
        let member = &mut self.members[index];
        let mut since = None;
        let mut looks = 0u32;
        loop {
            member.drain()?;
            if done(member) {
                return Ok(());
            }
            thread::yield_now();
            looks += 1;
            if looks.is_multiple_of(1024) {
                interrupt::check()?;
                if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(Failure::broke("waiting for a record", "none came"));
                }
            }
        }
    }

    /// Shows the server that all clients live.
    pub(crate) fn beat(&mut self) {
        for member in &mut self.members {
            member.sender.beat();
        }
    }
}

impl Member {
    #[inline]
    fn drain(&mut self) -> Result<u64, Failure> {
        let before = self.heard;
        for _ in 0..TAKEN {
            let Self { heard, answered, times, marked, mark, .. } = self;
            let each = |event: Event<&str>| match event {
                Event::Message(message) => {
                    *heard += 1;
                    let all = message.times;
                    *times = Stamps { sent: all.sent_ns, routed: all.routed_ns, delivered: all.delivered_ns };
                    if *heard == *mark {
                        *marked = *times;
                    }
                    Ok(())
                }
                Event::Answer(answer) => {
                    *answered += 1;
                    answer.result.map(drop).map_err(|refusal| refusal.text.to_owned())
                }
                Event::Gap(gap) => {
                    Err(format!("records {} to {} were lost", gap.first_number, gap.last_number))
                }
                Event::Unusable(_) | Event::Goodbye(_) => Err(format!("{event:?}")),
                _ => Ok(()),
            };
            match self.receiver.recv_with(Duration::ZERO, each).doing("reading a reply ring")? {
                Some(result) => result.doing("reading a reply ring")?,
                None => break,
            }
        }
        Ok(self.heard - before)
    }
}
