//! Child processes: this program started again under a hidden subcommand. Orders go to a child's standard input and
//! answers come from its standard output, a line each; a child whose input ends, ends.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, While as _};

/// A running child. Dropped without [`Child::finish`], it is killed.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    role: String,
}

impl Child {
    /// Starts this program as `halyard-bench child ARGS…`.
    pub(crate) fn start(args: &[&str]) -> Result<Self, Failure> {
        // Not current_exe: that is a path, and the file there may be another one by now.
        let mut command = Command::new("/proc/self/exe");
        command.arg("child").args(args);
        Self::spawn(command, args.first().copied().unwrap_or_default())
    }

    /// Starts another program with this one's standard input and output connected.
    pub(crate) fn spawn(mut command: Command, role: &str) -> Result<Self, Failure> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(format_args!("starting a {role} process"))?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("standard output was asked for"));
        Ok(Self { process, input, output, role: role.to_owned() })
    }

    /// Starts another program that is killed when this one goes, however it does. A signal from the terminal does not
    /// reach it: this program decides when it is to end.
    pub(crate) fn become_program(program: &Path, arguments: &[String], role: &str) -> Result<Self, Failure> {
        let mut command = Command::new("/proc/self/exe");
        command.args(["child", "exec"]).arg(program).args(arguments).process_group(0);
        Self::spawn(command, role)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.process.try_wait().doing(format_args!("looking after the {} process", self.role))
    }

    /// Sends it a signal. One that has ended stays as it is.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        // Not reaped before `ended` or `finish`, so the number is nobody else's.
        let pid = i32::try_from(self.pid()).doing("signalling a process")?;
        match kill(Pid::from_raw(pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Failure::broke(format_args!("signalling the {} process", self.role), errno)),
        }
    }

    /// Sends one line.
    pub(crate) fn order(&mut self, line: &str) -> Result<(), Failure> {
        let input = self.input.as_mut().expect("the input is open until the child is finished");
        writeln!(input, "{line}").doing(format_args!("writing to the {} process", self.role))
    }

    /// The next line from it.
    pub(crate) fn answer(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(Failure::broke(format_args!("the {} process", self.role), "ended too early")),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(why) => Err(Failure::broke(format_args!("reading from the {} process", self.role), why)),
        }
    }

    /// Waits for a line that must be `expected`.
    pub(crate) fn expect(&mut self, expected: &str) -> Result<(), Failure> {
        let answer = self.answer()?;
        if answer == expected {
            return Ok(());
        }
        Err(Failure::broke(format_args!("the {} process", self.role), format_args!("said {answer:?}")))
    }

    /// Closes its input and waits for its end.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        drop(self.input.take());
        let status = self.process.wait().doing(format_args!("waiting for the {} process", self.role))?;
        self.judge(status)
    }

    fn judge(&self, status: ExitStatus) -> Result<(), Failure> {
        if status.success() {
            return Ok(());
        }
        Err(Failure::broke(format_args!("the {} process", self.role), status))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.input.is_some() {
            // Not finished: something failed, and its own message is what matters.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// In a child that may be in a loop without end: be killed when the parent goes. (The others end because their
/// standard input does.)
pub(crate) fn die_with_parent() {
    // Where it cannot be had, a child of a killed parent spins until somebody kills it too.
    let _ = set_pdeathsig(Signal::SIGKILL);
}

/// In a child: becomes another program that is killed when the parent goes.
pub(crate) fn exec(program: &Path, arguments: &[String]) -> Result<(), Failure> {
    die_with_parent();
    Err(Failure::broke(
        format_args!("starting {}", program.display()),
        Command::new(program).args(arguments).exec(),
    ))
}

/// In a child: the next order, `None` when there are no more.
pub(crate) fn next_order() -> Result<Option<String>, Failure> {
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line).doing("reading orders")? {
        0 => Ok(None),
        _ => Ok(Some(line.trim_end().to_owned())),
    }
}

/// In a child: obeys `fault POINT:ACTION@N`, which arms a fault point where they are compiled in, and `calm`, which
/// disarms all. False if the order is another one.
pub(crate) fn fault(order: &str) -> Result<bool, Failure> {
    if order == "calm" {
        #[cfg(feature = "faults")]
        halyard_ring::faults::disarm_all();
        return Ok(true);
    }
    let Some(fault) = order.strip_prefix("fault ") else { return Ok(false) };
    #[cfg(feature = "faults")]
    halyard_ring::faults::arm(fault.parse().doing("reading an order")?);
    #[cfg(not(feature = "faults"))]
    let _ = fault;
    Ok(true)
}

/// In a child: answers with one line.
pub(crate) fn reply(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).doing("answering the parent")
}
