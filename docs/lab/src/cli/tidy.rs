//! The clean command.

use halyard_lab::real;
use serde_json::json;

use super::exit::{Ended, Exit, Outcome};
use super::print_json;

pub(super) fn clean(json: bool) -> Outcome {
    let found = real::clean().map_err(|error| Ended::io("/dev/shm", &error))?;
    if json {
        return print_json(&json!({"removed": found.removed, "in_use": found.in_use}));
    }
    for name in &found.removed {
        println!("removed /dev/shm/{name}");
    }
    for name in &found.in_use {
        println!("left /dev/shm/{name}: its run goes on");
    }
    if found.removed.is_empty() {
        println!("nothing to remove");
    }
    Ok(Exit::Passed)
}
