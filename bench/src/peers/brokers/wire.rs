//! What is said to Redis and to NATS, as far as a chat needs it: subscribing, publishing, and what a subscriber gets.
//!
//! Both protocols are lines of text with a length in front of the payload. A crate for either would decide how sockets
//! are read; here one thread reads many, and all of what comes is compared with what must come.

use std::io::Write as _;

use super::Broker;

/// The channel, or subject, of everything.
const ROOM: &str = "bench";

impl Broker {
    /// What a new connection says first.
    pub(super) fn hello(self) -> &'static [u8] {
        match self {
            Self::Redis => b"*1\r\n$4\r\nPING\r\n",
            // Not verbose: no answer to each message.
            Self::Nats => {
                b"CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"halyard-bench\"}\r\nPING\r\n"
            }
        }
    }

    /// What makes it a subscriber, and what makes it a publisher.
    pub(super) fn subscribe(self) -> Vec<u8> {
        match self {
            Self::Redis => format!("*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{ROOM}\r\n", ROOM.len()).into_bytes(),
            Self::Nats => format!("SUB {ROOM} 1\r\nPING\r\n").into_bytes(),
        }
    }

    /// The end of the answer to [`hello`](Self::hello).
    pub(super) fn welcome(self) -> &'static [u8] {
        match self {
            Self::Redis => b"+PONG\r\n",
            Self::Nats => b"PONG\r\n",
        }
    }

    /// The end of the answer to [`subscribe`](Self::subscribe).
    pub(super) fn subscribed(self) -> &'static [u8] {
        match self {
            Self::Redis => b"subscribe\r\n$5\r\nbench\r\n:1\r\n",
            Self::Nats => b"PONG\r\n",
        }
    }

    /// What lets a publisher go without answers, which nobody waits for here.
    pub(super) fn no_answers(self) -> &'static [u8] {
        match self {
            Self::Redis => b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n",
            Self::Nats => b"",
        }
    }

    /// Appends what publishes `text`.
    pub(super) fn publish(self, text: &[u8], out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = match self {
            Self::Redis => {
                write!(out, "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{ROOM}\r\n${}\r\n", ROOM.len(), text.len())
            }
            Self::Nats => write!(out, "PUB {ROOM} {}\r\n", text.len()),
        };
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }
}

/// Sent by NATS to see whether a client lives, and the answer.
const PING: &[u8] = b"PING\r\n";
pub(super) const PONG: &[u8] = b"PONG\r\n";

/// The longest line that is waited for.
const LINE: usize = 512;

/// What a subscriber gets of a text of a known length.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    broker: Broker,
    head: Vec<u8>,
    text: usize,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look<'a> {
    /// A message: its text, and its length with everything.
    Message { text: &'a [u8], len: usize },
    /// [`PONG`] is to be sent. Its length.
    Ping { len: usize },
    /// The beginning of one of them.
    More,
    /// Something else.
    Strange,
}

impl Frame {
    pub(super) fn new(broker: Broker, text: usize) -> Self {
        let head = match broker {
            Broker::Redis => {
                format!("*3\r\n$7\r\nmessage\r\n${}\r\n{ROOM}\r\n${text}\r\n", ROOM.len())
            }
            Broker::Nats => format!("MSG {ROOM} 1 {text}\r\n"),
        };
        Self { broker, head: head.into_bytes(), text }
    }

    #[inline]
    pub(super) fn look<'a>(&self, bytes: &'a [u8]) -> Look<'a> {
        let (from, to) = (self.head.len(), self.head.len() + self.text);
        if bytes.len() >= to + 2 && bytes.starts_with(&self.head) && bytes[to..].starts_with(b"\r\n") {
            return Look::Message { text: &bytes[from..to], len: to + 2 };
        }
        if self.broker == Broker::Nats && bytes.starts_with(PING) {
            return Look::Ping { len: PING.len() };
        }
        let begins = |whole: &[u8]| {
            let common = bytes.len().min(whole.len());
            bytes[..common] == whole[..common]
        };
        if bytes.len() < to + 2 && (begins(&self.head) || self.broker == Broker::Nats && begins(PING)) {
            return Look::More;
        }
        // A complaint is a line: all of it is to be shown.
        if bytes.len() < LINE && !bytes.contains(&b'\n') { Look::More } else { Look::Strange }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_the_protocols_say() {
        let said = |broker: Broker| {
            let mut out = Vec::new();
            broker.publish(b"hello", &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(said(Broker::Redis), "*3\r\n$7\r\nPUBLISH\r\n$5\r\nbench\r\n$5\r\nhello\r\n");
        assert_eq!(said(Broker::Nats), "PUB bench 5\r\nhello\r\n");
    }

    #[test]
    fn a_message_is_seen_when_it_is_whole() {
        let redis = &b"*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$5\r\nhello\r\n"[..];
        for (broker, whole) in [(Broker::Redis, redis), (Broker::Nats, b"MSG bench 1 5\r\nhello\r\n")] {
            let frame = Frame::new(broker, 5);
            for cut in 0..whole.len() {
                assert_eq!(frame.look(&whole[..cut]), Look::More, "{broker:?} {cut}");
            }
            let more = [whole, b"*3"].concat();
            assert_eq!(frame.look(&more), Look::Message { text: b"hello", len: whole.len() });
        }
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        let nats = Frame::new(Broker::Nats, 5);
        assert_eq!(nats.look(b"PING\r\nMSG"), Look::Ping { len: 6 });
        assert_eq!(nats.look(b"PIN"), Look::More);
        assert_eq!(nats.look(b"-ERR 'Slow"), Look::More, "until the line is whole");
        assert_eq!(nats.look(b"-ERR 'Slow Consumer'\r\n"), Look::Strange);
        assert_eq!(nats.look(&[b'-'; LINE]), Look::Strange);
        assert_eq!(nats.look(b"MSG bench 1 6\r\nhello!\r\n"), Look::Strange, "another length");
        assert_eq!(nats.look(b"MSG bench 1 5\r\nhello!\r\n"), Look::Strange, "no end where it must be");
        assert_eq!(Frame::new(Broker::Redis, 5).look(b"PING\r\n"), Look::Strange);
    }
}
