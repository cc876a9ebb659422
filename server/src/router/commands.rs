//! What each command does.

use std::sync::Arc;

use halyard_ring::chat::{
    BODY, ErrorCode, Kind, LeaveReason, Message, Record, check_name, check_text, flags, fragments,
};

use super::Router;
use super::session::{Gathered, Head, Long, Session};
use crate::audit::{Line, reason_word};
use crate::job::{NONE, Op};
use crate::registry::Room;
use crate::wire::refusal;

/// A text on its way out, whole.
struct Text<'a> {
    command: u64,
    /// The text's number among its sender's.
    number: u64,
    flags: u16,
    sent_ns: u64,
    text: &'a str,
}

impl Router {
    /// Carries out a checked, new command.
    pub(super) fn carry_out(&mut self, slot: u32, record: &Record, message: Message<'_>, now: u64) {
        if matches!(message.kind, Kind::Say | Kind::Dm) {
            return self.text(slot, record, message, now);
        }
        if let Some(session) = &mut self.sessions[slot as usize] {
            session.window.mark(record.command);
        }
        let command = record.command;
        match message.kind {
            Kind::Join => self.join(slot, command, message.text, now),
            Kind::Who => self.who(slot, command, message.text, now),
            Kind::Leave => self.leave(slot, command, now),
            Kind::Quit => self.quit(slot, command, now),
            Kind::Ping => self.ack(slot, Kind::Ping, command, now, |_| {}),
            Kind::Nick => self.rename(slot, command, message.text, now),
            Kind::List => self.list(slot, command, now),
            Kind::History => self.history(slot, record, message.text, now),
            _ => self.error(slot, ErrorCode::UnknownKind, command, now),
        }
    }

    fn ack(&mut self, slot: u32, kind: Kind, command: u64, now: u64, fill: impl FnOnce(&mut Record)) {
        let mut ack = Record::new(Kind::Ack);
        (ack.code, ack.command) = (kind.wire(), command);
        fill(&mut ack);
        self.tell(slot, ack, now);
    }

    /// SAY and DM: gathers the fragments if there are several, then sends the text on.
    fn text(&mut self, slot: u32, record: &Record, message: Message<'_>, now: u64) {
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        let command = record.command;
        let head = Head {
            kind: message.kind,
            command,
            frag: record.frag,
            frags: record.frags,
            flags: record.flags,
            number: record.number,
            sent_ns: record.sent_ns,
        };
        if head.frags == 1 {
            session.long.forget();
            session.window.mark(command);
            let Head { number, flags, sent_ns, .. } = head;
            let text = Text { command, number, flags, sent_ns, text: message.text };
            if message.kind == Kind::Say {
                self.say(slot, text, now)
            } else {
                self.dm(slot, message.nick, text, now)
            }
            return;
        }
        let mut whole = std::mem::take(&mut self.text);
        let gathered = session.long.add(head, message.nick, message.text, &mut whole);
        if gathered != Gathered::Part {
            session.window.mark(command);
        }
        match gathered {
            Gathered::Part => {}
            Gathered::OutOfOrder => self.error(slot, ErrorCode::FragmentLost, command, now),
            Gathered::TooLong => self.error(slot, ErrorCode::TextTooLong, command, now),
            Gathered::Whole => {
                let Long { number, flags, sent_ns, .. } = session.long;
                let text = Text { command, number, flags, sent_ns, text: &whole };
                if message.kind == Kind::Say {
                    self.say(slot, text, now);
                } else {
                    let to = std::mem::take(&mut session.long.to);
                    self.dm(slot, &to, text, now);
                }
            }
        }
        self.text = whole;
    }

    fn say(&mut self, slot: u32, text: Text<'_>, now: u64) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        if check_text(text.text).is_err() {
            return self.error(slot, ErrorCode::TextInvalid, text.command, now);
        }
        let Some(room) = session.room.as_ref().map(Arc::clone) else {
            return self.error(slot, ErrorCode::NotInRoom, text.command, now);
        };
        let head = &mut self.job.record;
        *head = Record::new(Kind::Message);
        head.flags = text.flags & flags::ACTION;
        (head.room, head.room_seq) = (room.id, room.next_seq());
        (head.client, head.command) = (session.client.id, text.number);
        (head.sent_ns, head.routed_ns) = (text.sent_ns, now);
        head.set_origin(session.origin);
        let nick = Arc::clone(&session.nick);
        let home = session.client.broadcaster;
        self.history.keep(room.slot, &self.job.record, &nick, text.text);
        let is_there = |broadcaster: &usize| room.members_at(*broadcaster) > 0;
        let flight = match (0..self.load.len()).filter(is_there).count() {
            0 | 1 => NONE,
            several => self.parts.in_flight.begin(&mut self.flights, several as u32),
        };
        self.job.set(Op::Say, slot, room.slot, flight);
        self.job.set_sender(text.command, home);
        self.each_fragment(&nick, text.text, |router| {
            for broadcaster in (0..router.load.len()).filter(is_there) {
                router.send(broadcaster, room.members_at(broadcaster));
            }
        });
    }

    /// Puts nick and text into the job's record, cut into as many as it takes, and calls `send` for each.
    fn each_fragment(&mut self, nick: &str, text: &str, mut send: impl FnMut(&mut Self)) {
        if nick.len() + text.len() <= BODY {
            self.job.record.set_body(nick, text);
            return send(self);
        }
        let frags = fragments(nick.len(), text).count() as u8;
        for (frag, piece) in (0..frags).zip(fragments(nick.len(), text)) {
            (self.job.record.frag, self.job.record.frags) = (frag, frags);
            self.job.record.set_body(if frag == 0 { nick } else { "" }, piece);
            send(self);
        }
    }

    fn dm(&mut self, slot: u32, to: &str, text: Text<'_>, now: u64) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        if check_text(text.text).is_err() {
            return self.error(slot, ErrorCode::TextInvalid, text.command, now);
        }
        let found = {
            let clients = self.parts.registry.clients();
            let by_id = || to.parse().ok().and_then(|id| clients.by_id(id));
            clients.by_nick(to).or_else(by_id).map(|to| (to.client.slot, to.client.broadcaster))
        };
        let Some((recipient, broadcaster)) = found else {
            return self.error(slot, ErrorCode::NoSuchClient, text.command, now);
        };
        let head = &mut self.job.record;
        *head = Record::new(Kind::Direct);
        head.flags = flags::DIRECT | text.flags & flags::ACTION;
        (head.client, head.command) = (session.client.id, text.number);
        (head.sent_ns, head.routed_ns) = (text.sent_ns, now);
        head.set_origin(session.origin);
        let nick = Arc::clone(&session.nick);
        self.job.set(Op::Direct, recipient, 0, slot);
        self.job.set_sender(text.command, session.client.broadcaster);
        self.each_fragment(&nick, text.text, |router| router.send(broadcaster, 1));
    }

    fn join(&mut self, slot: u32, command: u64, name: &str, now: u64) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        if let Err(bad) = check_name(name) {
            let error = refusal(Kind::Error, ErrorCode::RoomInvalid, command, &bad.to_string());
            return self.tell(slot, error, now);
        }
        if let Some(room) = session.room.clone().filter(|room| *room.name == *name) {
            return self.ack_join(slot, command, &room, now);
        }
        {
            let rooms = self.parts.registry.rooms();
            let members = rooms.by_name(name).map_or(0, |open| open.room.members());
            if members >= self.parts.config.room_members_max {
                drop(rooms);
                return self.error(slot, ErrorCode::RoomFull, command, now);
            }
            // A room of which this client is the last member closes when it leaves.
            let closes = session.room.as_ref().is_some_and(|room| room.members() == 1);
            if rooms.by_name(name).is_none() && rooms.is_full(u32::from(closes)) {
                drop(rooms);
                return self.error(slot, ErrorCode::TooManyRooms, command, now);
            }
        }
        self.leave_room(slot, LeaveReason::Moved, now);
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        let room = {
            let mut rooms = self.parts.registry.rooms_mut();
            let room = rooms.open(name, self.load.len());
            if room.members() == 0 {
                self.history.opened(room.slot, name);
            }
            rooms.enter(&room, &session.client);
            room
        };
        session.room = Some(Arc::clone(&room));
        self.parts.registry.clients_mut().set_room(slot, Some(Arc::clone(&room)));
        self.audit_room("join", slot, &room, None);
        self.order(Op::Enter, slot, room.slot);
        self.tell_room(&room, slot, Kind::Joined, now, |_| {});
        self.ack_join(slot, command, &room, now);
    }

    fn ack_join(&mut self, slot: u32, command: u64, room: &Room, now: u64) {
        self.ack(slot, Kind::Join, command, now, |ack| {
            ack.set_body("", &room.name);
            (ack.room, ack.room_seq, ack.count) = (room.id, room.seq(), room.members());
        });
    }

    /// Tells the other members of a room something about the client in `slot`.
    fn tell_room(&mut self, room: &Room, slot: u32, kind: Kind, now: u64, fill: impl FnOnce(&mut Record)) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        let mut record = Record::new(kind).with_body(&session.nick, "");
        (record.client, record.room, record.count) = (session.client.id, room.id, room.members());
        record.routed_ns = now;
        fill(&mut record);
        self.job.record = record;
        self.job.set(Op::Room, NONE, room.slot, slot);
        for broadcaster in 0..self.load.len() {
            if room.members_at(broadcaster) > 0 {
                self.send(broadcaster, room.members_at(broadcaster));
            }
        }
    }

    /// Takes a client out of its room, if it is in one, and tells the others. Returns the room.
    pub(super) fn leave_room(&mut self, slot: u32, reason: LeaveReason, now: u64) -> Option<Arc<Room>> {
        let session = self.sessions[slot as usize].as_mut()?;
        let room = session.room.take()?;
        self.parts.registry.rooms_mut().leave(&room, &session.client);
        if room.members() == 0 {
            self.history.closed(room.slot, &room.name);
        }
        self.parts.registry.clients_mut().set_room(slot, None);
        self.order(Op::Leave, slot, 0);
        self.tell_room(&room, slot, Kind::Left, now, |record| record.code = reason.wire());
        self.audit_room("leave", slot, &room, Some(reason_word(reason)));
        Some(room)
    }

    fn audit_room(&self, event: &'static str, slot: u32, room: &Room, reason: Option<&str>) {
        let Some(Session { client, nick, .. }) = &self.sessions[slot as usize] else { return };
        self.parts.audit.write(Line {
            event,
            client: Some(client.id),
            nick: Some(nick),
            pid: Some(client.process.pid()),
            room: Some(&room.name),
            reason,
            ..Line::default()
        });
    }

    fn leave(&mut self, slot: u32, command: u64, now: u64) {
        match self.leave_room(slot, LeaveReason::Left, now) {
            None => self.error(slot, ErrorCode::NotInRoom, command, now),
            Some(room) => self.ack(slot, Kind::Leave, command, now, |ack| {
                ack.set_body("", &room.name);
                ack.room = room.id;
            }),
        }
    }

    fn quit(&mut self, slot: u32, command: u64, now: u64) {
        let mut ack = Record::new(Kind::Ack);
        (ack.code, ack.command) = (Kind::Quit.wire(), command);
        self.tell_as(Op::Final, slot, ack, now);
        self.end(slot, LeaveReason::Quit);
    }

    fn rename(&mut self, slot: u32, command: u64, nick: &str, now: u64) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        if let Err(bad) = check_name(nick) {
            let error = refusal(Kind::Error, ErrorCode::NickInvalid, command, &bad.to_string());
            return self.tell(slot, error, now);
        }
        let holder = self.parts.registry.clients().by_nick(nick).map(|holder| holder.client.slot);
        if holder.is_some_and(|holder| holder != session.client.first.unwrap_or(slot)) {
            return self.error(slot, ErrorCode::NickTaken, command, now);
        }
        if holder.is_none() {
            let new: Arc<str> = nick.into();
            // The first session's name is the one that is found; its companions follow.
            let first = session.client.first.unwrap_or(slot);
            self.rename_session(first, &new, now);
            let companions = self.sessions[first as usize].as_ref().map(|session| session.companions.clone());
            for companion in companions.into_iter().flatten() {
                self.rename_session(companion, &new, now);
            }
        }
        self.ack(slot, Kind::Nick, command, now, |ack| ack.set_body("", nick));
    }

    fn rename_session(&mut self, slot: u32, new: &Arc<str>, now: u64) {
        let Some(session) = &mut self.sessions[slot as usize] else { return };
        let old = std::mem::replace(&mut session.nick, Arc::clone(new));
        let room = session.room.clone();
        let (id, pid) = (session.client.id, session.client.process.pid());
        self.parts.registry.clients_mut().rename(slot, Arc::clone(new));
        self.job.record = Record::new(Kind::Nick).with_body("", new);
        self.job.set(Op::Rename, slot, 0, id);
        self.send_to_client(slot);
        if let Some(room) = room {
            self.tell_room(&room, slot, Kind::Renamed, now, |record| record.set_body(&old, new));
        }
        self.parts.audit.write(Line {
            event: "rename",
            client: Some(id),
            nick: Some(new),
            old_nick: Some(&old),
            pid: Some(pid),
            ..Line::default()
        });
    }

    /// The members of the client's room, or of the room named: whoever wants to look in need not enter. A room that
    /// is not open has no members.
    fn who(&mut self, slot: u32, command: u64, name: &str, now: u64) {
        let Some(session) = &self.sessions[slot as usize] else { return };
        let named = || self.parts.registry.rooms().by_name(name).map(|open| Arc::clone(&open.room));
        let Some(room) = (if name.is_empty() { session.room.clone() } else { named() }) else {
            if name.is_empty() {
                return self.error(slot, ErrorCode::NotInRoom, command, now);
            }
            return self.ack_series(slot, Kind::Who, command, 0, 0, now);
        };
        let entries: Vec<Record> = {
            // In this order everywhere: rooms, then clients.
            let rooms = self.parts.registry.rooms();
            let clients = self.parts.registry.clients();
            let members = rooms.at(room.slot).map_or(&[][..], |open| &open.members);
            let entry = |member: &crate::registry::Present| {
                let mut record = Record::new(Kind::Member).with_body(&member.nick, "");
                (record.client, record.room) = (member.client.id, room.id);
                record
            };
            members.iter().filter_map(|&member| clients.at(member)).map(entry).collect()
        };
        let total = entries.len() as u32;
        self.series(slot, command, entries, now, |entry| entry.count = total);
        self.ack_series(slot, Kind::Who, command, room.id, total, now);
    }

    fn list(&mut self, slot: u32, command: u64, now: u64) {
        let mut entries: Vec<Record> = {
            let rooms = self.parts.registry.rooms();
            let entry = |open: &crate::registry::Open| {
                let mut record = Record::new(Kind::Room).with_body("", &open.room.name);
                (record.room, record.count) = (open.room.id, open.room.members());
                record
            };
            rooms.iter().map(entry).collect()
        };
        entries.sort_unstable_by(|a, b| a.body[..usize::from(a.len)].cmp(&b.body[..usize::from(b.len)]));
        let total = entries.len() as u32;
        self.series(slot, command, entries, now, |entry| entry.client = total);
        self.ack_series(slot, Kind::List, command, 0, total, now);
    }

    fn series(
        &mut self,
        slot: u32,
        command: u64,
        entries: Vec<Record>,
        now: u64,
        fill: impl Fn(&mut Record),
    ) {
        for (index, mut entry) in entries.into_iter().enumerate() {
            (entry.command, entry.room_seq) = (command, index as u64 + 1);
            fill(&mut entry);
            self.tell_as(Op::Series, slot, entry, now);
        }
    }

    /// The end of a series takes the same way, so that it comes after the last entry.
    pub(super) fn ack_series(
        &mut self,
        slot: u32,
        kind: Kind,
        command: u64,
        room: u32,
        count: u32,
        now: u64,
    ) {
        let mut ack = Record::new(Kind::Ack);
        (ack.code, ack.command, ack.room, ack.count) = (kind.wire(), command, room, count);
        self.tell_as(Op::Series, slot, ack, now);
    }
}
