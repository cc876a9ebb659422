//! What other threads tell the router.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use halyard_ring::chat::{ErrorCode, LeaveReason, Record};
use halyard_ring::{ProcessId, Producer, Ring};

use crate::control::Control;

/// Something that the router should know.
pub(crate) enum Notice {
    /// The reply ring of a HELLO was opened, or cannot be.
    Opened(Box<Opened>),
    /// The client with this id is gone, and why.
    Gone(u32, LeaveReason),
    /// The server is to stop.
    Stop,
}

/// A HELLO's reply ring, open.
pub(crate) struct Reply {
    pub(crate) ring: Ring<Record>,
    pub(crate) producer: Producer<Record>,
    pub(crate) process: ProcessId,
}

/// What came of opening a reply ring.
pub(crate) enum Outcome {
    /// It can be used.
    Usable(Reply),
    /// It can be written to, but not for a session; the text says why.
    Unfit(Reply, ErrorCode, String),
    /// It cannot be written to, so nobody can be told why.
    Unreachable(String),
}

/// What the steward answers to [`Chore::Open`](crate::steward::Chore::Open).
pub(crate) struct Opened {
    pub(crate) hello: Record,
    /// Who pushed it.
    pub(crate) from: Option<ProcessId>,
    pub(crate) outcome: Outcome,
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
