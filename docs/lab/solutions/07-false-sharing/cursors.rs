//! Each cursor in a wrapper that is aligned to a line, and therefore also a whole number of lines long. (128 rather than
//! 64: processors fetch lines in pairs.)

use std::ops::Deref;
use std::sync::atomic::AtomicU64;

#[derive(Default)]
#[repr(align(128))]
pub struct Apart(AtomicU64);

impl Deref for Apart {
    type Target = AtomicU64;

    fn deref(&self) -> &AtomicU64 {
        &self.0
    }
}

#[derive(Default)]
#[repr(C)]
pub struct Cursors {
    pub head: Apart,
    pub tail: Apart,
}
