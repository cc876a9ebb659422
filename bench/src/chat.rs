//! `halyard-bench chat`: a message from SAY to its delivery, through a real server process.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use halyard_client::session::{self, Receiver, Sender};
use halyard_client::{ClientOptions, Event, Times};
use halyard_ring::chat::TEXT_MAX;
use halyard_ring::monotonic_ns;
use hdrhistogram::Histogram;

use crate::common::{Common, Pins};
use crate::failure::{Failure, While as _};
use crate::figures::{self, Series};
use crate::host::{Host, Needs};
use crate::relay::{self, Station, Waiting};
use crate::results::Results;
use crate::timed;

/// Measure a message from SAY to delivery through a server process, beside a bare relay of as many threads
///
/// --wait is how the server's threads, the client's and the relay's wait, adaptive by default; --pin is where the
/// server's broadcasters run, by default where the server puts them.
#[derive(Args, Debug)]
pub(crate) struct Chat {
    #[command(flatten)]
    common: Common,
    /// Bytes of text in each message
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = text_bytes)]
    text: usize,
    /// Run this program as the server, with halyard-server's options, instead of the server built in here
    #[arg(long, value_name = "PROGRAM")]
    server_bin: Option<PathBuf>,
}

fn text_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse().ok().filter(|bytes| (1..=TEXT_MAX).contains(bytes));
    bytes.ok_or_else(|| format!("a number from 1 to {TEXT_MAX}"))
}

/// How long one message may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is measured for one wait strategy.
struct Case {
    waiting: Waiting,
    relay: Series,
    whole: Series,
    delivery: Series,
    stages: [Series; 3],
}

impl Case {
    fn new(waiting: Waiting) -> Self {
        let how = waiting.name();
        let series =
            |part: &str, label: &str| Series::new(format!("chat.{how}.{part}"), format!("  {label}"));
        Self {
            waiting,
            relay: Series::new(format!("relay.4.{how}"), format!("bare relay of 4 threads, {how}")),
            whole: Series::new(format!("chat.{how}.loop"), format!("chat loop of 4 threads, {how}")),
            delivery: series("delivery", "of it: SAY to delivery"),
            stages: [
                series("stage.router", "SAY to router"),
                series("stage.broadcaster", "router to reply ring"),
                series("stage.receiver", "reply ring to receiver"),
            ],
        }
    }
}

impl Chat {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let rounds = self.common.rounds();
        let ways = self.common.ways(&[Waiting::Adaptive]);
        let mut cases: Vec<Case> = ways.iter().map(|&waiting| Case::new(waiting)).collect();
        let bar = self.common.bar(rounds * cases.len() * 2);
        let about = format!(
            "A closed loop of four threads: a client's sender says {} bytes of text, the server's router and \
             broadcaster (another process) pass it on, the client's receiver gets it and hands back to the sender \
             through a cache line. The floor is a bare token through four threads of one process that wait in the \
             same way.",
            self.text
        );
        let mut results = Results::new("chat", vec![about]);
        for _ in 0..rounds {
            for case in &mut cases {
                bar.set_message(case.relay.label.clone());
                case.relay.rounds.push(relay::measure(4, case.waiting, &[], self.common.time())?);
                bar.inc(1);
                bar.set_message(case.whole.label.clone());
                let measured = self.measure(case.waiting)?;
                case.whole.rounds.push(measured.whole);
                case.delivery.rounds.push(measured.heard.delivery);
                for (series, stage) in case.stages.iter_mut().zip(measured.heard.stages) {
                    series.rounds.push(stage);
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        for case in cases {
            let floor = case.relay.id.clone();
            results.add_alone(case.relay);
            results.add(case.whole, &floor);
            results.add_alone(case.delivery);
            for stage in case.stages {
                results.add_alone(stage);
            }
        }
        self.common.finish(results)
    }

    /// One round: a server of its own, so that no other one's threads run meanwhile.
    fn measure(&self, waiting: Waiting) -> Result<Measured, Failure> {
        let needs = Needs {
            clients: 8,
            rooms: 8,
            wait: waiting.name().to_owned(),
            broadcasters: Some(1),
            pin: match self.common.pins() {
                Pins::Auto => None,
                pins => Some(pins.or(&[])),
            },
        };
        let host = Host::start(&needs, self.server_bin.as_deref().map(Path::new))?;
        let options = ClientOptions::new(host.name().clone(), "sender").wait(waiting.wait());
        let (mut sender, mut receiver) = session::connect(&options).doing("connecting to the server")?;
        let joined = sender.join("bench").doing("joining a room")?;
        await_join(&mut receiver, joined)?;
        let measured =
            closed_loop(&mut sender, &mut receiver, waiting, &"x".repeat(self.text), self.common.time());
        sender.quit().doing("leaving the server")?;
        drop((sender, receiver));
        host.stop()?;
        measured
    }
}

struct Measured {
    whole: Histogram<u64>,
    heard: Heard,
}

/// What the receiver measures.
struct Heard {
    delivery: Histogram<u64>,
    /// From SAY to the router, from there into the reply ring, from there to the receiver.
    stages: [Histogram<u64>; 3],
}

impl Heard {
    fn new() -> Self {
        Self { delivery: figures::histogram(), stages: [(); 3].map(|()| figures::histogram()) }
    }

    fn record(&mut self, times: Times, now: u64) {
        let stamps = [times.sent_ns, times.routed_ns, times.delivered_ns, now];
        self.delivery.saturating_record(now.saturating_sub(times.sent_ns).max(1));
        for (stage, pair) in self.stages.iter_mut().zip(stamps.windows(2)) {
            stage.saturating_record(pair[1].saturating_sub(pair[0]).max(1));
        }
    }
}

fn await_join(receiver: &mut Receiver, command: u64) -> Result<(), Failure> {
    loop {
        let answer = receiver.recv_with(PATIENCE, |event| match event {
            Event::Answer(answer) if answer.command == command => {
                Some(answer.result.map(|_| ()).map_err(|refusal| refusal.text.to_owned()))
            }
            _ => None,
        });
        match answer.doing("joining a room")? {
            Some(Some(result)) => return result.doing("joining a room"),
            Some(None) => {}
            None => return Err(Failure::broke("joining a room", "the server does not answer")),
        }
    }
}

fn closed_loop(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked() {
        assert_eq!(text_bytes("4096"), Ok(4096));
        assert!(text_bytes("0").is_err() && text_bytes("4097").is_err());
    }
}
