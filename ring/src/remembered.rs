//! A number that is looked up once and then kept.
//!
//! Of one atomic word alone, and not a `OnceLock`: several threads may look at once, and find the same. Looking takes
//! no lock, and ThreadSanitizer, to which the inside of the standard library's locks is dark, sees all of it.

use crate::sync::{Ordering, QuietU64};

/// Set in the word once the number is known.
const KNOWN: u64 = 1 << 63;

/// A number below 2^63 that is the same for everyone in this process, whoever looks it up.
#[derive(Debug)]
pub(crate) struct Remembered(QuietU64);

impl Remembered {
    pub(crate) const fn new() -> Self {
        Self(QuietU64::new(0))
    }

    /// The number; `look_up` finds it the first time. Nothing else is handed over by it, so that Relaxed does.
    pub(crate) fn get(&self, look_up: impl FnOnce() -> u64) -> u64 {
        let known = self.0.load(Ordering::Relaxed);
        if known & KNOWN != 0 {
            return known & !KNOWN;
        }
        let found = look_up() & !KNOWN;
        self.0.store(found | KNOWN, Ordering::Relaxed);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_looked_up_once() {
        let kept = Remembered::new();
        assert_eq!(kept.get(|| 0), 0);
        assert_eq!(kept.get(|| unreachable!("it is known")), 0);
    }
}
