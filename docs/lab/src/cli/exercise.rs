//! The run command for the Rust exercises.

use std::path::Path;

use halyard_lab::exercise;
use halyard_lab::labs::Lab;
use serde_json::json;

use super::answers::Answers;
use super::exit::{Ended, Exit, Outcome};
use super::out::say;
use super::{RunArgs, print_json};

/// Compiles the student's file and shows what it does; nothing is judged.
pub(super) fn run(
    lab: &Lab,
    file: &str,
    harness: &str,
    args: &RunArgs,
    dir: Option<&Path>,
    json: bool,
) -> Outcome {
    for (given, option) in [
        (args.rounds.is_some(), "--rounds"),
        (args.processes.is_some(), "--processes"),
        (args.kill.is_some(), "--kill"),
    ] {
        if given {
            let what =
                format!("lab {} is a Rust exercise, and {option} is for scripts; leave it out", lab.number);
            return Err(Ended::usage(what));
        }
    }
    let seed = match &args.seed {
        None => 1,
        Some(seed) => seed.parse().map_err(|_| {
            Ended::usage(format!("`{seed}` is no seed of lab {}: it takes a number", lab.number))
        })?,
    };
    let path = Answers::find(dir)?.home(lab).join(file);
    if !path.is_file() {
        return Err(Ended::no_answers(format!("{} is not there", path.display())));
    }
    let shown = exercise::run(harness, &path, seed).map_err(|error| Ended::broken(error.to_string()))?;
    match shown {
        Ok(lines) => {
            if json {
                return print_json(&json!({"lab": lab.number, "file": file, "seed": seed, "shown": lines}));
            }
            say!("{}", lines.join("\n"));
            say!("\nNext: halyard-lab hint {0}, or change {file} and check {0}", lab.number);
            Ok(Exit::Passed)
        }
        Err(problem) => {
            if json {
                print_json(&json!({"lab": lab.number, "file": file, "seed": seed, "problem": problem}))?;
            } else {
                say!("{}: {}\n-> {}", problem.rule, problem.what, problem.advice);
            }
            Ok(Exit::Failed)
        }
    }
}
