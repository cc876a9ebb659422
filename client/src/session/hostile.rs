//! A session whose server the caller plays, over rings in plain heap. Nothing but tests and fuzz targets calls this.

use std::sync::Arc;
use std::time::Duration;

use halyard_ring::Producer;
use halyard_ring::chat::{Kind, Record, WelcomeBody};

use super::reply::Reply;
use super::uplink::Uplink;
use super::{Limits, Past, Receiver, Sender};

/// Both ends of a session in which client 7 was welcomed, by record 1, as `ann`.
pub struct Session {
    /// Writes into the reply ring, as the server does. The first record is number 2.
    pub server: Producer<Record>,
    /// The client's one half.
    pub sender: Sender,
    /// The client's other half.
    pub receiver: Receiver,
    #[cfg(test)]
    pub(super) reply: Arc<Reply>,
}

/// A session with a reply ring of that capacity, a power of two.
#[must_use]
pub fn session(capacity: u32) -> Session {
    let reply = Arc::new(Reply::heap(capacity));
    let mut welcome = Record::new(Kind::Welcome);
    (welcome.number, welcome.client, welcome.generation) = (1, 7, 99);
    let second = Duration::from_secs(1).as_nanos() as u64;
    welcome.set_struct(&WelcomeBody {
        heartbeat_ns: second,
        hang_ns: 10 * second,
        retry_ns: second,
        text_max: 4096,
        name_max: 32,
        clients_max: 10,
        rooms_max: 10,
        policy_limit: 0,
        server_pid: std::process::id(),
        window: 64,
        room_members_max: 10,
    });
    let limits = Limits::from(welcome.welcome());
    let free = "a new ring is free to attach to";
    let consumer = reply.ring().consumer().expect(free);
    let receiver =
        Receiver::new(consumer, Arc::clone(&reply), limits, &welcome, "ann".to_owned(), Past::new());
    let control = reply.control().producer().expect(free);
    let sender = Sender::new(Uplink::new(control), Arc::clone(&reply), limits, 7, 99, 1, Duration::ZERO);
    let server = reply.ring().producer().expect(free);
    Session {
        server,
        sender,
        receiver,
        #[cfg(test)]
        reply,
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}
