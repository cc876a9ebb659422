//! The run command, and the part of a process that it starts.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read};
use std::path::Path;

use halyard_lab::labs::{Answer, Lab};
use halyard_lab::machine::Actor;
use halyard_lab::real::{self, Outcome as Real, Part, RealRun, meet};
use halyard_lab::search::{Case, Ended as RunEnded, Seed, simulate};
use halyard_lab::trace;
use serde::Serialize;
use serde_json::json;

use super::exit::{Ended, Exit, Outcome};
use super::out::say;
use super::script::{Loaded, choose, load, replay};
use super::{RunArgs, exercise, print_json};

/// Steps of a simulated run.
const STEPS_MAX: usize = 5_000;

pub(super) fn run(args: &RunArgs, dir: Option<&Path>, json: bool) -> Outcome {
    let lab = args.which.lab()?;
    let file = choose(lab, args.file.as_deref())?;
    if let Answer::Rust { harness } = &file.kind {
        return exercise::run(lab, file.name, harness, args, dir, json);
    }
    let (rounds, processes) = (args.rounds.unwrap_or(1000), args.processes.unwrap_or(5));
    let loaded = load(lab, args.file.as_deref(), dir)?;
    if let Some(seed) = replay(&loaded.program, args.seed.as_deref(), None)? {
        return tell(&loaded, &seed, json);
    }
    let simulated = many(&loaded, rounds);
    let mut real = Vec::new();
    if let Some(task) = loaded.task.filter(|task| task.real && processes > 0) {
        let program = env::current_exe().map_err(|error| Ended::io("this program", &error))?;
        for round in 1..=processes {
            let kill = match (loaded.victim, args.kill) {
                (Some(victim), Some(step)) => Some((victim, step)),
                (Some(victim), None) => Some((victim, round as u32)),
                (None, Some(_)) => {
                    return Err(Ended::usage(format!("nobody is to be killed in lab {}", lab.number)));
                }
                (None, None) => None,
            };
            let run = RealRun {
                program: program.clone(),
                source: &loaded.source,
                given: task.given_real,
                seed: round,
                kill,
                traced: false,
            };
            real.push(real::run(&run).map_err(|error| Ended::io("running real processes", &error))?);
        }
    }
    let meeting = match lab.number {
        5 => {
            let program = env::current_exe().map_err(|error| Ended::io("this program", &error))?;
            meet::show(&program).map_err(|error| Ended::io("meeting shared_memory and raw_sync", &error))?
        }
        _ => Vec::new(),
    };
    if json {
        return print_json(&json!({"lab": lab.number, "file": loaded.name, "simulator": simulated,
                                  "processes": real, "crates": meeting}));
    }
    print_simulated(lab, &loaded, &simulated);
    print_real(&real);
    if loaded.task.is_some_and(|task| !task.real) {
        say!("\nNo real processes: priorities are for root alone (see sched(7)).");
    }
    if !meeting.is_empty() {
        say!("\nThe crates, and a killed holder");
        for shown in meeting {
            say!("  {}\n      {}", shown.what, shown.result);
        }
    }
    say!("\nNext: halyard-lab hint {0}, or change {1} and check {0}", lab.number, loaded.name);
    Ok(Exit::Passed)
}

/// What many runs came to.
#[derive(Debug, Default, Serialize)]
struct Simulated {
    runs: u64,
    well: u64,
    early: u64,
    /// For each rule: how often, the first seed, and what happened there.
    bad: BTreeMap<&'static str, Bad>,
}

#[derive(Debug, Serialize)]
struct Bad {
    times: u64,
    seed: u64,
    what: String,
}

fn many(loaded: &Loaded, rounds: u64) -> Simulated {
    let case = Case { program: &loaded.program, rules: loaded.rules, victim: loaded.victim };
    let mut simulated = Simulated { runs: rounds, ..Simulated::default() };
    for seed in 1..=rounds {
        match simulate(&case, &Seed::Number(seed), STEPS_MAX).ended {
            RunEnded::Well => simulated.well += 1,
            RunEnded::Early => simulated.early += 1,
            RunEnded::Badly(violation) => {
                let first = || Bad { times: 0, seed, what: violation.what.clone() };
                simulated.bad.entry(violation.rule).or_insert_with(first).times += 1;
            }
        }
    }
    simulated
}

fn print_simulated(lab: &Lab, loaded: &Loaded, simulated: &Simulated) {
    say!("In the simulator, {} runs of {} by seeds 1 to {0}:", simulated.runs, loaded.name);
    say!("  {:>6}  ended well", simulated.well);
    if simulated.early > 0 {
        say!("  {:>6}  went on and on, {STEPS_MAX} steps and more", simulated.early);
    }
    for (rule, bad) in &simulated.bad {
        say!("  {:>6}  {rule}: {}", bad.times, bad.what);
        say!(
            "          the first: halyard-lab run {} --file {} --seed {}",
            lab.number,
            loaded.name,
            bad.seed
        );
    }
}

fn print_real(rounds: &[Real]) {
    if rounds.is_empty() {
        return;
    }
    say!("\nWith real processes, named semaphores and shared memory:");
    for (index, outcome) in rounds.iter().enumerate() {
        let verdict = match &outcome.violation {
            None if outcome.given_up => "did not come to an end and was given up".to_owned(),
            None => "as it should be".to_owned(),
            Some((rule, what)) => format!("{rule}: {what}"),
        };
        let killed = outcome.killed.as_ref().map_or_else(String::new, |who| format!(", {who} killed"));
        say!(
            "  run {}: {} put, {} arrived, {} lost, {} doubled{killed}; {verdict}",
            index + 1,
            outcome.put,
            outcome.arrived,
            outcome.lost.len(),
            outcome.doubled.len()
        );
    }
}

/// One run, step by step.
fn tell(loaded: &Loaded, seed: &Seed, json: bool) -> Outcome {
    let case = Case { program: &loaded.program, rules: loaded.rules, victim: loaded.victim };
    let run = simulate(&case, seed, STEPS_MAX);
    let recorded = trace::simulated(&case, &run.schedule);
    let (ended, exit) = match &run.ended {
        RunEnded::Well => ("all is done, and every rule held".to_owned(), Exit::Passed),
        RunEnded::Early => (
            "the run is not at its end: the schedule is used up, names somebody who cannot move, or goes on and on"
                .to_owned(),
            Exit::Passed,
        ),
        RunEnded::Badly(violation) => (format!("violated: {}: {}", violation.rule, violation.what), Exit::Failed),
    };
    if json {
        print_json(&json!({"file": loaded.name, "seed": seed.to_string(), "ended": ended,
                           "steps": recorded.steps}))?;
        return Ok(exit);
    }
    let width = loaded.program.threads.iter().map(|thread| thread.name.len()).max().unwrap_or(0);
    for (index, step) in recorded.steps.iter().enumerate() {
        let who = match run.schedule.get(index) {
            Some(Actor::Flush(_)) => format!("~{}", step.name),
            Some(Actor::Kill(_)) => format!("!{}", step.name),
            _ => step.name.clone(),
        };
        let line = step.line.map_or_else(String::new, |line| format!("line {line}"));
        say!("{:>4}  {who:<width$}  {line:<8}  {}", index + 1, step.did, width = width + 1);
    }
    say!("{ended}");
    Ok(exit)
}

/// Plays the part that standard input describes.
pub(super) fn part() -> Outcome {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| Ended::io("standard input", &error))?;
    if let Some(id) = text.strip_prefix("meet ") {
        meet::take_and_die(id.trim()).map_err(|error| Ended::io("the shared memory", &error))?;
        return Ok(Exit::Passed);
    }
    let part: Part = serde_json::from_str(&text).map_err(|error| {
        Ended::usage(format!(
            "`part` is started by `run` and `check`, with what to do on its standard input ({error})"
        ))
    })?;
    real::play(&part).map_err(|error| Ended::io("a process of a run", &error))?;
    Ok(Exit::Passed)
}
