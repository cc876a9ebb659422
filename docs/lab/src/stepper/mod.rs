//! The stepper: one column for each thread, and the student is the scheduler.

mod app;
mod draw;
mod terminal;

pub use app::{App, Key};
pub use draw::draw;
pub use terminal::run;
