//! Tab: nicks, rooms and commands.

use super::commands::COMMANDS;
use super::state::{App, Completion};
use super::window::Place;

impl App {
    /// Completes the word before the cursor; again, takes the next candidate.
    pub(crate) fn complete(&mut self, back: bool) {
        let editor = &self.window().editor;
        let (text, cursor) = (editor.text().to_owned(), editor.cursor());
        let mut completion = match self.completion.take().filter(|last| last.end == cursor) {
            Some(mut last) => {
                let count = last.candidates.len();
                last.index = (last.index + if back { count - 1 } else { 1 }) % count;
                last
            }
            None => {
                let start = text[..cursor]
                    .rfind(char::is_whitespace)
                    .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
                let candidates = self.candidates(&text[..start], &text[start..cursor]);
                if candidates.is_empty() {
                    return;
                }
                Completion { start, candidates, index: 0, end: 0 }
            }
        };
        let word = completion.candidates[completion.index].clone();
        let editor = &mut self.window_mut().editor;
        editor.replace_from(completion.start, &word);
        completion.end = editor.cursor();
        self.completion = Some(completion);
    }

    fn candidates(&self, before: &str, word: &str) -> Vec<String> {
        let lower = word.to_lowercase();
        let fits = |name: &str| name.to_lowercase().starts_with(&lower);
        if before.is_empty() && word.starts_with('/') {
            let commands = COMMANDS.iter().map(|(name, ..)| format!("/{name} "));
            return commands.filter(|name| fits(name)).collect();
        }
        let verb = before.split_whitespace().next().unwrap_or_default();
        if matches!(verb, "/join" | "/j" | "/who" | "/names") {
            let mut rooms: Vec<String> = self.rooms_known.clone();
            rooms.extend(self.windows.iter().filter_map(|window| match &window.place {
                Place::Room(room) => Some(room.clone()),
                _ => None,
            }));
            rooms.sort();
            rooms.dedup();
            return rooms.into_iter().filter(|room| fits(room)).collect();
        }
        if word.is_empty() {
            return Vec::new();
        }
        let mut nicks = self.window().members.nicks();
        nicks.extend(self.windows.iter().flat_map(|window| window.members.nicks()));
        let mut all: Vec<String> = Vec::new();
        for nick in nicks.into_iter().filter(|nick| fits(nick) && *nick != self.me) {
            let ending = if before.is_empty() { ": " } else { " " };
            let candidate = format!("{nick}{ending}");
            if !all.contains(&candidate) {
                all.push(candidate);
            }
        }
        all
    }
}
