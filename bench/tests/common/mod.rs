//! Running the program, and looking at what it leaves.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long an event may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn bench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halyard-bench"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// Runs it to its end. Returns its output and what it left in /dev/shm.
pub(crate) fn run(args: &[&str]) -> (Output, Vec<String>) {
    let child = bench(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    (output, names_of(pid))
}

/// What a run of this pid has in /dev/shm now: segments and semaphores.
pub(crate) fn names_of(pid: u32) -> Vec<String> {
    let own = |name: &str| {
        ["halyard.bench-", "sem.halyard.bench-", "sem.halyard-bench.", "halyard-bench-"].iter().any(
            |prefix| {
                let rest = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(&pid.to_string()));
                rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            },
        )
    };
    let entries = std::fs::read_dir("/dev/shm").unwrap();
    entries
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| own(name))
        .collect()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"))
}

/// Waits until `done`, or panics.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills the process if the test ends before it does.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
