//! Lines of a window as rows of the screen.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line as Row, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::cli::chat::app::actions::Action;
use crate::cli::chat::app::line::{Body, HoleState, Line, Said, moves_text};
use crate::cli::chat::app::search::matches;
use crate::cli::chat::app::state::App;
use crate::cli::clock::day_in_words;
use crate::cli::ls::units::latency;

/// Columns of the nick from this width on; narrower windows put it in front of the text.
const COLUMNS_FROM: usize = 60;
const NICK: usize = 11;
const LATENCY: usize = 8;

/// The rows of the window's line of this index, with what stands above it: a rule where another day begins, and one
/// where what is new begins.
pub(crate) fn rows_at(app: &App, index: usize, width: usize) -> Vec<Row<'static>> {
    let window = app.window();
    let line = &window.lines[index];
    let before = index.checked_sub(1).map(|before| &window.lines[before]);
    let mut rows = Vec::new();
    if before.map_or_else(|| app.today(), |before| before.at.day) != line.at.day {
        rows.push(rule(&format!(" {} ", day_in_words(line.at.day)), width, app.theme.faint));
    }
    if before.is_some_and(|before| window.read == Some(before.id)) {
        rows.push(rule(" new ", width, app.theme.accent));
    }
    rows.extend(rows_of(app, line, width));
    rows
}

/// A line across the window with a word in it.
pub(super) fn rule(text: &str, width: usize, style: Style) -> Row<'static> {
    let text = cut(text, width.saturating_sub(2));
    let line = "─".repeat(width.saturating_sub(text.width() + 2));
    Row::styled(format!("──{text}{line}"), style)
}

/// The spans with what is searched for marked in them.
fn marked(app: &App, line: u64, spans: Vec<Span<'static>>) -> Vec<Span<'static>> {
    let Some(wanted) = app.search.as_deref().filter(|wanted| !wanted.is_empty()) else { return spans };
    let mark = if app.window().found == Some(line) { app.theme.found_here } else { app.theme.found };
    let mut all = Vec::new();
    for span in spans {
        let mut from = 0;
        for found in matches(&span.content, wanted) {
            all.push(Span::styled(span.content[from..found.start].to_owned(), span.style));
            from = found.end;
            all.push(Span::styled(span.content[found].to_owned(), span.style.patch(mark)));
        }
        all.push(Span::styled(span.content[from..].to_owned(), span.style));
    }
    all.retain(|span| !span.content.is_empty());
    all
}

fn rows_of(app: &App, line: &Line, width: usize) -> Vec<Row<'static>> {
    let theme = &app.theme;
    let mut head: Vec<Span<'static>> = Vec::new();
    if width >= 30 && !line.at.time.is_empty() {
        head.push(Span::styled(format!("{} ", line.at.time), theme.faint));
    }
    let (text, style) = match &line.body {
        Body::Said(said) => return said_rows(app, line.id, said, head, width),
        Body::Notice(text) => (text.clone(), theme.faint),
        Body::Error(text) => (text.clone(), theme.error),
        Body::Moves(moves) => (moves_text(moves), theme.faint),
        Body::Gap(hole) => {
            let hint = match hole.state {
                HoleState::Asked => " · fetching".to_owned(),
                _ if hole.can_be_filled() => {
                    format!(" · {} fetches", app.keys.keys_of(Action::FillGap))
                }
                _ => String::new(),
            };
            (format!("{}{hint}", hole.text), theme.error)
        }
    };
    let mark = if matches!(line.body, Body::Error(_)) { "!! " } else { "-- " };
    head.push(Span::styled(mark, style));
    flow(head, marked(app, line.id, vec![Span::styled(text, style)]), width)
}

fn said_rows(
    app: &App,
    line: u64,
    said: &Said,
    mut head: Vec<Span<'static>>,
    width: usize,
) -> Vec<Row<'static>> {
    let theme = &app.theme;
    if app.config.view.latency && width >= 40 {
        let shown = if said.took_ns == 0 { String::new() } else { latency(said.took_ns) };
        head.push(Span::styled(format!("{shown:>LATENCY$} "), theme.faint));
    }
    let mut nick_style = theme.nick(&said.nick);
    let mut text_style = Style::new();
    if said.mention {
        (nick_style, text_style) = (theme.mention, theme.mention);
    }
    if said.earlier {
        text_style = theme.faint;
    }
    if said.own {
        nick_style = nick_style.add_modifier(Modifier::BOLD);
    }
    if said.earlier {
        head.push(Span::styled("~", theme.faint));
    }
    if said.action {
        head.push(Span::styled("* ", text_style));
        let body = vec![
            Span::styled(said.nick.clone(), nick_style),
            Span::styled(format!(" {}", said.text), text_style),
        ];
        return flow(head, marked(app, line, body), width);
    }
    if width >= COLUMNS_FROM {
        let columns = NICK - usize::from(said.earlier);
        let nick = cut(&said.nick, columns);
        head.push(Span::raw(" ".repeat(columns - nick.width())));
        head.extend(marked(app, line, vec![Span::styled(nick, nick_style)]));
        head.push(Span::styled(" │ ", theme.faint));
    } else {
        head.extend(marked(app, line, vec![Span::styled(cut(&said.nick, 16), nick_style)]));
        head.push(Span::raw(": "));
    }
    flow(head, marked(app, line, vec![Span::styled(said.text.clone(), text_style)]), width)
}

/// A name in at most so many columns.
pub(crate) fn cut(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let mut text = String::new();
    for grapheme in name.graphemes(true) {
        if text.width() + grapheme.width() + 1 > columns {
            break;
        }
        text.push_str(grapheme);
    }
    text.push('…');
    text
}

/// Breaks a text into rows, at blanks where there are any. Later rows begin under the text, or a little to the right
/// where there is no room for that.
pub(crate) fn flow(head: Vec<Span<'static>>, body: Vec<Span<'static>>, width: usize) -> Vec<Row<'static>> {
    let width = width.max(4);
    let taken: usize = head.iter().map(Span::width).sum();
    let indent = if taken * 2 > width { 2 } else { taken };
    let mut rows = Vec::new();
    let mut row = head;
    let mut column = taken;
    let mut at_start = true;
    let text: String = body.iter().map(|span| span.content.as_ref()).collect();
    // Where each style ends: a word may have several.
    let ends: Vec<(usize, Style)> = body
        .iter()
        .scan(0, |end, span| {
            *end += span.content.len();
            Some((*end, span.style))
        })
        .collect();
    let style_at =
        |at: usize| ends.iter().find(|(end, _)| at < *end).map_or(Style::new(), |(_, style)| *style);
    for (at, word) in text.split_word_bound_indices() {
        let wide = word.width();
        if column + wide > width && !at_start {
            if word.trim().is_empty() {
                continue;
            }
            rows.push(Row::from(std::mem::take(&mut row)));
            row.push(Span::raw(" ".repeat(indent)));
            (column, at_start) = (indent, true);
        }
        let fits = column + wide <= width;
        for (offset, grapheme) in word.grapheme_indices(true) {
            // Longer than a row.
            if !fits && column + grapheme.width() > width {
                rows.push(Row::from(std::mem::take(&mut row)));
                row.push(Span::raw(" ".repeat(indent)));
                column = indent;
            }
            push(&mut row, grapheme, style_at(at + offset));
            column += grapheme.width();
            at_start = false;
        }
    }
    rows.push(Row::from(row));
    rows
}

fn push(row: &mut Vec<Span<'static>>, text: &str, style: Style) {
    match row.last_mut() {
        Some(last) if last.style == style && row_is_text(last) => last.content.to_mut().push_str(text),
        _ => row.push(Span::styled(text.to_owned(), style)),
    }
}

/// An indent is not grown.
fn row_is_text(span: &Span<'_>) -> bool {
    !span.content.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(head: &str, text: &str, width: usize) -> Vec<String> {
        let rows = flow(vec![Span::raw(head.to_owned())], vec![Span::raw(text.to_owned())], width);
        let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert!(rows.iter().all(|row| row.width() <= width.max(4)), "{rows:?}");
        rows
    }

    #[test]
    fn texts_break_at_blanks_and_stand_under_each_other() {
        assert_eq!(rows("ann: ", "one two three four", 14), ["ann: one two ", "     three ", "     four"]);
        assert_eq!(rows("", "aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
    }

    #[test]
    fn wide_characters_never_hang_over() {
        for width in 4..20 {
            let whole = "日本語の長い文章 👩‍👩‍👧 and more";
            let shown: String = rows("x ", whole, width).concat();
            assert_eq!(shown.replace(' ', "").trim_start_matches('x'), whole.replace(' ', ""));
        }
    }

    #[test]
    fn long_names_are_cut_with_a_mark() {
        assert_eq!(cut("bartholomew-the-second", 8), "barthol…");
        assert_eq!(cut("日本語日本語", 5), "日本…");
        assert_eq!(cut("ann", 8), "ann");
    }
}
