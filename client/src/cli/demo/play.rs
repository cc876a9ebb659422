//! The play itself: gives the orders of the script, waits for what they bring about, and keeps book of it.

use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use halyard_client::ServerName;
use halyard_ring::monotonic_ns;

use super::ledger::{self, Due, Stay};
use super::script::{Act, BURST_EVERY_NS, BURST_LINES, CAST, EXIT, TALK, burst_text};
use super::show::{Row, Show};
use super::stage::{Stage, broken};
use super::wire::{Done, Log, News, Order};
use crate::cli::exit::{Failure, Result};
use crate::cli::out::Out;

/// After each line of the talk, so that people can read it.
const PAUSE: Duration = Duration::from_millis(150);
/// After each line of the farewell.
const SHORT_PAUSE: Duration = Duration::from_millis(40);
/// From the order to the burst's first line: all players must have read theirs by then.
const RUN_UP_NS: u64 = 100_000_000;

/// Plays all of it. `signal` becomes the number of a signal that asks the program to end.
pub(super) fn perform(server: ServerName, signal: Arc<AtomicI32>, out: Out) -> Result<()> {
    let mut play = Play {
        stage: Stage::new(server, signal),
        players: Vec::new(),
        last: Vec::new(),
        out,
        show: Show::for_stdout(),
    };
    play.enter()?;
    for (nick, act) in TALK {
        play.act(nick, act)?;
        play.stage.pause(PAUSE)?;
    }
    let late_ns = play.burst()?;
    play.farewell(late_ns)
}

/// A player, as the play sees it.
struct Player {
    pid: u32,
    room: Option<String>,
    due: Due,
}

struct Play {
    stage: Stage,
    players: Vec<Player>,
    /// The number of each room's last message.
    last: Vec<(String, u64)>,
    out: Out,
    show: Show,
}

impl Play {
    fn enter(&mut self) -> Result<()> {
        let server_pid = self.stage.enter("the server")?;
        for nick in CAST {
            let pid = self.stage.enter(nick)?;
            let due = Due { nick: nick.to_owned(), ..Due::default() };
            self.players.push(Player { pid, room: None, due });
        }
        let pids: Vec<(&str, u32)> =
            self.players.iter().zip(CAST).map(|(player, nick)| (nick, player.pid)).collect();
        let text = self.show.title(&self.stage.server, server_pid, &pids);
        self.out.raw(&text)
    }

    /// Has one line performed and waits until everyone it concerns has heard it; then shows it.
    fn act(&mut self, nick: &str, act: Act) -> Result<()> {
        let who =
            CAST.iter().position(|known| *known == nick).ok_or_else(|| broken(format!("who is {nick}?")))?;
        let text = match act {
            Act::Say(text) | Act::Dm(_, text) => text.replace("{pid}", &self.players[who].pid.to_string()),
            _ => String::new(),
        };
        let order = match act {
            Act::Join(room) => Order::Join { room: room.to_owned() },
            Act::Say(_) => Order::Say { text: text.clone() },
            Act::Dm(to, _) => Order::Dm { to: to.to_owned(), text: text.clone() },
            Act::Who => Order::Who,
            Act::Leave => Order::Leave,
            Act::Quit => Order::Quit,
        };
        let room = self.players[who].room.clone();
        // Who must hear it, and what.
        let audience: Vec<usize> = match act {
            Act::Say(_) => self.members(room.as_deref()),
            Act::Dm(to, _) => CAST.iter().position(|known| *known == to).into_iter().collect(),
            _ => Vec::new(),
        };
        self.stage.order(who + 1, &order)?;
        let (done, slowest_ns) = self.await_all(who, nick, &text, &audience)?;
        let said = match act {
            Act::Join(_) if done.count == 1 => "first here".to_owned(),
            Act::Join(_) => format!("{} here now", done.count),
            Act::Who => done.members.join(", "),
            _ => text.clone(),
        };
        let shown = match act {
            Act::Join(room) => room,
            Act::Dm(..) | Act::Quit => "",
            _ => room.as_deref().unwrap_or_default(),
        };
        let row = Row {
            room: shown,
            who,
            act,
            said: &said,
            took_ns: if audience.is_empty() { done.took_ns } else { slowest_ns },
            receivers: audience.len(),
        };
        let line = self.show.row(&row);
        self.note(who, act, room, text, &done);
        self.out.line(&line)
    }

    fn members(&self, room: Option<&str>) -> Vec<usize> {
        (0..self.players.len())
            .filter(|&index| room.is_some() && self.players[index].room.as_deref() == room)
            .collect()
    }

    /// Waits for the answer to `who`'s command and for the `audience` to have heard the text. Returns the answer
    /// and the time that the slowest took.
    fn await_all(&mut self, who: usize, nick: &str, text: &str, audience: &[usize]) -> Result<(Done, u64)> {
        let mut answer = None;
        let mut waiting = audience.to_vec();
        let mut slowest_ns = 0;
        while answer.is_none() || !waiting.is_empty() {
            let (from, news) = self.stage.next()?;
            let index = from.wrapping_sub(1);
            match news {
                News::Done(done) if index == who && answer.is_none() => answer = Some(done),
                News::Message(heard) | News::Direct(heard) if heard.nick == nick && heard.text == text => {
                    let Some(place) = waiting.iter().position(|&waits| waits == index) else {
                        return Err(broken(format!("{} got \"{text}\" without being due it", name_of(from))));
                    };
                    waiting.swap_remove(place);
                    slowest_ns = heard.took_ns.max(slowest_ns);
                }
                other => return Err(self.out_of_turn(from, &other)),
            }
        }
        Ok((answer.ok_or_else(|| broken("no answer"))?, slowest_ns))
    }

    fn out_of_turn(&self, from: usize, news: &News) -> Failure {
        broken(format!("{} told {news:?} out of turn", name_of(from)))
    }

    /// Notes what the line means for what everyone must get.
    fn note(&mut self, who: usize, act: Act, room: Option<String>, text: String, done: &Done) {
        match act {
            Act::Join(to) => {
                self.part_from(who);
                self.players[who].room = Some(to.to_owned());
                self.set_last(to, done.seq);
                // Where the stay ends is set when it does.
                let stay = Stay { room: to.to_owned(), first: done.seq + 1, last: u64::MAX };
                self.players[who].due.stays.push(stay);
            }
            Act::Say(_) => {
                if let Some(room) = room {
                    self.set_last(&room, done.seq);
                    self.players[who].due.said.push((room, text));
                }
            }
            Act::Dm(to, _) => {
                if let Some(index) = CAST.iter().position(|known| *known == to) {
                    self.players[index].due.directs.push((CAST[who].to_owned(), text));
                }
            }
            Act::Leave | Act::Quit => self.part_from(who),
            Act::Who => {}
        }
    }

    fn set_last(&mut self, room: &str, seq: u64) {
        match self.last.iter_mut().find(|(name, _)| name == room) {
            Some((_, last)) => *last = seq,
            None => self.last.push((room.to_owned(), seq)),
        }
    }

    /// Ends a player's stay in its room with the room's last message so far.
    fn part_from(&mut self, who: usize) {
        let Some(room) = self.players[who].room.take() else { return };
        let last = self.last.iter().find(|(name, _)| *name == room).map_or(0, |(_, last)| *last);
        if let Some(stay) = self.players[who].due.stays.last_mut() {
            stay.last = last;
        }
    }

    /// Everyone says many lines at a steady pace. Returns by how much the latest line missed its time.
    fn burst(&mut self) -> Result<u64> {
        self.out.raw(&self.show.burst_title())?;
        let rooms: Vec<Option<String>> = self.players.iter().map(|player| player.room.clone()).collect();
        for (index, room) in rooms.iter().enumerate() {
            let members = self.members(room.as_deref()).len();
            // Every line of every member, and the answers to one's own.
            let expect = (members + 1) * BURST_LINES as usize;
            self.stage.order(index + 1, &Order::Hush { expect })?;
        }
        for _ in 0..self.players.len() {
            match self.stage.next()? {
                (_, News::Hushed) => {}
                (from, other) => return Err(self.out_of_turn(from, &other)),
            }
        }
        let start_ns = monotonic_ns() + RUN_UP_NS;
        for index in 0..self.players.len() {
            // One after the other within the beat, so that they do not all speak at the same moment.
            let start_ns = start_ns + index as u64 * BURST_EVERY_NS / self.players.len() as u64;
            let order = Order::Burst { lines: BURST_LINES, every_ns: BURST_EVERY_NS, start_ns };
            self.stage.order(index + 1, &order)?;
        }
        let mut late_ns = 0;
        let (mut said, mut heard) = (0, 0);
        while (said, heard) != (self.players.len(), self.players.len()) {
            match self.stage.next()? {
                (_, News::Said { late_ns: late }) => {
                    late_ns = late.max(late_ns);
                    said += 1;
                }
                (_, News::HeardAll) => heard += 1,
                (from, other) => return Err(self.out_of_turn(from, &other)),
            }
        }
        for (index, room) in rooms.into_iter().enumerate() {
            let Some(room) = room else { continue };
            let own = (0..BURST_LINES).map(|line| (room.clone(), burst_text(line)));
            self.players[index].due.said.extend(own);
            if let Some((_, last)) = self.last.iter_mut().find(|(name, _)| *name == room) {
                *last += u64::from(BURST_LINES);
            }
        }
        Ok(late_ns)
    }

    /// Everyone leaves; then what they got is compared with what they were due, and the times are shown.
    fn farewell(mut self, late_ns: u64) -> Result<()> {
        let mut logs: Vec<Log> = Vec::new();
        for (index, (nick, act)) in EXIT.into_iter().enumerate() {
            self.act(nick, act)?;
            match self.stage.next()? {
                (from, News::Log(log)) if from == index + 1 => logs.push(log),
                (from, other) => return Err(self.out_of_turn(from, &other)),
            }
            self.stage.may_end(index + 1);
            self.stage.pause(SHORT_PAUSE)?;
        }
        let server = self.stage.server.clone();
        self.stage.close()?;
        let parts: Vec<(Due, Log)> = self.players.into_iter().map(|player| player.due).zip(logs).collect();
        ledger::check(&parts).map_err(broken)?;
        self.out.raw(&self.show.result(&parts, late_ns, &server))
    }
}

/// The name of the process with this number: the server's is 0.
fn name_of(from: usize) -> &'static str {
    from.checked_sub(1).and_then(|index| CAST.get(index)).copied().unwrap_or("the server")
}
