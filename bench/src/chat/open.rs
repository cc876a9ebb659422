//! The open loop: messages at a given rate, measured from when each was due to be said.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::Event;
use halyard_client::session::{Receiver, Sender};
use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;

use super::{Heard, PATIENCE};
use crate::chain::{Pace, precise_timers};
use crate::failure::{Failure, While as _};
use crate::{figures, interrupt, usage};

/// One round of one rate.
pub(super) struct Opened {
    /// From when it was due to when the receiver had it.
    pub(super) whole: Histogram<u64>,
    pub(super) heard: Heard,
    /// Percent of a core that the server's process and this one used meanwhile.
    pub(super) server_cpu: f64,
    pub(super) client_cpu: f64,
}

/// Says `pace.messages` messages and takes them.
pub(super) fn open_loop(
    sender: &mut Sender,
    receiver: &mut Receiver,
    pace: Pace,
    text: &str,
    server: u32,
) -> Result<Opened, Failure> {
    let own = std::process::id();
    let begun = Instant::now();
    let (server_before, own_before) = (usage::cpu(server)?, usage::cpu(own)?);
    // What one side suffers from the other's failure would hide what happened: the first failure counts.
    let failure = OnceLock::new();
    let heard = thread::scope(|scope| {
        let receiver = scope.spawn(|| hear(receiver, pace, &failure).map_err(|why| failure.set(why)).ok());
        let sender = scope.spawn(|| say(sender, pace, text, &failure).map_err(|why| failure.set(why)).ok());
        sender.join().expect("the sender does not panic");
        receiver.join().expect("the receiver does not panic")
    });
    let (whole, heard) = match (failure.into_inner(), heard) {
        (Some(why), _) => return Err(why),
        (None, heard) => heard.expect("without a failure everything was heard"),
    };
    let elapsed = begun.elapsed();
    Ok(Opened {
        whole,
        heard,
        server_cpu: usage::percent(usage::cpu(server)?.saturating_sub(server_before), elapsed),
        client_cpu: usage::percent(usage::cpu(own)?.saturating_sub(own_before), elapsed),
    })
}

fn say(sender: &mut Sender, pace: Pace, text: &str, failure: &OnceLock<Failure>) -> Result<(), Failure> {
    precise_timers();
    for index in 0..pace.messages {
        interrupt::check()?;
        if failure.get().is_some() {
            break;
        }
        pace.sleep_until(index);
        sender.say(text).doing("saying a message")?;
    }
    Ok(())
}

fn hear(
    receiver: &mut Receiver,
    pace: Pace,
    failure: &OnceLock<Failure>,
) -> Result<(Histogram<u64>, Heard), Failure> {
    let mut whole = figures::histogram();
    let mut heard = Heard::new();
    let mut messages = 0;
    let mut silent = Duration::ZERO;
    while messages < pace.messages {
        interrupt::check()?;
        let step = Duration::from_secs(1);
        let received = receiver.recv_with(step, |event| match event {
            Event::Message(message) => {
                let now = monotonic_ns();
                // They come in the order in which they were said: the first that comes is the first that was due.
                if messages >= pace.warm_up {
                    whole.saturating_record(now.saturating_sub(pace.due(messages)).max(1));
                    heard.record(message.times, now);
                }
                messages += 1;
                Ok(())
            }
            Event::Answer(answer) => match answer.result {
                Ok(_) => Ok(()),
                Err(refusal) => Err(Failure::broke("saying a message", refusal.text)),
            },
            event => Err(Failure::broke("waiting for a message", format_args!("{event:?}"))),
        });
        match received.doing("waiting for a message")? {
            Some(result) => {
                result?;
                silent = Duration::ZERO;
            }
            None => {
                silent += step;
                if silent > PATIENCE || failure.get().is_some() {
                    return Err(Failure::broke("waiting for a message", "none came"));
                }
            }
        }
    }
    Ok((whole, heard))
}
