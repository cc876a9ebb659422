//! The book as data, for tests: its pages with their code blocks, links and headings, and every command line in it.
//!
//! Links, languages, shell syntax and cargo's own commands are checked by this crate's tests. A command line of
//! `halyard`, `halyard-server`, `halyard-bench` or `halyard-lab` is checked by a test of that program, which has the
//! definition and gives it to [`understood`].

mod cargo;
mod command;
mod page;
mod shell;

pub use cargo::Workspace;
pub use command::{Shown, commands, commands_in, understood};
pub use page::{Block, Link, Page, pages, root};
pub use shell::{Line, lines};

/// The book's Rust examples, which are compiled with this crate's tests, and run unless they say `no_run`.
#[doc = include_str!(concat!(env!("OUT_DIR"), "/examples.md"))]
#[cfg(doctest)]
struct Examples;

/// The same as text.
pub const EXAMPLES: &str = include_str!(concat!(env!("OUT_DIR"), "/examples.md"));
