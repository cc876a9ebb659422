//! The closed loop: the next message is said when the last one has come.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use halyard_client::Event;
use halyard_client::session::{Receiver, Sender};
use halyard_ring::monotonic_ns;

use super::{Heard, Measured, PATIENCE};
use crate::failure::{Failure, While as _};
use crate::relay::{Station, Waiting};
use crate::timed;

/// Says a message, waits until the receiver has it, says the next, and so on for `time`.
pub(super) fn closed_loop(
    sender: &mut Sender,
    receiver: &mut Receiver,
    waiting: Waiting,
    text: &str,
    time: Duration,
) -> Result<Measured, Failure> {
    let back = Station::new(waiting);
    // The message after which nothing more is said.
    let last = AtomicU64::new(u64::MAX);
    // When the warm-up was over: what was said before is not recorded.
    let from_ns = AtomicU64::new(u64::MAX);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| hear(receiver, &back, &last, &from_ns));
        let sender = scope.spawn(|| {
            let said = Cell::new(0);
            let mut say = || {
                said.set(said.get() + 1);
                sender.say(text).doing("saying a message")?;
                match back.wait(said.get() - 1) {
                    FAILED => Err(Failure::broke("the receiver", "has stopped")),
                    _ => Ok(()),
                }
            };
            let whole = timed::samples_from(time, |now| from_ns.store(now, Ordering::Relaxed), &mut say);
            // One more, which the receiver knows to be the last before it comes.
            last.store(said.get() + 1, Ordering::Release);
            whole.and_then(|whole| say().map(|()| whole))
        });
        let whole = sender.join().expect("the sender does not panic");
        let heard = receiver.join().expect("the receiver does not panic");
        // The receiver's failure is the cause of the sender's, where both failed.
        let heard = heard?;
        Ok(Measured { whole: whole?, heard })
    })
}

/// What the receiver hands back if it cannot go on.
const FAILED: u64 = u64::MAX;

fn hear(
    receiver: &mut Receiver,
    back: &Station,
    last: &AtomicU64,
    from_ns: &AtomicU64,
) -> Result<Heard, Failure> {
    let mut heard = Heard::new();
    let mut messages = 0;
    let result = loop {
        let received = receiver.recv_with(PATIENCE, |event| match event {
            Event::Message(message) => {
                let now = monotonic_ns();
                messages += 1;
                back.pass(messages);
                if message.times.sent_ns >= from_ns.load(Ordering::Relaxed) {
                    heard.record(message.times, now);
                }
                Ok(())
            }
            Event::Answer(answer) => match answer.result {
                Ok(_) => Ok(()),
                Err(refusal) => Err(Failure::broke("saying a message", refusal.text)),
            },
            event => Err(Failure::broke("waiting for a message", format_args!("{event:?}"))),
        });
        match received.doing("waiting for a message") {
            Ok(Some(Ok(()))) if messages >= last.load(Ordering::Acquire) => break Ok(()),
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(failure))) | Err(failure) => break Err(failure),
            Ok(None) => break Err(Failure::broke("waiting for a message", "none came")),
        }
    };
    match result {
        Ok(()) => Ok(heard),
        Err(failure) => {
            back.pass(FAILED);
            Err(failure)
        }
    }
}
