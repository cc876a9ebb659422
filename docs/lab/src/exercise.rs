//! The Rust exercises: an answer is one file, compiled by `rustc` alone together with a harness that judges it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::labs::Problem;
use crate::models::models;

/// An answer that does not end by then goes round in circles.
const PATIENCE: Duration = Duration::from_secs(60);
/// How a harness begins that needs loom.
const LOOM: &str = "#[cfg(judged)]\nextern crate loom;";
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

/// Compiles an answer into its harness and lets that judge it. A harness that begins with loom gets it, compiled with
/// cargo the first time.
///
/// # Errors
/// If there is no `rustc`, loom cannot be compiled, or the system refuses files or processes.
pub fn check(harness: &str, answer: &Path) -> io::Result<Verdict> {
    let scratch = Scratch::new()?;
    let said = match compile(harness, answer, &scratch, true)? {
        Ok(program) => play(Command::new(program), &scratch)?,
        Err(problem) => return Ok(Verdict { problem: Some(problem), notes: Vec::new() }),
    };
    Ok(judge(&said))
}

/// Compiles an answer into its harness and lets that show what the answer does, in lines, without judging it.
///
/// # Errors
/// As for [`check`]. loom is not needed.
pub fn run(harness: &str, answer: &Path, seed: u64) -> io::Result<Result<Vec<String>, Problem>> {
    let scratch = Scratch::new()?;
    let program = match compile(harness, answer, &scratch, false)? {
        Ok(program) => program,
        Err(problem) => return Ok(Err(problem)),
    };
    let mut command = Command::new(program);
    command.args(["run", &seed.to_string()]);
    let said = play(command, &scratch)?;
    match said.end {
        Some(status) if status.success() => Ok(Ok(said.lines)),
        end => Ok(Err(unfinished(end))),
    }
}

/// The harness's program, or what rustc has against the answer.
fn compile(
    harness: &str,
    answer: &Path,
    scratch: &Scratch,
    judged: bool,
) -> io::Result<Result<PathBuf, Problem>> {
    let (source, program) = (scratch.0.join("harness.rs"), scratch.0.join("harness"));
    // Debug of a path is a Rust string literal.
    let path = format!("{:?}", answer.canonicalize()?);
    fs::write(&source, harness.replace(ANSWER, path.trim_matches('"')))?;
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(&compiler);
    let mut level = "opt-level=2";
    if judged {
        // Compiling takes longer than judging does; and here an overflow panics.
        level = "opt-level=0";
        command.args(["--cfg", "judged"]);
        if harness.starts_with(LOOM) {
            let models = models()?;
            let (mut library, mut needs) = (OsString::from("loom="), OsString::from("dependency="));
            library.push(&models.loom);
            needs.push(&models.needs);
            command.arg("--extern").arg(library).arg("-L").arg(needs);
        }
    }
    let compiled = command
        .args(["--edition", "2024", "-C", level, "--cap-lints", "warn", "-A", "warnings", "-o"])
        .arg(&program)
        .arg(&source)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            io::Error::new(error.kind(), format!("rustc cannot be started ({error}); see rustup.rs"))
        })?;
    if compiled.status.success() {
        return Ok(Ok(program));
    }
    let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
    let advice = "mend what rustc says; the head of the file says what must be there";
    Ok(Err(Problem::new("build", said.trim(), advice)))
}

/// What a harness wrote, and how it ended; `None` if it was stopped for taking too long.
struct Said {
    lines: Vec<String>,
    end: Option<ExitStatus>,
}

fn play(mut program: Command, scratch: &Scratch) -> io::Result<Said> {
    let said = scratch.0.join("said");
    let mut child =
        program.stdin(Stdio::null()).stdout(fs::File::create(&said)?).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    let end = loop {
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
    Ok(Said { lines: fs::read_to_string(said)?.lines().map(str::to_owned).collect(), end })
}

fn judge(said: &Said) -> Verdict {
    let mut verdict = Verdict::default();
    let mut passed = false;
    for line in &said.lines {
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
        verdict.problem = Some(unfinished(said.end));
    }
    verdict
}

fn unfinished(end: Option<ExitStatus>) -> Problem {
    match end {
        None => Problem::new("endless", "it did not come to an end", "look for a loop that nothing ends"),
        Some(status) => {
            let advice = "it panicked or was stopped: look for an index, an unwrap or an overflow";
            Problem::new("crash", format!("it ended without a verdict: {status}"), advice)
        }
    }
}
