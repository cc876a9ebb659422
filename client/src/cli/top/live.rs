//! The terminal's side: keys, signals and the clock in, frames out.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Instant;

use halyard_client::ServerName;
use signal_hook::consts::{SIGINT, SIGWINCH};
use signal_hook::iterator::Signals;

use super::draw::{draw, page};
use super::sample;
use super::state::{Asked, Top};
use crate::cli::chat::app::keys::{Code, Input, Key};
use crate::cli::chat::app::read_keys;
use crate::cli::chat::app::terminal::Tty;
use crate::cli::chat::spawn;
use crate::cli::exit::{Ended, Exit, Failure, Result};
use crate::cli::signals;

/// What waits between the threads that read and the one that draws.
const MESSAGES: usize = 64;

enum Msg {
    Input(Input),
    /// Standard input has ended: the terminal is gone.
    Closed,
    Signal(i32),
    Resize,
}

fn failed(error: io::Error) -> Failure {
    Failure::Io("use the terminal", error)
}

/// Watches until a key or a signal ends it.
pub(super) fn run(server: &ServerName, mut top: Top) -> Result {
    let (to_loop, inbox) = sync_channel(MESSAGES);
    let (at_end, resized, typed) = (to_loop.clone(), to_loop.clone(), to_loop);
    signals::on_end(move |signal| {
        // If it has ended by itself, there is nobody to tell.
        let _ = at_end.send(Msg::Signal(signal));
    })?;
    let mut resizes = Signals::new([SIGWINCH]).map_err(|error| Failure::Io("watch for signals", error))?;
    spawn("halyard-resize", move || {
        for _ in resizes.forever() {
            if resized.send(Msg::Resize).is_err() {
                return;
            }
        }
    })?;
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut tty = Tty::take(false).map_err(failed)?;
    spawn("halyard-input", move || {
        read_keys(|input| typed.send(input.map_or(Msg::Closed, Msg::Input)).is_ok());
    })?;
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        if now >= due {
            if !top.paused {
                top.take(sample(server)?);
            }
            due = now + top.every;
        }
        tty.terminal.draw(|frame| draw(&top, frame, colour)).map_err(failed)?;
        let msg = inbox.recv_timeout(due.saturating_duration_since(Instant::now()));
        if Tty::panicked() {
            return Err(Ended::with(Exit::Io, "a thread has failed; what it said stands above").into());
        }
        let rows = page(tty.terminal.size().map_err(failed)?.height);
        let was_paused = top.paused;
        let asked = match msg {
            Ok(Msg::Input(Input::Key(key))) => top.key(key, rows),
            Ok(Msg::Input(Input::Wheel(up))) => {
                top.key(Key::plain(if up { Code::Up } else { Code::Down }), rows)
            }
            Ok(Msg::Signal(SIGINT) | Msg::Closed) => Asked::Quit,
            Ok(Msg::Signal(signal)) => return Ok(Ended::signal(signal)),
            Ok(Msg::Input(_) | Msg::Resize) | Err(RecvTimeoutError::Timeout) => Asked::Nothing,
            Err(RecvTimeoutError::Disconnected) => Asked::Quit,
        };
        if was_paused && !top.paused {
            due = Instant::now();
        }
        match asked {
            Asked::Nothing => {}
            Asked::Quit => return Ok(Exit::Done.into()),
            Asked::Redraw => tty.redraw().map_err(failed)?,
            Asked::Suspend => tty.suspend().map_err(failed)?,
        }
    }
}
