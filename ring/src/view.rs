//! Looking at a segment: the header check that every opener makes, and [`RingView`], which can only look.
#![expect(unsafe_code, reason = "a read-only mapping handed out as atomics that are only loaded")]

use core::time::Duration;

use crate::access::Belonging;
use crate::error::OpenError;
use crate::inspect::{Snapshot, snapshot};
use crate::layout::{
    Header, Identity, LAYOUT_VERSION, MAGIC, OWNER_SIZE, OWNERS_OFFSET, Owner, STATUS_READY, Shape,
};
use crate::memory::Memory;
use crate::name::RingName;
use crate::options::{Mode, RingKind, RingOptions};
use crate::process::{ProcessId, pid_namespace};
use crate::segment::{self, Creator, Mapping};
use crate::semaphore::Semaphore;
use crate::sync::{AtomicU64, Ordering};

/// Bytes that somebody gives out for a ring.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    /// `None` if they are too few for a header.
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) len: usize,
    /// What an error calls it.
    pub(crate) name: &'a str,
}

impl<'a> Found<'a> {
    pub(crate) fn mapping(mapping: &'a Mapping, name: &'a str) -> Self {
        let len = mapping.len();
        // SAFETY: the mapping is page-aligned and holds a header; that is made of atomics only, for which any bytes
        // do, and is only loaded from here.
        let identity =
            (len >= OWNERS_OFFSET).then(|| unsafe { &*(*mapping.base().cast::<Header>()).identity });
        Self { identity, len, name }
    }
}

/// Checks a segment's header against its size and, if given, the record size that is expected. Every field is read
/// once; what comes back is private and consistent.
pub(crate) fn check_header(
    found: Found<'_>,
    record_size: Option<usize>,
) -> Result<(Shape, Duration), OpenError> {
    let Found { identity, len, name } = found;
    let mismatch = |field, expected: u64, found: u64| OpenError::Mismatch {
        name: name.to_owned(),
        field,
        expected,
        found,
    };
    let check = |field, expected: u64, found: u64| {
        if expected == found { Ok(()) } else { Err(mismatch(field, expected, found)) }
    };
    let Some(words) = identity else {
        return Err(mismatch("file size", OWNERS_OFFSET as u64, len as u64));
    };
    // Acquire meets the creator's Release: the fields below were written before.
    if words.status.load(Ordering::Acquire) != STATUS_READY {
        return Err(OpenError::NotReady { name: name.to_owned() });
    }
    check("magic", u64::from_ne_bytes(MAGIC), words.magic.load(Ordering::Relaxed))?;
    check(
        "layout version",
        u64::from(LAYOUT_VERSION),
        u64::from(words.layout_version.load(Ordering::Relaxed)),
    )?;
    let found_size = words.record_size.load(Ordering::Relaxed) as usize;
    check("record size", record_size.unwrap_or(found_size) as u64, found_size as u64)?;
    let kind = words.kind.load(Ordering::Relaxed);
    let kind =
        RingKind::from_wire(kind).ok_or_else(|| mismatch("kind", RingKind::Mpsc as u64, u64::from(kind)))?;
    let mode = words.mode.load(Ordering::Relaxed);
    let mode =
        Mode::from_wire(mode).ok_or_else(|| mismatch("mode", Mode::Doorbell as u64, u64::from(mode)))?;
    let capacity = words.capacity.load(Ordering::Relaxed);
    let owners = words.owners.load(Ordering::Relaxed);
    let options = match kind {
        RingKind::Spsc => RingOptions::spsc(capacity),
        RingKind::Mpsc => RingOptions::mpsc(capacity).owners(owners),
    }
    .mode(mode);
    if options.check().is_err() {
        let nearest = u64::from(capacity.clamp(2, crate::options::CAPACITY_MAX).next_power_of_two());
        check("capacity", nearest, u64::from(capacity))?;
        return Err(mismatch("owners", u64::from(crate::OWNERS_MAX), u64::from(owners)));
    }
    // A record of impossible size must not overflow what is worked out from it.
    if !(1..=1 << 24).contains(&found_size) {
        return Err(mismatch("record size", 1 << 24, found_size as u64));
    }
    let shape = Shape::new(&options, found_size);
    check("owners", u64::from(shape.owners), u64::from(owners))?;
    check("slot stride", shape.stride as u64, u64::from(words.stride.load(Ordering::Relaxed)))?;
    check("slots offset", shape.slots_offset as u64, words.slots_offset.load(Ordering::Relaxed))?;
    check("total size", shape.total as u64, words.total_size.load(Ordering::Relaxed))?;
    check("file size", shape.total as u64, len as u64)?;
    let grace = Duration::from_nanos(words.grace_ns.load(Ordering::Relaxed));
    Ok((shape, grace))
}

/// Refuses to take part in a ring from another pid namespace: whether an owner lives could not be told there, and a
/// living one's slot might be taken from it. Returns whether the ring's sleepers call `membarrier`.
pub(crate) fn check_can_join(found: Found<'_>) -> Result<bool, OpenError> {
    let Some(words) = found.identity else { return Ok(false) };
    let name = found.name;
    let (ours, found) = (pid_namespace(), words.pid_namespace.load(Ordering::Relaxed));
    if ours != found && ours != 0 && found != 0 {
        return Err(OpenError::Mismatch {
            name: name.to_owned(),
            field: "pid namespace",
            expected: ours,
            found,
        });
    }
    Ok(words.asymmetric.load(Ordering::Relaxed) != 0)
}

/// A ring seen through a read-only mapping: it can be looked at whatever records it carries, and cannot be disturbed,
/// not even by a bug of the looker.
///
/// ```
/// use halyard_ring::{Ring, RingName, RingOptions, RingView};
/// let name = RingName::new(&format!("view-doc-{}", std::process::id()))?;
/// let ring = Ring::<u64>::create(&name, &RingOptions::mpsc(8))?;
/// ring.producer()?.push(1)?;
/// let seen = RingView::open(&name)?.inspect();
/// assert_eq!((seen.tail - seen.head, seen.counters.published), (1, 1));
/// ring.unlink()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RingView {
    mapping: Mapping,
    name: RingName,
    shape: Shape,
    grace: Duration,
    unused: Semaphore,
}

// SAFETY: the mapping is only read, through atomics.
unsafe impl Send for RingView {}
// SAFETY: as above.
unsafe impl Sync for RingView {}

impl RingView {
    /// Opens a ring for looking.
    ///
    /// # Errors
    /// As `Ring::open`, but any record size will do.
    pub fn open(name: &RingName) -> Result<Self, OpenError> {
        let mapping = Mapping::open_read_only(name).map_err(|error| OpenError::of(error, name))?;
        let (shape, grace) = check_header(Found::mapping(&mapping, &name.segment()), None)?;
        Ok(Self { mapping, name: name.clone(), shape, grace, unused: Semaphore::unnamed(0) })
    }

    /// A picture of the ring now. The semaphores are read from their files, without opening them as semaphores.
    #[must_use]
    pub fn inspect(&self) -> Snapshot {
        let semaphores = [self.name.ready(), self.name.space()]
            .map(|name| Semaphore::peek(&name).map(|(value, waiters)| (value, Some(waiters))));
        snapshot(self, Some(&self.name), semaphores)
    }

    /// The name it was opened by.
    #[must_use]
    pub fn name(&self) -> &RingName {
        &self.name
    }

    /// The process that created the ring, as the segment says.
    #[must_use]
    pub fn creator(&self) -> Option<ProcessId> {
        ProcessId::from_word(self.header().identity.creator.load(Ordering::Relaxed))
    }

    /// Whose the ring is, and which group shares it.
    #[must_use]
    pub fn belonging(&self) -> Belonging {
        self.mapping.belonging()
    }

    /// Whether the ring's creator lives. This is proof and no guess: the creator holds a lock on the segment.
    ///
    /// # Errors
    /// What the system says if the segment cannot be looked at.
    pub fn creator_is_alive(&self) -> std::io::Result<bool> {
        Ok(matches!(segment::creator(&self.name)?, Creator::Alive))
    }

    /// Whether the ring was made in another pid namespace: then the pids in it mean nothing here.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        check_can_join(Found::mapping(&self.mapping, &self.name.segment())).is_err()
    }

    /// The grace that the ring was made with.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// The number that says which records it carries.
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.header().identity.schema.load(Ordering::Relaxed)
    }

    /// Size of the segment, bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mapping.len()
    }
}

impl core::fmt::Debug for RingView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RingView")
            .field("name", &self.name)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// Only the loads of `snapshot` ever go through this; a store would end the process, as the mapping is read-only.
impl Memory for RingView {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn header(&self) -> &Header {
        // SAFETY: checked at `open`: the mapping begins with a header, of atomics only.
        unsafe { &*self.mapping.base().cast::<Header>() }
    }

    fn owner(&self, number: u16) -> &Owner {
        assert!(u32::from(number) <= self.shape.owners, "owner {number} of {}", self.shape.owners);
        // SAFETY: the table has `owners + 1` entries at OWNERS_OFFSET, inside the mapping.
        unsafe { &*self.mapping.base().add(OWNERS_OFFSET + usize::from(number) * OWNER_SIZE).cast::<Owner>() }
    }

    fn state(&self, position: u64) -> &AtomicU64 {
        let index = (position & (u64::from(self.shape.capacity) - 1)) as usize;
        // SAFETY: the slot lies inside the mapping and begins with its state word, 64-byte aligned.
        unsafe { &*self.mapping.base().add(self.shape.slots_offset + index * self.shape.stride).cast() }
    }

    fn read<T>(&self, position: u64, copy: impl FnOnce(*const u8) -> T) -> T {
        copy(core::ptr::from_ref(self.state(position)).cast::<u8>().wrapping_add(crate::layout::SLOT_HEAD))
    }

    fn write<T>(&self, _: u64, _: impl FnOnce(*mut u8) -> T) -> T {
        unreachable!("a view has no producer")
    }

    fn publish_fence(&self) {}

    fn sleep_fence(&self) -> bool {
        true
    }

    fn ready(&self) -> &Semaphore {
        &self.unused
    }

    fn space(&self) -> &Semaphore {
        &self.unused
    }
}
