//! What stands under a ring's names: a ring of the living or of the dead, another version's, or no ring at all.

use std::io;

use halyard_ring::{Belonging, OpenError, RingName};

use super::finding::{Cure, Finding, Severity};
use super::ring;
use crate::cli::ls::survey::{Found, Life, Who};

/// The other user, if what has this name belongs to one. Nothing is another's for the superuser.
fn other_user(name: &RingName) -> Option<String> {
    let whose = Belonging::of(name).ok().flatten()?;
    (!whose.may_remove()).then(|| whose.user_name())
}

/// Everything that is wrong with a name, judged by two looks at it.
pub(super) fn examine(before: &Found, after: &Found, verbose: bool) -> Vec<Finding> {
    let name = &after.name;
    let creator = after.picture.as_ref().ok().and_then(|picture| picture.creator.as_ref());
    let pid = creator.map(|who| who.pid);
    let one = |severity, check, text: String, cure| {
        vec![Finding::new(severity, check, name, text, cure).with_pid(pid)]
    };
    if let Some(user) = other_user(name) {
        let text = match &after.life {
            life if life.is_over() => format!("it belongs to {user}, and its creator is gone"),
            life => format!("it belongs to {user} ({})", life.word()),
        };
        let cure = if after.life.is_over() {
            Cure::Advice(format!("let {user} run `halyard doctor --fix`"))
        } else {
            Cure::Nothing
        };
        return one(Severity::Note, "other_user", text, cure);
    }
    let fault = || after.fault().unwrap_or_default();
    match (&after.life, &after.picture) {
        (Life::Unknown(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            one(Severity::Note, "other_user", format!("it may not be looked at: {error}"), Cure::Nothing)
        }
        (Life::Unknown(error), _) => {
            let cure = Cure::Advice("remove it by hand: a ring cannot be made there".to_owned());
            one(Severity::Error, "obstacle", error.to_string(), cure)
        }
        (Life::NoSegment, _) => {
            one(Severity::Warning, "orphaned_semaphores", "semaphores without a ring".into(), Cure::Remove)
        }
        (Life::Dead, Ok(_)) => one(Severity::Warning, "left_by_the_dead", left(creator), Cure::Remove),
        (Life::Dead, Err(error)) if is_other_version(error) => {
            let text = format!("nobody holds its lock, and it is {}", fault());
            one(Severity::Warning, "other_version", text, Cure::Remove)
        }
        (Life::Dead, Err(_)) => {
            let text = format!("nobody holds its lock, and it cannot be used: {}", fault());
            one(Severity::Error, "damaged_header", text, Cure::Remove)
        }
        (Life::Alive, Err(error)) if is_other_version(error) => {
            let cure = Cure::Advice("use the tools of the version that made it".to_owned());
            one(Severity::Warning, "other_version", format!("its owner lives, and it is {}", fault()), cure)
        }
        (Life::Alive, Err(OpenError::NotReady { .. })) => {
            let cure = Cure::Advice("look what its creator does, or end it".to_owned());
            one(Severity::Warning, "unfinished", "its creator lives and does not finish it".into(), cure)
        }
        (Life::Alive, Err(_)) => {
            let cure = Cure::Advice("start its owner again: it holds the lock".to_owned());
            one(Severity::Error, "damaged_header", format!("its owner lives, but {}", fault()), cure)
        }
        (Life::Alive, Ok(picture)) => match &before.picture {
            Ok(earlier) if earlier.snapshot.epoch == picture.snapshot.epoch => {
                ring::examine(name, earlier, picture, verbose)
            }
            // Another ring than a second ago: it is new, and nothing can be stuck in it.
            _ => ring::examine(name, picture, picture, verbose)
                .into_iter()
                .filter(|found| found.severity <= Severity::Note)
                .collect(),
        },
    }
}

fn is_other_version(error: &OpenError) -> bool {
    matches!(error, OpenError::Mismatch { field: "layout version", .. })
}

fn left(creator: Option<&Who>) -> String {
    match creator {
        Some(who) if who.alive => format!("its creator let go of it: {}", who.label()),
        Some(who) => format!("its creator is gone: pid {}", who.pid),
        None => "its creator is gone".to_owned(),
    }
}
