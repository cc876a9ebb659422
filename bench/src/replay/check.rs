//! The check: what a client is told, against what the log says it must be told.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use halyard_client::{Ack, Event, Kind, Refusal};
use serde::{Deserialize, Serialize};

use super::expect::{Answered, Timeline, Told, Walk};

/// One difference between what came and what had to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    pub(crate) kind: Wrong,
    pub(crate) file: String,
    /// The line of the log that it is about, 0 if that is not known.
    pub(crate) line: u32,
    /// The client that it happened to, by the nick under which it connected.
    pub(crate) client: String,
    pub(crate) detail: String,
}

/// What kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Wrong {
    /// It never came.
    Missing,
    /// It came again.
    Doubled,
    /// It came behind something that it stands in front of.
    Late,
    /// It came with another content.
    Changed,
    /// It should not have come at all.
    Unexpected,
    /// A command was not answered, or not as it should have been.
    Answer,
    /// The connection told of a gap, of damage or of its end.
    Connection,
}

impl Wrong {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Doubled => "doubled",
            Self::Late => "late",
            Self::Changed => "changed",
            Self::Unexpected => "unexpected",
            Self::Answer => "answer",
            Self::Connection => "connection",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, file, line, client, detail } = self;
        write!(f, "{file}:{line}: {} for {client}: {detail}", kind.name())
    }
}

/// How far ahead a message that came is looked for among what is to come.
const AHEAD: usize = 4096;
/// The same for notices: whose nick comes and goes often would else be found too far ahead.
const AHEAD_NOTICE: usize = 64;

/// The check of one client.
#[derive(Debug)]
pub(crate) struct Check<'p> {
    timeline: &'p Timeline<'p>,
    nick: &'p str,
    walk: Walk,
    /// Steps that were passed over and may still come late.
    missing: BTreeSet<usize>,
    /// Steps of one's own that wait for their answer, with the commands' numbers.
    unanswered: VecDeque<(u64, usize)>,
    differences: Vec<Difference>,
}

impl<'p> Check<'p> {
    pub(crate) fn new(timeline: &'p Timeline<'p>, client: usize, nick: &'p str) -> Self {
        Self {
            timeline,
            nick,
            walk: timeline.walk(client),
            missing: BTreeSet::new(),
            unanswered: VecDeque::new(),
            differences: Vec::new(),
        }
    }

    /// The first step of which this client still awaits something: a record in its ring, perhaps.
    pub(crate) fn behind(&self) -> Option<usize> {
        let answer = self.unanswered.front().map(|(_, step)| *step);
        self.awaits().into_iter().chain(answer).min()
    }

    /// The step that this client is to be told of next.
    fn awaits(&self) -> Option<usize> {
        self.walk.next(self.timeline)
    }

    /// A step of the client's own was sent as command `number`.
    pub(crate) fn sent(&mut self, number: u64, step: usize) {
        self.unanswered.push_back((number, step));
    }

    /// The client was told something.
    pub(crate) fn told(&mut self, told: Told<'_>) {
        let timeline = self.timeline;
        let mut ahead = self.walk;
        let mut passed = Vec::new();
        let limit = if matches!(told, Told::Message { .. }) { AHEAD } else { AHEAD_NOTICE };
        while let Some(step) = ahead.next(timeline).filter(|_| passed.len() < limit) {
            let expected = timeline.told(step).expect("a walk stops where somebody is told something");
            ahead.advance(timeline);
            if !told.is_about(&expected) {
                passed.push(step);
                continue;
            }
            self.walk = ahead;
            self.missing.extend(passed);
            if told != expected {
                self.differ(
                    Wrong::Changed,
                    Some(step),
                    format!("{} instead of {}", show(told), show(expected)),
                );
            }
            return;
        }
        let late = self.missing.iter().copied().find(|&step| timeline.told(step) == Some(told));
        if let Some(step) = late {
            self.missing.remove(&step);
            return self.differ(Wrong::Late, Some(step), show(told));
        }
        let came_before = (0..self.walk.next(timeline).unwrap_or(timeline.len()))
            .rev()
            .find(|&step| timeline.told(step) == Some(told));
        let kind = if came_before.is_some() { Wrong::Doubled } else { Wrong::Unexpected };
        self.differ(kind, came_before, show(told));
    }

    /// A command of the client was answered.
    pub(crate) fn answered(&mut self, number: u64, result: Result<Ack<&str>, Refusal<&str>>) {
        let Some(index) = self.unanswered.iter().position(|(waiting, _)| *waiting == number) else {
            return self.differ(
                Wrong::Answer,
                None,
                format!("an answer to command {number}, which awaits none"),
            );
        };
        let (_, step) = self.unanswered.remove(index).expect("it was found there");
        let expected = self.timeline.answer(step);
        let right = match (&result, expected) {
            (Ok(ack), Answered::Said { seq }) => ack.kind == Kind::Say && ack.seq == seq,
            (Ok(ack), Answered::Joined { room, members, seq }) => {
                (ack.kind, ack.text, ack.count, ack.seq) == (Kind::Join, room, members, seq)
            }
            (Ok(ack), Answered::Left { room }) => (ack.kind, ack.text) == (Kind::Leave, room),
            (Ok(ack), Answered::Renamed { nick }) => (ack.kind, ack.text) == (Kind::Nick, nick),
            (Ok(ack), Answered::Quit) => ack.kind == Kind::Quit,
            (Err(_), _) => false,
        };
        if !right {
            let got = match result {
                Ok(ack) => format!("{:?} {:?} count {} seq {}", ack.kind, ack.text, ack.count, ack.seq),
                Err(refusal) => format!("refused: {}", refusal.text),
            };
            self.differ(Wrong::Answer, Some(step), format!("{got}, instead of {expected:?}"));
        }
    }

    /// The connection told of something that a replay must not see.
    pub(crate) fn connection(&mut self, event: &Event<&str>) {
        self.differ(Wrong::Connection, self.awaits(), format!("{event:?}"));
    }

    /// The connection failed.
    pub(crate) fn failed(&mut self, why: impl fmt::Display) {
        self.differ(Wrong::Connection, self.awaits(), why.to_string());
    }

    /// No more will come. Everything that differed.
    pub(crate) fn finish(mut self) -> Vec<Difference> {
        while let Some(step) = self.awaits() {
            self.missing.insert(step);
            self.walk.advance(self.timeline);
        }
        for step in std::mem::take(&mut self.missing) {
            let what = self.timeline.told(step).map_or_else(String::new, show);
            self.differ(Wrong::Missing, Some(step), what);
        }
        for (_, step) in std::mem::take(&mut self.unanswered) {
            let expected = self.timeline.answer(step);
            self.differ(Wrong::Answer, Some(step), format!("none, instead of {expected:?}"));
        }
        self.differences
    }

    fn differ(&mut self, kind: Wrong, step: Option<usize>, detail: String) {
        let room = self.timeline.room;
        let line = step.and_then(|step| room.steps.get(step)).map_or(0, |step| step.line);
        let (file, client) = (room.file.clone(), self.nick.to_owned());
        self.differences.push(Difference { kind, file, line, client, detail });
    }
}

/// How much of a text is shown.
const SHOWN: usize = 60;

fn show(told: Told<'_>) -> String {
    match told {
        Told::Message { seq, nick, text, action } => {
            let cut: String = text.chars().take(SHOWN).collect();
            let dots =
                if cut.len() < text.len() { format!("… ({} bytes)", text.len()) } else { String::new() };
            format!("message {seq} {}{nick}: {cut:?}{dots}", if action { "* " } else { "" })
        }
        Told::Joined { nick, members } => format!("{nick} joined ({members} members)"),
        Told::Left { nick, reason, members } => format!("{nick} left ({reason:?}, {members} members)"),
        Told::Renamed { old, new } => format!("{old} is now {new}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Plan, plan};
    use super::*;
    use crate::irc;

    const LOG: &str = "[08:00] <ann> one\n[08:00] <bob> two\n=== eve [e@f]  has joined #x\n[08:01] <ann> three\n\
        [08:01] <bob> four\n";

    fn made() -> Plan {
        plan(&[("x.log".into(), irc::parse(LOG.as_bytes()).unwrap())])
    }

    /// What the check of ann's stream says, after `spoil` changed it.
    fn judged(spoil: impl FnOnce(&mut Vec<Told<'_>>)) -> Vec<(Wrong, u32)> {
        let plan = made();
        let timelines = Timeline::all(&plan);
        let mut check = Check::new(&timelines[0], 0, "ann");
        let mut stream = Vec::new();
        let mut walk = timelines[0].walk(0);
        while let Some(step) = walk.next(&timelines[0]) {
            stream.push(timelines[0].told(step).unwrap());
            walk.advance(&timelines[0]);
        }
        spoil(&mut stream);
        for told in stream {
            check.told(told);
        }
        check.finish().into_iter().map(|difference| (difference.kind, difference.line)).collect()
    }

    #[test]
    fn the_right_stream_passes() {
        assert_eq!(judged(|_| {}), []);
    }

    #[test]
    fn every_way_to_be_wrong_is_named_with_its_line() {
        // The stream: bob joined, message 1, 2, eve joined, 3, 4.
        assert_eq!(judged(|stream| _ = stream.remove(2)), [(Wrong::Missing, 2)]);
        assert_eq!(judged(|stream| _ = stream.remove(5)), [(Wrong::Missing, 5)]);
        assert_eq!(judged(|stream| _ = stream.remove(3)), [(Wrong::Missing, 3)]);
        assert_eq!(judged(|stream| stream.insert(4, stream[2])), [(Wrong::Doubled, 2)]);
        assert_eq!(judged(|stream| stream.insert(5, stream[3])), [(Wrong::Doubled, 3)]);
        assert_eq!(judged(|stream| stream.swap(1, 2)), [(Wrong::Late, 1)]);
        assert_eq!(judged(|stream| stream.swap(2, 3)), [(Wrong::Late, 2)]);
        let change = |stream: &mut Vec<Told<'_>>| {
            stream[1] = Told::Message { seq: 1, nick: "ann", text: "0ne", action: false };
        };
        assert_eq!(judged(change), [(Wrong::Changed, 1)]);
        let foreign = |stream: &mut Vec<Told<'_>>| stream.push(Told::Joined { nick: "kim", members: 4 });
        assert_eq!(judged(foreign), [(Wrong::Unexpected, 0)]);
        assert_eq!(judged(|stream| stream.truncate(4)), [(Wrong::Missing, 4), (Wrong::Missing, 5)]);
    }

    #[test]
    fn answers_are_checked_too() {
        let plan = made();
        let timelines = Timeline::all(&plan);
        let mut check = Check::new(&timelines[0], 0, "ann");
        let ack = |kind, seq, text| Ack {
            kind,
            client: 0,
            nick: "",
            text,
            room_id: 1,
            count: 1,
            seq,
            times: halyard_client::Times::default(),
        };
        // Steps: ann joins, bob joins, one, two, eve joins, three, four.
        for (number, step) in [(2, 0), (3, 2), (4, 5)] {
            check.sent(number, step);
        }
        check.answered(2, Ok(ack(Kind::Join, 0, "x")));
        check.answered(3, Ok(ack(Kind::Say, 7, "")));
        check.answered(3, Ok(ack(Kind::Say, 1, "")));
        let wrong: Vec<_> = check.finish().into_iter().filter(|d| d.kind == Wrong::Answer).collect();
        assert_eq!(wrong.iter().map(|d| d.line).collect::<Vec<_>>(), [1, 0, 4]);
        assert!(wrong[2].detail.starts_with("none"), "{:?}", wrong[2]);
    }
}
