//! How far to look ahead.

/// A window that grows while looking ahead pays, and shrinks when it does not.
///
/// A slot that the other side has written lies in the other side's cache. One look for many slots, and a prefetch of
/// them all at once, make one wait out of many trips of a cache line. But where the two sides are close to each other
/// the far end of the window is a slot that the other side is about to write, and a look takes the line away from it.
/// So the window is one slot to begin with, twice as long after each look that found all of it, half as long after
/// one that did not: a consumer that polls an empty ring is soon at one, and one that comes back later to take what is
/// there does not begin anew. A producer begins anew after a full ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    now: u64,
    most: u64,
}

/// The longest window, slots.
const MOST: u64 = 16;

impl Window {
    pub(super) fn new(capacity: u64) -> Self {
        Self { now: 1, most: (capacity / 2).clamp(1, MOST) }
    }

    /// How many slots to look ahead now.
    #[inline]
    pub(super) fn len(self) -> u64 {
        self.now
    }

    /// All of it was as hoped for.
    #[inline]
    pub(super) fn grow(&mut self) {
        self.now = (self.now * 2).min(self.most);
    }

    /// Not all of it was.
    #[inline]
    pub(super) fn shrink(&mut self) {
        self.now = (self.now / 2).max(1);
    }

    /// Nothing was there at all.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.now = 1;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_what_is_found() {
        let mut window = Window::new(1024);
        let lengths = [(); 6].map(|()| {
            let now = window.len();
            window.grow();
            now
        });
        assert_eq!(lengths, [1, 2, 4, 8, 16, 16]);
        window.shrink();
        assert_eq!(window.len(), 8);
        window.reset();
        assert_eq!(window.len(), 1);
        // Never half of the ring or more: the other side has its own half to work in.
        let mut window = Window::new(2);
        window.grow();
        assert_eq!(window.len(), 1);
    }
}
