//! The peers: their names, and how the two ends of each are made.

use clap::ValueEnum;

use super::brokers::Broker;
use super::trips::Work;
use super::{event, kernel, sysv};
use crate::failure::Failure;
#[cfg(not(feature = "peers"))]
use crate::failure::UNAVAILABLE;

/// What is measured beside the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Peer {
    /// Two pipes
    Pipe,
    /// A pair of Unix stream sockets
    Unix,
    /// A pair of Unix seqpacket sockets
    Seqpacket,
    /// TCP over the loopback interface, TCP_NODELAY
    Tcp,
    /// Two POSIX message queues
    Mq,
    /// Two System V message queues
    Sysv,
    /// Shared memory, an eventfd each way
    Eventfd,
    /// Shared memory of the crate shared_memory, an event of raw_sync each way
    RawSync,
    /// The crate iceoryx2: publish-subscribe, polled (built in with --features peers)
    Iceoryx2,
    /// The crate iceoryx2: publish-subscribe, and an event each way that wakes the other side
    Iceoryx2Event,
    /// The crates rtrb and crossbeam-queue, between threads
    InProcess,
    /// redis-server, where it is on PATH
    Redis,
    /// nats-server, where it is on PATH
    Nats,
}

impl Peer {
    /// Those whose round trips are measured.
    pub(super) const TRIPS: [Self; 10] = [
        Self::Pipe,
        Self::Unix,
        Self::Seqpacket,
        Self::Tcp,
        Self::Mq,
        Self::Sysv,
        Self::Eventfd,
        Self::RawSync,
        Self::Iceoryx2,
        Self::Iceoryx2Event,
    ];

    /// Whether more than one message can be under way, so that there is something to measure one way. An event is
    /// set or it is not.
    pub(super) fn streams(self) -> bool {
        !matches!(self, Self::Eventfd | Self::RawSync | Self::Iceoryx2Event)
    }

    pub(super) fn broker(self) -> Option<Broker> {
        match self {
            Self::Redis => Some(Broker::Redis),
            Self::Nats => Some(Broker::Nats),
            _ => None,
        }
    }

    /// Its part of an id.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Unix => "unix",
            Self::Seqpacket => "seqpacket",
            Self::Tcp => "tcp",
            Self::Mq => "mq",
            Self::Sysv => "sysv",
            Self::Eventfd => "eventfd",
            Self::RawSync => "raw-sync",
            Self::Iceoryx2 => "iceoryx2",
            Self::Iceoryx2Event => "iceoryx2-event",
            Self::InProcess => "in-process",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Pipe => "pipes",
            Self::Unix => "Unix stream sockets",
            Self::Seqpacket => "Unix seqpacket sockets",
            Self::Tcp => "TCP over loopback",
            Self::Mq => "POSIX message queues",
            Self::Sysv => "System V message queues",
            Self::Eventfd => "shared memory and eventfds",
            Self::RawSync => "shared_memory and raw_sync events",
            Self::Iceoryx2 => "iceoryx2, polled",
            Self::Iceoryx2Event => "iceoryx2 with events",
            Self::InProcess => "rings in one process",
            Self::Redis => "Redis",
            Self::Nats => "NATS",
        }
    }

    /// Does `work` with two ends of its own.
    pub(super) fn with<W: Work>(self, work: W) -> Result<W::Output, Failure> {
        match self {
            Self::Pipe => work.with(kernel::pipes()?),
            Self::Unix => work.with(kernel::unix()?),
            Self::Seqpacket => work.with(kernel::seqpacket()?),
            Self::Tcp => work.with(kernel::tcp()?),
            Self::Mq => work.with(kernel::queues()?),
            Self::Sysv => work.with(sysv::queues()?),
            Self::Eventfd => work.with(kernel::eventfds()?),
            Self::RawSync => {
                let owner = event::events()?;
                work.with(owner.ends())
            }
            Self::Iceoryx2 | Self::Iceoryx2Event => iceoryx2(self == Self::Iceoryx2Event, work),
            Self::InProcess | Self::Redis | Self::Nats => {
                Err(Failure::usage(format_args!("{} have no two ends here", self.label())))
            }
        }
    }
}

#[cfg(feature = "peers")]
fn iceoryx2<W: Work>(blocks: bool, work: W) -> Result<W::Output, Failure> {
    let place = super::iceoryx::Place::create()?;
    let ends = place.ends(&work, blocks);
    work.with(ends)
}

#[cfg(not(feature = "peers"))]
fn iceoryx2<W: Work>(_blocks: bool, _work: W) -> Result<W::Output, Failure> {
    Err(Failure::of(
        UNAVAILABLE,
        "iceoryx2 is not built into this halyard-bench: cargo run --release -p halyard-bench --features peers -- peers",
    ))
}
