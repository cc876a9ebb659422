//! The script language of labs 1 to 6: text in, [`Program`] out. Its page in the book is `docs/labs/language.md`.

mod ast;
mod compile;
mod error;
mod lexer;
mod parser;
mod program;

pub use ast::{Memory, MutexKind, Operator};
pub use error::{Pos, ScriptError};
pub use program::{
    Calc, Cell, Code, Instruction, Mutex, Op, Program, Register, Semaphore, ThreadInfo, item_name,
};
pub(crate) use program::{ITEMS_PER_THREAD, item, item_parts};

/// Names that a lab gives to a script, with their values: `items`, `total`.
pub type Given<'a> = &'a [(&'a str, i32)];

/// Reads a script and makes a program of it.
///
/// # Errors
/// The first thing that is wrong with it, with line, column and what to do.
pub fn compile(source: &str, given: Given<'_>) -> Result<Program, ScriptError> {
    compile::compile(&parser::parse(source)?, given)
}
