//! From a script to a program: what it declares, then each thread's code.

mod expression;
mod names;
mod statement;

use super::Given;
use super::ast::{Script, Shared};
use super::error::ScriptError;
use super::program::{Cell, ITEMS_PER_THREAD, Mutex, Program, Semaphore, ThreadInfo};

use expression::constant;
use statement::Compiler;

type Compiled<T> = Result<T, ScriptError>;

/// Names that the lab gives, with their values.
type Constants = [(String, i32)];

/// Threads of a program in all; item names have a letter each.
const THREADS_MAX: usize = 16;

const _: () = assert!(THREADS_MAX as i32 * ITEMS_PER_THREAD < i32::MAX);

pub(crate) fn compile(script: &Script, given: Given<'_>) -> Compiled<Program> {
    let capacity = script.capacity as usize;
    let mut cells =
        vec![Cell { name: "head".to_owned(), initial: 0 }, Cell { name: "tail".to_owned(), initial: 0 }];
    cells.extend((0..capacity).map(|index| Cell { name: format!("ring[{index}]"), initial: 0 }));
    let mut program = Program {
        capacity,
        memory: script.memory,
        cells,
        semaphores: Vec::new(),
        mutexes: Vec::new(),
        threads: Vec::new(),
        codes: Vec::new(),
    };
    let mut constants: Vec<(String, i32)> =
        given.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    constants.push(("capacity".to_owned(), script.capacity as i32));

    for declared in &script.declarations {
        if constants.iter().any(|(name, _)| *name == declared.name) {
            let what = format!("`{}` is given by the lab", declared.name);
            return Err(ScriptError::new(declared.at, what, "choose another name"));
        }
        let name = declared.name.clone();
        match &declared.kind {
            Shared::Variable(value) => {
                program.cells.push(Cell { name, initial: constant(value, &constants)? });
            }
            Shared::Semaphore(value) => {
                let initial = constant(value, &constants)?;
                if initial < 0 {
                    let what = format!("the semaphore `{name}` cannot start at {initial}");
                    return Err(ScriptError::new(value.at, what, "a semaphore's value is never below 0"));
                }
                program.semaphores.push(Semaphore { name, initial });
            }
            Shared::Mutex(kind) => program.mutexes.push(Mutex { name, kind: *kind }),
        }
    }

    for (code, actor) in script.actors.iter().enumerate() {
        for copy in 0..actor.copies {
            let name =
                if actor.copies == 1 { actor.name.clone() } else { format!("{}.{}", actor.name, copy + 1) };
            let (kind, service, priority) = (actor.name.clone(), actor.service, actor.priority);
            program.threads.push(ThreadInfo { name, kind, code, service, priority });
        }
        if program.threads.len() > THREADS_MAX {
            let what = format!("more than {THREADS_MAX} threads in all");
            return Err(ScriptError::new(actor.at, what, "start fewer of them"));
        }
    }
    for actor in &script.actors {
        let code = Compiler::thread_code(&program, &constants, actor)?;
        if code.instructions.len() > usize::from(u16::MAX) {
            return Err(ScriptError::new(
                actor.at,
                "this thread is too long",
                "write loops instead of copies",
            ));
        }
        program.codes.push(code);
    }
    Ok(program)
}
