//! What the stepper looks like.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};

use super::app::App;
use crate::machine::{Actor, State};
use crate::rules;
use crate::script::{Program, item_name};

/// Draws the whole of it.
pub fn draw(frame: &mut Frame<'_>, app: &App) {
    let shared = shared(app);
    let stuck = app.stuck();
    let shared_height = shared.len() as u16 + 2;
    let message_height = if stuck.is_some() { 5 } else { 4 };
    let [top, threads, middle, message, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(6),
        Constraint::Length(shared_height),
        Constraint::Length(message_height),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let title = format!(" {}   step {}", app.title, app.steps());
    frame.render_widget(Line::from(title).bold(), top);
    draw_threads(frame, app, threads);
    frame.render_widget(Paragraph::new(shared).block(Block::bordered().title(" shared ")), middle);
    draw_message(frame, app, stuck, message);
    let keys_text = " 1-9 thread  space next  r random  b back  p predict  f store reaches memory  k kill  t tick  q quit";
    frame.render_widget(Line::from(keys_text).dim(), keys);
}

fn draw_threads(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let count = app.program.threads.len();
    let columns = Layout::horizontal(vec![Constraint::Fill(1); count]).split(area);
    let choices = app.choices();
    for (who, column) in columns.iter().enumerate() {
        let state = app.state();
        let can = choices.contains(&Actor::Step(who));
        let (word, style) = if state.is_dead(who) {
            ("killed".to_owned(), Style::new().fg(Color::Red))
        } else if state.has_ended(&app.program, who) {
            ("ended".to_owned(), Style::new().dim())
        } else if can {
            ("can go".to_owned(), Style::new().fg(Color::Green))
        } else {
            let blocked = state.held_back(&app.program, who);
            (blocked.map_or_else(String::new, |blocked| blocked.to_string()), Style::new().fg(Color::Yellow))
        };
        let title = format!(" {} {} ", who + 1, app.program.threads[who].name);
        let block =
            Block::bordered().title(title).title_bottom(Line::from(format!(" {word} "))).border_style(style);
        let inside = block.inner(*column);
        frame.render_widget(block, *column);
        frame.render_widget(Paragraph::new(code(app, who, inside.height as usize)), inside);
    }
}

/// The thread's lines, with a mark at the one that is next, and what exactly of it is next.
fn code(app: &App, who: usize, height: usize) -> Vec<Line<'static>> {
    let instructions = &app.program.code(who).instructions;
    let lines = instructions.iter().map(|instruction| instruction.at.line as usize);
    let (first, last) = (lines.clone().min().unwrap_or(1), lines.max().unwrap_or(1));
    let thread = &app.state().threads[who];
    let next = &instructions[thread.at()];
    let ended = app.state().next_op(&app.program, who).is_none();
    let at = next.at.line as usize;
    // The window follows the mark.
    let rows = height.saturating_sub(1).max(1);
    let top =
        if last - first < rows { first } else { at.saturating_sub(rows / 2).clamp(first, last + 1 - rows) };
    let mut drawn: Vec<Line<'static>> = (top..(top + rows).min(last + 1))
        .map(|number| {
            let text = app.source.get(number - 1).map_or("", |line| line.split('#').next().unwrap_or(""));
            let here = number == at && !ended;
            let line = format!("{}{}", if here { "> " } else { "  " }, text.trim_end());
            if here {
                Line::from(line).style(Style::new().add_modifier(Modifier::BOLD))
            } else {
                Line::from(line).dim()
            }
        })
        .collect();
    let own: Vec<String> = app
        .program
        .code(who)
        .locals
        .iter()
        .map(|(name, register)| format!("{name}={}", thread.register(*register)))
        .collect();
    let note = if ended { String::new() } else { format!("next: {}", next.note) };
    drawn
        .push(Line::from(vec![Span::from(note).fg(Color::Cyan), Span::from(format!("  {}", own.join(" ")))]));
    drawn
}

/// Shows `now`, or `?` where the step that is not yet shown changes it.
fn or_hidden<T: PartialEq + ToString>(now: &T, after: Option<&T>) -> String {
    if after.is_some_and(|after| after != now) { "?".to_owned() } else { now.to_string() }
}

fn shared(app: &App) -> Vec<Line<'static>> {
    let program = &app.program;
    let now = app.state();
    let after = app.hidden.as_ref().map(|(taken, _)| &taken.after);
    let mut lines = vec![ring(program, now, after)];
    let variable = |cell: usize| {
        let value = or_hidden(&now.shared.cells[cell], after.map(|after| &after.shared.cells[cell]));
        format!("{} = {value}", program.cells[cell].name)
    };
    let mut variables = vec![variable(Program::HEAD), variable(Program::TAIL)];
    variables.extend((Program::RING + program.capacity..program.cells.len()).map(variable));
    lines.push(Line::from(variables.join("   ")));
    for (index, semaphore) in program.semaphores.iter().enumerate() {
        let value =
            or_hidden(&now.shared.semaphores[index], after.map(|after| &after.shared.semaphores[index]));
        let waiters: Vec<&str> =
            now.waiters(program, index).into_iter().map(|who| program.threads[who].name.as_str()).collect();
        let waiters = if waiters.is_empty() { "nobody".to_owned() } else { waiters.join(", ") };
        lines.push(Line::from(format!("semaphore {} = {value}   waiting: {waiters}", semaphore.name)));
    }
    for (index, mutex) in program.mutexes.iter().enumerate() {
        let holder = |state: &State| {
            let holder = state.shared.mutexes[index].thread;
            holder.map_or_else(|| "nobody".to_owned(), |who| program.threads[who as usize].name.clone())
        };
        let held = or_hidden(&holder(now), after.map(holder).as_ref());
        lines.push(Line::from(format!("mutex {}   held by: {held}", mutex.name)));
    }
    for (who, buffer) in now.shared.buffers.iter().enumerate().filter(|(_, buffer)| !buffer.is_empty()) {
        let stores: Vec<String> =
            buffer.iter().map(|(cell, value)| format!("{} := {value}", program.cells[*cell].name)).collect();
        let line = format!("on their way from {}: {}", program.threads[who].name, stores.join(", "));
        lines.push(Line::from(line).fg(Color::Magenta));
    }
    lines
}

fn ring(program: &Program, now: &State, after: Option<&State>) -> Line<'static> {
    let (head, held) = (now.shared.cells[Program::HEAD], rules::items_held(now));
    let mut spans = vec![Span::from("ring ")];
    for index in 0..program.capacity {
        let cell = Program::RING + index;
        let item = |state: &State| match state.shared.cells[cell] {
            0 => "  ".to_owned(),
            item => item_name(item),
        };
        let text = format!("[{:>3}]", or_hidden(&item(now), after.map(item).as_ref()));
        let ahead = (index as i32 - head).rem_euclid(program.capacity as i32);
        spans.push(if ahead < held {
            Span::from(text).bold().fg(Color::Cyan)
        } else {
            Span::from(text).dim()
        });
    }
    Line::from(spans)
}

fn draw_message(frame: &mut Frame<'_>, app: &App, stuck: Option<String>, area: Rect) {
    let bad = app.message.contains("violated");
    let (title, text) = match (&app.hidden, stuck) {
        (Some((_, typed)), _) => (" predict ", format!("{}\n> {typed}_", app.message)),
        (None, Some(stuck)) => (" deadlock: who waits for whom ", stuck),
        (None, None) => (" ", app.message.clone()),
    };
    let style = if bad || title.contains("deadlock") { Style::new().fg(Color::Red) } else { Style::new() };
    let message = Paragraph::new(text).wrap(Wrap { trim: true }).style(style);
    frame.render_widget(message.block(Block::bordered().title(title)), area);
}
