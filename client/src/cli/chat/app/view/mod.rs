//! Drawing: the state in, a frame out, nothing else.

pub(crate) mod messages;
mod overlay;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line as Row, Span};
use ratatui::widgets::{Block, Borders, Paragraph};
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthStr;

use super::state::{App, Link};
use super::window::{Membership, Place, Window};
use crate::cli::ls::units::latency;
use messages::{cut, rows_at, rule};

/// Widths from which the panels are shown, and their own.
const ROOMS_FROM: u16 = 56;
const MEMBERS_FROM: u16 = 76;
const PANEL: u16 = 16;
/// A line that is not confirmed is shown as such after this long.
const PENDING_AFTER: Duration = Duration::from_millis(100);

impl App {
    fn has_rooms(&self) -> bool {
        self.config.view.rooms && self.size.0 >= ROOMS_FROM
    }

    fn has_members(&self) -> bool {
        let is_room = matches!(self.window().place, Place::Room(_));
        self.config.view.members && is_room && self.size.0 >= MEMBERS_FROM
    }

    /// Columns that messages have.
    pub(crate) fn message_width(&self) -> usize {
        let panels = u16::from(self.has_rooms()) + u16::from(self.has_members());
        usize::from(self.size.0.saturating_sub(panels * PANEL))
    }

    /// Rows that messages have.
    pub(crate) fn message_height(&self) -> usize {
        usize::from(self.size.1.saturating_sub(2)).max(1)
    }

    /// The window as bare text: no panels, no colours, no breaks but the messages' own.
    pub(crate) fn bare_text(&self) -> String {
        let lines = &self.window().lines;
        let skip = lines.len().saturating_sub(self.message_height() + 1);
        let mut text = String::new();
        for line in lines.iter().skip(skip) {
            text.push_str(&line.body.plain());
            text.push_str("\r\n");
        }
        text
    }
}

pub(crate) fn draw(app: &App, frame: &mut Frame<'_>, now: Instant) {
    let area = frame.area();
    if area.width < 4 || area.height < 3 {
        return;
    }
    let [main, status, input] =
        Layout::vertical([Constraint::Min(1), Constraint::Length(1), Constraint::Length(1)]).areas(area);
    let [rooms, talk, members] = Layout::horizontal([
        Constraint::Length(if app.has_rooms() { PANEL } else { 0 }),
        Constraint::Min(4),
        Constraint::Length(if app.has_members() { PANEL } else { 0 }),
    ])
    .areas(main);
    if app.has_rooms() {
        draw_rooms(app, frame, rooms);
    }
    if app.has_members() {
        draw_members(app, frame, members);
    }
    draw_messages(app, frame, talk, now);
    draw_status(app, frame, status);
    draw_input(app, frame, input);
    if let Some(overlay) = &app.overlay {
        overlay::draw(app, overlay, frame, main);
    }
}

fn draw_rooms(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new().borders(Borders::RIGHT).border_style(app.theme.faint);
    let width = usize::from(area.width.saturating_sub(1));
    let rows: Vec<Row<'_>> = app
        .windows
        .iter()
        .enumerate()
        .map(|(index, window)| {
            let count = match (window.mentions, window.unread) {
                (0, 0) => String::new(),
                (0, unread) => format!(" {unread}"),
                (mentions, unread) => format!(" {unread}!{mentions}"),
            };
            let style = match () {
                () if index == app.current => {
                    app.theme.accent.add_modifier(Modifier::BOLD | Modifier::REVERSED)
                }
                () if window.mentions > 0 => app.theme.mention,
                () if window.unread > 0 => app.theme.accent,
                () if window.membership == Membership::Out && window.place != Place::Server => {
                    app.theme.faint
                }
                () => ratatui::style::Style::new(),
            };
            let mark = if matches!(window.place, Place::Direct(_)) { "@" } else { "" };
            let head = format!("{} {mark}", index + 1);
            let room = width.saturating_sub(head.width() + count.width());
            let title = cut(window.title(), room);
            let fill = " ".repeat(room.saturating_sub(title.width()));
            Row::styled(format!("{head}{title}{fill}{count}"), style)
        })
        .collect();
    let skip = (app.current + 1).saturating_sub(usize::from(area.height)) as u16;
    frame.render_widget(Paragraph::new(rows).block(block).scroll((skip, 0)), area);
}

fn draw_members(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new().borders(Borders::LEFT).border_style(app.theme.faint);
    let (width, height) = (usize::from(area.width.saturating_sub(1)), usize::from(area.height));
    let mut sorted = app.window().members.nicks();
    sorted.sort_by_key(|nick| nick.to_lowercase());
    let shown = if sorted.len() > height { height - 1 } else { sorted.len() };
    let mut rows: Vec<Row<'_>> =
        sorted[..shown].iter().map(|nick| Row::styled(cut(nick, width), app.theme.nick(nick))).collect();
    if sorted.len() > shown {
        rows.push(Row::styled(format!("and {} more", sorted.len() - shown), app.theme.faint));
    }
    frame.render_widget(Paragraph::new(rows).block(block), area);
}

fn draw_messages(app: &App, frame: &mut Frame<'_>, area: Rect, now: Instant) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let window = app.window();
    // From the bottom upwards, until the window is full.
    let mut rows: Vec<Row<'_>> = Vec::new();
    if window.scroll.is_none() {
        for pending in window.pending.iter().rev() {
            if now.duration_since(pending.since) >= PENDING_AFTER || app.link != Link::Up {
                let mark = if pending.action { "* " } else { "" };
                let text = format!("… {mark}{}", pending.text);
                let flowed = messages::flow(Vec::new(), vec![Span::styled(text, app.theme.faint)], width);
                rows.extend(flowed.into_iter().rev());
            }
        }
    }
    let last = window.scroll.map_or(u64::MAX, |scroll| scroll.line);
    // Scrolled up, the last row tells how much is below.
    let tells = window.scroll.is_some() && height > 1;
    let height = height - usize::from(tells);
    for (index, line) in window.lines.iter().enumerate().rev().filter(|(_, line)| line.id <= last) {
        let hidden = window.scroll.filter(|scroll| scroll.line == line.id).map_or(0, |scroll| scroll.below);
        let mut of_line = rows_at(app, index, width);
        of_line.truncate(of_line.len().saturating_sub(hidden).max(1));
        rows.extend(of_line.into_iter().rev());
        if rows.len() >= height {
            break;
        }
    }
    rows.truncate(height);
    rows.reverse();
    let free = height - rows.len();
    let mut all = vec![Row::default(); free];
    all.append(&mut rows);
    if tells {
        let below = window.lines.iter().filter(|line| line.id > last).count();
        all.push(rule(&format!(" ▼ {below} more below "), width, app.theme.accent));
    }
    frame.render_widget(Paragraph::new(all), area);
}

fn draw_status(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let window = app.window();
    let link = match &app.link {
        Link::Up => "●".to_owned(),
        Link::Down(_) => "○ no server, looking for it (or /host)".to_owned(),
        Link::Over(_) => "✕ over".to_owned(),
    };
    let latest = match app.latency.last_ns {
        0 => String::new(),
        ns => format!(" {}", latency(ns)),
    };
    let state = match (&window.place, window.membership) {
        (Place::Room(_), Membership::Entering) => " (entering)",
        (Place::Room(_), Membership::Out) => " (not in it)",
        _ => "",
    };
    let here = match &window.place {
        Place::Room(_) if window.membership == Membership::In => {
            format!(" ({})", window.members.nicks().len())
        }
        Place::Direct(_) => " (direct)".to_owned(),
        _ => String::new(),
    };
    let left = format!(
        " {}:{}{here}{state} · {}@{} · {link}{latest}",
        app.current + 1,
        window.title(),
        app.me,
        app.server
    );
    let others: Vec<String> =
        app.windows.iter().enumerate().filter(|(_, window)| window.unread > 0).map(activity).collect();
    let right = if others.is_empty() { String::new() } else { format!("[{}] ", others.join(" ")) };
    let width = usize::from(area.width);
    let left = cut(&left, width.saturating_sub(right.width()).max(1));
    let fill = " ".repeat(width.saturating_sub(left.width() + right.width()));
    frame.render_widget(Paragraph::new(format!("{left}{fill}{right}")).style(app.theme.bar), area);
}

/// `3:dev` with something new, `3:dev!` with a mention.
fn activity((index, window): (usize, &Window)) -> String {
    let mark = if window.mentions > 0 { "!" } else { "" };
    format!("{}:{}{mark}", index + 1, cut(window.title(), 10))
}

fn draw_input(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let (prompt, text, column) = match &app.search {
        Some(text) => {
            let prompt = match app.hit_count() {
                None => "search: ".to_owned(),
                Some((_, 0)) => "nothing: ".to_owned(),
                Some((at, of)) => format!("search {at}/{of}: "),
            };
            (prompt, text.clone(), text.width())
        }
        None => {
            let prompt = "> ".to_owned();
            let room = usize::from(area.width).saturating_sub(prompt.width());
            let (text, column) = app.window().editor.visible_part(room);
            (prompt, text, column)
        }
    };
    let at = area.x + (prompt.width() + column) as u16;
    frame.render_widget(
        Paragraph::new(Row::from(vec![Span::styled(prompt, app.theme.faint), Span::raw(text)])),
        area,
    );
    frame.set_cursor_position(Position::new(at.min(area.right().saturating_sub(1)), area.y));
}
