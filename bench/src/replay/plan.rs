//! From logs to a plan: which clients there are, and what each of them does, room by room, in the logs' order.
//!
//! A log does not tell everything. What is missing is filled in the way that contradicts the log least, and counted:
//! - Who speaks, leaves or changes nick and was not heard of before was there already: it joins before the replay.
//! - Who speaks after leaving came back unseen: it joins right before. Who joins while being there had left unseen.
//! - Who holds a nick that somebody else takes has gone unseen: it quits.
//!
//! A room of the server holds one log. Since a client can be in one room only and a nick belongs to one client of the
//! server, a nick that occurs in two logs is two clients, and the second one's nick gets a suffix.

use std::collections::{HashMap, HashSet};

use halyard_ring::chat::{NAME_MAX, TEXT_MAX, check_name};
use serde::{Deserialize, Serialize};

use crate::irc::{Entry, Log, What};

/// Everything that is to be done, in a form that travels to the child processes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) clients: Vec<ClientPlan>,
    pub(crate) rooms: Vec<RoomPlan>,
    pub(crate) notes: Notes,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientPlan {
    /// Under which nick it connects.
    pub(crate) nick: String,
    pub(crate) room: usize,
}

/// One room: what happens there, one step after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoomPlan {
    pub(crate) name: String,
    /// The log's file, as it was given.
    pub(crate) file: String,
    pub(crate) steps: Vec<Step>,
    /// How many of the steps come before the log's first line: the joins of those who were there already.
    pub(crate) before: usize,
}

/// One thing that one client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The line of the log that it comes from, 0 if from none.
    pub(crate) line: u32,
    /// Milliseconds since the log's first line.
    pub(crate) at_ms: u64,
    pub(crate) client: usize,
    pub(crate) act: Act,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Act {
    Join,
    Leave,
    Quit,
    Nick { new: String },
    Say { text: String, action: bool },
}

/// What had to be filled in or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    /// Clients that were there before their log begins.
    pub(crate) there_before: usize,
    /// Joins that no log shows.
    pub(crate) unseen_joins: usize,
    /// Leaves and quits that no log shows.
    pub(crate) unseen_leaves: usize,
    /// Lines of the logs that name a leaver who was not there.
    pub(crate) left_twice: usize,
    /// Messages without text.
    pub(crate) empty_texts: usize,
    /// Texts over the limit, replayed as several messages.
    pub(crate) split_texts: usize,
    /// Nicks that had to be written differently: too long, with signs that the server refuses, or used in two logs.
    pub(crate) nicks_changed: usize,
    /// The first few of them, as `nick → nick (file)`.
    pub(crate) nicks_changed_first: Vec<String>,
}

/// How many changed nicks are named.
const NAMED: usize = 5;

/// Makes a plan of logs; each with its file's name.
pub(crate) fn plan(logs: &[(String, Log)]) -> Plan {
    let mut names = Names::default();
    let mut plan = Plan::default();
    let mut rooms = HashSet::new();
    for (room, (file, log)) in logs.iter().enumerate() {
        let mut maker = RoomMaker {
            room,
            file,
            names: &mut names,
            clients: &mut plan.clients,
            notes: &mut plan.notes,
            holders: HashMap::new(),
            seen: HashSet::new(),
            present: HashSet::new(),
            before: Vec::new(),
            steps: Vec::new(),
        };
        for entry in &log.entries {
            maker.entry(entry);
        }
        let (mut steps, rest) = (maker.before, maker.steps);
        let before = steps.len();
        steps.extend(rest);
        let name = unique(&room_name(file), |name| rooms.insert(name.to_owned()));
        plan.rooms.push(RoomPlan { name, file: file.clone(), steps, before });
    }
    plan
}

/// A room's name from a file's.
fn room_name(file: &str) -> String {
    let stem =
        std::path::Path::new(file).file_stem().map_or_else(|| "log".into(), |stem| stem.to_string_lossy());
    legal(&stem)
}

/// The name, cut to the server's limit and without signs that it refuses.
fn legal(name: &str) -> String {
    let mut legal = String::new();
    for c in name.chars() {
        let c = if check_name(c.encode_utf8(&mut [0; 4])).is_ok() { c } else { '_' };
        if legal.len() + c.len_utf8() > NAME_MAX {
            break;
        }
        legal.push(c);
    }
    if legal.is_empty() { "_".to_owned() } else { legal }
}

/// The name, or the name with the first `~N` (from 2) that `take` accepts, within the server's limit.
fn unique(name: &str, mut take: impl FnMut(&str) -> bool) -> String {
    if take(name) {
        return name.to_owned();
    }
    let mut number = 2u32;
    loop {
        let suffix = format!("~{number}");
        let mut cut = name.len().min(NAME_MAX - suffix.len());
        while !name.is_char_boundary(cut) {
            cut -= 1;
        }
        let candidate = format!("{}{suffix}", &name[..cut]);
        if take(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

/// The nicks as the server knows them.
#[derive(Debug, Default)]
struct Names {
    /// By room and nick in the log.
    given: HashMap<(usize, String), String>,
    taken: HashSet<String>,
}

impl Names {
    fn of(&mut self, room: usize, nick: &str, file: &str, notes: &mut Notes) -> String {
        if let Some(given) = self.given.get(&(room, nick.to_owned())) {
            return given.clone();
        }
        let given = unique(&legal(nick), |name| self.taken.insert(name.to_owned()));
        if given != nick {
            notes.nicks_changed += 1;
            if notes.nicks_changed_first.len() < NAMED {
                notes.nicks_changed_first.push(format!("{nick} → {given} ({file})"));
            }
        }
        self.given.insert((room, nick.to_owned()), given.clone());
        given
    }

    /// A nick for a client that waits for its own to become free.
    fn spare(&mut self, client: usize) -> String {
        unique(&format!("waiting-{client}"), |name| self.taken.insert(name.to_owned()))
    }
}

struct RoomMaker<'a> {
    room: usize,
    file: &'a str,
    names: &'a mut Names,
    clients: &'a mut Vec<ClientPlan>,
    notes: &'a mut Notes,
    /// Who holds which nick of the log.
    holders: HashMap<&'a str, usize>,
    /// Every nick that anybody held so far.
    seen: HashSet<&'a str>,
    present: HashSet<usize>,
    before: Vec<Step>,
    steps: Vec<Step>,
}

impl<'a> RoomMaker<'a> {
    fn entry(&mut self, entry: &'a Entry) {
        match &entry.what {
            What::Message { nick, text, action } => {
                if text.is_empty() {
                    self.notes.empty_texts += 1;
                    return;
                }
                let client = self.someone_there(entry, nick);
                let pieces = pieces(text);
                self.notes.split_texts += usize::from(pieces.len() > 1);
                for piece in pieces {
                    self.step(entry, client, Act::Say { text: piece.to_owned(), action: *action });
                }
            }
            What::Joined { nick } => {
                if self.holders.get(nick.as_str()).is_some_and(|client| self.present.contains(client)) {
                    self.notes.unseen_leaves += 1;
                    self.leave(entry, nick, Act::Leave);
                }
                self.join(entry, nick);
            }
            What::Left { nick } => {
                let there = match self.holders.get(nick.as_str()) {
                    Some(client) => self.present.contains(client),
                    None => !self.seen.contains(nick.as_str()),
                };
                if there {
                    self.someone_there(entry, nick);
                    self.leave(entry, nick, Act::Leave);
                } else {
                    self.notes.left_twice += 1;
                }
            }
            What::Renamed { old, new } if old == new => {}
            What::Renamed { old, new } => {
                let client = self.someone_there(entry, old);
                if self.holders.contains_key(new.as_str()) {
                    self.notes.unseen_leaves += 1;
                    self.leave(entry, new, Act::Quit);
                }
                self.holders.remove(old.as_str());
                self.hold(new, client);
                let new = self.wire(new);
                self.step(entry, client, Act::Nick { new });
            }
        }
    }

    /// The client that holds this nick, in the room: brought there if it is not.
    fn someone_there(&mut self, entry: &Entry, nick: &'a str) -> usize {
        match self.holders.get(nick) {
            Some(&client) if self.present.contains(&client) => client,
            None if !self.seen.contains(nick) => {
                let client = self.new_client(nick, true);
                self.before.push(Step { line: 0, at_ms: 0, client, act: Act::Join });
                self.present.insert(client);
                self.notes.there_before += 1;
                client
            }
            _ => {
                self.notes.unseen_joins += 1;
                self.join(entry, nick)
            }
        }
    }

    fn join(&mut self, entry: &Entry, nick: &'a str) -> usize {
        let client = match self.holders.get(nick) {
            Some(&client) => client,
            None => {
                let free = !self.seen.contains(nick);
                let client = self.new_client(nick, free);
                if !free {
                    // Another client had this nick when the replay began, so this one connected under a spare.
                    let new = self.wire(nick);
                    self.step(entry, client, Act::Nick { new });
                }
                client
            }
        };
        self.present.insert(client);
        self.step(entry, client, Act::Join);
        client
    }

    fn leave(&mut self, entry: &Entry, nick: &str, how: Act) {
        if let Some(&client) = self.holders.get(nick) {
            self.present.remove(&client);
            if how == Act::Quit {
                self.holders.remove(nick);
            }
            self.step(entry, client, how);
        }
    }

    fn new_client(&mut self, nick: &'a str, free: bool) -> usize {
        let client = self.clients.len();
        let connects_as = if free { self.wire(nick) } else { self.names.spare(client) };
        self.clients.push(ClientPlan { nick: connects_as, room: self.room });
        self.hold(nick, client);
        client
    }

    fn hold(&mut self, nick: &'a str, client: usize) {
        self.seen.insert(nick);
        self.holders.insert(nick, client);
    }

    fn wire(&mut self, nick: &str) -> String {
        self.names.of(self.room, nick, self.file, self.notes)
    }

    fn step(&mut self, entry: &Entry, client: usize, act: Act) {
        self.steps.push(Step { line: entry.line, at_ms: entry.at_ms, client, act });
    }
}

/// The text in pieces that are within the server's limit.
fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > TEXT_MAX {
        let mut cut = TEXT_MAX;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        pieces.push(&text[..cut]);
        text = &text[cut..];
    }
    pieces.push(text);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::irc;

    fn made(logs: &[&str]) -> Plan {
        let log = |text: &&str| irc::parse(text.as_bytes()).unwrap();
        let logs: Vec<_> =
            logs.iter().enumerate().map(|(n, text)| (format!("dir/room{n}.log"), log(text))).collect();
        plan(&logs)
    }

    /// The steps of a room as text: `nick of connection` and what it does.
    fn told(plan: &Plan, room: usize) -> Vec<String> {
        let steps = plan.rooms[room].steps.iter();
        steps
            .map(|step| {
                let who = &plan.clients[step.client].nick;
                match &step.act {
                    Act::Join => format!("{who} joins"),
                    Act::Leave => format!("{who} leaves"),
                    Act::Quit => format!("{who} quits"),
                    Act::Nick { new } => format!("{who} is {new}"),
                    Act::Say { text, action: false } => format!("{who}: {text}"),
                    Act::Say { text, action: true } => format!("* {who} {text}"),
                }
            })
            .collect()
    }

    #[test]
    fn who_was_not_heard_of_was_there_already() {
        let plan = made(&["[08:00] <ann> a\n=== bob [b@c]  has joined #x\n=== eve is now known as eva\n\
            === kim [b@c]  has left #x []\n[08:01] <bob> b\n"]);
        let expected = [
            "ann joins",
            "eve joins",
            "kim joins",
            "ann: a",
            "bob joins",
            "eve is eva",
            "kim leaves",
            "bob: b",
        ];
        assert_eq!(told(&plan, 0), expected);
        assert_eq!((plan.rooms[0].before, plan.notes.there_before), (3, 3));
        assert_eq!((plan.rooms[0].name.as_str(), plan.rooms[0].steps[3].line), ("room0", 1));
    }

    #[test]
    fn who_comes_back_unseen_joins_and_who_joins_twice_has_left() {
        let plan = made(&["[08:00] <ann> a\n=== ann [b@c]  has left #x []\n[08:00] <ann> b\n\
            === ann [b@c]  has joined #x\n=== ann [b@c]  has left #x []\n=== ann [b@c]  has left #x []\n"]);
        let expected = [
            "ann joins",
            "ann: a",
            "ann leaves",
            "ann joins",
            "ann: b",
            "ann leaves",
            "ann joins",
            "ann leaves",
        ];
        assert_eq!(told(&plan, 0), expected);
        let notes = &plan.notes;
        assert_eq!((notes.unseen_joins, notes.unseen_leaves, notes.left_twice), (1, 1, 1));
        assert_eq!(plan.clients.len(), 1);
    }

    #[test]
    fn a_nick_that_is_taken_over_frees_itself_and_can_be_used_again() {
        let plan =
            made(&["[08:00] <ann> a\n[08:00] <eve> e\n=== eve is now known as ann\n[08:01] <ann> b\n\
            [08:01] <eve> c\n=== ann is now known as ann\n"]);
        let expected = [
            "ann joins",
            "eve joins",
            "ann: a",
            "eve: e",
            "ann quits",
            "eve is ann",
            "eve: b",
            "waiting-2 is eve",
            "waiting-2 joins",
            "waiting-2: c",
        ];
        assert_eq!(told(&plan, 0), expected);
    }

    #[test]
    fn a_nick_in_two_logs_is_two_clients() {
        let plan = made(&["[08:00] <ann> a\n", "[08:00] <ann> b\n[08:00] <ann~2> c\n"]);
        let nicks: Vec<&str> = plan.clients.iter().map(|client| client.nick.as_str()).collect();
        assert_eq!(nicks, ["ann", "ann~2", "ann~2~2"]);
        assert_eq!(plan.notes.nicks_changed, 2);
        assert_eq!(plan.notes.nicks_changed_first[0], "ann → ann~2 (dir/room1.log)");
    }

    #[test]
    fn nicks_and_texts_keep_to_the_servers_limits() {
        let (nick, text) = ("ü".repeat(20), "ö".repeat(3000));
        let plan = made(&[&format!("[08:00] <{nick}> {text}\n[08:00] <{nick}> \n[08:00] <a\u{200b}b> x\n")]);
        assert_eq!(plan.clients[0].nick, "ü".repeat(16));
        assert_eq!(plan.clients[1].nick, "a_b");
        let said: Vec<_> = told(&plan, 0).into_iter().filter(|step| step.contains(": ")).collect();
        assert_eq!(said.len(), 3);
        let texts: Vec<&str> = said.iter().map(|step| step.split_once(": ").unwrap().1).collect();
        assert_eq!(texts[..2].concat(), text);
        assert!(texts.iter().all(|text| text.len() <= TEXT_MAX));
        assert_eq!((plan.notes.empty_texts, plan.notes.split_texts), (1, 1));
        assert!(plan.clients.iter().all(|client| check_name(&client.nick).is_ok()));
    }

    #[test]
    fn names_that_would_clash_get_numbers() {
        let mut taken = HashSet::new();
        let long = "x".repeat(32);
        let mut take = |name: &str| taken.insert(name.to_owned());
        assert_eq!(unique(&long, &mut take), long);
        assert_eq!(unique(&long, &mut take), format!("{}~2", "x".repeat(30)));
        assert_eq!(unique(&long, &mut take), format!("{}~3", "x".repeat(30)));
        assert_eq!(room_name("/logs/a b.txt"), "a_b");
    }
}
