//! IRC logs as people keep them: three formats, one line a time, told apart by looking.
//!
//! A log is parsed strictly: a line that its format does not know is an error that names file and line, since a
//! replay of a log that was half understood would prove nothing. Lines that a format knows but that move no message
//! (topics, modes, notices of servers, days) are counted and passed over.

mod clock;
mod irssi;
mod ubuntu;
mod weechat;

use std::fmt;

use serde::Serialize;

use self::clock::Stamp;

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `[hh:mm] <nick> text`, as the public #ubuntu logs are
    Ubuntu,
    /// irssi's default
    Irssi,
    /// WeeChat's default
    Weechat,
}

impl Format {
    const ALL: [Self; 3] = [Self::Ubuntu, Self::Irssi, Self::Weechat];

    fn line<'a>(self, line: &'a str) -> Option<Parsed<'a>> {
        match self {
            Self::Ubuntu => ubuntu::line(line),
            Self::Irssi => irssi::line(line),
            Self::Weechat => weechat::line(line),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ubuntu => "ubuntu",
            Self::Irssi => "irssi",
            Self::Weechat => "weechat",
        })
    }
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// A message, or an action (`* nick waves`).
    Message { nick: &'a str, text: &'a str, action: bool },
    /// Someone came.
    Joined { nick: &'a str },
    /// Someone left the room, quit or was kicked.
    Left { nick: &'a str },
    /// Someone took another nick.
    Renamed { old: &'a str, new: &'a str },
    /// `=== word text`: an action if the word is somebody's nick, a status line if not.
    Perhaps { nick: &'a str, text: &'a str },
    /// Nothing that is replayed.
    Other,
}

/// One line of a log, and its time if the line bears one.
type Parsed<'a> = (Option<Stamp>, Said<'a>);

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From 1.
    pub line: u32,
    /// Milliseconds since the log's first line.
    pub at_ms: u64,
    /// What it says.
    pub what: What,
}

/// What happened, in a form to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message, or an action (`* nick waves`).
    Message {
        /// Who said it.
        nick: String,
        /// What was said, or what the nick does.
        text: String,
        /// Whether it is an action.
        action: bool,
    },
    /// Someone came.
    Joined {
        /// Who.
        nick: String,
    },
    /// Someone left the room, quit or was kicked.
    Left {
        /// Who.
        nick: String,
    },
    /// Someone took another nick.
    Renamed {
        /// The former one.
        old: String,
        /// The new one.
        new: String,
    },
}

/// A whole log.
#[derive(Clone, Debug)]
pub struct Log {
    /// `None` if the file holds no line at all.
    pub format: Option<Format>,
    /// What is replayed.
    pub entries: Vec<Entry>,
    /// Lines that are not empty.
    pub lines: usize,
    /// Lines that hold nothing to replay.
    pub other: usize,
    /// Lines that were not UTF-8 and were read as Latin-1, as IRC programs do.
    pub latin1: usize,
}

/// A line that the log's format does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLog {
    line: usize,
    format: Option<Format>,
    text: String,
}

impl fmt::Display for BadLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        match self.format {
            Some(format) => write!(f, "no line of the {format} format (which the lines before it have)")?,
            None => write!(f, "no line of the ubuntu, irssi or weechat log format")?,
        }
        write!(f, ": {:?}", self.text)
    }
}

/// How many lines are looked at to find the format out.
const LOOK: usize = 50;
/// How much of a bad line is shown.
const SHOWN: usize = 80;

/// Reads a log in whichever format it has.
///
/// # Errors
/// [`BadLog`] for the first line that its format does not know.
pub fn parse(bytes: &[u8]) -> Result<Log, BadLog> {
    let mut latin1 = 0;
    let lines: Vec<(usize, String)> = bytes
        .split(|&byte| byte == b'\n')
        .enumerate()
        .map(|(index, line)| (index + 1, text(line.strip_suffix(b"\r").unwrap_or(line), &mut latin1)))
        .filter(|(_, line)| !line.trim().is_empty())
        .collect();
    let bad = |line: &(usize, String), format| BadLog {
        line: line.0,
        format,
        text: line.1.chars().take(SHOWN).collect(),
    };
    let Some(first) = lines.first() else {
        return Ok(Log { format: None, entries: Vec::new(), lines: 0, other: 0, latin1 });
    };
    let format =
        detect(lines.iter().take(LOOK).map(|(_, line)| line.as_str())).ok_or_else(|| bad(first, None))?;
    let parsed = lines
        .iter()
        .map(|line| match format.line(&line.1) {
            Some(parsed) => Ok((line.0, parsed)),
            None => Err(bad(line, Some(format))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let times = clock::times(parsed.iter().map(|(_, (stamp, _))| *stamp));
    let nicks = nicks(parsed.iter().map(|(_, (_, said))| said));
    let mut log = Log { format: Some(format), entries: Vec::new(), lines: lines.len(), other: 0, latin1 };
    for ((line, (_, said)), at_ms) in parsed.iter().zip(times) {
        match keep(said, &nicks) {
            Some(what) => {
                log.entries.push(Entry { line: u32::try_from(*line).unwrap_or(u32::MAX), at_ms, what })
            }
            None => log.other += 1,
        }
    }
    Ok(log)
}

/// UTF-8, or else every byte as the Latin-1 character that it is.
fn text(line: &[u8], latin1: &mut usize) -> String {
    match str::from_utf8(line) {
        Ok(line) => line.to_owned(),
        Err(_) => {
            *latin1 += 1;
            line.iter().map(|&byte| char::from(byte)).collect()
        }
    }
}

/// The format that knows most of the lines.
fn detect<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Option<Format> {
    let known = |format: Format| lines.clone().filter(|line| format.line(line).is_some()).count();
    // The first of the best.
    let best = Format::ALL.into_iter().rev().max_by_key(|&format| known(format))?;
    (known(best) > 0).then_some(best)
}

/// Everyone who spoke, came or changed nick.
fn nicks<'a>(said: impl Iterator<Item = &'a Said<'a>>) -> std::collections::HashSet<&'a str> {
    said.flat_map(|said| match *said {
        Said::Message { nick, .. } | Said::Joined { nick } | Said::Left { nick } => [Some(nick), None],
        Said::Renamed { old, new } => [Some(old), Some(new)],
        Said::Perhaps { .. } | Said::Other => [None, None],
    })
    .flatten()
    .collect()
}

fn keep(said: &Said<'_>, nicks: &std::collections::HashSet<&str>) -> Option<What> {
    let own = str::to_owned;
    Some(match *said {
        Said::Message { nick, text, action } => What::Message { nick: own(nick), text: own(text), action },
        Said::Joined { nick } => What::Joined { nick: own(nick) },
        Said::Left { nick } => What::Left { nick: own(nick) },
        Said::Renamed { old, new } => What::Renamed { old: own(old), new: own(new) },
        Said::Perhaps { nick, text } if nicks.contains(nick) => {
            What::Message { nick: own(nick), text: own(text), action: true }
        }
        Said::Perhaps { .. } | Said::Other => return None,
    })
}

/// The first word and what follows the spaces behind it; `None` if there is no second one.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ')?;
    (!word.is_empty()).then_some((word, rest))
}

/// A nick without the sign of its rank (`@`, `+` and so on), which no nick can begin with.
fn unranked(nick: &str) -> &str {
    nick.trim_start_matches([' ', '@', '+', '%', '&', '~', '!'])
}

/// `a is now known as b`.
fn renamed(text: &str) -> Option<Said<'_>> {
    let (old, rest) = word(text)?;
    let new = rest.strip_prefix("is now known as ")?.trim();
    let one_word = !new.is_empty() && !new.contains(' ');
    one_word.then_some(Said::Renamed { old, new })
}

/// `nick [user@host] has joined …`, `… has left …`, `… has quit …`; `close` is the bracket before the verb.
fn came_or_went(text: &str, open: char, close: char) -> Option<Said<'_>> {
    let (nick, rest) = word(text)?;
    if !rest.starts_with(['[', open]) {
        return None;
    }
    let verb = |verb: &str| {
        rest.match_indices(verb).find(|(at, _)| rest[..*at].trim_end().ends_with(close)).map(|(at, _)| at)
    };
    let found = [verb("has joined "), verb("has left "), verb("has quit")];
    let first = found.iter().flatten().min()?;
    Some(if found[0] == Some(*first) { Said::Joined { nick } } else { Said::Left { nick } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(nick: &str, text: &str) -> What {
        What::Message { nick: nick.into(), text: text.into(), action: false }
    }

    fn action(nick: &str, text: &str) -> What {
        What::Message { nick: nick.into(), text: text.into(), action: true }
    }

    fn whats(log: &str) -> (Option<Format>, Vec<What>) {
        let log = parse(log.as_bytes()).unwrap();
        (log.format, log.entries.into_iter().map(|entry| entry.what).collect())
    }

    #[test]
    fn the_three_formats_tell_the_same_story() {
        let story = vec![
            message("ann", "hello  all "),
            What::Joined { nick: "bob[x]".into() },
            action("bob[x]", "waves * twice"),
            What::Renamed { old: "bob[x]".into(), new: "bob".into() },
            message("bob", "<ann> -!- 12:34 === all quoted"),
            What::Left { nick: "bob".into() },
        ];
        let ubuntu = "[08:36] <ann> hello  all \n\
            === bob[x] [~bob@host.example]  has joined #den\n\
            [08:37]  * bob[x] waves * twice\n\
            === bob[x] is now known as bob\n\
            [08:37] <bob> <ann> -!- 12:34 === all quoted\n\
            === bob [~bob@host.example]  has left #den [\"has joined others\"]\n";
        assert_eq!(whats(ubuntu), (Some(Format::Ubuntu), story.clone()));
        let irssi = "--- Log opened Mon May 01 08:30:00 2023\n\
            08:36 <@ann> hello  all \n\
            08:36 -!- bob[x] [~bob@host.example] has joined #den\n\
            08:36 -!- mode/#den [+v bob[x]] by ann\n\
            08:37  * bob[x] waves * twice\n\
            08:37 -!- bob[x] is now known as bob\n\
            08:37 < bob> <ann> -!- 12:34 === all quoted\n\
            08:38 -!- bob [~bob@host.example] has quit [has joined others]\n\
            --- Log closed Mon May 01 09:00:00 2023\n";
        assert_eq!(whats(irssi), (Some(Format::Irssi), story.clone()));
        let weechat = "2023-05-01 08:36:00\t@ann\thello  all \n\
            2023-05-01 08:36:10\t-->\tbob[x] (~bob@host.example) has joined #den\n\
            2023-05-01 08:36:10\t--\tMode #den [+v bob[x]] by ann\n\
            2023-05-01 08:37:00\t *\tbob[x] waves * twice\n\
            2023-05-01 08:37:01\t--\tbob[x] is now known as bob\n\
            2023-05-01 08:37:02\tbob\t<ann> -!- 12:34 === all quoted\n\
            2023-05-01 08:38:00\t<--\tbob (~bob@host.example) has left #den (has joined others)\n";
        assert_eq!(whats(weechat), (Some(Format::Weechat), story));
    }

    #[test]
    fn an_empty_file_is_an_empty_log() {
        for nothing in ["", "\n", "\r\n \n"] {
            let log = parse(nothing.as_bytes()).unwrap();
            assert_eq!((log.format, log.entries.len(), log.lines), (None, 0, 0));
        }
    }

    #[test]
    fn a_line_that_its_format_does_not_know_is_named() {
        let text = parse(b"[08:36] <ann> a\n\nsome prose\n").unwrap_err().to_string();
        assert!(text.starts_with("3: ") && text.contains("ubuntu") && text.contains("some prose"), "{text}");
        let text = parse(b"\n# Notes\n\nprose\n").unwrap_err().to_string();
        assert!(text.starts_with("2: ") && text.contains("irssi") && text.contains("# Notes"), "{text}");
    }

    #[test]
    fn what_is_not_utf_8_is_read_as_latin_1() {
        let log = parse(b"[08:36] <ann> gr\xfc\xdfe\n[08:36] <ann> gr\xc3\xbc\xc3\x9fe\r\n").unwrap();
        assert_eq!(log.latin1, 1);
        assert!(log.entries.iter().all(|entry| entry.what == message("ann", "grüße")));
    }

    #[test]
    fn a_status_line_is_an_action_only_if_somebody_is_called_so() {
        let log = "=== ann is away: lunch\n=== Topic for #den is: no fish\n[08:36] <ann> back\n";
        assert_eq!(whats(log).1, [action("ann", "is away: lunch"), message("ann", "back")]);
        assert_eq!(parse(log.as_bytes()).unwrap().other, 1);
    }
}
