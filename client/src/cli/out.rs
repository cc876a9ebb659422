//! Standard output, line by line, for pipes and people alike.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::exit::{Failure, Result};

/// Standard output. Every line is there for the reader at once.
pub(crate) struct Out(io::Stdout);

impl Out {
    pub(crate) fn new() -> Self {
        Self(io::stdout())
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        self.raw(&format!("{line}\n"))
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, text: &str) -> Result<()> {
        let mut lock = self.0.lock();
        lock.write_all(text.as_bytes()).and_then(|()| lock.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::Io("write to standard output", error),
        })
    }

    /// Whether the reader of this pipe is gone: so that a program that has nothing to write ends with it, too.
    pub(crate) fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
            && fds[0].revents().is_some_and(|found| found.contains(PollFlags::POLLERR))
    }
}

/// A line for people, on standard error. A closed standard error is no reason to stop.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "-- {text}");
}
