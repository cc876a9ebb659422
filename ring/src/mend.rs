//! [`Mender`]: putting right what dead processes left in a ring that others still use.

use core::fmt;

use crate::barrier::Barriers;
use crate::error::OpenError;
use crate::memory::Memory;
use crate::name::RingName;
use crate::owners::{self, Reaped};
use crate::protocol::wake_after_death;
use crate::region::Region;
use crate::segment::Mapping;
use crate::semaphore::Semaphore;
use crate::view::{Found, check_can_join, check_header};

/// A ring opened to be put right, whatever records it carries. It attaches to nothing and touches no record; all that
/// it does is what any user of the ring does when it meets the dead, so the living are not disturbed.
///
/// ```
/// use halyard_ring::{Mender, Reaped, Ring, RingName, RingOptions};
/// let name = RingName::new(&format!("mender-doc-{}", std::process::id()))?;
/// let ring = Ring::<u64>::create(&name, &RingOptions::mpsc(8))?;
/// assert_eq!(Mender::open(&name)?.reap(), Reaped::default(), "nobody has died");
/// ring.unlink()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Mender {
    region: Region,
    name: RingName,
}

impl Mender {
    /// Opens a ring.
    ///
    /// # Errors
    /// As `Ring::open`, but any record size will do.
    pub fn open(name: &RingName) -> Result<Self, OpenError> {
        let mapping = Mapping::open(name).map_err(|error| OpenError::of(error, name))?;
        let segment = name.segment();
        let found = Found::mapping(&mapping, &segment);
        let (shape, _) = check_header(found, None)?;
        let barriers = Barriers::new(check_can_join(found)?);
        let open = |semaphore: String| {
            Semaphore::open(&semaphore).map_err(|source| OpenError::Os {
                what: "open",
                name: semaphore,
                source,
            })
        };
        let (ready, space) = (open(name.ready())?, open(name.space())?);
        Ok(Self { region: Region::mapped(mapping, shape, barriers, ready, space), name: name.clone() })
    }

    /// Frees what dead producers left: claimed slots, slots in quarantine, owner entries; as `Ring::reap`.
    pub fn reap(&self) -> Reaped {
        owners::reap(&self.region)
    }

    /// Wakes every sleeper that has announced itself, posts `ready` this often besides, and in counting mode puts back
    /// tokens of `space` that are missing. A sleeper that is woken for nothing looks around and sleeps again. At most as
    /// many tokens are posted as the ring has slots.
    pub fn wake(&self, ready: u32) {
        wake_after_death(&self.region);
        for _ in 0..ready.min(self.region.shape().capacity) {
            self.region.ready().post();
        }
    }
}

impl fmt::Debug for Mender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mender").field("name", &self.name).finish_non_exhaustive()
    }
}
