//! A new ring takes the place of a damaged one.
//!
//! It is made whole under other names and then changes names with the old one, segments first, then the semaphores.
//! `RENAME_EXCHANGE` does in one step what a look and a `rename` cannot, and shows afterwards whose place that was. If it
//! was not the old ring's, since somebody removed that by hand and another process made one there, names are changed back:
//! nothing of another's is ever lost. READY comes when all three names are right; until then, whoever opens the ring waits.

use std::hash::{BuildHasher, RandomState};
use std::io;

use super::{Made, Ring};
use crate::Record;
use crate::error::CreateError;
use crate::list::remove_dead;
use crate::memory::Memory;
use crate::name::RingName;
use crate::options::RingOptions;
use crate::owners::{self, Expected};
use crate::process::{ProcessId, monotonic_ns};
use crate::segment;
use crate::semaphore::{self, Semaphore};

impl<R: Record> Ring<R> {
    /// Makes a new ring in the place of this one, which its creator has found damaged: the name stands for the old or
    /// the new one at every moment, and if this fails, still for the old one. Who has the old one open keeps it;
    /// [`is_current`](Self::is_current) tells. Then close the old one, so that its users look.
    ///
    /// # Errors
    /// As [`create`](Self::create): [`CreateError::Exists`] if the name stands for another ring by now.
    ///
    /// # Panics
    /// If this is a heap ring.
    pub fn renew(&self, options: &RingOptions) -> Result<Self, CreateError> {
        self.renew_expecting(options, &[]).map(|(ring, _)| ring)
    }

    /// [`renew`](Self::renew), with these processes in the new ring's owner table from the beginning: whoever looks which
    /// processes are attached finds them before they have come over. They stay there until [`Expected`] is dropped, as long
    /// as this process lives, beside the entries that they take when they attach. Some are left out if they are more than a
    /// third of what the table holds.
    ///
    /// # Errors
    /// As `renew`.
    ///
    /// # Panics
    /// As `renew`.
    pub fn renew_expecting(
        &self,
        options: &RingOptions,
        processes: &[ProcessId],
    ) -> Result<(Self, Expected), CreateError> {
        let name = self.name.as_ref().expect("a heap ring has no name to be renewed under");
        self.place()?;
        let next = free_next(name)?;
        let options = RingOptions { renewals: self.renewals.saturating_add(1), ..options.clone() };
        let made = Self::make(&next, &options)?;
        let entries = owners::expect(&made.region, processes);
        let move_in = MoveIn { old: self, made: &made, next: &next, name };
        let moved = move_in.go();
        if moved.is_err() {
            move_in.go_back();
        }
        move_in.clear();
        moved?;
        made.allow();
        let new = Self::of(made, name, &options);
        // Somebody may have removed it again, and a third ring stands there.
        new.place()?;
        let expected = Expected::new(&new.region, entries);
        Ok((new, expected))
    }
}

impl<R> Ring<R> {
    /// Whether the name stands for this ring (true), or for nothing.
    fn place(&self) -> Result<bool, CreateError> {
        let Some(name) = &self.name else { return Ok(false) };
        let os = |source| CreateError::Os { what: "look at", name: name.segment(), source };
        let is_ours = self.is_current().map_err(os)?;
        if !is_ours && segment::exists(name) {
            return Err(CreateError::Exists { name: name.segment() });
        }
        Ok(is_ours)
    }
}

/// A ring that was made under the name `next` takes the place of another.
struct MoveIn<'a, R> {
    old: &'a Ring<R>,
    made: &'a Made,
    next: &'a RingName,
    name: &'a RingName,
}

impl<R> MoveIn<'_, R> {
    /// Changes names. What has been done when this fails is for [`go_back`](Self::go_back).
    fn go(&self) -> Result<(), CreateError> {
        let os = |source| CreateError::Os { what: "renew", name: self.name.segment(), source };
        let taken = || CreateError::Exists { name: self.name.segment() };
        // Looked at again now: making the new ring took a while.
        let is_ours = self.old.place()?;
        #[cfg(feature = "faults")]
        crate::faults::pass(crate::faults::Point::Renewing);
        let [from, to] = [self.next, self.name].map(segment::path);
        let moved = if is_ours { segment::swap(&from, &to) } else { segment::move_to(&from, &to) };
        moved.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(),
            _ => os(error),
        })?;
        // What came out for it, if anything: another process may have taken the name after the look.
        let is_old = self.old.region.mapping().map_or(Ok(false), |mapping| mapping.is_named(self.next));
        if !is_old.map_err(os)? && segment::exists(self.next) {
            return Err(taken());
        }
        #[cfg(feature = "faults")]
        crate::faults::pass(crate::faults::Point::HalfRenewed);
        for (from, to) in self.semaphores() {
            segment::swap(&semaphore::file_path(&from), &semaphore::file_path(&to)).map_err(os)?;
            // Whose segment has the name owns what is called after it.
            if !self.has_the_name().map_err(os)? {
                return Err(taken());
            }
        }
        #[cfg(feature = "faults")]
        crate::faults::pass(crate::faults::Point::Renewed);
        Ok(())
    }

    /// Gives everything its name back, as far as it is the new ring's that has it: if not, somebody has made another one
    /// meanwhile.
    fn go_back(&self) {
        let region = &self.made.region;
        for ((from, to), new) in self.semaphores().into_iter().zip([region.ready(), region.space()]) {
            if Semaphore::file(&to) == new.own_file() {
                // If that cannot be done, somebody has removed it meanwhile.
                let _ = segment::swap(&semaphore::file_path(&to), &semaphore::file_path(&from));
            }
        }
        if self.has_the_name().unwrap_or(false) {
            let _ = segment::swap(&segment::path(self.name), &segment::path(self.next));
        }
    }

    /// Removes what bears the names under which the new ring was made: the old one, or the new one if it has come to
    /// nothing.
    fn clear(&self) {
        let rings = [Some(self.made.mapping()), self.old.region.mapping()];
        let is_ours = rings.into_iter().flatten().any(|ring| ring.is_named(self.next).unwrap_or(false));
        for (semaphore, _) in self.semaphores() {
            if Semaphore::unlink(&semaphore).is_err() {
                // Somebody had put a folder where the old ring's should have been.
                let _ = std::fs::remove_dir(semaphore::file_path(&semaphore));
            }
        }
        if is_ours {
            let _ = segment::unlink(self.next);
        }
    }

    fn has_the_name(&self) -> io::Result<bool> {
        self.made.mapping().is_named(self.name)
    }

    /// The names of each semaphore, before and after.
    fn semaphores(&self) -> [(String, String); 2] {
        [(self.next.ready(), self.name.ready()), (self.next.space(), self.name.space())]
    }
}

/// A name for a ring that is to take the place of `name`'s: what is there under the usual one and is not a dead
/// process's is left alone, and another one is taken, which nobody can have guessed.
fn free_next(name: &RingName) -> Result<RingName, CreateError> {
    let bad = |why| CreateError::Options(format!("no name for the new ring beside {name}: {why}"));
    let next = name.next().map_err(bad)?;
    // Left by a process that was killed at this very place; or somebody put a pipe there.
    let _ = remove_dead(&next);
    if !segment::exists(&next)
        && [next.ready(), next.space()].iter().all(|name| Semaphore::file(name).is_none())
    {
        return Ok(next);
    }
    let number = RandomState::new().hash_one(monotonic_ns());
    RingName::new(&format!("{next}.{number:016x}")).map_err(bad)
}
