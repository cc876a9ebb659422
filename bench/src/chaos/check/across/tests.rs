//! Small storms, written down by hand: the right one passes, each way to be wrong is found and named.

use super::*;
use crate::chaos::check::{Fault, Waits, late};
use crate::chaos::journal::{Passed, Told};

const ANN: Life = Life { slot: 0, life: 1 };
const BOB: Life = Life { slot: 1, life: 1 };
const SERVER: u32 = 100;
const ROOM: u32 = 7;
const MS: u64 = 1_000_000;

fn id(count: u32) -> Id {
    Id::new(ANN, count, false)
}

fn dm(count: u32) -> Id {
    Id::new(ANN, count, true)
}

fn to(life: Life) -> u32 {
    u32::from(life.slot) << 16 | u32::from(life.life)
}

fn heard(seq: u64, id: Id) -> Entry {
    let sent = seq * 10 * MS;
    Entry::Heard {
        id,
        whole: true,
        room_id: ROOM,
        seq,
        passed: Passed { sent, routed: sent, delivered: sent },
    }
}

fn said(seq: u64, id: Id) -> Entry {
    Entry::Said { id, room_id: ROOM, seq, routed: seq * 10 * MS }
}

fn joined(seq: u64) -> Entry {
    Entry::Joined { room: 1, room_id: ROOM, seq, routed: seq * 10 * MS + 1 }
}

fn lost(first_seq: u64, last_seq: u64) -> Entry {
    let messages = if first_seq == 0 { 1 } else { (last_seq + 1 - first_seq) as u32 };
    Entry::Gap { first_seq, last_seq, records: messages, messages, others: 0, told: Told::Server }
}

fn past(life: Life, ended: Ended, entries: Vec<Entry>) -> Past {
    let at = |(index, entry): (usize, Entry)| {
        let at = match entry {
            Entry::Heard { passed, .. } => passed.sent + MS,
            _ => index as u64,
        };
        Noted { at, entry }
    };
    Past { life, ended, stops: Vec::new(), notes: entries.into_iter().enumerate().map(at).collect() }
}

/// Ann, who says three things and tells Bob a fourth; and Bob, who hears them.
fn ann() -> Vec<Entry> {
    let mut entries = vec![Entry::Connected { server: SERVER }, Entry::Moves { room: Some(1) }, joined(0)];
    for count in 1..=3 {
        entries.push(Entry::Says { id: id(count) });
        entries.push(heard(u64::from(count), id(count)));
        entries.push(said(count.into(), id(count)));
    }
    entries.extend([Entry::Tells { id: dm(4), to: to(BOB) }, Entry::Told { id: dm(4) }]);
    entries.extend([Entry::Settled, Entry::Barrier, Entry::Quit]);
    entries
}

fn bob() -> Vec<Entry> {
    let mut entries = vec![Entry::Connected { server: SERVER }, Entry::Moves { room: Some(1) }, joined(0)];
    entries.extend((1..=3).map(|count| heard(u64::from(count), id(count))));
    entries.push(Entry::Direct { id: dm(4), whole: true, passed: Passed::default() });
    entries.extend([Entry::Settled, Entry::Barrier, Entry::Quit]);
    entries
}

/// Where Bob hears the first of three messages.
const FIRST: usize = 3;

fn judged(bob: Vec<Entry>) -> Vec<Wrong> {
    let pasts = [past(ANN, Ended::Quit, ann()), past(BOB, Ended::Quit, bob)];
    across(&pasts).into_iter().map(|violation| violation.wrong).collect()
}

fn spoilt(spoil: impl FnOnce(&mut Vec<Entry>)) -> Vec<Wrong> {
    let mut entries = bob();
    spoil(&mut entries);
    judged(entries)
}

#[test]
fn what_is_right_passes() {
    assert_eq!(judged(bob()), []);
}

#[test]
fn every_way_to_be_wrong_is_named() {
    assert_eq!(spoilt(|notes| _ = notes.remove(FIRST)), [Wrong::Missing]);
    assert_eq!(spoilt(|notes| _ = notes.remove(FIRST + 1)), [Wrong::Missing]);
    assert_eq!(spoilt(|notes| _ = notes.remove(FIRST + 2)), [Wrong::Missing]);
    assert_eq!(spoilt(|notes| _ = notes.remove(FIRST + 3)), [Wrong::Missing], "the direct message");
    let twice = spoilt(|notes| notes.insert(FIRST + 1, notes[FIRST]));
    assert!(twice.contains(&Wrong::Doubled), "{twice:?}");
    let swapped = spoilt(|notes| notes.swap(FIRST, FIRST + 1));
    assert!(swapped.contains(&Wrong::Disorder), "{swapped:?}");
    let changed = spoilt(|notes| {
        if let Entry::Heard { whole, .. } = &mut notes[FIRST] {
            *whole = false;
        }
    });
    assert_eq!(changed, [Wrong::Changed]);
    let invented = spoilt(|notes| notes[FIRST + 2] = heard(3, Id::new(BOB, 9, false)));
    assert!(invented.contains(&Wrong::Changed) && invented.contains(&Wrong::Disorder), "{invented:?}");
    let stray = spoilt(|notes| notes.swap(FIRST - 1, FIRST));
    assert!(stray.contains(&Wrong::Foreign), "{stray:?}");
    assert_eq!(spoilt(|notes| notes.insert(FIRST, Entry::Unusable { number: 5 })), [Wrong::Unusable]);
    let to_ann = spoilt(|notes| {
        notes.insert(FIRST, Entry::Direct { id: id(1), whole: true, passed: Passed::default() });
    });
    assert!(to_ann.contains(&Wrong::Foreign), "a room's message as a direct one: {to_ann:?}");
}

#[test]
fn a_loss_that_was_announced_is_none() {
    assert_eq!(spoilt(|notes| notes[FIRST + 1] = lost(2, 2)), []);
    assert_eq!(spoilt(|notes| notes[FIRST + 2] = lost(3, 3)), []);
    assert_eq!(spoilt(|notes| notes[FIRST + 1] = lost(0, 0)), [], "only its count was told");
    // Announced was another one.
    assert_eq!(spoilt(|notes| notes[FIRST + 2] = lost(2, 2)), [Wrong::Missing]);
    let untold =
        Entry::Gap { first_seq: 2, last_seq: 2, records: 1, messages: 0, others: 0, told: Told::Nobody };
    assert!(spoilt(|notes| notes[FIRST + 1] = untold).contains(&Wrong::Missing));
}

#[test]
fn a_jump_may_hold_as_many_as_were_announced_without_numbers() {
    let jump = |announced: usize| {
        let mut notes = bob();
        notes.splice(FIRST..FIRST + 2, (0..announced).map(|_| lost(0, 0)));
        judged(notes)
    };
    assert_eq!(jump(2), []);
    assert_eq!(jump(1), [Wrong::Missing, Wrong::Missing]);
}

#[test]
fn who_leaves_misses_nothing_that_was_said_before() {
    let leaves = |routed: u64| {
        let mut entries = bob();
        entries.truncate(FIRST + 2);
        entries.push(Entry::Moves { room: None });
        entries.push(Entry::Left { routed });
        entries.push(Entry::Direct { id: dm(4), whole: true, passed: Passed::default() });
        entries.push(Entry::Quit);
        judged(entries)
    };
    assert_eq!(leaves(30 * MS - 1), []);
    assert_eq!(leaves(30 * MS + 1), [Wrong::Missing]);
}

#[test]
fn a_text_behind_a_later_one_is_right_only_if_its_speaker_lost_its_session() {
    let judge = |lost: bool| {
        let mut speaks = ann();
        if lost {
            speaks.insert(3, Entry::Disconnected { server_died: false });
            speaks.insert(4, Entry::Reconnected { server: SERVER, room: Some(1) });
        }
        let mut hears = bob();
        let order = [(1, 1), (2, 3), (3, 2)];
        for (index, (seq, count)) in order.into_iter().enumerate() {
            hears[FIRST + index] = heard(seq, id(count));
        }
        speaks.retain(|entry| !matches!(entry, Entry::Heard { .. } | Entry::Said { .. }));
        let pasts = [past(ANN, Ended::Quit, speaks), past(BOB, Ended::Killed, hears)];
        across(&pasts).into_iter().any(|violation| violation.wrong == Wrong::Disorder)
    };
    assert!(judge(false));
    assert!(!judge(true));
}

#[test]
fn what_was_acknowledged_survives_the_server_or_is_counted_at_its_end() {
    let left =
        |records| Entry::Gap { first_seq: 0, last_seq: 0, records, messages: 0, others: 0, told: Told::Note };
    // Bob has heard `count` of three messages when the server is killed.
    let dies = |count: usize, announced: Option<Entry>| {
        let mut entries = bob();
        entries.truncate(FIRST + count);
        entries.push(Entry::Direct { id: dm(4), whole: true, passed: Passed::default() });
        entries.extend(announced);
        entries.extend([Entry::Disconnected { server_died: true }, Entry::Quit]);
        let mut bob = past(BOB, Ended::Quit, entries);
        // That it was stopped is no excuse.
        bob.stops = vec![(0, 100 * MS)];
        let pasts = [past(ANN, Ended::Quit, ann()), bob];
        across(&pasts).into_iter().map(|violation| violation.wrong).collect::<Vec<_>>()
    };
    assert_eq!(dies(3, None), []);
    assert_eq!(dies(2, None), [Wrong::Missing]);
    assert_eq!(dies(2, Some(left(1))), []);
    assert_eq!(dies(1, Some(left(1))), [Wrong::Missing, Wrong::Missing], "more than was counted");
    assert_eq!(dies(1, Some(left(2))), []);
    assert_eq!(dies(1, Some(lost(0, 0))), [Wrong::Missing, Wrong::Missing]);
}

#[test]
fn what_is_counted_at_a_sessions_end_excuses_nothing_after_it() {
    let mut entries = bob();
    let left = Entry::Gap { first_seq: 0, last_seq: 0, records: 9, messages: 0, others: 0, told: Told::Note };
    let again = [
        left,
        Entry::Disconnected { server_died: true },
        Entry::Reconnected { server: SERVER, room: None },
        Entry::Moves { room: Some(1) },
        joined(1),
    ];
    entries.splice(FIRST + 1..FIRST + 2, again);
    assert_eq!(judged(entries), [Wrong::Missing]);
}

#[test]
fn a_message_that_comes_again_from_the_next_server_counts_as_heard_where_it_was_heard_first() {
    let again = |first_time: bool| {
        let mut entries = ann();
        let at_barrier = entries.len() - 3;
        let more = [
            Entry::Disconnected { server_died: true },
            Entry::Reconnected { server: SERVER + 1, room: None },
            Entry::Moves { room: Some(1) },
            Entry::Joined { room: 1, room_id: ROOM, seq: 0, routed: 90 * MS },
            Entry::Said { id: id(3), room_id: ROOM, seq: 1, routed: 95 * MS },
            Entry::Says { id: id(5) },
            Entry::Heard { id: id(5), whole: true, room_id: ROOM, seq: 2, passed: Passed::default() },
            Entry::Said { id: id(5), room_id: ROOM, seq: 2, routed: 96 * MS },
        ];
        entries.splice(at_barrier..at_barrier, more);
        if !first_time {
            entries
                .retain(|entry| !matches!(entry, Entry::Heard { seq: 3, .. } | Entry::Said { seq: 3, .. }));
        }
        let bob = past(BOB, Ended::Killed, bob());
        across(&[past(ANN, Ended::Quit, entries), bob]).into_iter().map(|it| it.wrong).collect::<Vec<_>>()
    };
    assert_eq!(again(true), []);
    assert_eq!(again(false), [Wrong::Missing]);
}

#[test]
fn a_killed_client_owes_nothing_but_what_it_heard_must_be_right() {
    let killed = |entries| {
        let pasts = [past(ANN, Ended::Quit, ann()), past(BOB, Ended::Killed, entries)];
        across(&pasts).len()
    };
    for length in 0..FIRST + 3 {
        assert_eq!(killed(bob()[..length].to_vec()), 0, "{length}");
    }
    let mut spoilt = bob();
    spoilt.remove(FIRST);
    spoilt.truncate(FIRST + 1);
    assert_eq!(killed(spoilt), 1);
}

#[test]
fn a_message_that_waited_for_a_dead_peer_is_late_and_for_itself_it_is_not() {
    let grace_ns = 5 * MS;
    let judge = |slot: u16, took: u64, stops: Vec<(u64, u64)>| {
        let mut bob = past(BOB, Ended::Quit, bob());
        bob.stops = stops;
        bob.notes[FIRST].at = 10 * MS + took;
        let pasts = [past(ANN, Ended::Quit, ann()), bob];
        let fault = Fault { at: 10 * MS, dead: true, slot: Some(slot), until: 10 * MS };
        late(&pasts, &[fault], Waits { grace_ns, rejoin_ns: 1000 * MS }).1.len()
    };
    assert_eq!(judge(5, 2000 * MS, Vec::new()), 0);
    assert_eq!(judge(5, 2100 * MS, Vec::new()), 1);
    assert_eq!(judge(BOB.slot, 3100 * MS, vec![(9 * MS, 3090 * MS)]), 0, "it was stopped itself");
}

/// How many times messages to Bob are found to be late that Ann sent so far apart and that took so long, among stops of
/// somebody else at these moments.
fn late_among(apart: u64, took: impl Fn(u64) -> u64, stops: impl Iterator<Item = u64>) -> usize {
    let notes = (1..=4000).map(|count| Noted {
        at: count * apart + took(count),
        entry: Entry::Heard {
            id: id(count as u32),
            whole: true,
            room_id: ROOM,
            seq: count,
            passed: Passed { sent: count * apart, ..Passed::default() },
        },
    });
    let hears = Past { life: BOB, ended: Ended::Quit, stops: Vec::new(), notes: notes.collect() };
    let fault = |at| Fault { at, dead: false, slot: Some(5), until: at };
    let says = past(ANN, Ended::Quit, ann());
    let waits = Waits { grace_ns: 5 * MS, rejoin_ns: 1000 * MS };
    late(&[says, hears], &stops.map(fault).collect::<Vec<_>>(), waits).1.len()
}

#[test]
fn messages_near_faults_may_not_be_slower_as_a_whole() {
    // Messages a second apart, of which every second one is sent when a peer is stopped.
    let judge = |near: u64, far: u64| {
        let took = |count: u64| if count.is_multiple_of(2) { near } else { far };
        late_among(1000 * MS, took, (2..=4000).step_by(2).map(|count| count * 1000 * MS))
    };
    assert_eq!(judge(20 * MS, 4 * MS), 0);
    assert_eq!(judge(100 * MS, 4 * MS), 1);
    assert_eq!(judge(100 * MS, 50 * MS), 0, "the machine was busy all the time");
}

#[test]
fn slow_messages_are_not_counted_to_faults_for_being_slow() {
    // One of eight is slow, whatever happens to others; a peer is stopped every 100 ms.
    let took = |count: u64| if count.is_multiple_of(8) { 90 * MS } else { MS };
    assert_eq!(late_among(7 * MS, took, (0..280).map(|stop| stop * 100 * MS)), 0);
}
