//! Whose the names in /dev/shm are, and who else may use what stands behind them: only the user that made it, or the
//! members of a group, too.

use core::fmt;
use core::str::FromStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

use nix::unistd::{Gid, Group as Entry, Uid, User, getgroups};

use crate::name::RingName;
use crate::semaphore;

/// Permission bits of what only its user may open.
pub(crate) const PRIVATE: u32 = 0o600;
/// Permission bits of what a group shares.
const SHARED: u32 = 0o660;

/// A group of users that share rings: see `RingOptions::group`.
///
/// ```
/// use halyard_ring::{Group, GroupError};
/// assert!(matches!("no such group".parse::<Group>(), Err(GroupError::Unknown { .. })));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group(u32);

impl Group {
    /// The group with this number, whether or not it has a name.
    #[must_use]
    pub const fn from_id(id: u32) -> Self {
        Self(id)
    }

    /// Its number.
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0
    }

    /// Checks that this process may give files to the group: its user is a member of it, or the superuser.
    ///
    /// # Errors
    /// [`GroupError::NotMember`].
    pub fn check_membership(self) -> Result<(), GroupError> {
        let mine = |gid: Gid| gid.as_raw() == self.0;
        let is_member = Uid::effective().is_root()
            || mine(Gid::effective())
            || getgroups().is_ok_and(|groups| groups.into_iter().any(mine));
        if is_member { Ok(()) } else { Err(GroupError::NotMember { group: self }) }
    }
}

/// Its name, or its number if it has none.
impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Entry::from_gid(Gid::from_raw(self.0)) {
            Ok(Some(entry)) => f.write_str(&entry.name),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// By name, else by number, as `chgrp` takes it.
impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        if let Ok(Some(entry)) = Entry::from_name(text) {
            return Ok(Self(entry.gid.as_raw()));
        }
        text.parse().map(Self).map_err(|_| GroupError::Unknown { name: text.to_owned() })
    }
}

/// Why a group cannot share rings with this process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// There is no such group.
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// This process's user is not one of its members.
    NotMember {
        /// The group.
        group: Group,
    },
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(f, "there is no group {name:?} (`getent group` lists them)"),
            Self::NotMember { group } => write!(
                f,
                "{} is not a member of the group {group}: an administrator can change that (`usermod -aG {group} …`), \
                 and it counts from the next login",
                user_name(Uid::effective().as_raw())
            ),
        }
    }
}

impl core::error::Error for GroupError {}

/// Whose a ring is, and who may open it, as its file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Belonging {
    /// The user that made it, and who may remove its names.
    pub user: u32,
    /// The group whose members may open it, too.
    pub group: Option<Group>,
}

impl Belonging {
    pub(crate) fn of_file(found: &Metadata) -> Self {
        let shared = found.mode() & 0o060 == 0o060;
        Self { user: found.uid(), group: shared.then(|| Group(found.gid())) }
    }

    /// Whose the files of this name are; `None` if there are none. Nobody needs permission to ask.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(name: &RingName) -> io::Result<Option<Self>> {
        let files = [name.ready(), name.space()].map(|name| semaphore::file_path(&name));
        for file in [format!("/dev/shm{}", name.segment())].iter().chain(&files) {
            match fs::symlink_metadata(file) {
                Ok(found) => return Ok(Some(Self::of_file(&found))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Whether it is this process's user's own.
    #[must_use]
    pub fn is_mine(&self) -> bool {
        self.user == Uid::effective().as_raw()
    }

    /// Whether /dev/shm, which is sticky, lets this process remove the names.
    #[must_use]
    pub fn may_remove(&self) -> bool {
        self.is_mine() || Uid::effective().is_root()
    }

    /// The user's name, or `user 1234` for one that has none.
    #[must_use]
    pub fn user_name(&self) -> String {
        user_name(self.user)
    }
}

fn user_name(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => format!("user {uid}"),
    }
}

/// Gives a file just made to the group. Its bits come last, so that it is never open to a wrong one; the umask has no
/// say in them.
pub(crate) fn share(file: &File, group: Option<Group>) -> io::Result<()> {
    let Some(group) = group else { return Ok(()) };
    fchown(file, None, Some(group.0))?;
    file.set_permissions(Permissions::from_mode(SHARED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ring, RingOptions};

    #[test]
    fn a_group_is_known_by_name_or_number() {
        assert_eq!("4294960000".parse(), Ok(Group(4_294_960_000)));
        assert_eq!(Group(4_294_960_000).to_string(), "4294960000");
        for unknown in ["", "no such group", "-1", "99999999999"] {
            let error = unknown.parse::<Group>().unwrap_err();
            assert!(error.to_string().contains(&format!("{unknown:?}")), "{error}");
        }
        if let Ok(Some(entry)) = Entry::from_gid(Gid::from_raw(0)) {
            assert_eq!(entry.name.parse(), Ok(Group(0)));
            assert_eq!(Group(0).to_string(), entry.name);
        }
    }

    #[test]
    fn a_ring_says_whose_it_is_and_which_group_shares_it() {
        let mine = Group(Gid::effective().as_raw());
        for group in [None, Some(mine)] {
            let name = RingName::new(&format!("belonging-{}", std::process::id())).unwrap();
            let mut options = RingOptions::spsc(2);
            if let Some(group) = group {
                options = options.group(group);
            }
            let ring = Ring::<u64>::create(&name, &options).unwrap();
            let expected = Belonging { user: Uid::effective().as_raw(), group };
            assert_eq!(ring.belonging(), Some(expected));
            assert_eq!(Ring::<u64>::open(&name).unwrap().belonging(), Some(expected));
            assert_eq!(Belonging::of(&name).unwrap(), Some(expected));
            let bits = if group.is_some() { 0o660 } else { 0o600 };
            let files = [format!("/dev/shm{}", name.segment())]
                .into_iter()
                .chain([name.ready(), name.space()].map(|name| semaphore::file_path(&name)));
            for file in files {
                assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, bits, "{file}");
            }
            ring.unlink().unwrap();
            assert_eq!(Belonging::of(&name).unwrap(), None);
        }
    }
}
