//! The control ring of the moment. It is made anew when somebody has damaged it; who only wants to nudge, stamp or look
//! need not know that.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use halyard_ring::chat::Record;
use halyard_ring::{Beat, Ring};

/// The control ring, shared by the server's threads. The router alone replaces it.
pub(crate) struct Control(RwLock<Ring<Record>>);

impl Control {
    pub(crate) fn new(ring: Ring<Record>) -> Self {
        Self(RwLock::new(ring))
    }

    fn read(&self) -> RwLockReadGuard<'_, Ring<Record>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ring(&self) -> Ring<Record> {
        self.read().clone()
    }

    pub(crate) fn replace(&self, ring: Ring<Record>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }

    pub(crate) fn nudge(&self) {
        self.read().nudge();
    }

    pub(crate) fn beat(&self) {
        self.read().beat(Beat::Creator);
    }

    /// Frees what dead clients held.
    pub(crate) fn reap(&self) {
        self.read().reap();
    }

    pub(crate) fn close(&self) {
        self.read().close();
    }
}
