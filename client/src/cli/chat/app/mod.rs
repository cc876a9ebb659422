//! The chat as an application of the whole terminal.
//!
//! State, drawing and the terminal are apart: `state`, `update`, `incoming` and `commands` know no terminal and no
//! ring, `view` only reads the state, `terminal` only sets modes. This file brings them together.

pub(crate) mod actions;
mod commands;
mod complete;
mod editor;
mod incoming;
pub(crate) mod keys;
mod latency;
mod line;
mod members;
mod msg;
mod search;
mod sessions;
mod state;
pub(crate) mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;
mod window;

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use halyard_client::Client;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

use super::host::Host;
use crate::cli::clock::Clock;
use crate::cli::config::Config;
use crate::cli::exit::{Ended, Exit, Failure, Result};
use crate::cli::signals;
use keys::{Input, Parser};
use msg::Msg;
use sessions::Sessions;
use state::{App, Effect, Link, Overlay};
use terminal::Tty;

/// What waits between the threads that read and the one that draws.
const MESSAGES: usize = 4096;
/// After this pause an Escape is the key and not the start of a sequence.
const ESCAPE: u16 = 40;
/// After this pause a paste whose end does not come has ended.
const PASTE: u16 = 500;
/// How often what shows live figures is drawn anew.
const LIVE: Duration = Duration::from_millis(250);
/// No more frames than this while events pour in.
const FRAME: Duration = Duration::from_millis(16);

/// Talks until somebody or something ends it.
pub(super) fn run(
    client: &Arc<Client>,
    host: &Arc<Host>,
    server: &str,
    rooms: &[String],
    config: Config,
    notes: Vec<String>,
) -> Result {
    let failed = |what| move |error| Failure::Io(what, error);
    let (to_loop, inbox) = sync_channel(MESSAGES);
    let at_end = to_loop.clone();
    signals::on_end(move |_| {
        // If the chat has ended by itself, there is nobody to tell.
        let _ = at_end.send(Msg::Signal);
    })?;
    let mut resizes = Signals::new([SIGWINCH]).map_err(failed("watch for signals"))?;
    let resized = to_loop.clone();
    super::spawn("halyard-resize", move || {
        for _ in resizes.forever() {
            if resized.send(Msg::Resize).is_err() {
                return;
            }
        }
    })?;
    let typed = to_loop.clone();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mouse = config.view.mouse;
    let mut app = App::new(server.to_owned(), client.nick(), config, no_color, Clock::new());
    let mut sessions = Sessions::new(Arc::clone(client), to_loop)?;
    let mut tty = Tty::take(mouse).map_err(failed("use the terminal"))?;
    super::spawn("halyard-input", move || {
        read_keys(|input| typed.send(input.map_or(Msg::Closed, Msg::Input)).is_ok());
    })?;
    for note in notes {
        app.notice(0, note);
    }
    app.notice(0, "/help or F1 lists commands and keys");
    let mut effects = Vec::new();
    for room in rooms {
        app.enter(room, &mut effects);
    }
    if rooms.len() > 1 {
        app.look_at(1);
    }
    let mut program = Program { app, host, sessions: &mut sessions, tty: &mut tty };
    let ended = program.start(effects).and_then(|()| program.serve(&inbox));
    drop(tty);
    sessions.end();
    ended
}

struct Program<'a> {
    app: App,
    host: &'a Arc<Host>,
    sessions: &'a mut Sessions,
    tty: &'a mut Tty,
}

fn terminal_failed(error: io::Error) -> Failure {
    Failure::Io("write to the terminal", error)
}

impl Program<'_> {
    fn start(&mut self, effects: Vec<Effect>) -> Result<()> {
        self.resize();
        self.draw()?;
        self.carry_out(effects).map(|_| ())
    }

    fn serve(&mut self, inbox: &Receiver<Msg>) -> Result {
        let mut drawn = Instant::now();
        let mut refreshed = drawn;
        let mut stale = true;
        loop {
            let live = self.app.overlay.is_some() || self.app.windows.iter().any(|w| !w.pending.is_empty());
            let wait = match (stale, live) {
                (true, _) => FRAME.saturating_sub(drawn.elapsed()),
                (false, true) => LIVE.saturating_sub(refreshed.elapsed()),
                (false, false) => Duration::from_secs(3600),
            };
            match inbox.recv_timeout(wait) {
                Ok(msg) => {
                    // A key is shown at once, whatever else pours in.
                    let is_key = matches!(msg, Msg::Input(_));
                    if let Some(ended) = self.take(msg)? {
                        return Ok(ended);
                    }
                    stale = true;
                    let idle = drawn.elapsed() >= FRAME;
                    if !is_key && !idle {
                        continue;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Done.into()),
            }
            if Tty::panicked() {
                return Err(Ended::with(Exit::Io, "a thread has failed; what it said stands above").into());
            }
            // By the clock and not when nothing comes: what lives shows it while much comes.
            let is_new = matches!(&self.app.overlay, Some(Overlay::Rings(lines)) if lines.is_empty());
            if is_new || refreshed.elapsed() >= LIVE {
                self.refresh();
                refreshed = Instant::now();
            }
            self.draw()?;
            (drawn, stale) = (Instant::now(), false);
        }
    }

    fn take(&mut self, msg: Msg) -> Result<Option<Ended>> {
        let effects = match msg {
            Msg::Input(input) => self.app.input(input, Instant::now()),
            Msg::Event(session, event) => self.app.event(session, event),
            Msg::Over(session) => {
                self.app.over(session);
                if let (0, Link::Over(why)) = (session, &self.app.link) {
                    return Err(Ended::with(Exit::TryAgain, why.clone()).into());
                }
                Vec::new()
            }
            Msg::Opened(room, Ok(client)) => {
                let session = self.sessions.add(Arc::from(client))?;
                self.app.opened(&room, session)
            }
            Msg::Opened(room, Err(why)) => {
                self.app.not_opened(&room, &why.to_string());
                Vec::new()
            }
            Msg::Hosted(Ok(text)) => {
                self.app.notice(self.app.current, text);
                Vec::new()
            }
            Msg::Hosted(Err(why)) => {
                self.app.error(why);
                Vec::new()
            }
            Msg::Resize => {
                self.resize();
                Vec::new()
            }
            Msg::Signal | Msg::Closed => return Ok(Some(Exit::Done.into())),
        };
        self.carry_out(effects)
    }

    fn resize(&mut self) {
        if let Ok(size) = self.tty.terminal.size() {
            self.app.size = (size.width, size.height);
        }
    }

    /// What shows live figures gets new ones.
    fn refresh(&mut self) {
        if matches!(self.app.overlay, Some(Overlay::Rings(_))) {
            let session = self.app.window().session.unwrap_or(0);
            let width = usize::from(self.app.size.0).saturating_sub(2);
            self.app.overlay = Some(Overlay::Rings(self.sessions.rings(session, &self.app.server, width)));
        } else {
            self.sessions.forget_rings();
        }
    }

    fn draw(&mut self) -> Result<()> {
        if self.app.bare {
            return Ok(());
        }
        // Looked at for every frame: a terminal may change without a signal.
        self.resize();
        let (app, now) = (&self.app, Instant::now());
        self.tty.terminal.draw(|frame| view::draw(app, frame, now)).map_err(terminal_failed)?;
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<Option<Ended>> {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Ask { session, place, command, why } => {
                    self.sessions.ask(&mut self.app, session, place, command, why);
                }
                Effect::Open { room } => {
                    // Looked at here, one after the other: two rooms must not both take the first session.
                    if self.app.first_is_free() {
                        effects.extend(self.app.opened(&room, 0));
                    } else {
                        self.sessions.open(room)?;
                    }
                }
                Effect::Close { session } => self.sessions.close(session),
                Effect::Bell => self.tty.bell().map_err(terminal_failed)?,
                Effect::Notify(title, text) => {
                    let desktop = self.app.config.notify.desktop;
                    self.tty.notify(desktop, &title, &text).map_err(terminal_failed)?;
                }
                Effect::Mouse(on) => self.tty.mouse(on).map_err(terminal_failed)?,
                Effect::Redraw => self.tty.redraw().map_err(terminal_failed)?,
                Effect::Bare => {
                    let text = self.app.bare_text();
                    self.tty.bare(&text).map_err(terminal_failed)?;
                }
                Effect::Suspend => self.tty.suspend().map_err(terminal_failed)?,
                Effect::Host => self.sessions.host(Arc::clone(self.host))?,
                Effect::Quit => return Ok(Some(Exit::Done.into())),
            }
        }
        Ok(None)
    }
}

/// What the thread does that reads the keyboard: it hands on every input, and `None` when standard input has ended,
/// until that is so or `take` wants no more.
pub(crate) fn read_keys(mut take: impl FnMut(Option<Input>) -> bool) {
    let mut stdin = io::stdin();
    let mut parser = Parser::default();
    let mut buffer = [0; 4096];
    loop {
        let pause = match (parser.is_pasting(), parser.is_waiting()) {
            (true, _) => PollTimeout::from(PASTE),
            (false, true) => PollTimeout::from(ESCAPE),
            (false, false) => PollTimeout::NONE,
        };
        let mut out = Vec::new();
        let ready = poll(&mut [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)], pause);
        match ready {
            Ok(0) => parser.pause(&mut out),
            Err(nix::errno::Errno::EINTR) => continue,
            _ => match stdin.read(&mut buffer) {
                Ok(len @ 1..) => parser.feed(&buffer[..len], &mut out),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    take(None);
                    return;
                }
            },
        }
        for input in out {
            if !take(Some(input)) {
                return;
            }
        }
    }
}
