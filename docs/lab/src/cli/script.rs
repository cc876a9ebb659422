//! A student's script, read for running, stepping or tracing.

use std::fs;
use std::path::{Path, PathBuf};

use halyard_lab::labs::{Answer, AnswerFile, Lab, ScriptTask};
use halyard_lab::rules::Rule;
use halyard_lab::script::{Given, Program, compile};
use halyard_lab::search::{Seed, parse};

use super::answers::Answers;
use super::exit::Ended;

/// A script that can be run.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) name: &'static str,
    pub(super) source: String,
    pub(super) program: Program,
    pub(super) rules: &'static [Rule],
    pub(super) victim: Option<usize>,
    /// What it is a file of; `None` for a script that only a schedule is for.
    pub(super) task: Option<&'static ScriptTask>,
}

/// The file of that name, or the lab's first script.
pub(super) fn choose(lab: &'static Lab, name: Option<&str>) -> Result<&'static AnswerFile, Ended> {
    let Some(name) = name else { return Ok(&lab.files[0]) };
    lab.files.iter().find(|file| file.name == name).ok_or_else(|| {
        let names: Vec<_> = lab.files.iter().map(|file| file.name).collect();
        Ended::usage(format!("lab {} has no file {name}; it has: {}", lab.number, names.join(", ")))
    })
}

pub(super) fn load(lab: &'static Lab, name: Option<&str>, dir: Option<&Path>) -> Result<Loaded, Ended> {
    let file = choose(lab, name)?;
    let (source, given, rules, task): (String, Given<'_>, _, _) = match &file.kind {
        Answer::Script(task) => {
            let path = Answers::find(dir)?.home(lab).join(file.name);
            (read(&path)?, task.given, task.rules, Some(task))
        }
        Answer::Schedule { source, given, .. } => ((*source).to_owned(), *given, &[], None),
        Answer::Rust { .. } => {
            return Err(Ended::usage(format!(
                "{0} is a Rust exercise, without steps of a script to go through; `halyard-lab run {1}` shows what it does, \
                 `halyard-lab check {1}` judges it",
                file.name, lab.number
            )));
        }
    };
    let name = match &file.kind {
        Answer::Schedule { of, .. } => of,
        _ => file.name,
    };
    let program = compile(&source, given).map_err(|error| Ended::usage(error.show(name, &source)))?;
    let victim = task.and_then(|task| task.victim_in(&program));
    Ok(Loaded { name, source, program, rules, victim, task })
}

pub(super) fn read(path: &PathBuf) -> Result<String, Ended> {
    fs::read_to_string(path).map_err(|error| Ended::no_answers(format!("{}: {error}", path.display())))
}

/// What `--seed` and `--schedule` stand for.
pub(super) fn replay(
    program: &Program,
    seed: Option<&str>,
    schedule: Option<&str>,
) -> Result<Option<Seed>, Ended> {
    let bad = |error: halyard_lab::search::BadSchedule| Ended::usage(error.to_string());
    match (seed, schedule) {
        (Some(seed), _) => seed.parse().map(Some).map_err(bad),
        (None, Some(schedule)) => {
            let text = match schedule.strip_prefix('@') {
                Some(path) => read(&path.into())?,
                None => schedule.to_owned(),
            };
            parse(program, &text).map(Seed::Schedule).map(Some).map_err(bad)
        }
        (None, None) => Ok(None),
    }
}
