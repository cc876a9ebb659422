//! The `halyard-lab` program: one file for each group of commands.

mod answers;
mod check;
mod exercise;
mod exit;
mod out;
mod run;
mod script;
mod show;
mod tidy;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use halyard_lab::labs::{LABS, Lab, find};

use exit::{Ended, Outcome};
use out::say;

const EXITS: &str = "Exit codes: 0 done or PASS, 1 FAIL, 2 wrong use, 66 no answers there, 70 a tool that is needed \
                     failed, 74 the system refused.\n\n\
                     HALYARD_LAB_CACHE names the folder that keeps the loom of lab 8; by default it is the clone's target \
                     folder, or ~/.cache.";

/// Learn semaphores by breaking a small ring: labs with a simulator, a stepper and a checker.
///
/// Begin with `halyard-lab start DIR`, go there, and then `halyard-lab show 1`. The book is in docs/.
#[derive(Debug, Parser)]
#[command(name = "halyard-lab", version, after_help = EXITS)]
struct Cli {
    /// The folder with your answers, if you are not in it.
    #[arg(long, global = true, value_name = "DIR", env = answers::VARIABLE, hide_env_values = true)]
    dir: Option<PathBuf>,
    /// Say it as JSON, for graders.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The labs, and which of them you have passed.
    List,
    /// Make a folder for your answers, with a starter for every lab.
    Start {
        /// The folder; it must not exist yet, or be empty.
        folder: PathBuf,
    },
    /// What a lab is about and what it promises.
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Run your answer: many times in the simulator and with real processes, or a Rust exercise to see what it does.
    Run(RunArgs),
    /// Step through your answer: you choose who runs next.
    Step(StepArgs),
    /// Judge your answer: PASS, or FAIL with what was violated and a seed that replays it.
    Check {
        /// The lab's number, or `all`.
        #[arg(value_name = "N|all")]
        which: String,
        /// Do without real processes.
        #[arg(long)]
        no_real: bool,
    },
    /// The next of a lab's three hints.
    Hint {
        #[command(flatten)]
        which: Which,
    },
    /// Why it is as it is. After your first attempt.
    Reveal {
        #[command(flatten)]
        which: Which,
    },
    /// What you have tried, passed and looked up.
    Progress,
    /// Remove what runs that were killed left in /dev/shm.
    Clean {
        /// The loom that lab 8 has compiled, too: its next check compiles it again, which takes half a minute and crates.io
        #[arg(long)]
        loom: bool,
    },
    /// Write a run as one page of HTML: who did what when, who waited for whom.
    Trace(TraceArgs),
    /// Play one process of a run; `run` and `check` start these.
    #[command(hide = true)]
    Part,
}

#[derive(Debug, Args)]
struct Which {
    /// The lab's number.
    #[arg(value_name = "N")]
    number: usize,
}

impl Which {
    fn lab(&self) -> Result<&'static Lab, Ended> {
        find_lab(self.number)
    }
}

fn find_lab(number: usize) -> Result<&'static Lab, Ended> {
    find(number).ok_or_else(|| {
        let known: Vec<String> = LABS.iter().map(|lab| lab.number.to_string()).collect();
        Ended::usage(format!("there is no lab {number}; there are: {}", known.join(", ")))
    })
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    which: Which,
    /// Which of the lab's files; its first if not given.
    #[arg(long)]
    file: Option<String>,
    /// One run by this seed: told step by step (labs 1 to 6), or with other chances (9 and 10).
    #[arg(long, conflicts_with_all = ["rounds", "processes"])]
    seed: Option<String>,
    /// Runs in the simulator (labs 1 to 6) [default: 1000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rounds: Option<u64>,
    /// Runs with real processes (labs 1 to 6) [default: 5].
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=1000))]
    processes: Option<u64>,
    /// Kill the lab's victim before this step of its own, in the runs with real processes.
    #[arg(long, value_name = "STEP")]
    kill: Option<u32>,
}

#[derive(Debug, Args)]
struct StepArgs {
    #[command(flatten)]
    which: Which,
    /// Which of the lab's files; its first if not given.
    #[arg(long)]
    file: Option<String>,
    /// Begin with the run of this seed, ready to be stepped through.
    #[arg(long, conflicts_with = "schedule")]
    seed: Option<String>,
    /// Begin with this schedule: names of threads, or `@FILE`.
    #[arg(long)]
    schedule: Option<String>,
}

#[derive(Debug, Args)]
struct TraceArgs {
    #[command(flatten)]
    which: Which,
    /// Which of the lab's files; its first if not given.
    #[arg(long)]
    file: Option<String>,
    /// The run of this seed.
    #[arg(long, conflicts_with_all = ["schedule", "real"])]
    seed: Option<String>,
    /// This schedule: names of threads, or `@FILE`.
    #[arg(long, conflicts_with = "real")]
    schedule: Option<String>,
    /// A run of real processes, in the order of their steps and with the time of each.
    #[arg(long)]
    real: bool,
    /// The page to write.
    #[arg(short, long, value_name = "PAGE")]
    output: PathBuf,
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(ended) => ended.report(),
    }
}

fn run(cli: Cli) -> Outcome {
    let dir = cli.dir.as_deref();
    match cli.command {
        Command::List => show::list(dir, cli.json),
        Command::Start { folder } => show::start(&folder, cli.json),
        Command::Show { which } => show::show(which.lab()?, cli.json),
        Command::Hint { which } => show::hint(which.lab()?, dir, cli.json),
        Command::Reveal { which } => show::reveal(which.lab()?, dir, cli.json),
        Command::Progress => show::progress(dir, cli.json),
        Command::Check { which, no_real } => check::check(&which, !no_real, dir, cli.json),
        Command::Run(args) => run::run(&args, dir, cli.json),
        Command::Step(args) => view::step(&args, dir),
        Command::Trace(args) => view::trace(&args, dir, cli.json),
        Command::Clean { loom } => tidy::clean(loom, cli.json),
        Command::Part => run::part(),
    }
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(|error| Ended::broken(error.to_string()))?;
    say!("{text}");
    Ok(exit::Exit::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_shows_what_is_understood() {
        let seen = halyard_book::understood::<Cli>("halyard-lab", Vec::new())
            .unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(seen > 50, "{seen} command lines");
    }
}
