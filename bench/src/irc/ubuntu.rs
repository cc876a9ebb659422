//! `[hh:mm] <nick> text`, the format of the public #ubuntu logs.
//!
//! Newer files write actions as `[hh:mm]  * nick text`, older ones as `=== nick text`, where topics and the like stand
//! too.

use super::clock::time_of_day;
use super::{Parsed, Said, came_or_went, renamed, word};

pub(super) fn line(line: &str) -> Option<Parsed<'_>> {
    if let Some(status) = line.strip_prefix("=== ") {
        let said = came_or_went(status, '[', ']').or_else(|| renamed(status)).unwrap_or_else(|| {
            word(status).map_or(Said::Other, |(nick, text)| Said::Perhaps { nick, text: text.trim_start() })
        });
        return Some((None, said));
    }
    let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
    let stamp = time_of_day(time)?;
    let rest = rest.strip_prefix(' ')?;
    if let Some(rest) = rest.strip_prefix('<') {
        let (nick, text) = rest.split_once('>')?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        return (!nick.is_empty()).then_some((Some(stamp), Said::Message { nick, text, action: false }));
    }
    let (nick, text) = word(rest.trim_start().strip_prefix("* ")?)?;
    Some((Some(stamp), Said::Message { nick, text, action: true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<Said<'_>> {
        line(text).map(|(_, said)| said)
    }

    #[test]
    fn what_stands_in_a_message_is_left_alone() {
        let message = |nick, text| Some(Said::Message { nick, text, action: false });
        assert_eq!(said("[08:36] <rc-1>  is there > here? "), message("rc-1", " is there > here? "));
        assert_eq!(said("[08:36] <a> "), message("a", ""));
        assert_eq!(said("[08:36] <a>"), message("a", ""));
        assert_eq!(said("[08:36] <[a]{b}|^_`-\\> ,,uptime''"), message("[a]{b}|^_`-\\", ",,uptime''"));
    }

    #[test]
    fn a_join_needs_a_host_and_a_rename_one_new_nick() {
        assert_eq!(said("=== a [b@c]  has joined #x"), Some(Said::Joined { nick: "a" }));
        assert_eq!(said("=== a [b@c]  has left #x []"), Some(Said::Left { nick: "a" }));
        assert_eq!(said("=== a[1] is now known as b"), Some(Said::Renamed { old: "a[1]", new: "b" }));
        for action in ["has joined the army", "is now known as the fool", "[x] has joined"] {
            let line = format!("=== a {action}");
            assert_eq!(said(&line), Some(Said::Perhaps { nick: "a", text: action }));
        }
        assert_eq!(said("=== silence"), Some(Said::Other));
    }

    #[test]
    fn other_lines_are_not_of_this_format() {
        for bad in
            ["[8:36] <a> b", "[08:36] a", "[08:36] <> a", "[08:36]", "08:36 < a> b", "[08:36]  * a", "===a b"]
        {
            assert_eq!(said(bad), None, "{bad:?}");
        }
    }
}
