//! What lies over the messages: help, histogram, statistics, rings, a paste to be confirmed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line as Row;
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::cli::chat::app::actions::{DEFAULTS, EDITING};
use crate::cli::chat::app::commands::COMMANDS;
use crate::cli::chat::app::state::{App, Overlay};
use crate::cli::demo::histogram;
use crate::cli::ls::paint::Paint;
use crate::cli::ls::units::{count, latency};
use crate::cli::visible::visible;

pub(super) fn draw(app: &App, overlay: &Overlay, frame: &mut Frame<'_>, area: Rect) {
    let (title, lines) = content(app, overlay);
    let height = usize::from(area.height.saturating_sub(2));
    let scroll = app.overlay_scroll.min(lines.len().saturating_sub(height));
    let more = if lines.len() > scroll + height { " · down: more " } else { "" };
    let rows: Vec<Row<'_>> = lines.into_iter().skip(scroll).map(Row::from).collect();
    let block =
        Block::bordered().title(format!(" {title} ")).title_bottom(more).border_style(app.theme.accent);
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(rows).block(block), area);
}

fn content(app: &App, overlay: &Overlay) -> (String, Vec<String>) {
    match overlay {
        Overlay::Help => ("help · escape or typing closes".to_owned(), help(app)),
        Overlay::Latency => ("latency of messages, from push to read".to_owned(), histogram_lines(app)),
        Overlay::Stats => ("statistics".to_owned(), stats(app)),
        Overlay::Rings(lines) if lines.is_empty() => ("rings".to_owned(), vec!["looking …".to_owned()]),
        Overlay::Rings(lines) => ("your rings, live".to_owned(), lines.clone()),
        Overlay::Paste(lines) => {
            let title = format!("paste {} lines?", lines.len());
            let mut text = vec!["enter: send them · e: edit as one line · escape: forget them".to_owned()];
            text.push(String::new());
            text.extend(lines.iter().map(|line| visible(line).into_owned()));
            (title, text)
        }
    }
}

fn help(app: &App) -> Vec<String> {
    let mut lines = vec!["Commands".to_owned()];
    for (name, arguments, what) in COMMANDS {
        lines.push(format!("  {:<20} {what}", format!("/{name} {arguments}")));
    }
    lines.push(format!("  {:<20} say \"/text\"", "//text"));
    lines.push(String::new());
    lines.push("Keys".to_owned());
    for (action, _, what) in DEFAULTS {
        lines.push(format!("  {:<20} {what}", app.keys.keys_of(action)));
    }
    for (keys, what) in EDITING {
        lines.push(format!("  {keys:<20} {what}"));
    }
    lines
}

fn histogram_lines(app: &App) -> Vec<String> {
    if app.latency.whole.is_empty() {
        return vec!["nothing was heard yet".to_owned()];
    }
    let mut lines = histogram::draw(&app.latency.whole, &Paint::plain(None));
    lines.push(String::new());
    lines.push(format!("  {:<22} {:>9} {:>9} {:>9}", "stage", "p50", "p99", "max"));
    let names = ["sender to router", "router to your ring", "your ring to you"];
    for (name, stage) in names.into_iter().zip(&app.latency.stages) {
        let [p50, p99, max] =
            [stage.value_at_quantile(0.5), stage.value_at_quantile(0.99), stage.max()].map(latency);
        lines.push(format!("  {name:<22} {p50:>9} {p99:>9} {max:>9}"));
    }
    lines
}

fn stats(app: &App) -> Vec<String> {
    let s = &app.stats;
    let whole = &app.latency.whole;
    [
        ("messages heard", count(s.heard)),
        ("messages sent", count(s.said)),
        ("messages lost", count(s.lost)),
        ("gaps", count(s.gaps)),
        ("reconnects", count(s.reconnects)),
        ("windows", count(app.windows.len() as u64)),
        ("latency p50", latency(whole.value_at_quantile(0.5))),
        ("latency p99", latency(whole.value_at_quantile(0.99))),
        ("latency max", latency(whole.max())),
    ]
    .into_iter()
    .map(|(name, value)| format!("  {name:<18} {value:>12}"))
    .collect()
}
