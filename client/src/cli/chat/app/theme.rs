//! Colours. Grounds are the terminal's own, so that dark and light terminals both stay what they are.

use ratatui::style::{Color, Modifier, Style};

use crate::cli::config::{Colors, Theme as Choice};
use crate::cli::show::NICK_COLOURS;
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
            (None, _) => NICK_COLOURS.map(Color::Indexed).to_vec(),
        };
        let (accent, mention, error) = match choice {
            Choice::Dark => (Color::LightCyan, Color::LightYellow, Color::LightRed),
            Choice::Light => (Color::Blue, Color::Magenta, Color::Red),
            _ => (Color::Indexed(31), Color::Indexed(163), Color::Indexed(161)),
        };
        // Both its colours are its own, so that it can be read on any ground.
        let found_here = plain.fg(Color::Black).bg(Color::Yellow).remove_modifier(Modifier::DIM);
        let found = plain.fg(color(&colors.accent, accent)).add_modifier(Modifier::UNDERLINED);
        Self {
            faint,
            accent: plain.fg(color(&colors.accent, accent)),
            mention: bold.fg(color(&colors.mention, mention)),
            error: plain.fg(color(&colors.error, error)),
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

    /// How bright it is, from 0 to 1: relative luminance as the Web's guidelines define it, with xterm's palette.
    fn luminance(color: Color) -> f64 {
        let cube = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
        let [r, g, b] = match color {
            Color::Red => [205, 0, 0],
            Color::Blue => [0, 0, 238],
            Color::Magenta => [205, 0, 205],
            Color::LightRed => [255, 0, 0],
            Color::LightGreen => [0, 255, 0],
            Color::LightBlue => [92, 92, 255],
            Color::LightMagenta => [255, 0, 255],
            Color::LightCyan => [0, 255, 255],
            Color::LightYellow => [255, 255, 0],
            Color::Indexed(number @ 16..=231) => {
                let number = number - 16;
                [cube(number / 36), cube(number / 6 % 6), cube(number % 6)]
            }
            other => panic!("{other} is not in this table"),
        }
        .map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    #[test]
    fn every_colour_can_be_read_on_the_grounds_that_its_theme_is_for() {
        for (choice, on_dark, on_light) in
            [(Choice::Auto, true, true), (Choice::Dark, true, false), (Choice::Light, false, true)]
        {
            let theme = Theme::new(choice, &Colors::default());
            let others =
                [theme.accent, theme.mention, theme.error, theme.found].map(|style| style.fg.unwrap());
            for color in theme.nicks.iter().copied().chain(others) {
                let luminance = luminance(color);
                // 3 is the least for large letters, 21 is black on white.
                let (dark, light) = ((luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05));
                assert!(!on_dark || dark >= 4.0, "{color} on black has a contrast of {dark:.1}");
                assert!(!on_light || light >= 4.0, "{color} on white has a contrast of {light:.1}");
            }
        }
    }
}
