//! `halyard tail`: follow a room.

use std::time::{Duration, Instant};

use halyard_client::{Event, Message};

use super::connect::{NickArgs, connect};
use super::exit::{Ended, Exit, Failure, Result};
use super::json::Line;
use super::out::{Out, note};
use super::place::Place;
use super::show::{Show, connection};
use super::values::{name, seconds};
use super::visible::visible;

/// How often a quiet tail looks whether the reader of its output is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Follow a room: print what is said there, and with -n what was said before
///
/// What is missing shows as a line, too. Who follows a room is a member and is seen by the others.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The room
    #[arg(long, short, value_parser = name)]
    room: String,
    /// Print JSON Lines: v, type, room, nick, text, seq, sent_ns, recv_ns, …
    #[arg(long)]
    json: bool,
    /// First print the last N messages that were said before, as far as the server still has them
    #[arg(short = 'n', long, value_name = "N", default_value_t = 0)]
    lines: u32,
    /// End after N messages that are said from now on
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,
    /// End after this many seconds, with exit code 124
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Print who comes, goes and changes nick, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    nick: NickArgs,
}

pub(crate) fn run(place: Place, args: Args) -> Result {
    let deadline = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let client = connect(&args.nick.options(place, "tail"))?;
    let joined = client.join(&args.room)?;
    note(&format!("{} follows {} ({} here)", visible(&client.nick()), visible(&joined.room), joined.members));
    let mut printer = Printer { out: Out::new(), show: Show::for_stdout(), json: args.json, all: args.all };
    if args.lines > 0 {
        // What was said since JOIN comes as it is said.
        let is_new = |message: &Message| message.room_id == joined.room_id && message.seq > joined.last_seq;
        for message in client.history(args.lines, 0)?.iter().filter(|message| !is_new(message)) {
            printer.earlier(&joined.room, message)?;
        }
    }
    let mut left = args.count;
    let exit = loop {
        if left == Some(0) {
            break Exit::Done;
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            break Exit::TimedOut;
        }
        let pause = deadline.map_or(LOOK, |deadline| LOOK.min(deadline - now));
        match client.recv_timeout(pause) {
            Ok(Some(event)) => {
                printer.print(&event)?;
                if let (Event::Message(_), Some(left)) = (&event, &mut left) {
                    *left -= 1;
                }
            }
            Ok(None) if printer.out.is_closed() => return Err(Failure::OutputClosed),
            Ok(None) => {}
            Err(over) => return Err(Ended::with(Exit::TryAgain, over.to_string()).into()),
        }
    };
    Ok(exit.into())
}

/// Prints events as data.
pub(crate) struct Printer {
    pub(crate) out: Out,
    pub(crate) show: Show,
    pub(crate) json: bool,
    /// Presence, too.
    pub(crate) all: bool,
}

impl Printer {
    /// A message of this room that was said before.
    pub(crate) fn earlier(&mut self, room: &str, message: &Message) -> Result<()> {
        let line =
            if self.json { Line::earlier(room, message).to_text() } else { self.show.earlier(message) };
        self.out.line(&line)
    }

    pub(crate) fn print(&mut self, event: &Event) -> Result<()> {
        if let Some(text) = connection(event) {
            note(&text);
        }
        let presence = matches!(event, Event::Joined(_) | Event::Left(..) | Event::Renamed { .. });
        if presence && !self.all {
            return Ok(());
        }
        let mut text = String::new();
        let line = if self.json {
            Line::event(event, &mut text).map(|line| line.to_text())
        } else {
            self.show.event(event)
        };
        line.map_or(Ok(()), |line| self.out.line(&line))
    }
}
