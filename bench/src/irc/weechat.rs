//! WeeChat's default log format: `yyyy-mm-dd hh:mm:ss`, a prefix and the text, with tabs between.

use super::clock::date_and_time;
use super::{Parsed, Said, came_or_went, renamed, unranked, word};

pub(super) fn line(line: &str) -> Option<Parsed<'_>> {
    let (time, rest) = line.split_once('\t')?;
    let stamp = date_and_time(time)?;
    let Some((prefix, text)) = rest.split_once('\t') else {
        // ****  Beginning of log  ****
        return rest.starts_with("****").then_some((Some(stamp), Said::Other));
    };
    let said = match prefix.trim() {
        "*" => {
            let (nick, text) = word(text)?;
            Said::Message { nick, text, action: true }
        }
        "-->" | "<--" => came_or_went(text, '(', ')').or_else(|| kicked(text)).unwrap_or(Said::Other),
        "--" => renamed(text).unwrap_or(Said::Other),
        "" | "=!=" => Said::Other,
        nick => match unranked(nick) {
            "" => return None,
            nick if nick.contains(' ') => return None,
            nick => Said::Message { nick, text, action: false },
        },
    };
    Some((Some(stamp), said))
}

/// `nick has kicked nick (reason)`.
fn kicked(text: &str) -> Option<Said<'_>> {
    let (_, rest) = word(text)?;
    let nick = rest.strip_prefix("has kicked ")?.split(' ').next()?;
    (!nick.is_empty()).then_some(Said::Left { nick })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(prefix: &str, text: &str) -> Option<Said<'static>> {
        let line = format!("2023-05-01 08:36:00\t{prefix}\t{text}");
        super::line(Box::leak(line.into_boxed_str())).map(|(_, said)| said)
    }

    #[test]
    fn messages_keep_their_tabs_and_lose_the_rank() {
        let message = Some(Said::Message { nick: "ann", text: "a\tb ", action: false });
        assert_eq!(said("ann", "a\tb "), message);
        assert_eq!(said("@ann", "a\tb "), message);
        assert_eq!(said(" *", "ann a\tb "), Some(Said::Message { nick: "ann", text: "a\tb ", action: true }));
    }

    #[test]
    fn comings_and_goings() {
        let left = Some(Said::Left { nick: "ann" });
        assert_eq!(said("-->", "ann (a@b) has joined #x"), Some(Said::Joined { nick: "ann" }));
        assert_eq!(
            said("-->", "ann [account] (Ann (A.)) (a@b) has joined #x"),
            Some(Said::Joined { nick: "ann" })
        );
        assert_eq!(said("<--", "ann (a@b) has left #x (\"bye\")"), left);
        assert_eq!(said("<--", "ann (a@b) has quit (Quit: ann)"), left);
        assert_eq!(said("<--", "bob has kicked ann (flood)"), left);
        assert_eq!(said("--", "ann is now known as eve"), Some(Said::Renamed { old: "ann", new: "eve" }));
    }

    #[test]
    fn what_moves_no_message_is_passed_over() {
        for (prefix, text) in [
            ("--", "Mode #x [+o ann] by bob"),
            ("--", "You are now known as eve"),
            ("--", "Topic for #x is \"ann (a@b) has joined\""),
            ("=!=", "irc: disconnected from server"),
            ("", "a line of a script"),
        ] {
            assert_eq!(said(prefix, text), Some(Said::Other), "{text:?}");
        }
        assert_eq!(line("2023-05-01 08:36:00\t****  Beginning of log  ****").map(|l| l.1), Some(Said::Other));
    }

    #[test]
    fn other_lines_are_not_of_this_format() {
        for bad in ["2023-05-01\tann\thi", "2023-05-01 08:36:00 ann hi", "2023-05-01 08:36:00\tann", "\t\t"] {
            assert_eq!(line(bad), None, "{bad:?}");
        }
    }
}
