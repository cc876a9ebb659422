//! The slot state word: `sequence (48 bits) | owner (14 bits) | phase (2 bits)`.

use core::fmt;

/// Bits of a sequence number. Positions count on in 64 bits; a slot keeps the low 48.
pub(crate) const SEQUENCE_BITS: u32 = 48;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;
const OWNER_BITS: u32 = 14;
const OWNER_MASK: u64 = (1 << OWNER_BITS) - 1;

/// The most producers that one ring can tell apart: owner numbers 1 to 16,382 (0 is nobody, the last is kept free).
pub const OWNERS_MAX: u32 = (1 << OWNER_BITS) - 2;

/// What a slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Phase {
    /// May be claimed for the position in its sequence.
    Free = 0,
    /// Its owner is writing.
    Claimed = 1,
    /// Published: the consumer may read it.
    Ready = 2,
    /// With an owner: passed over while that one was writing; in quarantine until the owner comes back or is known
    /// dead. Without: a hole, a position that was given up and carries no record.
    Void = 3,
}

/// One state word, taken out of shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct State(pub(crate) u64);

impl State {
    pub(crate) const fn new(position: u64, owner: u16, phase: Phase) -> Self {
        Self((position & SEQUENCE_MASK) << (OWNER_BITS + 2) | (owner as u64 & OWNER_MASK) << 2 | phase as u64)
    }

    pub(crate) const fn free(position: u64) -> Self {
        Self::new(position, 0, Phase::Free)
    }

    /// The same word for another position: of one made for position 0.
    #[inline(always)]
    pub(crate) const fn at(self, position: u64) -> Self {
        Self(self.0 | position << (OWNER_BITS + 2))
    }

    /// A position that carries no record and whose slot nobody writes: for the next lap as soon as the head is past.
    pub(crate) const fn hole(position: u64) -> Self {
        Self::new(position, 0, Phase::Void)
    }

    /// Whether this is a slot in quarantine: void, and its owner may still write.
    #[must_use]
    pub const fn is_quarantined(self) -> bool {
        matches!(self.phase(), Phase::Void) && self.owner() != 0
    }

    /// The low 48 bits of the position that the word speaks of.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        self.0 >> (OWNER_BITS + 2)
    }

    /// The owner's number, 0 for none.
    #[must_use]
    pub const fn owner(self) -> u16 {
        ((self.0 >> 2) & OWNER_MASK) as u16
    }

    /// The phase.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self.0 & 3 {
            0 => Phase::Free,
            1 => Phase::Claimed,
            2 => Phase::Ready,
            _ => Phase::Void,
        }
    }

    /// Whether it says READY for `position`, whoever the owner is.
    #[inline]
    pub(crate) const fn is_ready_at(self, position: u64) -> bool {
        let owner = OWNER_MASK << 2;
        self.0 & !owner == Self::new(position, 0, Phase::Ready).0
    }

    /// How far the word's sequence lies ahead of `position`, in positions; negative if behind. Wraps at 2^48, so
    /// two positions less than 2^47 apart always compare right.
    pub(crate) const fn ahead_of(self, position: u64) -> i64 {
        let difference = self.sequence().wrapping_sub(position) << (64 - SEQUENCE_BITS);
        (difference as i64) >> (64 - SEQUENCE_BITS)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}", self.phase(), self.sequence())?;
        match self.owner() {
            0 => write!(f, ")"),
            owner => write!(f, ", owner {owner})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap() {
        for phase in [Phase::Free, Phase::Claimed, Phase::Ready, Phase::Void] {
            for (position, owner) in [(0, 0), (1, 1), (SEQUENCE_MASK, OWNERS_MAX as u16), (77, 0x2aaa)] {
                let state = State::new(position, owner, phase);
                assert_eq!((state.sequence(), state.owner(), state.phase()), (position, owner, phase));
                assert_eq!(state.is_ready_at(position), phase == Phase::Ready);
                assert!(!state.is_ready_at(position + 1));
            }
        }
    }

    #[test]
    fn distance_wraps_with_the_sequence() {
        let last = SEQUENCE_MASK;
        assert_eq!(State::free(last).ahead_of(last), 0);
        assert_eq!(State::free(last + 1).ahead_of(last), 1);
        assert_eq!(State::free(last).ahead_of(last + 1), -1);
        assert_eq!(State::free(last + 64).ahead_of(last + 128), -64);
    }
}
