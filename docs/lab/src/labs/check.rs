//! Judges what a student handed in.

use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::advice::Advice;
use super::shape::in_turns;
use super::{Answer, AnswerFile, Lab, ScriptTask};
use crate::exercise;
use crate::machine::{Blocked, State};
use crate::rules::{self, Violation};
use crate::script::{self, Program, ScriptError};
use crate::search::{self, Case, Ended, Seed};

/// States that an exhaustive search may hold. The labs' own answers need far fewer; what needs more is searched at
/// random beyond.
const STATES_MAX: usize = 600_000;
/// Random runs in search of a seed, or beyond a search that did not come to its end.
const SEEDS_MAX: u64 = 5_000;
/// Steps of a random run.
pub(crate) const STEPS_MAX: usize = 5_000;

/// What a check came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The lab's number.
    pub lab: usize,
    /// Its title.
    pub title: &'static str,
    /// Whether all of its files pass.
    pub passed: bool,
    /// Each file.
    pub files: Vec<FileReport>,
}

/// What became of one file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileReport {
    /// Its name.
    pub file: &'static str,
    /// Whether it passes.
    pub passed: bool,
    /// What is wrong with it.
    pub problem: Option<Problem>,
    /// What was looked at, and what was found to be worth a remark.
    pub notes: Vec<String>,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Problem {
    /// The rule that was violated; `script` for what cannot be read, `missing`, `build`.
    pub rule: String,
    /// What happened.
    pub what: String,
    /// Where it points.
    pub advice: String,
    /// The line of the file, if there is one.
    pub line: Option<u32>,
    /// The column, for what cannot be read.
    pub column: Option<u32>,
    /// What replays it: `--seed`.
    pub seed: Option<String>,
    /// The shortest way to it: `--schedule`.
    pub schedule: Option<String>,
    /// How many steps that has.
    pub steps: Option<usize>,
}

impl Problem {
    pub(crate) fn new(rule: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), what: what.into(), advice: advice.into(), ..Self::default() }
    }
}

/// The result of looking at a script in every way that the simulator has.
#[derive(Debug)]
pub struct ScriptCheck {
    /// The program, if it could be read.
    pub program: Option<Program>,
    /// What is wrong.
    pub problem: Option<Problem>,
    /// What was looked at.
    pub notes: Vec<String>,
}

/// Judges the answers in `folder`, the student's folder of this lab. `judge` does what needs more than the simulator:
/// real processes.
pub fn check(
    lab: &'static Lab,
    folder: &Path,
    mut judge: impl FnMut(&'static AnswerFile, &str, &mut FileReport),
) -> Report {
    let mut files = Vec::new();
    for answer in lab.files {
        let mut report = FileReport { file: answer.name, ..FileReport::default() };
        let path = folder.join(answer.name);
        match read(&path) {
            Err(problem) => report.problem = Some(*problem),
            Ok(source) => {
                match &answer.kind {
                    Answer::Script(task) => {
                        let checked = check_script(answer, task, &source);
                        report.problem = checked.problem;
                        report.notes = checked.notes;
                    }
                    Answer::Schedule { of, source: script, given } => {
                        report.problem = check_schedule(of, script, given, &source);
                    }
                    Answer::Rust { harness } => match exercise::check(harness, &path) {
                        Ok(verdict) => {
                            report.problem = verdict.problem;
                            report.notes = verdict.notes;
                        }
                        Err(error) => report.problem = Some(Problem::new("build", error.to_string(), "")),
                    },
                }
                if report.problem.is_none() {
                    judge(answer, &source, &mut report);
                }
            }
        }
        report.passed = report.problem.is_none();
        files.push(report);
    }
    Report { lab: lab.number, title: lab.title, passed: files.iter().all(|file| file.passed), files }
}

/// Text files of answers are small; something else lies there if one is not.
const ANSWER_MAX: u64 = 1 << 20;

fn read(path: &Path) -> Result<String, Box<Problem>> {
    let shown = path.display();
    let restore = "put the answer there, or get the starter back with `halyard-lab start` in another folder";
    match fs::metadata(path) {
        Ok(meta) if meta.len() > ANSWER_MAX => {
            let what = format!("{shown} has {} bytes; an answer has at most {ANSWER_MAX}", meta.len());
            return Err(Box::new(Problem::new("missing", what, restore)));
        }
        _ => {}
    }
    fs::read_to_string(path).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!("{shown} is not there"),
            io::ErrorKind::InvalidData => format!("{shown} is not text (UTF-8)"),
            _ => format!("{shown} cannot be read: {error}"),
        };
        Box::new(Problem::new("missing", what, restore))
    })
}

fn unreadable(error: &ScriptError) -> Problem {
    Problem {
        line: Some(error.at.line),
        column: Some(error.at.column),
        ..Problem::new("script", error.what.clone(), error.help.clone())
    }
}

/// Checks a script: its shape, every interleaving, and what its lab asks for besides.
#[must_use]
pub fn check_script(answer: &AnswerFile, task: &ScriptTask, source: &str) -> ScriptCheck {
    let program = match script::compile(source, task.given) {
        Ok(program) => program,
        Err(error) => {
            return ScriptCheck { program: None, problem: Some(unreadable(&error)), notes: Vec::new() };
        }
    };
    let mut notes = Vec::new();
    let problem = judge(answer, task, &program, &mut notes);
    ScriptCheck { program: Some(program), problem, notes }
}

fn judge(
    answer: &AnswerFile,
    task: &ScriptTask,
    program: &Program,
    notes: &mut Vec<String>,
) -> Option<Problem> {
    let advised = |violation: &Violation| Problem {
        line: violation.line,
        ..Problem::new(violation.rule, violation.what.clone(), Advice::of(answer.advice, program, violation))
    };
    if let Some(violation) = task.shape.check(program) {
        return Some(advised(&violation));
    }
    let case = Case { program, rules: task.rules, victim: task.victim_in(program) };
    let explored = search::explore(&case, STATES_MAX);
    if let Some((violation, way)) = explored.violation {
        notes.push(format!("{} states looked at until then", explored.states));
        let seed = seed_for(&case, &violation).unwrap_or(Seed::Schedule(way.clone()));
        let mut problem = advised(&violation);
        problem.seed = Some(seed.to_string());
        problem.steps = Some(way.len());
        problem.schedule = Some(search::write(program, &way));
        return Some(problem);
    }
    if explored.complete {
        notes.push(format!("every interleaving was looked at: {} states", explored.states));
    } else {
        notes.push(format!(
            "the first {} states were looked at, and {SEEDS_MAX} random runs",
            explored.states
        ));
        for number in 1..=SEEDS_MAX {
            let run = search::simulate(&case, &Seed::Number(number), STEPS_MAX);
            if let Ended::Badly(violation) = run.ended {
                let mut problem = advised(&violation);
                problem.seed = Some(number.to_string());
                problem.steps = Some(run.schedule.len());
                return Some(problem);
            }
        }
    }
    if let Some(violation) = task.extra.and_then(|extra| extra(&case)) {
        return Some(advised(&violation));
    }
    if let Some(violation) = quota(task, &case) {
        return Some(advised(&violation));
    }
    if task.shape.locks || program.mutexes.len() == 1 {
        notes.push(queues(&case));
    }
    None
}

impl ScriptTask {
    /// The thread that may be killed.
    #[must_use]
    pub fn victim_in(&self, program: &Program) -> Option<usize> {
        let victim = self.victim?;
        program.threads.iter().position(|thread| thread.name == victim)
    }
}

/// A seed whose run ends in the same violation.
fn seed_for(case: &Case<'_>, violation: &Violation) -> Option<Seed> {
    // A run that goes on for ever is not seen to do so in any number of steps.
    if violation.rule == "livelock" {
        return None;
    }
    (1..=SEEDS_MAX).map(Seed::Number).find(|seed| {
        let run = search::simulate(case, seed, STEPS_MAX);
        matches!(run.ended, Ended::Badly(found) if found.rule == violation.rule)
    })
}

/// Whether each thread puts what it is there to put, when nobody is killed.
fn quota(task: &ScriptTask, case: &Case<'_>) -> Option<Violation> {
    let case = Case { victim: None, ..*case };
    let mut last: Option<State> = None;
    in_turns(&case, |state, _, _| last = Some(state.clone()));
    let state = last?;
    (0..case.program.threads.len())
        .find_map(|who| task.shape.quota(case.program, who, state.threads[who].items_put()))
}

/// How many stood before a mutex, when all take turns.
fn queues(case: &Case<'_>) -> String {
    let (mut longest, mut waited) = (0, 0);
    in_turns(&Case { victim: None, ..*case }, |state, _, _| {
        let all = 0..case.program.threads.len();
        let queue =
            all.filter(|who| matches!(state.blocked(case.program, *who), Some(Blocked::Mutex(_)))).count();
        longest = longest.max(queue);
        waited += queue;
    });
    let threads = if longest == 1 { "thread" } else { "threads" };
    format!("taking turns, at most {longest} {threads} stood before the mutex, for {waited} steps in all")
}

fn check_schedule(of: &str, source: &str, given: script::Given<'_>, text: &str) -> Option<Problem> {
    let program = match script::compile(source, given) {
        Ok(program) => program,
        Err(error) => return Some(unreadable(&error)),
    };
    let schedule = match search::parse(&program, text) {
        Ok(schedule) => schedule,
        Err(bad) => {
            return Some(Problem::new("schedule", bad.to_string(), "a schedule is a list of thread names"));
        }
    };
    let case = Case { program: &program, rules: &[], victim: None };
    let mut state = match case.start() {
        Ok(state) => state,
        Err(violation) => return Some(Problem::new("schedule", violation.what, "")),
    };
    for (index, actor) in schedule.iter().enumerate() {
        if !case.choices(&state).contains(actor) {
            let why = actor.thread().map_or_else(String::new, |who| match state.blocked(&program, who) {
                Some(blocked) => rules::waits(&program, &state, who, blocked),
                None => format!("{} has ended", program.threads[who].name),
            });
            let what = format!("step {} of the schedule cannot be done in {of}: {why}", index + 1);
            let advice =
                "who waits cannot move there: name only threads that can go on, and stop when nobody can";
            return Some(Problem::new("schedule", what, advice));
        }
        if let Err(violation) = case.advance(&mut state, *actor) {
            return Some(Problem::new("schedule", violation.what, ""));
        }
    }
    let choices = case.choices(&state);
    if state.is_over(&program) {
        let what = format!("after {} steps all threads of {of} have ended well", schedule.len());
        return Some(Problem::new(
            "schedule",
            what,
            "let the consumer in earlier: what does it hold while it waits?",
        ));
    }
    if !choices.is_empty() {
        let names: Vec<&str> = choices
            .iter()
            .filter_map(|actor| actor.thread())
            .map(|who| program.threads[who].name.as_str())
            .collect();
        let what = format!("after {} steps of {of}, {} can still go on", schedule.len(), names.join(" and "));
        let advice = "a deadlock is when nobody can: who must hold the mutex while it waits for a token?";
        return Some(Problem::new("schedule", what, advice));
    }
    None
}
