//! The processes of the demo, and the pipes to them.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::ServerName;
use halyard_ring::chat::parse_ring_name;
use halyard_ring::{RingName, list_names, remove_dead};

use super::wire::{News, Order};
use crate::cli::exit::{Ended, Exit, Failure, Result};

/// How long anything that the play waits for may take. It takes microseconds, unless this machine is overloaded.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a process may take to end after its standard input has.
const FAREWELL: Duration = Duration::from_secs(8);
/// How often to look whether a signal came.
const LOOK: Duration = Duration::from_millis(50);

/// A process of the play.
struct Part {
    nick: String,
    child: Child,
    orders: Option<ChildStdin>,
    over: bool,
}

/// What comes from the processes.
enum Cue {
    News(News),
    /// Its standard output ended.
    Ended,
    /// It wrote something else.
    Noise(String),
}

/// The server's process and those of the players. Dropping it ends them all and removes their names.
pub(super) struct Stage {
    pub(super) server: ServerName,
    /// The server first.
    parts: Vec<Part>,
    cues: mpsc::Receiver<(usize, Cue)>,
    cue_sender: mpsc::Sender<(usize, Cue)>,
    signal: Arc<AtomicI32>,
}

/// The play cannot go on.
pub(super) fn broken(text: impl Into<String>) -> Failure {
    Ended::with(Exit::Negative, format!("demo failed: {}", text.into())).into()
}

impl Stage {
    /// An empty stage. `signal` becomes the number of a signal that asks the program to end.
    pub(super) fn new(server: ServerName, signal: Arc<AtomicI32>) -> Self {
        let (cue_sender, cues) = mpsc::channel();
        Self { server, parts: Vec::new(), cues, cue_sender, signal }
    }

    /// Starts a process and waits until it is ready. The first one is the server's, the others are players'.
    /// Returns its process id.
    pub(super) fn enter(&mut self, nick: &str) -> Result<u32> {
        let index = self.parts.len();
        let program =
            std::env::current_exe().map_err(|error| Failure::Io("find this program's file", error))?;
        let mut command = Command::new(program);
        command.arg("part-of-demo").arg(self.server.as_str());
        if index > 0 {
            command.arg(nick);
        }
        // In a group of its own: Ctrl-C is for the demo, which then ends its processes in good order.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Failure::Io("start a process", error))?;
        let orders = child.stdin.take();
        let pid = child.id();
        if let Some(output) = child.stdout.take() {
            let cues = self.cue_sender.clone();
            thread::spawn(move || listen(index, BufReader::new(output), &cues));
        }
        self.parts.push(Part { nick: nick.to_owned(), child, orders, over: false });
        match self.next()? {
            (from, News::Ready { pid: told }) if from == index && told == pid => Ok(pid),
            (from, other) => {
                Err(broken(format!("{} said {other:?} before it was ready", self.parts[from].nick)))
            }
        }
    }

    /// Tells a player what to do.
    pub(super) fn order(&mut self, index: usize, order: &Order) -> Result<()> {
        let part = &mut self.parts[index];
        let mut line = serde_json::to_vec(order).map_err(|error| broken(error.to_string()))?;
        line.push(b'\n');
        match &mut part.orders {
            Some(pipe) => {
                pipe.write_all(&line).map_err(|error| broken(format!("{} hears nothing: {error}", part.nick)))
            }
            None => Err(broken(format!("{} has left", part.nick))),
        }
    }

    /// The next that any process tells. Trouble is an error, and so is silence.
    pub(super) fn next(&mut self) -> Result<(usize, News)> {
        let asked = Instant::now();
        loop {
            self.check_signal()?;
            match self.cues.recv_timeout(LOOK) {
                Ok((index, Cue::News(News::Trouble { text }))) => {
                    return Err(broken(format!("{}: {text}", self.parts[index].nick)));
                }
                Ok((index, Cue::News(news))) => return Ok((index, news)),
                Ok((index, Cue::Ended)) => {
                    let part = &mut self.parts[index];
                    if !part.over {
                        let status = wait(&mut part.child, FAREWELL);
                        let status =
                            status.map_or_else(|| "no exit status".to_owned(), |status| status.to_string());
                        return Err(broken(format!("the process of {} ended early ({status})", part.nick)));
                    }
                }
                Ok((index, Cue::Noise(line))) => {
                    return Err(broken(format!("the process of {} wrote {line:?}", self.parts[index].nick)));
                }
                Err(_) if asked.elapsed() < PATIENCE => {}
                Err(_) => return Err(broken(format!("nothing happened for {PATIENCE:?}"))),
            }
        }
    }

    /// Pauses, unless a signal came.
    pub(super) fn pause(&self, span: Duration) -> Result<()> {
        let until = Instant::now() + span;
        loop {
            self.check_signal()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(LOOK));
        }
    }

    fn check_signal(&self) -> Result<()> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Ended::signal(signal).into()),
        }
    }

    /// From now on it is all right if this player's process ends.
    pub(super) fn may_end(&mut self, index: usize) {
        self.parts[index].over = true;
        self.parts[index].orders = None;
    }

    /// Waits for all processes to end, the server's last, and checks that they ended well and left nothing.
    pub(super) fn close(mut self) -> Result<()> {
        for index in (0..self.parts.len()).rev() {
            self.may_end(index);
            let part = &mut self.parts[index];
            match wait(&mut part.child, FAREWELL) {
                Some(status) if status.success() => {}
                Some(status) => {
                    return Err(broken(format!("the process of {} ended with {status}", part.nick)));
                }
                None => return Err(broken(format!("the process of {} does not end", part.nick))),
            }
        }
        self.parts.clear();
        let left = names_of(&self.server).map_err(|error| Failure::Io("read /dev/shm", error))?;
        if left.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = left.iter().map(ToString::to_string).collect();
        Err(broken(format!("these names were left in /dev/shm: {}", left.join(", "))))
    }
}

impl Drop for Stage {
    /// After a failure or a signal: the same in short.
    fn drop(&mut self) {
        // The players first, all at once, then the server: so the names go the usual way.
        for part in self.parts.iter_mut().skip(1) {
            part.orders = None;
        }
        for part in self.parts.iter_mut().rev() {
            part.orders = None;
            if wait(&mut part.child, FAREWELL).is_none() {
                let _ = part.child.kill();
                let _ = part.child.wait();
            }
        }
        for name in names_of(&self.server).unwrap_or_default() {
            let _ = remove_dead(&name);
        }
    }
}

/// The rings of this server that are in /dev/shm.
fn names_of(server: &ServerName) -> io::Result<Vec<RingName>> {
    let ours = |name: &RingName| parse_ring_name(name).is_some_and(|(of, _)| of == *server);
    Ok(list_names()?.into_iter().filter(ours).collect())
}

fn listen(index: usize, output: impl BufRead, cues: &mpsc::Sender<(usize, Cue)>) {
    for line in output.lines().map_while(io::Result::ok) {
        let cue = serde_json::from_str(&line).map_or(Cue::Noise(line), Cue::News);
        if cues.send((index, cue)).is_err() {
            return;
        }
    }
    let _ = cues.send((index, Cue::Ended));
}

/// Waits for a process to end, but not for ever.
fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let asked = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if asked.elapsed() < limit => thread::sleep(Duration::from_millis(2)),
            _ => return None,
        }
    }
}
