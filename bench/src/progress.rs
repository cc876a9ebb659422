//! The progress bar: on standard error, and only where a person sits.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of `steps` steps; invisible unless standard error is a terminal.
pub(crate) fn bar(steps: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // Drawn only where it is moved: a thread that redraws it would take a core from what is measured.
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} ({elapsed})");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.reset_elapsed();
    bar
}

/// For a run whose steps are not counted by hand: moves the bar to `done`, no more often than it is drawn.
pub(crate) const EVERY: Duration = Duration::from_millis(200);
