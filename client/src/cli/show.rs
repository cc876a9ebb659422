//! Events as lines for people.

use std::io::IsTerminal;

use halyard_client::{Direct, Event, Fault, Gap, LeaveReason, Message, Presence};
use jiff::civil::Date;

use super::clock::{Clock, HOUR_MINUTE, day_in_words};
use super::visible::visible;

/// Turns events into lines.
pub(crate) struct Show {
    clock: Clock,
    /// The time in front of messages, as strftime writes it; empty for none.
    time: String,
    colours: bool,
}

/// Nicks get one of these each, of the 256 colours that terminals have: as far from black as from white, so that they
/// can be read on any ground.
pub(crate) const NICK_COLOURS: [u8; 8] = [161, 28, 63, 164, 30, 130, 98, 64];
const FAINT: &str = "2";
const WARN: &str = "1;38;5;130";

impl Show {
    /// For standard output: colours only for a terminal, and not if `NO_COLOR` is set to anything.
    pub(crate) fn for_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colours = wanted && std::io::stdout().is_terminal();
        Self { clock: Clock::new(), time: HOUR_MINUTE.to_owned(), colours }
    }

    /// With another format of the time in front of messages; an empty one for none.
    pub(crate) fn with_time(self, format: &str) -> Self {
        Self { time: format.to_owned(), ..self }
    }

    pub(crate) fn today(&self) -> Date {
        self.clock.today()
    }

    /// The day of a moment of CLOCK_MONOTONIC.
    pub(crate) fn day(&self, at_ns: u64) -> Date {
        self.clock.moment("", at_ns).day
    }

    /// The line between messages of different days.
    pub(crate) fn another_day(&self, day: Date) -> String {
        self.notice(&day_in_words(day))
    }

    /// The line for an event, if people should see one.
    pub(crate) fn event(&self, event: &Event) -> Option<String> {
        match event {
            Event::Message(message) => Some(self.message(message)),
            Event::Direct(direct) => Some(self.direct(direct)),
            Event::Joined(who) => Some(self.notice(&format!(
                "{} joined {} ({} here)",
                visible(&who.nick),
                room(who),
                who.members
            ))),
            Event::Left(who, reason) => Some(self.notice(&left(who, *reason))),
            Event::Renamed { old, new, .. } => {
                Some(self.notice(&format!("{} is now {}", visible(old), visible(new))))
            }
            Event::Gap(gap) => Some(self.warning(&lost(gap))),
            Event::Overrun(events) => {
                Some(self.warning(&format!("{events} events were lost: output was slower than the chat")))
            }
            Event::Unusable(unusable) => Some(self.warning(&format!(
                "record {} cannot be used ({}): something other than the server writes to this client's ring",
                unusable.number,
                fault(unusable.why)
            ))),
            _ => None,
        }
    }

    fn message(&self, message: &Message) -> String {
        let time = self.time(message.times.routed_ns);
        let (nick, text) = (self.nick(&message.nick), visible(&message.text));
        if message.action { format!("{time}* {nick} {text}") } else { format!("{time}<{nick}> {text}") }
    }

    /// A message that was said before.
    pub(crate) fn earlier(&self, message: &Message) -> String {
        self.paint(FAINT, "earlier ") + &self.message(message)
    }

    fn direct(&self, direct: &Direct) -> String {
        let time = self.time(direct.times.routed_ns);
        let (nick, text) = (self.nick(&direct.nick), visible(&direct.text));
        if direct.action {
            format!("{time}* {nick} {text} (to you)")
        } else {
            format!("{time}<{nick} \u{2192} you> {text}")
        }
    }

    /// One's own direct message, once it has arrived.
    pub(crate) fn sent_direct(&self, routed_ns: u64, to: &str, text: &str) -> String {
        format!("{}<you \u{2192} {}> {}", self.time(routed_ns), self.nick(to), visible(text))
    }

    /// A line about the chat, not of it.
    pub(crate) fn notice(&self, text: &str) -> String {
        self.paint(FAINT, &format!("-- {text}"))
    }

    /// A line that should not be overlooked.
    pub(crate) fn warning(&self, text: &str) -> String {
        self.paint(WARN, &format!("-- {text}"))
    }

    /// `[12:01] `, or nothing.
    fn time(&self, at_ns: u64) -> String {
        let time = self.clock.moment(&self.time, at_ns).time;
        if time.is_empty() { time } else { self.paint(FAINT, &format!("[{time}]")) + " " }
    }

    fn nick(&self, nick: &str) -> String {
        let sum = nick.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.paint(&format!("38;5;{}", NICK_COLOURS[sum % NICK_COLOURS.len()]), &visible(nick))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn room(who: &Presence) -> String {
    if who.room.is_empty() { format!("room {}", who.room_id) } else { visible(&who.room).into_owned() }
}

fn left(who: &Presence, reason: LeaveReason) -> String {
    let (nick, room, members) = (visible(&who.nick), room(who), who.members);
    match reason {
        LeaveReason::Moved => format!("{nick} went to another room ({members} here)"),
        LeaveReason::Quit => format!("{nick} quit ({members} here)"),
        LeaveReason::Died => format!("{nick} is gone: its process ended ({members} here)"),
        LeaveReason::Hung => format!("{nick} is gone: its process hangs ({members} here)"),
        LeaveReason::Flooded => format!("{nick} was removed: it flooded the server ({members} here)"),
        LeaveReason::Misbehaved => format!("{nick} was removed: it broke the protocol ({members} here)"),
        _ => format!("{nick} left {room} ({members} here)"),
    }
}

/// What is missing, as exactly as it is known.
fn lost(gap: &Gap) -> String {
    if gap.at_end {
        let records = plural(gap.records(), "record", "records");
        return format!("{records} missing: your ring was full when the session ended");
    }
    let Some(told) = gap.told else {
        return match (gap.first_seq, gap.records()) {
            (0, records) => format!("{records} records are missing here"),
            (first, _) => {
                format!("{} missing here", plural(gap.last_seq - first + 1, "message is", "messages are"))
            }
        };
    };
    let parts: Vec<String> = [
        (told.messages, "message", "messages"),
        (told.directs, "direct message", "direct messages"),
        (told.others, "notice", "notices"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| plural(count.into(), one, many))
    .collect();
    format!("lost here, because this client was too slow: {}", parts.join(", "))
}

/// `1 room`, `2 rooms`.
pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn fault(fault: Fault) -> String {
    match fault {
        Fault::Bad(bad) => bad.to_string(),
        Fault::Repeated => "it was there before".to_owned(),
        Fault::Fragment => "it continues no text".to_owned(),
        _ => "its codes have no meaning".to_owned(),
    }
}

/// What people are told when the control ring was made anew.
pub(crate) const RENEWED: &str =
    "another process has damaged the server's control ring; the server has made a new one and goes on";

/// What became of the connection, for people.
pub(crate) fn connection(event: &Event) -> Option<String> {
    Some(match event {
        Event::Disconnected(loss) => format!("{loss}; waiting for a server of that name to come back"),
        Event::Reconnected { nick, room: Some(room), .. } => {
            format!("connected again as {}, in {}", visible(nick), visible(room))
        }
        Event::Reconnected { nick, .. } => format!("connected again as {}", visible(nick)),
        Event::ServerSilent { server_pid, since } => format!(
            "the server (process {server_pid}) gives no sign of life for {} s: is it stopped?",
            since.as_secs()
        ),
        Event::ServerBack => "the server is heard again".to_owned(),
        Event::Reopen => RENEWED.to_owned(),
        Event::GaveUp { why } => why.clone(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::example;
    use halyard_client::Lost;

    fn plain() -> Show {
        Show { clock: Clock::stopped(), time: HOUR_MINUTE.to_owned(), colours: false }
    }

    fn message(text: &str, action: bool) -> Event {
        Event::Message(Message { action, ..example::message("ann", text, 1) })
    }

    #[test]
    fn lines_look_like_a_chat() {
        let show = plain();
        assert_eq!(show.event(&message("hi", false)).unwrap(), "[12:00] <ann> hi");
        assert_eq!(show.event(&message("waves", true)).unwrap(), "[12:00] * ann waves");
        assert_eq!(show.sent_direct(0, "bob", "psst"), "[12:00] <you → bob> psst");
        let bare = plain().with_time("");
        assert_eq!(bare.event(&message("hi", false)).unwrap(), "<ann> hi");
        assert_eq!(bare.sent_direct(0, "bob", "psst"), "<you → bob> psst");
        assert_eq!(show.another_day(show.day(0)), "-- Tuesday, 24 November 2026");
        let who =
            Presence { room: "lobby".to_owned(), room_id: 1, client: 2, nick: "bob".to_owned(), members: 2 };
        assert_eq!(show.event(&Event::Joined(who.clone())).unwrap(), "-- bob joined lobby (2 here)");
        let died = show.event(&Event::Left(who, LeaveReason::Died)).unwrap();
        assert_eq!(died, "-- bob is gone: its process ended (2 here)");
    }

    #[test]
    fn what_others_write_cannot_steer_the_terminal() {
        let line = plain().event(&message("\u{1b}[2J\r\n-- bob quit", false)).unwrap();
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }

    #[test]
    fn colours_end_where_they_began() {
        let show = Show { colours: true, ..plain() };
        let line = show.event(&message("hi", false)).unwrap();
        assert_eq!(line.matches("\u{1b}[0m").count(), line.matches("\u{1b}[").count() / 2);
    }

    #[test]
    fn a_gap_says_what_is_missing() {
        let told = Some(Lost { messages: 3, directs: 1, others: 0 });
        let gap = Gap { first_number: 5, last_number: 9, first_seq: 2, last_seq: 4, told, at_end: false };
        let line = plain().event(&Event::Gap(gap)).unwrap();
        assert!(line.ends_with("too slow: 3 messages, 1 direct message"), "{line}");
        let seqs = Gap { first_seq: 7, last_seq: 7, ..Gap::default() };
        assert_eq!(plain().event(&Event::Gap(seqs)).unwrap(), "-- 1 message is missing here");
        let numbers = Gap { first_number: 7, last_number: 9, ..Gap::default() };
        assert_eq!(plain().event(&Event::Gap(numbers)).unwrap(), "-- 3 records are missing here");
        let at_end = plain().event(&Event::Gap(Gap { at_end: true, ..numbers })).unwrap();
        assert_eq!(at_end, "-- 3 records missing: your ring was full when the session ended");
    }
}
