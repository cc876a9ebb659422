//! `halyard server`: the chat server in the foreground.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use halyard_client::ServerName;
use halyard_server::{Config, Server, StartError};
use tracing_subscriber::EnvFilter;

use super::exit::{Ended, Exit, Failure, Result};
use super::out::note;
use super::signals;

/// How often it is looked whether the server's threads are well.
const LOOK: Duration = Duration::from_secs(1);

/// Run a chat server in the foreground, until Ctrl-C or SIGTERM
///
/// Then it carries out what it has accepted, says goodbye to its clients and removes everything it made in /dev/shm.
/// The program halyard-server does the same and has more options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Threads that deliver messages, each to its own share of the clients [default: a quarter of the processors]
    #[arg(long, short, value_name = "N")]
    broadcasters: Option<usize>,
    /// Most clients at once
    #[arg(long, value_name = "N", default_value_t = Config::default().clients_max)]
    clients: u32,
    /// Most rooms at once
    #[arg(long, value_name = "N", default_value_t = Config::default().rooms_max)]
    rooms: u32,
    /// Messages of each room that are kept for those who come later; 0 for none
    #[arg(long, value_name = "N", default_value_t = Config::default().history)]
    history: u32,
    /// Append who connects, joins, leaves, quits or dies to this file, as JSON Lines
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// What to log to standard error: error, warn, info, debug, or a filter such as halyard_server=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: EnvFilter,
}

pub(crate) fn run(server: ServerName, args: Args) -> Result {
    tracing_subscriber::fmt().with_env_filter(args.log).with_writer(io::stderr).init();
    let (end, ended) = sync_channel(1);
    // Before the server starts, so that no signal finds names to be left behind.
    signals::on_end(move |_| {
        // If the server has ended by itself, there is nobody to tell.
        let _ = end.send(());
    })?;
    let default = Config::default();
    let config = Config {
        name: server.clone(),
        broadcasters: args.broadcasters.unwrap_or(default.broadcasters),
        clients_max: args.clients,
        rooms_max: args.rooms,
        history: args.history,
        audit: args.audit,
        ..default
    };
    let running = Server::start(config).map_err(|error| match error {
        StartError::Held { .. } => Failure::Ended(Ended::with(Exit::TryAgain, error.to_string())),
        StartError::Config(why) => Failure::Ended(Ended::with(Exit::Usage, why)),
        error => Failure::Ended(Ended::with(Exit::Io, error.to_string())),
    })?;
    note(&format!("serving \"{server}\"; Ctrl-C ends it"));
    loop {
        match ended.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) if running.is_running() => {}
            Err(RecvTimeoutError::Timeout) => {
                return Err(Ended::with(Exit::Io, "a thread of the server has failed, see the log").into());
            }
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                running.stop();
                return Ok(Exit::Done.into());
            }
        }
    }
}
