//! `halyard top`: all rings of a server, live. It looks through read-only mappings and disturbs nothing.
//!
//! `look` says how the rings are now, `state` what came of that since the last time, `draw` shows it; none of them
//! knows the terminal, which is `live`'s.

mod columns;
mod draw;
mod live;
mod look;
mod plain;
mod state;
#[cfg(test)]
mod tests;

use std::thread;
use std::time::Duration;

use halyard_client::ServerName;

use super::chat::is_terminal;
use super::exit::{Ended, Exit, Failure, Result};
use super::inspect::seconds;
use super::ls::paint::Paint;
use super::out::Out;
use look::Sample;
use state::{Presence, Top};

/// Watch all rings of a server: how full, how fast, who is parked, who is slow
///
/// A reader is slow that takes nothing for a second while records wait, whose ring stays three quarters full for two
/// seconds, or whose process gave no heartbeat for as long as --silent says. Nothing is disturbed: the rings are mapped read-only.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server [default: the one that --server names]
    #[arg(value_name = "SERVER")]
    target: Option<ServerName>,
    /// Seconds from look to look
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Seconds without a heartbeat after which a process is called slow; more than the server's --heartbeat
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    silent: Duration,
    /// Look twice, an interval apart, print a table and end; so it is, too, where there is no terminal
    #[arg(long)]
    once: bool,
    /// As --once, with one JSON object a line: type "ring" for each ring, then one of type "totals"
    #[arg(long)]
    json: bool,
}

impl Args {
    fn top(&self, server: &ServerName) -> Top {
        Top::new(server.as_str(), self.interval, self.silent)
    }
}

pub(crate) fn run(server: &ServerName, args: &Args) -> Result {
    let server = args.target.as_ref().unwrap_or(server);
    if args.once || args.json || !is_terminal() {
        return once(server, args);
    }
    live::run(server, args.top(server))
}

fn sample(server: &ServerName) -> Result<Sample> {
    Sample::take(server).map_err(|error| Failure::Io("read /dev/shm", error))
}

/// Rates need two looks.
fn once(server: &ServerName, args: &Args) -> Result {
    let mut top = args.top(server);
    top.take(sample(server)?);
    if top.rows().next().is_some() {
        thread::sleep(args.interval);
        top.take(sample(server)?);
    }
    if top.rows().next().is_none() {
        let hint = "`halyard ls` shows what there is";
        return Ok(Ended::with(Exit::NoServer, format!("no server \"{server}\" runs here; {hint}")));
    }
    let text = if args.json { plain::json(&top) } else { plain::text(&top, &Paint::for_stdout()) };
    Out::new().raw(&text)?;
    Ok(match top.presence {
        Presence::There | Presence::Back { .. } => Exit::Done.into(),
        // What it left behind is shown all the same.
        Presence::Unseen | Presence::Gone { .. } => Ended::with(
            Exit::NoServer,
            format!("the server \"{server}\" is not there; these rings were left"),
        ),
    })
}
