//! `halyard run`: commands from a script or from another program.

use std::io;
use std::time::{Duration, Instant};

use halyard_client::{Command, CommandError, Reconnect};

use super::connect::{NickArgs, Visit, connect};
use super::exit::{Ended, Exit, Failure, Result};
use super::json::Line;
use super::lines::Lines;
use super::out::{Out, note};
use super::place::Place;
use super::script::{Step, VERBS, parse, verb};
use super::show::{Show, plural};
use super::tail::Printer;
use super::visible::visible;

/// How long a server that goes away in the middle may stay away.
const AWAY: Duration = Duration::from_secs(10);

/// Carry out the commands on standard input, one a line, and print what is heard
///
/// Every command waits for the server's answer before the next one is read, so a program can drive a chat through a
/// pair of pipes. A command that the server refuses is reported with its line and the script goes on, to end with
/// exit code 1; a line that is no command ends it with 2.
#[derive(Debug, clap::Args)]
#[command(after_help = VERBS)]
pub(crate) struct Args {
    /// Print JSON Lines: what is heard, and for every command an `ack` or an `error`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    nick: NickArgs,
}

pub(crate) fn run(place: Place, args: Args) -> Result {
    let options = args.nick.options(place, "").reconnect(Reconnect::Within(AWAY));
    let client = connect(&options)?;
    let printer = Printer { out: Out::new(), show: Show::for_stdout(), json: args.json, all: true };
    let mut run = Run { client, printer, failed: 0 };
    let mut lines = Lines::new(io::stdin().lock());
    loop {
        let Some(line) = lines.next().map_err(|error| Failure::Io("read standard input", error))? else {
            run.step(0, Step::Command(Command::Quit))?;
            break;
        };
        let wrong = |why: String| Ended::with(Exit::Usage, format!("line {}: {why}", line.number));
        let text = line.text.map_err(|bad| wrong(bad.to_string()))?;
        match parse(&text).map_err(wrong)? {
            None => {}
            Some(Step::Command(Command::Quit)) => {
                run.step(line.number, Step::Command(Command::Quit))?;
                break;
            }
            Some(step) => run.step(line.number, step)?,
        }
    }
    Ok(if run.failed > 0 { Exit::Negative } else { Exit::Done }.into())
}

struct Run {
    client: Visit,
    printer: Printer,
    /// Commands that the server refused.
    failed: u64,
}

impl Run {
    fn step(&mut self, line: u64, step: Step) -> Result<()> {
        let command = match step {
            Step::Sleep(time) => return self.listen(time),
            Step::Command(command) => command,
        };
        let verb = verb(&command);
        let answered = self.carry_out(command);
        // What the server sent before its answer is heard before it.
        self.listen(Duration::ZERO)?;
        match answered {
            Ok(lines) => {
                for line in lines {
                    self.printer.out.line(&line)?;
                }
                if self.printer.json {
                    self.printer.out.line(&Line::ack(line, verb).to_text())?;
                }
                Ok(())
            }
            Err(CommandError::Refused(refusal)) => {
                self.failed += 1;
                note(&format!("line {line}: {verb}: {}", visible(&refusal.text)));
                if self.printer.json {
                    self.printer.out.line(&Line::refused(line, verb, &refusal.text).to_text())?;
                }
                Ok(())
            }
            Err(error) => Err(Ended::with(Exit::TryAgain, format!("line {line}: {verb}: {error}")).into()),
        }
    }

    /// Prints what comes for this long.
    fn listen(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            match self.client.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Some(event)) => self.printer.print(&event)?,
                // After QUIT there is nothing more to hear.
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }

    /// Returns the lines that the answer consists of.
    fn carry_out(&self, command: Command) -> std::result::Result<Vec<String>, CommandError> {
        let Printer { json, show, .. } = &self.printer;
        match command {
            Command::Join { room } => {
                let joined = self.client.join(&room)?;
                let nick = self.client.nick();
                Ok(Vec::from_iter(json.then(|| Line::entered(&joined, &nick).to_text())))
            }
            Command::Say { text, action } => {
                if action { self.client.act(&text) } else { self.client.say(&text) }.map(|_| Vec::new())
            }
            Command::Dm { to, text, .. } => self.client.dm(&to, &text).map(|_| Vec::new()),
            Command::Who | Command::WhoIn { .. } => {
                let (room, members) = match command {
                    Command::WhoIn { room } => (room.clone(), self.client.who_in(&room)?),
                    _ => {
                        let members = self.client.who()?;
                        (self.client.room().unwrap_or_default(), members)
                    }
                };
                Ok(if *json {
                    members.iter().map(|member| Line::member(&room, member).to_text()).collect()
                } else {
                    vec![show.notice(&who_line(&room, members.iter().map(|member| &*member.nick)))]
                })
            }
            Command::List => {
                let rooms = self.client.list()?;
                Ok(if *json {
                    rooms.iter().map(|room| Line::room(room).to_text()).collect()
                } else {
                    vec![show.notice(&rooms_line(rooms.iter().map(|room| (&*room.name, room.members))))]
                })
            }
            Command::History { count, .. } => {
                let room = self.client.room().unwrap_or_default();
                let messages = self.client.history(count, 0)?;
                Ok(if *json {
                    messages.iter().map(|message| Line::earlier(&room, message).to_text()).collect()
                } else {
                    messages.iter().map(|message| show.earlier(message)).collect()
                })
            }
            Command::Leave => self.client.leave().map(|_| Vec::new()),
            Command::Nick { nick } => self.client.rename(&nick).map(|_| Vec::new()),
            Command::Ping => {
                let time = self.client.ping()?;
                let line = show.notice(&format!("the server answered within {time:.0?}"));
                Ok(if *json { Vec::new() } else { vec![line] })
            }
            _ => self.client.quit().map(|()| Vec::new()),
        }
    }
}

/// `2 in lobby: ann, bob`.
pub(crate) fn who_line<'a>(room: &str, nicks: impl Iterator<Item = &'a str>) -> String {
    let nicks: Vec<_> = nicks.map(visible).collect();
    format!("{} in {}: {}", nicks.len(), visible(room), nicks.join(", "))
}

/// `2 rooms: lobby (2), dev (1)`.
pub(crate) fn rooms_line<'a>(rooms: impl Iterator<Item = (&'a str, u32)>) -> String {
    let rooms: Vec<_> = rooms.map(|(name, members)| format!("{} ({members})", visible(name))).collect();
    match rooms.len() {
        0 => "there are no rooms".to_owned(),
        count => format!("{}: {}", plural(count as u64, "room", "rooms"), rooms.join(", ")),
    }
}
