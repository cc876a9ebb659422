//! The two halves of a session, on the caller's own threads.
//!
//! [`connect()`] gives a [`Sender`] and a [`Receiver`]. Neither has a thread of its own: a command goes straight from
//! the caller into the control ring, and a record straight from the reply ring to the caller. That is the shortest
//! way, for benchmarks and for programs that have a loop already. [`Client`](crate::Client) is built of these halves
//! and adds what most programs want: threads, waiting for answers, retries, reconnecting.
//!
//! The program must call one of the receiver's methods, or [`Sender::beat`], more often than the server's hang limit
//! ([`Limits::hang`]), else the server takes it for hung.
//!
//! ```
//! use std::time::Duration;
//! use halyard_client::{ClientOptions, Event, ServerName, session};
//! # let config = halyard_server::Config { name: ServerName::new(&format!("doc-session-{}", std::process::id()))?,
//! #     ..halyard_server::Config::default() };
//! # let name = config.name.clone();
//! # let server = halyard_server::Server::start(config)?;
//!
//! let (mut sender, mut receiver) = session::connect(&ClientOptions::new(name, "ann"))?;
//! sender.join("lobby")?;
//! sender.say("hello")?;
//! let heard = loop {
//!     if let Some(Event::Message(message)) = receiver.recv_timeout(Duration::from_secs(5))? {
//!         break message;
//!     }
//! };
//! assert_eq!((heard.room.as_str(), heard.nick.as_str(), heard.text.as_str()), ("lobby", "ann", "hello"));
//! # drop((sender, receiver)); server.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connect;
mod heard;
#[doc(hidden)]
pub mod hostile;
mod long;
mod parts;
mod receiver;
mod reply;
mod room;
mod sender;
mod silence;
#[cfg(test)]
mod tests;
mod uplink;
mod watch;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use halyard_ring::chat::WelcomeBody;
use halyard_ring::monotonic_ns;

pub use connect::{connect, resume};
pub(crate) use heard::SPAN;
pub use receiver::Receiver;
pub(crate) use receiver::Waker;
use reply::Reply;
pub(crate) use sender::Pushed;
pub use sender::Sender;

/// What a client keeps from session to session, so that a text that it sends again reaches nobody twice, and one that
/// is sent again to it is passed over: its origin (a random number that every text bears), how many texts it has
/// numbered, and which texts of others it has heard.
///
/// ```
/// use halyard_client::{ClientOptions, ServerName, session};
/// # let config = halyard_server::Config { name: ServerName::new(&format!("doc-past-{}", std::process::id()))?,
/// #     ..halyard_server::Config::default() };
/// # let name = config.name.clone();
/// # let server = halyard_server::Server::start(config.clone())?;
/// let options = ClientOptions::new(name, "ann");
/// let (mut sender, receiver) = session::connect(&options)?;
/// sender.join("lobby")?;
/// let text = sender.next_text();
/// let hello = halyard_client::Command::Say { text: "hello", action: false };
/// sender.send(&hello)?;
/// # server.stop();
/// // The server goes before it acknowledges; there is another one.
/// let mut past = session::Past::of(sender, receiver);
/// # let server = halyard_server::Server::start(config)?;
/// let (mut sender, receiver) = session::resume(&options, &mut past)?;
/// sender.join("lobby")?;
/// sender.resend(text, &hello)?;
/// # drop((sender, receiver)); server.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Past {
    origin: u64,
    next_text: u64,
    heard: heard::Heard,
    /// The former reply ring, whose name tells the next server that this client is on its way back.
    former: Option<Arc<Reply>>,
}

impl Past {
    /// That of a client which has none yet.
    #[must_use]
    pub fn new() -> Self {
        // 0 would mean none. A process that has forked shares its parent's random keys, but not its number.
        let origin = RandomState::new().hash_one((std::process::id(), monotonic_ns())).max(1);
        Self { origin, next_text: 1, heard: heard::Heard::default(), former: None }
    }

    /// That of a session which is over.
    #[must_use]
    pub fn of(sender: Sender, receiver: Receiver) -> Self {
        let (origin, next_text) = (receiver.origin(), sender.next_text());
        let (heard, former) = receiver.into_past();
        Self { origin, next_text, heard, former }
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("next_text", &self.next_text).finish_non_exhaustive()
    }
}

impl Default for Past {
    fn default() -> Self {
        Self::new()
    }
}

/// What the server granted and asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How often the client must stamp its heartbeat word; the halves see to it while they are used.
    pub heartbeat: Duration,
    /// How old a heartbeat may grow before the client counts as hung.
    pub hang: Duration,
    /// After what time without an answer a command should be sent again.
    pub retry: Duration,
    /// Longest text, bytes.
    pub text_max: u32,
    /// Longest nick or room name, bytes.
    pub name_max: u32,
    /// Most clients.
    pub clients_max: u32,
    /// Most rooms.
    pub rooms_max: u32,
    /// The granted policy's limit: milliseconds for block, records for spill, else 0.
    pub policy_limit: u32,
    /// The server's process id.
    pub server_pid: u32,
    /// Most commands that may be under way, sent and not answered.
    pub window: u32,
    /// Most members of a room.
    pub room_members_max: u32,
}

impl Limits {
    /// How often to stamp the heartbeat so that a late wake-up or two do no harm.
    pub(crate) fn beat_every(&self) -> Duration {
        (self.heartbeat / 2).max(Duration::from_millis(1))
    }
}

impl From<WelcomeBody> for Limits {
    fn from(body: WelcomeBody) -> Self {
        Self {
            heartbeat: Duration::from_nanos(body.heartbeat_ns),
            hang: Duration::from_nanos(body.hang_ns),
            retry: Duration::from_nanos(body.retry_ns),
            text_max: body.text_max,
            name_max: body.name_max,
            clients_max: body.clients_max,
            rooms_max: body.rooms_max,
            policy_limit: body.policy_limit,
            server_pid: body.server_pid,
            window: body.window,
            room_members_max: body.room_members_max,
        }
    }
}
