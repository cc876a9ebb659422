//! What is measured through a broker: a message at a time, and fan-out.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;

use super::client::{Members, Publisher, Subscriber};
use crate::failure::Failure;
use crate::relay::{Station, Waiting};
use crate::{figures, interrupt, timed};

/// Bytes of text in a message.
pub(super) const TEXT: usize = 64;

/// What a receiver hands back if it cannot go on.
const FAILED: u64 = u64::MAX;

/// Publishes a message, waits until the subscriber has it and hands back through a cache line, publishes the next: what
/// `chat` does. Returns the whole loop, and from before publishing until the subscriber had read it.
pub(super) fn closed_loop(
    mut publisher: Publisher,
    mut subscriber: Subscriber,
    waiting: Waiting,
    time: Duration,
) -> Result<[Histogram<u64>; 2], Failure> {
    let back = &Station::new(waiting);
    // The message after which nothing more is published.
    let last = &AtomicU64::new(u64::MAX);
    // When the warm-up was over: what was published before is not recorded.
    let from_ns = &AtomicU64::new(u64::MAX);
    thread::scope(|scope| {
        let receiver = scope.spawn(move || hear(&mut subscriber, back, last, from_ns));
        let sender = scope.spawn(move || {
            let said = Cell::new(0);
            let mut say = || {
                said.set(said.get() + 1);
                publisher.publish(&text(said.get(), monotonic_ns()));
                publisher.flush()?;
                match back.wait(said.get() - 1) {
                    FAILED => Err(Failure::broke("the subscriber", "has stopped")),
                    _ => Ok(()),
                }
            };
            let whole = timed::samples_from(time, |now| from_ns.store(now, Ordering::Relaxed), &mut say);
            // One more, which the subscriber knows to be the last before it comes.
            last.store(said.get() + 1, Ordering::Release);
            whole.and_then(|whole| say().map(|()| whole))
        });
        let whole = sender.join().expect("a measurement does not panic");
        // The subscriber's failure is the cause of the publisher's, where both failed.
        let delivery = receiver.join().expect("a measurement does not panic")?;
        Ok([whole?, delivery])
    })
}

/// A text that says its number and when it was sent.
fn text(number: u64, sent_ns: u64) -> [u8; TEXT] {
    let mut text = [b'x'; TEXT];
    text[..8].copy_from_slice(&number.to_le_bytes());
    text[8..16].copy_from_slice(&sent_ns.to_le_bytes());
    text
}

/// The number and the time of a [`text`]; `None` if it is none.
fn read(text: &[u8]) -> Option<(u64, u64)> {
    let (number, rest) = text.split_first_chunk()?;
    let (sent, rest) = rest.split_first_chunk()?;
    let whole = rest.len() == TEXT - 16 && rest.iter().all(|byte| *byte == b'x');
    whole.then(|| (u64::from_le_bytes(*number), u64::from_le_bytes(*sent)))
}

fn hear(
    subscriber: &mut Subscriber,
    back: &Station,
    last: &AtomicU64,
    from_ns: &AtomicU64,
) -> Result<Histogram<u64>, Failure> {
    let mut delivery = figures::histogram();
    let mut messages = 0;
    while messages < last.load(Ordering::Acquire) {
        let received = subscriber.receive(|text| {
            let now = monotonic_ns();
            messages += 1;
            let (number, sent_ns) = read(text).ok_or_else(|| Failure::broke("a message", "came changed"))?;
            if number != messages {
                return Err(Failure::broke("a message", format_args!("{number} came instead of {messages}")));
            }
            back.pass(messages);
            if sent_ns >= from_ns.load(Ordering::Relaxed) {
                delivery.saturating_record(now.saturating_sub(sent_ns).max(1));
            }
            Ok(())
        });
        if let Err(failure) = received {
            back.pass(FAILED);
            return Err(failure);
        }
    }
    Ok(delivery)
}

/// The most messages under way. The sockets between are far larger than a reply ring; fewer would leave the broker
/// waiting for the bench.
const WINDOW: u64 = 512;

/// Subscribers of one channel, and who publishes to them, all on one thread.
pub(super) struct Room {
    publisher: Publisher,
    members: Members,
    said: u64,
    text: [u8; TEXT],
}

impl Room {
    pub(super) fn new(publisher: Publisher, members: Members) -> Self {
        Self { publisher, members, said: 0, text: [b'x'; TEXT] }
    }

    fn publish(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..count {
            self.publisher.publish(&self.text);
        }
        self.said += count;
        self.publisher.flush()
    }

    /// Waits until all have all.
    fn settle(&mut self) -> Result<(), Failure> {
        while self.members.slowest() < self.said {
            interrupt::check()?;
            self.members.drain(&self.text)?;
        }
        Ok(())
    }

    /// One message at a time: from before publishing until the last subscriber has read it.
    pub(super) fn one_by_one(&mut self, time: Duration) -> Result<Histogram<u64>, Failure> {
        timed::samples(time, || {
            self.publish(1)?;
            self.settle()
        })
    }

    /// Deliveries a second while everybody reads.
    pub(super) fn stream(&mut self, time: Duration) -> Result<f64, Failure> {
        let mut received = 0;
        let begun = Instant::now();
        while begun.elapsed() < time || received == 0 {
            interrupt::check()?;
            let room = WINDOW - (self.said - self.members.slowest());
            if room > 0 {
                self.publish(room)?;
            }
            received += self.members.drain(&self.text)?;
        }
        let elapsed = begun.elapsed();
        self.settle()?;
        Ok(received as f64 / elapsed.as_secs_f64())
    }
}
