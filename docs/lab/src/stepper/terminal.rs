//! The terminal: set up, read keys, draw, set back.

use std::io;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::app::{App, Key};
use super::draw::draw;

/// Runs the stepper until the student has had enough. The terminal is as before afterwards, also after a panic.
///
/// # Errors
/// What the terminal says.
pub fn run(mut app: App) -> io::Result<App> {
    let mut terminal = ratatui::try_init()?;
    let result = steps(&mut terminal, &mut app);
    ratatui::restore();
    result.map(|()| app)
}

fn steps(terminal: &mut ratatui::DefaultTerminal, app: &mut App) -> io::Result<()> {
    while !app.has_quit() {
        terminal.draw(|frame| draw(frame, app))?;
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Ok(());
        }
        let pressed = match key.code {
            KeyCode::Char(letter) => Key::Char(letter),
            KeyCode::Left => Key::Back,
            KeyCode::Right => Key::On,
            KeyCode::Enter => Key::Enter,
            KeyCode::Backspace => Key::Erase,
            KeyCode::Esc => Key::Escape,
            _ => continue,
        };
        app.press(pressed);
    }
    Ok(())
}
