//! The Rust exercises: an answer is one file, compiled by `rustc` alone together with a harness that judges it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::labs::Problem;
use crate::models::models;

/// An answer that does not end by then goes round in circles.
const PATIENCE: Duration = Duration::from_secs(60);
/// How a harness begins that needs loom.
const LOOM: &str = "extern crate loom;";
/// Where the harness has the path of the answer.
const ANSWER: &str = "{ANSWER}";

/// What the harness said.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is wrong.
    pub problem: Option<Problem>,
    /// What was looked at.
    pub notes: Vec<String>,
}

/// A folder of our own that goes when it is done with.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("halyard-lab-{}-{count}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Compiles an answer into its harness and lets that judge it. A harness that says `extern crate loom` gets it, compiled
/// with cargo the first time.
///
/// # Errors
/// If there is no `rustc`, loom cannot be compiled, or the system refuses files or processes.
pub fn check(harness: &str, answer: &Path) -> io::Result<Verdict> {
    let scratch = Scratch::new()?;
    let (source, program) = (scratch.0.join("harness.rs"), scratch.0.join("harness"));
    // Debug of a path is a Rust string literal.
    let path = format!("{:?}", answer.canonicalize()?);
    fs::write(&source, harness.replace(ANSWER, path.trim_matches('"')))?;
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(&compiler);
    if harness.starts_with(LOOM) {
        let models = models()?;
        let (mut library, mut needs) = (OsString::from("loom="), OsString::from("dependency="));
        library.push(&models.loom);
        needs.push(&models.needs);
        command.arg("--extern").arg(library).arg("-L").arg(needs);
    }
    let compiled = command
        .args(["--edition", "2024", "-O", "--cap-lints", "warn", "-A", "warnings", "-o"])
        .arg(&program)
        .arg(&source)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            io::Error::new(error.kind(), format!("rustc cannot be started ({error}); see rustup.rs"))
        })?;
    if !compiled.status.success() {
        let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
        let advice = "mend what rustc says; the head of the file says what must be there";
        return Ok(Verdict { problem: Some(Problem::new("build", said.trim(), advice)), notes: Vec::new() });
    }
    judge(&program, &scratch.0.join("said"))
}

fn judge(program: &Path, said: &Path) -> io::Result<Verdict> {
    let mut child = Command::new(program)
        .stdin(Stdio::null())
        .stdout(fs::File::create(said)?)
        .stderr(Stdio::null())
        .spawn()?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if begun.elapsed() > PATIENCE => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut verdict = Verdict::default();
    let mut passed = false;
    for line in fs::read_to_string(said)?.lines() {
        let mut parts = line.split('\t');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("NOTE"), Some(note), ..) => verdict.notes.push(note.to_owned()),
            (Some("FAIL"), Some(rule), Some(what), Some(advice)) => {
                verdict.problem = Some(Problem::new(rule, what, advice));
            }
            (Some("PASS"), ..) => passed = true,
            _ => {}
        }
    }
    if verdict.problem.is_none() && !passed {
        verdict.problem = Some(match status {
            None => Problem::new("endless", "it did not come to an end", "look for a loop that nothing ends"),
            Some(status) => {
                let advice = "it panicked or was stopped: look for an index, an unwrap or an overflow";
                Problem::new("crash", format!("it ended without a verdict: {status}"), advice)
            }
        });
    }
    Ok(verdict)
}
