//! The input line: text, cursor and readline's keys. Everything moves by what people call a character.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};
use unicode_width::UnicodeWidthStr;

use crate::cli::visible::visible;

/// Sent lines that a window remembers.
const HISTORY: usize = 200;

/// A line that is being typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// Byte offset, between two characters.
    cursor: usize,
    /// What was last cut.
    cut: String,
    /// Lines that were sent, oldest first.
    history: Vec<String>,
    /// Which of them is shown, and what was being typed before.
    recalled: Option<(usize, String)>,
}

impl Editor {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the text; the cursor goes to its end.
    #[cfg(test)]
    pub(crate) fn set(&mut self, text: impl Into<String>) {
        self.text = text.into();
        self.cursor = self.text.len();
        self.recalled = None;
    }

    /// Replaces the bytes from `start` to the cursor.
    pub(crate) fn replace_from(&mut self, start: usize, with: &str) {
        self.text.replace_range(start..self.cursor, with);
        self.cursor = start + with.len();
    }

    pub(crate) fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    /// Takes the line to be sent; it can be recalled.
    pub(crate) fn take(&mut self) -> String {
        let line = std::mem::take(&mut self.text);
        self.cursor = 0;
        self.recalled = None;
        self.remember(&line);
        line
    }

    /// Takes the line away without sending it; it can be recalled.
    pub(crate) fn clear(&mut self) {
        let _ = self.take();
    }

    fn remember(&mut self, line: &str) {
        if line.trim().is_empty() || self.history.last().is_some_and(|last| last == line) {
            return;
        }
        if self.history.len() >= HISTORY {
            self.history.remove(0);
        }
        self.history.push(line.to_owned());
    }

    fn before(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.cursor, self.text.len(), true);
        cursor.prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn after(&self) -> usize {
        let mut cursor = GraphemeCursor::new(self.cursor, self.text.len(), true);
        cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    /// The start of the word before the cursor. With `blank`, words are what stands between blanks.
    fn word_before(&self, blank: bool) -> usize {
        let is_word = |c: char| if blank { !c.is_whitespace() } else { c.is_alphanumeric() };
        let head = &self.text[..self.cursor];
        let end = head.trim_end_matches(|c| !is_word(c)).len();
        head[..end].trim_end_matches(is_word).len()
    }

    fn word_after(&self) -> usize {
        let tail = &self.text[self.cursor..];
        let start = tail.trim_start_matches(|c: char| !c.is_alphanumeric());
        self.text.len() - start.trim_start_matches(char::is_alphanumeric).len()
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.before();
    }

    pub(crate) fn right(&mut self) {
        self.cursor = self.after();
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.word_before(false);
    }

    pub(crate) fn word_right(&mut self) {
        self.cursor = self.word_after();
    }

    pub(crate) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(crate) fn backspace(&mut self) {
        let from = self.before();
        self.text.replace_range(from..self.cursor, "");
        self.cursor = from;
    }

    pub(crate) fn delete(&mut self) {
        let to = self.after();
        self.text.replace_range(self.cursor..to, "");
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.text[from..to].to_owned();
            self.text.replace_range(from..to, "");
            self.cursor = from;
        }
    }

    pub(crate) fn cut_to_end(&mut self) {
        self.cut(self.cursor, self.text.len());
    }

    pub(crate) fn cut_to_start(&mut self) {
        self.cut(0, self.cursor);
    }

    pub(crate) fn cut_word_back(&mut self, blank: bool) {
        self.cut(self.word_before(blank), self.cursor);
    }

    pub(crate) fn cut_word(&mut self) {
        self.cut(self.cursor, self.word_after());
    }

    pub(crate) fn yank(&mut self) {
        let cut = self.cut.clone();
        self.insert(&cut);
    }

    /// Exchanges the two characters around the cursor, at the end the last two.
    pub(crate) fn transpose(&mut self) {
        if self.cursor == self.text.len() {
            self.left();
        }
        let (from, to) = (self.before(), self.after());
        if from == self.cursor || to == self.cursor {
            return;
        }
        let swapped = format!("{}{}", &self.text[self.cursor..to], &self.text[from..self.cursor]);
        self.text.replace_range(from..to, &swapped);
        self.cursor = to;
    }

    /// The line sent before the one that is shown.
    pub(crate) fn older(&mut self) {
        let (index, draft) = match self.recalled.take() {
            Some((0, draft)) => (0, draft),
            Some((index, draft)) => (index - 1, draft),
            None if self.history.is_empty() => return,
            None => (self.history.len() - 1, std::mem::take(&mut self.text)),
        };
        self.show(index, draft);
    }

    /// The line sent after it, and at last what was being typed.
    pub(crate) fn newer(&mut self) {
        match self.recalled.take() {
            Some((index, draft)) if index + 1 < self.history.len() => self.show(index + 1, draft),
            Some((_, draft)) => {
                self.cursor = draft.len();
                self.text = draft;
            }
            None => {}
        }
    }

    fn show(&mut self, index: usize, draft: String) {
        self.text.clone_from(&self.history[index]);
        self.cursor = self.text.len();
        self.recalled = Some((index, draft));
    }

    /// The part of the line that fits `width` columns with the cursor in it, and the cursor's column. What a
    /// terminal would act on is made visible.
    pub(crate) fn visible_part(&self, width: usize) -> (String, usize) {
        let width = width.max(2);
        let head = visible(&self.text[..self.cursor]).into_owned();
        let tail = visible(&self.text[self.cursor..]).into_owned();
        // The cursor stands at most on the last column.
        let mut skipped = 0;
        let mut graphemes = head.graphemes(true);
        while graphemes.as_str().width() > width - 1 {
            match graphemes.next() {
                Some(grapheme) => skipped += grapheme.len(),
                None => break,
            }
        }
        let shown = &head[skipped..];
        let column = shown.width();
        let mut text = shown.to_owned();
        for grapheme in tail.graphemes(true) {
            if text.width() + grapheme.width() > width {
                break;
            }
            text.push_str(grapheme);
        }
        (text, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editor(text: &str) -> Editor {
        let mut editor = Editor::default();
        editor.insert(text);
        editor
    }

    #[test]
    fn a_character_is_what_people_see_as_one() {
        let mut line = editor("a👩‍👩‍👧é");
        line.backspace();
        assert_eq!(line.text(), "a👩‍👩‍👧");
        line.left();
        assert_eq!(line.cursor(), 1);
        line.delete();
        assert_eq!(line.text(), "a");
    }

    #[test]
    fn readline_keys_cut_and_bring_back() {
        let mut line = editor("one two-three four");
        line.cut_word_back(true);
        assert_eq!(line.text(), "one two-three ");
        line.cut_word_back(false);
        assert_eq!(line.text(), "one two-");
        line.yank();
        assert_eq!(line.text(), "one two-three ");
        line.home();
        line.cut_word();
        assert_eq!((line.text(), line.cursor()), (" two-three ", 0));
        line.word_right();
        line.cut_to_end();
        assert_eq!(line.text(), " two");
        line.cut_to_start();
        line.yank();
        line.yank();
        assert_eq!(line.text(), " two two");
        line.word_left();
        assert_eq!(line.cursor(), 5);
        line.set("ab");
        line.transpose();
        assert_eq!(line.text(), "ba");
    }

    #[test]
    fn sent_lines_are_recalled_and_the_draft_is_not_lost() {
        let mut line = editor("first");
        line.take();
        line.insert("second");
        line.take();
        line.insert("second");
        line.take();
        line.insert("draft");
        line.older();
        assert_eq!(line.text(), "second");
        line.older();
        line.older();
        assert_eq!(line.text(), "first");
        line.newer();
        line.newer();
        assert_eq!(line.text(), "draft");
        line.newer();
        assert_eq!(line.text(), "draft");
    }

    #[test]
    fn a_long_line_moves_under_the_cursor() {
        let mut line = editor("日本語日本語");
        assert_eq!(line.visible_part(7), ("日本語".to_owned(), 6));
        line.home();
        assert_eq!(line.visible_part(7), ("日本語".to_owned(), 0));
        assert_eq!(editor("\u{1b}[31m").visible_part(20), ("␛[31m".to_owned(), 5));
        assert_eq!(editor("abc").visible_part(0).1, 1);
    }
}
