//! One window: a room, a conversation with one person, or the server's own.

use std::collections::VecDeque;
use std::time::Instant;

use super::editor::Editor;
use super::line::{Body, Hole, HoleState, Line, Move, Said};

/// Lines that a window keeps; the oldest go.
pub(crate) const LINES_MAX: usize = 5000;

/// What a window shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server,
    Room(String),
    Direct(String),
}

/// Whether a room's session is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Asked for.
    Entering,
    In,
    /// Left, refused, or the server is away.
    Out,
}

/// A line that was typed and is not confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) ticket: u64,
    pub(crate) text: String,
    pub(crate) action: bool,
    pub(crate) since: Instant,
}

/// Where a window is scrolled to: its last row is the one of this line under which `below` of its rows are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scroll {
    pub(crate) line: u64,
    pub(crate) below: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) place: Place,
    /// The session that is in the room.
    pub(crate) session: Option<usize>,
    pub(crate) membership: Membership,
    pub(crate) room_id: u32,
    pub(crate) lines: VecDeque<Line>,
    next_id: u64,
    pub(crate) unread: usize,
    pub(crate) mentions: usize,
    /// The last line that was read when one last looked away.
    pub(crate) read: Option<u64>,
    /// `None`: at the end, and follows what comes.
    pub(crate) scroll: Option<Scroll>,
    /// Nicks, as they came.
    pub(crate) members: Vec<String>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) editor: Editor,
}

impl Window {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            session: None,
            membership: Membership::Out,
            room_id: 0,
            lines: VecDeque::new(),
            next_id: 1,
            unread: 0,
            mentions: 0,
            read: None,
            scroll: None,
            members: Vec::new(),
            pending: Vec::new(),
            editor: Editor::default(),
        }
    }

    /// What the window is called.
    pub(crate) fn title(&self) -> &str {
        match &self.place {
            Place::Server => "server",
            Place::Room(name) | Place::Direct(name) => name,
        }
    }

    pub(crate) fn is_direct(&self, nick: &str) -> bool {
        matches!(&self.place, Place::Direct(peer) if peer == nick)
    }

    pub(crate) fn push(&mut self, time: String, body: Body) {
        self.lines.push_back(Line { id: self.next_id, time, body });
        self.next_id += 1;
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
            let first = self.lines.front().map_or(0, |line| line.id);
            if self.scroll.is_some_and(|scroll| scroll.line < first) {
                self.scroll = Some(Scroll { line: first, below: 0 });
            }
        }
    }

    /// Who came or went joins the ones before, if nothing was said in between.
    pub(crate) fn push_move(&mut self, time: String, step: Move) {
        if let Some(Line { body: Body::Moves(moves), .. }) = self.lines.back_mut() {
            moves.push(step);
        } else {
            self.push(time, Body::Moves(vec![step]));
        }
    }

    /// Puts earlier messages in front of the first of this room's present ones, each once. Returns how many were new.
    pub(crate) fn insert_earlier(&mut self, messages: Vec<(String, Said)>) -> usize {
        let known = |said: &Said, lines: &VecDeque<Line>| {
            lines.iter().filter_map(Line::said).any(|has| (has.room_id, has.seq) == (said.room_id, said.seq))
        };
        let mut added = 0;
        for (time, said) in messages {
            if known(&said, &self.lines) {
                continue;
            }
            let place = self.place_of(&said);
            self.insert(place, time, Body::Said(said));
            added += 1;
        }
        added
    }

    /// Where a message belongs: in front of the first that was said after it.
    fn place_of(&self, said: &Said) -> usize {
        let is_after = |line: &Line| match &line.body {
            Body::Said(other) => other.room_id == said.room_id && other.seq > said.seq || !other.earlier,
            Body::Gap(hole) => hole.room_id == said.room_id && hole.first > said.seq,
            // What this window said when one came stands behind what was said before.
            _ => true,
        };
        let last_before = self.lines.iter().rposition(|line| {
            line.said().is_some_and(|other| other.room_id == said.room_id && other.seq < said.seq)
                || matches!(&line.body, Body::Gap(hole)
                    if hole.room_id == said.room_id && hole.first != 0 && hole.first <= said.seq)
        });
        match last_before {
            Some(index) => index + 1,
            None => self.lines.iter().position(is_after).unwrap_or(self.lines.len()),
        }
    }

    /// Ids have to grow from line to line: everything from `place` on is counted anew.
    fn insert(&mut self, place: usize, time: String, body: Body) {
        let id = self.lines.get(place).map_or(self.next_id, |line| line.id);
        self.lines.insert(place, Line { id, time, body });
        self.next_id += 1;
        for line in self.lines.iter_mut().skip(place + 1) {
            line.id += 1;
        }
        for mark in [self.read.as_mut(), self.scroll.as_mut().map(|scroll| &mut scroll.line)] {
            if let Some(mark) = mark.filter(|mark| **mark >= id) {
                *mark += 1;
            }
        }
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }

    /// The last gap that can be fetched again.
    pub(crate) fn open_hole(&mut self) -> Option<&mut Hole> {
        self.lines.iter_mut().rev().find_map(|line| match &mut line.body {
            Body::Gap(hole) if hole.can_be_filled() => Some(hole),
            _ => None,
        })
    }

    /// The answer for a gap came: messages in its place, as far as there are any.
    pub(crate) fn fill(&mut self, first: u64, messages: Vec<(String, Said)>) {
        let got: Vec<u64> = messages.iter().map(|(_, said)| said.seq).collect();
        self.insert_earlier(messages);
        let is_it = |line: &Line| matches!(&line.body, Body::Gap(hole) if hole.first == first && hole.state == HoleState::Asked);
        let Some(index) = self.lines.iter().position(is_it) else { return };
        let Body::Gap(hole) = &mut self.lines[index].body else { return };
        let missing = (hole.first..=hole.last).filter(|seq| !got.contains(seq)).count() as u64;
        if missing == 0 {
            self.lines.remove(index);
            return;
        }
        hole.state = HoleState::Gone;
        hole.text = format!(
            "{missing} of {} messages lost: the server has not kept them",
            hole.last - hole.first + 1
        );
    }

    /// The id of the last line; 0 if there is none.
    pub(crate) fn last_id(&self) -> u64 {
        self.lines.back().map_or(0, |line| line.id)
    }

    /// One looks at it now.
    pub(crate) fn looked_at(&mut self) {
        self.unread = 0;
        self.mentions = 0;
    }

    /// One looks away: what comes from here on is new.
    pub(crate) fn looked_away(&mut self) {
        self.read = Some(self.last_id());
    }

    pub(crate) fn rename_member(&mut self, old: &str, new: &str) {
        for member in self.members.iter_mut().filter(|member| *member == old) {
            new.clone_into(member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(seq: u64, earlier: bool) -> Said {
        Said { nick: "ann".into(), text: format!("m{seq}"), seq, room_id: 1, earlier, ..Said::default() }
    }

    fn texts(window: &Window) -> Vec<String> {
        window.lines.iter().map(|line| line.body.plain()).collect()
    }

    fn window() -> Window {
        Window::new(Place::Room("lobby".into()))
    }

    fn hole(first: u64, last: u64) -> Body {
        let text = format!("{} lost", last - first + 1);
        Body::Gap(Hole { room_id: 1, first, last, text, state: HoleState::Asked })
    }

    #[test]
    fn earlier_messages_stand_before_what_is_said_now_and_once() {
        let mut window = window();
        window.push(String::new(), Body::Notice("you are here".into()));
        window.push(String::new(), Body::Said(said(5, false)));
        let earlier = |seqs: &[u64]| seqs.iter().map(|&seq| (String::new(), said(seq, true))).collect();
        assert_eq!(window.insert_earlier(earlier(&[3, 4, 5])), 2);
        assert_eq!(texts(&window), ["<ann> m3", "<ann> m4", "-- you are here", "<ann> m5"]);
        assert_eq!(window.insert_earlier(earlier(&[2, 3])), 1);
        assert_eq!(texts(&window)[..2], ["<ann> m2", "<ann> m3"]);
        let ids: Vec<u64> = window.lines.iter().map(|line| line.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }

    #[test]
    fn a_gap_is_filled_in_its_place() {
        let mut window = window();
        window.push(String::new(), Body::Said(said(1, false)));
        window.push(String::new(), hole(2, 4));
        window.push(String::new(), Body::Said(said(5, false)));
        window.fill(2, (2..=4).map(|seq| (String::new(), said(seq, true))).collect());
        assert_eq!(texts(&window), ["<ann> m1", "<ann> m2", "<ann> m3", "<ann> m4", "<ann> m5"]);
    }

    #[test]
    fn what_the_server_has_not_kept_stays_missing() {
        let mut window = window();
        window.push(String::new(), Body::Said(said(1, false)));
        window.push(String::new(), hole(2, 4));
        window.push(String::new(), Body::Said(said(5, false)));
        window.fill(2, vec![(String::new(), said(4, true))]);
        let expected = "-- 2 of 3 messages lost: the server has not kept them";
        assert_eq!(texts(&window), ["<ann> m1", expected, "<ann> m4", "<ann> m5"]);
    }

    #[test]
    fn a_window_forgets_its_oldest_lines() {
        let mut window = window();
        for n in 0..LINES_MAX + 10 {
            window.push(String::new(), Body::Notice(n.to_string()));
        }
        assert_eq!((window.lines.len(), window.lines[0].id), (LINES_MAX, 11));
    }

    #[test]
    fn comings_and_goings_share_a_line_until_something_is_said() {
        let mut window = window();
        window.push_move(String::new(), Move::Joined("a".into()));
        window.push_move(String::new(), Move::Joined("b".into()));
        window.push(String::new(), Body::Said(said(1, false)));
        window.push_move(String::new(), Move::Joined("c".into()));
        assert_eq!(texts(&window), ["-- a, b joined", "<ann> m1", "-- c joined"]);
    }
}
