//! What `--once` prints: a table for people, or JSON Lines.

use serde::Serialize;

use super::columns::{self, Column, short};
use super::state::{Presence, Row, Top};
use crate::cli::ls::paint::{Paint, Style};
use crate::cli::ls::table::{Cell, Table};
use crate::cli::ls::units::plural;
use crate::cli::ls::{WhoJson, push_json};

/// How long bars are in the table.
const BAR: usize = 10;

pub(super) fn text(top: &Top, paint: &Paint) -> String {
    let cell = |column: Column, text: String| {
        if column.is_number() { Cell::number(text) } else { Cell::text(text) }
    };
    let titles: Vec<Cell> =
        columns::ALL.into_iter().map(|column| cell(column, column.title().to_owned())).collect();
    let mut table = Table::titled(&titles);
    for row in top.rows() {
        if row.seen().is_none() {
            let name = Cell::text(row.look.name.clone());
            table.note(name, paint.apply(Style::Warn, &row.status()));
            continue;
        }
        table.row(
            columns::ALL
                .into_iter()
                .map(|column| cell(column, column.text(row, BAR)).styled(column.style(row)))
                .collect(),
        );
    }
    let totals = top.totals();
    let sum = format!(
        "{}: {} slow, {} dead, {} of {} records wait, in {}/s, out {}/s, wakes {}/s",
        plural(totals.rings, "ring"),
        totals.slow,
        totals.dead,
        short(totals.fill),
        short(totals.capacity),
        short(totals.rates.published),
        short(totals.rates.consumed),
        short(totals.rates.wakes),
    );
    let mut lines = table.lines(0, paint);
    lines.push(sum);
    lines.join("\n") + "\n"
}

#[derive(Serialize)]
struct RingJson<'a> {
    v: u32,
    r#type: &'static str,
    server: &'a str,
    name: &'a str,
    role: &'static str,
    state: &'static str,
    /// Why its owner counts as slow.
    slow: Option<&'static str>,
    #[serde(flatten)]
    seen: Option<SeenJson>,
    #[serde(flatten)]
    rates: Option<RatesJson>,
    /// Why the ring could not be looked at; then its figures are missing.
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct SeenJson {
    owner: Option<WhoJson>,
    fill: u64,
    capacity: u32,
    ready: Option<SemaphoreJson>,
    space: Option<SemaphoreJson>,
    consumer_parked: bool,
    producers_parked: u32,
    full_events: u64,
    voids: u64,
    quarantined: u32,
    closed: bool,
    heartbeat_age_ns: Option<u64>,
}

#[derive(Serialize)]
struct SemaphoreJson {
    value: u32,
    waiters: Option<u32>,
}

#[derive(Serialize)]
struct RatesJson {
    published_per_s: u64,
    consumed_per_s: u64,
    wakes_per_s: u64,
}

#[derive(Serialize)]
struct TotalsJson<'a> {
    v: u32,
    r#type: &'static str,
    server: &'a str,
    alive: bool,
    rings: usize,
    slow: usize,
    dead: usize,
    fill: u64,
    capacity: u64,
    full_events: u64,
    voids: u64,
    quarantined: u64,
    published_per_s: u64,
    consumed_per_s: u64,
    wakes_per_s: u64,
}

/// A line for each ring, then one with the totals.
pub(super) fn json(top: &Top) -> String {
    let mut text = String::new();
    for row in top.rows() {
        push_json(&mut text, &ring_json(top, row));
    }
    let totals = top.totals();
    push_json(
        &mut text,
        &TotalsJson {
            v: 1,
            r#type: "totals",
            server: &top.server,
            alive: matches!(top.presence, Presence::There | Presence::Back { .. }),
            rings: totals.rings,
            slow: totals.slow,
            dead: totals.dead,
            fill: totals.fill,
            capacity: totals.capacity,
            full_events: totals.full_events,
            voids: totals.voids,
            quarantined: totals.quarantined,
            published_per_s: totals.rates.published,
            consumed_per_s: totals.rates.consumed,
            wakes_per_s: totals.rates.wakes,
        },
    );
    text
}

fn ring_json<'a>(top: &'a Top, row: &'a Row) -> RingJson<'a> {
    let semaphore =
        |seen: halyard_ring::SemaphoreSnapshot| SemaphoreJson { value: seen.value, waiters: seen.waiters };
    RingJson {
        v: 1,
        r#type: "ring",
        server: &top.server,
        name: &row.look.name,
        role: if row.look.is_control { "control" } else { "reply" },
        state: row.look.state.word(),
        slow: row.slow.map(super::state::Slow::word),
        seen: row.seen().map(|seen| SeenJson {
            owner: seen.owner.as_ref().map(WhoJson::from),
            fill: seen.fill,
            capacity: seen.capacity,
            ready: seen.ready.map(semaphore),
            space: seen.space.map(semaphore),
            consumer_parked: seen.consumer_parked,
            producers_parked: seen.producers_parked,
            full_events: seen.full_events,
            voids: seen.voids,
            quarantined: seen.quarantined,
            closed: seen.closed,
            heartbeat_age_ns: seen.beat_age.map(|age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)),
        }),
        rates: row.rates.map(|rates| RatesJson {
            published_per_s: rates.published,
            consumed_per_s: rates.consumed,
            wakes_per_s: rates.wakes,
        }),
        error: row.look.seen.as_ref().err().map(String::as_str),
    }
}
