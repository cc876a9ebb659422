//! What other threads tell the router.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use std::sync::Arc;

use halyard_ring::chat::LeaveReason;

use crate::control::Control;
use crate::steward::Opened;

/// Something that the router should know.
pub(crate) enum Notice {
    /// The reply ring of a HELLO was opened, or cannot be.
    Opened(Box<Opened>),
    /// The client with this id is gone, and why.
    Gone(u32, LeaveReason),
    /// The server is to stop.
    Stop,
}

/// The router's second way in. The control ring's consumer waits for both: every notice nudges it.
pub(crate) struct Notices {
    queue: Mutex<Vec<Notice>>,
    /// So that the router need not lock to find nothing.
    waiting: AtomicBool,
    control: Arc<Control>,
}

impl Notices {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { queue: Mutex::new(Vec::new()), waiting: AtomicBool::new(false), control }
    }

    pub(crate) fn send(&self, notice: Notice) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
        // Release meets the Acquire in `take`; the nudge comes after, so a router that wakes sees the flag.
        self.waiting.store(true, Ordering::Release);
        self.control.nudge();
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Vec<Notice> {
        if !self.waiting.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.store(false, Ordering::Relaxed);
        std::mem::take(&mut *queue)
    }
}
