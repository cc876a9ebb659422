//! Names, texts, and texts that are longer than a record.

use core::fmt;

use super::{BODY, FRAGS_MAX};

/// Longest nick or room name, bytes of UTF-8.
pub const NAME_MAX: usize = 32;
/// Longest text, bytes of UTF-8.
pub const TEXT_MAX: usize = 4096;

/// What is wrong with a nick or a room name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadName {
    /// It is empty.
    Empty,
    /// It has more than [`NAME_MAX`] bytes; how many it has.
    TooLong(usize),
    /// It holds a space, a control or an invisible character.
    Invisible(char),
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a name needs at least one character"),
            Self::TooLong(len) => write!(f, "the name has {len} bytes; at most {NAME_MAX} are allowed"),
            Self::Invisible(c) => {
                write!(
                    f,
                    "the name holds U+{:04X}; only visible characters and no spaces are allowed",
                    *c as u32
                )
            }
        }
    }
}

impl core::error::Error for BadName {}

/// Checks a nick or a room name: 1 to 32 bytes, visible characters only.
///
/// # Errors
/// [`BadName`] says what is wrong.
pub fn check_name(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.len() > NAME_MAX {
        return Err(BadName::TooLong(name.len()));
    }
    match name.chars().find(|&c| invisible(c)) {
        Some(c) => Err(BadName::Invisible(c)),
        None => Ok(()),
    }
}

/// White space, controls, and the format characters that hide or reorder what stands beside them
/// (Unicode general category Cf and the fillers that draw nothing).
fn invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadText {
    /// It is empty.
    Empty,
    /// It has more than [`TEXT_MAX`] bytes; how many it has.
    TooLong(usize),
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the text is empty"),
            Self::TooLong(len) => write!(f, "the text has {len} bytes; at most {TEXT_MAX} are allowed"),
        }
    }
}

impl core::error::Error for BadText {}

/// Checks a text's length: 1 to 4,096 bytes.
///
/// # Errors
/// [`BadText`] says what is wrong.
pub fn check_text(text: &str) -> Result<(), BadText> {
    match text.len() {
        0 => Err(BadText::Empty),
        len if len > TEXT_MAX => Err(BadText::TooLong(len)),
        _ => Ok(()),
    }
}

/// Cuts `text` into pieces that fit records, at character boundaries: the first leaves room for `nick_len` bytes
/// of nick. An empty text is one empty piece.
///
/// # Panics
/// If `nick_len` is over [`NAME_MAX`] or the text over [`TEXT_MAX`]; check both first.
///
/// ```
/// use halyard_ring::chat::fragments;
/// let text = "ü".repeat(200);
/// let pieces: Vec<&str> = fragments(3, &text).collect();
/// assert_eq!(pieces.len(), 3);
/// assert_eq!(pieces.concat(), text);
/// ```
#[must_use]
pub fn fragments(nick_len: usize, text: &str) -> Fragments<'_> {
    assert!(nick_len <= NAME_MAX && text.len() <= TEXT_MAX, "nick of {nick_len}, text of {}", text.len());
    Fragments { rest: Some(text), room: BODY - nick_len }
}

/// The pieces of a text; see [`fragments`].
#[derive(Clone, Debug)]
pub struct Fragments<'a> {
    rest: Option<&'a str>,
    room: usize,
}

impl<'a> Iterator for Fragments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.take()?;
        if rest.len() <= self.room {
            return Some(rest);
        }
        let mut cut = self.room;
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        self.room = BODY;
        self.rest = Some(&rest[cut..]);
        Some(&rest[..cut])
    }
}

/// Joins the fragments of one text. Feed it checked records' numbers and texts in order; it never holds more than
/// one text.
#[derive(Clone, Debug, Default)]
pub struct Reassembly {
    text: String,
    next: u8,
    frags: u8,
}

impl Reassembly {
    /// Adds fragment `frag` of `frags`. Returns the whole text when it was the last one.
    ///
    /// # Errors
    /// `Err(())` if the fragment does not follow the one before it, or the text grows over [`TEXT_MAX`]; what was
    /// gathered is forgotten. A fragment 0 always starts a new text.
    #[allow(clippy::result_unit_err)]
    pub fn add(&mut self, frag: u8, frags: u8, text: &str) -> Result<Option<&str>, ()> {
        if frag == 0 {
            self.text.clear();
            self.next = 0;
            self.frags = frags;
        }
        let fits = self.text.len() + text.len() <= TEXT_MAX && usize::from(frags) <= FRAGS_MAX;
        if frag != self.next || frags != self.frags || frag >= frags || !fits {
            *self = Self::default();
            return Err(());
        }
        self.text.push_str(text);
        self.next = frag + 1;
        Ok((self.next == frags).then_some(self.text.as_str()))
    }

    /// Whether a text is half gathered.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.next > 0 && self.next < self.frags
    }

    /// Forgets what was gathered.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_visible_and_short() {
        assert_eq!(check_name("zoë"), Ok(()));
        assert_eq!(check_name("#ubuntu|away"), Ok(()));
        assert_eq!(check_name(""), Err(BadName::Empty));
        assert_eq!(check_name(&"x".repeat(33)), Err(BadName::TooLong(33)));
        for bad in ["a b", "a\n", "a\u{202e}b", "\u{200b}", "a\u{7f}"] {
            assert!(matches!(check_name(bad), Err(BadName::Invisible(_))), "{bad:?}");
        }
    }

    #[test]
    fn the_worst_text_fits_the_most_fragments() {
        // 4-byte characters waste up to three bytes of every record but the last.
        let text = "\u{1f980}".repeat(TEXT_MAX / 4);
        for nick in 0..=NAME_MAX {
            assert!(fragments(nick, &text).count() <= FRAGS_MAX);
            assert!(fragments(nick, &"\u{20ac}".repeat(TEXT_MAX / 3)).count() <= FRAGS_MAX);
        }
    }

    #[test]
    fn fragments_out_of_order_are_refused_and_forgotten() {
        let mut whole = Reassembly::default();
        assert_eq!(whole.add(0, 3, "a"), Ok(None));
        assert_eq!(whole.add(2, 3, "c"), Err(()));
        assert_eq!(whole.add(1, 3, "b"), Err(()));
        assert_eq!(whole.add(0, 1, "z"), Ok(Some("z")));
    }

    proptest! {
        #[test]
        fn what_is_cut_joins_again(text in "\\PC{0,1200}", nick in 0usize..=32) {
            let pieces: Vec<&str> = fragments(nick, &text).collect();
            prop_assert!(pieces.len() <= FRAGS_MAX);
            let room = |i| if i == 0 { BODY - nick } else { BODY };
            prop_assert!(pieces.iter().enumerate().all(|(i, piece)| piece.len() <= room(i)));
            let mut whole = Reassembly::default();
            for (i, piece) in pieces.iter().enumerate() {
                let got = whole.add(i as u8, pieces.len() as u8, piece).unwrap().map(str::to_owned);
                prop_assert_eq!(got.is_some(), i + 1 == pieces.len());
                if let Some(got) = got { prop_assert_eq!(got, &text[..]); }
            }
        }
    }
}
