//! Rings between real processes, and what is left of a ring when one of them is killed or stopped.
//!
//! Each test starts this program again as its children; `child_entry` is where those begin.

#![forbid(unsafe_code)]

#[path = "processes/barrier.rs"]
mod barrier;
#[path = "processes/child.rs"]
mod child;
#[path = "processes/death.rs"]
mod death;
#[cfg(feature = "faults")]
#[path = "processes/faults.rs"]
mod faults;
#[path = "processes/roles.rs"]
mod roles;
#[path = "processes/steps.rs"]
mod steps;
#[path = "processes/stopped.rs"]
mod stopped;
#[path = "processes/takeover.rs"]
mod takeover;
#[path = "processes/traffic.rs"]
mod traffic;
#[path = "processes/wakeups.rs"]
mod wakeups;

/// A child begins here. Started by the test runner itself it does nothing.
#[test]
fn child_entry() {
    if let Some((role, words)) = child::role() {
        roles::play(&role, &words);
    }
}
