//! Finding rings on the system, and removing those whose creator is dead.

use std::fs;
use std::io;

use crate::name::{PREFIX, RingName};
use crate::segment::{self, Creator};
use crate::semaphore::Semaphore;

/// Where Linux keeps shared memory and named semaphores.
const SHM: &str = "/dev/shm";

/// What [`remove_dead`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// The creator was dead, the names are gone.
    Removed,
    /// The creator lives; nothing was touched.
    Alive,
    /// There was nothing of that name.
    Missing,
}

/// The names of all rings in /dev/shm, sorted, also of those of which only a semaphore is left.
///
/// # Errors
/// What the system says if /dev/shm cannot be read.
pub fn list_names() -> io::Result<Vec<RingName>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(SHM)? {
        let file = entry?.file_name();
        let Some(file) = file.to_str() else { continue };
        let ring = match file.strip_prefix("sem.") {
            Some(semaphore) => semaphore
                .strip_prefix(PREFIX)
                .and_then(|name| name.strip_suffix(".ready").or_else(|| name.strip_suffix(".space"))),
            None => file.strip_prefix(PREFIX),
        };
        names.extend(ring.and_then(|name| RingName::new(name).ok()));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Whether a ring's creator lives; `None` if there is no segment of that name. This is proof and no guess: the creator
/// holds a lock on the segment for life. Unlike `RingView` this also answers for a segment that is damaged or was
/// never finished.
///
/// # Errors
/// What the system says, for instance if the segment is another user's.
pub fn creator_lives(name: &RingName) -> io::Result<Option<bool>> {
    Ok(match segment::creator(name)? {
        Creator::Alive => Some(true),
        Creator::Dead(_) => Some(false),
        Creator::NoSegment => None,
    })
}

/// Removes a ring's names if, and only if, its creator is proven dead: the lock that it held for life is free.
///
/// While this works it holds that lock itself, so a second cleaner, or a creator at the same name, cannot come
/// between. Semaphores whose segment is gone are nobody's and are removed, too.
///
/// # Errors
/// What the system says. `PermissionDenied`: the names are another user's ([`Belonging`](crate::Belonging) says whose),
/// and only that one or the superuser may look or remove them, since /dev/shm is sticky.
pub fn remove_dead(name: &RingName) -> io::Result<Removal> {
    match segment::creator(name)? {
        Creator::Alive => Ok(Removal::Alive),
        Creator::Dead(_lock) => {
            remove_names(name)?;
            Ok(Removal::Removed)
        }
        Creator::NoSegment => {
            if [name.ready(), name.space()].iter().all(|semaphore| Semaphore::file(semaphore).is_none()) {
                return Ok(Removal::Missing);
            }
            // A ring that is being made under this name would lose its semaphores: keep the name while they go.
            let Some(_lock) = segment::hold_name(name)? else { return Ok(Removal::Alive) };
            remove_names(name)?;
            Ok(Removal::Removed)
        }
    }
}

/// Removes all of a ring's names, the segment's last. What is gone already is no error.
pub(crate) fn remove_names(name: &RingName) -> io::Result<()> {
    let semaphores = [name.ready(), name.space()].map(|semaphore| Semaphore::unlink(&semaphore));
    let is_failure =
        |result: &io::Result<()>| result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
    // All are tried, whatever becomes of the others.
    semaphores.into_iter().chain([segment::unlink(name)]).find(is_failure).unwrap_or(Ok(()))
}
