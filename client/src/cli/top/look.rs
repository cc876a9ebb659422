//! One look at a server's rings, as plain values, so that the view can be tried on looks that never were.

use std::io;
use std::time::Duration;

use halyard_client::ServerName;
use halyard_ring::chat::parse_ring_name;
use halyard_ring::{SemaphoreSnapshot, list_names, monotonic_ns};

use crate::cli::ls::survey::{Found, Life, Picture, Who};
use crate::cli::visible::visible;

/// What the lock of a ring's creator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Alive,
    Dead,
    Unknown,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

/// What a ring showed of itself. Any process of the user may have written these numbers: nothing is taken for granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Random number of the segment: another one is another ring.
    pub(super) epoch: u64,
    /// How often its owner has made it anew, because another process had damaged it.
    pub(super) renewals: u32,
    /// When it was looked at, nanoseconds of CLOCK_MONOTONIC.
    pub(super) at_ns: u64,
    pub(super) age: Duration,
    pub(super) owner: Option<Who>,
    pub(super) capacity: u32,
    pub(super) fill: u64,
    pub(super) head: u64,
    pub(super) published: u64,
    pub(super) consumed: u64,
    /// Posts of both semaphores.
    pub(super) wakes: u64,
    pub(super) full_events: u64,
    pub(super) voids: u64,
    pub(super) quarantined: u32,
    pub(super) ready: Option<SemaphoreSnapshot>,
    pub(super) space: Option<SemaphoreSnapshot>,
    pub(super) consumer_parked: bool,
    pub(super) producers_parked: u32,
    /// Since its creator's last heartbeat; `None` before the first.
    pub(super) beat_age: Option<Duration>,
    pub(super) closed: bool,
}

impl Seen {
    fn of(picture: &Picture) -> Self {
        let snapshot = &picture.snapshot;
        let counters = &snapshot.counters;
        let asleep = |seen: Option<SemaphoreSnapshot>| seen.and_then(|seen| seen.waiters).unwrap_or(0);
        Self {
            epoch: snapshot.epoch,
            renewals: snapshot.renewals,
            at_ns: picture.now_ns,
            age: picture.age(),
            owner: picture.creator.clone(),
            capacity: snapshot.capacity,
            fill: picture.fill(),
            head: snapshot.head,
            published: counters.published,
            consumed: counters.consumed,
            wakes: counters.ready_wakes.wrapping_add(counters.space_wakes),
            full_events: counters.full_events,
            voids: counters.voids,
            quarantined: counters.quarantined,
            ready: snapshot.ready,
            space: snapshot.space,
            // In counting mode nobody announces a sleep; there the semaphores themselves tell.
            consumer_parked: snapshot.consumer_waiting || asleep(snapshot.ready) > 0,
            producers_parked: snapshot.producers_waiting.max(asleep(snapshot.space)),
            beat_age: picture.beat_age(snapshot.creator_beat_ns),
            closed: snapshot.closed,
        }
    }

    /// Filled part, per mille.
    pub(super) fn permille(&self) -> u64 {
        self.fill * 1000 / u64::from(self.capacity).max(1)
    }
}

/// One ring, or why it could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Without the server's name: `control`, `reply.12-0`.
    pub(super) name: String,
    pub(super) is_control: bool,
    pub(super) state: State,
    pub(super) seen: Result<Seen, String>,
}

impl Look {
    fn of(found: &Found) -> Self {
        Self {
            name: found.short_name().to_owned(),
            is_control: found.is_control(),
            state: match found.life {
                Life::Alive => State::Alive,
                Life::Dead | Life::NoSegment => State::Dead,
                Life::Unknown(_) => State::Unknown,
            },
            seen: found
                .picture
                .as_ref()
                .map(Seen::of)
                .map_err(|_| visible(&found.fault().unwrap_or_default()).into_owned()),
        }
    }
}

/// All rings of a server at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at_ns: u64,
    pub(super) looks: Vec<Look>,
}

impl Sample {
    /// Looks at the rings through read-only mappings, opened anew each time: another ring may have a name by now.
    pub(super) fn take(server: &ServerName) -> io::Result<Self> {
        let names = list_names()?;
        let ours = names.iter().filter(|name| parse_ring_name(name).is_some_and(|(of, _)| of == *server));
        let looks = ours.filter_map(Found::look).map(|found| Look::of(&found)).collect();
        Ok(Self { at_ns: monotonic_ns(), looks })
    }
}

/// `1+2`: the value, and how many sleep; `?` where it could not be read.
pub(super) fn semaphore(seen: Option<SemaphoreSnapshot>) -> String {
    let number = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    seen.map_or_else(|| "?".to_owned(), |seen| format!("{}+{}", seen.value, number(seen.waiters)))
}
