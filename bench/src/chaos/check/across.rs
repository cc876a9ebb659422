//! What all clients noted, together.

use std::collections::{BTreeMap, HashMap};

use super::stream::{End, Jump, Stay, Stream};
use super::{Violation, Wrong};
use crate::chaos::journal::{Entry, Noted};
use crate::chaos::message::{Id, Life};

/// How a client process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Killed.
    Killed,
    /// It said goodbye, at the end or before.
    Quit,
}

/// A client process that is over.
pub(crate) struct Past {
    pub(crate) life: Life,
    pub(crate) ended: Ended,
    /// When it was stopped, from and to.
    pub(crate) stops: Vec<(u64, u64)>,
    pub(crate) notes: Vec<Noted>,
}

/// A message's place in its room, and what is known of it.
#[derive(Clone, Copy)]
struct Place {
    id: Id,
    routed: u64,
    acked: bool,
}

/// A message bears the time at which it was received, everything else the time at which the client came to note it.
const NOTED_LATE_NS: u64 = 1_000_000_000;

type Rooms = HashMap<(u32, u32), BTreeMap<u64, Place>>;

/// Checks every client's notes by themselves and against each other's.
pub(crate) fn across(pasts: &[Past]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut streams = HashMap::new();
    let mut said: HashMap<Id, Option<u32>> = HashMap::new();
    for past in pasts {
        let mut stream = Stream::new(past.life);
        for &noted in &past.notes {
            stream.take(noted);
            match noted.entry {
                Entry::Says { id } => _ = said.insert(id, None),
                Entry::Tells { id, to } => _ = said.insert(id, Some(to)),
                _ => {}
            }
        }
        streams.insert(past.life, stream);
    }
    for stream in streams.values_mut() {
        for (at, id, last) in std::mem::take(&mut stream.resent) {
            let speaker = pasts.iter().find(|past| past.life == id.life());
            let had_lost_it = |noted: &Noted| {
                noted.at <= at + NOTED_LATE_NS && matches!(noted.entry, Entry::Disconnected { .. })
            };
            if !speaker.is_some_and(|speaker| speaker.notes.iter().any(had_lost_it)) {
                stream.disorder(at, id, last);
            }
        }
        violations.extend_from_slice(stream.violations());
    }
    let rooms = places(&streams, &mut violations);
    // When somebody first lost a session.
    let lost =
        pasts.iter().flat_map(|past| &past.notes).filter(|it| matches!(it.entry, Entry::Disconnected { .. }));
    let resent_since = lost.map(|noted| noted.at).min();
    for past in pasts {
        let stream = &streams[&past.life];
        for noted in &past.notes {
            came_from_somebody(past.life, noted, &said, &mut violations);
        }
        for stay in &stream.stays {
            is_complete(past, stream, stay, (&rooms, resent_since), &mut violations);
        }
    }
    let ended: HashMap<Life, Ended> = pasts.iter().map(|past| (past.life, past.ended)).collect();
    for past in pasts {
        for noted in &past.notes {
            let Entry::Told { id } = noted.entry else { continue };
            let Some(Some(to)) = said.get(&id) else { continue };
            let to = Life { slot: (to >> 16) as u16, life: *to as u16 };
            if ended.get(&to) == Some(&Ended::Quit) && !streams[&to].had.contains(&id) {
                let text = format!("{id}, which was acknowledged");
                violations.push(Violation::new(noted.at, Wrong::Missing, to, text));
            }
        }
    }
    violations.sort_by_key(|violation| violation.at);
    violations
}

/// Every room's messages, from whoever heard them or was told their places; a room has one order.
fn places(streams: &HashMap<Life, Stream>, violations: &mut Vec<Violation>) -> Rooms {
    let mut rooms = Rooms::new();
    let mut put = |life: Life, key: (u32, u32), seq: u64, new: Place| {
        let place = rooms.entry(key).or_default().entry(seq).or_insert(new);
        if place.id != new.id {
            let text =
                format!("{} at number {seq} of room {}, where others have {}", new.id, key.1, place.id);
            violations.push(Violation::new(new.routed, Wrong::Disorder, life, text));
        }
        place.acked |= new.acked;
    };
    for (&life, stream) in streams {
        for stay in &stream.stays {
            for &(seq, id, routed) in &stay.heard {
                put(life, (stay.server, stay.room_id), seq, Place { id, routed, acked: false });
            }
        }
        for acked in &stream.acked {
            let place = Place { id: acked.id, routed: acked.routed, acked: true };
            put(life, (acked.server, acked.room_id), acked.seq, place);
        }
    }
    rooms
}

/// What was received was sent, and to this client.
fn came_from_somebody(
    life: Life,
    noted: &Noted,
    said: &HashMap<Id, Option<u32>>,
    violations: &mut Vec<Violation>,
) {
    let (id, own) = match noted.entry {
        Entry::Heard { id, whole: true, .. } => (id, None),
        Entry::Direct { id, whole: true, .. } => {
            (id, Some(u32::from(life.slot) << 16 | u32::from(life.life)))
        }
        _ => return,
    };
    match said.get(&id) {
        None => {
            violations.push(Violation::new(
                noted.at,
                Wrong::Changed,
                life,
                format!("{id}, which nobody has sent"),
            ));
        }
        Some(to) if *to != own => {
            violations.push(Violation::new(noted.at, Wrong::Foreign, life, format!("{id}, sent to another")));
        }
        Some(_) => {}
    }
}

/// Whoever was in a room has all that was said there meanwhile, but for what was announced as lost.
fn is_complete(
    past: &Past,
    stream: &Stream,
    stay: &Stay,
    (rooms, resent_since): (&Rooms, Option<u64>),
    violations: &mut Vec<Violation>,
) {
    let Some(room) = rooms.get(&(stay.server, stay.room_id)) else { return };
    let mut missing = |seq: u64, at: u64, why: &str| {
        let what =
            room.get(&seq).map_or_else(|| "a message that nobody knows".to_owned(), |it| it.id.to_string());
        let text = format!("{what}, number {seq} of room {}, {why}", stay.room_id);
        violations.push(Violation::new(at, Wrong::Missing, past.life, text));
    };
    for &Jump { first, last, at, announced } in &stay.jumps {
        // Received before, when it stood somewhere else: a server that came later delivered it again.
        // Of one that nobody heard there, all had received it before, and its speaker is dead: it was sent again by
        // somebody whose session was lost.
        let had = |seq: &u64| match room.get(seq) {
            Some(place) => stream.had.contains(&place.id),
            None => resent_since.is_some_and(|since| since <= at + NOTED_LATE_NS),
        };
        let unknown: Vec<u64> = (first..=last).filter(|seq| !had(seq)).collect();
        if unknown.len() as u64 > announced {
            unknown.into_iter().for_each(|seq| missing(seq, at, "passed over without a word"));
        }
    }
    if stay.after.is_none() {
        return;
    }
    let is_missing = |place: &Place| {
        let is_due = match stay.end {
            End::Heard => true,
            End::Left { routed } => place.routed < routed,
            End::ServerDied => place.acked,
            End::Cut | End::SessionOver => false,
        };
        is_due && !stream.had.contains(&place.id)
    };
    let rest = || room.range(stay.last + 1..).filter(|(_, place)| is_missing(place));
    // What waited outside a full ring when the server was killed went with it, and the client was told how much it was.
    if stay.end == End::ServerDied && rest().count() as u64 <= stay.announced {
        return;
    }
    let why = match stay.end {
        End::Left { .. } => "said before it left",
        End::ServerDied => "acknowledged before the server was killed",
        _ => "although it stayed to the end",
    };
    for (&seq, place) in rest() {
        missing(seq, place.routed, why);
    }
}

impl Past {
    /// Whether it was stopped at any time between.
    pub(crate) fn was_stopped(&self, from: u64, to: u64) -> bool {
        self.stops.iter().any(|&(stop, go_on)| stop <= to && go_on >= from)
    }
}

#[cfg(test)]
mod tests;
