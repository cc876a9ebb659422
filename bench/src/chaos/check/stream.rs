//! What one client noted, entry by entry.

use std::collections::{HashMap, HashSet};

use super::{Violation, Wrong};
use crate::chaos::journal::{Entry, Noted, Passed, Told};
use crate::chaos::message::{Id, Life};

/// How many violations of one client are kept.
const KEPT: usize = 20;

/// A text is sent again only while it is less than so many behind the speaker's newest.
const RESENT: u32 = 64;

/// A stretch of time in one room of one server.
#[derive(Clone, Debug)]
pub(crate) struct Stay {
    pub(crate) server: u32,
    pub(crate) room_id: u32,
    /// The room's last message before it, if that is known.
    pub(crate) after: Option<u64>,
    /// Every number up to here was heard, announced as lost, or stands in `jumps`.
    pub(crate) last: u64,
    pub(crate) heard: Vec<(u64, Id, u64)>,
    /// Numbers announced as lost.
    pub(crate) holes: Vec<(u64, u64)>,
    /// Numbers that were passed over without a word: right only if this client had those messages already, from a
    /// server that died before it acknowledged them.
    pub(crate) jumps: Vec<Jump>,
    /// So many messages at its end may be among those that were announced as lost without their numbers.
    pub(crate) announced: u64,
    pub(crate) end: End,
}

/// Numbers `first` to `last` of a room, passed over without a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) at: u64,
    /// So many of them may be among those that were announced as lost without their numbers.
    pub(crate) announced: u64,
}

/// How a stay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The notes end in the middle of it.
    Cut,
    /// By the client's wish, when the router took this command (nanoseconds).
    Left { routed: u64 },
    /// With the server.
    ServerDied,
    /// The server ended the session, or the client did.
    SessionOver,
    /// It was still there when everything had been said and delivered.
    Heard,
}

/// An acknowledged message's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) server: u32,
    pub(crate) room_id: u32,
    pub(crate) seq: u64,
    pub(crate) id: Id,
    pub(crate) routed: u64,
}

/// Where the client is, as far as its notes tell.
struct Here {
    /// `None` after a reconnect, until the first message.
    room_id: Option<u32>,
    next: Option<u64>,
}

/// The check of one client's notes, and what they come to.
pub(crate) struct Stream {
    life: Life,
    /// Whether `stays` and everything else that grows is kept. Otherwise nothing may be passed over without a word.
    keeps: bool,
    server: u32,
    here: Option<Here>,
    /// JOIN or LEAVE is under way.
    moving: bool,
    /// Since then, records other than messages were announced as lost: the answer may be among them.
    answer_lost: bool,
    /// Messages announced as lost without their numbers.
    unnumbered: u64,
    /// By speaker, and whether it is about direct messages: the count of the last one.
    spoken: HashMap<(Life, bool), u32>,
    pub(crate) had: HashSet<Id>,
    /// Texts that came behind a later one of the same speaker, and that one's count: right only if the speaker had lost
    /// its session and sent again what was not acknowledged.
    pub(crate) resent: Vec<(u64, Id, u32)>,
    pub(crate) stays: Vec<Stay>,
    pub(crate) acked: Vec<Acked>,
    violations: Vec<Violation>,
}

impl Stream {
    /// A check that keeps what the check across all clients needs.
    pub(crate) fn new(life: Life) -> Self {
        Self {
            life,
            keeps: true,
            server: 0,
            here: None,
            moving: false,
            answer_lost: false,
            unnumbered: 0,
            spoken: HashMap::new(),
            had: HashSet::new(),
            resent: Vec::new(),
            stays: Vec::new(),
            acked: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// A check that keeps nothing.
    pub(crate) fn forgetful(life: Life) -> Self {
        Self { keeps: false, ..Self::new(life) }
    }

    /// The first violations.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn wrong(&mut self, at: u64, wrong: Wrong, text: String) {
        if self.violations.len() < KEPT {
            self.violations.push(Violation::new(at, wrong, self.life, text));
        }
    }

    /// Takes the next entry.
    pub(crate) fn take(&mut self, Noted { at, entry }: Noted) {
        match entry {
            Entry::Connected { server } => self.server = server,
            Entry::Moves { .. } => (self.moving, self.answer_lost) = (true, false),
            Entry::Said { id, room_id, seq, routed } if self.keeps => {
                self.acked.push(Acked { server: self.server, room_id, seq, id, routed });
            }
            Entry::Joined { room_id, seq, routed, .. } => self.joined(at, room_id, seq, routed),
            Entry::Left { routed } => {
                self.leave(End::Left { routed });
                (self.moving, self.answer_lost) = (false, false);
            }
            Entry::Stayed { .. } => self.moving = false,
            Entry::Heard { id, whole, room_id, seq, passed } => {
                self.heard(at, id, whole, room_id, seq, passed)
            }
            Entry::Direct { id, whole, .. } => self.text(at, id, whole),
            Entry::Gap { first_seq, last_seq, records, messages, others, told } => {
                self.gap(at, (first_seq, last_seq), records, (messages, others), told);
            }
            Entry::Unusable { number } => {
                self.wrong(at, Wrong::Unusable, format!("record {number} of its ring"));
            }
            Entry::Overrun { events } => {
                self.wrong(at, Wrong::Missing, format!("{events} events, for it read too slowly"));
            }
            Entry::Disconnected { server_died } => {
                let announced = std::mem::take(&mut self.unnumbered);
                if let Some(stay) = self.stay() {
                    stay.announced = announced;
                }
                self.leave(if server_died { End::ServerDied } else { End::SessionOver });
            }
            Entry::Reconnected { server, room } => {
                self.server = server;
                self.here = room.map(|_| Here { room_id: None, next: None });
            }
            Entry::Barrier => self.end_stay(End::Heard),
            Entry::Quit => {
                if self.stays.last().is_some_and(|stay| stay.end == End::Cut) {
                    self.end_stay(End::SessionOver);
                }
                self.here = None;
            }
            _ => {}
        }
    }

    fn text(&mut self, at: u64, id: Id, whole: bool) {
        if !whole {
            return self.wrong(at, Wrong::Changed, id.to_string());
        }
        if self.keeps && !self.had.insert(id) {
            return self.wrong(at, Wrong::Doubled, id.to_string());
        }
        let last = self.spoken.entry((id.life(), id.is_direct())).or_default();
        if id.count() <= *last {
            let last = *last;
            if self.keeps && last - id.count() < RESENT {
                self.resent.push((at, id, last));
            } else {
                self.disorder(at, id, last);
            }
            return;
        }
        *last = id.count();
    }

    pub(super) fn disorder(&mut self, at: u64, id: Id, last: u32) {
        self.wrong(at, Wrong::Disorder, format!("{id} after number {last} of the same speaker"));
    }

    fn heard(&mut self, at: u64, id: Id, whole: bool, room_id: u32, seq: u64, passed: Passed) {
        self.text(at, id, whole);
        let expected = match &self.here {
            Some(Here { room_id: Some(room), next }) if *room == room_id => *next,
            Some(Here { room_id: None, .. }) => {
                self.enter(room_id, None);
                None
            }
            _ => {
                if !(self.moving && self.answer_lost) {
                    self.wrong(at, Wrong::Foreign, format!("{id}, of room {room_id}, in which it is not"));
                }
                // JOIN was carried out and its answer was lost.
                self.leave(End::SessionOver);
                self.enter(room_id, None);
                None
            }
        };
        match expected {
            Some(next) if seq < next => {
                let text = format!("{id} is number {seq} of room {room_id}, of which {} was heard", next - 1);
                self.wrong(at, Wrong::Disorder, text);
            }
            Some(next) if seq > next => self.pass_over(at, next, seq - 1),
            _ => {}
        }
        if let Some(here) = &mut self.here {
            here.next = Some(seq + 1);
        }
        if let Some(stay) = self.stay() {
            stay.last = seq;
            stay.heard.push((seq, id, passed.routed));
            if expected.is_none() && stay.after.is_none() {
                stay.after = Some(seq - 1);
            }
        }
    }

    /// The room's numbers `first` to `last` were not heard.
    fn pass_over(&mut self, at: u64, first: u64, last: u64) {
        let count = last + 1 - first;
        if self.unnumbered >= count {
            self.unnumbered -= count;
            if let Some(stay) = self.stay() {
                stay.holes.push((first, last));
            }
        } else if self.keeps {
            let announced = std::mem::take(&mut self.unnumbered);
            if let Some(stay) = self.stay() {
                stay.jumps.push(Jump { first, last, at, announced });
            }
        } else {
            self.wrong(at, Wrong::Missing, format!("numbers {first} to {last} of its room, unannounced"));
        }
    }

    fn gap(
        &mut self,
        at: u64,
        (first, last): (u64, u64),
        records: u32,
        (messages, others): (u32, u32),
        told: Told,
    ) {
        match told {
            Told::Server => {}
            Told::Note => {
                self.unnumbered += u64::from(records);
                return;
            }
            Told::Nobody => {
                // A jump of the room's numbers alone shows at the message that follows.
                if records > 0 {
                    self.wrong(at, Wrong::Missing, format!("{records} records of its ring, unannounced"));
                }
                return;
            }
        }
        self.answer_lost |= self.moving && others > 0;
        let next = self.here.as_ref().and_then(|here| here.next);
        match next {
            Some(next) if first != 0 && (first == next || first > next && !self.moving) => {
                if first > next {
                    self.pass_over(at, next, first - 1);
                }
                if let Some(here) = &mut self.here {
                    here.next = Some(last + 1);
                }
                if let Some(stay) = self.stay() {
                    stay.last = last;
                    stay.holes.push((first, last));
                }
            }
            _ => self.unnumbered += u64::from(messages),
        }
    }

    fn joined(&mut self, at: u64, room_id: u32, seq: u64, routed: u64) {
        match &self.here {
            // It was there already. Whatever was said before the answer comes before it.
            Some(Here { room_id: Some(room), next: Some(next) }) if *room == room_id => {
                let next = *next;
                if seq >= next {
                    self.pass_over(at, next, seq);
                    if let Some(here) = &mut self.here {
                        here.next = Some(seq + 1);
                    }
                    if let Some(stay) = self.stay() {
                        stay.last = seq;
                    }
                }
            }
            _ => {
                self.leave(End::Left { routed });
                self.enter(room_id, Some(seq));
            }
        }
        (self.moving, self.answer_lost) = (false, false);
    }

    fn enter(&mut self, room_id: u32, after: Option<u64>) {
        self.here = Some(Here { room_id: Some(room_id), next: after.map(|after| after + 1) });
        if self.keeps {
            let (server, last) = (self.server, after.unwrap_or(0));
            let (heard, holes, jumps) = (Vec::new(), Vec::new(), Vec::new());
            self.stays.push(Stay {
                server,
                room_id,
                after,
                last,
                heard,
                holes,
                jumps,
                announced: 0,
                end: End::Cut,
            });
        }
    }

    fn leave(&mut self, end: End) {
        if self.here.take().is_some_and(|here| here.room_id.is_some()) {
            // Where the answer to JOIN or LEAVE was lost, or its server died, nobody knows when this client left: an
            // answer that is given again tells the time of the question that was put again.
            let unknown = self.moving && (self.answer_lost || matches!(end, End::ServerDied));
            self.end_stay(if unknown { End::SessionOver } else { end });
        }
    }

    fn end_stay(&mut self, end: End) {
        if let Some(stay) = self.stays.last_mut().filter(|stay| stay.end == End::Cut) {
            stay.end = end;
        }
    }

    fn stay(&mut self) -> Option<&mut Stay> {
        self.stays.last_mut().filter(|stay| stay.end == End::Cut)
    }
}
