//! `halyard say` and `halyard dm`: messages from the command line or from a pipe.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use halyard_client::{Client, ClientOptions, Command, CommandError, Event, Reconnect};

use halyard_ring::chat::check_text;

use super::connect::{NickArgs, connect};
use super::exit::{Ended, Exit, Failure, Result};
use super::lines::Lines;
use super::out::note;
use super::place::Place;
use super::show::{connection, plural};
use super::values::{name, seconds};
use super::visible::visible;

/// Say something in a room: the words given, or standard input, a message a line
#[derive(Debug, clap::Args)]
pub(crate) struct SayArgs {
    /// The room
    #[arg(long, short, value_parser = name)]
    room: String,
    #[command(flatten)]
    nick: NickArgs,
    #[command(flatten)]
    patience: Patience,
    /// The text; without it, every line of standard input is a message
    text: Vec<String>,
}

/// How long to wait for the server.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Patience {
    /// End with exit code 75 if the server is away, or confirms nothing, for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
}

/// Say something to one person only: the words given, or standard input, a message a line
#[derive(Debug, clap::Args)]
pub(crate) struct DmArgs {
    #[command(flatten)]
    nick: NickArgs,
    #[command(flatten)]
    patience: Patience,
    /// Who is meant: a nick, or a client's number
    #[arg(value_name = "TO", value_parser = name)]
    to: String,
    /// The text; without it, every line of standard input is a message
    text: Vec<String>,
}

pub(crate) fn say(place: Place, args: SayArgs) -> Result {
    let text = text(&args.text)?;
    let client = connect(&options(&args.nick, place, args.patience))?;
    client.join(&args.room)?;
    send(&client, args.patience, text, |text| Command::Say { text, action: false })
}

pub(crate) fn dm(place: Place, args: DmArgs) -> Result {
    let text = text(&args.text)?;
    let client = connect(&options(&args.nick, place, args.patience))?;
    send(&client, args.patience, text, |text| Command::Dm { to: args.to.clone(), text, action: false })
}

fn options(nick: &NickArgs, place: Place, patience: Patience) -> ClientOptions {
    let Patience { timeout } = patience;
    nick.options(place, "").reconnect(Reconnect::Within(timeout)).answer_timeout(timeout)
}

/// The text on the command line, looked at before anybody is told that there is somebody.
fn text(words: &[String]) -> Result<Option<String>> {
    let text = (!words.is_empty()).then(|| words.join(" "));
    if let Some(text) = &text {
        check_text(text).map_err(CommandError::from)?;
    }
    Ok(text)
}

fn send(
    client: &Client,
    patience: Patience,
    text: Option<String>,
    command: impl Fn(String) -> Command,
) -> Result {
    let mut batch = Batch { client, patience, lines: HashMap::new(), refused: 0 };
    if let Some(text) = text {
        batch.submit(0, command(text))?;
    } else {
        let mut lines = Lines::new(io::stdin().lock());
        while let Some(line) = lines.next().map_err(|error| Failure::Io("read standard input", error))? {
            match line.text {
                // There is no empty message; in a pipe an empty line is no mistake either.
                Ok(text) if text.is_empty() => {}
                Ok(text) => batch.submit(line.number, command(text))?,
                Err(bad) => batch.refuse(line.number, &bad.to_string()),
            }
        }
    }
    batch.finish()
}

/// How many lines that were not sent are named; a binary file has thousands.
const REFUSALS_SHOWN: u64 = 10;

/// Messages under way.
struct Batch<'a> {
    client: &'a Client,
    patience: Patience,
    /// The line that each unanswered command came from.
    lines: HashMap<u64, u64>,
    refused: u64,
}

impl Batch<'_> {
    fn submit(&mut self, line: u64, command: Command) -> Result<()> {
        match self.client.submit(command) {
            Ok(ticket) => {
                self.lines.insert(ticket, line);
            }
            Err(CommandError::Text(why)) => self.refuse(line, &why.to_string()),
            Err(error) => return Err(error.into()),
        }
        self.look();
        Ok(())
    }

    fn refuse(&mut self, line: u64, why: &str) {
        self.refused += 1;
        let why = visible(why);
        match self.refused {
            _ if line == 0 => note(&format!("not sent: {why}")),
            ..=REFUSALS_SHOWN => note(&format!("line {line} not sent: {why}")),
            _ => {}
        }
    }

    /// Takes in what the server has answered so far.
    fn look(&mut self) {
        while let Ok(Some(event)) = self.client.try_recv() {
            match event {
                Event::Answer(answer) => {
                    let line = self.lines.remove(&answer.command);
                    if let Err(refusal) = answer.result {
                        self.refuse(line.unwrap_or(0), &refusal.text);
                    }
                }
                event => {
                    if let Some(text) = connection(&event) {
                        note(&text);
                    }
                }
            }
        }
    }

    fn finish(mut self) -> Result {
        // As long as the server is there, it is worth waiting for: it may have thousands of lines before it.
        let mut open = usize::MAX;
        while !self.client.flush(self.patience.timeout) {
            self.look();
            if self.lines.len() >= open {
                return Err(self.unanswered());
            }
            open = self.lines.len();
        }
        self.look();
        if let more @ 1.. = self.refused.saturating_sub(REFUSALS_SHOWN) {
            note(&format!("{} not sent", plural(more, "more line", "more lines")));
        }
        if !self.lines.is_empty() {
            return Err(self.unanswered());
        }
        self.client.quit()?;
        Ok(if self.refused > 0 { Exit::Negative } else { Exit::Done }.into())
    }

    fn unanswered(&self) -> Failure {
        let count = self.lines.len();
        let text = format!("the server did not confirm {}", plural(count as u64, "message", "messages"));
        Ended::with(Exit::TryAgain, text).into()
    }
}
