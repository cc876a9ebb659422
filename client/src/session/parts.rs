//! Events out of checked records: which field means what for whom.

use halyard_ring::chat::{Kind, Message as Checked, Record, flags};

use super::room::Room;
use crate::event::{Ack, Delivery, Entry, Event, Fault, Message, Presence, Times, Unusable};

pub(super) fn unusable<'a>(record: &Record, why: Fault) -> Delivery<'a> {
    Event::Unusable(Unusable { number: record.number, why })
}

#[inline]
pub(super) fn times(record: &Record) -> Times {
    Times {
        sent_ns: record.sent_ns,
        routed_ns: record.routed_ns,
        delivered_ns: record.delivered_ns,
        received_ns: 0,
    }
}

#[inline]
pub(super) fn message<'a>(record: &Record, room: &'a str, nick: &'a str, text: &'a str) -> Message<&'a str> {
    Message {
        room,
        room_id: record.room,
        seq: record.room_seq,
        client: record.client,
        nick,
        text,
        action: record.flags & flags::ACTION != 0,
        number: record.number,
        times: times(record),
    }
}

pub(super) fn ack<'a>(kind: Kind, record: &Record, checked: Checked<'a>) -> Ack<&'a str> {
    Ack {
        kind,
        client: record.client,
        nick: checked.nick,
        text: checked.text,
        room_id: record.room,
        count: record.count,
        seq: record.room_seq,
        times: times(record),
    }
}

pub(super) fn presence<'a>(room: &'a Room, record: &Record, checked: Checked<'a>) -> Presence<&'a str> {
    Presence {
        room: if record.room == room.id { room.name.as_str() } else { "" },
        room_id: record.room,
        client: record.client,
        nick: checked.nick,
        members: record.count,
    }
}

pub(super) fn entry<'a>(record: &Record, id: u32, name: &'a str, total: u32, members: u32) -> Entry<&'a str> {
    Entry { command: record.command, index: record.room_seq, total, id, name, members }
}
