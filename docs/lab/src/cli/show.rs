//! Commands that only tell: list, show, hint, reveal, progress; and start.

use std::path::Path;

use halyard_lab::labs::{Answer, LABS, Lab};
use serde_json::json;

use super::answers::Answers;
use super::exit::{Ended, Exit, Outcome};
use super::out::say;
use super::print_json;

pub(super) fn list(dir: Option<&Path>, json: bool) -> Outcome {
    // The list is there without a folder, too.
    let answers = Answers::find(dir).ok();
    let rows: Vec<_> = LABS
        .iter()
        .map(|lab| {
            let done = answers.as_ref().map(|answers| answers.done(lab)).unwrap_or_default();
            (lab, done)
        })
        .collect();
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(lab, done)| {
                let files: Vec<_> = lab.files.iter().map(|file| file.name).collect();
                json!({"lab": lab.number, "title": lab.title, "folder": lab.folder, "files": files,
                       "passed": done.passed, "attempts": done.attempts})
            })
            .collect();
        return print_json(&rows);
    }
    for (lab, done) in rows {
        let mark = match (done.passed, done.attempts) {
            (true, _) => "PASS",
            (false, 0) => "    ",
            (false, _) => "open",
        };
        let files: Vec<_> = lab.files.iter().map(|file| file.name).collect();
        say!("{:>2}  {mark}  {:<28} {}", lab.number, lab.title, files.join(", "));
    }
    Ok(Exit::Passed)
}

pub(super) fn start(folder: &Path, json: bool) -> Outcome {
    let made = Answers::start(folder)?;
    if json {
        return print_json(&json!({"folder": folder, "files": made}));
    }
    say!("{} files in {}. Now:", made.len(), folder.display());
    say!("  cd {}", folder.display());
    say!("  halyard-lab show 1");
    Ok(Exit::Passed)
}

pub(super) fn show(lab: &'static Lab, json: bool) -> Outcome {
    if json {
        let files: Vec<_> = lab
            .files
            .iter()
            .map(|file| {
                let (kind, promises) = match &file.kind {
                    Answer::Script(task) => {
                        ("script", task.rules.iter().map(|rule| (rule.id(), rule.promise())).collect())
                    }
                    Answer::Schedule { .. } => ("schedule", Vec::new()),
                    Answer::Rust { .. } => ("rust", Vec::new()),
                };
                json!({"name": file.name, "kind": kind, "promises": promises})
            })
            .collect();
        return print_json(&json!({"lab": lab.number, "title": lab.title, "task": lab.task, "files": files}));
    }
    say!("Lab {}: {}   (answers in {})\n\n{}", lab.number, lab.title, lab.folder, lab.task.trim_end());
    for file in lab.files {
        match &file.kind {
            Answer::Script(task) => {
                say!("\n{} must keep, in every interleaving:", file.name);
                for rule in task.rules {
                    say!("  {:<14} {}", rule.id(), rule.promise());
                }
                if let Some(victim) = task.victim {
                    say!("  {victim} may be killed at any step");
                }
                let given: Vec<_> =
                    task.given.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                if !given.is_empty() {
                    say!("  given: {}", given.join(", "));
                }
            }
            Answer::Rust { .. } => say!("\n{} is a Rust file; its head says what it must do.", file.name),
            Answer::Schedule { of, source, .. } => {
                say!("\n{}: who moves in {of}, step by step. {of} is:\n", file.name);
                for line in source.lines().filter(|line| !line.starts_with('#')) {
                    say!("    {line}");
                }
            }
        }
    }
    let rust = lab.files.iter().all(|file| matches!(file.kind, Answer::Rust { .. }));
    let step = if rust { String::new() } else { format!("step {}, ", lab.number) };
    say!("\nNext: halyard-lab run {0}, {step}check {0}, hint {0}", lab.number);
    Ok(Exit::Passed)
}

pub(super) fn hint(lab: &'static Lab, dir: Option<&Path>, json: bool) -> Outcome {
    let mut answers = Answers::find(dir)?;
    let given = answers.done(lab).hints;
    let mut shown = given + 1;
    while shown > 1 && lab.hint(shown - 1).is_none() {
        shown -= 1;
    }
    answers.note(lab, |done| done.hints = shown)?;
    let hints: Vec<_> = (0..shown).filter_map(|step| lab.hint(step)).collect();
    if json {
        return print_json(&json!({"lab": lab.number, "hints": hints}));
    }
    for (index, hint) in hints.iter().enumerate() {
        say!("Hint {} of 3\n{hint}\n", index + 1);
    }
    if lab.hint(shown).is_none() {
        say!("There are no more. After an attempt, `halyard-lab reveal {}` explains it all.", lab.number);
    }
    Ok(Exit::Passed)
}

pub(super) fn reveal(lab: &'static Lab, dir: Option<&Path>, json: bool) -> Outcome {
    let mut answers = Answers::find(dir)?;
    if answers.done(lab).attempts == 0 {
        return Err(Ended::usage(format!(
            "try first: `halyard-lab check {0}` counts as an attempt. Stuck? `halyard-lab hint {0}`",
            lab.number
        )));
    }
    answers.note(lab, |done| done.revealed = true)?;
    if json {
        return print_json(&json!({"lab": lab.number, "explanation": lab.explanation}));
    }
    say!("Lab {}: {}\n\n{}", lab.number, lab.title, lab.explanation.trim_end());
    Ok(Exit::Passed)
}

pub(super) fn progress(dir: Option<&Path>, json: bool) -> Outcome {
    let answers = Answers::find(dir)?;
    let rows: Vec<_> = LABS.iter().map(|lab| (lab, answers.done(lab))).collect();
    let passed = rows.iter().filter(|(_, done)| done.passed).count();
    if json {
        let labs: Vec<_> = rows
            .iter()
            .map(|(lab, done)| {
                json!({"lab": lab.number, "title": lab.title, "passed": done.passed, "attempts": done.attempts,
                       "hints": done.hints, "revealed": done.revealed})
            })
            .collect();
        return print_json(
            &json!({"folder": answers.folder, "passed": passed, "of": LABS.len(), "labs": labs}),
        );
    }
    say!("{passed} of {} passed, in {}", LABS.len(), answers.folder.display());
    for (lab, done) in rows {
        let state = if done.passed { "PASS" } else { "" };
        let mut notes = Vec::new();
        match done.attempts {
            0 => {}
            1 => notes.push("1 attempt".to_owned()),
            attempts => notes.push(format!("{attempts} attempts")),
        }
        if done.hints > 0 {
            notes.push(format!("hint {}", done.hints));
        }
        if done.revealed {
            notes.push("revealed".to_owned());
        }
        say!("{:>2}  {state:<4}  {:<28} {}", lab.number, lab.title, notes.join(", "));
    }
    Ok(Exit::Passed)
}
