//! Child processes that end with the test, names that are removed with it, and waiting with a limit.
#![allow(dead_code, reason = "each test program that includes this uses its own part of it")]

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use halyard_ring::{RingName, Snapshot};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Longest wait for what must come; only a broken ring ever waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

const ROLE: &str = "HALYARD_TEST_ROLE";

/// A ring name of this test alone, removed with all that bears it when the test ends, however it ends.
pub(crate) struct Name(pub(crate) RingName);

impl Name {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(RingName::new(&format!("test-{}-{count}", std::process::id())).unwrap())
    }

    /// Where segment and semaphores lie.
    pub(crate) fn paths(&self) -> [String; 3] {
        let name = &self.0;
        ["halyard.{}", "sem.halyard.{}.ready", "sem.halyard.{}.space"]
            .map(|form| format!("/dev/shm/{}", form.replace("{}", name.as_str())))
    }

    pub(crate) fn remove(&self) {
        for path in self.paths() {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A child of the test: this program once more, in a role. It is killed and waited for when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Child {
    /// Starts a child; `words` are what its role is told.
    pub(crate) fn start(role: &str, words: &[&dyn Display]) -> Self {
        let words: String = words.iter().map(|word| format!(" {word}")).collect();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["child_entry", "--exact", "--nocapture"])
            .env(ROLE, format!("{role}{words}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The test runner writes there, too, also into the beginning of a line.
                if let Some((_, said)) = line.split_once('@')
                    && sender.send(said.to_owned()).is_err()
                {
                    break;
                }
            }
        });
        Self { process, stdin, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn system_pid(&self) -> Pid {
        Pid::from_raw(self.process.id() as i32)
    }

    /// What the child says next.
    pub(crate) fn hear(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("the child ended, or said nothing for 20 s")
    }

    /// What the child has said, if anything.
    pub(crate) fn heard(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    pub(crate) fn expect(&self, line: &str) {
        assert_eq!(self.hear(), line);
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends the child as if its program crashed, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for the child's end, whatever it is.
    pub(crate) fn end(&mut self) -> ExitStatus {
        until("the child's end", || self.process.try_wait().unwrap().is_some());
        self.process.wait().unwrap()
    }

    /// Stops the child and waits until it stands still.
    pub(crate) fn stop(&self) {
        kill(self.system_pid(), Signal::SIGSTOP).unwrap();
        let status = waitpid(self.system_pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(self.system_pid(), Signal::SIGSTOP));
    }

    pub(crate) fn go_on(&self) {
        kill(self.system_pid(), Signal::SIGCONT).unwrap();
    }

    /// Lets the child come to its end, which it must reach without an error.
    pub(crate) fn finish(mut self) {
        drop(self.stdin.take());
        until("the child's end", || self.process.try_wait().unwrap().is_some());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a child: its role and what it was told. `None` if this process is nobody's child.
pub(crate) fn role() -> Option<(String, Vec<String>)> {
    let text = std::env::var(ROLE).ok()?;
    // A test that is killed itself cannot clean up: its children go with it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    let mut words = text.split(' ').map(str::to_owned);
    Some((words.next()?, words.collect()))
}

/// In a child: tells the test something.
pub(crate) fn say(line: &str) {
    println!("@{line}");
}

/// In a child: waits for a line from the test. `None` when there will be no more: time to end.
pub(crate) fn hear() -> Option<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.strip_suffix('\n').map(str::to_owned)
}

/// Waits for what must come to be.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "waited 20 s in vain for: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How many threads sleep on the ring's semaphores, `ready` and `space`.
pub(crate) fn sleepers(seen: &Snapshot) -> (u32, u32) {
    let count =
        |s: Option<halyard_ring::SemaphoreSnapshot>| s.and_then(|s| s.waiters).expect("glibc, 64-bit");
    (count(seen.ready), count(seen.space))
}
