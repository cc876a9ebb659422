// file: cursors.rs
// expect: does not move its fields apart
use std::sync::atomic::AtomicU64;

#[derive(Default)]
#[repr(C, align(64))]
pub struct Cursors {
    pub head: AtomicU64,
    pub tail: AtomicU64,
}
