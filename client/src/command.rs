//! What a client can ask of the server.

use halyard_ring::chat::{BadName, Kind, check_name, check_text};

use crate::error::SendError;

/// A command to the server. `T` is the kind of text: [`String`] or `&str`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<T = String> {
    /// Enter a room, leaving the former one.
    Join {
        /// Its name.
        room: T,
    },
    /// A message to the room.
    Say {
        /// The text, 1 to 4,096 bytes.
        text: T,
        /// Whether it is an action (`/me waves`).
        action: bool,
    },
    /// A message to one client.
    Dm {
        /// The recipient's nick, or its id in decimal if nobody has such a nick.
        to: T,
        /// The text, 1 to 4,096 bytes.
        text: T,
        /// Whether it is an action.
        action: bool,
    },
    /// List the members of the room that this client is in.
    Who,
    /// List the members of any room.
    WhoIn {
        /// Its name.
        room: T,
    },
    /// Leave the room.
    Leave,
    /// Leave for good.
    Quit,
    /// Ask for an answer and nothing else.
    Ping,
    /// Change the nick.
    Nick {
        /// The new one.
        nick: T,
    },
    /// List the rooms.
    List,
    /// The last messages of a room, said before.
    History {
        /// The room's name; nothing for the room that this client is in.
        room: Option<T>,
        /// At most this many, the newest; 0 for as many as one answer holds.
        count: u32,
        /// Only messages numbered below this in the room; 0 for any.
        before: u64,
    },
}

impl<T: AsRef<str>> Command<T> {
    /// The record kind that carries it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Join { .. } => Kind::Join,
            Self::Say { .. } => Kind::Say,
            Self::Dm { .. } => Kind::Dm,
            Self::Who | Self::WhoIn { .. } => Kind::Who,
            Self::Leave => Kind::Leave,
            Self::Quit => Kind::Quit,
            Self::Ping => Kind::Ping,
            Self::Nick { .. } => Kind::Nick,
            Self::List => Kind::List,
            Self::History { .. } => Kind::History,
        }
    }

    /// Whether it carries a text to others: such commands are numbered among their sender's texts.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Say { .. } | Self::Dm { .. })
    }

    /// Checks names and texts, so that what cannot be right is not sent.
    ///
    /// # Errors
    /// [`SendError::Text`] or [`SendError::Name`].
    pub fn check(&self) -> Result<(), SendError> {
        match self {
            Self::Join { room: name } | Self::WhoIn { room: name } | Self::Nick { nick: name } => {
                Ok(check_name(name.as_ref())?)
            }
            Self::Say { text, .. } => Ok(check_text(text.as_ref())?),
            Self::Dm { to, text, .. } => {
                check_name(to.as_ref())?;
                Ok(check_text(text.as_ref())?)
            }
            Self::History { room: Some(room), .. } => Ok(check_name(room.as_ref())?),
            Self::Who
            | Self::Leave
            | Self::Quit
            | Self::Ping
            | Self::List
            | Self::History { room: None, .. } => Ok(()),
        }
    }

    /// What stands in front of the body, the body, and whether it is an action.
    pub(crate) fn parts(&self) -> (&str, &str, bool) {
        match self {
            Self::Join { room } | Self::WhoIn { room } => ("", room.as_ref(), false),
            Self::Nick { nick } => ("", nick.as_ref(), false),
            Self::Say { text, action } => ("", text.as_ref(), *action),
            Self::Dm { to, text, action } => (to.as_ref(), text.as_ref(), *action),
            Self::History { room: Some(room), .. } => ("", room.as_ref(), false),
            Self::Who
            | Self::Leave
            | Self::Quit
            | Self::Ping
            | Self::List
            | Self::History { room: None, .. } => ("", "", false),
        }
    }
}

/// Makes a valid nick of any text: what may not stand in one becomes `_`, what is too long is cut.
///
/// ```
/// assert_eq!(halyard_client::nick_from("Ann Smith"), "Ann_Smith");
/// assert_eq!(halyard_client::nick_from(""), "guest");
/// ```
#[must_use]
pub fn nick_from(text: &str) -> String {
    let mut nick = String::new();
    for c in text.trim().chars() {
        let mut buffer = [0; 4];
        let c = match check_name(c.encode_utf8(&mut buffer)) {
            Err(BadName::Invisible(_)) => '_',
            _ => c,
        };
        if nick.len() + c.len_utf8() > halyard_ring::chat::NAME_MAX {
            break;
        }
        nick.push(c);
    }
    if nick.is_empty() { "guest".to_owned() } else { nick }
}

/// `nick-2` of `nick`, cut so that it stays a valid nick.
pub(crate) fn numbered(nick: &str, n: u32) -> String {
    let suffix = format!("-{n}");
    let mut cut = nick.len().min(halyard_ring::chat::NAME_MAX - suffix.len());
    while !nick.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{suffix}", &nick[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_makes_a_valid_nick() {
        for text in ["", "  ", "a b", "\u{1b}[31m", "zoë", &"ü".repeat(40), "\u{202e}x"] {
            assert_eq!(check_name(&nick_from(text)), Ok(()), "{text:?}");
        }
        assert_eq!(nick_from("zoë"), "zoë");
    }

    #[test]
    fn a_numbered_nick_is_valid_however_long_the_nick() {
        assert_eq!(numbered("ann", 2), "ann-2");
        let long = "ü".repeat(16);
        let other = numbered(&long, 12);
        assert_eq!(check_name(&other), Ok(()));
        assert!(other.ends_with("-12"));
    }

    #[test]
    fn what_cannot_be_right_is_not_sent() {
        assert!(matches!(Command::Say { text: "", action: false }.check(), Err(SendError::Text(_))));
        let long = "x".repeat(4097);
        assert!(matches!(Command::Say { text: long, action: false }.check(), Err(SendError::Text(_))));
        assert!(matches!(Command::Join { room: "a b" }.check(), Err(SendError::Name(_))));
        assert!(matches!(Command::Dm { to: "", text: "x", action: false }.check(), Err(SendError::Name(_))));
        assert_eq!(Command::<&str>::Who.check(), Ok(()));
    }
}
