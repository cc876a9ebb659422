//! Colours. Grounds are the terminal's own, so that dark and light terminals both stay what they are.

use ratatui::style::{Color, Modifier, Style};

use crate::cli::config::{Colors, Theme as Choice};
use crate::cli::values::Parsed;

#[derive(Clone, Debug)]
pub(crate) struct Theme {
    pub(crate) faint: Style,
    pub(crate) accent: Style,
    pub(crate) mention: Style,
    pub(crate) error: Style,
    /// What is searched for, and where one stands.
    pub(crate) found: Style,
    pub(crate) found_here: Style,
    /// The status line.
    pub(crate) bar: Style,
    nicks: Vec<Color>,
}

/// Readable on both grounds; bright on dark, deep on light ones.
const AUTO: [Color; 6] = [Color::Red, Color::Green, Color::Blue, Color::Magenta, Color::Cyan, Color::Yellow];
const DARK: [Color; 10] = [
    Color::LightRed,
    Color::LightGreen,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::LightYellow,
    Color::Indexed(208),
    Color::Indexed(141),
    Color::Indexed(79),
    Color::Indexed(174),
];
const LIGHT: [Color; 8] = [
    Color::Red,
    Color::Blue,
    Color::Magenta,
    Color::Indexed(22),
    Color::Indexed(94),
    Color::Indexed(24),
    Color::Indexed(89),
    Color::Indexed(54),
];

impl Theme {
    pub(crate) fn new(choice: Choice, colors: &Colors) -> Self {
        let plain = Style::new();
        let faint = plain.add_modifier(Modifier::DIM);
        let bar = plain.add_modifier(Modifier::REVERSED);
        let bold = plain.add_modifier(Modifier::BOLD);
        if choice == Choice::None {
            // Colours only are forgone; what matters still stands out.
            let mention = bold.add_modifier(Modifier::UNDERLINED);
            let found = plain.add_modifier(Modifier::UNDERLINED);
            let found_here = bar.remove_modifier(Modifier::DIM);
            return Self {
                faint,
                accent: bold,
                mention,
                error: bold,
                found,
                found_here,
                bar,
                nicks: Vec::new(),
            };
        }
        let color =
            |chosen: &Option<Parsed<Color>>, default| chosen.as_ref().map_or(default, |color| color.0);
        let nicks = match (&colors.nicks, choice) {
            (Some(nicks), _) => nicks.iter().map(|color| color.0).collect(),
            (None, Choice::Dark) => DARK.to_vec(),
            (None, Choice::Light) => LIGHT.to_vec(),
            (None, _) => AUTO.to_vec(),
        };
        let (accent, mention) = match choice {
            Choice::Dark => (Color::LightCyan, Color::LightYellow),
            Choice::Light => (Color::Blue, Color::Magenta),
            _ => (Color::Cyan, Color::Magenta),
        };
        // Both its colours are its own, so that it can be read on any ground.
        let found_here = plain.fg(Color::Black).bg(Color::Yellow).remove_modifier(Modifier::DIM);
        let found = plain.fg(color(&colors.accent, accent)).add_modifier(Modifier::UNDERLINED);
        Self {
            faint,
            accent: plain.fg(color(&colors.accent, accent)),
            mention: bold.fg(color(&colors.mention, mention)),
            error: plain.fg(color(&colors.error, Color::Red)),
            found: found.remove_modifier(Modifier::DIM),
            found_here,
            bar,
            nicks,
        }
    }

    /// The same colour for the same nick, always and everywhere.
    pub(crate) fn nick(&self, nick: &str) -> Style {
        if self.nicks.is_empty() {
            return Style::new().add_modifier(Modifier::BOLD);
        }
        // FNV-1a: stable over versions, which a hasher of the standard library does not promise.
        let hash = nick.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Style::new().fg(self.nicks[(hash % self.nicks.len() as u64) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nick_has_one_colour_and_none_where_none_is_wanted() {
        let colours = Theme::new(Choice::Auto, &Colors::default());
        assert_eq!(colours.nick("ann"), colours.nick("ann"));
        assert!(colours.nick("ann").fg.is_some());
        let none = Theme::new(Choice::None, &Colors::default());
        let styles = [none.nick("ann"), none.accent, none.mention, none.error, none.faint, none.bar];
        for style in styles.into_iter().chain([none.found, none.found_here]) {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
