//! Ring names and the system names they stand for.

use core::fmt;

/// Every system name of this crate begins so.
pub const PREFIX: &str = "halyard.";

/// Longest ring name, bytes: with prefix, suffix and glibc's `sem.` it stays under NAME_MAX (255).
pub const RING_NAME_MAX: usize = 200;

/// A checked ring name: 1 to 200 of `A-Z a-z 0-9 . _ -`, not beginning with a dot.
///
/// Ring `x` is the segment `/dev/shm/halyard.x` with the semaphores `/halyard.x.ready` and `/halyard.x.space`.
///
/// ```
/// use halyard_ring::RingName;
/// assert_eq!(RingName::new("demo")?.segment(), "/halyard.demo");
/// assert!(RingName::new("../etc").is_err());
/// # Ok::<(), halyard_ring::BadRingName>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RingName(String);

/// Why a name cannot be a ring's or a server's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRingName {
    /// Empty or too long.
    Length {
        /// Bytes it has.
        len: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// A character that is not allowed there.
    Character(char),
}

impl fmt::Display for BadRingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { len: 0, .. } => write!(f, "the name is empty"),
            Self::Length { len, max } => write!(f, "the name has {len} bytes; at most {max} are allowed"),
            Self::Character(c) => {
                write!(f, "the name holds {c:?} where only letters, digits, '_' and '-' are allowed")
            }
        }
    }
}

impl core::error::Error for BadRingName {}

impl RingName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`BadRingName`] says what is wrong with it.
    pub fn new(name: &str) -> Result<Self, BadRingName> {
        if name.is_empty() || name.len() > RING_NAME_MAX {
            return Err(BadRingName::Length { len: name.len(), max: RING_NAME_MAX });
        }
        if name.starts_with('.') {
            return Err(BadRingName::Character('.'));
        }
        match name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
            Some(c) => Err(BadRingName::Character(c)),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// The name as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segment's name for `shm_open`.
    #[must_use]
    pub fn segment(&self) -> String {
        format!("/{PREFIX}{}", self.0)
    }

    /// The name that a segment has for a moment, while it is made to take the place of this ring's; see `Ring::renew`.
    /// If something else has it, a dot and a random number follow.
    ///
    /// # Errors
    /// [`BadRingName`] if it would be too long.
    pub fn next(&self) -> Result<Self, BadRingName> {
        Self::new(&format!("{}.next", self.0))
    }

    /// The name of the semaphore that the consumer sleeps on.
    #[must_use]
    pub fn ready(&self) -> String {
        format!("/{PREFIX}{}.ready", self.0)
    }

    /// The name of the semaphore that producers sleep on.
    #[must_use]
    pub fn space(&self) -> String {
        format!("/{PREFIX}{}.space", self.0)
    }
}

impl fmt::Display for RingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::str::FromStr for RingName {
    type Err = BadRingName;

    fn from_str(s: &str) -> Result<Self, BadRingName> {
        Self::new(s)
    }
}
