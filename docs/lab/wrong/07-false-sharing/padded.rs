// file: cursors.rs
// expect: does not say where a line begins
use std::sync::atomic::AtomicU64;

#[derive(Default)]
#[repr(C)]
pub struct Cursors {
    pub head: AtomicU64,
    pad: [u64; 7],
    pub tail: AtomicU64,
}
