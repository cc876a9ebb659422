//! The lab: a script language over shared variables, a ring and semaphores; one interpreter with three drivers (a
//! seeded simulator that can also search every interleaving, and real processes); labs with a checker.
//!
//! The `halyard-lab` program is made of this, and so are the tests that run every starter, solution and wrong answer.

pub mod exercise;
pub mod labs;
pub mod machine;
mod models;
pub mod real;
pub mod rules;
pub mod script;
pub mod search;
pub mod stepper;
pub mod trace;

pub use models::forget as forget_models;
