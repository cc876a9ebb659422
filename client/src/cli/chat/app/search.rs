//! Searching a window: what matches, where one stands, and how many there are.

use std::ops::Range;

use super::line::{Body, moves_text};
use super::state::App;
use super::window::Scroll;

/// Where a text holds what is wanted, whatever the case of its letters. Matches do not overlap.
pub(crate) fn matches(text: &str, wanted: &str) -> Vec<Range<usize>> {
    let wanted = wanted.to_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    // Letters may have another length in lower case: each byte of the lower text knows the letter it is from.
    let (mut lower, mut from) = (String::new(), Vec::new());
    for (at, letter) in text.char_indices() {
        lower.extend(letter.to_lowercase());
        from.resize(lower.len(), at..at + letter.len_utf8());
    }
    let found = lower.match_indices(&wanted);
    found.map(|(at, found)| from[at].start..from[at + found.len() - 1].end).collect()
}

impl Body {
    /// Whether what is shown of the line holds what is wanted.
    pub(crate) fn holds(&self, wanted: &str) -> bool {
        let has = |text: &str| !matches(text, wanted).is_empty();
        match self {
            Self::Said(said) => has(&said.nick) || has(&said.text),
            Self::Notice(text) | Self::Error(text) => has(text),
            Self::Moves(moves) => has(&moves_text(moves)),
            Self::Gap(hole) => has(&hole.text),
        }
    }
}

impl App {
    /// The lines that hold what is searched for, oldest first.
    fn hits(&self) -> Vec<u64> {
        let Some(wanted) = self.search.as_deref() else { return Vec::new() };
        self.window().lines.iter().filter(|line| line.body.holds(wanted)).map(|line| line.id).collect()
    }

    /// Which of how many lines one stands at, counted from the oldest. `None` while nothing is searched for.
    pub(crate) fn hit_count(&self) -> Option<(usize, usize)> {
        self.search.as_ref().filter(|wanted| !wanted.is_empty())?;
        let hits = self.hits();
        let at = self.window().found.and_then(|found| hits.iter().position(|hit| *hit == found));
        Some((at.map_or(0, |at| at + 1), hits.len()))
    }

    /// Goes to the next line that holds what is searched for; from the newest, if `anew`. Behind the last one the first
    /// comes again.
    pub(crate) fn search_on(&mut self, older: bool, anew: bool) {
        let hits = self.hits();
        let from = self.window().found.filter(|_| !anew);
        let next = match (older, from) {
            (true, Some(from)) => hits.iter().rev().find(|hit| **hit < from).or(hits.last()),
            (true, None) => hits.last(),
            (false, Some(from)) => hits.iter().find(|hit| **hit > from).or(hits.first()),
            (false, None) => hits.first(),
        };
        let Some(&hit) = next else {
            self.window_mut().found = None;
            return;
        };
        let window = self.window_mut();
        window.found = Some(hit);
        window.scroll = Some(Scroll { line: hit, below: 0 });
        // In the middle, with what was said after it.
        self.scroll(-(self.message_height() as isize / 2));
    }

    /// Searches no more, and shows the newest lines again.
    pub(crate) fn end_search(&mut self) {
        self.search = None;
        self.window_mut().found = None;
        self.window_mut().scroll = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_are_found_in_any_case_and_at_their_bytes() {
        let found = |text: &'static str, wanted| -> Vec<&str> {
            matches(text, wanted).into_iter().map(|range| &text[range]).collect()
        };
        assert_eq!(found("Build, rebuild, BUILDS", "build"), ["Build", "build", "BUILD"]);
        assert_eq!(found("ÄÖ und äö", "äÖ"), ["ÄÖ", "äö"]);
        assert_eq!(found("İstanbul", "stan"), ["stan"]);
        assert_eq!(found("aaaa", "aa"), ["aa", "aa"]);
        assert!(found("anything", "").is_empty() && found("", "x").is_empty());
    }
}
