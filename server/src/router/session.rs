//! What the router knows of a client's session.

use std::sync::Arc;

use halyard_ring::chat::{Kind, Reassembly, TEXT_MAX};

use super::fair::Share;
use crate::registry::{Client, Room};

/// One client's session, as the router sees it.
pub(super) struct Session {
    pub(super) client: Arc<Client>,
    pub(super) nick: Arc<str>,
    pub(super) room: Option<Arc<Room>>,
    /// The slots of the sessions that go by this one's nick and end with it.
    pub(super) companions: Vec<u32>,
    pub(super) window: Window,
    pub(super) long: Long,
    /// What the client's texts bear besides their numbers: see [`Record::origin`](halyard_ring::chat::Record::origin).
    pub(super) origin: u64,
    /// The HELLO that it began with: reply ring and nonce.
    pub(super) hello: (String, u64),
    /// Its share of the router's time.
    pub(super) share: Share,
    /// Its commands wait: see [`super::settle`].
    pub(super) held: bool,
    /// When the client was last told of a record that is no answer to anything, nanoseconds.
    pub(super) complained_ns: u64,
}

impl Session {
    /// Whether the client has gone on since it connected: it is in a room, or has sent something.
    pub(super) fn is_under_way(&self) -> bool {
        self.room.is_some() || self.held || self.window.has_moved()
    }
}

/// Which command numbers were acted on: the highest, and which of the 64 up to it.
///
/// A command is acted on once: when its number is above all others, or when it is among the last 64 and was not seen
/// (its record was damaged, and others came before it was sent again).
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    last: u64,
    /// Bit i: `last - i` was acted on.
    seen: u64,
}

/// What is known of a command number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    Acted,
    /// So long ago that it is not known any more.
    Forgotten,
}

impl Window {
    /// HELLO was command 1.
    pub(super) fn new() -> Self {
        Self { last: 1, seen: 1 }
    }

    /// Whether any command but HELLO was acted on.
    fn has_moved(&self) -> bool {
        self.last > 1
    }

    #[inline]
    pub(super) fn known(&self, command: u64) -> Known {
        if command > self.last {
            return Known::New;
        }
        match self.last - command {
            back @ 0..64 if self.seen >> back & 1 == 0 => Known::New,
            0..64 => Known::Acted,
            _ => Known::Forgotten,
        }
    }

    #[inline]
    pub(super) fn mark(&mut self, command: u64) {
        if command > self.last {
            let ahead = command - self.last;
            self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
            self.last = command;
        } else if self.last - command < 64 {
            self.seen |= 1 << (self.last - command);
        }
    }
}

/// A text of several fragments on its way in.
#[derive(Default)]
pub(super) struct Long {
    /// Its command; 0 for none.
    command: u64,
    kind: u16,
    text: Reassembly,
    bytes: usize,
    /// DM: the recipient, from the first fragment.
    pub(super) to: String,
    pub(super) flags: u16,
    pub(super) number: u64,
    pub(super) sent_ns: u64,
}

/// What one more fragment made of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// More is to come.
    Part,
    /// It is whole; [`Long::text`] has it.
    Whole,
    /// It does not follow the one before it.
    OutOfOrder,
    /// There is more text than a message may have.
    TooLong,
}

impl Long {
    /// The command whose text is half there, if there is one.
    pub(super) fn half(&self) -> Option<u64> {
        (self.command != 0).then_some(self.command)
    }

    pub(super) fn forget(&mut self) {
        self.command = 0;
        self.text.clear();
    }

    /// Takes the next fragment; hands the whole text to `each` if it was the last.
    pub(super) fn add(&mut self, head: Head, nick: &str, text: &str, whole: &mut String) -> Gathered {
        if head.frag == 0 {
            nick.clone_into(&mut self.to);
            (self.command, self.kind, self.bytes) = (head.command, head.kind.wire(), 0);
            (self.flags, self.number, self.sent_ns) = (head.flags, head.number, head.sent_ns);
        } else if self.command != head.command || self.kind != head.kind.wire() || !nick.is_empty() {
            self.forget();
            return Gathered::OutOfOrder;
        }
        self.bytes += text.len();
        if self.bytes > TEXT_MAX {
            self.forget();
            return Gathered::TooLong;
        }
        match self.text.add(head.frag, head.frags, text) {
            Ok(None) => Gathered::Part,
            Ok(Some(text)) => {
                text.clone_into(whole);
                self.command = 0;
                Gathered::Whole
            }
            Err(()) => {
                self.forget();
                Gathered::OutOfOrder
            }
        }
    }
}

/// The fields of a fragment's head that matter to [`Long`].
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) command: u64,
    pub(super) frag: u8,
    pub(super) frags: u8,
    pub(super) flags: u16,
    pub(super) number: u64,
    pub(super) sent_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_new_once() {
        let mut window = Window::new();
        assert_eq!(window.known(1), Known::Acted);
        for command in 2..200 {
            assert_eq!(window.known(command), Known::New);
            window.mark(command);
            assert_eq!(window.known(command), Known::Acted);
        }
        assert_eq!(window.known(136), Known::Acted);
        assert_eq!(window.known(135), Known::Forgotten);
        assert_eq!(window.known(0), Known::Forgotten);
    }

    #[test]
    fn a_command_that_was_lost_is_new_when_it_comes_late() {
        let mut window = Window::new();
        window.mark(2);
        window.mark(5);
        assert_eq!([3, 4].map(|n| window.known(n)), [Known::New; 2]);
        window.mark(3);
        assert_eq!([2, 3, 4, 5].map(|n| window.known(n) == Known::New), [false, false, true, false]);
        window.mark(1000);
        assert_eq!([3, 999, 1000].map(|n| window.known(n)), [Known::Forgotten, Known::New, Known::Acted]);
        window.mark(u64::MAX);
        assert_eq!(window.known(u64::MAX), Known::Acted);
    }

    fn head(command: u64, frag: u8, frags: u8) -> Head {
        Head { kind: Kind::Say, command, frag, frags, flags: 0, number: 0, sent_ns: 0 }
    }

    #[test]
    fn fragments_of_another_command_do_not_mix() {
        let (mut long, mut whole) = (Long::default(), String::new());
        assert_eq!(long.add(head(2, 0, 2), "", "ab", &mut whole), Gathered::Part);
        assert_eq!(long.half(), Some(2));
        assert_eq!(long.add(head(3, 1, 2), "", "cd", &mut whole), Gathered::OutOfOrder);
        assert_eq!(long.half(), None);
        assert_eq!(long.add(head(4, 0, 2), "bob", "ab", &mut whole), Gathered::Part);
        assert_eq!(long.add(head(4, 1, 2), "", "cd", &mut whole), Gathered::Whole);
        assert_eq!((whole.as_str(), long.to.as_str(), long.half()), ("abcd", "bob", None));
    }

    #[test]
    fn a_text_over_the_limit_is_told_from_one_in_disorder() {
        let (mut long, mut whole) = (Long::default(), String::new());
        let piece = "x".repeat(168);
        let results: Vec<_> =
            (0..26).map(|frag| long.add(head(2, frag, 26), "", &piece, &mut whole)).collect();
        assert_eq!(results[23], Gathered::Part);
        assert_eq!(results[24], Gathered::TooLong);
        assert_eq!(results[25], Gathered::OutOfOrder);
    }
}
