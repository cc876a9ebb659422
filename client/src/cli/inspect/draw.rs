//! A picture of a ring in text.

use halyard_ring::chat::SCHEMA;
use halyard_ring::{Phase, ProcessId, RingKind, SemaphoreSnapshot};

use super::slots;
use crate::cli::ls::paint::{Paint, Style};
use crate::cli::ls::survey::{Life, Picture, Who};
use crate::cli::ls::table::{Cell, Table};
use crate::cli::ls::units::{bytes, count, plural, span};
use crate::cli::ls::{kind_word, mode_word, style_of};

/// The claimed and voided slots that are listed before the rest is only counted.
const HELD_MAX: usize = 24;

/// Records a second between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    published: u64,
    consumed: u64,
}

impl Rates {
    /// `None` if the two are not of one ring, or were taken at once.
    pub(crate) fn between(before: &Picture, now: &Picture) -> Option<Self> {
        let span = now.now_ns.saturating_sub(before.now_ns) as f64 / 1e9;
        let (old, new) = (&before.snapshot, &now.snapshot);
        // A producer that leaves between two reads may be counted twice in the first: the sum can fall a little.
        let rate = |old: u64, new: u64| (new.saturating_sub(old) as f64 / span).round() as u64;
        (old.epoch == new.epoch && span > 0.0).then(|| Self {
            published: rate(old.counters.published, new.counters.published),
            consumed: rate(old.counters.consumed, new.counters.consumed),
        })
    }
}

/// The whole picture, line by line. `life` is what the creator's lock says; `None` for a ring without a name.
pub(crate) fn draw(
    picture: &Picture,
    life: Option<&Life>,
    rates: Option<&Rates>,
    paint: &Paint,
) -> Vec<String> {
    let mut lines = header(picture, life, paint);
    lines.push(String::new());
    lines.push(format!("  {}", slots::legend(&picture.snapshot, paint)));
    lines.extend(slots::picture(&picture.snapshot, paint));
    lines.extend(held(picture, paint));
    lines.push(String::new());
    lines.extend(semaphores(picture, paint));
    lines.extend(counters(picture, rates, paint));
    lines.push(String::new());
    // Last, since there can be thousands.
    lines.extend(owners(picture, paint));
    lines
}

fn header(picture: &Picture, life: Option<&Life>, paint: &Paint) -> Vec<String> {
    let snapshot = &picture.snapshot;
    let name = snapshot.name.as_ref().map_or("(no name)", |name| name.as_str());
    let door = if snapshot.closed { paint.apply(Style::Warn, "closed") } else { "open".to_owned() };
    let carried = match picture.schema {
        SCHEMA => "chat records".to_owned(),
        0 => "no schema".to_owned(),
        other => format!("schema {other:#x}"),
    };
    let mut title = format!(
        "{} · {} · {} · {carried} · {door}",
        paint.apply(Style::Bold, name),
        kind_word(snapshot.kind),
        mode_word(snapshot.mode),
    );
    if let Some(life) = life {
        title.push_str(&format!(" · {}", paint.apply(style_of(life), life.word())));
    }
    let beat = |stamped| picture.beat_age(stamped).map(|age| format!(" · heartbeat {} ago", span(age)));
    let creator = picture.creator.as_ref().map_or_else(|| "?".to_owned(), Who::label);
    let created = format!(" · created {} ago", span(picture.age()));
    let anew = match snapshot.renewals {
        0 => String::new(),
        times => format!(
            " · {}",
            paint.apply(Style::Warn, &format!("made anew {}", plural(times as usize, "time")))
        ),
    };
    let consumer =
        snapshot.consumer.map_or_else(|| "none attached".to_owned(), |process| who(process, paint));
    let records = format!(
        "{} of {} bytes · slots of {} · segment {} · grace {}",
        count(snapshot.capacity.into()),
        count(snapshot.record_size.into()),
        count(snapshot.stride.into()),
        bytes(picture.size as u64),
        grace(picture),
    );
    let fill = picture.fill();
    let positions = format!(
        "head {} · tail {} · {} of {} taken",
        count(snapshot.head),
        count(snapshot.tail),
        count(fill),
        count(snapshot.capacity.into()),
    );
    let fact =
        |label: &str, text: String| format!("  {} {text}", paint.apply(Style::Dim, &format!("{label:<9}")));
    vec![
        title,
        fact(
            "creator",
            format!("{creator}{created}{anew}{}", beat(snapshot.creator_beat_ns).unwrap_or_default()),
        ),
        fact("consumer", format!("{consumer}{}", beat(snapshot.peer_beat_ns).unwrap_or_default())),
        fact("records", records),
        fact("positions", positions),
    ]
}

fn grace(picture: &Picture) -> String {
    let millis = picture.grace.as_secs_f64() * 1e3;
    if millis < 1e4 { format!("{millis} ms") } else { span(picture.grace) }
}

/// A process with whether it lives, for running text.
fn who(process: ProcessId, paint: &Paint) -> String {
    let who = Who::of(process);
    if who.alive {
        format!("{} · {}", who.label(), paint.apply(Style::Good, "alive"))
    } else {
        dead(&who, paint)
    }
}

fn dead(who: &Who, paint: &Paint) -> String {
    format!("{} · {}", who.pid, paint.apply(Style::Bad, "dead"))
}

/// The claimed and the voided slots: whose they are, and whether that one lives.
fn held(picture: &Picture, paint: &Paint) -> Vec<String> {
    let held: Vec<_> = picture
        .snapshot
        .slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| matches!(slot.state.phase(), Phase::Claimed | Phase::Void))
        .collect();
    let mut lines: Vec<String> = held
        .iter()
        .take(HELD_MAX)
        .map(|(index, slot)| {
            let state = slot.state;
            let word = if state.phase() == Phase::Void { "void" } else { "claimed" };
            let owner = slot.owner.map_or_else(|| "not attached".to_owned(), |process| who(process, paint));
            format!(
                "  slot {index} {word} at position {} by owner {}: {owner}",
                count(state.sequence()),
                state.owner()
            )
        })
        .collect();
    if held.len() > HELD_MAX {
        lines.push(format!("  and {} more", plural(held.len() - HELD_MAX, "such slot")));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

fn owners(picture: &Picture, paint: &Paint) -> Vec<String> {
    let snapshot = &picture.snapshot;
    let attached = match (snapshot.producers.len(), snapshot.kind) {
        (0, RingKind::Spsc) => "no producer attached".to_owned(),
        (0, RingKind::Mpsc) => {
            format!("no producer attached, {} possible", count(snapshot.owners_max.into()))
        }
        (_, RingKind::Spsc) => "the producer".to_owned(),
        (n, RingKind::Mpsc) => {
            format!("{} of {} possible", plural(n, "producer"), count(snapshot.owners_max.into()))
        }
    };
    let mut lines = vec![format!("  {attached}")];
    if snapshot.producers.is_empty() {
        return lines;
    }
    let titles = ["OWNER", "PID", "COMMAND", "STATE", "PUBLISHED", "FULL", "PARKS", "VOIDED"];
    let mut table = Table::titled(
        &titles.map(|t| if matches!(t, "COMMAND" | "STATE") { Cell::text(t) } else { Cell::number(t) }),
    );
    for owner in &snapshot.producers {
        let who = Who::of(owner.process);
        let (word, style) = if who.alive { ("alive", Style::Good) } else { ("dead", Style::Bad) };
        let number = |value: u64| Cell::number(count(value));
        table.row(vec![
            Cell::number(owner.number.to_string()),
            Cell::number(who.pid.to_string()),
            Cell::text(who.command.unwrap_or_else(|| "–".to_owned())),
            Cell::text(word).styled(style),
            number(owner.published),
            number(owner.full_events),
            number(owner.parks),
            number(owner.voided),
        ]);
    }
    lines.extend(table.lines(2, paint));
    lines
}

fn semaphores(picture: &Picture, paint: &Paint) -> Vec<String> {
    let snapshot = &picture.snapshot;
    let titles = [
        Cell::text("SEMAPHORE"),
        Cell::text("WHO SLEEPS THERE"),
        Cell::number("VALUE"),
        Cell::number("ASLEEP"),
        Cell::number("ANNOUNCED"),
    ];
    let mut table = Table::titled(&titles);
    let mut row = |name: &str, sleeper: &str, seen: Option<SemaphoreSnapshot>, announced: u32| {
        let number =
            |value: Option<u32>| Cell::number(value.map_or_else(|| "?".to_owned(), |v| count(v.into())));
        table.row(vec![
            Cell::text(name),
            Cell::text(sleeper),
            number(seen.map(|seen| seen.value)),
            number(seen.and_then(|seen| seen.waiters)),
            number(Some(announced)),
        ]);
    };
    row("ready", "consumer", snapshot.ready, snapshot.consumer_waiting.into());
    row("space", "producers", snapshot.space, snapshot.producers_waiting);
    table.lines(2, paint)
}

fn counters(picture: &Picture, rates: Option<&Rates>, paint: &Paint) -> Vec<String> {
    let counters = &picture.snapshot.counters;
    let groups: [(&str, &[(&str, u64)]); 4] = [
        (
            "records",
            &[
                ("published", counters.published),
                ("consumed", counters.consumed),
                ("found full", counters.full_events),
            ],
        ),
        ("sleeps", &[("consumer", counters.consumer_parks), ("producers", counters.producer_parks)]),
        ("wake-ups", &[("of the consumer", counters.ready_wakes), ("of producers", counters.space_wakes)]),
        (
            "trouble",
            &[
                ("voided", counters.voids),
                ("holes", counters.holes),
                ("in quarantine", counters.quarantined.into()),
                ("damaged", counters.damaged),
            ],
        ),
    ];
    let mut lines: Vec<String> = groups.iter().map(|(label, values)| group(label, values, paint)).collect();
    if let Some(rates) = rates {
        let values = [("published", rates.published), ("consumed", rates.consumed)];
        // Under what they are the rates of.
        lines.insert(1, group("a second", &values, paint));
    }
    lines
}

fn group(label: &str, values: &[(&str, u64)], paint: &Paint) -> String {
    let values: Vec<String> =
        values.iter().map(|(word, value)| format!("{word} {}", count(*value))).collect();
    format!("  {} {}", paint.apply(Style::Dim, &format!("{label:<9}")), values.join(" · "))
}
