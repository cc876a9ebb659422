//! The step and trace commands.

use std::env;
use std::io::{self, IsTerminal};
use std::path::Path;

use halyard_lab::real::{self, RealRun};
use halyard_lab::search::{Case, Seed, simulate};
use halyard_lab::stepper::{self, App};
use halyard_lab::trace::{self, write_page};
use serde_json::json;

use super::exit::{Ended, Exit, Outcome};
use super::out::say;
use super::script::{load, replay};
use super::{StepArgs, TraceArgs, print_json};

/// Steps that one page shows; more is too wide to look at.
const STEPS_MAX: usize = 2_000;

pub(super) fn trace(args: &TraceArgs, dir: Option<&Path>, json: bool) -> Outcome {
    let lab = args.which.lab()?;
    let loaded = load(lab, args.file.as_deref(), dir)?;
    let case = Case { program: &loaded.program, rules: loaded.rules, victim: loaded.victim };
    let (recording, how) = if args.real {
        let Some(task) = loaded.task.filter(|task| task.real) else {
            return Err(Ended::usage(format!(
                "{} cannot be run with real processes; leave --real out",
                loaded.name
            )));
        };
        let program = env::current_exe().map_err(|error| Ended::io("this program", &error))?;
        let run = RealRun {
            program,
            source: &loaded.source,
            given: task.given,
            seed: 1,
            kill: loaded.victim.map(|victim| (victim, 4)),
            traced: true,
        };
        let outcome = real::run(&run).map_err(|error| Ended::io("running real processes", &error))?;
        let ended = match outcome.violation {
            None => "all is done, as it should be".to_owned(),
            Some((rule, what)) => format!("violated: {rule}: {what}"),
        };
        let events = &outcome.events[..outcome.events.len().min(STEPS_MAX)];
        (trace::with_processes(&loaded.program, events, ended), "real processes".to_owned())
    } else {
        let seed = replay(&loaded.program, args.seed.as_deref(), args.schedule.as_deref())?;
        let seed = seed.unwrap_or(Seed::Number(1));
        let run = simulate(&case, &seed, STEPS_MAX);
        let how = match &seed {
            Seed::Number(number) => format!("seed {number}"),
            Seed::Schedule(_) => "a schedule".to_owned(),
        };
        (trace::simulated(&case, &run.schedule), how)
    };
    let title = format!("Lab {}, {}: {how}", lab.number, loaded.name);
    write_page(&args.output, &title, &recording).map_err(|error| Ended::io(args.output.display(), &error))?;
    if json {
        return print_json(
            &json!({"page": args.output, "steps": recording.steps.len(), "ended": recording.ended}),
        );
    }
    say!("{}: {} steps; {}", args.output.display(), recording.steps.len(), recording.ended);
    Ok(Exit::Passed)
}

pub(super) fn step(args: &StepArgs, dir: Option<&Path>) -> Outcome {
    let lab = args.which.lab()?;
    let loaded = load(lab, args.file.as_deref(), dir)?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Ended::usage(
            "the stepper needs a terminal; `halyard-lab run N --seed S` tells the same run as text",
        ));
    }
    let plan = match replay(&loaded.program, args.seed.as_deref(), args.schedule.as_deref())? {
        Some(seed) => {
            let case = Case { program: &loaded.program, rules: loaded.rules, victim: loaded.victim };
            simulate(&case, &seed, STEPS_MAX).schedule
        }
        None => Vec::new(),
    };
    let title = format!("Lab {}: {}, {}", lab.number, lab.title, loaded.name);
    let app = App::new(&title, &loaded.source, loaded.program, loaded.rules, loaded.victim, plan)
        .map_err(Ended::usage)?;
    stepper::run(app).map_err(|error| Ended::io("the terminal", &error))?;
    Ok(Exit::Passed)
}
