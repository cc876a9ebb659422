//! What there is in /dev/shm, and what can be known of it. Nothing here disturbs a ring, and nothing that a segment
//! says is trusted: it may be another version's, damaged, or written by anyone.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use halyard_ring::chat::{RingRole, ServerName, parse_ring_name};
use halyard_ring::{
    OpenError, ProcessId, RingName, RingView, Semaphore, Snapshot, creator_lives, list_names, monotonic_ns,
};

use crate::cli::asked::Asked;
use crate::cli::visible::visible;

/// Whether a ring's creator lives.
#[derive(Debug)]
pub(crate) enum Life {
    /// It holds its lock.
    Alive,
    /// Its lock is free: it is gone, and the ring is what it left.
    Dead,
    /// There is no segment, only semaphores that somebody left: they are nobody's.
    NoSegment,
    /// The system does not tell, mostly because the segment is another user's.
    Unknown(io::Error),
}

impl Life {
    fn of(name: &RingName) -> Self {
        match creator_lives(name) {
            Ok(Some(true)) => Self::Alive,
            Ok(Some(false)) => Self::Dead,
            Ok(None) => Self::NoSegment,
            Err(error) => Self::Unknown(error),
        }
    }

    /// One word: for the table, and the `state` of `--json`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead | Self::NoSegment => "dead",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether `halyard clean` would remove what is there.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Dead | Self::NoSegment)
    }
}

/// A process that a segment names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) pid: u32,
    /// What it is called, if it lives and /proc tells.
    pub(crate) command: Option<String>,
    pub(crate) alive: bool,
}

impl Who {
    pub(crate) fn of(process: ProcessId) -> Self {
        let alive = process.is_alive();
        // A later process of the same pid is somebody else.
        let command = alive.then(|| command_of(process.pid())).flatten();
        Self { pid: process.pid(), command, alive }
    }

    /// `4242 halyard`, or `4242 (gone)`.
    pub(crate) fn label(&self) -> String {
        match (&self.command, self.alive) {
            (Some(command), _) => format!("{} {command}", self.pid),
            (None, true) => self.pid.to_string(),
            (None, false) => format!("{} (gone)", self.pid),
        }
    }
}

/// A process can call itself anything, so what a terminal would act on is made visible.
fn command_of(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let shown = visible(text.trim_end_matches('\n'));
    (!shown.is_empty()).then(|| shown.into_owned())
}

/// A ring that could be looked at.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) snapshot: Snapshot,
    pub(crate) creator: Option<Who>,
    /// Size of the segment, bytes.
    pub(crate) size: usize,
    pub(crate) grace: Duration,
    pub(crate) schema: u64,
    /// Whether it was made in another pid namespace.
    pub(crate) foreign: bool,
    /// When the picture was taken, nanoseconds of CLOCK_MONOTONIC, and after 1970.
    pub(crate) now_ns: u64,
    pub(crate) now_unix_ns: u64,
}

impl Picture {
    pub(crate) fn of(snapshot: Snapshot, size: usize, grace: Duration, schema: u64) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            creator: snapshot.creator.map(Who::of),
            snapshot,
            size,
            grace,
            schema,
            foreign: false,
            now_ns: monotonic_ns(),
            now_unix_ns: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn take(view: &RingView) -> Self {
        let picture = Self::of(view.inspect(), view.size(), view.grace(), view.schema());
        Self { foreign: view.is_foreign(), ..picture }
    }

    /// Positions claimed and not yet read. The two ends are read at different moments, so it is kept in range.
    pub(crate) fn fill(&self) -> u64 {
        let ahead = self.snapshot.tail.wrapping_sub(self.snapshot.head);
        if ahead > u64::from(self.snapshot.capacity) << 1 {
            0
        } else {
            ahead.min(u64::from(self.snapshot.capacity))
        }
    }

    /// How long the ring has been there, by the wall clock.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(self.now_unix_ns.saturating_sub(self.snapshot.created_unix_ns))
    }

    /// How long ago a heartbeat word was stamped; `None` if it never was.
    pub(crate) fn beat_age(&self, stamped_ns: u64) -> Option<Duration> {
        (stamped_ns != 0).then(|| Duration::from_nanos(self.now_ns.saturating_sub(stamped_ns)))
    }
}

/// A name in /dev/shm and what is behind it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: RingName,
    pub(crate) role: Option<(ServerName, RingRole)>,
    pub(crate) life: Life,
    pub(crate) picture: Result<Picture, OpenError>,
}

/// What stands under a ring's names where only regular files should be. Opening a pipe, say, would wait for ever.
fn obstacle(name: &RingName) -> Option<io::Error> {
    let files =
        [name.segment(), format!("/sem.{}", &name.ready()[1..]), format!("/sem.{}", &name.space()[1..])];
    files.iter().find_map(|file| {
        let found = fs::symlink_metadata(format!("/dev/shm{file}")).ok()?;
        (!found.is_file()).then(|| io::Error::other(format!("/dev/shm{file} is no regular file")))
    })
}

impl Found {
    /// Looks at a ring; `None` if there is nothing of that name, not even a semaphore.
    pub(crate) fn look(name: &RingName) -> Option<Self> {
        if let Some(error) = obstacle(name) {
            let source = io::Error::other(error.to_string());
            let picture = Err(OpenError::Os { what: "open", name: name.segment(), source });
            return Some(Self {
                name: name.clone(),
                role: parse_ring_name(name),
                life: Life::Unknown(error),
                picture,
            });
        }
        let picture = RingView::open(name).map(|view| Picture::take(&view));
        let life = Life::of(name);
        if matches!(life, Life::NoSegment) && !has_semaphores(name) {
            return None;
        }
        Some(Self { name: name.clone(), role: parse_ring_name(name), life, picture })
    }

    /// Why there is no picture, in a few words.
    pub(crate) fn fault(&self) -> Option<String> {
        let error = self.picture.as_ref().err()?;
        Some(match (error, &self.life) {
            (_, Life::NoSegment) => "only its semaphores are left".to_owned(),
            (OpenError::NotReady { .. }, Life::Alive) => "its creator is still making it".to_owned(),
            (OpenError::NotReady { .. }, _) => "no ring, or one that was never finished".to_owned(),
            (OpenError::Mismatch { field: "magic", found, .. }, _) => {
                format!("no ring: it begins with {found:#018x} instead of the magic number")
            }
            (OpenError::Mismatch { field, expected, found, .. }, _) => {
                format!("not a ring of this version: {field} {found}, expected {expected}")
            }
            (OpenError::Os { what, source, .. }, _) => format!("cannot {what} it: {source}"),
            (other, _) => other.to_string(),
        })
    }

    /// The name without its server's: `control`, `reply.12-0`; of other rings the whole name.
    pub(crate) fn short_name(&self) -> &str {
        let name = self.name.as_str();
        match &self.role {
            Some((server, _)) => &name[server.as_str().len() + 1..],
            None => name,
        }
    }

    pub(crate) fn is_control(&self) -> bool {
        matches!(self.role, Some((_, RingRole::Control)))
    }
}

fn has_semaphores(name: &RingName) -> bool {
    [name.ready(), name.space()].iter().any(|semaphore| Semaphore::file(semaphore).is_some())
}

/// The rings of one server, its control ring first.
#[derive(Debug)]
pub(crate) struct ServerRings {
    pub(crate) name: ServerName,
    pub(crate) rings: Vec<Found>,
}

impl ServerRings {
    pub(crate) fn control(&self) -> Option<&Found> {
        self.rings.first().filter(|ring| ring.is_control())
    }

    /// How many reply rings there are: living and left ones.
    pub(crate) fn replies(&self) -> usize {
        self.rings.iter().filter(|ring| !ring.is_control()).count()
    }
}

/// Everything in /dev/shm that has a ring's name.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) servers: Vec<ServerRings>,
    /// Rings that are no chat's.
    pub(crate) others: Vec<Found>,
}

impl Survey {
    /// Looks at what is asked for. What vanishes meanwhile is left out.
    pub(crate) fn take(asked: &Asked) -> io::Result<Self> {
        let mut survey = Self::default();
        for found in list_names()?.iter().filter(|name| asked.covers(name)).filter_map(Found::look) {
            let Some((server, _)) = &found.role else {
                survey.others.push(found);
                continue;
            };
            match survey.servers.iter_mut().find(|known| known.name == *server) {
                Some(known) => known.rings.push(found),
                None => survey.servers.push(ServerRings { name: server.clone(), rings: vec![found] }),
            }
        }
        // Names come sorted, and "control" sorts before "reply.".
        Ok(survey)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.others.is_empty()
    }
}
