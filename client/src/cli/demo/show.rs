//! What the demo shows.

use std::fmt::Write as _;

use halyard_client::ServerName;

use super::histogram;
use super::ledger::Due;
use super::script::{Act, BURST_EVERY_NS, BURST_LINES, CAST};
use super::wire::Log;
use crate::cli::ls::paint::{Paint, Style};
use crate::cli::ls::units::{count, latency};

/// Width of the lines where there is no terminal, and the most where there is a wide one.
const WIDTH: usize = 80;
const WIDEST: usize = 100;
/// Columns before and behind the text.
const BEFORE: usize = 2 + 8 + 6 + 9;
const BEHIND: usize = 10 + 4;

/// Draws the demo's lines.
pub(super) struct Show {
    paint: Paint,
    text_width: usize,
}

/// A line of the play that was performed.
pub(super) struct Row<'a> {
    pub(super) room: &'a str,
    /// The player's place in the cast.
    pub(super) who: usize,
    pub(super) act: Act,
    /// What was said, or answered.
    pub(super) said: &'a str,
    pub(super) took_ns: u64,
    /// How many got it; 0 if it was for the server alone.
    pub(super) receivers: usize,
}

impl Show {
    pub(super) fn for_stdout() -> Self {
        Self::new(Paint::for_stdout())
    }

    fn new(paint: Paint) -> Self {
        let width = paint.width.map_or(WIDTH, |width| width.clamp(64, WIDEST));
        Self { paint, text_width: width - BEFORE - BEHIND - 1 }
    }

    /// Who plays, and the head of the table.
    pub(super) fn title(&self, server: &ServerName, server_pid: u32, players: &[(&str, u32)]) -> String {
        let title = self.paint.apply(Style::Bold, "Six processes talk through shared memory");
        let cast: Vec<String> = players
            .iter()
            .enumerate()
            .map(|(index, (nick, pid))| format!("{} {pid}", self.nick(index, nick)))
            .collect();
        let mut text = format!("{title}\n{server} is process {server_pid}\nits clients: {}", cast.join(", "));
        let head = format!(
            "  {:<8}{:<6}{:<9}{:<width$}{:>10}{:>4}",
            "ROOM",
            "WHO",
            "COMMAND",
            "TEXT OR ANSWER",
            "TOOK",
            "TO",
            width = self.text_width
        );
        let _ = write!(text, "\n\n{}\n", self.paint.apply(Style::Dim, &head));
        text
    }

    fn nick(&self, index: usize, nick: &str) -> String {
        self.paint.apply(Style::Colour(index as u8 + 1), nick)
    }

    pub(super) fn row(&self, row: &Row<'_>) -> String {
        let nick = CAST.get(row.who).copied().unwrap_or_default();
        let command = match row.act {
            Act::Join(_) => "JOIN".to_owned(),
            Act::Say(_) => "SAY".to_owned(),
            Act::Dm(to, _) => format!("DM {to}"),
            Act::Who => "WHO".to_owned(),
            Act::Leave => "LEAVE".to_owned(),
            Act::Quit => "QUIT".to_owned(),
        };
        let style = if row.receivers == 0 { Style::Dim } else { Style::Plain };
        let receivers = if row.receivers == 0 { String::new() } else { row.receivers.to_string() };
        let line = format!(
            "  {:<8}{}{}{}{}{:>10}{receivers:>4}",
            row.room,
            self.pad(Style::Colour(row.who as u8 + 1), nick, 6),
            self.pad(Style::Bold, &command, 9),
            self.paint.apply(style, row.said),
            " ".repeat(self.text_width.saturating_sub(row.said.chars().count())),
            latency(row.took_ns),
        );
        line.trim_end().to_owned()
    }

    fn pad(&self, style: Style, text: &str, width: usize) -> String {
        let fill = " ".repeat(width.saturating_sub(text.chars().count()));
        format!("{}{fill}", self.paint.apply(style, text))
    }

    pub(super) fn burst_title(&self) -> String {
        let text = format!(
            "  now {} lines from each of {}, one every {} ms, in both rooms at once …",
            count(BURST_LINES.into()),
            CAST.len(),
            BURST_EVERY_NS / 1_000_000
        );
        format!("{}\n", self.paint.apply(Style::Dim, &text))
    }

    /// What was measured, and what was checked.
    pub(super) fn result(&self, parts: &[(Due, Log)], late_ns: u64, server: &ServerName) -> String {
        let lines: usize = parts.iter().map(|(due, _)| due.said.len()).sum();
        let times = parts.iter().flat_map(|(_, log)| &log.heard).map(|heard| heard.took_ns);
        let histogram = histogram::of(times);
        let title = format!(
            "From a SAY's push to its receiver's read: {} deliveries of {} lines",
            count(histogram.len()),
            count(lines as u64)
        );
        let mut text = format!("\n{}\n", self.paint.apply(Style::Bold, &title));
        for line in histogram::draw(&histogram, &self.paint) {
            text.push_str(&line);
            text.push('\n');
        }
        let _ = write!(
            text,
            "\nThe senders kept their beat and waited for nobody; the latest line went out {} late.\n\
             Every line arrived exactly once and in order at each of its receivers.\n\
             All processes have ended; nothing of {server} is left in /dev/shm.\n",
            latency(late_ns),
        );
        text
    }
}
