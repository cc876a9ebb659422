//! The program `halyard-server`: a command line around the library.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use clap::Parser;
use halyard_ring::Wait;
use halyard_ring::chat::ServerName;
use halyard_server::{Config, Pin, Server, StartError};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;

/// Exit code when the name is held: try again later (`EX_TEMPFAIL`).
const HELD: u8 = 75;
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

    /// Threads that deliver messages, each to its own share of the clients [default: a quarter of the processors]
    #[arg(short, long, value_name = "N", help_heading = "Threads")]
    broadcasters: Option<usize>,

    /// Processors that the broadcasters are bound to: `auto`, `no`, or a list such as `2,3`
    #[arg(long, value_name = "CPUS", default_value = "auto", value_parser = parse_pin, help_heading = "Threads")]
    pin: Pin,

    /// How threads wait for work: adaptive (pause, yield, then sleep), block, yield, or spin
    #[arg(long, value_name = "HOW", default_value_t, help_heading = "Threads")]
    wait: Wait,

    /// Most clients at once
    #[arg(long, value_name = "N", default_value_t = default().clients_max, help_heading = "Limits")]
    clients: u32,

    /// Most rooms at once
    #[arg(long, value_name = "N", default_value_t = default().rooms_max, help_heading = "Limits")]
    rooms: u32,

    /// Commands that the control ring holds, a power of two (256 bytes each)
    #[arg(long, value_name = "N", default_value_t = default().control_capacity, help_heading = "Limits")]
    capacity: u32,

    /// Longest time that records may wait for a client with the policy `block`
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time, help_heading = "Limits")]
    block_max: Duration,

    /// Most records that may wait for one client with the policy `block` or `spill` (248 bytes each)
    #[arg(long, value_name = "N", default_value_t = default().spill_max, help_heading = "Limits")]
    spill_max: u32,

    /// Messages of each room that are kept for those who come later; 0 for none
    #[arg(long, value_name = "N", default_value_t = default().history, help_heading = "Limits")]
    history: u32,

    /// Most bytes that the kept messages of all rooms take together
    #[arg(long, value_name = "BYTES", default_value_t = default().history_bytes, help_heading = "Limits")]
    history_bytes: usize,

    /// How long a client may take to write a command before the others are served past it
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_time, help_heading = "Times")]
    grace: Duration,

    /// How often clients must show that they live
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_time, help_heading = "Times")]
    heartbeat: Duration,

    /// After how long without a heartbeat a client is dropped; one whose process ends is dropped at once
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time, help_heading = "Times")]
    hang: Duration,

    /// After how long without an answer clients should send a command again
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time, help_heading = "Times")]
    retry: Duration,

    /// Append who connects, joins, leaves, quits, dies or loses records to this file, as JSON Lines
    #[arg(long, value_name = "FILE", help_heading = "Records")]
    audit: Option<PathBuf>,

    /// What to log to stderr: error, warn, info, debug, or a filter such as `halyard_server=debug`
    #[arg(long, value_name = "FILTER", default_value = "info", help_heading = "Records")]
    log: String,
}

const AFTER_HELP: &str = "\
Times are written as 500us, 5ms, 2s or 1m.

Exit codes:
  0   a signal came, and the end was clean
  1   another error, told on stderr
  2   options that cannot be used
  75  another server has the name";

fn default() -> Config {
    Config::default()
}

fn parse_pin(text: &str) -> Result<Pin, String> {
    match text {
        "auto" => Ok(Pin::Auto),
        "no" => Ok(Pin::No),
        list => {
            let cpu =
                |part: &str| part.trim().parse().map_err(|_| format!("{part:?} is no processor number"));
            Ok(Pin::Cpus(list.split(',').map(cpu).collect::<Result<_, _>>()?))
        }
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no time: write for example 500us, 5ms, 2s or 1m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let unit = match &text[digits..] {
        "us" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        _ => return Err(bad()),
    };
    u32::try_from(number).ok().and_then(|number| unit.checked_mul(number)).ok_or_else(bad)
}

impl Options {
    fn config(self) -> Config {
        let default = default();
        Config {
            name: self.name,
            broadcasters: self.broadcasters.unwrap_or(default.broadcasters),
            pin: self.pin,
            clients_max: self.clients,
            rooms_max: self.rooms,
            control_capacity: self.capacity,
            grace: self.grace,
            heartbeat: self.heartbeat,
            hang: self.hang,
            retry: self.retry,
            block_max: self.block_max,
            spill_max: self.spill_max,
            history: self.history,
            history_bytes: self.history_bytes,
            wait: self.wait,
            audit: self.audit,
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let filter = match options.log.parse::<EnvFilter>() {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("halyard-server: --log {:?}: {error}", options.log);
            return ExitCode::from(USAGE);
        }
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match serve(options.config()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("halyard-server: {error}");
            match error {
                StartError::Held { .. } => ExitCode::from(HELD),
                StartError::Config(_) => ExitCode::from(USAGE),
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_its_defaults_are_the_librarys() {
        Options::command().debug_assert();
        let ours = Options::parse_from(["halyard-server"]).config();
        assert_eq!(format!("{ours:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_time("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(parse_time("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "5", "ms", "1.5s", "-1s", "5 ms", "99999999999s"] {
            assert!(parse_time(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pins_are_read() {
        assert_eq!(parse_pin("2, 3"), Ok(Pin::Cpus(vec![2, 3])));
        assert_eq!(parse_pin("no"), Ok(Pin::No));
        assert!(parse_pin("x").is_err());
    }
}
