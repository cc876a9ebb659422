//! The view. It only reads the state.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style as Look};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::columns::{Column, fitting, short};
use super::state::{Presence, Row, Top};
use crate::cli::ls::paint::Style;
use crate::cli::ls::units::{plural, span};

/// Rows that are no rings: two above the titles, the titles, one below.
const AROUND: u16 = 4;

/// How many rings a screen of this height shows.
pub(super) fn page(height: u16) -> usize {
    usize::from(height.saturating_sub(AROUND))
}

const HELP: [&str; 14] = [
    "s       sort by fill, in, out, wakes, name",
    "r       reply rings on or off",
    "space   pause, go on",
    "arrows  scroll, also PgUp PgDn Home End",
    "q       quit, also Ctrl-C",
    "",
    "FILL    records that wait / capacity",
    "READY   semaphore of the reader:",
    "SPACE   of the writers: value+sleepers",
    "PARKED  who sleeps: reader, writers",
    "FULL    how often a writer found it full",
    "VOIDS   claims passed over",
    "QUAR    slots in quarantine",
    "STATE   ok, or who is slow and why",
];

/// `colour` is false where none is wanted; then boldness and the like still tell.
fn look(style: Style, colour: bool) -> Look {
    let plain = Look::new();
    match style {
        Style::Plain => plain,
        Style::Bold => plain.add_modifier(Modifier::BOLD),
        Style::Dim => plain.add_modifier(Modifier::DIM),
        Style::Good if colour => plain.fg(Color::Green),
        Style::Warn if colour => plain.fg(Color::Yellow),
        Style::Bad if colour => plain.fg(Color::Red),
        Style::Warn | Style::Bad => plain.add_modifier(Modifier::BOLD),
        Style::Good | Style::Colour(_) => plain,
    }
}

pub(super) fn draw(top: &Top, frame: &mut Frame<'_>, colour: bool) {
    let area = frame.area();
    let rows: Vec<&Row> = top.rows().collect();
    let page = page(area.height);
    let scroll = top.scroll.min(rows.len().saturating_sub(page));
    let longest = rows.iter().map(|row| row.look.name.chars().count()).max().unwrap_or(0);
    let columns = fitting(usize::from(area.width), longest);
    let mut lines = vec![
        Line::styled(
            fill(&server_line(top), area.width),
            look(Style::Plain, colour).add_modifier(Modifier::REVERSED),
        ),
        Line::raw(totals_line(top)),
        Line::styled(titles(&columns), look(Style::Dim, colour)),
    ];
    lines.extend(rows.iter().skip(scroll).take(page).map(|row| ring_line(row, &columns, colour)));
    if rows.is_empty() {
        lines.push(Line::styled("no rings", look(Style::Dim, colour)));
    }
    frame.render_widget(Paragraph::new(lines), area);
    if area.height > AROUND {
        let below = rows.len().saturating_sub(scroll + page);
        let bottom = Rect { y: area.bottom() - 1, height: 1, ..area };
        frame.render_widget(Paragraph::new(keys_line(top, below)).style(look(Style::Dim, colour)), bottom);
    }
    if top.help {
        help(frame, area);
    }
}

/// The text with spaces after it, so that its ground reaches the edge.
fn fill(text: &str, width: u16) -> String {
    format!("{text:<width$}", width = usize::from(width))
}

fn server_line(top: &Top) -> String {
    let ago = |since: u64| span(Duration::from_nanos(top.at_ns.saturating_sub(since)));
    let mut text = format!("{} · ", top.server);
    match top.presence {
        Presence::Unseen => text.push_str("no server, looking for it"),
        Presence::Gone { since_ns } => text.push_str(&format!("gone for {}, looking for it", ago(since_ns))),
        Presence::There | Presence::Back { .. } => {
            let seen = top.control().and_then(Row::seen);
            text.push_str("alive");
            if let Some(owner) = seen.and_then(|seen| seen.owner.as_ref()) {
                text.push_str(&format!(" · pid {}", owner.label()));
            }
            if let Some(seen) = seen {
                text.push_str(&format!(" · up {}", span(seen.age)));
            }
        }
    }
    if top.renewals > 0 {
        text.push_str(&format!(" · control ring made anew {}", plural(top.renewals as usize, "time")));
    }
    if let Presence::Back { at_ns, times } = top.presence {
        let times = if times == 1 { String::new() } else { format!(", {times} times by now") };
        text.push_str(&format!(" · came back {} ago{times}", ago(at_ns)));
    }
    text
}

fn totals_line(top: &Top) -> String {
    let totals = top.totals();
    format!(
        "{} · {} slow · {} dead · {} of {} wait · in {}/s · out {}/s · wakes {}/s · full {} · voids {} · quarantined {}",
        plural(totals.rings, "ring"),
        totals.slow,
        totals.dead,
        short(totals.fill),
        short(totals.capacity),
        short(totals.rates.published),
        short(totals.rates.consumed),
        short(totals.rates.wakes),
        short(totals.full_events),
        short(totals.voids),
        short(totals.quarantined),
    )
}

fn titles(columns: &[(Column, usize)]) -> String {
    let cells: Vec<_> = columns.iter().map(|(column, width)| column.cell(column.title(), *width)).collect();
    cells.join(" ")
}

fn ring_line(row: &Row, columns: &[(Column, usize)], colour: bool) -> Line<'static> {
    let mut spans = Vec::new();
    for (column, width) in columns {
        if !spans.is_empty() {
            spans.push(Span::raw(" "));
        }
        if let (Err(why), Column::Bar) = (&row.look.seen, column) {
            // There are no figures: the columns are the reason's.
            spans.push(Span::styled(why.clone(), look(Column::Status.style(row), colour)));
            break;
        }
        let text = column.cell(&column.text(row, *width), *width);
        spans.push(Span::styled(text, look(column.style(row), colour)));
    }
    Line::from(spans)
}

fn keys_line(top: &Top, below: usize) -> String {
    let mut parts = Vec::new();
    if top.paused {
        parts.push("PAUSED".to_owned());
    }
    if below > 0 {
        parts.push(format!("{below} more below"));
    }
    if !top.replies {
        parts.push("reply rings hidden".to_owned());
    }
    parts.push(format!("sorted by {}", top.sort.word()));
    parts.push("? help".to_owned());
    parts.push("q quit".to_owned());
    parts.push(format!("every {}", span(top.every)));
    parts.join(" · ")
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered().title(" halyard top · any key closes ");
    let lines: Vec<Line<'_>> = HELP.into_iter().map(Line::raw).collect();
    let height = (HELP.len() as u16 + 2).min(area.height);
    let width = 46.min(area.width);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
}
