//! `halyard-bench`: what Halyard's rings and chat take, beside the floor they stand on, and a replay of real chat
//! logs that checks every delivery.
//!
//! The library is the program: [`run`] is all of it. Each subcommand has its file.
#![deny(unsafe_code)]

mod broadcasters;
mod chain;
mod chaos;
mod chat;
mod child;
mod common;
mod compare;
mod copies;
mod crowd;
mod document;
mod echo;
mod failure;
mod fanout;
mod figures;
mod flood;
mod floor;
mod hop;
mod host;
mod interrupt;
pub mod irc;
mod line;
mod machine;
mod peers;
mod place;
mod progress;
mod raw;
mod record;
mod relay;
mod replay;
mod report;
mod results;
mod scale;
mod shared;
mod soak;
mod table;
mod throughput;
mod timed;
mod usage;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{Failure, INTERRUPTED};

/// Latencies of Halyard beside the floor they stand on, and replay of real chat logs
///
/// Every figure is taken in several rounds, interleaved with its floor, and printed as the median of the rounds with
/// the lowest and the highest beside it.
#[derive(Parser, Debug)]
#[command(name = "halyard-bench", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 a replay, a storm or a soak found something wrong or a comparison found something worse, 2 an \
option or a file is wrong, 69 something that the measurement needs could not be had, 130 interrupted.";

#[derive(Subcommand, Debug)]
enum Command {
    Floor(floor::Floor),
    Hop(hop::Hop),
    Throughput(throughput::Throughput),
    Peers(peers::Peers),
    Chat(chat::Chat),
    Fanout(fanout::Fanout),
    Scale(scale::Scale),
    Broadcasters(broadcasters::Broadcasters),
    Flood(flood::Flood),
    Replay(replay::Replay),
    Chaos(chaos::Chaos),
    Soak(soak::Soak),
    Report(report::Report),
    Compare(compare::Compare),
    #[command(subcommand, hide = true)]
    Child(ChildRole),
}

/// What this program does when it has started itself as a child.
#[derive(Subcommand, Debug)]
enum ChildRole {
    Echo {
        lines: PathBuf,
        cpu: usize,
    },
    Server,
    Pump {
        cpu: String,
    },
    Replay,
    Scale,
    Flood,
    Chaos,
    Exec {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Runs the program on the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Child(role) => role.run(),
        command => {
            interrupt::install();
            command.run()
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.exit != INTERRUPTED {
                eprintln!("halyard-bench: {failure}");
            }
            ExitCode::from(failure.exit)
        }
    }
}

impl Command {
    fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Floor(floor) => floor.run(),
            Self::Hop(hop) => hop.run(),
            Self::Throughput(throughput) => throughput.run(),
            Self::Peers(peers) => peers.run(),
            Self::Chat(chat) => chat.run(),
            Self::Fanout(fanout) => fanout.run(),
            Self::Scale(scale) => scale.run(),
            Self::Broadcasters(broadcasters) => broadcasters.run(),
            Self::Flood(flood) => flood.run(),
            Self::Replay(replay) => replay.run(),
            Self::Chaos(chaos) => chaos.run(),
            Self::Soak(soak) => soak.run(),
            Self::Report(report) => report.run(),
            Self::Compare(compare) => compare.run(),
            Self::Child(role) => role.run(),
        }
    }
}

impl ChildRole {
    fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Echo { lines, cpu } => echo::child(lines, *cpu),
            Self::Server => host::child(),
            Self::Pump { cpu } => throughput::child(cpu),
            Self::Replay => replay::child(),
            Self::Scale => scale::child(),
            Self::Flood => flood::child(),
            Self::Chaos => chaos::child(),
            Self::Exec { program, arguments } => child::exec(program, arguments),
        }
    }
}

/// Writes a result to standard output. Whoever closed the pipe has read enough.
fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_shows_what_is_understood() {
        let seen = halyard_book::understood::<Cli>("halyard-bench", Vec::new())
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(seen > 10, "{seen} command lines");
    }
}
