#![expect(unsafe_code, reason = "no safe crate has System V message queues")]
//! Two System V message queues: `msgsnd` and `msgrcv`, which block.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_long, c_void};

use super::kernel::{from_bytes, to_bytes};
use super::trips::{self, BYTES, End, Message, Queues};
use crate::failure::{Failure, While as _};

/// What the two calls read and write: the type of a message, above 0, and its bytes right behind.
#[repr(C)]
struct Envelope {
    kind: c_long,
    bytes: [u8; BYTES],
}

/// A queue of this process alone, which goes when this does. (One whose process is killed stays until somebody calls
/// `ipcrm`: the kernel has nothing like unlinking it while it is used.)
pub(super) struct Queue(c_int);

impl Queue {
    fn create() -> Result<Self, Failure> {
        // SAFETY: takes and returns numbers.
        let id = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        Errno::result(id).map(Self).doing("creating a System V message queue")
    }

    #[inline]
    fn send(&self, message: &Message) -> Result<(), Errno> {
        let envelope = Envelope { kind: 1, bytes: to_bytes(message) };
        loop {
            // SAFETY: the kernel reads a long and `BYTES` bytes behind it: an `Envelope`, whose layout is C's and has
            // no padding in front of its bytes, since a long's alignment is its size.
            let sent = unsafe { libc::msgsnd(self.0, (&raw const envelope).cast::<c_void>(), BYTES, 0) };
            match Errno::result(sent) {
                // No signal handler makes the kernel take the call up again.
                Err(Errno::EINTR) => {}
                other => return other.map(drop),
            }
        }
    }

    #[inline]
    fn receive(&self) -> Result<Message, Errno> {
        let mut envelope = Envelope { kind: 0, bytes: [0; BYTES] };
        loop {
            // SAFETY: the kernel writes a long and at most `BYTES` bytes behind it: into an `Envelope`, see `send`.
            let came = unsafe { libc::msgrcv(self.0, (&raw mut envelope).cast::<c_void>(), BYTES, 0, 0) };
            match Errno::result(came) {
                Err(Errno::EINTR) => {}
                // Not all of it: no message of this program.
                Ok(count) if count as usize != BYTES => return Err(Errno::EBADMSG),
                other => return other.map(|_| from_bytes(&envelope.bytes)),
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: this command takes no buffer.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// Two queues, as large as the kernel makes them.
pub(super) fn queues() -> Result<[Queues<Queue>; 2], Failure> {
    trips::both_ways(Queue::create)
}

impl End for Queues<Queue> {
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.output.send(&message).doing("sending to a System V message queue")
    }

    #[inline]
    fn receive(&mut self) -> Result<Message, Failure> {
        self.input.receive().doing("receiving from a System V message queue")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_carries_a_message_and_is_gone_afterwards() {
        // A kernel may be without them.
        let Ok([mut near, mut far]) = queues() else { return };
        near.send([7; 7]).unwrap();
        assert_eq!(far.receive().unwrap(), [7; 7]);
        let id = near.output.0;
        drop((near, far));
        // SAFETY: takes numbers and no buffer.
        let gone = unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        assert_eq!(Errno::result(gone), Err(Errno::EINVAL));
    }
}
