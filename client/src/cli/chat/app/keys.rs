//! What a terminal sends when keys are pressed, as [`Input`]s.
//!
//! Bytes in, events out, and no clock: whoever feeds it says when a pause has ended what was half there. So a paste
//! whose end marker never comes ends with the pause, and an Escape that begins nothing is the Escape key.

use std::fmt;
use std::str::FromStr;

/// The longest paste that is taken; the rest of a longer one is dropped.
pub(crate) const PASTE_MAX: usize = 1 << 20;

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";
/// No sequence of a key is longer; what is, is dropped.
const SEQUENCE_MAX: usize = 32;

/// One thing that the terminal told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Key(Key),
    /// Text that was pasted, line ends as `\n`.
    Paste(String),
    /// The mouse wheel, away from oneself if true.
    Wheel(bool),
    /// The terminal got the focus, or lost it.
    Focus(bool),
}

/// What a key is called without its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    Char(char),
    Enter,
    Tab,
    Backspace,
    Escape,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// A key with its modifiers. Shift counts only where it makes no other character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) code: Code,
    pub(crate) ctrl: bool,
    pub(crate) alt: bool,
    pub(crate) shift: bool,
}

impl Key {
    pub(crate) const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false, shift: false }
    }

    pub(crate) const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true, alt: false, shift: false }
    }

    pub(crate) const fn alt(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: false, alt: true, shift: false }
    }
}

const NAMED: [(&str, Code); 14] = [
    ("enter", Code::Enter),
    ("tab", Code::Tab),
    ("backspace", Code::Backspace),
    ("escape", Code::Escape),
    ("delete", Code::Delete),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pageup", Code::PageUp),
    ("pagedown", Code::PageDown),
    ("space", Code::Char(' ')),
];

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is_set, name) in [(self.ctrl, "ctrl-"), (self.alt, "alt-"), (self.shift, "shift-")] {
            if is_set {
                f.write_str(name)?;
            }
        }
        match (NAMED.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, Code::F(number)) => write!(f, "f{number}"),
            (None, Code::Char(c)) => write!(f, "{c}"),
            (None, code) => write!(f, "{code:?}"),
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no key: write for example alt-a, ctrl-left, pageup, f1");
        let mut key = Self::plain(Code::Escape);
        let mut rest = text;
        loop {
            let lower = rest.to_ascii_lowercase();
            let modifier = ["ctrl-", "alt-", "shift-"].iter().position(|name| lower.starts_with(name));
            match modifier {
                Some(0) => (key.ctrl, rest) = (true, &rest[5..]),
                Some(1) => (key.alt, rest) = (true, &rest[4..]),
                Some(_) => (key.shift, rest) = (true, &rest[6..]),
                None => break,
            }
        }
        let lower = rest.to_ascii_lowercase();
        let mut chars = rest.chars();
        key.code = if let Some((_, code)) = NAMED.iter().find(|(name, _)| *name == lower) {
            *code
        } else if let (Some(c), None) = (chars.next(), chars.next()) {
            Code::Char(if key.ctrl { c.to_ascii_lowercase() } else { c })
        } else {
            let number = lower.strip_prefix('f').and_then(|number| number.parse().ok());
            Code::F(number.filter(|number| (1..=12).contains(number)).ok_or_else(bad)?)
        };
        Ok(key)
    }
}

/// Turns bytes into inputs.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The beginning of something.
    held: Vec<u8>,
    /// Inside a paste: what came so far.
    paste: Option<Vec<u8>>,
}

impl Parser {
    /// Whether a pause now would mean something: see [`pause`](Self::pause).
    pub(crate) fn is_waiting(&self) -> bool {
        !self.held.is_empty() || self.paste.is_some()
    }

    /// Whether a paste has begun whose end has not come.
    pub(crate) fn is_pasting(&self) -> bool {
        self.paste.is_some()
    }

    /// Takes what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Input>) {
        for &byte in bytes {
            if self.paste.is_some() {
                self.pasted(byte, out);
                continue;
            }
            self.held.push(byte);
            self.try_held(out);
        }
    }

    /// Nothing has come for a while: what is half there is all there is.
    pub(crate) fn pause(&mut self, out: &mut Vec<Input>) {
        if let Some(mut paste) = self.paste.take() {
            paste.append(&mut self.held);
            out.push(Input::Paste(clean(&paste)));
            return;
        }
        let held = std::mem::take(&mut self.held);
        match held.as_slice() {
            [] => {}
            [0x1b] => out.push(Input::Key(Key::plain(Code::Escape))),
            // Alt-[ and Alt-O begin other sequences; alone they are themselves.
            [0x1b, byte @ (b'[' | b'O')] => out.push(Input::Key(Key::alt(*byte as char))),
            _ => {}
        }
    }

    fn pasted(&mut self, byte: u8, out: &mut Vec<Input>) {
        let Some(paste) = &mut self.paste else { return };
        self.held.push(byte);
        if self.held == PASTE_END {
            self.held.clear();
            let paste = self.paste.take().unwrap_or_default();
            out.push(Input::Paste(clean(&paste)));
        } else if !PASTE_END.starts_with(&self.held) {
            // No end marker after all; its last byte may begin one.
            let again = byte == PASTE_END[0] && self.held.len() > 1;
            if again {
                self.held.pop();
            }
            let room = PASTE_MAX.saturating_sub(paste.len());
            paste.extend(self.held.drain(..).take(room));
            if again {
                self.held.push(byte);
            }
        }
    }

    fn try_held(&mut self, out: &mut Vec<Input>) {
        if self.held == PASTE_BEGIN {
            self.held.clear();
            self.paste = Some(Vec::new());
            return;
        }
        match read(&self.held) {
            Read::More if self.held.len() < SEQUENCE_MAX => {}
            Read::More | Read::Nothing => self.held.clear(),
            Read::Input(input) => {
                self.held.clear();
                out.push(input);
            }
        }
    }
}

/// What bytes mean so far.
enum Read {
    More,
    /// Complete, and nothing that matters here.
    Nothing,
    Input(Input),
}

fn key(code: Code) -> Read {
    Read::Input(Input::Key(Key::plain(code)))
}

fn read(bytes: &[u8]) -> Read {
    match bytes {
        [0x1b] | [0x1b, b'[' | b'O'] => Read::More,
        [0x1b, b'[', rest @ ..] => control_sequence(rest),
        [0x1b, b'O', last] => letter(*last, 1),
        // Alt and a key. Escape twice is Escape.
        [0x1b, 0x1b, ..] => key(Code::Escape),
        [0x1b, rest @ ..] => match read(rest) {
            Read::Input(Input::Key(key)) => Read::Input(Input::Key(Key { alt: true, ..key })),
            other => other,
        },
        [b'\r' | b'\n'] => key(Code::Enter),
        [b'\t'] => key(Code::Tab),
        [0x7f | 0x08] => key(Code::Backspace),
        [0] => Read::Input(Input::Key(Key { ctrl: true, ..Key::plain(Code::Char(' ')) })),
        [byte @ 1..=26] => Read::Input(Input::Key(Key::ctrl((byte + b'a' - 1) as char))),
        [byte @ 28..=31] => Read::Input(Input::Key(Key::ctrl((byte + b'@') as char))),
        bytes => match std::str::from_utf8(bytes) {
            Ok(text) => text.chars().next().map_or(Read::Nothing, |c| key(Code::Char(c))),
            Err(error) if error.error_len().is_none() => Read::More,
            Err(_) => Read::Nothing,
        },
    }
}

/// What stands behind `ESC [`.
fn control_sequence(bytes: &[u8]) -> Read {
    let Some((&last, parameters)) = bytes.split_last() else { return Read::More };
    if !(0x40..=0x7e).contains(&last) {
        return Read::More;
    }
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    if let Some(mouse) = text.strip_prefix('<') {
        let button = mouse.split(';').next().and_then(|button| button.parse::<u16>().ok());
        return match (button, last) {
            (Some(64), b'M') => Read::Input(Input::Wheel(true)),
            (Some(65), b'M') => Read::Input(Input::Wheel(false)),
            _ => Read::Nothing,
        };
    }
    let mut numbers = text.split(';').map(|number| number.parse::<u16>().unwrap_or(1));
    let first = numbers.next().unwrap_or(1);
    let modifiers = numbers.next().unwrap_or(1);
    match last {
        b'I' => Read::Input(Input::Focus(true)),
        b'O' => Read::Input(Input::Focus(false)),
        b'Z' => modified(Code::Tab, 2),
        b'~' => {
            let code = match first {
                1 | 7 => Code::Home,
                3 => Code::Delete,
                4 | 8 => Code::End,
                5 => Code::PageUp,
                6 => Code::PageDown,
                11..=15 => Code::F((first - 10) as u8),
                17..=21 => Code::F((first - 11) as u8),
                23 | 24 => Code::F((first - 12) as u8),
                _ => return Read::Nothing,
            };
            modified(code, modifiers)
        }
        letter_byte => letter(letter_byte, modifiers),
    }
}

fn letter(byte: u8, modifiers: u16) -> Read {
    let code = match byte {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'P'..=b'S' => Code::F(byte - b'P' + 1),
        _ => return Read::Nothing,
    };
    modified(code, modifiers)
}

/// `modifiers` is what terminals send: one more than the bits shift, alt, control.
fn modified(code: Code, modifiers: u16) -> Read {
    let bits = modifiers.saturating_sub(1);
    let key = Key { code, shift: bits & 1 != 0, alt: bits & 2 != 0, ctrl: bits & 4 != 0 };
    Read::Input(Input::Key(key))
}

/// A paste as text: what is no UTF-8 replaced, one sort of line end.
fn clean(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(bytes: &[u8]) -> Vec<Input> {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        // A byte at a time: nothing depends on how reads are cut.
        for byte in bytes {
            parser.feed(&[*byte], &mut out);
        }
        parser.pause(&mut out);
        assert!(!parser.is_waiting());
        out
    }

    fn keys(bytes: &[u8]) -> Vec<String> {
        let name = |input: Input| match input {
            Input::Key(key) => key.to_string(),
            other => format!("{other:?}"),
        };
        inputs(bytes).into_iter().map(name).collect()
    }

    #[test]
    fn keys_come_as_terminals_send_them() {
        assert_eq!(keys("aü👍".as_bytes()), ["a", "ü", "👍"]);
        assert_eq!(keys(b"\x01\x0b\r\x7f\t"), ["ctrl-a", "ctrl-k", "enter", "backspace", "tab"]);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[1;5C\x1b[1;3D"), ["up", "down", "ctrl-right", "alt-left"]);
        assert_eq!(
            keys(b"\x1b[5~\x1b[6~\x1b[3~\x1b[H\x1b[4~"),
            ["pageup", "pagedown", "delete", "home", "end"]
        );
        assert_eq!(keys(b"\x1bOP\x1b[15~\x1b[24~\x1b[Z"), ["f1", "f5", "f12", "shift-tab"]);
        assert_eq!(keys(b"\x1ba\x1b\x7f"), ["alt-a", "alt-backspace"]);
    }

    #[test]
    fn escape_alone_is_a_key_after_a_pause() {
        assert_eq!(keys(b"\x1b"), ["escape"]);
        assert_eq!(keys(b"\x1b["), ["alt-["]);
    }

    #[test]
    fn a_paste_is_one_text_whatever_is_in_it() {
        assert_eq!(inputs(b"\x1b[200~a\r\nb\x1b[31m\x1b[201~"), [Input::Paste("a\nb\x1b[31m".into())]);
        assert_eq!(inputs(b"\x1b[200~x\x1b\x1b[201~"), [Input::Paste("x\x1b".into())]);
    }

    #[test]
    fn a_paste_without_an_end_ends_with_a_pause_and_keys_are_keys_again() {
        let (mut parser, mut out) = (Parser::default(), Vec::new());
        parser.feed(b"\x1b[200~half\x1b[20", &mut out);
        assert!(out.is_empty() && parser.is_pasting());
        parser.pause(&mut out);
        assert_eq!(out, [Input::Paste("half\x1b[20".into())]);
        parser.feed(b"k", &mut out);
        assert_eq!(out[1], Input::Key(Key::plain(Code::Char('k'))));
    }

    #[test]
    fn nonsense_is_dropped_and_what_follows_is_read() {
        let mut bytes = b"\x1b[".to_vec();
        bytes.extend([b';'; 100]);
        bytes.extend(b"\x1b[99~\xff\xfeok");
        let seen = keys(&bytes);
        assert_eq!(&seen[seen.len() - 2..], ["o", "k"], "{seen:?}");
    }

    #[test]
    fn wheel_and_focus() {
        let seen = inputs(b"\x1b[<64;10;5M\x1b[<65;1;1M\x1b[<0;1;1M\x1b[I\x1b[O");
        assert_eq!(seen, [Input::Wheel(true), Input::Wheel(false), Input::Focus(true), Input::Focus(false)]);
    }

    #[test]
    fn a_huge_paste_is_cut() {
        let mut bytes = PASTE_BEGIN.to_vec();
        bytes.extend(vec![b'x'; PASTE_MAX + 5]);
        bytes.extend(PASTE_END);
        let Some(Input::Paste(text)) = inputs(&bytes).pop() else { panic!("no paste") };
        assert_eq!(text.len(), PASTE_MAX);
    }

    #[test]
    fn names_of_keys_are_read_as_they_are_written() {
        for name in ["alt-a", "ctrl-left", "pageup", "f11", "shift-tab", "x", "alt-A", "ctrl-alt-up", "space"]
        {
            assert_eq!(name.parse::<Key>().unwrap().to_string(), name);
        }
        assert_eq!("Ctrl-A".parse::<Key>(), Ok(Key::ctrl('a')));
        for bad in ["", "ctrl-", "f13", "alt-foo"] {
            assert!(bad.parse::<Key>().is_err(), "{bad:?}");
        }
    }
}
