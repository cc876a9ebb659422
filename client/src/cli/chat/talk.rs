//! The chat's loop: one thread that shows everything and sends what is typed.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use halyard_client::{
    Ack, Answer, Client, Command, CommandError, Entry, Event, Kind, Loss, Message, Refusal,
};

use jiff::civil::Date;

use super::host::Host;
use super::input::{HELP, Typed, parse};
use super::missed::{self, Missed};
use super::screen::Screen;
use crate::cli::exit::{Ended, Exit, Failure, Result};
use crate::cli::lines::BadLine;
use crate::cli::run::{rooms_line, who_line};
use crate::cli::show::{Show, connection, plural};
use crate::cli::visible::visible;

/// At the end of input: how long to wait for the next of the answers that are still due.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// What the loop hears of.
pub(super) enum Input {
    Line(std::result::Result<String, BadLine>),
    End,
    Broken(io::Error),
    Interrupt,
    Event(Event),
    /// The client is over: no more events.
    Over,
}

pub(super) struct Talk<'a> {
    client: &'a Client,
    host: &'a Host,
    screen: Screen,
    show: Show,
    /// The day of the last line of the chat.
    day: Date,
    /// Commands without an answer yet.
    asked: HashMap<u64, (Command, Instant)>,
    /// Entries of WHO's or LIST's answer, which come right before it.
    entries: Vec<Entry>,
    /// Messages of HISTORY's answer, which come right before it, too.
    earlier: Vec<Message>,
    missed: Missed,
    /// The HISTORY that asks for what was missed.
    asked_for_missed: Option<u64>,
    loss: Option<Loss>,
}

impl<'a> Talk<'a> {
    /// `time` is the format of the time in front of messages.
    pub(super) fn new(client: &'a Client, host: &'a Host, room: &str, time: &str) -> Result<Self> {
        let show = Show::for_stdout().with_time(time);
        let mut talk = Self {
            client,
            host,
            screen: Screen::new(),
            day: show.today(),
            show,
            asked: HashMap::new(),
            entries: Vec::new(),
            earlier: Vec::new(),
            missed: Missed::default(),
            asked_for_missed: None,
            loss: None,
        };
        talk.ask(Command::Join { room: room.to_owned() })?;
        if talk.screen.is_interactive() {
            talk.screen.note("/help lists the commands, /quit or Ctrl-D ends");
        }
        Ok(talk)
    }

    pub(super) fn run(mut self, inputs: &Receiver<Input>) -> Result {
        let mut ending = false;
        loop {
            if ending && self.asked.is_empty() {
                return Ok(Exit::Done.into());
            }
            let pause = if ending { LAST_ANSWERS } else { Duration::MAX };
            let input = match inputs.recv_timeout(pause) {
                Ok(input) => input,
                Err(RecvTimeoutError::Timeout) => {
                    let count = plural(self.asked.len() as u64, "command", "commands");
                    let text = format!("the server did not confirm {count}");
                    return Err(Ended::with(Exit::TryAgain, text).into());
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Done.into()),
            };
            match input {
                // What comes in behind /quit is not said any more.
                Input::Line(_) if ending => {}
                Input::Line(Ok(line)) => ending |= self.typed(&line)?,
                Input::Line(Err(bad)) => {
                    self.screen.keep_typed();
                    self.screen.note(&format!("not sent: {bad}"));
                }
                Input::End => ending = true,
                Input::Broken(error) => return Err(Failure::Io("read standard input", error)),
                Input::Interrupt => return Ok(Exit::Done.into()),
                Input::Event(event) => self.event(&event)?,
                Input::Over => {
                    let why =
                        self.loss.map_or_else(|| "the session is over".to_owned(), |loss| loss.to_string());
                    return Err(Ended::with(Exit::TryAgain, why).into());
                }
            }
        }
    }

    /// Does what a typed line asks for. True: to end.
    fn typed(&mut self, line: &str) -> Result<bool> {
        match parse(line) {
            Ok(Typed::Command(command)) => {
                // It comes back from the server and is shown then, unless there is none.
                let comes_back = matches!(command, Command::Say { .. } | Command::Dm { .. });
                if comes_back && self.client.is_connected() {
                    self.screen.erase_typed(line)?;
                } else {
                    self.screen.keep_typed();
                }
                if !self.client.is_connected() {
                    self.screen
                        .note("there is no server now; this is sent when one is back (/host makes one here)");
                }
                self.ask(command)?;
            }
            Ok(Typed::Nothing) => self.screen.erase_typed(line)?,
            Ok(Typed::Help) => {
                self.screen.keep_typed();
                self.screen.note(HELP);
            }
            Ok(Typed::Host) => {
                self.screen.keep_typed();
                let came_of_it = match self.client.is_connected() {
                    true => "there is a server: this is for when it has gone".to_owned(),
                    false => self.host.start_in_words().unwrap_or_else(|why| why),
                };
                self.screen.note(&came_of_it);
            }
            Ok(Typed::Quit) => return Ok(true),
            Err(why) => {
                self.screen.keep_typed();
                self.screen.note(&why);
            }
        }
        Ok(false)
    }

    /// Returns the command's number if it was sent.
    fn ask(&mut self, command: Command) -> Result<Option<u64>> {
        match self.client.submit(command.clone()) {
            Ok(ticket) => {
                self.asked.insert(ticket, (command, Instant::now()));
                Ok(Some(ticket))
            }
            Err(CommandError::Closed) => Err(CommandError::Closed.into()),
            Err(error) => {
                self.screen.note(&format!("not sent: {error}"));
                Ok(None)
            }
        }
    }

    /// A line about something that was said at this time, behind one for its day if that is another one.
    fn said(&mut self, at_ns: u64, line: &str) -> Result<()> {
        let day = self.show.day(at_ns);
        if std::mem::replace(&mut self.day, day) != day {
            self.screen.line(&self.show.another_day(day))?;
        }
        self.screen.line(line)
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Answer(answer) => return self.answered(answer),
            Event::Member(entry) | Event::Room(entry) => self.entries.push(entry.clone()),
            Event::Earlier(earlier) => self.earlier.push(earlier.message.clone()),
            Event::Disconnected(loss) => self.loss = Some(*loss),
            Event::Message(message) => self.missed.heard(message),
            _ => {}
        }
        if let Some(text) = connection(event) {
            self.screen.note(&text);
        }
        if let Event::Reconnected { room: Some(_), .. } = event {
            self.missed.is_back();
            let history = Command::History { room: None, count: missed::COUNT, before: 0 };
            self.asked_for_missed = self.ask(history)?;
        }
        let said_at = match event {
            Event::Message(message) => message.times.routed_ns,
            Event::Direct(direct) => direct.times.routed_ns,
            _ => 0,
        };
        match self.show.event(event) {
            Some(line) => self.said(said_at, &line),
            None => Ok(()),
        }
    }

    fn answered(&mut self, answer: &Answer) -> Result<()> {
        let entries = std::mem::take(&mut self.entries);
        let earlier = std::mem::take(&mut self.earlier);
        let Some((command, since)) = self.asked.remove(&answer.command) else { return Ok(()) };
        if self.asked_for_missed.take_if(|ticket| *ticket == answer.command).is_some() {
            // Refused, it was asked for behind a /leave.
            let missed = self.missed.of(earlier);
            return self.earlier(&missed);
        }
        match &answer.result {
            Ok(ack) if ack.kind == Kind::History && earlier.is_empty() => {
                self.screen.note("the server has kept no message of this room");
                Ok(())
            }
            Ok(ack) if ack.kind == Kind::History => self.earlier(&earlier),
            Ok(ack) => self.done(&command, ack, &entries, since),
            Err(refusal) => {
                self.refused(&command, refusal);
                Ok(())
            }
        }
    }

    fn earlier(&mut self, messages: &[Message]) -> Result<()> {
        messages.iter().try_for_each(|message| {
            let line = self.show.earlier(message);
            self.said(message.times.routed_ns, &line)
        })
    }

    fn done(&mut self, command: &Command, ack: &Ack, entries: &[Entry], since: Instant) -> Result<()> {
        match ack.kind {
            Kind::Join => {
                self.missed.entered(ack.times.routed_ns);
                let nick = self.client.nick();
                self.screen.note(&format!(
                    "you are {} in {} ({} here)",
                    visible(&nick),
                    visible(&ack.text),
                    ack.count
                ));
                if ack.count > 1 {
                    self.ask(Command::Who)?;
                }
            }
            Kind::Dm => {
                if let Command::Dm { text, .. } = command {
                    let line = self.show.sent_direct(ack.times.routed_ns, &ack.nick, text);
                    self.said(ack.times.routed_ns, &line)?;
                }
            }
            Kind::Who => {
                let room = match command {
                    Command::WhoIn { room } => room.clone(),
                    _ => self.client.room().unwrap_or_default(),
                };
                self.screen.note(&who_line(&room, entries.iter().map(|entry| &*entry.name)));
                self.incomplete(ack, entries);
            }
            Kind::List => {
                self.screen.note(&rooms_line(entries.iter().map(|entry| (&*entry.name, entry.members))));
                self.incomplete(ack, entries);
            }
            Kind::Leave => {
                self.screen.note(&format!("you left {}; /join ROOM enters another", visible(&ack.text)));
            }
            Kind::Nick => self.screen.note(&format!("you are {} now", visible(&ack.text))),
            Kind::Ping => self.screen.note(&format!("the server answered within {:.0?}", since.elapsed())),
            _ => {}
        }
        Ok(())
    }

    fn incomplete(&mut self, ack: &Ack, entries: &[Entry]) {
        if entries.len() < ack.count as usize {
            let missing = ack.count as usize - entries.len();
            self.screen.note(&format!("{missing} more did not fit into this client's ring"));
        }
    }

    fn refused(&mut self, command: &Command, refusal: &Refusal) {
        let why = visible(&refusal.text).into_owned();
        let text = match command {
            Command::Say { text, .. } | Command::Dm { text, .. } => {
                format!("not sent: {why} \u{2014} {}", visible(text))
            }
            _ => why,
        };
        self.screen.note(&text);
    }
}
