//! The sessions: the first one and its companions, one a room, each with a thread that hands on its events.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use halyard_client::{Client, Command};
use halyard_ring::chat::{ServerName, control_ring};
use halyard_ring::{RingName, RingView};

use super::msg::Msg;
use super::state::{App, Asked, Why};
use super::window::Place;
use crate::cli::chat::host::Host;
use crate::cli::exit::Result;
use crate::cli::inspect::draw::{Rates, draw};
use crate::cli::ls::paint::Paint;
use crate::cli::ls::survey::Picture;
use crate::cli::visible::visible;

/// How long closing a companion may take.
const CLOSE: Duration = Duration::from_secs(2);

pub(super) struct Sessions {
    /// By number; a place is not used again.
    all: Vec<Option<Arc<Client>>>,
    to_loop: SyncSender<Msg>,
    /// The rings that are drawn, by name.
    watched: HashMap<RingName, Watched>,
}

/// A ring that is drawn again and again.
struct Watched {
    /// What its rates are counted from.
    before: Picture,
    rates: Option<Rates>,
}

/// Rates are those of this long at least, or every record would make them jump.
const RATES_NS: u64 = 1_000_000_000;

impl Sessions {
    pub(super) fn new(first: Arc<Client>, to_loop: SyncSender<Msg>) -> Result<Self> {
        let mut sessions = Self { all: Vec::new(), to_loop, watched: HashMap::new() };
        sessions.add(first)?;
        Ok(sessions)
    }

    /// Takes a session in and returns its number.
    pub(super) fn add(&mut self, client: Arc<Client>) -> Result<usize> {
        let number = self.all.len();
        let (events, to_loop) = (Arc::clone(&client), self.to_loop.clone());
        super::super::spawn("halyard-events", move || {
            for event in events.events() {
                if to_loop.send(Msg::Event(number, event)).is_err() {
                    return;
                }
            }
            let _ = to_loop.send(Msg::Over(number));
        })?;
        self.all.push(Some(client));
        Ok(number)
    }

    fn client(&self, session: usize) -> Option<&Arc<Client>> {
        self.all.get(session).and_then(Option::as_ref)
    }

    /// Opens a companion for a room, on a thread of its own: the server may take its time.
    pub(super) fn open(&self, room: String) -> Result<()> {
        let Some(first) = self.client(0).map(Arc::clone) else { return Ok(()) };
        let to_loop = self.to_loop.clone();
        super::super::spawn("halyard-open", move || {
            let opened = first.companion().map(Box::new);
            let _ = to_loop.send(Msg::Opened(room, opened));
        })
    }

    /// Hosts a server, on a thread of its own: it may have to take over what a dead one left.
    pub(super) fn host(&self, host: Arc<Host>) -> Result<()> {
        let to_loop = self.to_loop.clone();
        super::super::spawn("halyard-host", move || {
            let _ = to_loop.send(Msg::Hosted(host.start_in_words()));
        })
    }

    pub(super) fn close(&mut self, session: usize) {
        if let Some(client) = self.all.get_mut(session).and_then(Option::take) {
            quit_aside(client);
        }
    }

    /// Sends a command. What cannot be sent is said where one looks.
    pub(super) fn ask(&self, app: &mut App, session: usize, place: Place, command: Command, why: Why) {
        let Some(client) = self.client(session) else { return };
        match client.submit(command.clone()) {
            Ok(ticket) => {
                app.submitted(session, ticket, Asked { place, command, why, since: Instant::now() })
            }
            Err(error) => app.error(format!("not sent: {error}")),
        }
    }

    /// Pictures of a session's reply ring and of the server's control ring, with what went in and out a second.
    pub(super) fn rings(&mut self, session: usize, server: &str, width: usize) -> Vec<String> {
        let paint = Paint::plain(Some(width));
        let mut lines = Vec::new();
        let reply = self
            .client(session)
            .or_else(|| self.client(0))
            .and_then(|client| RingName::new(&client.ring_name()).ok());
        let control = ServerName::new(server).ok().map(|server| control_ring(&server));
        for name in reply.into_iter().chain(control) {
            match RingView::open(&name) {
                Ok(view) => {
                    let picture = Picture::take(&view);
                    let rates = self.rates(name, &picture);
                    lines.extend(draw(&picture, None, rates.as_ref(), &paint));
                }
                Err(error) => lines.push(visible(&error.to_string()).into_owned()),
            }
            lines.push(String::new());
        }
        lines
    }

    fn rates(&mut self, name: RingName, now: &Picture) -> Option<Rates> {
        let watched =
            self.watched.entry(name).or_insert_with(|| Watched { before: now.clone(), rates: None });
        if now.now_ns.saturating_sub(watched.before.now_ns) >= RATES_NS {
            watched.rates = Rates::between(&watched.before, now);
            watched.before = now.clone();
        }
        watched.rates
    }

    /// Nobody looks at rings any more: rates over the pause would be of no moment in particular.
    pub(super) fn forget_rings(&mut self) {
        self.watched.clear();
    }

    /// Ends the companions; the first session is the caller's.
    pub(super) fn end(&mut self) {
        for client in self.all.iter_mut().skip(1).filter_map(Option::take) {
            let _ = client.quit_within(CLOSE);
        }
    }
}

fn quit_aside(client: Arc<Client>) {
    // If no thread can be had, dropping the client says QUIT, too.
    let _ = thread::Builder::new().spawn(move || client.quit_within(CLOSE));
}
