//! What the replay's processes tell each other while it runs: counters in shared memory.
//!
//! The order of a room's log is kept without waiting for answers: the server takes records in the order in which they
//! were pushed into its control ring, so it is enough that a step is pushed after the one before it was. Each room has
//! a counter of the steps pushed so far, its turn. Whoever owns the client of the next step pushes it and moves the
//! turn on; the others look at the turn. Everything that comes in between (other rooms, deliveries) goes on meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::failure::{Failure, While as _};
use crate::shared::Lines;

/// Points that all processes reach before any goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// All clients are connected.
    Connected,
    /// Everyone who was there before has joined, and has seen the others join.
    Gathered,
    /// All clients have received and checked everything.
    Checked,
}

const ABORT: usize = 0;
const START: usize = 1;
const STAGES: usize = 2;
const ROOMS: usize = 5;

/// The counters.
#[derive(Debug)]
pub(crate) struct Board {
    lines: Lines,
    rooms: usize,
    processes: usize,
}

impl Board {
    pub(crate) fn create(rooms: usize, processes: usize) -> Result<Self, Failure> {
        let lines = Lines::create(ROOMS + rooms * (1 + processes)).doing("mapping the replay's counters")?;
        Ok(Self { lines, rooms, processes })
    }

    pub(crate) fn open(path: &str, rooms: usize, processes: usize) -> Result<Self, Failure> {
        let lines = Lines::open(Path::new(path)).doing("mapping the replay's counters")?;
        Ok(Self { lines, rooms, processes })
    }

    pub(crate) fn path(&self) -> String {
        self.lines.path()
    }

    /// Ends the replay early, everywhere.
    pub(crate) fn abort(&self) {
        self.lines.line(ABORT).store(1, Ordering::Release);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.lines.line(ABORT).load(Ordering::Acquire) != 0
    }

    /// When the first line was to be said, nanoseconds of CLOCK_MONOTONIC; 0 as long as it is not time.
    pub(crate) fn start_ns(&self) -> u64 {
        self.lines.line(START).load(Ordering::Acquire)
    }

    pub(crate) fn set_start_ns(&self, now: u64) {
        self.lines.line(START).store(now, Ordering::Release);
    }

    /// This process has come to `stage`.
    pub(crate) fn arrive(&self, stage: Stage) {
        self.lines.line(STAGES + stage as usize).fetch_add(1, Ordering::AcqRel);
    }

    /// Whether all processes have.
    pub(crate) fn all_arrived(&self, stage: Stage) -> bool {
        self.lines.line(STAGES + stage as usize).load(Ordering::Acquire) >= self.processes as u64
    }

    /// How many steps of the room were pushed. Acquire and Release: whoever sees a turn pushes after the push before.
    pub(crate) fn turn(&self, room: usize) -> usize {
        self.lines.line(ROOMS + room).load(Ordering::Acquire) as usize
    }

    pub(crate) fn set_turn(&self, room: usize, turn: usize) {
        self.lines.line(ROOMS + room).store(turn as u64, Ordering::Release);
    }

    fn progress(&self, room: usize, process: usize) -> &AtomicU64 {
        self.lines.line(ROOMS + self.rooms * (1 + process) + room)
    }

    /// Of this process's clients, the one that is farthest behind still awaits something of step `step`.
    pub(crate) fn set_behind(&self, room: usize, process: usize, step: usize) {
        self.progress(room, process).store(step as u64, Ordering::Release);
    }

    /// The step that the client farthest behind, of all processes, still awaits something of.
    pub(crate) fn behind(&self, room: usize) -> usize {
        let steps = (0..self.processes).map(|process| self.progress(room, process).load(Ordering::Acquire));
        steps.min().unwrap_or(0) as usize
    }
}
