//! What keys, pastes and the wheel do.

use std::time::{Duration, Instant};

use super::actions::Action;
use super::keys::{Code, Input, Key};
use super::state::{App, Effect, Overlay};
use super::view::messages::rows_at;
use super::window::Scroll;

/// How soon the second Ctrl-C has to come.
const TWICE: Duration = Duration::from_secs(2);
/// Rows that one step of the wheel scrolls.
const WHEEL: usize = 3;
/// Lines that one paste may send.
const PASTE_LINES: usize = 200;

impl App {
    /// Takes in what the terminal told.
    pub(crate) fn input(&mut self, input: Input, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.bare {
            if matches!(input, Input::Key(_)) {
                self.bare = false;
                effects.push(Effect::Redraw);
            }
            return effects;
        }
        match input {
            Input::Key(key) => self.key(key, now, &mut effects),
            Input::Paste(text) => self.paste(&text),
            Input::Wheel(up) => self.scroll(if up { WHEEL as isize } else { -(WHEEL as isize) }),
            Input::Focus(true) => {
                self.focused = true;
                self.window_mut().looked_at();
            }
            Input::Focus(false) => {
                self.focused = false;
                self.window_mut().looked_away();
            }
        }
        effects
    }

    fn key(&mut self, key: Key, now: Instant, effects: &mut Vec<Effect>) {
        if self.overlay.is_some() && self.overlay_key(key, effects) {
            return;
        }
        if self.search.is_some() && self.search_key(key) {
            return;
        }
        if key.code != Code::Tab {
            self.completion = None;
        }
        if let Some(action) = self.keys.action(key) {
            return self.act(action, effects);
        }
        if let (Code::Char(digit @ '0'..='9'), true) = (key.code, key.alt) {
            let number = digit.to_digit(10).unwrap_or(0) as usize;
            return self.look_at((number + 9) % 10);
        }
        let interrupted = self.interrupted.take().is_some_and(|at| now.duration_since(at) < TWICE);
        let editor = &mut self.window_mut().editor;
        match (key.code, key.ctrl, key.alt) {
            (Code::Enter, ..) => {
                let line = editor.take();
                self.submit(&line, effects);
            }
            (Code::Tab, ..) => self.complete(key.shift),
            (Code::Char('c'), true, _) if editor.is_empty() && interrupted => effects.push(Effect::Quit),
            (Code::Char('c'), true, _) if editor.is_empty() => {
                self.interrupted = Some(now);
                self.notice(self.current, "ctrl-c again quits");
            }
            (Code::Char('c'), true, _) => editor.clear(),
            (Code::Char('d'), true, _) if editor.is_empty() => effects.push(Effect::Quit),
            (Code::Char('d'), true, _) | (Code::Delete, ..) => editor.delete(),
            (Code::Char('a'), true, _) | (Code::Home, ..) => editor.home(),
            (Code::Char('e'), true, _) | (Code::End, ..) => editor.end(),
            (Code::Char('b'), false, true) | (Code::Left, true, _) => editor.word_left(),
            (Code::Char('f'), false, true) | (Code::Right, true, _) => editor.word_right(),
            (Code::Char('b'), true, _) | (Code::Left, ..) => editor.left(),
            (Code::Char('f'), true, _) | (Code::Right, ..) => editor.right(),
            (Code::Char('w'), true, _) => editor.cut_word_back(true),
            (Code::Backspace, _, true) => editor.cut_word_back(false),
            (Code::Char('d'), false, true) => editor.cut_word(),
            (Code::Char('u'), true, _) => editor.cut_to_start(),
            (Code::Char('k'), true, _) => editor.cut_to_end(),
            (Code::Char('y'), true, _) => editor.yank(),
            (Code::Char('t'), true, _) => editor.transpose(),
            (Code::Backspace, ..) | (Code::Char('h'), true, _) => editor.backspace(),
            (Code::Up, ..) | (Code::Char('p'), true, _) => editor.older(),
            (Code::Down, ..) | (Code::Char('n'), true, _) => editor.newer(),
            (Code::Char(c), false, false) => editor.insert(c.encode_utf8(&mut [0; 4])),
            _ => {}
        }
    }

    fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let page = self.message_height().saturating_sub(1).max(1) as isize;
        let count = self.windows.len();
        match action {
            Action::NextActive => self.next_active(),
            Action::NextWindow => self.look_at((self.current + 1) % count),
            Action::PreviousWindow => self.look_at((self.current + count - 1) % count),
            Action::ScrollUp => self.scroll(page),
            Action::ScrollDown => self.scroll(-page),
            Action::ScrollTop => self.scroll(isize::MAX),
            Action::ScrollEnd => self.window_mut().scroll = None,
            Action::FillGap => self.fill_gap(effects),
            Action::BareText => {
                self.bare = true;
                effects.push(Effect::Bare);
            }
            Action::Search => self.search = Some(String::new()),
            Action::Help => self.show(Overlay::Help),
            Action::ToggleLatency => self.config.view.latency = !self.config.view.latency,
            Action::ToggleMembers => self.config.view.members = !self.config.view.members,
            Action::ToggleRooms => self.config.view.rooms = !self.config.view.rooms,
            Action::Redraw => effects.push(Effect::Redraw),
            Action::Suspend => effects.push(Effect::Suspend),
        }
    }

    /// The next window with a mention, else the next with something new.
    fn next_active(&mut self) {
        let count = self.windows.len();
        let others = || (1..count).map(|step| (self.current + step) % count);
        let mentioned = others().find(|&index| self.windows[index].mentions > 0);
        if let Some(index) = mentioned.or_else(|| others().find(|&index| self.windows[index].unread > 0)) {
            self.look_at(index);
        }
    }

    /// Whether the key was meant for the overlay. Typing closes it and goes on: the first letter is not lost.
    fn overlay_key(&mut self, key: Key, effects: &mut Vec<Effect>) -> bool {
        if let Some(Overlay::Paste(lines)) = &self.overlay {
            match (key.code, key.ctrl) {
                (Code::Enter | Code::Char('y'), false) => {
                    let lines = lines.clone();
                    self.overlay = None;
                    for line in lines {
                        // A pasted slash is no command.
                        let escaped = if line.starts_with('/') { format!("/{line}") } else { line };
                        self.submit(&escaped, effects);
                    }
                }
                (Code::Char('e'), false) => {
                    let joined = lines.join(" ");
                    self.overlay = None;
                    self.window_mut().editor.insert(&joined);
                }
                (Code::Escape | Code::Char('n'), false) | (Code::Char('c'), true) => self.overlay = None,
                _ => {}
            }
            return true;
        }
        match key.code {
            Code::Up => self.overlay_scroll = self.overlay_scroll.saturating_sub(1),
            Code::Down => self.overlay_scroll += 1,
            Code::PageUp => self.overlay_scroll = self.overlay_scroll.saturating_sub(10),
            Code::PageDown => self.overlay_scroll += 10,
            _ => {
                self.overlay = None;
                let closes_only = matches!(key.code, Code::Escape | Code::Enter)
                    || (key.code == Code::Char('c') && key.ctrl)
                    || self.keys.action(key) == Some(Action::Help);
                return closes_only;
            }
        }
        true
    }

    fn paste(&mut self, text: &str) {
        let lines: Vec<String> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        match lines.as_slice() {
            [] => {}
            [line] => {
                self.overlay = None;
                self.window_mut().editor.insert(line);
            }
            all if all.len() > PASTE_LINES => {
                self.error(format!("{} lines are too many to paste: at most {PASTE_LINES}", all.len()));
            }
            _ => self.show(Overlay::Paste(lines)),
        }
    }

    /// A key while something is searched for. False: it is not for the search.
    fn search_key(&mut self, key: Key) -> bool {
        let Some(text) = &mut self.search else { return false };
        match (key.code, key.ctrl, key.alt) {
            (Code::Char(c), false, false) => {
                text.push(c);
                self.search_on(true, true);
            }
            (Code::Backspace, ..) => {
                text.pop();
                self.search_on(true, true);
            }
            (Code::Up | Code::Enter, ..) | (Code::Char('r' | 'p'), true, _) => self.search_on(true, false),
            (Code::Down, ..) | (Code::Char('s' | 'n'), true, _) => self.search_on(false, false),
            (Code::Escape, ..) | (Code::Char('c' | 'g'), true, _) => self.end_search(),
            _ => return false,
        }
        true
    }

    /// Scrolls by rows, up if positive.
    pub(crate) fn scroll(&mut self, by: isize) {
        let (width, height) = (self.message_width(), self.message_height());
        let window = self.window();
        let rows: Vec<(u64, usize)> = (0..window.lines.len())
            .map(|index| (window.lines[index].id, rows_at(self, index, width).len()))
            .collect();
        let total: usize = rows.iter().map(|(_, rows)| rows).sum();
        // Rows under the last one that is shown.
        let mut below: usize = 0;
        if let Some(scroll) = window.scroll {
            below = rows.iter().filter(|(id, _)| *id > scroll.line).map(|(_, rows)| rows).sum::<usize>()
                + scroll.below;
        }
        // The last row tells how many are below.
        let most = total.saturating_sub(if height > 1 { height - 1 } else { height });
        let below = below.saturating_add_signed(by).min(most);
        let mut left = below;
        let mut scroll = None;
        for (id, rows) in rows.iter().rev() {
            if left < *rows {
                scroll = (below > 0).then_some(Scroll { line: *id, below: left });
                break;
            }
            left -= rows;
        }
        self.window_mut().scroll = scroll;
    }
}
