//! The `halyard` program's chat commands as their users meet them: real processes, pipes, terminals, signals.
#![forbid(unsafe_code)]

mod app;
mod book;
mod chat;
mod ends;
mod group;
mod history;
mod hosting;
mod kills;
mod outages;
mod pipes;
mod pty;
mod scribbler;
mod script;
mod terminal;
mod top;
mod util;
