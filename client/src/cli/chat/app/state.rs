//! What the application knows. Nothing here reads a terminal, a ring or a clock of its own: inputs and events go in
//! (`update.rs`, `incoming.rs`), [`Effect`]s come out, and `view` draws what is there.

use std::collections::HashMap;
use std::time::Instant;

use halyard_client::Command;

use super::actions::KeyMap;
use super::latency::Latency;
use super::line::Body;
use super::theme::Theme;
use super::window::{Membership, Place, Window};
use crate::cli::clock::{Clock, Moment};
use crate::cli::config::{Config, Theme as Choice};

/// Something that the program is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Send a command by this session, whose answer is for this window.
    Ask {
        session: usize,
        place: Place,
        command: Command,
        why: Why,
    },
    /// Open a session for this room: the first one if it is in no room, else a companion.
    Open {
        room: String,
    },
    /// End a companion's session.
    Close {
        session: usize,
    },
    Bell,
    /// A desktop notification: title and text.
    Notify(String, String),
    Mouse(bool),
    Redraw,
    /// Show the window as bare text, outside the layout.
    Bare,
    Suspend,
    /// Host a server.
    Host,
    Quit,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody typed it and wants to see it.
    Typed,
    /// The members' panel.
    Members,
    /// What was said before one came.
    Joined,
    /// What was said while one was on the way back.
    Missed,
    /// The gap that begins with this message.
    Gap(u64),
}

/// A command without an answer yet.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) place: Place,
    pub(crate) command: Command,
    pub(crate) why: Why,
    pub(crate) since: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Up,
    /// Why there is no connection.
    Down(String),
    /// It is not looked for any more.
    Over(String),
}

/// What lies over the messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overlay {
    Help,
    Latency,
    Stats,
    /// Lines that the program refreshes.
    Rings(Vec<String>),
    /// Several lines, to be confirmed before they are sent.
    Paste(Vec<String>),
}

/// What Tab goes round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Where the word begins.
    pub(crate) start: usize,
    pub(crate) candidates: Vec<String>,
    pub(crate) index: usize,
    /// Where the cursor was left: anything else typed ends it.
    pub(crate) end: usize,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) heard: u64,
    pub(crate) said: u64,
    pub(crate) lost: u64,
    pub(crate) gaps: u64,
    pub(crate) reconnects: u64,
}

pub(crate) struct App {
    pub(crate) server: String,
    pub(crate) me: String,
    pub(crate) windows: Vec<Window>,
    pub(crate) current: usize,
    pub(crate) link: Link,
    pub(crate) latency: Latency,
    pub(crate) stats: Stats,
    pub(crate) theme: Theme,
    pub(crate) keys: KeyMap,
    pub(crate) config: Config,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) overlay_scroll: usize,
    /// Width and height of the terminal.
    pub(crate) size: (u16, u16),
    pub(crate) focused: bool,
    /// What is searched for, while it is.
    pub(crate) search: Option<String>,
    /// The room's window is shown as bare text.
    pub(crate) bare: bool,
    /// Ctrl-C was hit on an empty line at this time.
    pub(crate) interrupted: Option<Instant>,
    /// The completions of the word that Tab was hit on.
    pub(crate) completion: Option<Completion>,
    pub(crate) asked: HashMap<(usize, u64), Asked>,
    /// Parts of answers, which come right before the answer.
    pub(crate) entries: Vec<halyard_client::Entry>,
    pub(crate) earlier: Vec<halyard_client::Message>,
    /// Rooms of the last LIST.
    pub(crate) rooms_known: Vec<String>,
    clock: Clock,
}

impl App {
    pub(crate) fn new(server: String, me: String, config: Config, no_color: bool, clock: Clock) -> Self {
        let choice = if no_color { Choice::None } else { config.view.theme };
        Self {
            server,
            me,
            windows: vec![Window::new(Place::Server)],
            current: 0,
            link: Link::Up,
            latency: Latency::default(),
            stats: Stats::default(),
            theme: Theme::new(choice, &config.colors),
            keys: KeyMap::new(&config.keys),
            config,
            overlay: None,
            overlay_scroll: 0,
            size: (80, 24),
            focused: true,
            search: None,
            bare: false,
            interrupted: None,
            completion: None,
            asked: HashMap::new(),
            entries: Vec::new(),
            earlier: Vec::new(),
            rooms_known: Vec::new(),
            clock,
        }
    }

    pub(crate) fn window(&self) -> &Window {
        &self.windows[self.current]
    }

    pub(crate) fn window_mut(&mut self) -> &mut Window {
        &mut self.windows[self.current]
    }

    pub(crate) fn find(&self, place: &Place) -> Option<usize> {
        self.windows.iter().position(|window| window.place == *place)
    }

    /// The window of this place, opened if need be.
    pub(crate) fn open(&mut self, place: Place) -> usize {
        self.find(&place).unwrap_or_else(|| {
            self.windows.push(Window::new(place));
            self.windows.len() - 1
        })
    }

    /// Looks at another window.
    pub(crate) fn look_at(&mut self, index: usize) {
        if index >= self.windows.len() || index == self.current {
            return;
        }
        self.window_mut().looked_away();
        self.current = index;
        self.completion = None;
        self.search = None;
        self.window_mut().looked_at();
    }

    /// A moment of CLOCK_MONOTONIC, to be shown; 0 for now.
    pub(crate) fn moment(&self, at_ns: u64) -> Moment {
        self.clock.moment(&self.config.view.time.0, at_ns)
    }

    pub(crate) fn today(&self) -> jiff::civil::Date {
        self.clock.today()
    }

    pub(crate) fn notice(&mut self, index: usize, text: impl Into<String>) {
        let now = self.moment(0);
        self.windows[index].push(now, Body::Notice(text.into()));
    }

    /// An error, where the eye is.
    pub(crate) fn error(&mut self, text: impl Into<String>) {
        let now = self.moment(0);
        self.window_mut().scroll = None;
        self.window_mut().push(now, Body::Error(text.into()));
    }

    /// Enters a room, or looks at its window if one is there already.
    pub(crate) fn enter(&mut self, room: &str, effects: &mut Vec<Effect>) {
        let index = self.open(Place::Room(room.to_owned()));
        self.look_at(index);
        let window = &mut self.windows[index];
        if window.membership == Membership::Out {
            window.membership = Membership::Entering;
            effects.push(Effect::Open { room: room.to_owned() });
        }
    }

    /// A session for the room is there: enters with it.
    pub(crate) fn opened(&mut self, room: &str, session: usize) -> Vec<Effect> {
        let place = Place::Room(room.to_owned());
        let Some(index) = self.find(&place) else { return vec![Effect::Close { session }] };
        self.windows[index].session = Some(session);
        let command = Command::Join { room: room.to_owned() };
        vec![Effect::Ask { session, place, command, why: Why::Typed }]
    }

    /// No session could be opened for the room.
    pub(crate) fn not_opened(&mut self, room: &str, why: &str) {
        if let Some(index) = self.find(&Place::Room(room.to_owned())) {
            self.windows[index].membership = Membership::Out;
            let now = self.moment(0);
            self.windows[index].push(now, Body::Error(format!("cannot enter {room}: {why}")));
        }
    }

    /// Closes a room's or a person's window.
    pub(crate) fn close(&mut self, index: usize, effects: &mut Vec<Effect>) {
        if index == 0 || index >= self.windows.len() {
            return;
        }
        let window = self.windows.remove(index);
        if let Some(session) = window.session {
            effects.push(match session {
                0 => {
                    Effect::Ask { session, place: Place::Server, command: Command::Leave, why: Why::Members }
                }
                _ => Effect::Close { session },
            });
        }
        let there = |current: usize| current.min(self.windows.len() - 1);
        self.current = if self.current >= index { there(self.current - 1) } else { self.current };
        self.window_mut().looked_at();
    }

    /// Whether the first session is in no room.
    pub(crate) fn first_is_free(&self) -> bool {
        !self.windows.iter().any(|window| window.session == Some(0))
    }
}
