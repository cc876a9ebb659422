//! Names: what they stand for, and what to say of one that stands for nothing.

use super::Compiled;
use super::statement::Compiler;
use crate::script::error::{Pos, ScriptError, nearest};
use crate::script::program::Register;

impl Compiler<'_> {
    pub(super) fn local(&self, name: &str) -> Option<Register> {
        self.code.locals.iter().find(|(known, _)| known == name).map(|(_, register)| *register)
    }

    pub(super) fn semaphore(&self, name: &str, at: Pos) -> Compiled<usize> {
        let known = self.program.semaphores.iter().map(|semaphore| semaphore.name.as_str());
        self.program.semaphore(name).ok_or_else(|| unknown("semaphore", name, at, known, "= 0"))
    }

    pub(super) fn shared(&self, name: &str, at: Pos) -> Compiled<usize> {
        let known = self.program.cells.iter().map(|cell| cell.name.as_str());
        let known = known.filter(|name| !name.starts_with("ring["));
        self.program.cell(name).ok_or_else(|| unknown("shared", name, at, known, "= 0"))
    }

    pub(super) fn mutex(&self, name: Option<&str>, at: Pos) -> Compiled<usize> {
        let mutexes = &self.program.mutexes;
        match name {
            None if mutexes.len() == 1 => Ok(0),
            None if mutexes.is_empty() => Err(ScriptError::new(
                at,
                "there is no mutex",
                "declare one at the top of the script: mutex m",
            )),
            None => {
                let names: Vec<&str> = mutexes.iter().map(|mutex| mutex.name.as_str()).collect();
                let help = format!("say which: {}", names.join(", "));
                Err(ScriptError::new(at, "there is more than one mutex", help))
            }
            Some(name) => {
                let known = mutexes.iter().map(|mutex| mutex.name.as_str());
                let index = mutexes.iter().position(|mutex| mutex.name == name);
                index.ok_or_else(|| unknown("mutex", name, at, known, ""))
            }
        }
    }

    pub(super) fn thread(&self, name: &str, at: Pos) -> Compiled<usize> {
        let threads = &self.program.threads;
        let index = threads.iter().position(|thread| thread.name == name);
        index.ok_or_else(|| {
            let known = threads.iter().map(|thread| thread.name.as_str());
            unknown("thread", name, at, known, "{ ... }")
        })
    }
}

fn unknown<'a>(
    what: &str,
    name: &str,
    at: Pos,
    known: impl Iterator<Item = &'a str>,
    rest: &str,
) -> ScriptError {
    let known: Vec<&str> = known.collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("declare it at the top of the script: {what} {name} {rest}").trim_end().to_owned(),
    };
    let there = if known.is_empty() { String::new() } else { format!(" (there are: {})", known.join(", ")) };
    ScriptError::new(at, format!("there is no {what} `{name}`{there}"), help)
}
