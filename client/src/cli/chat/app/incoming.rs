//! What the server and the connection told.

use halyard_client::{Ack, Command, Direct, Event, Gap, Kind, LeaveReason, Loss, Message, Presence, Refusal};

use super::line::{Body, Hole, HoleState, Move, Said, names};
use super::members::Members;
use super::state::{App, Asked, Effect, Link, Why};
use super::window::{Membership, Place};
use crate::cli::chat::missed;
use crate::cli::clock::Moment;
use crate::cli::config::{Desktop, On};
use crate::cli::ls::units::latency;
use crate::cli::run::{rooms_line, who_line};
use crate::cli::show::{RENEWED, plural};
use crate::cli::visible::visible;

impl App {
    /// Takes in an event of one session.
    pub(crate) fn event(&mut self, session: usize, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let room = self.windows.iter().position(|window| window.session == Some(session));
        match event {
            Event::Message(message) => {
                if let Some(index) = room {
                    self.message(index, &message, &mut effects);
                }
            }
            Event::Direct(direct) => self.direct(&direct, &mut effects),
            Event::Joined(who) => self.moved(room, &who, None),
            Event::Left(who, reason) => self.moved(room, &who, Some(reason)),
            Event::Renamed { old, new, .. } => self.renamed(room, &visible(&old), &visible(&new)),
            Event::Gap(gap) => self.gap(room.unwrap_or(self.current), &gap),
            Event::Overrun(lost) => {
                let index = room.unwrap_or(self.current);
                let text = format!("{} lost: this window was too slow", plural(lost, "event", "events"));
                self.push_gap(index, 0, 0, text, lost);
            }
            Event::Unusable(bad) => self.error(format!(
                "record {} cannot be used: something other than the server writes to your ring",
                bad.number
            )),
            Event::Member(entry) | Event::Room(entry) => self.entries.push(entry),
            Event::Earlier(earlier) => self.earlier.push(earlier.message),
            Event::Answer(answer) => self.answered(session, answer.command, answer.result, &mut effects),
            Event::Disconnected(loss) => self.disconnected(session, loss),
            Event::Reconnected { nick, room: back, .. } => {
                self.reconnected(session, &nick, back.is_some(), &mut effects);
            }
            // Every session hears it; once is enough.
            Event::Reopen if session == 0 => self.notice(self.current, RENEWED),
            Event::GaveUp { why } => self.link = Link::Over(why),
            _ => {}
        }
        effects
    }

    fn message(&mut self, index: usize, message: &Message, effects: &mut Vec<Effect>) {
        self.stats.heard += 1;
        let took_ns = self.latency.record(&message.times);
        let said = Said { took_ns, ..self.said(message, false) };
        let (mention, own) = (said.mention, said.own);
        let text = format!("{}: {}", said.nick, said.text);
        let at = self.moment(message.times.routed_ns);
        self.windows[index].room_id = message.room_id;
        self.windows[index].missed.heard(message);
        self.windows[index].push(at, Body::Said(said));
        if !own {
            self.noticed(index, mention, text, effects);
        }
    }

    fn said(&self, message: &Message, earlier: bool) -> Said {
        let (nick, text) = (visible(&message.nick).into_owned(), visible(&message.text).into_owned());
        let own = message.nick == self.me;
        let words = self.config.notify.highlight.iter();
        let mention = !own && words.chain([&self.me]).any(|word| names(&text, word));
        let (room_id, seq, action) = (message.room_id, message.seq, message.action);
        Said { nick, text, action, own, mention, earlier, room_id, seq, took_ns: 0 }
    }

    fn direct(&mut self, direct: &Direct, effects: &mut Vec<Effect>) {
        self.stats.heard += 1;
        let took_ns = self.latency.record(&direct.times);
        let (nick, text) = (visible(&direct.nick).into_owned(), visible(&direct.text).into_owned());
        let place = Place::Direct(direct.nick.clone());
        let index = self.open(place);
        let at = self.moment(direct.times.routed_ns);
        let shown = format!("{nick}: {text}");
        let said = Said { nick, text, action: direct.action, mention: true, took_ns, ..Said::default() };
        self.windows[index].push(at, Body::Said(said));
        self.noticed(index, true, shown, effects);
    }

    /// Something was said by another: counts and notifies where nobody looks.
    fn noticed(&mut self, index: usize, mention: bool, text: String, effects: &mut Vec<Effect>) {
        let looks = index == self.current && self.focused;
        if looks {
            return;
        }
        let window = &mut self.windows[index];
        window.unread += 1;
        window.mentions += usize::from(mention);
        let notify = &self.config.notify;
        let wanted = match notify.on {
            On::Never => false,
            On::Mention => mention,
            On::All => true,
        };
        if wanted && notify.bell {
            effects.push(Effect::Bell);
        }
        if wanted && notify.desktop != Desktop::Off {
            effects.push(Effect::Notify(format!("halyard: {}", window.title()), text));
        }
    }

    fn moved(&mut self, room: Option<usize>, who: &Presence, left: Option<LeaveReason>) {
        let Some(index) = room else { return };
        let (now, nick) = (self.moment(0), visible(&who.nick).into_owned());
        let window = &mut self.windows[index];
        match left {
            None => {
                window.members.joined(who.client, nick.clone());
                window.push_move(now, Move::Joined(nick));
            }
            Some(reason) => {
                window.members.left(who.client);
                window.push_move(now, Move::Left(nick, reason));
            }
        }
    }

    fn renamed(&mut self, room: Option<usize>, old: &str, new: &str) {
        let now = self.moment(0);
        for (index, window) in self.windows.iter_mut().enumerate() {
            if Some(index) == room {
                window.members.renamed(old, new);
                window.push_move(now.clone(), Move::Renamed(old.to_owned(), new.to_owned()));
            } else if window.is_direct(old) {
                window.place = Place::Direct(new.to_owned());
                window.push_move(now.clone(), Move::Renamed(old.to_owned(), new.to_owned()));
            }
        }
    }

    fn gap(&mut self, index: usize, gap: &Gap) {
        let seqs = if gap.first_seq == 0 { 0 } else { gap.last_seq - gap.first_seq + 1 };
        let messages = gap.told.map_or(seqs, |told| u64::from(told.messages)).max(seqs);
        let mut parts = Vec::new();
        if messages > 0 {
            parts.push(plural(messages, "message", "messages"));
        }
        if let Some(told) = gap.told {
            if told.directs > 0 {
                parts.push(plural(told.directs.into(), "direct message", "direct messages"));
            }
            if told.others > 0 {
                parts.push(plural(told.others.into(), "notice", "notices"));
            }
        }
        if parts.is_empty() {
            parts.push(plural(gap.records().max(1), "record", "records"));
        }
        let when = if gap.at_end { " when the session ended" } else { "" };
        let text = format!("{} lost: your ring was full{when}", parts.join(", "));
        self.push_gap(index, gap.first_seq, gap.last_seq, text, messages);
    }

    fn push_gap(&mut self, index: usize, first: u64, last: u64, text: String, lost: u64) {
        self.stats.gaps += 1;
        self.stats.lost += lost;
        let now = self.moment(0);
        let window = &mut self.windows[index];
        let room_id = window.room_id;
        window.push_gap(now, Hole { room_id, first, last, text, state: HoleState::Open });
    }

    fn answered(
        &mut self,
        session: usize,
        ticket: u64,
        result: Result<Ack, Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        let (entries, earlier) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.earlier));
        let Some(asked) = self.asked.remove(&(session, ticket)) else { return };
        let Some(index) = self.find(&asked.place) else { return };
        self.windows[index].pending.retain(|pending| pending.ticket != ticket);
        let ack = match result {
            Ok(ack) => ack,
            Err(refusal) => return self.refused(index, &asked, &visible(&refusal.text)),
        };
        match (ack.kind, asked.why) {
            (Kind::Join, _) => self.entered(index, session, &ack, effects),
            (Kind::Who, Why::Members) => {
                self.windows[index].members = Members::of(&entries);
            }
            (Kind::Who, _) => {
                let room = match &asked.command {
                    Command::WhoIn { room } => room.clone(),
                    _ => self.windows[index].title().to_owned(),
                };
                self.notice(index, who_line(&room, entries.iter().map(|entry| &*entry.name)));
            }
            (Kind::List, _) => {
                self.rooms_known = entries.iter().map(|entry| visible(&entry.name).into_owned()).collect();
                self.notice(index, rooms_line(entries.iter().map(|entry| (&*entry.name, entry.members))));
            }
            (Kind::History, why) => {
                if ack.room_id != 0 {
                    self.windows[index].room_id = ack.room_id;
                }
                self.remembered(index, why, earlier, effects);
            }
            (Kind::Dm, _) => self.dm_arrived(index, &asked, &ack),
            (Kind::Nick, _) => {
                let old = std::mem::replace(&mut self.me, ack.text.clone());
                let (old, new) = (visible(&old).into_owned(), visible(&ack.text).into_owned());
                self.windows.iter_mut().for_each(|window| window.members.renamed(&old, &new));
                self.notice(index, format!("you are {new} now"));
            }
            (Kind::Ping, _) => {
                let took = u64::try_from(asked.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                self.notice(index, format!("the server answered within {}", latency(took)));
            }
            _ => {}
        }
    }

    fn entered(&mut self, index: usize, session: usize, ack: &Ack, effects: &mut Vec<Effect>) {
        let window = &mut self.windows[index];
        window.membership = Membership::In;
        window.room_id = ack.room_id;
        window.missed.entered(ack.times.routed_ns);
        let (me, room) = (visible(&self.me).into_owned(), visible(&ack.text).into_owned());
        self.notice(index, format!("you are {me} in {room} ({} here)", ack.count));
        let place = self.windows[index].place.clone();
        let mut ask =
            |command, why| effects.push(Effect::Ask { session, place: place.clone(), command, why });
        ask(Command::Who, Why::Members);
        let count = self.config.view.history;
        if count > 0 {
            ask(Command::History { room: None, count, before: 0 }, Why::Joined);
        }
    }

    fn remembered(&mut self, index: usize, why: Why, messages: Vec<Message>, effects: &mut Vec<Effect>) {
        let messages = match why {
            Why::Missed => self.windows[index].missed.of(messages),
            _ => messages,
        };
        let lines: Vec<(Moment, Said)> = messages
            .iter()
            .map(|message| (self.moment(message.times.routed_ns), self.said(message, true)))
            .collect();
        match why {
            Why::Gap(first) => self.windows[index].fill(first, lines),
            Why::Missed => {
                let others = lines.iter().filter(|(_, said)| !said.own);
                let news: Vec<_> =
                    others.map(|(_, said)| (said.mention, format!("{}: {}", said.nick, said.text))).collect();
                self.windows[index].insert_earlier(lines);
                news.into_iter().for_each(|(mention, text)| self.noticed(index, mention, text, effects));
            }
            why => {
                let added = self.windows[index].insert_earlier(lines);
                if added == 0 && why == Why::Typed {
                    self.notice(index, "the server has kept nothing older of this room");
                }
            }
        }
    }

    /// One's own direct message lies in the recipient's ring.
    fn dm_arrived(&mut self, index: usize, asked: &Asked, ack: &Ack) {
        let Command::Dm { text, action, .. } = &asked.command else { return };
        let at = self.moment(ack.times.routed_ns);
        let (nick, text) = (visible(&self.me).into_owned(), visible(text).into_owned());
        let said = Said { nick, text, action: *action, own: true, ..Said::default() };
        self.windows[index].push(at, Body::Said(said));
    }

    fn refused(&mut self, index: usize, asked: &Asked, why: &str) {
        let text = match &asked.command {
            Command::Say { text, .. } | Command::Dm { text, .. } => {
                format!("not sent: {why} \u{2014} {}", visible(text))
            }
            Command::Join { room } => {
                self.windows[index].membership = Membership::Out;
                format!("cannot enter {}: {why}", visible(room))
            }
            _ => why.to_owned(),
        };
        if let Why::Gap(_) = asked.why
            && let Some(line) =
                self.windows[index].lines.iter_mut().rev().find_map(|line| match &mut line.body {
                    Body::Gap(hole) if hole.state == HoleState::Asked => Some(hole),
                    _ => None,
                })
        {
            line.state = HoleState::Open;
        }
        let now = self.moment(0);
        self.windows[index].push(now, Body::Error(text));
    }

    fn disconnected(&mut self, session: usize, loss: Loss) {
        if session == 0 {
            self.link = Link::Down(loss.to_string());
            self.notice(self.current, format!("{loss}; looking for it"));
        }
    }

    fn reconnected(&mut self, session: usize, nick: &str, in_room: bool, effects: &mut Vec<Effect>) {
        if session == 0 {
            self.link = Link::Up;
            self.stats.reconnects += 1;
            nick.clone_into(&mut self.me);
            // What could not be opened while there was no server is tried again.
            for window in &mut self.windows {
                if let (Place::Room(room), None) = (&window.place, window.session) {
                    window.membership = Membership::Entering;
                    effects.push(Effect::Open { room: room.clone() });
                }
            }
        }
        let Some(index) = self.windows.iter().position(|window| window.session == Some(session)) else {
            return;
        };
        self.windows[index].membership = if in_room { Membership::In } else { Membership::Out };
        self.notice(index, format!("connected again as {}", visible(nick)));
        if in_room {
            // Its numbers may be another server's.
            self.windows[index].room_id = 0;
            self.windows[index].missed.is_back();
            let place = self.windows[index].place.clone();
            let history = Command::History { room: None, count: missed::COUNT, before: 0 };
            for (command, why) in [(Command::Who, Why::Members), (history, Why::Missed)] {
                effects.push(Effect::Ask { session, place: place.clone(), command, why });
            }
        }
    }

    /// A session is over for good.
    pub(crate) fn over(&mut self, session: usize) {
        let why = match &self.link {
            Link::Up => "the session is over".to_owned(),
            Link::Down(why) | Link::Over(why) => why.clone(),
        };
        if session == 0 {
            self.link = Link::Over(why.clone());
        }
        if let Some(window) = self.windows.iter_mut().find(|window| window.session == Some(session)) {
            window.session = None;
            window.membership = Membership::Out;
        }
    }
}
