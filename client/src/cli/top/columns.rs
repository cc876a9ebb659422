//! The columns: what each shows, how wide it is, and which ones a terminal has room for.

use super::look::{Seen, State, semaphore};
use super::state::Row;
use crate::cli::ls::paint::Style;
use crate::cli::ls::table::cut;
use crate::cli::ls::units::count;

/// In the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Ring,
    Bar,
    Fill,
    In,
    Out,
    Wakes,
    Ready,
    Space,
    Parked,
    Full,
    Voids,
    Quarantined,
    Owner,
    Status,
}

pub(super) const ALL: [Column; 14] = [
    Column::Ring,
    Column::Bar,
    Column::Fill,
    Column::In,
    Column::Out,
    Column::Wakes,
    Column::Ready,
    Column::Space,
    Column::Parked,
    Column::Full,
    Column::Voids,
    Column::Quarantined,
    Column::Owner,
    Column::Status,
];

/// The most wanted first.
const WANTED: [Column; 14] = [
    Column::Ring,
    Column::Bar,
    Column::Fill,
    Column::Status,
    Column::In,
    Column::Out,
    Column::Owner,
    Column::Wakes,
    Column::Parked,
    Column::Ready,
    Column::Space,
    Column::Full,
    Column::Voids,
    Column::Quarantined,
];

impl Column {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Ring => "RING",
            Self::Bar => "",
            Self::Fill => "FILL",
            Self::In => "IN/s",
            Self::Out => "OUT/s",
            Self::Wakes => "WAKES/s",
            Self::Ready => "READY",
            Self::Space => "SPACE",
            Self::Parked => "PARKED",
            Self::Full => "FULL",
            Self::Voids => "VOIDS",
            Self::Quarantined => "QUAR",
            Self::Owner => "OWNER",
            Self::Status => "STATE",
        }
    }

    pub(super) fn width(self) -> usize {
        match self {
            Self::Ring => 12,
            Self::Bar => 5,
            Self::Fill => 9,
            Self::In | Self::Out | Self::Full => 6,
            Self::Wakes => 7,
            Self::Ready | Self::Space | Self::Voids => 5,
            Self::Parked => 9,
            Self::Quarantined => 4,
            Self::Owner => 14,
            Self::Status => 11,
        }
    }

    pub(super) fn is_number(self) -> bool {
        !matches!(self, Self::Ring | Self::Bar | Self::Parked | Self::Owner | Self::Status)
    }

    /// What stands in the row; a ring that could not be looked at has only its name and why. `width` is
    /// how long a bar is.
    pub(super) fn text(self, row: &Row, width: usize) -> String {
        let seen = |text: &dyn Fn(&Seen) -> String| row.seen().map_or_else(|| "–".to_owned(), text);
        let rate = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), short);
        match self {
            Self::Ring => row.look.name.clone(),
            Self::Bar => row.seen().map_or_else(String::new, |seen| bar(seen, width)),
            Self::Fill => seen(&|seen| format!("{}/{}", seen.fill, seen.capacity)),
            Self::In => rate(row.rates.map(|rates| rates.published)),
            Self::Out => rate(row.rates.map(|rates| rates.consumed)),
            Self::Wakes => rate(row.rates.map(|rates| rates.wakes)),
            Self::Ready => seen(&|seen| semaphore(seen.ready)),
            Self::Space => seen(&|seen| semaphore(seen.space)),
            // What the dead announced is not taken back.
            Self::Parked if row.look.state == State::Dead => "–".to_owned(),
            Self::Parked => seen(&parked),
            Self::Full => seen(&|seen| short(seen.full_events)),
            Self::Voids => seen(&|seen| short(seen.voids)),
            Self::Quarantined => seen(&|seen| short(seen.quarantined.into())),
            Self::Owner => {
                seen(&|seen| seen.owner.as_ref().map_or_else(|| "?".to_owned(), |owner| owner.label()))
            }
            Self::Status => row.status(),
        }
    }

    pub(super) fn style(self, row: &Row) -> Style {
        let state = match row.look.state {
            State::Dead => Style::Bad,
            State::Alive if row.status() == "ok" => Style::Good,
            _ => Style::Warn,
        };
        match self {
            Self::Status => state,
            Self::Bar | Self::Fill if row.seen().is_some_and(|seen| seen.permille() >= 750) => Style::Warn,
            Self::Ring if row.look.is_control => Style::Bold,
            Self::Quarantined if row.seen().is_some_and(|seen| seen.quarantined > 0) => Style::Warn,
            _ => Style::Plain,
        }
    }

    /// The text, cut to the column and kept to its side.
    pub(super) fn cell(self, text: &str, width: usize) -> String {
        let text: String = match self {
            Self::Ring => cut(text, width),
            _ if text.chars().count() > width => {
                text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
            }
            _ => text.to_owned(),
        };
        if self.is_number() { format!("{text:>width$}") } else { format!("{text:<width$}") }
    }
}

/// A bar is not drawn longer than this.
const BAR_MAX: usize = 20;

/// The columns that fit, with their widths. What is left over goes to the names, up to the longest, then to the bars.
pub(super) fn fitting(width: usize, longest_name: usize) -> Vec<(Column, usize)> {
    let mut left = (width + 1).saturating_sub(Column::Ring.width() + 1);
    let mut chosen = vec![Column::Ring];
    for column in WANTED.into_iter().skip(1) {
        // The first that does not fit ends it, or a column of little worth would stand where a better one is missed.
        let Some(rest) = left.checked_sub(column.width() + 1) else { break };
        left = rest;
        chosen.push(column);
    }
    let name = longest_name.clamp(Column::Ring.width(), Column::Ring.width() + left);
    let bar = (Column::Bar.width() + left - (name - Column::Ring.width())).min(BAR_MAX);
    let wide = |column: Column| match column {
        Column::Ring => name,
        Column::Bar => bar,
        other => other.width(),
    };
    ALL.into_iter().filter(|column| chosen.contains(column)).map(|column| (column, wide(column))).collect()
}

/// Who sleeps: the one that reads, and how many of those that write.
pub(super) fn parked(seen: &Seen) -> String {
    match (seen.consumer_parked, seen.producers_parked) {
        (false, 0) => "–".to_owned(),
        (true, 0) => "reader".to_owned(),
        (false, n) => format!("{n} write"),
        (true, n) => format!("reader+{n}"),
    }
}

/// A bar of `width` cells, exact to an eighth of one; anything at all shows.
fn bar(seen: &Seen, width: usize) -> String {
    const PARTS: [char; 8] = ['·', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths =
        (seen.permille() as usize * width * 8 / 1000).min(width * 8).max(usize::from(seen.fill > 0));
    let cell = |index: usize| match eighths.saturating_sub(index * 8) {
        part @ 0..8 => PARTS[part],
        _ => '█',
    };
    (0..width).map(cell).collect()
}

/// A number in at most six characters.
pub(super) fn short(value: u64) -> String {
    if value < 100_000 {
        return count(value);
    }
    let mut scaled = value as f64 / 1e3;
    for unit in ["k", "M", "G", "T", "P"] {
        if scaled < 999.5 {
            let digits = usize::from(scaled < 99.95);
            return format!("{scaled:.digits$}{unit}");
        }
        scaled /= 1e3;
    }
    format!("{scaled:.1}E")
}
