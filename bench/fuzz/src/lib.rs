//! Fuzz targets: whatever bytes another process writes, Halyard reads them safely.
//!
//! A target is a function from any bytes at all to nothing. It must return, and never panic; what it asserts besides is
//! what must hold whatever the bytes are. The same functions run under libFuzzer (`.ci/fuzz`, or `cargo fuzz`) and in
//! the ordinary tests, there over the corpus, the seeds, and a seeded run of mutations of both.
//!
//! | target | the bytes are |
//! |---|---|
//! | [`segment`] | a ring's file: header, owner table, slots |
//! | [`slots`] | a program for a ring's users and for somebody who overwrites its words between their steps |
//! | [`record`] | chat records, of any kind and for either direction |
//! | [`fragments`] | fragments of texts, in any order; and texts to be cut and joined |
//! | [`commands`] | records that a client pushes into a real server's control ring |
//! | [`replies`] | records that a server pushes into a client's reply ring |
//! | [`log`] | an IRC log of whatever format |
#![forbid(unsafe_code)]

pub mod fragments;
mod input;
pub mod mutate;
pub mod record;
pub mod segment;
pub mod slots;

#[cfg(feature = "programs")]
pub mod commands;
#[cfg(feature = "programs")]
pub mod log;
#[cfg(feature = "programs")]
pub mod replies;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also that of its binary and of its folder in the corpus.
    pub name: &'static str,
    /// The target.
    pub run: fn(&[u8]),
    /// Inputs to begin with, made with today's layout.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutations the ordinary tests try.
    pub mutations: u32,
}

/// All targets.
#[must_use]
pub fn targets() -> Vec<Target> {
    vec![
        Target { name: "segment", run: segment::run, seeds: segment::seeds, mutations: 20_000 },
        Target { name: "slots", run: slots::run, seeds: slots::seeds, mutations: 20_000 },
        Target { name: "record", run: record::run, seeds: record::seeds, mutations: 20_000 },
        Target { name: "fragments", run: fragments::run, seeds: fragments::seeds, mutations: 20_000 },
        #[cfg(feature = "programs")]
        Target { name: "commands", run: commands::run, seeds: commands::seeds, mutations: 4000 },
        #[cfg(feature = "programs")]
        Target { name: "replies", run: replies::run, seeds: replies::seeds, mutations: 10_000 },
        #[cfg(feature = "programs")]
        Target { name: "log", run: log::run, seeds: log::seeds, mutations: 20_000 },
    ]
}
