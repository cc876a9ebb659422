//! What a line typed into the application means.

use super::state::{App, Effect, Link, Overlay, Why};
use super::window::{Membership, Pending, Place};
use crate::cli::chat::input::{Typed, parse};
use crate::cli::script::split;
use halyard_client::Command;

/// Every command: name, what stands behind it, what it does.
pub(crate) const COMMANDS: [(&str, &str, &str); 23] = [
    ("join", "ROOM", "enter a room in a window of its own"),
    ("leave", "", "leave the room and close its window"),
    ("close", "", "close this window"),
    ("dm", "NICK [TEXT]", "talk to one person (also /msg, /query)"),
    ("me", "TEXT", "say that you do something: * ann waves"),
    ("say", "TEXT", "say it, whatever it begins with"),
    ("who", "[ROOM]", "who is in the room, or in another one"),
    ("list", "", "the rooms"),
    ("history", "[N]", "N more messages that were said before (20)"),
    ("fill", "", "fetch lost messages again"),
    ("search", "[TEXT]", "search in this window: up and down go on"),
    ("nick", "NICK", "change your nick"),
    ("window", "NUMBER", "look at another window (also /w)"),
    ("latency", "", "each message's latency, and a live histogram"),
    ("ring", "", "your reply ring and the server's control ring, live"),
    ("stats", "", "what this client has seen"),
    ("ping", "", "how fast the server answers"),
    ("host", "", "host a server here when the last one has gone"),
    ("mouse", "", "the wheel scrolls, but the mouse selects no text"),
    ("bare", "", "bare text, to select and copy"),
    ("clear", "", "empty this window"),
    ("help", "", "keys and commands"),
    ("quit", "", "leave for good"),
];

impl App {
    /// Does what a line asks for.
    pub(crate) fn submit(&mut self, line: &str, effects: &mut Vec<Effect>) {
        let (verb, rest) = split(line.strip_prefix('/').unwrap_or_default());
        let rest = rest.trim();
        let is_command = line.starts_with('/') && !line.starts_with("//");
        match verb.to_ascii_lowercase().as_str() {
            _ if !is_command => self.typed(line, effects),
            "join" | "j" if !rest.is_empty() => match halyard_ring::chat::check_name(rest) {
                Ok(()) => self.enter(rest, effects),
                Err(why) => self.error(format!("cannot enter a room: {why}")),
            },
            "leave" | "part" | "close" => match self.current {
                0 => self.error("the server's window stays: /quit leaves for good"),
                current => self.close(current, effects),
            },
            "dm" | "msg" | "query" if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
                let index = self.open(Place::Direct(rest.to_owned()));
                self.look_at(index);
            }
            "dm" | "msg" if split(rest).1.trim() != "" => {
                let (to, text) = split(rest);
                let index = self.open(Place::Direct(to.to_owned()));
                self.look_at(index);
                self.talk(text.trim_start(), false, effects);
            }
            "search" => {
                self.search = Some(rest.to_owned());
                self.search_on(true, true);
            }
            "window" | "w" => match rest.parse::<usize>() {
                Ok(number @ 1..) if number <= self.windows.len() => self.look_at(number - 1),
                _ => self.error(format!("/window needs a number from 1 to {}", self.windows.len())),
            },
            "latency" => {
                self.config.view.latency = true;
                self.show(Overlay::Latency);
            }
            "ring" => self.show(Overlay::Rings(Vec::new())),
            "stats" => self.show(Overlay::Stats),
            "help" | "h" | "?" => self.show(Overlay::Help),
            "fill" => self.fill_gap(effects),
            "bare" => {
                self.bare = true;
                effects.push(Effect::Bare);
            }
            "mouse" => {
                self.config.view.mouse = !self.config.view.mouse;
                effects.push(Effect::Mouse(self.config.view.mouse));
            }
            "clear" => self.window_mut().lines.clear(),
            #[cfg(debug_assertions)]
            "panic" => panic!("asked for by /panic {rest}"),
            _ => self.typed(line, effects),
        }
    }

    fn typed(&mut self, line: &str, effects: &mut Vec<Effect>) {
        match parse(line) {
            Ok(Typed::Nothing) => {}
            Ok(Typed::Help) => self.show(Overlay::Help),
            Ok(Typed::Host) if self.link == Link::Up => {
                self.error("there is a server: /host is for when it has gone");
            }
            Ok(Typed::Host) => effects.push(Effect::Host),
            Ok(Typed::Quit) => effects.push(Effect::Quit),
            Ok(Typed::Command(Command::Say { text, action })) => self.talk(&text, action, effects),
            Ok(Typed::Command(command)) => {
                if let Err(why) = command.check() {
                    return self.error(why.to_string());
                }
                let command = match (command, self.window().membership) {
                    // The next older ones.
                    (Command::History { room, count, .. }, _) => {
                        let before = self.window().oldest_seq();
                        Command::History { room, count, before }
                    }
                    (command, _) => command,
                };
                self.ask(command, Why::Typed, effects);
            }
            Err(why) => self.error(why),
        }
    }

    /// Sends a command for this window, by its own session if it has one.
    pub(crate) fn ask(&mut self, command: Command, why: Why, effects: &mut Vec<Effect>) {
        let window = self.window();
        let session = window.session.unwrap_or(0);
        effects.push(Effect::Ask { session, place: window.place.clone(), command, why });
    }

    /// Says something here: to the room, or to the person.
    fn talk(&mut self, text: &str, action: bool, effects: &mut Vec<Effect>) {
        let text = text.to_owned();
        let command = match &self.window().place {
            Place::Server => return self.error("this is the server's window: /join ROOM enters a room"),
            Place::Room(room) if self.window().membership == Membership::Out => {
                let room = room.clone();
                return self.error(format!("not sent: you are not in {room}; /join {room} enters it again"));
            }
            Place::Room(_) => Command::Say { text, action },
            Place::Direct(to) => Command::Dm { to: to.clone(), text, action },
        };
        if let Err(why) = command.check() {
            return self.error(format!("not sent: {why}"));
        }
        self.window_mut().scroll = None;
        self.stats.said += 1;
        self.ask(command, Why::Typed, effects);
    }

    /// Notes that a command was sent under this number.
    pub(crate) fn submitted(&mut self, session: usize, ticket: u64, asked: super::state::Asked) {
        if let (Command::Say { text, action } | Command::Dm { text, action, .. }, Some(index)) =
            (&asked.command, self.find(&asked.place))
        {
            let text = crate::cli::visible::visible(text).into_owned();
            let pending = Pending { ticket, text, action: *action, since: asked.since };
            self.windows[index].pending.push(pending);
        }
        self.asked.insert((session, ticket), asked);
    }

    pub(crate) fn show(&mut self, overlay: Overlay) {
        self.overlay = Some(overlay);
        self.overlay_scroll = 0;
    }

    /// Asks for the messages of the last gap.
    pub(crate) fn fill_gap(&mut self, effects: &mut Vec<Effect>) {
        let Some(hole) = self.window_mut().open_hole() else {
            return self.error("there is no gap here that could be filled");
        };
        hole.state = super::line::HoleState::Asked;
        let (first, last) = (hole.first, hole.last);
        let count = u32::try_from(last - first + 1).unwrap_or(u32::MAX);
        let command = Command::History { room: None, count, before: last + 1 };
        self.ask(command, Why::Gap(first), effects);
    }
}
