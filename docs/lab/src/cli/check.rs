//! The check command.

use std::env;
use std::path::Path;

use halyard_lab::labs::{self, Answer, FileReport, LABS, Lab, Problem, Report};
use halyard_lab::real::{self, RealRun};

use super::answers::Answers;
use super::exit::{Ended, Exit, Outcome};
use super::out::{paragraph, say};
use super::{find_lab, print_json};

/// Runs with real processes that a script must pass when the simulator has let it pass.
const REAL_ROUNDS: u64 = 3;

pub(super) fn check(which: &str, real: bool, dir: Option<&Path>, json: bool) -> Outcome {
    let labs: Vec<&'static Lab> = match which {
        "all" => LABS.iter().collect(),
        number => {
            let number = number
                .parse()
                .map_err(|_| Ended::usage(format!("`{number}` is no lab: give its number, or all")))?;
            vec![find_lab(number)?]
        }
    };
    let mut answers = Answers::find(dir)?;
    let program = env::current_exe().map_err(|error| Ended::io("this program", &error))?;
    let mut reports = Vec::new();
    for lab in labs {
        let report = labs::check(lab, &answers.home(lab), |file, source, report| match &file.kind {
            Answer::Script(task) if real && task.real => {
                let run = RealRun {
                    program: program.clone(),
                    source,
                    given: task.given_real,
                    seed: 0,
                    kill: None,
                    traced: false,
                };
                with_processes(run, task.victim.is_some(), report);
            }
            _ => {}
        });
        let passed = report.passed;
        answers.note(lab, |done| {
            done.attempts += 1;
            done.passed = passed;
        })?;
        if !json {
            print(&report);
        }
        reports.push(report);
    }
    let passed = reports.iter().all(|report| report.passed);
    if json {
        match (which, reports.as_slice()) {
            ("all", all) => print_json(&all)?,
            (_, one) => print_json(&one.first())?,
        };
    }
    Ok(if passed { Exit::Passed } else { Exit::Failed })
}

/// Lets real processes have a go. The simulator has seen every interleaving by now, so what fails here is either a
/// step that the real world does not have, or a defect of the lab itself.
fn with_processes(mut run: RealRun<'_>, kills: bool, report: &mut FileReport) {
    let mut put = 0;
    for round in 1..=REAL_ROUNDS {
        run.seed = round;
        // The victim is killed at another step each time.
        run.kill = kills.then(|| (0, 2 * round as u32));
        match real::run(&run) {
            Ok(outcome) if outcome.given_up => {
                report
                    .notes
                    .push("a run of real processes did not come to an end and was given up".to_owned());
            }
            Ok(outcome) => {
                put += outcome.put;
                if let Some((rule, what)) = outcome.violation {
                    report.problem = Some(Problem {
                        rule,
                        what: format!("with real processes: {what}"),
                        advice: "halyard-lab run shows what each process did".to_owned(),
                        ..Problem::default()
                    });
                    return;
                }
            }
            Err(error) => {
                report.notes.push(format!("real processes could not be tried: {error}"));
                return;
            }
        }
    }
    let killed = if kills { ", one killed in each" } else { "" };
    report.notes.push(format!(
        "{REAL_ROUNDS} runs with real processes{killed}: {put} items put, all as it should be"
    ));
}

fn print(report: &Report) {
    let verdict = if report.passed { "PASS" } else { "FAIL" };
    say!("{verdict}  lab {}: {}", report.lab, report.title);
    for file in &report.files {
        let mark = if file.passed { "ok  " } else { "FAIL" };
        say!("  {mark}  {}", file.file);
        if let Some(problem) = &file.problem {
            print_problem(report.lab, file.file, problem);
        }
        for note in &file.notes {
            say!("        {note}");
        }
    }
    if report.passed {
        say!("        why it is right, and what else there is to know: halyard-lab reveal {}", report.lab);
    }
}

fn print_problem(lab: usize, file: &str, problem: &Problem) {
    let place = match (problem.line, problem.column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    };
    say!("        violated: {}", problem.rule);
    // What rustc says has lines of its own.
    if problem.what.contains('\n') {
        say!("        {place}{}", problem.what);
    } else {
        paragraph("        ", &format!("{place}{}", problem.what));
    }
    if !problem.advice.is_empty() {
        paragraph("        -> ", &problem.advice);
    }
    if problem.steps == Some(0) {
        say!("        it is so from the start, whoever moves:  halyard-lab step {lab} --file {file}");
    } else if let (Some(steps), Some(schedule)) = (problem.steps, &problem.schedule) {
        say!("        shortest way there, {steps} step{}: {schedule}", if steps == 1 { "" } else { "s" });
        say!("        see it:  halyard-lab step {lab} --file {file} --schedule '{schedule}'");
    }
    if let Some(seed) = &problem.seed {
        say!("        replay:  halyard-lab run {lab} --file {file} --seed {seed}");
    }
}
