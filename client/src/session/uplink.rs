//! The way to the server: a producer of the control ring of the moment.

use halyard_ring::Producer;
use halyard_ring::chat::Record;

use super::reply::Reply;

/// A producer of the control ring, which follows the server to another control ring when that one was damaged.
pub(super) struct Uplink {
    pub(super) producer: Producer<Record>,
    /// Which of the session's control rings it is of: see [`Reply::rings`].
    ring: u32,
}

impl Uplink {
    /// Of the session's first control ring.
    pub(super) fn new(producer: Producer<Record>) -> Self {
        Self { producer, ring: 0 }
    }

    /// Whether the session has another control ring by now.
    #[inline]
    pub(super) fn is_outdated(&self, reply: &Reply) -> bool {
        self.ring != reply.rings()
    }

    /// Looks whether the server has made its control ring anew, and goes over to that one. True if so: what lay in the
    /// old ring and was not answered is to be sent again.
    #[cold]
    pub(super) fn follow(&mut self, reply: &Reply) -> bool {
        if !reply.look_again() && !self.is_outdated(reply) {
            return false;
        }
        // Full of owners, or closed already: then the next look finds another one, or the server is gone.
        let Ok((mut producer, ring)) = reply.attach() else { return false };
        producer.set_wait(self.producer.waits());
        (self.producer, self.ring) = (producer, ring);
        true
    }
}
