//! Looking again and again: in place on a terminal, block after block elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use halyard_ring::RingName;
use signal_hook::consts::SIGINT;

use super::draw::{Rates, draw};
use super::{json_line, readable};
use crate::cli::exit::{Ended, Exit, Result};
use crate::cli::ls::paint::Paint;
use crate::cli::ls::survey::Found;
use crate::cli::out::{Out, note};
use crate::cli::signals;

/// The terminal's other screen, without cursor and without wrapping, so that what was there comes back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// How often to look whether a signal came.
const LOOK: Duration = Duration::from_millis(20);

/// Watches a ring until Ctrl-C, which is how it is meant to end, or until the ring is gone.
pub(super) fn run(name: &RingName, every: Duration, json: bool, out: &mut Out) -> Result {
    let signal = Arc::new(AtomicI32::new(0));
    let caught = Arc::clone(&signal);
    signals::on_end(move |signal| caught.store(signal, Ordering::Relaxed))?;
    let screen = !json && Paint::for_stdout().width.is_some();
    if screen {
        out.raw(ENTER)?;
    }
    let ended = watch(name, every, json, screen, &signal, out);
    if screen {
        out.raw(LEAVE)?;
    }
    let gone = ended?;
    if gone {
        note(&format!("{name} is gone"));
    }
    match signal.load(Ordering::Relaxed) {
        0 | SIGINT => Ok(Exit::Done.into()),
        other => Ok(Ended::signal(other)),
    }
}

/// True if the ring is gone, false if a signal came.
fn watch(
    name: &RingName,
    every: Duration,
    json: bool,
    screen: bool,
    signal: &AtomicI32,
    out: &mut Out,
) -> Result<bool> {
    let mut due = Instant::now();
    let mut before = None;
    loop {
        // Opened anew each time: another ring may have the name by now.
        let Some(found) = Found::look(name) else { return Ok(true) };
        let picture = readable(&found)?;
        let rates = before.as_ref().and_then(|before| Rates::between(before, picture));
        if json {
            out.raw(&json_line(&found, picture))?;
        } else {
            let paint = Paint::for_stdout();
            let lines = draw(picture, Some(&found.life), rates.as_ref(), &paint);
            out.raw(&if screen { frame(&lines) } else { lines.join("\n") + "\n\n" })?;
        }
        before = found.picture.ok();
        due = (due + every).max(Instant::now());
        while Instant::now() < due {
            if signal.load(Ordering::Relaxed) != 0 || out.is_closed() {
                return Ok(false);
            }
            thread::sleep(LOOK.min(due.saturating_duration_since(Instant::now())));
        }
    }
}

/// The lines as one picture over the former one, cut at the bottom of the terminal.
fn frame(lines: &[String]) -> String {
    let height =
        terminal_size::terminal_size_of(std::io::stdout()).map_or(24, |(_, height)| usize::from(height.0));
    let room = height.max(2);
    let mut text = "\x1b[H".to_owned();
    let fits = lines.len() <= room;
    let shown = if fits { lines.len() } else { room - 1 };
    for (index, line) in lines[..shown].iter().enumerate() {
        text.push_str(if index == 0 { "" } else { "\r\n" });
        text.push_str(line);
        text.push_str("\x1b[K");
    }
    if !fits {
        text.push_str(&format!("\r\n… {} more lines\x1b[K", lines.len() - shown));
    }
    text.push_str("\x1b[J");
    text
}
