//! The honest clients: a room in which each says something at a steady rate, and what each hears is timed from when it
//! was due to be said.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use halyard_client::session::{self, Receiver, Sender};
use halyard_client::{ClientOptions, Event, ServerName};
use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;

use crate::chain::{Pace, precise_timers};
use crate::failure::{Failure, While as _};
use crate::{figures, interrupt};

/// How long one message may take.
const PATIENCE_NS: u64 = 20_000_000_000;
/// How long a client waits at most before it looks whether to go on waiting.
const STEP: Duration = Duration::from_millis(500);

/// One client, connected and in the room.
pub(super) struct Honest {
    sender: Sender,
    receiver: Receiver,
}

/// Connects the clients and puts them into one room.
pub(super) fn connect(server: &ServerName, clients: u16) -> Result<Vec<Honest>, Failure> {
    let connect = |index| {
        let options = ClientOptions::new(server.clone(), format!("honest-{index}")).ring_capacity(1024);
        let (mut sender, mut receiver) = session::connect(&options).doing("connecting to the server")?;
        let joined = sender.join("bench").doing("joining a room")?;
        let mut answered = false;
        while !answered {
            let step = receiver.recv_with(Duration::from_secs(20), |event| match event {
                Event::Answer(answer) if answer.command == joined => {
                    answer.result.map(|_| true).map_err(|refusal| refusal.text.to_owned())
                }
                _ => Ok(false),
            });
            let Some(step) = step.doing("joining a room")? else {
                return Err(Failure::broke("joining a room", "the server does not answer"));
            };
            answered = step.doing("joining a room")?;
        }
        Ok(Honest { sender, receiver })
    };
    (0..clients).map(connect).collect()
}

/// Lets all of them talk, `rate` messages a second each, and returns how long their messages took.
pub(super) fn talk(honest: &mut [Honest], rate: u32, time: Duration) -> Result<Histogram<u64>, Failure> {
    let failure = OnceLock::new();
    let least = 20;
    let interval = Duration::from_secs(1) / rate;
    let all = honest.len() as u64;
    let mut sum = figures::histogram();
    let pace = Pace::new(rate, time, least);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(honest.iter_mut())
            .map(|(index, one)| {
                // Evenly spread: not all at one moment.
                let pace = pace.later(interval * index / all as u32);
                let failure = &failure;
                scope.spawn(move || {
                    let mut took = figures::histogram();
                    if let Err(why) = one.take_part(pace, all, failure, &mut took) {
                        let _ = failure.set(why);
                    }
                    took
                })
            })
            .collect();
        for thread in threads {
            // All have the bounds of `figures::histogram`.
            let _ = sum.add(thread.join().expect("a measurement does not panic"));
        }
    });
    // What one suffers from another's failure would hide what happened: the first failure counts.
    failure.into_inner().map_or(Ok(sum), Err)
}

impl Honest {
    /// Says its own messages when they are due, and takes everybody's until it has all.
    fn take_part(
        &mut self,
        pace: Pace,
        speakers: u64,
        failure: &OnceLock<Failure>,
        took: &mut Histogram<u64>,
    ) -> Result<(), Failure> {
        precise_timers();
        let (mut said, mut acknowledged, mut heard) = (0, 0, 0);
        let mut last_ns = monotonic_ns();
        // Its own come back, too.
        let expected = pace.messages * speakers;
        while said < pace.messages || acknowledged < said || heard < expected {
            interrupt::check()?;
            if failure.get().is_some() {
                return Ok(());
            }
            let now = monotonic_ns();
            if said < pace.messages && now >= pace.due(said) {
                // Receivers read off the text when it was due; 0 while it only warms up.
                let due = if said < pace.warm_up { 0 } else { pace.due(said) };
                self.sender
                    .say(&format!("{due:020} The quick brown fox jumps over the lazy dog."))
                    .doing("saying a message")?;
                said += 1;
                continue;
            }
            let next = if said < pace.messages {
                Duration::from_nanos(pace.due(said) - now).min(STEP)
            } else {
                STEP
            };
            let received = self.receiver.recv_with(next, |event| match event {
                Event::Message(message) => {
                    let now = monotonic_ns();
                    let due = message.text.get(..20).and_then(|text| text.parse().ok()).unwrap_or(0);
                    if due != 0 {
                        took.saturating_record(now.saturating_sub(due).max(1));
                    }
                    heard += 1;
                    Ok(())
                }
                Event::Answer(answer) => {
                    acknowledged += 1;
                    answer.result.map(drop).map_err(|refusal| refusal.text.to_owned())
                }
                Event::Gap(_) | Event::Unusable(_) | Event::Goodbye(_) => Err(format!("{event:?}")),
                _ => Ok(()),
            });
            match received.doing("waiting for a message")? {
                Some(result) => {
                    result.doing("waiting for a message")?;
                    last_ns = monotonic_ns();
                }
                None if monotonic_ns().saturating_sub(last_ns) > PATIENCE_NS => {
                    return Err(Failure::broke("waiting for a message", "none came"));
                }
                None => {}
            }
        }
        Ok(())
    }
}
