//! The terminal's modes: set on the way in, put back on every way out.

use std::io::{self, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Other screen, pastes marked, focus told.
const ENTER: &str = "\x1b[?1049h\x1b[?2004h\x1b[?1004h\x1b[2J";
/// All of that back, the mouse let go, the cursor shown.
const LEAVE: &str = "\x1b[?1006l\x1b[?1000l\x1b[?1004l\x1b[?2004l\x1b[?25h\x1b[0m\x1b[?1049l";

/// Whether the modes are set.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// A thread has panicked.
static PANICKED: AtomicBool = AtomicBool::new(false);

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    write(ENTER)
}

/// Puts the terminal back. Any number of times, from any thread, also while it panics.
pub(crate) fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // Not through the locked stream: the panicking thread may hold the lock.
        let _ = nix::unistd::write(io::stdout(), LEAVE.as_bytes());
        let _ = disable_raw_mode();
    }
}

/// The terminal while the application has it. Dropping it puts the terminal back.
pub(crate) struct Tty {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Tty {
    /// Takes the terminal. From here on a panic puts it back before it says anything, so that also holds where a
    /// panic aborts the program and nothing is dropped.
    pub(crate) fn take(mouse: bool) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let default = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                PANICKED.store(true, Ordering::SeqCst);
                restore();
                default(info);
                // What `panic = "abort"` does next, for its test.
                #[cfg(debug_assertions)]
                if std::env::var_os("HALYARD_TEST_ABORT").is_some() {
                    std::process::abort();
                }
            }));
        });
        enter()?;
        let mut tty = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, mouse: false };
        tty.mouse(mouse)?;
        Ok(tty)
    }

    /// Whether some thread of this program has panicked.
    pub(crate) fn panicked() -> bool {
        PANICKED.load(Ordering::SeqCst)
    }

    /// Whether the terminal sends the mouse's wheel, and does not select by itself.
    pub(crate) fn mouse(&mut self, on: bool) -> io::Result<()> {
        if on != self.mouse {
            write(if on { "\x1b[?1000h\x1b[?1006h" } else { "\x1b[?1006l\x1b[?1000l" })?;
            self.mouse = on;
        }
        Ok(())
    }

    pub(crate) fn bell(&self) -> io::Result<()> {
        write("\x07")
    }

    /// A desktop notification by one of the sequences that terminals know. The texts hold no control characters.
    pub(crate) fn notify(
        &self,
        desktop: crate::cli::config::Desktop,
        title: &str,
        text: &str,
    ) -> io::Result<()> {
        use crate::cli::config::Desktop;
        match desktop {
            Desktop::Off => Ok(()),
            Desktop::Osc9 => write(&format!("\x1b]9;{title}: {text}\x07")),
            Desktop::Osc777 => {
                write(&format!("\x1b]777;notify;{};{}\x07", title.replace(';', ","), text.replace(';', ",")))
            }
        }
    }

    /// Shows a text as it is, without layout, for the terminal's own selection.
    pub(crate) fn bare(&mut self, text: &str) -> io::Result<()> {
        let mouse = self.mouse;
        self.mouse(false)?;
        self.mouse = mouse;
        write(&format!("\x1b[0m\x1b[2J\x1b[H{text}"))
    }

    /// Draws everything anew.
    pub(crate) fn redraw(&mut self) -> io::Result<()> {
        if self.mouse {
            self.mouse = false;
            self.mouse(true)?;
        }
        self.terminal.clear()
    }

    /// Gives the terminal back to the shell until it lets this program go on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        restore();
        raise(Signal::SIGTSTP).map_err(io::Error::from)?;
        enter()?;
        self.redraw()
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        restore();
    }
}
