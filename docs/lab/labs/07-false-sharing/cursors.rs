//! Lab 7: the two cursors of a ring. The producer writes `tail`, the consumer writes `head`, millions of times a second.
//! Here they lie side by side, in one cache line, which the two cores take from each other with every store.
//!
//! Move them apart, so that no two words of any array of `Cursors` share a line of 64 bytes. The fields must keep their
//! names, and `head.store(...)` and `tail.load(...)` must still work (a wrapper with `Deref` will do).

use std::sync::atomic::AtomicU64;

#[derive(Default)]
#[repr(C)]
pub struct Cursors {
    pub head: AtomicU64,
    pub tail: AtomicU64,
}
