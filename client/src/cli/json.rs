//! Events as JSON Lines. Every line has `v` (1) and `type`; texts are exact, times are nanoseconds of
//! CLOCK_MONOTONIC.

use halyard_client::{Direct, Event, Joined, LeaveReason, Member, Message, Presence, RoomInfo};
use serde::Serialize;

/// One line. Fields that a type does not have are left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line<'a> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_nick: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<bool>,
    /// A message's number in its room; a gap's first missing one.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// A gap's records, and what the server says was in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<u32>,
    /// A gap at the end of a session, of which nothing but the number of records is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_end: Option<bool>,
    /// Events that this program threw away because its output was too slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<u64>,
    /// A script's line and the verb on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'static str>,
    /// For how long a server has given no sign of life.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routed_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_ns: Option<u64>,
}

impl<'a> Line<'a> {
    fn new(kind: &'static str) -> Self {
        Self { v: 1, kind, ..Self::default() }
    }

    pub(crate) fn member(room: &'a str, member: &'a Member) -> Self {
        let (nick, client) = (Some(&*member.nick), Some(member.client));
        Self { room: Some(room), nick, client, ..Self::new("member") }
    }

    /// A message of this room that was said before.
    pub(crate) fn earlier(room: &'a str, message: &'a Message) -> Self {
        Self { room: Some(room), recv_ns: None, delivered_ns: None, ..Self::message(message).of("earlier") }
    }

    pub(crate) fn room(room: &'a RoomInfo) -> Self {
        Self { room: Some(&room.name), members: Some(room.members), ..Self::new("room") }
    }

    /// A script's command was carried out; `line` is 0 for the QUIT that the end of the script stands for.
    pub(crate) fn ack(line: u64, verb: &'static str) -> Self {
        Self { line: (line > 0).then_some(line), verb: Some(verb), ..Self::new("ack") }
    }

    /// A script's command was refused.
    pub(crate) fn refused(line: u64, verb: &'static str, text: &'a str) -> Self {
        Self { text: Some(text), ..Self::ack(line, verb).of("error") }
    }

    /// A script's JOIN was carried out.
    pub(crate) fn entered(joined: &'a Joined, nick: &'a str) -> Self {
        let (room, members) = (Some(&*joined.room), Some(joined.members));
        Self { room, members, nick: Some(nick), ..Self::new("entered") }
    }

    fn of(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    fn message(message: &'a Message) -> Self {
        Self {
            room: Some(&message.room),
            nick: Some(&message.nick),
            client: Some(message.client),
            text: Some(&message.text),
            action: Some(message.action),
            seq: Some(message.seq),
            ..Self::new("message").at(message.times)
        }
    }

    fn direct(direct: &'a Direct) -> Self {
        Self {
            nick: Some(&direct.nick),
            client: Some(direct.client),
            text: Some(&direct.text),
            action: Some(direct.action),
            ..Self::new("direct").at(direct.times)
        }
    }

    fn presence(kind: &'static str, who: &'a Presence) -> Self {
        Self {
            room: Some(&who.room),
            nick: Some(&who.nick),
            client: Some(who.client),
            members: Some(who.members),
            ..Self::new(kind)
        }
    }

    fn at(self, times: halyard_client::Times) -> Self {
        Self {
            sent_ns: Some(times.sent_ns),
            routed_ns: Some(times.routed_ns),
            delivered_ns: Some(times.delivered_ns),
            recv_ns: Some(times.received_ns),
            ..self
        }
    }

    /// The line for an event, if it has one. `text` is a place for what has to be put into words.
    pub(crate) fn event(event: &'a Event, text: &'a mut String) -> Option<Self> {
        Some(match event {
            Event::Message(message) => Self::message(message),
            Event::Direct(direct) => Self::direct(direct),
            Event::Joined(who) => Self::presence("joined", who),
            Event::Left(who, reason) => {
                Self { reason: Some(reason_name(*reason)), ..Self::presence("left", who) }
            }
            Event::Renamed { client, old, new } => {
                Self { client: Some(*client), old_nick: Some(old), nick: Some(new), ..Self::new("renamed") }
            }
            Event::Gap(gap) => Self {
                seq: (gap.first_seq != 0).then_some(gap.first_seq),
                last_seq: (gap.first_seq != 0).then_some(gap.last_seq),
                records: (gap.records() != 0).then(|| gap.records()),
                messages: gap.told.map(|told| told.messages),
                directs: gap.told.map(|told| told.directs),
                others: gap.told.map(|told| told.others),
                at_end: gap.at_end.then_some(true),
                ..Self::new("gap")
            },
            Event::Overrun(events) => Self { events: Some(*events), ..Self::new("gap") },
            Event::Unusable(unusable) => {
                *text = format!("{:?}", unusable.why);
                Self { text: Some(text), seq: Some(unusable.number), ..Self::new("unusable") }
            }
            Event::Disconnected(loss) => {
                *text = loss.to_string();
                Self { text: Some(text), ..Self::new("disconnected") }
            }
            Event::Reconnected { client, nick, room, .. } => Self {
                client: Some(*client),
                nick: Some(nick),
                room: room.as_deref(),
                ..Self::new("reconnected")
            },
            Event::ServerSilent { server_pid, since } => {
                *text = format!("the server (process {server_pid}) gives no sign of life");
                Self {
                    text: Some(text),
                    silent_ns: Some(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
                    ..Self::new("server_silent")
                }
            }
            Event::ServerBack => Self::new("server_back"),
            Event::Reopen => Self::new("control_ring_renewed"),
            Event::GaveUp { why } => Self { text: Some(why), ..Self::new("gave_up") },
            _ => return None,
        })
    }

    /// The line's text, without the end of line.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a line of plain fields has a JSON form")
    }
}

fn reason_name(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Moved => "moved",
        LeaveReason::Quit => "quit",
        LeaveReason::Died => "died",
        LeaveReason::Hung => "hung",
        LeaveReason::Misbehaved => "misbehaved",
        LeaveReason::Shutdown => "shutdown",
        LeaveReason::Flooded => "flooded",
        _ => "left",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::example;
    use halyard_client::{Gap, Lost, Times};

    fn text_of(event: &Event) -> String {
        let mut text = String::new();
        Line::event(event, &mut text).unwrap().to_text()
    }

    #[test]
    fn a_message_has_the_promised_keys() {
        let times = Times { sent_ns: 1, routed_ns: 2, delivered_ns: 3, received_ns: 4 };
        let text = "tab\there \u{1b}[31m".to_owned();
        let message = Message { times, ..example::message("ann", &text, 9) };
        let value: serde_json::Value = serde_json::from_str(&text_of(&Event::Message(message))).unwrap();
        let expected = serde_json::json!({
            "v": 1, "type": "message", "room": "lobby", "nick": "ann", "client": 7, "text": text, "action": false,
            "seq": 9, "sent_ns": 1, "routed_ns": 2, "delivered_ns": 3, "recv_ns": 4,
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn gaps_are_lines_too() {
        let told = Some(Lost { messages: 3, directs: 0, others: 1 });
        let gap = Gap { first_number: 5, last_number: 8, first_seq: 2, last_seq: 4, told, at_end: false };
        assert_eq!(
            text_of(&Event::Gap(gap)),
            r#"{"v":1,"type":"gap","seq":2,"last_seq":4,"records":4,"messages":3,"directs":0,"others":1}"#
        );
        assert_eq!(text_of(&Event::Overrun(7)), r#"{"v":1,"type":"gap","events":7}"#);
    }
}
