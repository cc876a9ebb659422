//! Colours, where there is a terminal that wants them.

use std::io::{IsTerminal, stdout};

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    /// One of six, to tell things apart.
    Colour(u8),
}

/// What the output can show: colours or not, and how wide it is, if it is a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) colour: bool,
    pub(crate) width: Option<usize>,
}

impl Paint {
    /// For standard output: colours only for a terminal, and not if `NO_COLOR` is set to anything.
    pub(crate) fn for_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let size = terminal_size::terminal_size_of(stdout());
        Self { colour: wanted && stdout().is_terminal(), width: size.map(|(width, _)| width.0.into()) }
    }

    pub(crate) const fn plain(width: Option<usize>) -> Self {
        Self { colour: false, width }
    }

    pub(crate) fn apply(&self, style: Style, text: &str) -> String {
        let code = match style {
            _ if !self.colour || text.is_empty() => return text.to_owned(),
            Style::Plain => return text.to_owned(),
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Good => 32,
            Style::Warn => 33,
            Style::Bad => 31,
            Style::Colour(number) => 31 + number % 6,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
