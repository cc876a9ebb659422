//! What is wrong with a script, where, and what to do about it.

use std::fmt;

/// A place in a script, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pos {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// An error in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Where it is.
    pub at: Pos,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: String,
}

impl ScriptError {
    pub(crate) fn new(at: Pos, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, what: what.into(), help: help.into() }
    }

    /// The error with the line that it is in and a mark below the column.
    #[must_use]
    pub fn show(&self, file: &str, source: &str) -> String {
        let line = source.lines().nth(self.at.line.saturating_sub(1) as usize).unwrap_or("");
        let number = self.at.line.to_string();
        let margin = " ".repeat(number.len());
        let mark = " ".repeat(self.at.column.saturating_sub(1) as usize);
        format!(
            "{file}: {self}\n {margin} |\n {number} | {line}\n {margin} | {mark}^\n {margin} = {}",
            self.help
        )
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.at.line, self.at.column, self.what)
    }
}

impl std::error::Error for ScriptError {}

/// The one of `known` that `name` was probably meant to be, if one is near.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(far, candidate)| *far <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added or left out to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
