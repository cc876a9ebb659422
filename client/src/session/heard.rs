//! [`Heard`]: which texts were heard already.
//!
//! A client that loses its server sends what was not acknowledged again, to whatever server comes next, and some of it
//! may have been delivered before the old one went. Every text bears its sender's origin and the number that the sender
//! gave it, both of which stay the same; a receiver that keeps them from session to session passes over what it has.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Texts behind the newest of an origin whose numbers are told apart; a sender has fewer than that under way.
pub(crate) const SPAN: u64 = 64;

/// Origins kept in one of the two maps: the memory is bounded, and those heard longest ago are forgotten first.
const ORIGINS: usize = 1 << 15;

/// The texts heard from each origin.
#[derive(Debug)]
pub(crate) struct Heard {
    lately: HashMap<u64, Numbers, Mix>,
    /// What `lately` was before it was full.
    before: HashMap<u64, Numbers, Mix>,
    max: usize,
}

/// The highest number heard from an origin, and which of the 64 up to it.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    last: u64,
    /// Bit i: `last - i` was heard.
    seen: u64,
}

impl Default for Heard {
    fn default() -> Self {
        Self::keeping(ORIGINS)
    }
}

impl Heard {
    fn keeping(max: usize) -> Self {
        let mix = Mix(RandomState::new().hash_one(max) | 1);
        Self { lately: HashMap::with_hasher(mix), before: HashMap::with_hasher(mix), max }
    }

    /// Whether this text was heard. A text without origin or number is always new.
    #[inline]
    pub(crate) fn has(&self, origin: u64, text: u64) -> bool {
        if origin == 0 || text == 0 {
            return false;
        }
        match self.lately.get(&origin) {
            Some(numbers) => numbers.have(text),
            None => self.before.get(&origin).is_some_and(|numbers| numbers.have(text)),
        }
    }

    /// Whether this text was not heard before; from now on it was.
    #[inline]
    pub(crate) fn is_new(&mut self, origin: u64, text: u64) -> bool {
        if let Some(numbers) = self.lately.get_mut(&origin)
            && origin != 0
            && text != 0
        {
            return numbers.is_new(text);
        }
        let is_new = !self.has(origin, text);
        self.note(origin, text);
        is_new
    }

    /// Notes that this text was heard.
    #[inline]
    pub(crate) fn note(&mut self, origin: u64, text: u64) {
        if origin == 0 || text == 0 {
            return;
        }
        if let Some(numbers) = self.lately.get_mut(&origin) {
            return numbers.note(text);
        }
        self.note_another(origin, text);
    }

    #[cold]
    fn note_another(&mut self, origin: u64, text: u64) {
        if self.lately.len() >= self.max {
            let empty = HashMap::with_hasher(*self.lately.hasher());
            self.before = std::mem::replace(&mut self.lately, empty);
        }
        let mut numbers = self.before.remove(&origin).unwrap_or(Numbers { last: text, seen: 0 });
        numbers.note(text);
        self.lately.insert(origin, numbers);
    }
}

impl Numbers {
    fn have(&self, text: u64) -> bool {
        match self.last.checked_sub(text) {
            None => false,
            Some(back @ 0..SPAN) => self.seen >> back & 1 != 0,
            // Its sender has long had it acknowledged.
            Some(_) => true,
        }
    }

    fn is_new(&mut self, text: u64) -> bool {
        // What comes in order, as almost everything does.
        if self.last.checked_add(1) == Some(text) {
            (self.last, self.seen) = (text, self.seen << 1 | 1);
            return true;
        }
        let is_new = !self.have(text);
        self.note(text);
        is_new
    }

    fn note(&mut self, text: u64) {
        match self.last.checked_sub(text) {
            None => {
                let ahead = text - self.last;
                self.seen = if ahead < SPAN { self.seen << ahead | 1 } else { 1 };
                self.last = text;
            }
            Some(back @ 0..SPAN) => self.seen |= 1 << back,
            Some(_) => {}
        }
    }
}

/// Hashes one number. Origins are random already; the secret factor is for those that somebody chose.
#[derive(Clone, Copy, Debug)]
struct Mix(u64);

struct Mixed(u64, u64);

impl BuildHasher for Mix {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(self.0, 0)
    }
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.1
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let wide = u128::from(word ^ self.1 ^ self.0.rotate_left(32)) * u128::from(self.0);
        self.1 = (wide as u64) ^ (wide >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is new; from now on it is not.
    fn is_new(heard: &mut Heard, origin: u64, text: u64) -> bool {
        let had = heard.has(origin, text);
        let is_new = heard.is_new(origin, text);
        assert!(is_new != had && (origin == 0 || text == 0 || heard.has(origin, text)), "{origin} {text}");
        is_new
    }

    #[test]
    fn every_text_of_every_origin_is_new_once() {
        let mut heard = Heard::default();
        for round in 0..2 {
            for origin in 1..=100 {
                for text in 1..=64 {
                    assert_eq!(is_new(&mut heard, origin, text), round == 0, "{origin} {text}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_was_overtaken_is_new_and_what_is_far_behind_is_old() {
        let mut heard = Heard::default();
        assert!(is_new(&mut heard, 1, 10) && is_new(&mut heard, 1, 73) && is_new(&mut heard, 1, 11));
        assert!(!is_new(&mut heard, 1, 10) && !is_new(&mut heard, 1, 11));
        assert!(is_new(&mut heard, 1, 1000) && is_new(&mut heard, 1, 937));
        assert!(!is_new(&mut heard, 1, 936), "64 behind");
        assert!(is_new(&mut heard, 1, u64::MAX) && !is_new(&mut heard, 1, u64::MAX));
    }

    #[test]
    fn a_sender_without_origin_or_numbers_is_always_new() {
        let mut heard = Heard::default();
        assert!((0..3).all(|_| is_new(&mut heard, 0, 7) && is_new(&mut heard, 7, 0)));
    }

    #[test]
    fn the_origins_heard_longest_ago_are_forgotten_first() {
        let mut heard = Heard::keeping(10);
        for origin in 1..=15 {
            assert!(is_new(&mut heard, origin, 1));
        }
        assert!(!is_new(&mut heard, 3, 1), "kept, and heard again");
        for origin in 16..=24 {
            assert!(is_new(&mut heard, origin, 1));
        }
        assert!(!is_new(&mut heard, 3, 1));
        assert!(is_new(&mut heard, 4, 1), "forgotten");
        assert!(heard.lately.len() <= 10 && heard.before.len() <= 10);
    }
}
