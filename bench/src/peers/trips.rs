//! Round trips between two threads: one sends a message and waits for it, the other sends back what it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::place::pin;
use crate::record::Words;
use crate::timed;

/// What is sent: as much as a record of the ring in a 64-byte slot.
pub(super) type Message = Words<7>;

/// Bytes of a message.
pub(super) const BYTES: usize = size_of::<Message>();

/// The first word of the message that ends an echo.
pub(super) const STOP: u64 = u64::MAX;

/// One end of a connection.
pub(super) trait End {
    fn send(&mut self, message: Message) -> Result<(), Failure>;

    /// Waits for the next message.
    fn receive(&mut self) -> Result<Message, Failure>;
}

/// An end of two queues, one for each way.
pub(super) struct Queues<Q> {
    pub(super) input: Arc<Q>,
    pub(super) output: Arc<Q>,
}

/// Both ends of two queues that `create` makes.
pub(super) fn both_ways<Q>(create: impl Fn() -> Result<Q, Failure>) -> Result<[Queues<Q>; 2], Failure> {
    let (out, back) = (Arc::new(create()?), Arc::new(create()?));
    let far = Queues { input: Arc::clone(&out), output: Arc::clone(&back) };
    Ok([Queues { input: back, output: out }, far])
}

/// What becomes an [`End`] on the thread that uses it.
pub(super) trait Half: Send {
    type End: End;

    fn open(self) -> Result<Self::End, Failure>;
}

impl<E: End + Send> Half for E {
    type End = Self;

    fn open(self) -> Result<Self, Failure> {
        Ok(self)
    }
}

/// What is done with the two ends of a connection.
pub(super) trait Work {
    type Output;

    /// The most messages that are on their way at a time, one way.
    const DEPTH: u32;

    fn with<H: Half>(self, ends: [H; 2]) -> Result<Self::Output, Failure>;
}

/// Round trips for this long. The caller is pinned to the first processor; the echo gets the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trips {
    pub(super) pair: [usize; 2],
    pub(super) time: Duration,
}

impl Work for Trips {
    type Output = Histogram<u64>;
    const DEPTH: u32 = 1;

    fn with<H: Half>(self, ends: [H; 2]) -> Result<Histogram<u64>, Failure> {
        between(self.pair, ends, self.time)
    }
}

fn between<H: Half>(
    pair: [usize; 2],
    [near, far]: [H; 2],
    time: Duration,
) -> Result<Histogram<u64>, Failure> {
    let mut near = near.open()?;
    thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let (over, is_over) = mpsc::channel::<()>();
        let echo = scope.spawn(move || {
            pin(&pair, 1)?;
            let mut end = far.open()?;
            let _ = ready.send(());
            let echoed = echo(&mut end);
            if echoed.is_err() {
                // Where the end of a connection does not show, whoever waits for a message wakes up by this one.
                let _ = end.send([STOP; 7]);
            }
            // What the other end has not taken yet may go with this one.
            let _ = is_over.recv();
            echoed
        });
        // Not ready: the echo says why when it is joined.
        let measured = is_ready.recv().ok().map(|()| trips(&mut near, time));
        drop((near, over));
        let echoed = echo.join().expect("a measurement does not panic");
        match measured {
            // After a failure on this side the echo's own is a consequence.
            Some(measured) => measured.and_then(|histogram| echoed.map(|()| histogram)),
            None => Err(echoed.err().unwrap_or_else(|| Failure::broke("the echo", "ended too early"))),
        }
    })
}

fn trips(end: &mut impl End, time: Duration) -> Result<Histogram<u64>, Failure> {
    let mut trip = 0;
    let measured = timed::samples(time, || {
        trip += 1;
        end.send([trip; 7])?;
        if end.receive()? == [trip; 7] {
            return Ok(());
        }
        Err(Failure::broke("the message that came back", "is not the one that was sent"))
    });
    let stopped = end.send([STOP; 7]);
    // After a failure the echo may be gone, and nothing comes back.
    let histogram = measured?;
    stopped?;
    end.receive()?;
    Ok(histogram)
}

fn echo(end: &mut impl End) -> Result<(), Failure> {
    loop {
        let message = end.receive()?;
        end.send(message)?;
        if message[0] == STOP {
            return Ok(());
        }
    }
}

/// Lays a message into shared memory, `word` by word. The other side is told in another way.
#[inline]
pub(super) fn lay<'a>(word: impl Fn(usize) -> &'a AtomicU64, message: &Message) {
    for (index, &value) in message.iter().enumerate().skip(1) {
        word(index).store(value, Ordering::Relaxed);
    }
    // Release: meets the Acquire of `pick`.
    word(0).store(message[0], Ordering::Release);
}

/// The message that the other side laid into shared memory before it told this one.
#[inline]
pub(super) fn pick<'a>(word: impl Fn(usize) -> &'a AtomicU64) -> Message {
    let mut message = [0; 7];
    message[0] = word(0).load(Ordering::Acquire);
    for (index, value) in message.iter_mut().enumerate().skip(1) {
        *value = word(index).load(Ordering::Relaxed);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that hands back something else every so often, or breaks.
    struct Bad {
        out: mpsc::Sender<Message>,
        back: mpsc::Receiver<Message>,
        garble: bool,
    }

    impl End for Bad {
        fn send(&mut self, mut message: Message) -> Result<(), Failure> {
            if self.garble && message[0] != STOP {
                message[6] ^= 1;
            }
            self.out.send(message).map_err(|_| Failure::broke("sending", "nobody is there"))
        }

        fn receive(&mut self) -> Result<Message, Failure> {
            self.back.recv().map_err(|_| Failure::broke("receiving", "nobody is there"))
        }
    }

    fn bad(garble: bool) -> [Bad; 2] {
        let (out, far) = mpsc::channel();
        let (echo, back) = mpsc::channel();
        [Bad { out, back, garble: false }, Bad { out: echo, back: far, garble }]
    }

    #[test]
    fn a_message_that_comes_back_changed_is_a_failure() {
        let cpu = halyard_ring::cpus()[0];
        let time = Duration::from_millis(2);
        assert!(!between([cpu; 2], bad(false), time).unwrap().is_empty());
        let why = between([cpu; 2], bad(true), time).unwrap_err();
        assert!(why.to_string().contains("not the one that was sent"), "{why}");
    }

    #[test]
    fn an_echo_that_cannot_start_says_why() {
        let cpu = halyard_ring::cpus()[0];
        let why = between([cpu, 99_999], bad(false), Duration::from_millis(2)).unwrap_err();
        assert!(why.to_string().contains("99999"), "{why}");
    }
}
