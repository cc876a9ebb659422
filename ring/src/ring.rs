//! [`Ring`]: creating, opening and removing rings, and attaching to them.

mod renew;

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Record;
use crate::access::{Belonging, PRIVATE};
use crate::barrier::{self, Barriers};
use crate::consumer::Consumer;
use crate::error::{AttachError, CreateError, OpenError, Tampered};
use crate::inspect::{Snapshot, snapshot};
use crate::layout::{LAYOUT_VERSION, MAGIC, STATUS_MAKING, STATUS_READY, Shape};
use crate::list::remove_names;
use crate::memory::Memory;
use crate::name::RingName;
use crate::options::{Mode, RingKind, RingOptions};
use crate::owners::{self, Reaped};
use crate::private::{Author, Private};
use crate::process::{ProcessId, monotonic_ns, pid_namespace};
use crate::producer::Producer;
use crate::protocol;
use crate::region::{HeapBytes, Region};
use crate::segment::{self, MakeError, Mapping};
use crate::semaphore::Semaphore;
use crate::sync::{Ordering, QuietU64};
use crate::view::{Found, check_can_join, check_header};

/// A ring of records of type `R`, attached to this process. Clones are the same ring.
///
/// Dropping the last clone unmaps it. The names stay until [`unlink`](Self::unlink), so that a ring can outlive the
/// process that made it; `halyard clean` removes what a crash left.
pub struct Ring<R> {
    region: Arc<Region>,
    name: Option<RingName>,
    grace: Duration,
    /// The header as this process wrote it, or as it was when this process opened the ring: see [`check`](Self::check).
    header: Arc<Private>,
    /// As the options said, for the creator; nobody else has use for it.
    renewals: u32,
    record: PhantomData<fn(R) -> R>,
}

/// Whose heartbeat: see [`Ring::beat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The process that created the ring.
    Creator,
    /// The process at the other end.
    Peer,
}

impl<R: Record> Ring<R> {
    const CHECK: () = assert!(size_of::<R>() > 0, "a record needs at least one byte");

    /// Creates a ring in shared memory. Its pages are allocated now, so that no later access can fail for want of
    /// memory. Only this user may open it (mode 0600), or a group, too, if the options say so.
    ///
    /// # Errors
    /// [`CreateError::Exists`] if the name is taken, [`CreateError::NoSpace`] if /dev/shm is too full,
    /// [`CreateError::Options`] for impossible options, [`CreateError::Group`] for a group that this process may not give
    /// files to, [`CreateError::Os`] for the rest.
    pub fn create(name: &RingName, options: &RingOptions) -> Result<Self, CreateError> {
        let made = Self::make(name, options)?;
        made.allow();
        Ok(Self::of(made, name, options))
    }

    /// Makes everything that the ring `name` consists of, but for READY: whoever finds it waits for that.
    fn make(name: &RingName, options: &RingOptions) -> Result<Made, CreateError> {
        let () = Self::CHECK;
        options.check().map_err(CreateError::Options)?;
        let shape = Shape::new(options, size_of::<R>());
        if let Some(group) = options.group {
            group.check_membership().map_err(CreateError::Group)?;
        }
        let mapping = Mapping::create(name, shape.total, options.group).map_err(|error| match error {
            MakeError::Exists => CreateError::Exists { name: name.segment() },
            MakeError::NoSpace => CreateError::NoSpace { need: shape.total, name: name.segment() },
            MakeError::Share(source) => CreateError::Os { what: "share", name: name.segment(), source },
            MakeError::Io(source) => CreateError::Os { what: "create", name: name.segment(), source },
        })?;
        #[cfg(feature = "faults")]
        crate::faults::pass(crate::faults::Point::HalfCreated);
        // Semaphores of that name without a segment are what is left of a segment that somebody removed by hand.
        let [ready, space] = [name.ready(), name.space()].map(|semaphore| {
            let _ = Semaphore::unlink(&semaphore);
            let value =
                if shape.mode == Mode::Counting && semaphore.ends_with("space") { shape.capacity } else { 0 };
            Semaphore::create_for(&semaphore, PRIVATE, value, options.group)
                .map_err(|source| (semaphore, source))
        });
        let (ready, space) = match (ready, space) {
            (Ok(ready), Ok(space)) => (ready, space),
            (Err((semaphore, source)), _) | (_, Err((semaphore, source))) => {
                let _ = remove_names(name);
                return Err(if source.raw_os_error() == Some(nix::libc::ENOSPC) {
                    CreateError::NoSpace { need: 32, name: semaphore }
                } else {
                    CreateError::Os { what: "create", name: semaphore, source }
                });
            }
        };
        let asymmetric = barrier::is_registered();
        let region = Region::mapped(mapping, shape, Barriers::new(asymmetric), ready, space);
        let header = fill(&region, options, asymmetric);
        if region.is_truncated() {
            let _ = remove_names(name);
            let source = io::Error::other("another process truncated it meanwhile");
            return Err(CreateError::Os { what: "create", name: name.segment(), source });
        }
        Ok(Made { region, header })
    }

    fn of(made: Made, name: &RingName, options: &RingOptions) -> Self {
        let Made { region, header } = made;
        Self {
            region: Arc::new(region),
            name: Some(name.clone()),
            grace: options.grace,
            header: Arc::new(header),
            renewals: options.renewals,
            record: PhantomData,
        }
    }

    /// Opens a ring that exists.
    ///
    /// # Errors
    /// [`OpenError::NotFound`], [`OpenError::NotReady`] while its creator is at work, [`OpenError::Mismatch`] with
    /// the field that differs, [`OpenError::Os`] for the rest.
    pub fn open(name: &RingName) -> Result<Self, OpenError> {
        let () = Self::CHECK;
        let mapping = Mapping::open(name).map_err(|error| OpenError::of(error, name))?;
        let segment = name.segment();
        let found = Found::mapping(&mapping, &segment);
        let (shape, grace) = check_header(found, Some(size_of::<R>()))?;
        let barriers = Barriers::new(check_can_join(found)?);
        let open = |semaphore: String| {
            Semaphore::open(&semaphore).map_err(|source| OpenError::Os {
                what: "open",
                name: semaphore,
                source,
            })
        };
        let (ready, space) = (open(name.ready())?, open(name.space())?);
        let region = Region::mapped(mapping, shape, barriers, ready, space);
        let header = Private::of(&region);
        Ok(Self::with(region, header, Some(name.clone()), grace))
    }

    /// Makes a ring of plain heap memory for threads of this process: the same algorithm, no names.
    ///
    /// # Panics
    /// If the options are impossible (see [`RingOptions`]).
    #[must_use]
    pub fn heap(options: &RingOptions) -> Self {
        let () = Self::CHECK;
        if let Err(what) = options.check() {
            panic!("{what}");
        }
        let shape = Shape::new(options, size_of::<R>());
        let space = if shape.mode == Mode::Counting { shape.capacity } else { 0 };
        let asymmetric = barrier::is_registered();
        let barriers = Barriers::new(asymmetric);
        let region = Region::heap(shape, barriers, Semaphore::unnamed(0), Semaphore::unnamed(space));
        let header = fill(&region, options, asymmetric);
        allow(&region);
        Self::with(region, header, None, options.grace)
    }

    fn with(region: Region, header: Private, name: Option<RingName>, grace: Duration) -> Self {
        let header = Arc::new(header);
        Self { region: Arc::new(region), name, grace, header, renewals: 0, record: PhantomData }
    }

    /// Takes bytes for a ring, as [`open`](Self::open) takes a file's.
    pub(crate) fn of_bytes(bytes: HeapBytes) -> Result<Self, OpenError> {
        let () = Self::CHECK;
        let found = Found { identity: bytes.identity(), len: bytes.len(), name: "bytes" };
        let (shape, grace) = check_header(found, Some(size_of::<R>()))?;
        let barriers = Barriers::new(check_can_join(found)?);
        let [ready, space] = [Semaphore::unnamed(0), Semaphore::unnamed(0)];
        let region = Region::of_bytes(bytes, shape, barriers, ready, space);
        let header = Private::of(&region);
        Ok(Self::with(region, header, None, grace))
    }

    /// Attaches as a producer. Dropping the producer detaches it.
    ///
    /// # Errors
    /// [`AttachError::ProducerTaken`] if it is a single-producer ring and has one, [`AttachError::OwnersFull`],
    /// [`AttachError::Closed`].
    pub fn producer(&self) -> Result<Producer<R>, AttachError> {
        if self.is_closed() {
            return Err(AttachError::Closed);
        }
        let owner = owners::attach_producer(&self.region)?;
        #[cfg(feature = "faults")]
        crate::faults::pass(crate::faults::Point::Attach);
        Ok(Producer::new(Arc::clone(&self.region), owner))
    }

    /// Attaches as the consumer. It goes on where the last one stopped, also if that one was killed.
    ///
    /// # Errors
    /// [`AttachError::ConsumerTaken`] if the ring has a living one.
    pub fn consumer(&self) -> Result<Consumer<R>, AttachError> {
        owners::attach_consumer(&self.region)?;
        Ok(Consumer::new(Arc::clone(&self.region), self.grace, Arc::clone(&self.header)))
    }
}

impl<R> Ring<R> {
    /// Removes the ring's names, if they still stand for this ring. Who is attached stays attached.
    ///
    /// # Errors
    /// What the system says; names that are gone already are no error.
    pub fn unlink(&self) -> io::Result<()> {
        let (Some(name), Some(mapping)) = (&self.name, self.region.mapping()) else { return Ok(()) };
        // The segment goes last: its lock covers the other names.
        for (semaphore, ours) in [(name.ready(), self.region.ready()), (name.space(), self.region.space())] {
            if Semaphore::file(&semaphore) == ours.own_file() {
                ignore_missing(Semaphore::unlink(&semaphore))?;
            }
        }
        if mapping.is_named(name)? {
            ignore_missing(segment::unlink(name))?;
        }
        Ok(())
    }

    /// Whose the ring's file is, and which group shares it, as it was when this process made or opened it; `None` for a
    /// heap ring.
    #[must_use]
    pub fn belonging(&self) -> Option<Belonging> {
        self.region.mapping().map(Mapping::belonging)
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Whether the name still stands for this very ring: false after [`renew`](Self::renew), and when somebody removed
    /// it. A system call; a heap ring has no name and is always current.
    ///
    /// # Errors
    /// What the system says if it will not tell. A name that is gone, or stands for something else, is no error.
    pub fn is_current(&self) -> io::Result<bool> {
        let (Some(name), Some(mapping)) = (&self.name, self.region.mapping()) else { return Ok(true) };
        mapping.is_named(name)
    }

    /// Closes the ring for good: pushes fail, pops deliver what is there and then fail, and every sleeper wakes.
    pub fn close(&self) {
        protocol::close(&*self.region);
    }

    /// Whether the ring is closed, or [truncated](Self::is_truncated).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_truncated() || self.region.header().reader.closed.load(Ordering::Acquire) != 0
    }

    /// Whether another process has truncated the ring's file or a semaphore's, as far as an access of this process has
    /// shown: then what this process sees are pages of its own, and the ring is closed for it.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.region.is_truncated()
    }

    /// Looks for traces of somebody else's writing in the header: words that never change and have, bytes that are always
    /// zero and are not. Under a microsecond. The consumer can look at more: see `Consumer::audit`.
    ///
    /// # Errors
    /// [`Tampered`] says what was found.
    pub fn check(&self) -> Result<(), Tampered> {
        let compared = self.header.compare_header(&self.region);
        if self.region.is_truncated() { Err(Tampered::Truncated) } else { compared }
    }

    /// Makes the consumer's [`wait`](Consumer::wait) return, now or the next time it is called.
    pub fn nudge(&self) {
        protocol::nudge(&*self.region);
    }

    /// Stamps a heartbeat word in the header with the time. Nobody is woken.
    pub fn beat(&self, whose: Beat) {
        self.beat_word(whose).store(monotonic_ns(), Ordering::Release);
    }

    /// How long ago that heartbeat was stamped; `None` if never.
    #[must_use]
    pub fn last_beat(&self, whose: Beat) -> Option<Duration> {
        let at = self.beat_word(whose).load(Ordering::Acquire);
        (at != 0).then(|| Duration::from_nanos(monotonic_ns().saturating_sub(at)))
    }

    fn beat_word(&self, whose: Beat) -> &QuietU64 {
        let header = self.region.header();
        match whose {
            Beat::Creator => &header.creator_beat.at_ns,
            Beat::Peer => &header.peer.at_ns,
        }
    }

    /// A word in the header that a process at the other end may write for the ring's creator, and that outlives it; 0
    /// before. The engine gives it no meaning.
    #[must_use]
    pub fn note(&self) -> u64 {
        self.region.header().peer.note.load(Ordering::Acquire)
    }

    /// Writes the [`note`](Self::note). Nobody is woken.
    pub fn set_note(&self, note: u64) {
        self.region.header().peer.note.store(note, Ordering::Release);
    }

    /// The process that created the ring; `None` if the word in shared memory was overwritten.
    #[must_use]
    pub fn creator(&self) -> Option<ProcessId> {
        ProcessId::from_word(self.region.header().identity.creator.load(Ordering::Relaxed))
    }

    /// Frees what dead producers left: claimed slots, slots in quarantine, owner entries. The consumer does so by
    /// itself for what stands in its way; this looks at every producer.
    pub fn reap(&self) -> Reaped {
        owners::reap(&self.region)
    }

    /// A picture of the ring now: positions, slots, owners, semaphores, counters.
    #[must_use]
    pub fn inspect(&self) -> Snapshot {
        let semaphores = [self.region.ready(), self.region.space()]
            .map(|semaphore| Some((semaphore.value(), semaphore.waiters())));
        snapshot(&*self.region, self.name.as_ref(), semaphores)
    }

    /// How many records it holds.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.region.shape().capacity
    }

    /// One producer or many.
    #[must_use]
    pub fn kind(&self) -> RingKind {
        self.region.shape().kind
    }

    /// What its semaphores mean.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.region.shape().mode
    }

    /// The number that says which records it carries: see [`RingOptions::schema`].
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.region.header().identity.schema.load(Ordering::Relaxed)
    }

    /// Its name; `None` for a heap ring.
    #[must_use]
    pub fn name(&self) -> Option<&RingName> {
        self.name.as_ref()
    }
}

impl<R> Clone for Ring<R> {
    fn clone(&self) -> Self {
        Self {
            region: Arc::clone(&self.region),
            name: self.name.clone(),
            grace: self.grace,
            header: Arc::clone(&self.header),
            renewals: self.renewals,
            record: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Ring<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = self.region.shape();
        f.debug_struct("Ring").field("name", &self.name).field("shape", shape).finish_non_exhaustive()
    }
}

/// A ring whose parts are all there and bear a name, and which nobody may use yet.
struct Made {
    region: Region,
    header: Private,
}

impl Made {
    fn allow(&self) {
        allow(&self.region);
    }

    fn mapping(&self) -> &Mapping {
        self.region.mapping().expect("made of a file")
    }
}

/// Lets everybody use a region that is filled: READY comes last, Release, and whoever sees it sees the rest.
fn allow(region: &Region) {
    region.header().identity.status.store(STATUS_READY, Ordering::Release);
}

/// Fills a fresh region, but for READY: see [`allow`]. Returns what the header will say with it.
fn fill(region: &Region, options: &RingOptions, asymmetric: bool) -> Private {
    let shape = *region.shape();
    region.format_slots(options.first);
    let header = region.header();
    let words = &*header.identity;
    let mut author = Author::of(words);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    author.store_half(&words.status, STATUS_MAKING);
    author.store(&words.creator, ProcessId::current().to_word());
    author.store(&words.magic, u64::from_ne_bytes(MAGIC));
    author.store_half(&words.layout_version, LAYOUT_VERSION);
    author.store_half(&words.kind, shape.kind as u32);
    author.store_half(&words.mode, shape.mode as u32);
    author.store_half(&words.capacity, shape.capacity);
    author.store_half(&words.record_size, shape.record_size as u32);
    author.store_half(&words.stride, shape.stride as u32);
    author.store_half(&words.owners, shape.owners);
    author.store(&words.schema, options.schema);
    // Tells this segment from an earlier one of its name.
    author.store(&words.epoch, RandomState::new().hash_one(now));
    author.store(&words.created_unix_ns, now.as_nanos() as u64);
    author.store(&words.total_size, shape.total as u64);
    author.store(&words.grace_ns, u64::try_from(options.grace.as_nanos()).unwrap_or(u64::MAX));
    author.store(&words.slots_offset, shape.slots_offset as u64);
    author.store(&words.pid_namespace, pid_namespace());
    author.store_half(&words.asymmetric, u32::from(asymmetric));
    author.store_half(&words.renewals, options.renewals);
    header.consumer.head.store(options.first, Ordering::Relaxed);
    author.expect_half(&words.status, STATUS_READY);
    author.finish()
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
