//! The labs: what is in them, what they promise, how an answer is judged.

mod advice;
mod catalog;
mod check;
mod shape;

pub use advice::Advice;
pub use catalog::{LABS, find};
pub use check::{FileReport, Problem, Report, ScriptCheck, check, check_script};
pub use shape::{Extra, Kind, Shape};

use crate::rules::Rule;

/// One lab.
#[derive(Debug)]
pub struct Lab {
    /// From 1.
    pub number: usize,
    /// The folder of its answers, in a student's folder as in this crate.
    pub folder: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What is to be done, for `show`.
    pub task: &'static str,
    /// Three hints, from a question to nearly the answer.
    pub hints: &'static str,
    /// Why it is as it is, for `reveal`.
    pub explanation: &'static str,
    /// What the student hands in.
    pub files: &'static [AnswerFile],
}

/// One file that a student hands in.
#[derive(Debug)]
pub struct AnswerFile {
    /// Its name.
    pub name: &'static str,
    /// What the student starts with.
    pub starter: &'static str,
    /// What it is, and what it must fulfil.
    pub kind: Answer,
    /// What to say to answers that are often given.
    pub advice: &'static [Advice],
}

/// What an answer is.
#[derive(Debug)]
pub enum Answer {
    /// A script that must keep these promises in every interleaving.
    Script(ScriptTask),
    /// A schedule that must bring a given script to a deadlock.
    Schedule {
        /// The script's name.
        of: &'static str,
        /// Its text.
        source: &'static str,
        /// What the lab gives to it.
        given: &'static [(&'static str, i32)],
    },
    /// A Rust file, compiled into a harness and judged by it.
    Rust {
        /// The harness's source.
        harness: &'static str,
    },
}

/// What a script must fulfil.
#[derive(Debug)]
pub struct ScriptTask {
    /// Names given to the script, in the simulator.
    pub given: &'static [(&'static str, i32)],
    /// The same, larger, for real processes.
    pub given_real: &'static [(&'static str, i32)],
    /// What it must be made of.
    pub shape: Shape,
    /// What must hold.
    pub rules: &'static [Rule],
    /// The thread that may be killed.
    pub victim: Option<&'static str>,
    /// Checks of its own.
    pub extra: Option<Extra>,
    /// Whether real processes can run it to an end: without priorities, which the system gives to root alone.
    pub real: bool,
}

impl Lab {
    /// The hints, first to last.
    #[must_use]
    pub fn hint(&self, step: usize) -> Option<&'static str> {
        self.hints.split("\n---\n").nth(step).map(str::trim)
    }

    /// The files that are scripts.
    pub fn scripts(&self) -> impl Iterator<Item = (&'static AnswerFile, &'static ScriptTask)> {
        self.files.iter().filter_map(|file| match &file.kind {
            Answer::Script(task) => Some((file, task)),
            _ => None,
        })
    }
}
