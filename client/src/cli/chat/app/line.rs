//! What a window consists of: messages, notices, who came and went, gaps.

use halyard_client::LeaveReason;

use crate::cli::clock::Moment;

/// One entry of a window. All texts in it are safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counts the lines of a window and is never used again there.
    pub(crate) id: u64,
    /// Of what was said, when the server took it.
    pub(crate) at: Moment,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Said(Said),
    /// About the chat, not of it.
    Notice(String),
    /// Something went wrong.
    Error(String),
    /// Who came, went or changed nick, without anything said in between.
    Moves(Vec<Move>),
    Gap(Hole),
}

/// Something that somebody said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) nick: String,
    pub(crate) text: String,
    pub(crate) action: bool,
    /// Said by oneself.
    pub(crate) own: bool,
    /// It names oneself.
    pub(crate) mention: bool,
    /// Said before one came, or fetched again.
    pub(crate) earlier: bool,
    /// Room and number in it; 0 in direct messages.
    pub(crate) room_id: u32,
    pub(crate) seq: u64,
    /// From the sender's push to this program's read, nanoseconds; 0 if that says nothing.
    pub(crate) took_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Joined(String),
    Left(String, LeaveReason),
    Renamed(String, String),
}

/// Messages that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    /// The room in which the numbers count.
    pub(crate) room_id: u32,
    /// Numbers of the first and the last missing message; 0 if they are not known.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// What is missing, in words.
    pub(crate) text: String,
    pub(crate) state: HoleState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoleState {
    Open,
    /// Asked for.
    Asked,
    /// The server has not kept them.
    Gone,
}

impl Hole {
    /// Whether asking for it could bring it back.
    pub(crate) fn can_be_filled(&self) -> bool {
        self.first != 0 && self.state == HoleState::Open
    }
}

impl Line {
    /// What orders the lines: time, then number.
    pub(crate) fn place(&self) -> (u64, u64) {
        let seq = match &self.body {
            Body::Said(said) => said.seq,
            Body::Gap(hole) => hole.first,
            _ => 0,
        };
        (self.at.ns, seq)
    }

    pub(crate) fn said(&self) -> Option<&Said> {
        match &self.body {
            Body::Said(said) => Some(said),
            _ => None,
        }
    }
}

impl Body {
    /// The line as plain text, for copying.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Said(said) if said.action => format!("* {} {}", said.nick, said.text),
            Self::Said(said) => format!("<{}> {}", said.nick, said.text),
            Self::Notice(text) => format!("-- {text}"),
            Self::Error(text) => format!("!! {text}"),
            Self::Moves(moves) => format!("-- {}", moves_text(moves)),
            Self::Gap(hole) => format!("-- {}", hole.text),
        }
    }
}

/// `ann, bob joined · cleo left · dan is now dave`. Who only passed through is said to have.
pub(crate) fn moves_text(moves: &[Move]) -> String {
    let (mut joined, mut left, mut passed, mut rest) = (vec![], vec![], vec![], vec![]);
    for step in moves {
        match step {
            Move::Joined(nick) => {
                joined.push(nick.as_str());
                left.retain(|(gone, reason)| gone != nick || *reason != LeaveReason::Left);
            }
            Move::Left(nick, reason) => match joined.iter().position(|there| there == nick) {
                Some(index) if *reason != LeaveReason::Died => {
                    joined.remove(index);
                    passed.push(nick.as_str());
                }
                _ => left.push((nick.clone(), *reason)),
            },
            Move::Renamed(old, new) => rest.push(format!("{old} is now {new}")),
        }
    }
    let mut parts = Vec::new();
    if !joined.is_empty() {
        parts.push(format!("{} joined", some(&joined)));
    }
    for reason in [LeaveReason::Left, LeaveReason::Moved, LeaveReason::Quit, LeaveReason::Died] {
        let nicks: Vec<&str> =
            left.iter().filter(|(_, why)| *why == reason).map(|(nick, _)| nick.as_str()).collect();
        if !nicks.is_empty() {
            parts.push(format!("{} {}", some(&nicks), left_word(reason)));
        }
    }
    for (nick, reason) in left {
        if matches!(reason, LeaveReason::Hung | LeaveReason::Misbehaved | LeaveReason::Shutdown) {
            parts.push(format!("{nick} {}", left_word(reason)));
        }
    }
    if !passed.is_empty() {
        parts.push(format!("{} looked in", some(&passed)));
    }
    parts.append(&mut rest);
    parts.join(" · ")
}

fn left_word(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Moved => "went to another room",
        LeaveReason::Quit => "quit",
        LeaveReason::Died => "gone: the process ended",
        LeaveReason::Hung => "gone: the process hangs",
        LeaveReason::Misbehaved => "removed: broke the protocol",
        _ => "left",
    }
}

/// The first few of many.
fn some(nicks: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut text = nicks[..nicks.len().min(SHOWN)].join(", ");
    if nicks.len() > SHOWN {
        text += &format!(" and {} more", nicks.len() - SHOWN);
    }
    text
}

/// Whether a text names this nick, as a word of its own.
pub(crate) fn names(text: &str, nick: &str) -> bool {
    let (text, nick) = (text.to_lowercase(), nick.to_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !nick.is_empty()
        && text.match_indices(&nick).any(|(at, _)| {
            !text[..at].chars().next_back().is_some_and(is_part)
                && !text[at + nick.len()..].chars().next().is_some_and(is_part)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comings_and_goings_are_folded() {
        let joined = |nick: &str| Move::Joined(nick.to_owned());
        let left = |nick: &str, reason| Move::Left(nick.to_owned(), reason);
        let moves = [
            joined("ann"),
            joined("bob"),
            left("bob", LeaveReason::Left),
            left("cleo", LeaveReason::Died),
            Move::Renamed("dan".into(), "dave".into()),
        ];
        assert_eq!(
            moves_text(&moves),
            "ann joined · cleo gone: the process ended · bob looked in · dan is now dave"
        );
        let many: Vec<Move> = (0..9).map(|n| joined(&format!("n{n}"))).collect();
        assert_eq!(moves_text(&many), "n0, n1, n2, n3, n4 and 4 more joined");
        assert_eq!(moves_text(&[left("x", LeaveReason::Left), joined("x")]), "x joined");
    }

    #[test]
    fn a_mention_is_a_word() {
        assert!(names("Ann: look", "ann") && names("hi ann", "ann") && names("(ann)", "ann"));
        assert!(
            !names("anna", "ann") && !names("joann", "ann") && !names("hi", "") && !names("ann-2", "ann")
        );
    }
}
