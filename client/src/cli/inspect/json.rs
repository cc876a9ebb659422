//! A picture of a ring as one JSON object.

use halyard_ring::{Phase, SemaphoreSnapshot, SlotSnapshot};
use serde::Serialize;

use super::slots;
use crate::cli::ls::survey::{Life, Picture, Who};
use crate::cli::ls::{WhoJson, kind_word, mode_word};

/// The object that `inspect --json` prints. Fields are added, never renamed, as long as `v` is 1.
#[derive(Serialize)]
pub(super) struct PictureJson<'a> {
    v: u32,
    r#type: &'static str,
    name: Option<&'a str>,
    state: Option<&'static str>,
    kind: &'static str,
    mode: &'static str,
    capacity: u32,
    record_size: u32,
    stride: u32,
    bytes: usize,
    owners_max: u32,
    grace_ns: u64,
    /// Hexadecimal text: as numbers, 64 bits would not survive every JSON reader.
    epoch: String,
    schema: String,
    /// How often its creator has made it anew, because another process had damaged it.
    renewals: u32,
    created_unix_ns: u64,
    closed: bool,
    head: u64,
    tail: u64,
    fill: u64,
    creator: Option<WhoJson>,
    creator_heartbeat_age_ns: Option<u64>,
    consumer: Option<WhoJson>,
    peer_heartbeat_age_ns: Option<u64>,
    producers: Vec<ProducerJson>,
    phases: Phases,
    /// All slots by index, neighbours in one phase together.
    slots: Vec<Run>,
    /// The claimed and the voided slots one by one.
    held: Vec<Held>,
    ready: Option<SemaphoreJson>,
    space: Option<SemaphoreJson>,
    consumer_waiting: bool,
    producers_waiting: u32,
    counters: CountersJson,
}

#[derive(Serialize)]
struct ProducerJson {
    owner: u16,
    #[serde(flatten)]
    who: WhoJson,
    published: u64,
    full_events: u64,
    parks: u64,
    voided: u64,
}

#[derive(Serialize)]
struct Phases {
    ready: usize,
    claimed: usize,
    void: usize,
    free: usize,
}

#[derive(Serialize)]
struct Run {
    first: usize,
    count: usize,
    phase: &'static str,
}

#[derive(Serialize)]
struct Held {
    slot: usize,
    phase: &'static str,
    position: u64,
    owner: u16,
    process: Option<WhoJson>,
}

#[derive(Serialize)]
struct SemaphoreJson {
    value: u32,
    waiters: Option<u32>,
}

#[derive(Serialize)]
struct CountersJson {
    published: u64,
    consumed: u64,
    full_events: u64,
    consumer_parks: u64,
    producer_parks: u64,
    ready_wakes: u64,
    space_wakes: u64,
    voids: u64,
    holes: u64,
    quarantined: u32,
    damaged: u64,
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Free => "free",
        Phase::Claimed => "claimed",
        Phase::Ready => "ready",
        Phase::Void => "void",
    }
}

impl<'a> PictureJson<'a> {
    pub(super) fn of(picture: &'a Picture, life: Option<&Life>) -> Self {
        let snapshot = &picture.snapshot;
        let who = |process| WhoJson::from(&Who::of(process));
        let age = |stamped| picture.beat_age(stamped).map(|age| age.as_nanos() as u64);
        let semaphore = |seen: SemaphoreSnapshot| SemaphoreJson { value: seen.value, waiters: seen.waiters };
        let [(_, ready), (_, claimed), (_, void), (_, free)] = slots::census(snapshot);
        let counters = &snapshot.counters;
        Self {
            v: 1,
            r#type: "ring",
            name: snapshot.name.as_ref().map(|name| name.as_str()),
            state: life.map(Life::word),
            kind: kind_word(snapshot.kind),
            mode: mode_word(snapshot.mode),
            capacity: snapshot.capacity,
            record_size: snapshot.record_size,
            stride: snapshot.stride,
            bytes: picture.size,
            owners_max: snapshot.owners_max,
            grace_ns: u64::try_from(picture.grace.as_nanos()).unwrap_or(u64::MAX),
            epoch: format!("{:016x}", snapshot.epoch),
            schema: format!("{:016x}", picture.schema),
            renewals: snapshot.renewals,
            created_unix_ns: snapshot.created_unix_ns,
            closed: snapshot.closed,
            head: snapshot.head,
            tail: snapshot.tail,
            fill: picture.fill(),
            creator: picture.creator.as_ref().map(WhoJson::from),
            creator_heartbeat_age_ns: age(snapshot.creator_beat_ns),
            consumer: snapshot.consumer.map(who),
            peer_heartbeat_age_ns: age(snapshot.peer_beat_ns),
            producers: snapshot
                .producers
                .iter()
                .map(|owner| ProducerJson {
                    owner: owner.number,
                    who: who(owner.process),
                    published: owner.published,
                    full_events: owner.full_events,
                    parks: owner.parks,
                    voided: owner.voided,
                })
                .collect(),
            phases: Phases { ready, claimed, void, free },
            slots: runs(&snapshot.slots),
            held: held(&snapshot.slots),
            ready: snapshot.ready.map(semaphore),
            space: snapshot.space.map(semaphore),
            consumer_waiting: snapshot.consumer_waiting,
            producers_waiting: snapshot.producers_waiting,
            counters: CountersJson {
                published: counters.published,
                consumed: counters.consumed,
                full_events: counters.full_events,
                consumer_parks: counters.consumer_parks,
                producer_parks: counters.producer_parks,
                ready_wakes: counters.ready_wakes,
                space_wakes: counters.space_wakes,
                voids: counters.voids,
                holes: counters.holes,
                quarantined: counters.quarantined,
                damaged: counters.damaged,
            },
        }
    }
}

fn runs(slots: &[SlotSnapshot]) -> Vec<Run> {
    let mut first = 0;
    slots
        .chunk_by(|a, b| a.state.phase() == b.state.phase())
        .map(|run| {
            let start = first;
            first += run.len();
            Run { first: start, count: run.len(), phase: phase_word(run[0].state.phase()) }
        })
        .collect()
}

fn held(slots: &[SlotSnapshot]) -> Vec<Held> {
    slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| matches!(slot.state.phase(), Phase::Claimed | Phase::Void))
        .map(|(index, slot)| Held {
            slot: index,
            phase: phase_word(slot.state.phase()),
            position: slot.state.sequence(),
            owner: slot.state.owner(),
            process: slot.owner.map(|process| WhoJson::from(&Who::of(process))),
        })
        .collect()
}
