//! irssi's default log format: `hh:mm < nick> text`, `hh:mm  * nick text`, `hh:mm -!- what happened`.

use super::clock::time_of_day;
use super::{Parsed, Said, came_or_went, renamed, unranked, word};

pub(super) fn line(line: &str) -> Option<Parsed<'_>> {
    if line.starts_with("--- ") {
        // Log opened, Log closed, Day changed.
        return Some((None, Said::Other));
    }
    let (time, rest) = line.split_once(' ')?;
    let stamp = time_of_day(time)?;
    let said = if let Some(rest) = rest.strip_prefix('<') {
        let (nick, text) = rest.split_once('>')?;
        let nick = unranked(nick);
        if nick.is_empty() {
            return None;
        }
        Said::Message { nick, text: text.strip_prefix(' ').unwrap_or(text), action: false }
    } else if let Some(rest) = rest.strip_prefix(" * ") {
        let (nick, text) = word(rest)?;
        Said::Message { nick, text, action: true }
    } else if let Some(happened) = rest.strip_prefix("-!- ") {
        came_or_went(happened, '[', ']')
            .or_else(|| renamed(happened).filter(|said| !matches!(said, Said::Renamed { old: "You're", .. })))
            .or_else(|| kicked(happened))
            .unwrap_or(Said::Other)
    } else if rest.starts_with('-') {
        // A notice: -nick:#room- text.
        Said::Other
    } else {
        return None;
    };
    Some((Some(stamp), said))
}

/// `nick was kicked from #room by nick [reason]`.
fn kicked(text: &str) -> Option<Said<'_>> {
    let (nick, rest) = word(text)?;
    rest.starts_with("was kicked from ").then_some(Said::Left { nick })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<Said<'_>> {
        line(text).map(|(_, said)| said)
    }

    #[test]
    fn ranks_are_not_part_of_the_nick() {
        for nick in [" ann", "@ann", "+ann", "%ann", "ann"] {
            let line = format!("08:36 <{nick}> hi");
            assert_eq!(said(&line), Some(Said::Message { nick: "ann", text: "hi", action: false }));
        }
        assert_eq!(said("08:36:59 < ann>"), Some(Said::Message { nick: "ann", text: "", action: false }));
    }

    #[test]
    fn comings_and_goings() {
        let left = Some(Said::Left { nick: "ann" });
        assert_eq!(said("08:36 -!- ann [a@b] has joined #x"), Some(Said::Joined { nick: "ann" }));
        assert_eq!(said("08:36 -!- ann [account] [a@b] has joined #x"), Some(Said::Joined { nick: "ann" }));
        assert_eq!(said("08:36 -!- ann [a@b] has left #x [bye]"), left);
        assert_eq!(said("08:36 -!- ann [a@b] has quit [Ping timeout: 240 seconds]"), left);
        assert_eq!(said("08:36 -!- ann was kicked from #x by bob [flood]"), left);
        assert_eq!(said("08:36 -!- ann is now known as eve"), Some(Said::Renamed { old: "ann", new: "eve" }));
    }

    #[test]
    fn what_moves_no_message_is_passed_over() {
        for other in [
            "--- Day changed Tue May 02 2023",
            "08:36 -!- Irssi: #x: Total of 3 nicks",
            "08:36 -!- You're now known as eve",
            "08:36 -!- mode/#x [+o ann] by bob",
            "08:36 -!- ann changed the topic of #x to: ann [a@b] is here",
            "08:36 -ann:#x- a notice",
        ] {
            assert_eq!(said(other), Some(Said::Other), "{other:?}");
        }
    }

    #[test]
    fn other_lines_are_not_of_this_format() {
        for bad in
            ["[08:36] <a> b", "08:36 a", "08:36 <> a", "08:36 * a", "08:36", "2023-05-01 08:36:00\ta\tb"]
        {
            assert_eq!(said(bad), None, "{bad:?}");
        }
    }
}
