//! `halyard server`: the chat server in the foreground.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use halyard_server::{ServeOptions, Server, StartError};
use tracing_subscriber::EnvFilter;

use super::exit::{Ended, Exit, Failure, Result};
use super::out::note;
use super::place::Place;
use super::signals;

/// How often it is looked whether the server's threads are well.
const LOOK: Duration = Duration::from_secs(1);

/// Run a chat server in the foreground, until Ctrl-C or SIGTERM
///
/// Then it carries out what it has accepted, says goodbye to its clients and removes everything it made in /dev/shm.
/// The name is that of --server; with --group the members of that group may connect, too, else only you.
#[derive(Debug, clap::Args)]
#[command(after_help = halyard_server::TIMES_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    serve: ServeOptions,
}

pub(crate) fn run(place: Place, args: Args) -> Result {
    let Args { serve } = args;
    let filter = serve
        .log
        .parse::<EnvFilter>()
        .map_err(|error| Ended::with(Exit::Usage, format!("--log {:?}: {error}", serve.log)))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let (end, ended) = sync_channel(1);
    // Before the server starts, so that no signal finds names to be left behind.
    signals::on_end(move |_| {
        // If the server has ended by itself, there is nobody to tell.
        let _ = end.send(());
    })?;
    let Place { server, group } = place;
    let running = Server::start(serve.config(server.clone(), group)).map_err(|error| match error {
        StartError::Held { .. } => Failure::Ended(Ended::with(Exit::TryAgain, error.to_string())),
        StartError::Foreign { .. } => Failure::Ended(Ended::with(Exit::NoPermission, error.to_string())),
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
