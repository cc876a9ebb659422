//! [`Record`], the bodies that are structures, and the check that every record passes before anything trusts it.

use core::fmt;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::codes::{Kind, OverflowPolicy};
use super::{FRAGS_MAX, NAME_MAX, PROTOCOL};

/// Bytes of a record before its body.
pub const HEAD: usize = 80;
/// Bytes of body that one record can carry.
pub const BODY: usize = 168;

/// One chat record: 80 bytes of head, 168 of body. All numbers are in the machine's own byte order.
///
/// Which field means what for which kind is set out in `docs/protocol.md`; the fields' doc comments give the
/// common meaning.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Record {
    /// A [`Kind`].
    pub kind: u16,
    /// Bits of [`flags`].
    pub flags: u16,
    /// ACK: the kind that is answered. ERROR, REFUSED: an [`ErrorCode`](super::ErrorCode). HELLO: an [`OverflowPolicy`].
    /// WELCOME: the one granted. LEFT, GOODBYE: a [`LeaveReason`](super::LeaveReason).
    pub code: u16,
    /// Bytes of `body` in use.
    pub len: u16,
    /// To a client: this record's number in the client's ring, from 1, without holes unless records were lost
    /// (REFUSED: 0). From a client: HELLO's nonce; SAY and DM: the text's number (see [`origin`](Self::origin)).
    pub number: u64,
    /// From a client: the command's number, from 1. To a client: the number of the command this answers; MESSAGE and
    /// DIRECT: the text's number, as its sender gave it.
    pub command: u64,
    /// The client that sends, or that the record is about. ROOM: how many rooms there are. HELLO of a companion: its
    /// first session.
    pub client: u32,
    /// From a client: the token that WELCOME gave. HELLO: the protocol version. WELCOME: the token. EARLIER: the
    /// entry's index, from 1.
    pub generation: u32,
    /// The room's id, 0 for none. Ids are not used again while the server lives. HELLO of a companion: the token of
    /// its first session.
    pub room: u32,
    /// How many leading bytes of the body are a nick.
    pub nick_len: u8,
    /// This fragment's index, from 0.
    pub frag: u8,
    /// How many fragments the text has, at least 1.
    pub frags: u8,
    /// Zero.
    pub spare: u8,
    /// A count that the kind defines (members of a room, entries of a list; HELLO: the overflow policy's limit;
    /// HISTORY: the most messages that are wanted). MESSAGE, DIRECT: the low half of the sender's
    /// [`origin`](Self::origin).
    pub count: u32,
    /// MESSAGE, DIRECT: the high half of the sender's origin. Else zero.
    pub high: u32,
    /// The message's number in its room, from 1. MEMBER, ROOM: the entry's index, from 1. HISTORY: the number that
    /// the messages must be below, 0 for any. HELLO: the client's [`origin`](Self::origin).
    pub room_seq: u64,
    /// When the sender pushed it, nanoseconds of CLOCK_MONOTONIC.
    pub sent_ns: u64,
    /// When the router took it, nanoseconds of CLOCK_MONOTONIC.
    pub routed_ns: u64,
    /// When a broadcaster put it into this client's ring, nanoseconds of CLOCK_MONOTONIC.
    pub delivered_ns: u64,
    /// Nick, then text or name; only `len` bytes count.
    pub body: [u8; BODY],
}

const _: () = assert!(size_of::<Record>() == HEAD + BODY && size_of::<Record>().is_multiple_of(8));
const _: () = assert!(core::mem::offset_of!(Record, body) == HEAD);

/// Bits of [`Record::flags`].
pub mod flags {
    /// A direct message.
    pub const DIRECT: u16 = 1;
    /// An action (`/me waves`): to be shown as `* nick waves`.
    pub const ACTION: u16 = 2;
    /// The client sends this command again because it heard no answer.
    pub const RETRY: u16 = 4;
    /// HELLO: this session belongs to one that there is already, and goes by its nick.
    pub const COMPANION: u16 = 8;
}

/// Body of WELCOME.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct WelcomeBody {
    /// How often the client must stamp its heartbeat word, nanoseconds.
    pub heartbeat_ns: u64,
    /// How old a heartbeat may grow before the client counts as hung, nanoseconds.
    pub hang_ns: u64,
    /// When the client should send a command again, nanoseconds.
    pub retry_ns: u64,
    /// Longest text, bytes.
    pub text_max: u32,
    /// Longest nick or room name, bytes.
    pub name_max: u32,
    /// Most clients.
    pub clients_max: u32,
    /// Most rooms.
    pub rooms_max: u32,
    /// The granted policy's limit: milliseconds for block, records for spill, else 0.
    pub policy_limit: u32,
    /// The server's process id.
    pub server_pid: u32,
    /// Most commands that the client may have sent and not seen answered.
    pub window: u32,
    /// Most members of a room.
    pub room_members_max: u32,
}

/// Body of LOST: what one run of lost records contained.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct LostBody {
    /// First and last lost record number of this client's ring.
    pub first_number: u64,
    /// See `first_number`.
    pub last_number: u64,
    /// First and last lost message number of the room; both 0 if no room message was lost.
    pub first_seq: u64,
    /// See `first_seq`.
    pub last_seq: u64,
    /// Room messages lost (not fragments).
    pub messages: u32,
    /// Direct messages lost.
    pub directs: u32,
    /// Other records lost: answers and notices.
    pub others: u32,
    /// Zero.
    pub spare: u32,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bad {
    /// No such kind.
    Kind(u16),
    /// `len` is more than a body holds.
    Length(u16),
    /// `nick_len` is more than `len` or than a name may have.
    NickLength(u8),
    /// `frag` and `frags` contradict each other or the limit.
    Fragment(u8, u8),
    /// The used part of the body is not UTF-8.
    Utf8,
    /// The body is shorter than its kind needs.
    Short,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "record kind {kind} is unknown"),
            Self::Length(len) => write!(f, "body length {len} is over {BODY}"),
            Self::NickLength(len) => write!(f, "nick length {len} is over the body or over {NAME_MAX}"),
            Self::Fragment(frag, frags) => write!(f, "fragment {frag} of {frags} (at most {FRAGS_MAX})"),
            Self::Utf8 => write!(f, "the body is not UTF-8"),
            Self::Short => write!(f, "the body is shorter than this kind needs"),
        }
    }
}

impl core::error::Error for Bad {}

/// A checked view of a private copy of a record: kind known, lengths in range, text UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The kind.
    pub kind: Kind,
    /// The leading nick (or empty).
    pub nick: &'a str,
    /// What follows the nick (for WELCOME and LOST: empty, use [`Record::welcome`] and [`Record::lost`]).
    pub text: &'a str,
}

impl Record {
    /// An empty record of this kind: one fragment, everything else zero.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let mut record = Self::new_zeroed();
        record.kind = kind.wire();
        record.frags = 1;
        record
    }

    /// The record with this nick and text as its body.
    ///
    /// # Panics
    /// If they do not fit; cut a text with [`super::fragments`] first.
    #[must_use]
    pub fn with_body(mut self, nick: &str, text: &str) -> Self {
        self.set_body(nick, text);
        self
    }

    /// Sets nick and text as the body.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn set_body(&mut self, nick: &str, text: &str) {
        let (head, len) = (nick.len(), nick.len() + text.len());
        assert!(head <= NAME_MAX && len <= BODY, "body of {len} bytes");
        self.body[..head].copy_from_slice(nick.as_bytes());
        self.body[head..len].copy_from_slice(text.as_bytes());
        self.nick_len = head as u8;
        self.len = len as u16;
    }

    /// Bytes of the record that need to be copied: head and the used part of the body.
    #[must_use]
    pub fn used(&self) -> usize {
        HEAD + usize::from(self.len).min(BODY)
    }

    /// How many bytes of a record count, read off its first 48 bytes: for a reader that copies only those.
    #[must_use]
    pub fn used_from_prefix(prefix: &[u8]) -> usize {
        match prefix.get(6..8) {
            Some(len) => HEAD + usize::from(u16::from_ne_bytes([len[0], len[1]])).min(BODY),
            None => HEAD + BODY,
        }
    }

    /// Checks kind, lengths, fragment numbers and UTF-8.
    ///
    /// # Errors
    /// [`Bad`] says which of them is wrong.
    #[inline]
    pub fn check(&self) -> Result<Message<'_>, Bad> {
        let kind = Kind::from_wire(self.kind).ok_or(Bad::Kind(self.kind))?;
        let len = usize::from(self.len);
        let nick_len = usize::from(self.nick_len);
        if len > BODY {
            return Err(Bad::Length(self.len));
        }
        if nick_len > len || nick_len > NAME_MAX {
            return Err(Bad::NickLength(self.nick_len));
        }
        if self.frag >= self.frags || usize::from(self.frags) > FRAGS_MAX {
            return Err(Bad::Fragment(self.frag, self.frags));
        }
        if matches!(kind, Kind::Welcome | Kind::Lost) {
            let need = if kind == Kind::Welcome { size_of::<WelcomeBody>() } else { size_of::<LostBody>() };
            return if len < need { Err(Bad::Short) } else { Ok(Message { kind, nick: "", text: "" }) };
        }
        // Both are UTF-8 if all of it is and a character begins where the nick ends.
        let body = core::str::from_utf8(&self.body[..len]).map_err(|_| Bad::Utf8)?;
        let (nick, text) = body.split_at_checked(nick_len).ok_or(Bad::Utf8)?;
        Ok(Message { kind, nick, text })
    }

    /// The body as [`WelcomeBody`].
    #[must_use]
    pub fn welcome(&self) -> WelcomeBody {
        WelcomeBody::read_from_prefix(&self.body).expect("a body holds a WelcomeBody").0
    }

    /// The body as [`LostBody`].
    #[must_use]
    pub fn lost(&self) -> LostBody {
        LostBody::read_from_prefix(&self.body).expect("a body holds a LostBody").0
    }

    /// Sets the body to a plain structure ([`WelcomeBody`], [`LostBody`]).
    ///
    /// # Panics
    /// If it is larger than a body.
    pub fn set_struct<T: IntoBytes + Immutable>(&mut self, body: &T) {
        let bytes = body.as_bytes();
        self.body[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len() as u16;
        self.nick_len = 0;
    }

    /// MESSAGE, DIRECT: the sender's origin, a random number that the sender keeps from one session to the next, also
    /// to another server; 0 if it gave none.
    ///
    /// Origin and text number (`command`) together are the same whenever, and by whatever server, a text is delivered:
    /// so a receiver knows one that it has already.
    #[must_use]
    pub fn origin(&self) -> u64 {
        u64::from(self.count) | u64::from(self.high) << 32
    }

    /// Sets the [`origin`](Self::origin) of a MESSAGE or DIRECT.
    pub fn set_origin(&mut self, origin: u64) {
        (self.count, self.high) = (origin as u32, (origin >> 32) as u32);
    }

    /// A HELLO of this protocol version. It gives no origin (`room_seq`).
    #[must_use]
    pub fn hello(nick: &str, ring: &str, policy: OverflowPolicy, limit: u32, nonce: u64) -> Self {
        let mut record = Self::new(Kind::Hello).with_body(nick, ring);
        record.code = policy.wire();
        record.generation = PROTOCOL;
        record.count = limit;
        record.number = nonce;
        record.command = 1;
        record
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("kind", &Kind::from_wire(self.kind))
            .field("code", &self.code)
            .field("number", &self.number)
            .field("command", &self.command)
            .field("client", &self.client)
            .field("room", &self.room)
            .field("count", &self.count)
            .field("room_seq", &self.room_seq)
            .field("frag", &(self.frag, self.frags))
            .field("body", &String::from_utf8_lossy(&self.body[..usize::from(self.len).min(BODY)]))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_how_much_of_it_counts() {
        let record = Record::new(Kind::Say).with_body("ann", "hello");
        assert_eq!(record.used(), 80 + 8);
        assert_eq!(Record::used_from_prefix(&record.as_bytes()[..48]), 88);
        assert_eq!(record.check().map(|m| (m.nick, m.text)), Ok(("ann", "hello")));
    }

    #[test]
    fn an_origin_is_one_number_of_eight_bytes() {
        let mut record = Record::new(Kind::Message);
        record.set_origin(0x0123_4567_89ab_cdef);
        assert_eq!(record.origin(), 0x0123_4567_89ab_cdef);
        assert_eq!(record.as_bytes()[40..48], 0x0123_4567_89ab_cdef_u64.to_le_bytes());
    }

    #[test]
    fn every_field_that_lies_is_named() {
        let good = Record::new(Kind::Say).with_body("ann", "hello");
        let spoil = |f: fn(&mut Record)| {
            let mut record = good;
            f(&mut record);
            record.check().map(|_| ()).unwrap_err()
        };
        assert_eq!(spoil(|r| r.kind = 999), Bad::Kind(999));
        assert_eq!(spoil(|r| r.len = 169), Bad::Length(169));
        assert_eq!(spoil(|r| r.nick_len = 9), Bad::NickLength(9));
        let split = Record::new(Kind::Say).with_body("", "\u{e9}");
        assert_eq!(
            Record { nick_len: 1, ..split }.check().map(|_| ()),
            Err(Bad::Utf8),
            "in the middle of a character"
        );
        assert_eq!(spoil(|r| r.frags = 0), Bad::Fragment(0, 0));
        assert_eq!(spoil(|r| r.frags = 27), Bad::Fragment(0, 27));
        assert_eq!(spoil(|r| r.body[4] = 0xff), Bad::Utf8);
        assert_eq!(spoil(|r| r.kind = Kind::Lost.wire()), Bad::Short);
    }
}
