//! One window: a room, a conversation with one person, or the server's own.

use std::collections::VecDeque;
use std::time::Instant;

use super::editor::Editor;
use super::line::{Body, Hole, HoleState, Line, Move, Said};
use super::members::Members;
use crate::cli::chat::missed::Missed;
use crate::cli::clock::Moment;

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
    /// The line at which a search stands.
    pub(crate) found: Option<u64>,
    pub(crate) members: Members,
    pub(crate) missed: Missed,
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
            found: None,
            members: Members::default(),
            missed: Missed::default(),
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

    pub(crate) fn push(&mut self, at: Moment, body: Body) {
        self.lines.push_back(Line { id: self.next_id, at, body });
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
    pub(crate) fn push_move(&mut self, at: Moment, step: Move) {
        if let Some(Line { body: Body::Moves(moves), .. }) = self.lines.back_mut() {
            moves.push(step);
        } else {
            self.push(at, Body::Moves(vec![step]));
        }
    }

    /// Puts earlier messages where they belong, each once. Returns how many were new.
    pub(crate) fn insert_earlier(&mut self, messages: Vec<(Moment, Said)>) -> usize {
        let mut added = 0;
        for (at, said) in messages {
            // By time, too: at the next server of that name rooms and numbers begin with 1 again.
            let is_known = |line: &Line| {
                line.at.ns == at.ns
                    && line.said().is_some_and(|has| (has.room_id, has.seq) == (said.room_id, said.seq))
            };
            if self.lines.iter().any(is_known) {
                continue;
            }
            let key = (at.ns, said.seq);
            let place = self.lines.iter().rposition(|line| line.place() <= key).map_or(0, |last| last + 1);
            self.insert(place, at, Body::Said(said));
            added += 1;
        }
        added
    }

    /// The number of the oldest message of the room's present life that is shown; 0 if there is none.
    pub(crate) fn oldest_seq(&self) -> u64 {
        let mut oldest = 0;
        let said = self.lines.iter().rev().filter_map(Line::said);
        for said in said.filter(|said| said.room_id == self.room_id) {
            // The numbers fall the further one goes back, until those of a former server come.
            if oldest != 0 && said.seq >= oldest {
                break;
            }
            oldest = said.seq;
        }
        oldest
    }

    /// A gap, behind the message before it.
    pub(crate) fn push_gap(&mut self, now: Moment, hole: Hole) {
        let last = self.lines.iter().rev().find(|line| line.said().is_some());
        let ns = last.map_or(now.ns, |line| line.at.ns);
        self.push(Moment { ns, ..now }, Body::Gap(hole));
    }

    /// Ids have to grow from line to line: everything from `place` on is counted anew.
    fn insert(&mut self, place: usize, at: Moment, body: Body) {
        let id = self.lines.get(place).map_or(self.next_id, |line| line.id);
        self.lines.insert(place, Line { id, at, body });
        self.next_id += 1;
        for line in self.lines.iter_mut().skip(place + 1) {
            line.id += 1;
        }
        let scroll = self.scroll.as_mut().map(|scroll| &mut scroll.line);
        for mark in [self.read.as_mut(), self.found.as_mut(), scroll] {
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
    pub(crate) fn fill(&mut self, first: u64, messages: Vec<(Moment, Said)>) {
        let is_it = |line: &Line| matches!(&line.body, Body::Gap(hole) if hole.first == first && hole.state == HoleState::Asked);
        let Some(index) = self.lines.iter().position(is_it) else { return };
        // A next server has given the same numbers to other messages: these lie elsewhere in time.
        let begin = self.lines[index].at.ns;
        let end = self.lines.iter().skip(index).find(|line| line.said().is_some()).map(|line| line.at.ns);
        let Body::Gap(hole) = &self.lines[index].body else { return };
        let numbers = hole.first..=hole.last;
        let belongs = |(at, said): &(Moment, Said)| {
            numbers.contains(&said.seq) && at.ns >= begin && end.is_none_or(|end| at.ns <= end)
        };
        let messages: Vec<_> = messages.into_iter().filter(belongs).collect();
        let got: Vec<u64> = messages.iter().map(|(_, said)| said.seq).collect();
        self.insert_earlier(messages);
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
        self.found = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(seq: u64, earlier: bool) -> Said {
        Said { nick: "ann".into(), text: format!("m{seq}"), seq, room_id: 1, earlier, ..Said::default() }
    }

    /// Said so many nanoseconds after the start.
    fn at(ns: u64) -> Moment {
        Moment { ns, ..Moment::default() }
    }

    fn timed(seqs: impl IntoIterator<Item = u64>) -> Vec<(Moment, Said)> {
        seqs.into_iter().map(|seq| (at(seq), said(seq, true))).collect()
    }

    fn texts(window: &Window) -> Vec<String> {
        window.lines.iter().map(|line| line.body.plain()).collect()
    }

    fn window() -> Window {
        Window::new(Place::Room("lobby".into()))
    }

    fn hole(first: u64, last: u64) -> Hole {
        let text = format!("{} lost", last - first + 1);
        Hole { room_id: 1, first, last, text, state: HoleState::Asked }
    }

    #[test]
    fn earlier_messages_stand_before_what_is_said_now_and_once() {
        let mut window = window();
        window.push(at(5), Body::Notice("you are here".into()));
        window.push(at(5), Body::Said(said(5, false)));
        assert_eq!(window.insert_earlier(timed([3, 4, 5])), 2);
        assert_eq!(texts(&window), ["<ann> m3", "<ann> m4", "-- you are here", "<ann> m5"]);
        assert_eq!(window.insert_earlier(timed([2, 3])), 1);
        assert_eq!(texts(&window)[..2], ["<ann> m2", "<ann> m3"]);
        let ids: Vec<u64> = window.lines.iter().map(|line| line.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }

    #[test]
    fn a_gap_is_filled_in_its_place() {
        let mut window = window();
        window.push(at(1), Body::Said(said(1, false)));
        window.push_gap(at(5), hole(2, 4));
        window.push(at(5), Body::Said(said(5, false)));
        window.fill(2, timed(2..=4));
        assert_eq!(texts(&window), ["<ann> m1", "<ann> m2", "<ann> m3", "<ann> m4", "<ann> m5"]);
    }

    #[test]
    fn what_the_server_has_not_kept_stays_missing() {
        let mut window = window();
        window.push(at(1), Body::Said(said(1, false)));
        window.push_gap(at(5), hole(2, 4));
        window.push(at(5), Body::Said(said(5, false)));
        window.fill(2, timed([4]));
        let expected = "-- 2 of 3 messages lost: the server has not kept them";
        assert_eq!(texts(&window), ["<ann> m1", expected, "<ann> m4", "<ann> m5"]);
    }

    #[test]
    fn the_next_servers_messages_stand_behind_the_former_ones_and_fill_none_of_its_gaps() {
        let mut window = window();
        window.room_id = 1;
        window.push(at(1), Body::Said(said(1, false)));
        window.push_gap(at(3), hole(2, 2));
        window.push(at(3), Body::Said(said(3, false)));
        window.push(at(10), Body::Notice("connected again".into()));
        let next = |seq| (at(seq + 4), Said { text: format!("next {seq}"), ..said(seq, true) });
        assert_eq!(window.insert_earlier(vec![next(1), next(2)]), 2);
        assert_eq!(window.insert_earlier(vec![next(1), next(2)]), 0);
        let before =
            ["<ann> m1", "-- 1 lost", "<ann> m3", "<ann> next 1", "<ann> next 2", "-- connected again"];
        assert_eq!(texts(&window), before);
        assert_eq!(window.oldest_seq(), 1);
        window.fill(2, vec![next(2)]);
        assert_eq!(texts(&window)[1], "-- 1 of 1 messages lost: the server has not kept them");
        assert_eq!(texts(&window).len(), 6);
    }

    #[test]
    fn a_window_forgets_its_oldest_lines() {
        let mut window = window();
        for n in 0..LINES_MAX + 10 {
            window.push(Moment::default(), Body::Notice(n.to_string()));
        }
        assert_eq!((window.lines.len(), window.lines[0].id), (LINES_MAX, 11));
    }

    #[test]
    fn comings_and_goings_share_a_line_until_something_is_said() {
        let mut window = window();
        window.push_move(Moment::default(), Move::Joined("a".into()));
        window.push_move(Moment::default(), Move::Joined("b".into()));
        window.push(at(1), Body::Said(said(1, false)));
        window.push_move(Moment::default(), Move::Joined("c".into()));
        assert_eq!(texts(&window), ["-- a, b joined", "<ann> m1", "-- c joined"]);
    }
}
