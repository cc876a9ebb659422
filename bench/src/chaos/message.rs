//! What the clients of a storm say: every text tells which client said it as its how-manieth, and the rest of it
//! follows from that, so that a receiver can check it byte for byte.

use std::fmt;
use std::fmt::Write as _;

/// One client process: whose place it has, and the how-manieth it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) slot: u16,
    pub(crate) life: u16,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}.{}", self.slot, self.life)
    }
}

/// A message's identity. Ids of one life are told apart by their count, which only grows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) u64);

const DIRECT: u64 = 1 << 63;

impl Id {
    pub(crate) fn new(life: Life, count: u32, is_direct: bool) -> Self {
        let direct = if is_direct { DIRECT } else { 0 };
        Self(direct | u64::from(life.slot & 0x7fff) << 48 | u64::from(life.life) << 32 | u64::from(count))
    }

    pub(crate) fn life(self) -> Life {
        Life { slot: (self.0 >> 48) as u16 & 0x7fff, life: (self.0 >> 32) as u16 }
    }

    pub(crate) fn count(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn is_direct(self) -> bool {
        self.0 & DIRECT != 0
    }

    /// The whole text that bears this identity.
    pub(crate) fn text(self) -> String {
        let mut rng = fastrand::Rng::with_seed(self.0);
        // Most texts fit one record; some take a few, some nearly as many as there may be.
        let length = match rng.u32(0..100) {
            0..80 => rng.usize(20..120),
            80..95 => rng.usize(120..600),
            _ => rng.usize(600..4000),
        };
        let mut text = String::with_capacity(length + 32);
        // Writing to a string cannot fail.
        let _ = write!(text, "{:x} ", self.0);
        while text.len() < length {
            text.push(char::from(rng.u8(b'a'..=b'z')));
        }
        text
    }

    /// The identity that a text bears, if it is that text to the last byte.
    pub(crate) fn of(text: &str) -> Result<Self, Option<Self>> {
        let id = text
            .split_once(' ')
            .and_then(|(id, _)| u64::from_str_radix(id, 16).ok())
            .map(Self)
            .ok_or(None)?;
        if id.text() == text { Ok(id) } else { Err(Some(id)) }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_direct() { "direct message" } else { "message" };
        write!(f, "{kind} {} of {}", self.count(), self.life())
    }
}

/// The nick of a life after its `renames`th change of nick.
pub(crate) fn nick(life: Life, renames: u32) -> String {
    format!("c{}l{}n{renames}", life.slot, life.life)
}

/// Whose nick this is.
pub(crate) fn life_of(nick: &str) -> Option<Life> {
    let (slot, rest) = nick.strip_prefix('c')?.split_once('l')?;
    let (life, _) = rest.split_once('n')?;
    Some(Life { slot: slot.parse().ok()?, life: life.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_who_said_it_and_a_changed_one_is_found_out() {
        let life = Life { slot: 15, life: 3 };
        for count in 0..500 {
            let id = Id::new(life, count, count % 2 == 0);
            let text = id.text();
            assert!(text.len() <= 4096);
            assert_eq!(
                (Id::of(&text), id.life(), id.count(), id.is_direct()),
                (Ok(id), life, count, count % 2 == 0)
            );
            assert_eq!(Id::of(&text[..text.len() - 1]), Err(Some(id)));
        }
        assert_eq!(Id::of("hello"), Err(None));
    }

    #[test]
    fn a_nick_says_whose_it_is() {
        let life = Life { slot: 7, life: 12 };
        assert_eq!(life_of(&nick(life, 3)), Some(life));
        // With the number that a nick gets when it is taken.
        assert_eq!(life_of("c7l12n3-2"), Some(life));
        assert_eq!(life_of("carl"), None);
    }
}
