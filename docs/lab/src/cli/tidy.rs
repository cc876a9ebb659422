//! The clean command.

use halyard_lab::{forget_models, real};
use serde_json::json;

use super::exit::{Ended, Exit, Outcome};
use super::out::say;
use super::print_json;

pub(super) fn clean(loom: bool, json: bool) -> Outcome {
    let found = real::clean().map_err(|error| Ended::io("/dev/shm", &error))?;
    let models =
        if loom { forget_models().map_err(|error| Ended::io("the compiled loom", &error))? } else { None };
    if json {
        return print_json(
            &json!({"removed": found.removed, "in_use": found.in_use, "removed_folder": models}),
        );
    }
    for name in &found.removed {
        say!("removed /dev/shm/{name}");
    }
    for name in &found.in_use {
        say!("left /dev/shm/{name}: its run goes on");
    }
    if let Some(folder) = &models {
        say!("removed {}: loom, which lab 8 compiles again when it needs it", folder.display());
    }
    if found.removed.is_empty() && models.is_none() {
        say!("nothing to remove");
    }
    Ok(Exit::Passed)
}
