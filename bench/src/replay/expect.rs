//! What each client must be told, computed from the plan alone.
//!
//! The contract: whoever is a member of a room when a message, a join, a leave or a rename is sequenced is told of it
//! exactly once, in the room's order; nobody else is. Since the replay's steps reach the server in the plan's order,
//! the plan says who that is.

use halyard_ring::chat::LeaveReason;

use super::plan::{Act, Plan, RoomPlan};

/// A room's steps with what follows from those before them.
#[derive(Debug)]
pub(crate) struct Timeline<'p> {
    pub(crate) room: &'p RoomPlan,
    facts: Vec<Fact<'p>>,
}

/// What follows for one step.
#[derive(Clone, Copy, Debug)]
struct Fact<'p> {
    /// The nick of whoever does it, before it is done.
    nick: &'p str,
    /// Whether that client is in the room before it is done.
    inside: bool,
    /// How many are in the room after it is done.
    members: u32,
    /// The number of the room's last message after it is done.
    seq: u64,
}

/// Something that a client is told, borrowed from the plan (then it is expected) or from what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    Message { seq: u64, nick: &'a str, text: &'a str, action: bool },
    Joined { nick: &'a str, members: u32 },
    Left { nick: &'a str, reason: LeaveReason, members: u32 },
    Renamed { old: &'a str, new: &'a str },
}

impl Told<'_> {
    /// Whether both tell of the same thing, though perhaps not the same of it.
    pub(crate) fn is_about(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Message { seq, .. }, Self::Message { seq: other, .. }) => seq == other,
            (Self::Joined { nick, .. }, Self::Joined { nick: other, .. })
            | (Self::Left { nick, .. }, Self::Left { nick: other, .. })
            | (Self::Renamed { old: nick, .. }, Self::Renamed { old: other, .. }) => nick == other,
            _ => false,
        }
    }
}

/// How a step must be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered<'p> {
    Joined { room: &'p str, members: u32, seq: u64 },
    Said { seq: u64 },
    Left { room: &'p str },
    Renamed { nick: &'p str },
    Quit,
}

impl<'p> Timeline<'p> {
    /// The timelines of all rooms of a plan.
    pub(crate) fn all(plan: &'p Plan) -> Vec<Self> {
        let mut nicks: Vec<&str> = plan.clients.iter().map(|client| client.nick.as_str()).collect();
        let mut inside = vec![false; plan.clients.len()];
        plan.rooms.iter().map(|room| Self::new(room, &mut nicks, &mut inside)).collect()
    }

    fn new(room: &'p RoomPlan, nicks: &mut [&'p str], inside: &mut [bool]) -> Self {
        let (mut members, mut seq) = (0, 0);
        let facts = room.steps.iter().map(|step| {
            let client = step.client;
            let (nick, was_inside) = (nicks[client], inside[client]);
            match &step.act {
                Act::Join => {
                    members += u32::from(!was_inside);
                    inside[client] = true;
                }
                Act::Leave | Act::Quit => {
                    members -= u32::from(was_inside);
                    inside[client] = false;
                }
                Act::Nick { new } => nicks[client] = new,
                Act::Say { .. } => seq += 1,
            }
            Fact { nick, inside: was_inside, members, seq }
        });
        Self { facts: facts.collect(), room }
    }

    /// How many steps there are.
    pub(crate) fn len(&self) -> usize {
        self.room.steps.len()
    }

    /// What the others in the room are told of a step (and of a message, its sender too); `None` if nothing.
    pub(crate) fn told(&self, step: usize) -> Option<Told<'p>> {
        let Fact { nick, inside, members, seq } = self.facts[step];
        Some(match &self.room.steps[step].act {
            Act::Say { text, action } => Told::Message { seq, nick, text, action: *action },
            Act::Join => Told::Joined { nick, members },
            Act::Leave => Told::Left { nick, reason: LeaveReason::Left, members },
            Act::Quit if inside => Told::Left { nick, reason: LeaveReason::Quit, members },
            Act::Nick { new } if inside => Told::Renamed { old: nick, new },
            Act::Quit | Act::Nick { .. } => return None,
        })
    }

    /// How whoever does a step is answered.
    pub(crate) fn answer(&self, step: usize) -> Answered<'p> {
        let Fact { members, seq, .. } = self.facts[step];
        let room = &self.room.name;
        match &self.room.steps[step].act {
            Act::Say { .. } => Answered::Said { seq },
            Act::Join => Answered::Joined { room, members, seq },
            Act::Leave => Answered::Left { room },
            Act::Quit => Answered::Quit,
            Act::Nick { new } => Answered::Renamed { nick: new },
        }
    }

    /// What `client` is told in the whole replay: one step after the other.
    pub(crate) fn walk(&self, client: usize) -> Walk {
        let mut walk = Walk { client, next: 0, inside: false };
        walk.settle(self);
        walk
    }
}

/// One client's way through a room's steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    client: usize,
    next: usize,
    inside: bool,
}

impl Walk {
    /// The next step that the client is told of; `None` if no more are to come.
    pub(crate) fn next(&self, timeline: &Timeline<'_>) -> Option<usize> {
        (self.next < timeline.len()).then_some(self.next)
    }

    /// Goes on behind that step.
    pub(crate) fn advance(&mut self, timeline: &Timeline<'_>) {
        self.next += 1;
        self.settle(timeline);
    }

    /// Passes over the steps that this client is not told of.
    fn settle(&mut self, timeline: &Timeline<'_>) {
        while let Some(step) = timeline.room.steps.get(self.next) {
            let own = step.client == self.client;
            match step.act {
                Act::Join if own => self.inside = true,
                Act::Leave | Act::Quit if own => self.inside = false,
                Act::Nick { .. } if own => {}
                _ if self.inside && timeline.told(self.next).is_some() => return,
                _ => {}
            }
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::plan;
    use super::*;
    use crate::irc;

    const LOG: &str = "[08:00] <ann> one\n=== bob [b@c]  has joined #x\n[08:00]  * ann two\n\
        === bob is now known as rob\n=== ann [b@c]  has left #x []\n[08:01] <rob> three\n";

    #[test]
    fn each_client_is_told_what_happens_while_it_is_there() {
        let plan = plan(&[("x.log".into(), irc::parse(LOG.as_bytes()).unwrap())]);
        let timelines = Timeline::all(&plan);
        let told = |client: usize| {
            let (timeline, mut walk, mut all) = (&timelines[0], timelines[0].walk(client), Vec::new());
            while let Some(step) = walk.next(timeline) {
                all.push(timeline.told(step).unwrap());
                walk.advance(timeline);
            }
            all
        };
        let message = |seq, nick, text, action| Told::Message { seq, nick, text, action };
        let ann = [
            message(1, "ann", "one", false),
            Told::Joined { nick: "bob", members: 2 },
            message(2, "ann", "two", true),
            Told::Renamed { old: "bob", new: "rob" },
        ];
        let bob = [
            message(2, "ann", "two", true),
            Told::Left { nick: "ann", reason: LeaveReason::Left, members: 1 },
            message(3, "rob", "three", false),
        ];
        assert_eq!(told(0), ann);
        assert_eq!(told(1), bob);
        let timeline = &timelines[0];
        assert_eq!(timeline.answer(0), Answered::Joined { room: "x", members: 1, seq: 0 });
        assert_eq!(timeline.answer(2), Answered::Joined { room: "x", members: 2, seq: 1 });
        assert_eq!(timeline.answer(timeline.len() - 1), Answered::Said { seq: 3 });
    }
}
