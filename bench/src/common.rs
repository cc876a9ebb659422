//! What every measuring subcommand takes: how much is measured, where, how its threads wait, and how results come out.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

use crate::document::Document;
use crate::failure::{Failure, While as _};
use crate::place::{check_pins, other_core};
use crate::relay::Waiting;
use crate::results::Results;
use crate::{progress, table};

/// The options that measuring subcommands share.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    #[command(flatten)]
    effort: Effort,
    /// How threads wait, one or several strategies [default: what the subcommand says]
    #[arg(long, value_name = "HOW,…", value_delimiter = ',', value_enum)]
    wait: Vec<Waiting>,
    /// Processors to pin to, in turn; `auto`, the subcommand's own choice; or `no`, wherever the scheduler likes
    #[arg(long, value_name = "auto|no|CPU,…", default_value = "auto", value_parser = pins)]
    pin: Pins,
    #[command(flatten)]
    output: Output,
}

/// How much is measured.
#[derive(Args, Clone, Debug)]
pub(crate) struct Effort {
    /// Rounds. What is compared is measured in turn in every round; figures are medians over the rounds
    /// [default: 7]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// How long each measurement of a round takes, milliseconds, after a warm-up of a quarter of that
    /// [default: 300]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=600_000))]
    time: Option<u32>,
    /// Three rounds of 50 ms, and fewer cases where there are many: a look, not a result
    #[arg(long)]
    quick: bool,
}

/// How results come out.
#[derive(Args, Clone, Debug)]
pub(crate) struct Output {
    /// Print JSON instead of tables, with every round and the whole histograms; `report` and `compare` read it
    #[arg(long)]
    json: bool,
    /// Write the JSON to a file as well
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show no progress bar (none is shown anyway unless standard error is a terminal)
    #[arg(long)]
    no_progress: bool,
}

/// Where threads run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pins {
    /// The subcommand's own choice.
    Auto,
    /// Wherever the scheduler likes.
    No,
    /// On these processors, in turn.
    Cpus(Vec<usize>),
}

impl Pins {
    /// The processors, or `default` where none were named; empty for "do not pin".
    pub(crate) fn or(&self, default: &[usize]) -> Vec<usize> {
        match self {
            Self::Auto => default.to_vec(),
            Self::No => Vec::new(),
            Self::Cpus(cpus) => cpus.clone(),
        }
    }

    /// Where a server's broadcasters are to run: see [`Needs::pin`](crate::host::Needs::pin).
    pub(crate) fn of_server(&self) -> Option<Vec<usize>> {
        match self {
            Self::Auto => None,
            Self::No => Some(Vec::new()),
            Self::Cpus(cpus) => Some(cpus.clone()),
        }
    }

    /// For a pair that must stay on two processors: those named, or the first two of `cpus`.
    pub(crate) fn pair(&self, cpus: &[usize]) -> Result<[usize; 2], Failure> {
        let pair = match self {
            Self::Auto => other_core(cpus).ok_or_else(|| {
                Failure::usage(
                    "only one processor may be used: a pair on two has no meaning here (--pin 0,0 forces it)",
                )
            })?,
            Self::Cpus(cpus) if cpus.len() == 2 => [cpus[0], cpus[1]],
            _ => return Err(Failure::usage("--pin: two processors are needed here, such as --pin 0,1")),
        };
        check_pins(&pair, cpus)?;
        Ok(pair)
    }
}

fn pins(text: &str) -> Result<Pins, String> {
    let cpu = |part: &str| part.trim().parse().map_err(|_| format!("{part:?} is no processor number"));
    Ok(match text {
        "auto" => Pins::Auto,
        "no" => Pins::No,
        list => Pins::Cpus(list.split(',').map(cpu).collect::<Result<_, _>>()?),
    })
}

impl Common {
    pub(crate) fn rounds(&self) -> usize {
        self.effort.rounds()
    }

    /// The time of one measurement of one round.
    pub(crate) fn time(&self) -> Duration {
        self.effort.time()
    }

    /// Whether only a look is wanted.
    pub(crate) fn quick(&self) -> bool {
        self.effort.quick
    }

    /// The wait strategies asked for, or these.
    pub(crate) fn ways(&self, default: &[Waiting]) -> Vec<Waiting> {
        if self.wait.is_empty() { default.to_vec() } else { self.wait.clone() }
    }

    pub(crate) fn pins(&self) -> &Pins {
        &self.pin
    }

    /// A progress bar of `steps` steps.
    pub(crate) fn bar(&self, steps: usize) -> ProgressBar {
        self.output.bar(steps)
    }

    /// Prints the results, and saves them if that was asked for.
    pub(crate) fn finish(&self, results: Results) -> Result<(), Failure> {
        self.output.finish(results)
    }
}

impl Effort {
    fn rounds(&self) -> usize {
        usize::from(self.rounds.unwrap_or(if self.quick { 3 } else { 7 }))
    }

    fn time(&self) -> Duration {
        Duration::from_millis(u64::from(self.time.unwrap_or(if self.quick { 50 } else { 300 })))
    }
}

impl Output {
    /// A progress bar of `steps` steps.
    pub(crate) fn bar(&self, steps: usize) -> ProgressBar {
        if self.no_progress { ProgressBar::hidden() } else { progress::bar(steps as u64) }
    }

    /// Prints the results, and saves them if that was asked for.
    pub(crate) fn finish(&self, results: Results) -> Result<(), Failure> {
        self.deliver(&results.document(), table::render)
    }

    /// Prints `text` of the document or its JSON, and saves it if that was asked for.
    pub(crate) fn deliver(
        &self,
        document: &Document,
        text: impl FnOnce(&Document) -> String,
    ) -> Result<(), Failure> {
        if let Some(path) = &self.save {
            std::fs::write(path, document.to_json()).doing(format_args!("writing {}", path.display()))?;
        }
        crate::out(&if self.json { document.to_json() } else { text(document) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_a_choice_or_a_list() {
        assert_eq!(pins("auto"), Ok(Pins::Auto));
        assert_eq!(pins("no"), Ok(Pins::No));
        assert_eq!(pins("1, 0"), Ok(Pins::Cpus(vec![1, 0])));
        assert!(pins("x").is_err() && pins("").is_err() && pins("1,,2").is_err());
    }

    #[test]
    fn a_pair_needs_two_processors_that_are_there() {
        assert_eq!(Pins::Auto.pair(&[2, 5, 7]).unwrap(), [2, 5]);
        assert_eq!(Pins::Cpus(vec![7, 2]).pair(&[2, 5, 7]).unwrap(), [7, 2]);
        assert!(Pins::Auto.pair(&[2]).is_err() && Pins::No.pair(&[2, 5]).is_err());
        assert!(Pins::Cpus(vec![2]).pair(&[2, 5]).is_err());
        let why = Pins::Cpus(vec![2, 9]).pair(&[2, 5]).unwrap_err();
        assert!(why.to_string().contains('9'), "{why}");
    }
}
