//! What a record means: the event that it makes, and what it changes of what this client knows.

use halyard_ring::chat::{ErrorCode, Kind, LeaveReason, flags};

use super::super::parts::{ack, entry, message, presence, times, unusable};
use super::super::room::Seen;
use super::{Receiver, Step};
use crate::event::{Answer, Direct, Earlier, Event, Fault, Gap, Refusal};

impl Receiver {
    /// Turns the record into an event. Its number has been checked.
    pub(super) fn take_in(&mut self) -> Step<'_> {
        let Self {
            client,
            record,
            reply,
            room,
            long,
            long_earlier,
            held,
            heard,
            former,
            repeated,
            goodbye,
            ..
        } = self;
        let checked = match record.check() {
            Ok(checked) => checked,
            Err(bad) => return Step::Event(unusable(record, Fault::Bad(bad))),
        };
        let is_text = matches!(checked.kind, Kind::Message | Kind::Direct | Kind::Earlier);
        if record.frags != 1 && !is_text {
            return Step::Event(unusable(record, Fault::Fragment));
        }
        let event = match checked.kind {
            // HELLO was sent again while the server was stopped, and each was answered.
            Kind::Welcome if record.client == *client => return Step::Nothing,
            Kind::Message => {
                if record.frag == 0 {
                    match room.next_message(record) {
                        Seen::Next => {}
                        Seen::Again => return Step::Event(unusable(record, Fault::Repeated)),
                        Seen::Behind(gap) => {
                            *held = true;
                            return Step::Event(Event::Gap(gap));
                        }
                    }
                }
                if long.passes_over(record, heard, repeated) {
                    return Step::Nothing;
                }
                match long.gather(record, checked, heard) {
                    Err(unusable) => Event::Unusable(unusable),
                    Ok(None) => return Step::Nothing,
                    Ok(Some((nick, text))) => Event::Message(message(record, &room.name, nick, text)),
                }
            }
            Kind::Earlier => match long_earlier.gather(record, checked, heard) {
                Err(unusable) => Event::Unusable(unusable),
                Ok(None) => return Step::Nothing,
                Ok(Some((nick, text))) => Event::Earlier(Earlier {
                    command: record.command,
                    index: record.generation,
                    total: record.count,
                    message: message(record, "", nick, text),
                }),
            },
            Kind::Direct if long.passes_over(record, heard, repeated) => return Step::Nothing,
            Kind::Direct => match long.gather(record, checked, heard) {
                Err(unusable) => Event::Unusable(unusable),
                Ok(None) => return Step::Nothing,
                Ok(Some((nick, text))) => Event::Direct(Direct {
                    client: record.client,
                    nick,
                    text,
                    action: record.flags & flags::ACTION != 0,
                    number: record.number,
                    times: times(record),
                }),
            },
            Kind::Ack => match Kind::from_wire(record.code).filter(|kind| kind.is_command()) {
                None => unusable(record, Fault::Meaning),
                Some(kind) => {
                    reply.note_answer(record.command);
                    room.answered(kind, record, checked.text);
                    if kind == Kind::Join {
                        *former = None;
                    }
                    Event::Answer(Answer { command: record.command, result: Ok(ack(kind, record, checked)) })
                }
            },
            Kind::Error => match ErrorCode::from_wire(record.code) {
                None => unusable(record, Fault::Meaning),
                Some(code) => {
                    reply.note_answer(record.command);
                    if reply.last_join() == record.command {
                        // It is not on its way back to that room any more.
                        *former = None;
                    }
                    let refusal = Refusal { code, text: checked.text };
                    Event::Answer(Answer { command: record.command, result: Err(refusal) })
                }
            },
            Kind::Joined => Event::Joined(presence(room, record, checked)),
            Kind::Left => match LeaveReason::from_wire(record.code) {
                None => unusable(record, Fault::Meaning),
                Some(reason) => Event::Left(presence(room, record, checked), reason),
            },
            Kind::Renamed => Event::Renamed { client: record.client, old: checked.nick, new: checked.text },
            Kind::Member => Event::Member(entry(record, record.client, checked.nick, record.count, 0)),
            Kind::Room => Event::Room(entry(record, record.room, checked.text, record.client, record.count)),
            Kind::Lost => {
                let lost = record.lost();
                long.text.clear();
                if record.room == room.id {
                    room.last_seq = room.last_seq.max(lost.last_seq);
                }
                Event::Gap(Gap::told(&lost))
            }
            Kind::Reopen => {
                reply.look_again();
                Event::Reopen
            }
            Kind::Goodbye => {
                let reason = LeaveReason::from_wire(record.code).unwrap_or(LeaveReason::Shutdown);
                *goodbye = Some(reason);
                Event::Goodbye(reason)
            }
            _ => unusable(record, Fault::Meaning),
        };
        Step::Event(event)
    }
}
