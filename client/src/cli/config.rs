//! The configuration file: TOML, under the XDG path.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use halyard_ring::chat::check_name;
use ratatui::style::Color;
use serde::de::{Deserialize, Deserializer, Error as _};

use super::chat::app::actions::Action;
use super::chat::app::keys::Key;
use super::exit::{Ended, Exit, Result};
use super::values::Parsed;

/// What the file may hold. Everything has a default.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) nick: Option<Name>,
    pub(crate) rooms: Vec<Name>,
    pub(crate) view: View,
    pub(crate) colors: Colors,
    pub(crate) notify: Notify,
    pub(crate) keys: HashMap<Action, Parsed<Key>>,
}

#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct View {
    pub(crate) theme: Theme,
    /// Each message's latency in front of it.
    pub(crate) latency: bool,
    /// The panels at the sides, where there is room for them.
    pub(crate) rooms: bool,
    pub(crate) members: bool,
    pub(crate) mouse: bool,
    /// Earlier messages that a join shows.
    pub(crate) history: u32,
    /// The time in front of messages, as strftime writes it; empty for none.
    pub(crate) time: TimeFormat,
}

impl Default for View {
    fn default() -> Self {
        Self {
            theme: Theme::Auto,
            latency: false,
            rooms: true,
            members: true,
            mouse: false,
            history: 50,
            time: TimeFormat("%H:%M".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Theme {
    /// Colours that can be read on dark and on light grounds.
    Auto,
    Dark,
    Light,
    /// No colours, as with `NO_COLOR`.
    None,
}

#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Colors {
    pub(crate) accent: Option<Parsed<Color>>,
    pub(crate) mention: Option<Parsed<Color>>,
    pub(crate) error: Option<Parsed<Color>>,
    pub(crate) nicks: Option<Vec<Parsed<Color>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notify {
    pub(crate) on: On,
    pub(crate) bell: bool,
    pub(crate) desktop: Desktop,
    /// Words beside the nick that count as a mention.
    pub(crate) highlight: Vec<String>,
}

impl Default for Notify {
    fn default() -> Self {
        Self { on: On::Mention, bell: true, desktop: Desktop::Off, highlight: Vec::new() }
    }
}

/// What one is notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum On {
    Never,
    /// Mentions and direct messages.
    Mention,
    All,
}

/// The sequence by which the terminal shows a desktop notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Desktop {
    Off,
    Osc9,
    Osc777,
}

/// A nick or a room name that follows the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        check_name(&name).map_err(D::Error::custom)?;
        Ok(Self(name))
    }
}

/// A format that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeFormat(pub(crate) String);

impl<'de> Deserialize<'de> for TimeFormat {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let format = String::deserialize(from)?;
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(jiff::tz::TimeZone::UTC);
        jiff::fmt::strtime::format(&format, &sample).map_err(D::Error::custom)?;
        Ok(Self(format))
    }
}

/// Where the file is looked for if none is named: `$XDG_CONFIG_HOME/halyard/config.toml`, by default
/// `~/.config/halyard/config.toml`.
fn usual_path() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative path is to be passed over, says the XDG specification.
    let base = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("halyard").join("config.toml"))
}

/// Reads the file that is named, which must be there, or the usual one, which need not.
pub(crate) fn load(named: Option<&Path>) -> Result<Config> {
    let unusable = |path: &Path, why: &str| {
        Ended::with(Exit::Usage, format!("the configuration file {}: {}", path.display(), why.trim_end()))
    };
    let (path, is_named) = match named {
        Some(path) => (path.to_owned(), true),
        None => match usual_path() {
            Some(path) => (path, false),
            None => return Ok(Config::default()),
        },
    };
    match fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| unusable(&path, &error.to_string()).into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => Ok(Config::default()),
        Err(error) => Err(unusable(&path, &error.to_string()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::chat::app::keys::Code;

    fn error_of(text: &str) -> String {
        toml::from_str::<Config>(text).unwrap_err().to_string()
    }

    #[test]
    fn everything_can_be_set() {
        let text = r##"
            nick = "zoë"
            rooms = ["lobby", "dev"]
            [view]
            theme = "light"
            latency = true
            rooms = false
            members = false
            mouse = true
            history = 10
            time = "%H:%M:%S"
            [colors]
            accent = "blue"
            mention = "#ff8800"
            error = "lightred"
            nicks = ["red", "42"]
            [notify]
            on = "all"
            bell = false
            desktop = "osc777"
            highlight = ["release"]
            [keys]
            next-active = "ctrl-n"
        "##;
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.nick, Some(Name("zoë".into())));
        assert_eq!(config.colors.mention, Some(Parsed(Color::Rgb(0xff, 0x88, 0))));
        assert_eq!(config.colors.nicks.unwrap()[1], Parsed(Color::Indexed(42)));
        assert_eq!(config.notify.desktop, Desktop::Osc777);
        assert_eq!(config.keys[&Action::NextActive], Parsed(Key::ctrl('n')));
        assert_eq!((config.view.history, config.view.theme), (10, Theme::Light));
    }

    #[test]
    fn the_books_example_is_read() {
        let pages = halyard_book::pages();
        let page = pages.iter().find(|page| page.name == "docs/chat.md").unwrap();
        let mut seen = 0;
        for block in page.blocks().iter().filter(|block| block.language == "toml") {
            toml::from_str::<Config>(&block.body)
                .unwrap_or_else(|error| panic!("{}:{}: {error}", page.name, block.line));
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn an_error_names_its_line_and_what_would_be_right() {
        for (text, words) in [
            ("nick = \"ann\"\nnik = 3\n", &["line 2", "nik"][..]),
            ("\n\nnick = \"a b\"", &["line 3", "no spaces"]),
            ("[keys]\nnext-active = \"alt-foo\"", &["line 2", "alt-foo"]),
            ("[keys]\nfly = \"alt-f\"", &["line 2", "next-active"]),
            ("[colors]\naccent = \"mauvish\"", &["line 2", "mauvish"]),
            ("[view]\ntime = \"%\"", &["line 2"]),
            ("[notify]\non = \"maybe\"", &["line 2", "mention"]),
            ("rooms = [\"lobby\"", &["line 1"]),
        ] {
            let error = error_of(text);
            assert!(words.iter().all(|word| error.contains(word)), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let missing = Path::new("/nonexistent/halyard.toml");
        assert!(format!("{:?}", load(Some(missing))).contains("/nonexistent/halyard.toml"));
        assert_eq!(Key::plain(Code::F(1)).to_string(), "f1");
    }
}
