//! The program `halyard-server`: a command line around the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use clap::Parser;
use halyard_ring::chat::ServerName;
use halyard_ring::{CreateError, Group};
use halyard_server::{Config, ServeOptions, Server, StartError};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;

/// Exit code when the name is held: try again later (`EX_TEMPFAIL`).
const HELD: u8 = 75;
/// Exit code for what another user may do and this one may not (`EX_NOPERM`).
const NO_PERMISSION: u8 = 77;
/// Exit code for values that cannot be used, the same as for options that cannot be parsed.
const USAGE: u8 = 2;

/// Serves Halyard chat to the programs of this machine, through shared memory.
///
/// Runs in the foreground until SIGINT, SIGTERM or SIGHUP, then carries out what it has accepted, says goodbye to its
/// clients and removes everything it made in /dev/shm. A second signal ends it at once.
///
/// Connect with `halyard chat`. The leftovers of a server that was killed are taken over by the next of its name.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Options {
    /// Name by which clients find this server
    #[arg(short, long, default_value_t)]
    name: ServerName,

    /// Let the members of this group connect, too; without it only your own programs can
    #[arg(short, long, value_name = "GROUP")]
    group: Option<Group>,

    #[command(flatten)]
    serve: ServeOptions,
}

const AFTER_HELP: &str = "\
Times are written as 500us, 5ms, 2s or 1m.

Exit codes:
  0   a signal came, and the end was clean
  1   another error, told on stderr
  2   options that cannot be used
  75  another server has the name
  77  the name is another user's, or you are no member of the group";

fn main() -> ExitCode {
    let options = Options::parse();
    let filter = match options.serve.log.parse::<EnvFilter>() {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("halyard-server: --log {:?}: {error}", options.serve.log);
            return ExitCode::from(USAGE);
        }
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match serve(options.serve.config(options.name, options.group)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("halyard-server: {error}");
            match error {
                StartError::Held { .. } => ExitCode::from(HELD),
                StartError::Config(_) => ExitCode::from(USAGE),
                StartError::Foreign { .. } | StartError::Control(CreateError::Group(_)) => {
                    ExitCode::from(NO_PERMISSION)
                }
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn serve(config: Config) -> Result<ExitCode, StartError> {
    // Before the server starts, so that no signal finds names to be left behind.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|source| StartError::Os { what: "handle signals", source })?;
    let server = Server::start(config)?;
    let (to_main, from_signals) = channel();
    std::thread::spawn(move || {
        let mut seen = false;
        for signal in signals.forever() {
            if std::mem::replace(&mut seen, true) {
                // The impatient get what they ask for; the next server of this name cleans up.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            let _ = to_main.send(signal);
        }
    });
    loop {
        match from_signals.recv_timeout(Duration::from_secs(1)) {
            Ok(signal) => {
                tracing::info!(signal, "stopping");
                server.stop();
                return Ok(ExitCode::SUCCESS);
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if server.is_running() => {}
            Err(_) => {
                eprintln!("halyard-server: a thread of the server has failed, see the log");
                server.stop();
                return Ok(ExitCode::FAILURE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_shows_what_is_understood() {
        let seen = halyard_book::understood::<Options>("halyard-server", Vec::new())
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(seen > 0, "{seen} command lines");
    }
}
