//! The processes behind the demo: a server, and the players. Each reads its orders from standard input and ends in
//! good order when that ends, so none outlives the demo, however the demo ends.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::session::{self, Receiver, Sender};
use halyard_client::{Answer, ClientOptions, Delivery, Event, Kind, SendError, ServerName};
use halyard_ring::monotonic_ns;
use halyard_server::{Config, Server};

use super::script::burst_text;
use super::wire::{Done, Heard, Log, News, Order, Said};

/// Records in a player's ring: more than the whole demo sends to one player, so that nothing can be dropped even if
/// this machine runs none of it for a while.
const RING: u32 = 4096;
/// How often a listening player looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long a player waits for the end of its session after QUIT.
const FAREWELL: Duration = Duration::from_secs(5);

/// The server's process. Returns whether all went well.
pub(crate) fn serve(name: ServerName) -> bool {
    match Server::start(Config { name, ..Config::default() }) {
        Ok(server) => {
            tell(&News::Ready { pid: std::process::id() });
            // No orders are for the server: this ends when the demo does.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            server.stop();
            true
        }
        Err(error) => {
            tell(&News::Trouble { text: error.to_string() });
            false
        }
    }
}

/// A player's process. Returns whether all went well.
pub(crate) fn play(server: ServerName, nick: &str) -> bool {
    let (sender, receiver) = match session::connect(&ClientOptions::new(server, nick).ring_capacity(RING)) {
        Ok(halves) => halves,
        Err(error) => {
            tell(&News::Trouble { text: error.to_string() });
            return false;
        }
    };
    tell(&News::Ready { pid: std::process::id() });
    let ear = Ear::default();
    let (stop, hush, pushed_ns) = (Arc::clone(&ear.stop), Arc::clone(&ear.hush), Arc::clone(&ear.pushed_ns));
    let listener = thread::spawn(move || ear.listen(receiver));
    let said = match obey(sender, &hush, &pushed_ns) {
        Ok(said) => said,
        Err(error) => {
            tell(&News::Trouble { text: error.to_string() });
            Vec::new()
        }
    };
    let asked = Instant::now();
    while !listener.is_finished() && asked.elapsed() < FAREWELL {
        thread::sleep(Duration::from_millis(2));
    }
    stop.store(true, Ordering::Relaxed);
    let Ok((mut log, acks)) = listener.join() else { return false };
    // Only now do the answers and what they answer come together: they belong to two threads.
    let text_of = |number| said.iter().find(|(said, _)| *said == number).map(|(_, text)| text.clone());
    log.said = acks.iter().filter_map(|&(number, seq)| Some(Said { seq, text: text_of(number)? })).collect();
    tell(&News::Log(log));
    true
}

/// Carries out the orders until QUIT or the end of input. Returns the numbers and texts of its SAYs.
fn obey(
    mut sender: Sender,
    hush: &AtomicUsize,
    pushed_ns: &AtomicU64,
) -> Result<Vec<(u64, String)>, SendError> {
    let mut said = Vec::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let Ok(order) = serde_json::from_str(&line) else {
            tell(&News::Trouble { text: format!("cannot read the order {line:?}") });
            break;
        };
        // Before the push: the answer may be read before it returns.
        pushed_ns.store(monotonic_ns(), Ordering::Release);
        match order {
            Order::Join { room } => drop(sender.join(&room)?),
            Order::Say { text } => said.push((sender.say(&text)?, text)),
            Order::Dm { to, text } => drop(sender.dm(&to, &text)?),
            Order::Who => drop(sender.who()?),
            Order::Leave => drop(sender.leave()?),
            Order::Quit => {
                sender.quit()?;
                break;
            }
            Order::Hush { expect } => {
                hush.store(expect, Ordering::Release);
                tell(&News::Hushed);
            }
            Order::Burst { lines, every_ns, start_ns } => {
                let late_ns = burst(&mut sender, &mut said, lines, every_ns, start_ns)?;
                tell(&News::Said { late_ns });
            }
        }
    }
    Ok(said)
}

/// Says `lines` lines, one every `every_ns`, whether or not anybody has heard the ones before. Returns by how much
/// the latest one missed its time.
fn burst(
    sender: &mut Sender,
    said: &mut Vec<(u64, String)>,
    lines: u32,
    every_ns: u64,
    start_ns: u64,
) -> Result<u64, SendError> {
    let mut late_ns = 0;
    for index in 0..lines {
        let text = burst_text(index);
        let due = start_ns + u64::from(index) * every_ns;
        let early = due.saturating_sub(monotonic_ns());
        if early > 0 {
            thread::sleep(Duration::from_nanos(early));
        }
        late_ns = monotonic_ns().saturating_sub(due).max(late_ns);
        said.push((sender.say(&text)?, text));
    }
    Ok(late_ns)
}

/// The half of a player that listens.
#[derive(Default)]
struct Ear {
    stop: Arc<AtomicBool>,
    /// When the last command was about to be pushed, nanoseconds of CLOCK_MONOTONIC.
    pushed_ns: Arc<AtomicU64>,
    /// How many messages and answers to take without a word; 0: tell everything.
    hush: Arc<AtomicUsize>,
    /// How many of those have come.
    hushed: usize,
    log: Log,
    /// The numbers of confirmed SAYs, and those of the messages that they became.
    acks: Vec<(u64, u64)>,
    members: Vec<String>,
}

impl Ear {
    fn listen(mut self, mut receiver: Receiver) -> (Log, Vec<(u64, u64)>) {
        loop {
            let event = receiver.recv_with(LOOK, |event: Delivery<'_>| (monotonic_ns(), event.into_owned()));
            match event {
                Ok(Some((now_ns, event))) => self.hear(event, now_ns),
                Ok(None) if self.stop.load(Ordering::Relaxed) => break,
                Ok(None) => {}
                Err(_) => break,
            }
        }
        (self.log, self.acks)
    }

    fn hear(&mut self, event: Event, now_ns: u64) {
        let quiet = self.hush.load(Ordering::Acquire);
        match event {
            Event::Message(m) => {
                let took_ns = now_ns.saturating_sub(m.times.sent_ns);
                let heard = Heard { room: m.room, seq: m.seq, nick: m.nick, text: m.text, took_ns };
                if quiet == 0 {
                    tell(&News::Message(heard.clone()));
                } else {
                    self.count_down(quiet);
                }
                self.log.heard.push(heard);
            }
            Event::Direct(d) => {
                let took_ns = now_ns.saturating_sub(d.times.sent_ns);
                let heard = Heard { room: String::new(), seq: 0, nick: d.nick, text: d.text, took_ns };
                tell(&News::Direct(heard.clone()));
                self.log.directs.push(heard);
            }
            Event::Member(entry) => self.members.push(entry.name),
            Event::Answer(Answer { command, result: Ok(ack) }) => {
                if ack.kind == Kind::Say {
                    self.acks.push((command, ack.seq));
                }
                if quiet > 0 {
                    self.count_down(quiet);
                } else {
                    tell(&News::Done(Done {
                        seq: ack.seq,
                        count: ack.count,
                        members: std::mem::take(&mut self.members),
                        took_ns: now_ns.saturating_sub(self.pushed_ns.load(Ordering::Acquire)),
                    }));
                }
            }
            Event::Answer(Answer { result: Err(refusal), .. }) => {
                tell(&News::Trouble { text: refusal.text });
            }
            Event::Gap(gap) => tell(&News::Trouble { text: format!("records are missing: {gap:?}") }),
            Event::Unusable(record) => tell(&News::Trouble { text: format!("unusable record: {record:?}") }),
            _ => {}
        }
    }

    fn count_down(&mut self, quiet: usize) {
        self.hushed += 1;
        if self.hushed == quiet {
            self.hushed = 0;
            self.hush.store(0, Ordering::Release);
            tell(&News::HeardAll);
        }
    }
}

/// Writes a line to the demo. If nobody reads it any more, standard input has ended too, and says what to do.
fn tell(news: &News) {
    /// Two threads of a player talk.
    static OUT: Mutex<()> = Mutex::new(());
    let _one_at_a_time = OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut line = serde_json::to_vec(news).unwrap_or_default();
    line.push(b'\n');
    let mut out = io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}
